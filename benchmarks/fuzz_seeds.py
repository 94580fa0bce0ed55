"""Small whole files of every format, made on the spot by the libraries that write them."""

from __future__ import annotations

import base64
import io
import json
import pickle
import tarfile
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import dill
import numpy as np
import peft
import torch
import transformers
from safetensors.torch import save as save_safetensors

SHARED = Path(__file__).parents[2] / "shared" / "prompts"

Seed = dict[str, bytes]
"""File names of one folder and their bytes; a seed of one file is loaded as that file."""


def seeds() -> dict[str, Seed]:
    """Every seed by name; the real prompt files are among them where they are found."""
    torch.manual_seed(0)
    rows = torch.randn(6, 16)
    array = rows.numpy()
    found: dict[str, Seed] = {
        "npy": {"prompt.npy": _npy(array)},
        "npy float64 columns": {"prompt.npy": _npy(np.asfortranarray(array.astype(float)))},
        "npz": {"prompt.npz": _npz(array)},
        "safetensors": {"x.safetensors": save_safetensors({"a": rows.bfloat16()}, {"k": "v"})},
        "pickled array": {"prompt.bin": pickle.dumps({"prompt_embeddings": array}, 4)},
        "KoboldAI": {"prompt.zip": _koboldai(array)},
        "NeMo": {"prompt.nemo": _nemo(rows)},
        "NeMo in parallel": {"prompt.nemo": _nemo(rows, "mp_rank_00/", "mp_rank_01/")},
        "P-tuning v2": _p_tuning_v2(rows),
        "contextualised": {"sp_pos.pt": _torch(_contextualised(rows))},
        "rows and a head": {"x.pt": _torch({"prompt": rows[None], "classifier": _head()})},
        "mkultra": {"prompt.json": _mkultra(rows)},
        "textual inversion": {"learned_embeds.safetensors": save_safetensors({"<cat>": rows[0]})},
        "A1111": {"cat.pt": _torch({"string_to_param": {"*": rows}, "name": "cat"})},
        "OpenPrompt": {"soft.pt": _torch(_openprompt(rows))},
        "trainer": {"last.ckpt": _torch(_trainer(rows))},
        "trainer, legacy": {"last.ckpt": _torch(_trainer(rows), zipped=False)},
        "trainer, dill": {"last.ckpt": _torch(_trainer(rows), module=dill)},
        "parameter": {"epoch_0004_acc_0.93.pt": _torch(torch.nn.Parameter(rows))},
        "TGIS pair": {"encoder.pt": _torch(rows[:3]), "decoder.pt": _torch(rows[3:])},
    }
    return found | _adapters() | _real()


def _torch(value: object, *, zipped: bool = True, module: object = pickle) -> bytes:
    file = io.BytesIO()
    torch.save(value, file, pickle_module=module, _use_new_zipfile_serialization=zipped)
    return file.getvalue()


def _npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def _npz(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, prompt=array)
    return file.getvalue()


def _koboldai(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("tensor.npy", _npy(array.astype(np.float16)))
        archive.writestr("meta.json", json.dumps({"name": "x", "supported": ["gpt2"]}))
    return file.getvalue()


def _nemo(rows: torch.Tensor, *places: str) -> bytes:
    weights = {"prompt_table": {"prompt_table.sst2.prompt_embeddings.weight": rows.half()}}
    config = b"name: x\nlanguage_model_path: gpt.nemo\ntask_templates:\n  - taskname: sst2\n"
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        ranks = [f"{place}model_weights.ckpt" for place in places or ("",)]
        members = {"model_config.yaml": config, **dict.fromkeys(ranks, _torch(weights))}
        for name, data in members.items():
            info = tarfile.TarInfo(f"./{name}")
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return file.getvalue()


def _mkultra(rows: torch.Tensor) -> bytes:
    tensor = base64.b64encode(pickle.dumps(rows)).decode()
    return json.dumps({"metadata": {"name": "x", "epoch": 3}, "tensor": tensor}).encode()


def _openprompt(rows: torch.Tensor) -> dict[str, torch.Tensor]:
    return {"soft_embeds": rows, "raw_embedding.weight": torch.randn(40, 16)}


def _p_tuning_v2(rows: torch.Tensor) -> Seed:
    """Two layers of two heads."""
    config = {"num_layers": 2, "num_attention_heads": 2, "hidden_size": 4, "pre_seq_len": 6}
    state = {"transformer.prefix_encoder.embedding.weight": rows}
    return {"pytorch_model.bin": _torch(state), "config.json": json.dumps(config).encode()}


def _contextualised(rows: torch.Tensor) -> dict[str, object]:
    told = {"persona": "pirate", "frame_pool": ["Be {sp}."], "final_kl": 0.5, "config": {"lr": 1}}
    return {"embedding": rows, "L": 6, "hidden_size": 16, "kl_curve": [1.0, 0.5], **told}


def _head() -> dict[str, torch.Tensor]:
    return dict(torch.nn.Linear(16, 2).state_dict())


def _trainer(rows: torch.Tensor) -> dict[str, object]:
    """A checkpoint with optimiser and schedule."""
    parameter = torch.nn.Parameter(rows.clone())
    optimiser = torch.optim.AdamW([parameter])
    torch.autograd.backward(parameter.sum())
    optimiser.step()
    return {
        "state_dict": {"learned_embedding": rows, "weight": rows.detach()},
        "optimizer_states": [optimiser.state_dict()],
        "epoch": 3,
        "loss": np.float64(0.5),
    }


def _adapters() -> dict[str, Seed]:
    """PEFT's own files, for a tiny random model."""
    common: dict[str, Any] = {"task_type": "CAUSAL_LM", "num_virtual_tokens": 4}
    configs = {
        "PEFT prompt tuning": peft.PromptTuningConfig(**common),
        "PEFT P-tuning": peft.PromptEncoderConfig(**common, encoder_hidden_size=8),
        "PEFT prefix": peft.PrefixTuningConfig(**common),
        "PEFT tokens": peft.TrainableTokensConfig(token_indices=[3, 5]),
        "PEFT LoRA and tokens": peft.LoraConfig(
            target_modules=["c_attn"], r=2, fan_in_fan_out=True, trainable_token_indices=[3, 5]
        ),
    }
    return {name: _adapter(config) for name, config in configs.items()}


def _adapter(config: peft.PeftConfig) -> Seed:
    shape = transformers.GPT2Config(
        vocab_size=20,
        n_embd=16,
        n_layer=2,
        n_head=2,
        n_positions=16,
        bos_token_id=0,
        eos_token_id=0,
    )
    model = peft.get_peft_model(transformers.GPT2LMHeadModel(shape), config)
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        kept = ("adapter_config.json", "adapter_model.safetensors")
        return {name: (Path(folder) / name).read_bytes() for name in kept}


def _real() -> dict[str, Seed]:
    paths = [p for p in sorted(SHARED.glob("*/*")) if p.suffix not in ("", ".md")]
    return {
        f"real {path.parent.name}/{path.name}": {path.name: path.read_bytes()}
        for path in paths
        if path.name != "adapter_config.json"
    }
