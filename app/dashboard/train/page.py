"""Train: can I make one now?"""

from collections.abc import Sequence

import streamlit as st

from dashboard.runs.panel import draw_run
from dashboard.shared.heading import draw_explanation, draw_heading, paint_now
from dashboard.shared.jobs import all_runs, cancel_job, headline, shown_name, wayward_studies
from dashboard.shared.markdown import plain
from dashboard.shared.public_demo import is_public
from dashboard.train.new_prompt import draw_new_prompt
from dashboard.train.task_upload import draw_task_upload
from probe.errors import ProbeError
from probe.jobs import JobView


def featured(runs: Sequence[JobView]) -> str | None:
    """The run to show: that of the address, else the one at work, else one that died just now."""
    if wanted := st.query_params.get("run"):
        return wanted
    at_work = [run.run for run in runs if run.state == "running"]
    waiting = [run.run for run in reversed(runs) if run.state == "queued"]
    if at_work or waiting:
        return (at_work or waiting)[0]
    return runs[0].run if runs and runs[0].state == "interrupted" else None


def draw_featured(runs: Sequence[JobView]) -> str | None:
    """Show the featured run; which it was, None where there is none or it cannot be shown."""
    run = featured(runs)
    if run is None:
        return None
    # In the address it stays in sight when it ends, and whoever gets the address finds it.
    st.query_params["run"] = run
    try:
        draw_run(run)
    except ProbeError as error:
        st.error(plain(str(error)), icon=":material/error:")
        st.query_params.pop("run", None)
        return None
    return run


def draw_queue(runs: Sequence[JobView], shown: str | None) -> None:
    """The other runs that train or wait."""
    others = [run for run in reversed(runs) if run.active and run.run != shown]
    if not others:
        return
    st.subheader("Also at work", anchor=False)
    for run in others:
        words, show, stop = st.columns([4, 1, 1], vertical_alignment="center")
        words.markdown(f"**{plain(shown_name(run))}**: {headline(run)}")
        if show.button("Show", key=f"show_{run.run}", width="stretch"):
            st.query_params["run"] = run.run
            st.rerun()
        if not is_public() and stop.button("Cancel", key=f"cancel_{run.run}", width="stretch"):
            cancel_job(run.run)


def draw() -> None:
    """The run that matters now, then the form."""
    runs = all_runs()
    shown = draw_featured(runs)
    busy = any(run.active for run in runs)
    studies = [study for study in wayward_studies() if study.active]
    for study in studies:
        st.page_link(
            "dashboard/waywardness/page.py", query_params={"study": study.run},
            label=f"A study is at work: {plain(shown_name(study))}. {headline(study)}",
            icon=":material/alt_route:",
        )  # fmt: skip
    if shown is None and not (busy or studies):
        last = f" The last run: **{plain(shown_name(runs[0]))}**." if runs else ""
        st.markdown(f"Nothing is training. The settings below work as they are.{last}")
    draw_queue(runs, shown)
    paint_now(("train", shown))
    if shown is None:
        st.subheader("A new prompt", anchor=False)
        draw_new_prompt(busy=busy)
    else:
        unfolded = st.session_state.get("t_open", False)
        with st.expander("Train another prompt", icon=":material/add:", expanded=unfolded):
            draw_new_prompt(busy=busy)
    with st.expander("Train on data of your own", icon=":material/upload:"):
        draw_task_upload()
    draw_explanation("train")


draw_heading("Train", "Can I make one now?")
draw()
