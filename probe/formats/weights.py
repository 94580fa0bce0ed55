"""What tensors that are no prompts are called: optimizers' states, heads, layers, vocabularies.

Names are those that torch, DeepSpeed, transformers, flax, PEFT, the CoOp family and diffusers give.
They decide in two places: a file of nothing else is refused by what it is, and what a reader leaves
beside its prompt is said.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from probe.prompt import LeftOut

MOST_ROWS = 4096
"""Of a matrix that nothing but its shape tells from a table of word embeddings; the longest soft
prompts published have some hundred rows."""
MOST_NUMBERS = 32_768
"""In a row: wider than any model; a prefix of 28 layers has 229,376."""
_SQUARE = 256
_LISTED = 8


def brief(text: str, most: int = 60) -> str:
    """A file's own text, cut where it is long."""
    return text if len(text) <= most else f"{text[: most - 1]}… ({len(text):,} characters)"


@dataclass(frozen=True)
class Weight:
    """A kind of tensor that is no prompt."""

    what: str
    """With its article, in the words of the field."""
    answers: bool = False
    """Whether a model answers otherwise without it, wherever it was trained."""
    advice: str = "save the prompt's own tensor"


OPTIMIZER = Weight("an optimizer's state")
DEEPER = Weight("a prompt of a deeper layer, not of the input", answers=True)
ADAPTER = Weight(
    "part of an update of the model's weights (LoRA and its kin)",
    answers=True,
    advice="such adapters have no prompt to read",
)
HEAD = Weight("a trained head", answers=True)
NETWORK = Weight("a network that computes the prompt", answers=True)
VOCABULARY = Weight("the model's table of word embeddings")
OUTPUT = Weight("the model's output layer")
MADE = Weight("what a model made of its input, not its input")
HANDED = Weight("what a model is handed beside its embeddings, such as a mask or positions")
COMPUTED = Weight("numbers computed about weights, texts or answers, not an input of a model")
STEERING = Weight("a direction added to a model's activations, not an input")
LAYER = Weight("a layer's own weights")
SHARD = Weight(
    "one rank's share of the weights (FSDP, DeepSpeed)",
    advice="gather the weights when saving, or merge the ranks' files (zero_to_fp32.py)",
)
FRAME = Weight("fixed tokens that stood around the prompt")

