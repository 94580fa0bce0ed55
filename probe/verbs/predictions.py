"""What `probe predict` and `probe generate` found, as documents and tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from probe.results import Result

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Prediction:
    """One prompt's label for one text."""

    text: str
    """Of several columns, all that the template names."""
    prompt: str
    label: str
    """The label word; the first of a label that has several."""
    probabilities: dict[str, float]
    """Of every label among the labels."""


@dataclass(frozen=True)
class Continuation:
    """What one prompt's model writes behind one text."""

    text: str
    prompt: str
    output: str


@dataclass(frozen=True)
class Used:
    """A prompt, the model that read it and the words it read."""

    name: str
    model: str
    template: str
    label_words: tuple[str, ...]
    """One per label, or several with | between them."""


@dataclass(frozen=True)
class Predictions(Result):
    """What `probe predict` found: prompt by prompt for every text."""

    prompts: tuple[Used, ...]
    predictions: tuple[Prediction, ...]
    notes: tuple[str, ...] = ()
    """What was not done as it might seem: texts that were cut, another base model, …"""

    def to_frame(self) -> pd.DataFrame:
        """One row per text, prompt and label word."""
        import pandas as pd

        return pd.DataFrame(
            {
                "text": one.text,
                "prompt": one.prompt,
                "label": word,
                "probability": share,
                "predicted": word == one.label,
            }
            for one in self.predictions
            for word, share in one.probabilities.items()
        )

    def to_wide_frame(self) -> pd.DataFrame:
        """One row per text and prompt, with a column for each label's probability."""
        import pandas as pd

        return pd.DataFrame(
            {"text": one.text, "prompt": one.prompt, "label": one.label}
            | {f"probability {word}": share for word, share in one.probabilities.items()}
            for one in self.predictions
        )


@dataclass(frozen=True)
class Continuations(Result):
    """What `probe generate` wrote: prompt by prompt for every text."""

    prompts: tuple[Used, ...]
    max_new_tokens: int
    continuations: tuple[Continuation, ...]
    notes: tuple[str, ...] = ()
    """What was not done as it might seem."""

    def to_frame(self) -> pd.DataFrame:
        """One row per text and prompt."""
        import pandas as pd

        return pd.DataFrame([vars(one) for one in self.continuations])
