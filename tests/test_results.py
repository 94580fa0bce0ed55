"""Whatever a verb returns makes a document, a table, a piece of a notebook and a figure of it."""

import inspect
import json
import shutil
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest

import probe
from probe import verbs
from probe.analysis.starts import drift
from probe.analysis.waywardness import Waywardness
from probe.errors import ProbeError
from probe.prompt import KVPrefix, SoftPrompt
from probe.results import ROWS_SHOWN, Result, Rows
from probe.store import Workspace
from probe.verbs.studies import StudyResult
from probe.verbs.waywardness import wayward_found
from tests.tiny import save_causal

pytestmark = pytest.mark.slow  # one workspace of results is made for all

NASTY = "<script>alert(1)</script>\u202e"
ARCHIVE = Path(__file__).parent / "data" / "workspace_dde9a1a.tar.gz"
WITHOUT_FIGURE = {
    "clusters", "distill", "doctor", "find", "generate", "library", "plan of a study", "push",
    "read", "report"
}  # fmt: skip
"""As docs/commands.md says."""
PLAIN = {"div", "p", "strong", "code", "table", "thead", "tbody", "tr", "th", "td", "pre"}
"""Tags that run nothing and load nothing."""
NO_RESULTS = {"convert", "load", "load_vocabulary", "pull"}
"""A path, prompts and a table; what is pulled needs a hub and is a part of `library`."""


@pytest.fixture(scope="module")
def results(tmp_path_factory, kept_arrays):
    """A result of every verb by its name, and what some of them hold, made of tiny models."""
    root = tmp_path_factory.mktemp("results")
    shutil.unpack_archive(ARCHIVE, root / "home", filter="data")
    home = Workspace(root / "home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PROBE_HOME", str(home.root))
        patch.setenv("HF_HUB_OFFLINE", "1")
        yield _results(home, root)


def _results(home, root):
    model = str(save_causal(root / "tiny"))
    rng = np.random.default_rng(0)
    own, other = (
        SoftPrompt(name, rng.normal(size=(3, 16)), base_model=model, task="moods")
        for name in (NASTY, "other")
    )
    prefix = KVPrefix("prefix", *rng.normal(size=(2, 2, 2, 3, 4)), base_model=model)
    (mine,) = verbs.load("sst2-text")
    mine = SoftPrompt(NASTY, mine.embeddings, base_model="builtin")
    pair, task = [mine, "opinion-vocab"], _task()
    few = {"limit": 8, "split": "validation"}
    swept = verbs.sweep_config(
        {"training": {"steps": 4, "batch_size": 2}, "grid": {"length": [1, 2]}},
        model=["builtin"], task=["mood"], validation_examples=10, test_examples=10,
        device="cpu", dtype="float32", workspace=home,
    )  # fmt: skip
    study = home.studies.get("wayward-builtin-mood-92fd2c6e")
    lens = verbs.lens(own, k=2, draws=2, describe=True, term=[NASTY])
    ablated = verbs.ablate(own, task, **few)
    every = verbs.runs(home)
    return {
        "inspect": verbs.inspect(pair),
        "decode": verbs.decode(mine),
        "read": verbs.read("sst2-text"),
        "find": verbs.find("␣great", pair),
        "compare": verbs.compare(pair),
        "clusters": verbs.clusters(pair, items="rows"),
        "map": verbs.map(pair, "pca"),
        "push": verbs.push_plan(mine, "someone/mine"),
        "predict": verbs.predict([own, other], [NASTY], label_word=["yes", "no"]),
        "generate": verbs.generate([own], [NASTY], max_new_tokens=2),
        "transfer": verbs.transfer([own, other], [task], **few),
        "ablate": ablated,
        "ablation": ablated.ablation,
        "bench_readings": verbs.bench_readings(
            model, limit=2, seeds=1, length=[2], steps=[1], workspace=home
        ),
        "cram": verbs.cram(["the film", NASTY], model, rows=3, steps=5, lr=0.1, workspace=home),
        "knock_out": verbs.knock_out(own, task, **few),
        "prune": verbs.prune(
            own, task, keep=[2], limit=8, steps=1, test_examples=0, workspace=home
        ),
        "attention": ablated.attention,
        "lens": lens,
        "logit lens": lens.lens,
        "descriptions": lens.descriptions,
        "value lens": verbs.lens(prefix, k=2, draws=2),
        "evaluate": verbs.evaluate([own], task, zero_shot=True, discretised=True, **few),
        "wayward": StudyResult(wayward_found(study), {"study": study.id}, study.path),
        "plan of a study": verbs.dry_run(swept, workspace=home),
        "sweep": verbs.study_run(swept, workspace=home),
        "train": verbs.show_run("done", workspace=home),
        "runs": every,
        "distill": verbs.distill(
            "kind warm", model, length=2, steps=1, contexts=["a day", "so quite"],
            frame="{prompt} {text} it was", workspace=home,
        ),
        "library": verbs.library(workspace=home),
        "doctor": verbs.doctor(workspace=home),
        "report": verbs.report([mine], root / "report.html"),
        "drift": drift(np.arange(24.0).reshape(3, 4, 2), [0, 5, 9], name=NASTY),
    }  # fmt: skip


