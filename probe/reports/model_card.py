"""A prompt's model card on a hub: what it is, what it scores, what it decodes to, what it means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Real
from typing import TYPE_CHECKING, Any

from probe.analysis.neighbours import METRIC_NAMES
from probe.prompt import AnyPrompt, KVPrefix, trained_method
from probe.requests.train_methods import method_words
from probe.texts import visible

if TYPE_CHECKING:
    from probe.analysis.decoding import Decoding, Neighbour, Position

HUB_NAMES = {
    "smollm2": "HuggingFaceTB/SmolLM2-135M-Instruct",
    "minilm": "sentence-transformers/all-MiniLM-L6-v2",
}
"""Base models of ours under their hub ids; `smollm2` holds these weights in 4 bits."""
_POSITIONS = 20
"""At most so many positions of a decoding stand in a card."""
_NEIGHBOURS = 3


def model_card(
    prompt: AnyPrompt,
    *,
    repository: str,
    licence: str | None,
    decoding: Decoding | str,
    meaning: str,
    not_in_peft: str | None = None,
) -> str:
    """The card as Markdown, with the metadata that a hub reads at its head.

    Args:
        prompt: what is published.
        repository: `owner/name`, as a reader loads it.
        licence: an SPDX name in lower case; None says nothing.
        decoding: its nearest tokens beside their controls, or why it has none.
        meaning: its readings in words, with their hit rate; empty where there are none.
        not_in_peft: why PEFT's files are not among what is published; None where they are.
    """
    parts = [
        f"# {_plain(prompt.name)}",
        _what(prompt),
        "## Scores\n\n" + (_scores(prompt.metrics) or "Not scored, or the scores are not known."),
        *([f"## What it means\n\n{_plain(meaning)}"] if meaning else []),
        "## Nearest tokens\n\n" + _nearest(decoding),
        "## Use\n\n" + _use(repository, not_in_peft),
    ]
    return (
        f"---\n{_metadata(prompt, licence, in_peft=not_in_peft is None)}\n---\n\n"
        + "\n\n".join(parts)
        + "\n"
    )


def _metadata(prompt: AnyPrompt, licence: str | None, *, in_peft: bool) -> str:
    from huggingface_hub import ModelCardData

    base = HUB_NAMES.get(prompt.base_model or "", prompt.base_model)
    on_hub = base is not None and base.count("/") == 1 and not base.startswith(("/", "."))
    method = trained_method(prompt).replace("_", "-")
    data = ModelCardData(
        base_model=base if on_hub else None,
        library_name="peft" if in_peft else None,
        license=licence,
        tags=["soft-prompt", method, "soft-prompt-probe"],
    )
    return str(data.to_yaml()).strip()


def _what(prompt: AnyPrompt) -> str:
    if isinstance(prompt, KVPrefix):
        layers, heads, positions, width = prompt.keys.shape
        shape = f"keys and values of {positions} positions, {layers} layers × {heads} × {width}"
    else:
        shape = f"{len(prompt.embeddings)} virtual tokens × {prompt.embeddings.shape[1]}"
    on = f" on `{_plain(prompt.base_model)}`" if prompt.base_model else ""
    task = f", for the task *{_plain(prompt.task)}*" if prompt.task else ""
    method = method_words(trained_method(prompt))
    return f"A soft prompt: {shape}, trained by {method}{on}{task}."


def _scores(metrics: Mapping[str, Any]) -> str:
    rows = [
        f"| {_plain(name.replace('_', ' '))} | {value:.4g}{_interval(metrics, name)} |"
        for name, value in metrics.items()
        if isinstance(value, Real) and not isinstance(value, bool)
    ]
    return "| | |\n|-|-|\n" + "\n".join(rows) if rows else ""


def _interval(metrics: Mapping[str, Any], name: str) -> str:
    ends = metrics.get(f"{name}_interval")
    if not isinstance(ends, Sequence) or len(ends) != 2:
        return ""
    return f" ({ends[0]:.4g} to {ends[1]:.4g})"


def _nearest(decoding: Decoding | str) -> str:
    if isinstance(decoding, str):
        return _plain(decoding)
    rows = [_row(one) for one in decoding.positions[:_POSITIONS]]
    left = len(decoding.positions) - _POSITIONS
    more = f"\n\n{left} more positions are left out." if left > 0 else ""
    metric = METRIC_NAMES[decoding.metric]
    head = (
        f"| position | nearest tokens ({metric}) | closer than so many of: held-out tokens | "
        "Gaussian control | isotropic control | |\n|-|-|-|-|-|-|\n"
    )
    said = " ".join(_plain(line) for line in decoding.headline())
    return f"{said}\n\n{head}" + "\n".join(rows) + more


def _row(one: Position) -> str:
    cells = [str(one.position), _tokens(one.neighbours)]
    if (beside := one.controls) is not None:
        shares = (beside.vocabulary, beside.chance, beside.isotropic)
        cells += [f"{share:.1f} %" for share in shares]
        cells.append(_plain(", ".join(beside.named_flags)))
    return f"| {' | '.join(cells)} |"


def _tokens(neighbours: Sequence[Neighbour]) -> str:
    return " ".join(f"`{_code(one.token)}` {one.score:.3f}" for one in neighbours[:_NEIGHBOURS])


def _use(repository: str, not_in_peft: str | None) -> str:
    with_peft = (
        "```python\nfrom peft import AutoPeftModel\n\n"
        f'model = AutoPeftModel.from_pretrained("{repository}")\n```\n\n'
    )
    return (
        (with_peft if not_in_peft is None else f"Without PEFT: {_plain(not_in_peft)}.\n\n")
        + "```sh\npip install soft-prompt-probe\n"
        f"probe pull {repository}\nprobe read {repository}\n```"
    )


def _plain(text: str) -> str:
    """Text that a page of Markdown shows as it is: nothing in a prompt's file is a link or HTML."""
    shown = visible(" ".join(text.split()))
    escaped = "".join(f"\\{letter}" if letter in "\\`*_[]<>|#" else letter for letter in shown)
    return escaped.replace("://", ":\\//").replace("www.", "www\\.")


def _code(text: str) -> str:
    return visible(text).replace("`", "'").replace("|", "\\|")
