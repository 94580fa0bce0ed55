"""Frozen language models by family: scoring, generating and tracing with prompts.

    model = load_model("builtin")
    rows = prepare(model, task, examples, objective="full", prompt_length=20)
    injection = model.injection_of([prompt, other])        # or Injection(tensor[K, P, H], [20, 20])
    losses = model.losses(injection, rows, which)          # [B] nats, with gradients
    scores = model.label_scores(injection, rows, which)    # [B, labels] nats

`prepare` keeps `prompt_length` positions free when it cuts texts. Templates may hold one `{label}`
(else the label follows after a space) and `{prompt:n}` slots, which place a prompt inside the text;
placement is therefore a property of rows, not of the injection. `which` may be left out: all rows
then read the first prompt. One batch holds embedding prompts or key/value prefixes, not both.
`plain=True` on a causal model (attribute) turns the packed pass off.

Analyses get `scorer`, `tracer`, `unembedder`, `patcher` and `value_projector`: the
protocols of `probe.protocols`.
"""

import gc

__all__ = ["FrozenModel", "Injection", "load_model", "prepare"]
_collects = gc.isenabled()
gc.disable()  # torch and transformers come with a million objects, none of which is garbage
try:
    from probe.models.causal import CausalModel
    from probe.models.frozen import FrozenModel
    from probe.models.injection import Injection, InjectionError
    from probe.models.keeping import keep_models, load_model
    from probe.models.patching import patcher
    from probe.models.prepare import prepare
    from probe.models.rows import Objective, Row, Slot
    from probe.models.scoring import scorer, unembedder, value_projector
    from probe.models.tracing import tracer
    from probe.template import RowError
finally:
    if _collects:
        gc.enable()