def _task():
    from tests import tiny

    return tiny.task()


class _Tags(HTMLParser):
    def __init__(self, page):
        super().__init__()
        self.tags, self.text = set(), ""
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)

    def handle_data(self, data):
        self.text += data


def test_every_verb_that_finds_something_is_looked_at(results):
    functions = {name for name in probe.__all__ if inspect.isfunction(getattr(probe, name))}
    assert functions - NO_RESULTS <= set(results)
    for name in functions - NO_RESULTS:
        assert isinstance(results[name], Result), name


def test_documents_are_json_and_finite(results):
    for name, result in results.items():
        text = json.dumps(result.to_json(), allow_nan=False)
        assert json.loads(text) == result.to_json(), name


def test_tables_have_rows(results):
    for name, result in results.items():
        frame = result.to_frame()
        assert isinstance(frame, pd.DataFrame) and len(frame), name


def test_a_notebook_shows_headline_and_table_and_obeys_no_name(results):
    for name, result in results.items():
        page = _Tags(result._repr_html_())
        assert "table" in page.tags and page.tags <= PLAIN, name
        assert "\u202e" not in page.text, name
        lines = result.headline()
        assert lines or name in ("generate", "attention"), name
        for line in lines:
            assert line.replace("\u202e", "\\u202e") in page.text, name
    assert any(NASTY[:8] in _Tags(one._repr_html_()).text for one in results.values())


@pytest.mark.slow
def test_figures_are_plotly_s_or_there_is_none_and_the_documentation_says_so(results):
    for name, result in results.items():
        if name in WITHOUT_FIGURE:
            with pytest.raises(ProbeError, match="has no figure"):
                result.figure()
            continue
        figures = result.figures()
        assert figures and all(isinstance(one, go.Figure) for one in figures.values()), name
        assert result.figure().to_json() == next(iter(figures.values())).to_json()
        assert "<script>alert" not in "".join(one.to_json() for one in figures.values()), name


def test_long_tables_are_cut_and_say_so(results):
    long = Rows([{"prompts": n, "nothing": None} for n in range(ROWS_SHOWN + 5)], "jobs.runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Rows, "headline", lambda _: [])
        page = _Tags(long._repr_html_()).text
    assert f"{ROWS_SHOWN} of {ROWS_SHOWN + 5} rows" in page and "nothing" not in page


def test_what_a_cell_holds_is_spelled_and_kept_short():
    document = {"sha256": "0f" * 32, "validation": {"metric": "accuracy", "value": 0.6543210}}
    rows = Rows([document | {"norms": [1.23456, 2.0]}], "jobs.runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Rows, "headline", lambda _: [])
        page = _Tags(rows._repr_html_()).text
    assert "0f0f0f0f0f0f…" in page and "metric accuracy, value 0.6543" in page
    assert "1.235, 2" in page and not set("{[") & set(page)


def test_a_wide_table_stands_upright_or_leaves_out_its_long_cells():
    row = {f"n{number}": number for number in range(12)} | {"settings": "long " * 9}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Rows, "headline", lambda _: [])
        few, many = (_Tags(Rows([row] * n, "jobs.runs")._repr_html_()) for n in (2, 4))
    assert "thead" not in few.tags and "settings" in few.text and "long long" in few.text
    assert "n11" in many.text and "settings" not in many.text
    assert "without 1 column of long cells; to_frame() has all" in many.text


def test_a_distillation_shows_how_it_reads_and_a_push_its_card(results):
    told = _Tags(results["distill"]._repr_html_()).text
    assert all(one.name in told for one in results["distill"].reading.readings)
    assert "## Nearest tokens" in _Tags(results["push"]._repr_html_()).text


def test_a_decoding_and_a_reading_show_all_that_they_found_at_a_glance(results):
    decoding, reading = results["decode"], results["read"]
    told = _Tags(decoding._repr_html_()).text
    assert all(p.neighbours[-1].token in told for p in decoding.positions[:ROWS_SHOWN])
    told = _Tags(reading._repr_html_()).text
    assert all(one.name in told and one.text[:20] in told for one in reading.readings)


def test_a_matrix_keeps_its_names_on_both_sides(results):
    assert _Tags(results["compare"]._repr_html_()).text.count("opinion-vocab") == 3  # and headline


def test_lists_are_lists(results):
    assert isinstance(results["runs"], list) and results["runs"] == list(results["runs"])
    assert list(results["runs"].to_json()) == ["runs"]


def test_numbers_that_are_none_become_null():
    nothing = Waywardness((), (), (), seed=0)
    assert nothing.to_json()["table"] == []
    from probe.bootstrap import Estimate
    from probe.texts import as_json

    assert as_json([np.float32("nan"), Estimate(float("inf"), None), np.arange(2)]) == [
        None,
        {"value": None, "interval": None},
        [0, 1],
    ]
