"""What one can do with a run, for the Train and the Runs page alike."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import streamlit as st

from dashboard.shared.errors import attempt
from dashboard.shared.jobs import draw_changes, shown_name
from dashboard.shared.markdown import plain
from dashboard.shared.public_demo import is_public
from dashboard.shared.resources import workspace
from dashboard.shared.sidebar import choose_on_own
from dashboard.train.new_prompt import fill_new
from probe.jobs import JobView
from probe.verbs.training import delete_run, rename_run, restore_run


def draw_actions(run: JobView) -> None:
    """Buttons for one run, those that make sense in its state."""
    with st.container(horizontal=True, key=f"actions_{run.run}"):
        if not is_public():
            draw_changes(run)
        if run.prompts and st.button(
            "Open in Decode", icon=":material/translate:", type="primary",
            key=f"decode_{run.run}", on_click=choose_on_own, args=(run.prompts,),
        ):  # fmt: skip
            st.switch_page("dashboard/decode/page.py", query_params={})
        if is_public():
            return
        if st.button(
            "Reproduce", icon=":material/replay:", key=f"again_{run.run}",
            help="Fill the form of the Train page with the settings of this run.",
            on_click=_fill, args=(run.run,),
        ):  # fmt: skip
            st.switch_page("dashboard/train/page.py", query_params={})
        with st.popover("Rename", icon=":material/edit:", key=f"name_{run.run}"):
            st.text_input(
                "Label of this run", value=run.label, key=f"label_{run.run}", max_chars=100,
                placeholder=run.run, on_change=_rename, args=(run.run,),
                help="Shown in place of its name; the prompts it made keep theirs.",
            )  # fmt: skip


def draw_delete(runs: Sequence[JobView]) -> None:
    """The button that deletes runs once it has been confirmed."""
    idle = [run for run in runs if run.deletable]
    label = "Delete" if len(runs) == 1 else f"Delete {len(idle)} runs"
    if idle and not is_public() and st.button(label, icon=":material/delete:", key="delete"):
        _confirm([run.run for run in idle], [shown_name(run) for run in idle])


@st.dialog("Delete?", icon=":material/delete:")
def _confirm(ids: Sequence[str], names: Sequence[str]) -> None:
    many = len(ids) > 1
    st.markdown(
        f"{'These runs' if many else 'This run'} with settings, curves and checkpoints will be "
        "gone; the trash at the end of this page keeps them for 7 days, unless the disk is nearly "
        "full. The prompts made stay in the library."
    )
    for name in names[:10]:
        st.text(name)
    if len(names) > 10:
        st.caption(f"and {len(names) - 10} more")
    with st.container(horizontal=True):
        if st.button("Keep", key="keep_runs", type="primary"):
            st.rerun()
        if st.button(
            "Delete", icon=":material/delete:", key="delete_for_good", on_click=_delete,
            args=(ids,),
        ):  # fmt: skip
            st.rerun()


def _delete(ids: Sequence[str]) -> None:
    delete = partial(delete_run, for_good=False, workspace=workspace())
    gone = sum(attempt(partial(delete, id_)) for id_ in ids)
    st.session_state["done"] = f"Deleted {gone} run{'s' if gone != 1 else ''}."
    st.query_params.pop("run", None)


def draw_trash() -> None:
    """What was deleted in the last days, and the way back."""
    if is_public():
        return
    workspace().runs.empty_trash()
    if not (ids := workspace().runs.trash.ids()):
        return
    with st.popover(f"Trash ({len(ids)})", icon=":material/restore_from_trash:"):
        for id_ in ids:
            st.button(
                f"Put back {plain(id_)}", key=f"restore_{id_}", type="tertiary", on_click=_restore,
                args=(id_,),
            )  # fmt: skip


def _restore(run_id: str) -> None:
    if attempt(lambda: restore_run(run_id, workspace=workspace())):
        st.query_params["run"] = run_id


def _fill(run_id: str) -> None:
    attempt(lambda: fill_new(workspace().runs.get(run_id).config))


def _rename(run_id: str) -> None:
    label = st.session_state[f"label_{run_id}"]
    attempt(lambda: rename_run(run_id, label, workspace=workspace()))
