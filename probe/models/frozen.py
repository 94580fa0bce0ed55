"""A frozen language model that reads prompts: what every family has in common."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from probe.models.embedding import table_of
from probe.models.generation import Pick, most_likely
from probe.models.injection import Batch, Injection, InjectionError, no_prompt, stack_prompts
from probe.models.rows import LabelPlace, Row, right_option
from probe.models.shortcuts import take_shortcuts
from probe.protocols import ModelPrompt
from probe.tables.codec import GuardedTokenizer
from probe.tables.embedding_layers import answer_of
from probe.texts import counted
from probe.vocabulary import SCALE_ROWS, EmbeddingScale


class FrozenModel(ABC):
    """A language model whose weights never change; only the prompts it reads carry gradients."""

    family: ClassVar[str]
    """What this kind of model is called."""
    automatic: ClassVar[str]
    """The class of transformers that loads it."""
    labels: ClassVar[LabelPlace]
    """Where the tokens of a label stand."""
    writes: ClassVar[bool]
    """Whether it continues texts; a model that does not reads them in both directions."""
    two_stacks: ClassVar[bool] = False
    """Whether an encoder and a decoder each read a prompt."""
    peft_task: ClassVar[str | None] = None
    """PEFT's `task_type`; None where PEFT cannot put the prompt where this model reads it."""
    pads = True
    """Whether rows of different lengths may run together: some models ignore the mask."""

    def __init__(self, name: str, model: Any, tokenizer: Any) -> None:
        self.name = name
        self.place: str | None = name
        """What a prompt says of its base model; None of a model that is nowhere but in memory."""
        self.model = model.eval().requires_grad_(False)
        self.tokenizer = GuardedTokenizer(tokenizer, name)
        self.dtype: torch.dtype = self.model.dtype
        self.autocast = self.dtype in (torch.bfloat16, torch.float16)
        for parameter in self.model.parameters() if self.autocast else ():
            if parameter.ndim == 1:  # norms run in float32; autocast rounds biases as it needs
                parameter.data = parameter.data.float()
        take_shortcuts(self.model)

    @property
    def config(self) -> Any:
        """The model's configuration, of the text part where there are several."""
        return self.model.config.get_text_config()

    @property
    def embed(self) -> nn.Module:
        """The input embedding, as the model applies it (some scale or project their rows)."""
        return self.model.get_input_embeddings()  # type: ignore[no-any-return]

    @property
    def device(self) -> torch.device:
        """Where inputs go."""
        return table_of(self.embed).device

    @property
    def dtype_name(self) -> str:
        """The data type of its weights, as `bfloat16`."""
        return str(self.dtype).removeprefix("torch.")

    @property
    def width(self) -> int:
        """H, columns of the embedding table: what prompts are made of."""
        return int(getattr(self.embed, "embedding_dim", 0) or table_of(self.embed).shape[1])

    @property
    def vocabulary_size(self) -> int:
        """V, rows of the embedding table."""
        return int(getattr(self.embed, "num_embeddings", 0) or table_of(self.embed).shape[0])

    @cached_property
    @torch.no_grad()
    def scale(self) -> EmbeddingScale:
        """How long the rows are that the model feeds on, beside those of its table."""
        ids = torch.arange(0, self.vocabulary_size, max(1, self.vocabulary_size // SCALE_ROWS))
        norm = float(self.embed_ids(ids).norm(dim=1).median())
        if type(self.embed) is nn.Embedding:
            return EmbeddingScale(1.0, norm)
        table = table_of(self.embed)
        if not table.is_floating_point() or table.shape[1:] != (self.width,):  # it is quantised
            return EmbeddingScale(1.0, norm)
        stored = table[ids.to(self.device)].float()
        return EmbeddingScale(norm / max(float(stored.norm(dim=1).median()), 1e-12), norm)

    @property
    def input_factor(self) -> float:
        """What prompts and texts are multiplied by behind the embedding layer; 1 mostly."""
        found = (vars(part).get("input_factor") for part in self.model.modules())
        return next((float(factor) for factor in found if factor is not None), 1.0)

    @property
    def layers(self) -> int:
        """L."""
        return int(self.config.num_hidden_layers)

    @property
    def positions(self) -> int | None:
        """Most positions the model can read; None where there is no limit."""
        return position_limit(self.config)

    @cached_property
    def kv_shape(self) -> tuple[int, int, int] | None:
        """(layers, heads, head_dim) of a key/value prefix; None where the model takes none."""
        return None

    @property
    def fingerprint(self) -> str:
        """sha256 over every parameter and buffer as they are now."""
        return _sha256(_tensors(self.model.state_dict()))

    @property
    def fingerprint_in_bfloat16(self) -> str:
        """What `fingerprint` is of the same weights loaded in bfloat16."""
        numbers = {key for key, one in self.model.named_parameters() if one.ndim == 1}
        state = {
            key: one.bfloat16() if one.is_floating_point() else one
            for key, one in _tensors(self.model.state_dict()).items()
        }
        return _sha256({key: one.float() if key in numbers else one for key, one in state.items()})

    @torch.no_grad()
    def embed_ids(self, ids: Tensor) -> Tensor:
        """Embeddings [..., H] of token ids as the model itself would feed them, float32."""
        return answer_of(self.embed, ids.to(self.device)).float()

    @torch.no_grad()
    def embeddings_of(self, tokens: slice) -> Tensor:
        """The same of consecutive tokens, [n, H]; not copied where they are the table's rows."""
        if type(self.embed) is nn.Embedding:
            return self.embed.weight[tokens].float()
        return self.embed_ids(torch.arange(tokens.start, tokens.stop))

    def injection_of(self, prompts: Sequence[ModelPrompt]) -> Injection:
        """Prompts for this model, on its device.

        Raises:
            InjectionError: a prompt does not fit the model, or the kinds are mixed.
        """
        injection = stack_prompts(prompts, self.device)
        self._require_readable(injection)
        return injection

    def batch_of(
        self, injection: Injection | None, rows: Sequence[Row], which: Tensor | None
    ) -> Batch:
        """Rows with their prompts, the model alone being an empty one, checked.

        Raises:
            InjectionError: the prompts do not fit, or `which` names none of them for a row.
        """
        injection = no_prompt() if injection is None else injection
        self._require_readable(injection)
        choice = [0] * len(rows) if which is None else which.tolist()
        if len(choice) != len(rows) or not all(0 <= k < len(injection) for k in choice):
            raise InjectionError(
                f"which must name one of {counted(len(injection), 'prompt')} for each of "
                f"{counted(len(rows), 'row')}, found {choice}"
            )
        return Batch(injection, rows, choice)

    def _require_readable(self, injection: Injection) -> None:
        """Refuse prompts that the model cannot read."""
        for embeddings in (injection.embeddings, injection.decoder_embeddings):
            if embeddings is not None and embeddings.shape[-1] != self.width:
                raise InjectionError(
                    f"{self.name} reads prompts of width {self.width}, found "
                    f"{embeddings.shape[-1]}: use the model the prompt was trained on"
                )
        if injection.decoder_embeddings is not None and not self.two_stacks:
            raise InjectionError(f"{self.name} has no decoder half to read a decoder prompt")
        if (layers := injection.key_values) is None:
            return
        if self.kv_shape is None:
            raise InjectionError(
                f"{self.name} ({self.family}) reads no key/value prefixes: use embedding prompts"
            )
        found = (len(layers), layers[0][0].shape[1], layers[0][0].shape[3]) if layers else None
        if found != self.kv_shape:
            raise InjectionError(
                f"{self.name} reads prefixes of (layers, heads, head_dim) {self.kv_shape}, found "
                f"{found}: use the model the prefix was trained on"
            )

    def check_room(self, needed: int) -> None:
        """Refuse rows of more positions than the model has.

        Raises:
            InjectionError: prompt and text need more.
        """
        if self.positions is not None and needed > self.positions:
            raise InjectionError(
                f"{self.name} has {counted(self.positions, 'position')}, prompt and text need "
                f"{needed}: give prepare() the prompt's length"
            )

    def label_tokens(self, row: Row) -> int:
        """Tokens over which the loss of a row's right label is a mean; of its shortest word.

        A model whose labels are texts of their own compares these whole.
        """
        if self.labels == "own_text":
            return 1
        return min(len(row.options[option]) for option in row.words[right_option(row)])

    def traced_stack(self, model: Any) -> Any:
        """The stack of layers that reads the prompt, in a copy of the model."""
        return model.base_model

    @property
    def label_placeholder(self) -> list[int]:
        """Ids that stand where a label is asked for."""
        return []

    def losses(
        self, injection: Injection | None, rows: Sequence[Row], which: Tensor | None = None
    ) -> Tensor:
        """Loss of every row in nats, [B], with gradients to the injection: over its labels.

        Args:
            injection: K prompts; None is the model alone.
            rows: B prepared rows with their right labels.
            which: [B] prompt each row reads; None gives all of them the first.

        Raises:
            RowError: a row has no right label.
            InjectionError: the prompts do not fit the model or the rows.
        """
        scores = self.label_scores(injection, rows, which)
        labels = torch.tensor([right_option(row) for row in rows], device=scores.device)
        return cross_entropy(scores, labels, reduction="none")

    @abstractmethod
    def label_scores(
        self, injection: Injection | None, rows: Sequence[Row], which: Tensor | None = None
    ) -> Tensor:
        """Log-likelihood in nats of every label of every row, [B, labels], with gradients.

        Rows with fewer labels than others are filled with -inf.
        """

    @torch.no_grad()
    def generate_rows(
        self,
        injection: Injection | None,
        rows: Sequence[Row],
        which: Tensor | None = None,
        max_new_tokens: int = 32,
        pick: Pick = most_likely,
    ) -> list[str]:
        """Continuations of rows (targets, for encoder–decoder models) under their prompts.

        Args:
            injection: K prompts; None is the model alone.
            rows: what stands before the continuation.
            which: [B] prompt each row reads; None gives all of them the first.
            max_new_tokens: the longest continuation.
            pick: chooses among the next tokens.

        Raises:
            InjectionError: the prompts do not fit, or the model writes no text.
        """
        written = self.generate_ids(injection, rows, which, max_new_tokens, pick)
        return [str(self.tokenizer.decode(ids, skip_special_tokens=True)) for ids in written]

    @torch.no_grad()
    def generate_ids(
        self,
        injection: Injection | None,
        rows: Sequence[Row],
        which: Tensor | None = None,
        max_new_tokens: int = 32,
        pick: Pick = most_likely,
    ) -> list[list[int]]:
        """Ids of the same continuations, special tokens included."""
        batch = self.batch_of(injection, rows, which)
        if max_new_tokens < 1:
            raise InjectionError(f"max_new_tokens must be 1 or more, found {max_new_tokens}")
        if not rows:
            return []
        with self.precision():
            return self._continue(batch, max_new_tokens, pick)

    def _continue(  # families that write text have their own
        self,
        batch: Batch,  # noqa: ARG002
        max_new_tokens: int,  # noqa: ARG002
        pick: Pick,  # noqa: ARG002
    ) -> list[list[int]]:
        """Ids of the continuations of rows."""
        raise InjectionError(
            f"{self.name} ({self.family}) writes no text: generate with a causal or "
            "encoder–decoder model"
        )

    @property
    def stops(self) -> list[int]:
        """Ids that end a text."""
        given = self.model.generation_config.eos_token_id
        found = given if isinstance(given, list) else [given]
        return [int(i) for i in {*found, self.tokenizer.eos_token_id} if i is not None]

    @contextmanager
    def precision(self) -> Iterator[None]:
        """Half-precision weights multiply in half precision; everything else stays float32.

        Dropout stays off even if someone switched the model to training: a frozen model has none.
        """
        if self.model.training:
            self.model.eval()
        with torch.autocast(self.device.type, self.dtype, enabled=self.autocast):
            yield


def position_limit(config: Any) -> int | None:
    """Positions a configuration names; XLNet's -1 and the like are no limit."""
    limit = getattr(config, "max_position_embeddings", None)
    return None if limit is None or limit < 1 else int(limit)


def _tensors(state: Mapping[str, Any]) -> dict[str, Tensor]:
    """The tensors of a state; torch.ao packs weight and bias into one value, beside other facts."""
    packed = {
        f"{key}.{n}": v
        for key, one in state.items()
        if type(one) is tuple
        for n, v in enumerate(one)
    }
    found = {key: one for key, one in {**state, **packed}.items() if isinstance(one, Tensor)}
    return {key: one.dequantize() if one.is_quantized else one for key, one in found.items()}


def _sha256(state: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for key, tensor in sorted(state.items()):
        digest.update(f"{key} {tensor.dtype} {tuple(tensor.shape)} ".encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()
