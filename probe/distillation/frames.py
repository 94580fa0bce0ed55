"""Where a prompt stands around a context: in a chat's system message, or in front of a question."""

from __future__ import annotations

from dataclasses import dataclass

from probe.errors import TrainingError
from probe.models import FrozenModel
from probe.models.rows import special_ids
from probe.task import TEXT_SLOT
from probe.template import first_slot

PROMPT_SLOT = "{prompt}"
FRAME_NAMES = ("chat", "plain")
_PLAIN = f"{PROMPT_SLOT}\nQuestion: {TEXT_SLOT}\nAnswer:"
_SYSTEM, _USER = "probe-system-text", "probe-user-text"


@dataclass(frozen=True)
class Frame:
    """A text with one place for the prompt and one for the context; the answer follows it."""

    name: str
    template: str
    """With `{prompt}` and `{text}`, once each."""

    def __post_init__(self) -> None:
        """Check the places.

        Raises:
            TrainingError: one is missing or stands twice.
        """
        if self.template.count(PROMPT_SLOT) != 1 or self.template.count(TEXT_SLOT) != 1:
            raise TrainingError(
                f"frame {self.name}: expected {PROMPT_SLOT} and {TEXT_SLOT} once each, found "
                f"{self.template!r}"
            )

    def with_rows(self, length: int) -> str:
        """The task template in which P prompt rows stand in the prompt's place."""
        return self.template.replace(PROMPT_SLOT, f"{{prompt:{length}}}")

    def with_text(self, text: str) -> str:
        """The task template with a text in the prompt's place.

        Raises:
            TrainingError: the text holds a place such as `{text}`, where the context is to go.
        """
        if (slot := first_slot(text)) is not None:
            raise TrainingError(f"expected a text to distil without {slot}, found {text!r}")
        return self.template.replace(PROMPT_SLOT, text)


def frame_of(model: FrozenModel, name: str | None = None) -> Frame:
    """A frame by name: chat, plain, or a template of one's own; chat where the model has one.

    Raises:
        TrainingError: there is no such frame, or the model has no chat template.
    """
    if name is None:
        return chat_frame(model) if _has_chat(model) else Frame("plain", _PLAIN)
    if name == "chat":
        return chat_frame(model)
    if name == "plain":
        return Frame("plain", _PLAIN)
    if PROMPT_SLOT not in name:
        raise TrainingError(
            f"expected one of the frames {', '.join(FRAME_NAMES)}, or a template with "
            f"{PROMPT_SLOT} and {TEXT_SLOT}, found {name!r}"
        )
    return Frame("own", name)


def chat_frame(model: FrozenModel) -> Frame:
    """The model's own chat template with the prompt as system message and the context as question.

    An empty system message stands for no prompt: templates add one of their own where none is
    given.

    Raises:
        TrainingError: the model has no chat template, or one without a system message.
    """
    if not _has_chat(model):
        raise TrainingError(f"{model.name} has no chat template: use the frame plain")
    messages = [
        {"role": "system", "content": _SYSTEM},
        {"role": "user", "content": _USER},
    ]
    try:
        written = model.tokenizer.apply_chat_template(
            messages, tokenize=False, add_generation_prompt=True
        )
    except Exception as error:  # templates raise errors of their own
        raise TrainingError(
            f"the chat template of {model.name} takes no system message ({error}): use the frame "
            "plain"
        ) from error
    start = model.tokenizer.bos_token
    if start and special_ids(model.tokenizer)[0]:  # rows get their first special token anyway
        written = str(written).removeprefix(start)
    return Frame("chat", written.replace(_SYSTEM, PROMPT_SLOT).replace(_USER, TEXT_SLOT))


def _has_chat(model: FrozenModel) -> bool:
    return bool(getattr(model.tokenizer, "chat_template", None))
