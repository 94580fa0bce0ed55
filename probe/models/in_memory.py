"""A frozen model made of one in memory, which stays byte for byte as it is."""

from __future__ import annotations

import copy

from probe.errors import ModelNotFoundError
from probe.live import LiveModel
from probe.models.agreement import require_agreement
from probe.models.frozen import FrozenModel
from probe.models.kinds import family_of_kind, require_head
from probe.models.shortcuts import drop_shortcuts
from probe.tables.in_memory import copy_on_same_weights, require_weights, text_tokenizer


def freeze_live(
    live: LiveModel, *, device: str | None = None, dtype: str | None = None
) -> FrozenModel:
    """A model in memory, ready to read prompts, as a second one on the same weights.

    It runs where the first is, in its precision, with its hooks.

    Raises:
        ModelNotFoundError: it is elsewhere or in another precision, has no numbers, or is of a kind
            that reads no prompts.
    """
    model = live.model
    require_weights(model, live.name)
    _require_as_asked(live, device, dtype)
    config = copy.deepcopy(model.config)
    config.architectures = [live.architecture]
    family = family_of_kind(config, live.name)
    require_head(live.architecture, config.model_type, family, live.name)
    tokenizer = text_tokenizer(live)
    beside = copy_on_same_weights(model, live.name)
    drop_shortcuts(beside)  # of a model that `load_model` opened
    frozen = family(live.name, beside, tokenizer)
    frozen.place = live.place
    require_agreement(frozen)
    return frozen


def _require_as_asked(live: LiveModel, device: str | None, dtype: str | None) -> None:
    """Refuse to move a model that belongs to somebody else."""
    found = str(live.model.device), str(live.model.dtype).removeprefix("torch.")
    for name, asked, own in (("device", device, found[0]), ("dtype", dtype, found[1])):
        if asked is not None and asked not in (own, own.partition(":")[0]):
            raise ModelNotFoundError(
                f"{live.name} has {name} {own}, asked for is {asked!r}: leave {name} out, or "
                "change the model itself"
            )
