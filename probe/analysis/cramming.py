"""How much of a text the rows of a prompt hold, token by token."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class CrammedToken:
    """One token of a text, behind the true ones before it."""

    token: str
    right: bool
    """Whether it is the likeliest one with the rows."""
    right_without: bool
    """Whether it is without them."""
    nats: float
    """Minus its log-likelihood with the rows."""
    nats_without: float


@dataclass(frozen=True)
class CrammedText:
    """How much of one text its rows hold."""

    beginning: str
    """The text of the longest beginning that is held."""
    tokens: int
    """Of the whole text."""
    longest: int
    """Of that beginning."""
    updates: int
    """Until it was held."""
    stopped: str
    """Why training ended."""
    right: int
    """Tokens of the beginning that are the likeliest ones, each behind the true ones."""
    right_without: int
    """The same without the rows."""
    tokens_gained: int
    """The difference."""
    greedy: int
    """Tokens that the model writes as in the beginning, of itself, before it errs."""
    nats: float
    """Minus the log-likelihood of the beginning."""
    nats_without: float
    information_gain_nats: float
    """The difference."""
    positions: tuple[CrammedToken, ...]
    """Twice as many tokens, as far as there are."""
    growth: tuple[tuple[int, int], ...]
    """Updates at which a longer beginning was held, and its tokens."""
    prompt: str | None = None
    """As the workspace keeps the rows, `name@version`."""