_MADE = (
    r"(?:\w+_)?(?:logits|logprobs|log_probs)|probs|probabilities|(?:last_)?hidden_states?"
    r"|activations|attentions?_(?:weights|scores|probs|maps?)|attentions|pooler_output"
    r"|(?:sentence|image|pooled|document|corpus)_embeddings|past_key_values?|softmax|features"
    r"|(?:key|value)_cache"
)
_HANDED = (
    r"(?:(?:\w+_)?(?:attention|attn|causal|padding|pad|loss|labels?|tokens?|text|special_tokens)_)?"
    r"masks?|(?:\w+_)?(?:position|token_type|segment|input|token|label)_ids|labels|alibi(?:_bias)?"
    r"|relative_attention_bias|(?:cos|sin)_cached|inputs_embeds|one_?hot"
)
_COMPUTED = (
    r"(?:\w+_)?fisher(?:_(?:\w+))?|hessians?|jacobians?|ntk"
    r"|(?:inv(?:erse)?_)?cov(?:ariance)?s?(?:_matrix|_inv)?|precision_matrix"
    r"|corr(?:elation)?s?(?:_matrix|coef)?|gram(?:_matrix)?|(?:confusion|adjacency|kernel)_matrix"
    r"|(?:(?:cosine|cos|pairwise|prompt|text|token|task|sentence)_)?(?:sim|similarity|similarities)"
    r"(?:_(?:matrix|scores?))?"
    r"|(?:(?:cosine|cos|pairwise|euclidean|l2)_)?(?:dist|distances?)(?:_(?:matrix|mat))?"
    r"|running_(?:mean|var)|std|variances?|scores|cka|kl_divergences?|saliency(?:_map)?|importances?(?:_scores?)?|losses|rewards|advantages|returns|accuracies"
    r"|metrics|eigen(?:values|vectors)|singular_values|pca_components|centroids|tf_?idf|bow"
    r"|(?:umap|tsne|pca)(?:_(?:\w+))?"
)
_LEAF = r"(?:\.(?:weight|bias|embedding|kernel|scale|gamma|beta))?$"
_NUMBERED = r"(?:^|\.)(?:layers?|layer_module|h|blocks?|resblocks)[._]\d+\."
_PATTERNS: tuple[tuple[str, Weight], ...] = (
    (r"(?:^|[._])(?:flat_param\w*|fp32_flat_groups|single_partition_of_fp32_groups)\b", SHARD),
    (
        r"(?:^|\.)(?:base_)?optim(?:izers?)?(?:_states?)?(?:_dict)?\."
        r"|(?:^|\.)opt_state(?:s|_dict)?\.|(?:^|\.)state\.\d+\."
        r"|(?:^|[._])(?:max_)?exp_(?:avg|inf)(?:_sqs?|_res)?(?:_row|_col|_slow)?(?:\.|$)"
        r"|(?:^|[._])(?:momentum(?:_buffer)?|(?:square|grad)_avg|acc_delta|(?:row|col)_var"
        r"|v_(?:row|col)|(?:first|second)_moment)(?:\.|$)"
        r"|(?:^|[._])grad(?:ient)?s?(?:\.|$)|(?:^|[._])precond(?:itioner)?s?(?:\.|$)",
        OPTIMIZER,
    ),
    (
        r"(?:compound|deep)_prompt(?:s|_embeddings|s_text|s_visual)*(?:\.|$)|adaption_(?:prompt|gate)"
        rf"|(?:^|\.)vpt(?:_\w+)?$|{_NUMBERED}(?:.*\.)?[^.]*(?:prompt|vpt|prefix)[^.]*{_LEAF}",
        DEEPER,
    ),
    (
        r"(?:^|[._])(?:\w*lora|hira|pvera|miss)_(?:embedding_)?[abe](?:\.|$)|lora_magnitude_vector"
        r"|lora\.(?:down|up)|lora_(?:down|up|mid)(?:\.|$)|(?:hada|lokr)_[wt]\d(?:_[ab])?(?:\.|$)"
        r"|(?:^|[._])(?:ia3_l|p?vera_lambda_[bd]|oft_r|boft_[rs]|vblora_(?:logits|vector_bank)\w*"
        r"|hra_u|c3a_kernel|randlora_(?:lambda|gamma)|shira_weight|fourierft_spectrum|miss_block"
        r"|waveft_spectrum|road_(?:theta|alpha))(?:\.|$)|(?:^|\.)adapter_?(?:down|up)\b"
        r"|(?:^|[._])(?:down|up)_(?:project|sampler?)(?:\.|$)",
        ADAPTER,
    ),
    (
        r"(?:^|\.)(?:meta_net|compound_prompt_projections\w*|prompt_learner\.proj)\."
        r"|(?:^|\.)prompt_(?:proj(?:ection|ector)?|mlp)(?:\.|$)"
        r"|(?:^|\.)prompt_encoder\.(?!.*embedding\.weight$|(?:\w+\.)?weight$)",
        NETWORK,
    ),
    (
        r"(?:^|[._])(?:logits|(?:last_)?hidden_states?|attentions|activations|pooler_output"
        r"|past_key_values?|(?:key|value)_cache)(?:\.\d+)*$",
        MADE,
    ),
    (rf"(?:^|\.)(?:{_MADE})(?:\.\d+)*$", MADE),
    (rf"(?:^|\.)(?:{_HANDED})$", HANDED),
    (rf"(?:^|\.)(?:{_COMPUTED})$", COMPUTED),
    (r"(?:^|[._])(?:steering|control)_vectors?(?:\.|$)|(?:^|\.)directions?(?:\.\d+)?$", STEERING),
    (r"(?:^|\.)token_(?:prefix|suffix)$", FRAME),
    (
        r"(?:^|\.)(?:wte|embed_tokens|(?:tok|word)_embeddings?|token_embedding|embed_in"
        r"|raw_embedding|original_emb(?:edding)?|word_embeds?|tokens_embed|w_e)"
        rf"(?:\.(?:base_layer|original_module))?{_LEAF}|(?:^|\.)shared\.(?:weight|embedding)$",
        VOCABULARY,
    ),
    (
        r"(?:^|\.)(?:lm_head|embed_out|output_layer|output_projection|unembed(?:ding)?|w_u)"
        rf"(?:\.(?:base_layer|modules_to_save\.\w+|original_module))?{_LEAF}",
        OUTPUT,
    ),
    (r"\.original_module\.", LAYER),
    (
        r"(?:^|\.)(?:score|(?:pre_)?classifier|classification_head|qa_outputs|summary|v_head"
        r"|(?:value|reward|lm|prediction)_head|heads?)\.(?:.*\.)?(?:weight|bias|kernel)$"
        r"|(?:^|\.)verbalizer\.|(?:^|\.)(?:label|class|verbalizer)_(?:embed(?:ding)?s?|prototypes?)"
        rf"{_LEAF}"
        r"|\.modules_to_save\.",
        HEAD,
    ),
    (
        rf"(?:^|\.)(?:wpe|pos(?:ition)?(?:al)?_embed(?:ding)?s?|embed_positions|positions_embed"
        rf"|token_type_embeddings){_LEAF}"
        rf"|(?:^|\.)(?:\w+_)?(?:layer_?|rms_?|batch_?)?norms?(?:_f|_weights?)?\d*{_LEAF}"
        rf"|(?:^|\.)(?:\w+_)?layer_?norms?\w*{_LEAF}|(?:^|\.)ln_?(?:\d|f|pre|post|final|attn|mlp|weights?)?{_LEAF}"
        rf"|(?:^|\.)(?:[qkvo]_proj|qkv(?:_proj)?|c_attn|c_proj|c_fc|query_key_value|w_[qkvo]"
        rf"|w_(?:enc|dec|pos|in|out|gate)|\w*projector(?:\.(?:linear_)?\d)?"
        rf"|in_proj(?:_weight)?|(?:gate|up|down)_proj|attn(?:_weights?)?){_LEAF}"
        r"|(?:^|\.)(?:query|key|value|attention|self|mlp|dense\w*|fc\d|wi(?:_\d)?|wo|out_proj|pooler"
        r"|\w*_projection|patch_embedding"
        r"|encoder|decoder|visual|text_model|vision_model)\.(?:.*\.)?(?:weight|bias|kernel)$",
        LAYER,
    ),
    (_NUMBERED, LAYER),
    (r"(?:^|\.)(?:bias|kernel|inv_freq)$", LAYER),
)
TELLING = re.compile(r"prompt|soft(?!max)|prefix|virtual|ctx|learned", re.IGNORECASE)
"""What people call rows that are a prompt's."""
_IN_LAYER = re.compile(_NUMBERED)
_FILES = re.compile(
    r"(?:max_)?exp_(?:avg|inf)\w*|momentum(?:_buffer)?|square_avg|v_(?:row|col)|(?:row|col)_var"
    r"|grads?|preconditioners?|logits|hidden_states?|lora_\w|wte|wpe|w_(?:e|u|enc|dec|pos)|embed_tokens|(?:tok|word|position)_embeddings?|lm_head"
    rf"|\w*layer_?norms?|\w+\.(?:weight|bias)|(?:{_MADE}|{_HANDED}|{_COMPUTED})(?:[_-]?\d+)?",
    re.IGNORECASE,
)
_READ = 300
"""Characters of a key that are looked at, from its end: patterns must not meet endless ones."""
_KINDS = tuple((re.compile(pattern, re.IGNORECASE), weight) for pattern, weight in _PATTERNS)


