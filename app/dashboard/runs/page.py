"""Runs: what happened before?"""

from collections import Counter
from collections.abc import Mapping, Sequence

import streamlit as st

from dashboard.decode.try_it import draw_try_it
from dashboard.runs.actions import draw_delete, draw_trash
from dashboard.runs.panel import draw_run
from dashboard.runs.records import COLUMNS, records, runs_table
from dashboard.shared.errors import one_line_errors
from dashboard.shared.exports import draw_downloads
from dashboard.shared.heading import draw_explanation, draw_figure, draw_heading
from dashboard.shared.jobs import POLL_S, active_jobs, all_runs, headline, run_of, short, shown_name
from dashboard.shared.markdown import plain
from dashboard.shared.resources import find
from probe.charts import curves, loss_curves, norm_curves, run_coordinates, score_curves
from probe.jobs import JobView, ObservedState
from probe.jobs.headlines import STATES, runs_headline
from probe.texts import counted
from probe.verbs.run_exports import RunRecord, differing_settings, runs_csv, runs_html, runs_json

_MANY = 8  # from so many runs on, parallel coordinates say more than curves over each other
_OF_MANY = "of the selected runs"


def draw_live() -> None:
    """The runs at work; once one starts or ends, the whole page is drawn anew."""
    states = active_jobs()
    if states:
        st.fragment(_draw_live, run_every=POLL_S)(states)


def _draw_live(states: Sequence[tuple[str, ObservedState]]) -> None:
    with one_line_errors():
        if active_jobs() != states:
            st.rerun()
        for run_id, _ in states:
            run = run_of(run_id)
            st.progress(run.share, text=f"**{plain(shown_name(run))}** {headline(run)}")


def draw_filters(runs: Sequence[JobView]) -> list[JobView]:
    """Filters by state, task and model; returns what passes."""
    parts = st.columns(3, gap="small")
    known: dict[str, tuple[str, list[str]]] = {
        "rs": ("State", [state for state in STATES if any(run.state == state for run in runs)]),
        "rt": ("Task", sorted({short(run.task) for run in runs})),
        "rm": ("Model", sorted({short(run.model) for run in runs})),
    }
    wanted = [
        set(part.multiselect(label, options, key=key, bind="query-params", placeholder="any",
                             persist_state="session"))
        for part, (key, (label, options)) in zip(parts, known.items(), strict=True)
    ]  # fmt: skip
    return [
        run
        for run in runs
        if all(
            not some or value in some
            for some, value in zip(
                wanted, (run.state, short(run.task), short(run.model)), strict=True
            )
        )
    ]


def draw_table(found: Sequence[RunRecord]) -> list[RunRecord]:
    """The history; returns the selected rows."""
    key = f"runs_{hash(tuple(one.view.run for one in found))}"
    default = _selected_before(key, found)
    event = st.dataframe(
        runs_table(found),
        column_config=COLUMNS,
        hide_index=True,
        height=38 + 35 * min(max(len(found), 1), 10),
        on_select="rerun",
        selection_mode="multi-row",
        selection_default={"selection": {"rows": default}},
        key=key,
        placeholder="",
        alt="All training runs",
    )
    rows = [row for row in event.selection.rows if row < len(found)]
    st.query_params["run"] = [found[row].view.run for row in rows]
    return [found[row] for row in rows]


def _selected_before(key: str, found: Sequence[RunRecord]) -> list[int]:
    """Rows that the address selects, the same ones for as long as the table is the same."""
    kept = f"{key}_default"
    if kept not in st.session_state:
        wanted = set(st.query_params.get_all("run"))
        st.session_state[kept] = [i for i, one in enumerate(found) if one.view.run in wanted]
    rows: list[int] = st.session_state[kept]
    return rows


def draw_comparison(chosen: Sequence[RunRecord]) -> None:
    """Several runs side by side: curves, and what was asked of them differently."""
    st.subheader(f"{counted(len(chosen), 'run')} side by side", anchor=False)
    settings = differing_settings(chosen)
    words = ", ".join(name.replace("_", " ") for name in settings)
    st.markdown(f"They differ in **{plain(words)}**." if words else "Their settings are the same.")
    drawn = [
        curves(name, one.records)
        for name, one in zip(_names(chosen, settings), chosen, strict=True)
    ]
    left, right = st.columns(2, gap="large")
    with left:
        draw_figure(loss_curves(drawn), "many_loss", f"Training and validation loss {_OF_MANY}")
    with right:
        draw_figure(score_curves(drawn), "many_score", f"Validation score {_OF_MANY}")
    with st.expander("Norm of the rows"):
        draw_figure(norm_curves(drawn), "many_norm", f"Mean norm of the rows {_OF_MANY}")


