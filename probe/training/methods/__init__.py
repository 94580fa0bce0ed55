"""The training methods: what each of them is, without torch; `methods/NAME.py` holds its module.

To add one, write `methods/NAME.py` with `build(model, config, start) -> PromptModule`, and name it
in `probe.requests.train_methods`.
"""

from probe.requests.train_methods import (
    METHODS,
    MethodSpec,
    TrainMethod,
    injects_prefix,
    name_methods,
    trains_tokens,
)

__all__ = [
    "METHODS",
    "MethodSpec",
    "TrainMethod",
    "injects_prefix",
    "name_methods",
    "trains_tokens",
]
