"""Adding a prompt: bytes to a temporary folder, read by the library's own readers, then kept."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd
import streamlit as st

from dashboard.shared.errors import attempt, refusals
from dashboard.shared.markdown import plain
from dashboard.shared.public_demo import is_offered, refuse_changes
from dashboard.shared.resources import workspace
from dashboard.shared.sidebar import fitting_words
from probe.errors import DataError, ProbeError
from probe.prompt import AnyPrompt, KVPrefix, SoftPrompt
from probe.requests.train_methods import method_words
from probe.texts import counted
from probe.verbs.loading import load

MAX_FILE_MB = 200
_MANY_ROWS = 2000
_CONFIGS = ("adapter_config.json", "config.json")
"""What stands beside the tensors of an adapter."""
MOST_NAME = 60
"""Characters of a file's name that are kept: no more than 255 bytes, which file systems take."""


@refusals()
def draw_upload() -> None:
    """The form: choose files, see what was read, keep it."""
    if not is_offered("uploads"):
        return
    files = st.file_uploader(
        "Prompt file, or all files of an adapter folder together",
        accept_multiple_files=True,
        max_upload_size=MAX_FILE_MB,
        key=f"upload_{st.session_state.get('uploads', 0)}",
        help="PEFT, google-research, TGIS, OpenPrompt, mkultra, KoboldAI, NeMo, textual inversion, "
        "AdapterHub, plain .npy, .npz, .pt, .safetensors. Nothing in a file is ever executed.",
    )
    if not files:
        st.caption("Nothing leaves this machine, and nothing in a file is ever executed.")
        return
    given = [(file.name, file.getvalue()) for file in files]
    prompts = read_uploads(given)
    st.dataframe(
        _summary(prompts), hide_index=True, placeholder="", alt="What was read from the upload"
    )
    for line in (*unread(given, prompts), *_oddities(prompts)):
        st.warning(plain(line), icon=":material/warning:")
    read, prompts = len(prompts), [prompt for prompt in prompts if prompt.trained]
    if left_out := read - len(prompts):
        st.caption(f"{left_out} of {read} will be left out: training never reached their rows.")
    if not prompts:
        return
    if nameless := [prompt for prompt in prompts if prompt.base_model is None]:
        st.text_input(
            "Base model", key="upload_model",
            placeholder="smollm2, a folder, a GGUF file or a hub id",
            help="The file does not say which model the prompt was trained on.",
        )  # fmt: skip
        widths = {one.width for one in nameless if isinstance(one, SoftPrompt)}
        if len(widths) == 1 and (words := fitting_words(widths.pop())):
            st.caption(words)
    unit = "prompt" if len(prompts) == 1 else "prompts"
    st.button(
        f"Add {len(prompts)} {unit} to the library",
        type="primary",
        icon=":material/add:",
        on_click=_keep,
        args=(prompts,),
    )


def read_uploads(files: Sequence[tuple[str, bytes]]) -> list[AnyPrompt]:
    """The prompts in uploaded files; several files are read as one folder.

    Args:
        files: name and content of each.

    Raises:
        ProbeError: no reader understands them.
    """
    refuse_changes()
    with tempfile.TemporaryDirectory(prefix="probe-upload-") as folder:
        for name, content in by_file_name(files).items():
            (Path(folder) / name).write_bytes(content)
        where = Path(folder) if len(files) > 1 else Path(folder) / file_name(files[0][0])
        try:
            prompts = load(where)
        except ProbeError as error:
            raise type(error)(
                str(error).replace(f"{folder}/", "").replace(folder, "upload")
            ) from None
    return [_placed(prompt, folder) for prompt in prompts]


def unread(files: Sequence[tuple[str, bytes]], prompts: Sequence[AnyPrompt]) -> list[str]:
    """A line for each of several files that no prompt came from, with the reason.

    Args:
        files: name and content of each.
        prompts: what was read of them.
    """
    read = {prompt.provenance.path for prompt in prompts if prompt.provenance}
    lines = []
    for name, content in files if len(files) > 1 else ():
        beside = name.endswith(".json") and set(_CONFIGS) & {file_name(one) for one, _ in files}
        if f"upload of {file_name(name)}" in read or beside:
            continue  # read, or of the folder of an adapter
        try:
            read_uploads([(name, content)])
            why = "the others are read as one prompt; add it alone"
        except ProbeError as error:
            why = str(error).removeprefix(f"{file_name(name)}: ")
        lines.append(f"{name} is left out: {why}")
    return lines


def _oddities(prompts: Sequence[AnyPrompt]) -> list[str]:
    """What a prompt rarely has: very many rows, or rows that are all zero."""
    lines = []
    for prompt in prompts:
        if isinstance(prompt, KVPrefix):
            continue
        if len(prompt) > _MANY_ROWS:
            lines.append(f"{prompt.name} has {len(prompt):,} rows: is it a table of embeddings?")
        if zero := int((prompt.norms == 0).sum()):
            lines.append(f"{prompt.name}: {counted(zero, 'row')} of {len(prompt):,} are zero.")
    return lines


def file_name(name: str) -> str:
    """The last part of an uploaded name, whichever system wrote the path; its end if too long."""
    return name.replace("\\", "/").rpartition("/")[2][-MOST_NAME:].lstrip(".") or "upload"


def by_file_name(files: Iterable[tuple[str, bytes]]) -> dict[str, bytes]:
    """The contents of uploaded files by the last parts of their names.

    Raises:
        DataError: two have the same one.
    """
    found: dict[str, bytes] = {}
    for name, content in files:
        if (last := file_name(name)) in found:
            raise DataError(
                f"expected files of different names, found {last!r} twice: rename one, or add "
                "them one after the other"
            )
        found[last] = content
    return found


def _placed(prompt: AnyPrompt, folder: str) -> AnyPrompt:
    """The prompt without traces of the temporary folder it was read from."""
    name = "upload" if prompt.name == Path(folder).name else prompt.name
    source = prompt.provenance
    if source is not None:
        source = replace(source, path=f"upload of {Path(source.path).name}")
    return replace(prompt, name=name, provenance=source)


def _summary(prompts: Sequence[AnyPrompt]) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "name": prompt.name,
                "format": prompt.provenance.format if prompt.provenance else None,
                "method": method_words(prompt.method),
                "shape": _shape(prompt),
                "base model": prompt.base_model,
                "trained": prompt.trained,
            }
            for prompt in prompts
        ]
    )


def _shape(prompt: AnyPrompt) -> str:
    shape = prompt.keys.shape if isinstance(prompt, KVPrefix) else prompt.embeddings.shape
    return " × ".join(str(n) for n in shape)


def _keep(prompts: Sequence[AnyPrompt]) -> None:
    """Save the prompts, choose them in the sidebar and empty the form."""
    # Read here: an argument would hold the model's name as it was when the button was drawn.
    model = st.session_state.get("upload_model", "").strip() or None

    def keep() -> None:
        cards = [workspace().save(replace(p, base_model=p.base_model or model)) for p in prompts]
        st.session_state["p"] = [card.id for card in cards]
        st.session_state["done"] = f"Added {', '.join(card.id for card in cards)}."
        st.session_state["uploads"] = st.session_state.get("uploads", 0) + 1

    attempt(keep)