def _names(chosen: Sequence[RunRecord], settings: Mapping[str, Sequence[object]]) -> list[str]:
    """What tells runs apart: their labels, else the settings that differ, else their own names."""
    told = [
        one.view.label
        or ", ".join(f"{key.replace('_', ' ')} {_shown(of[n])}" for key, of in settings.items())
        for n, one in enumerate(chosen)
    ]
    few = len(settings) <= _MOST_NAMED and len(set(told)) == len(told)
    return told if few else [shown_name(one.view) for one in chosen]


_MOST_NAMED = 3  # settings in a legend
_OF_NO_EFFECT = ("eval_every", "eval_examples", "checkpoint_every")


def draw_coordinates(found: Sequence[RunRecord]) -> None:
    """Settings against scores, from eight scored runs on."""
    scored = [(one, one.score) for one in found if one.score]
    metrics = Counter(score[0] for _, score in scored)
    metric, count = metrics.most_common(1)[0] if metrics else ("", 0)
    known = [(one, score) for one, score in scored if score[0] == metric]
    settings = {
        key: values
        for key, values in differing_settings([one for one, _ in known]).items()
        if key not in _OF_NO_EFFECT
    }
    if count < _MANY or not settings:
        return
    st.subheader("Which settings go with which scores?", anchor=False)
    name = metric.replace("_", " ")
    others = len(scored) - count
    left_out = f" Left out: {counted(others, 'run')} scored by another metric." if others else ""
    automatic = {
        key.replace("_", " "): ["automatic" if one is None else _shown(one) for one in values]
        for key, values in settings.items()
    }
    draw_figure(
        run_coordinates(automatic, [score[1] for _, score in known], score=name),
        "coordinates",
        f"Parallel coordinates of {count} runs: the settings that differ, and {name}",
    )
    st.caption(
        f"One line per finished run ({count}), from orange for the lowest score to blue "
        "for the highest. Drag along an axis to pick out runs, drag its "
        "name to move it. With few runs per setting this shows patterns to test, not effects."
        f"{left_out}"
    )


def _shown(value: object) -> object:
    return short(value) if isinstance(value, str) else value


def draw_selected(chosen: Sequence[RunRecord]) -> None:
    """What the selected rows are, and what can be done with them."""
    if len(chosen) == 1:
        draw_run(chosen[0].view.run, exports=False)
    else:
        draw_comparison(chosen)
    draw_delete([one.view for one in chosen])
    made = [entry for one in chosen for id_ in one.view.prompts if (entry := find(id_))]
    if made:
        draw_try_it(made, own_models=True)


def draw_exports(chosen: Sequence[RunRecord]) -> None:
    """The selected runs, or all that are listed, as files."""
    kept = list(chosen)
    draw_downloads(
        "runs" if len(kept) != 1 else kept[0].view.run,
        {
            "csv": lambda: runs_csv(kept),
            "json": lambda: runs_json(kept),
            "html": lambda: runs_html(kept),
        },
        {name: st.session_state.get(name) for name in ("rs", "rt", "rm")}
        | {"run": st.query_params.get_all("run")},
    )


def draw_empty() -> None:
    """What to do before there are runs."""
    with st.container(border=True):
        st.subheader("No runs yet", anchor=False)
        st.markdown("Runs started here, from the terminal or from Python appear in this list.")
        st.page_link(
            "dashboard/train/page.py", label="Train a prompt", icon=":material/model_training:"
        )


def draw(runs: Sequence[JobView]) -> None:
    """The whole page where there are runs."""
    said = runs_headline(runs, lambda run: plain(shown_name(run)), strong="**")
    st.markdown(" ".join(said))
    draw_live()
    shown = records(draw_filters(runs))
    if not shown:
        st.info("No run passes the filters: drop one.", icon=":material/filter_alt_off:")
        return
    if chosen := draw_table(shown):
        draw_selected(chosen)
    else:
        st.caption("Select a row to see a run, or several to compare them.")
    draw_coordinates(chosen if len(chosen) >= _MANY else shown)
    draw_exports(chosen or shown)
    draw_explanation("runs")


draw_heading("Runs", "What happened before?")
if history := all_runs():
    draw(history)
else:
    draw_empty()
draw_trash()
