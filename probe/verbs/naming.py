"""The names of a command's options, taken by its function beside the names of its parameters."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, cast

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")
_SINGLE = ("output", "all")
"""Options that a command line does not repeat."""


def option_names(**parameters: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Let a function take options as its command spells them: `--text` is `text=` or `texts=`.

    An option that a command line repeats takes one value or several.

    Args:
        parameters: of the function, by the option's name.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(function)
        def call(*args: Any, **given: Any) -> Any:
            for option in parameters.keys() & given.keys():
                if parameters[option] in given:
                    raise TypeError(f"{option} and {parameters[option]} are one: give only one")
                value = given.pop(option)
                alone = isinstance(value, str | Path | int | float) and option not in _SINGLE
                given[parameters[option]] = [value] if alone else value
            return cast(Callable[..., R], function)(*args, **given)

        vars(call)["option_names"] = parameters
        return cast(Callable[P, R], call)

    return decorate