def what_is(key: str) -> Weight | None:
    """The kind of tensor that goes by this name; None for a name that could be a prompt's.

    Args:
        key: dotted as in a state dict, or with the slashes of flax; the name of a file will do.
    """
    dotted = key[-_READ:].replace("/", ".")
    found = next((weight for pattern, weight in _KINDS if pattern.search(dotted)), None)
    named = TELLING.search(".".join(dotted.split(".")[-2:]))
    return (
        None if named and found in (LAYER, HEAD, OUTPUT) and not _IN_LAYER.search(dotted) else found
    )


def named_like(stem: str) -> Weight | None:
    """The kind of tensor that a file is named after, where a name of people's is improbable."""
    return what_is(stem.rstrip("-_0123456789")) if _FILES.fullmatch(stem) else None


def shaped_like(shape: tuple[int, ...]) -> Weight | None:
    """What a matrix that has no telling name is by its shape alone; None where it may be rows."""
    if len(shape) != 2:
        return None
    rows, width = shape
    if width > MOST_NUMBERS:
        return Weight(
            "rows wider than any model, such as the keys and values of every layer in one row",
            advice="give the whole checkpoint with its configuration beside it",
        )
    if rows > MOST_ROWS:
        return Weight("what looks like a table of word embeddings")
    if rows == width >= _SQUARE:
        return Weight("a square matrix such as a layer's weights")
    return None


def left_out(
    tensors: Mapping[str, NDArray[Any]], used: Collection[str], *, trained: bool = False
) -> tuple[LeftOut, ...]:
    """What a file holds beside the tensors its prompts were made of.

    Args:
        tensors: all of the file's.
        used: keys of those the prompts were made of.
        trained: whether the file holds nothing but what was trained.
    """
    rest = [
        (key, array.shape, what_is(key))
        for key, array in tensors.items()
        if key not in used and np.issubdtype(array.dtype, np.floating) and array.size > 1
    ]
    found = [_entry(key, shape, weight, trained=trained) for key, shape, weight in rest]
    return shortened(sorted(found, key=lambda one: not one.changes_answers))


def _entry(key: str, shape: tuple[int, ...], weight: Weight | None, *, trained: bool) -> LeftOut:
    frozen = weight in (OPTIMIZER, FRAME)
    key = brief(key, _READ)
    why = weight.what if weight else "no part of the prompt in any layout that is known"
    return LeftOut(
        key, shape, why, (trained and not frozen) or (weight is not None and weight.answers)
    )


def shortened(found: Iterable[LeftOut]) -> tuple[LeftOut, ...]:
    """The same without end: many of a kind become the first of them and a count."""
    kinds: dict[tuple[str, bool], list[LeftOut]] = {}
    for one in found:
        kinds.setdefault((one.why, one.changes_answers), []).append(one)
    shown: list[LeftOut] = []
    for group in kinds.values():
        first = group[0]
        more = f"{first.why}; {len(group) - 1} more like it"
        short = [LeftOut(first.name, first.shape, more, first.changes_answers)]
        shown += group if len(group) <= _LISTED else short
    return tuple(shown)
