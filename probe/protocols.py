"""What analyses ask of a model. Real models live in `probe.models`; tests pass stubs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from probe.arrays import Float32Array, Float64Array
from probe.prompt import AnyPrompt, KVPrefix, PromptPair, SoftPrompt
from probe.task import Example

ModelPrompt = SoftPrompt | KVPrefix | PromptPair | None
"""What a model can be run with; None is the model alone."""


@dataclass(frozen=True)
class TraceResult:
    """What a forward pass left behind, for one batch of B examples."""

    hidden: Float32Array
    """[L + 1, B, P + T, H], the embedding layer first."""
    attention_to_prompt: Float32Array
    """[L, B, P]: attention that text positions give each prompt position, mean over heads."""
    activations: Float32Array
    """[L, B, F]: feed-forward activations at the first position after the prompt."""
    uniform_attention: Float32Array
    """[L, B, P]: what `attention_to_prompt` would be if every text position spread its attention
    evenly over the positions it can see."""


class Score(Protocol):
    """Log-likelihood in nats of every label of every example, [n, labels]."""

    def __call__(self, prompt: ModelPrompt, examples: Sequence[Example]) -> Float64Array:
        """Score the examples under the prompt."""
        ...


class Slopes(Protocol):
    """Losses of n examples at a prompt, and how steeply they change along a direction."""

    def __call__(
        self, prompt: AnyPrompt, direction: AnyPrompt, /
    ) -> tuple[Float64Array, Float64Array]:
        """Losses [n] in nats, and the part of each position in the directional derivative, [n, P].

        `direction` is a prompt of the same shape whose numbers are the direction's.
        """
        ...


class Trace(Protocol):
    """Hidden states, attention to the prompt and feed-forward activations."""

    def __call__(self, prompt: ModelPrompt, examples: Sequence[Example]) -> TraceResult:
        """Run the examples under the prompt and keep what happened inside."""
        ...


class Unembed(Protocol):
    """Logits over the vocabulary, [n, V], of hidden states [n, H]."""

    def __call__(self, states: Float32Array) -> Float32Array:
        """Apply the model's last norm and output matrix."""
        ...


class Patch(Protocol):
    """Continuations of a text with hidden states put into it."""

    def __call__(self, states: Float32Array, layer: int, before: str, after: str) -> list[str]:
        """Write one continuation per set of states, [n, P, H].

        `before` and `after` stand around P placeholders; what enters layer `layer` (from 0) at
        their places is replaced by the states.
        """
        ...


class ProjectValues(Protocol):
    """What values add to the residual stream, [L, heads, P, H]."""

    def __call__(self, values: Float32Array) -> Float32Array:
        """Put values [L, key/value heads, P, head_dim] through their heads' output matrices."""
        ...
