from __future__ import annotations

import re
from base64 import b64encode
from dataclasses import replace
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from probe import verbs
from probe.analysis.decoding import Controls, Decoding, decode
from probe.charts import visible
from probe.errors import ProbeError
from probe.formats import save
from probe.prompt import SoftPrompt
from probe.reports.decoding import decoding_html
from probe.reports.headlines import decoding_headline as headline
from probe.store import JobConfig, Workspace
from probe.store.job_status import Status
from probe.tables import load_vocabulary
from probe.vocabulary import Vocabulary
from tests.hostile import HOSTILE, WIDTH, prompt_rows, write_hostile_model


@pytest.fixture(scope="module")
def vocabulary(tmp_path_factory: pytest.TempPathFactory) -> Vocabulary:
    return load_vocabulary(write_hostile_model(tmp_path_factory.mktemp("model")))


@pytest.fixture(scope="module")
def decoding(vocabulary: Vocabulary) -> Decoding:
    prompt = SoftPrompt("<script>window.attacked=1</script>", prompt_rows())
    return decode(prompt, vocabulary, metric="l2", k=3, controls=Controls(seed=11))


class _Page(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        self.text += " " if tag in {"dt", "dd", "td", "p"} else ""

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_report_prints_what_it_was_made_with(decoding: Decoding) -> None:
    text = " ".join(_Page(decoding_html(decoding)).text.split())
    for shown in (
        "metric L2 distance, lower is closer",
        "neighbours, k 3",
        "seed 11",
        f"sample size {decoding.sample_size:,}",
        f"base model {decoding.model}",
    ):
        assert shown in text


def test_every_token_and_the_prompt_s_name_are_shown_as_text(decoding: Decoding) -> None:
    page = _Page(decoding_html(decoding))
    for token in (*(p.neighbours[0].token for p in decoding.positions), decoding.prompt):
        assert visible(token) in page.text


@pytest.mark.parametrize("token", [t for t in HOSTILE if t.isprintable()])
def test_hostile_tokens_are_readable(decoding: Decoding, token: str) -> None:
    assert token.replace(" ", "␣") in _Page(decoding_html(decoding)).text


def test_a_note_stands_under_the_answer_as_text(decoding: Decoding) -> None:
    assert "Note: <i>why</i>?" in _Page(decoding_html(decoding, note="<i>why</i>?")).text
    assert "Note:" not in decoding_html(decoding)


def test_the_report_runs_nothing_and_fetches_nothing(decoding: Decoding) -> None:
    page = _Page(decoding_html(decoding))
    assert not {"script", "img", "link", "iframe", "object", "b"} & set(page.tags)
    assert not [name for name, _ in page.attributes if name.startswith("on") or name == "src"]
    assert any("default-src 'none'" in (value or "") for _, value in page.attributes)
    assert not re.search(r"https?://", decoding_html(decoding))


def test_every_token_of_the_strip_leads_to_its_row_and_nowhere_else(decoding: Decoding) -> None:
    page = _Page(decoding_html(decoding))
    rows = [value for name, value in page.attributes if name == "id"]
    led = [value for name, value in page.attributes if name == "href"]
    assert led == [f"#{row}" for row in rows] and len(rows) == len(decoding.positions)


def test_a_report_without_controls_says_so(vocabulary: Vocabulary) -> None:
    bare = decode(SoftPrompt("bare", prompt_rows()), vocabulary, controls=Controls(computed=False))
    text = _Page(decoding_html(bare)).text
    assert "Without controls, nobody can say whether these tokens mean anything." in text
    assert "no controls" in text


def test_noise_is_called_noise() -> None:
    builtin = load_vocabulary("builtin")
    prompt = SoftPrompt("noise", np.random.default_rng(0).standard_normal((20, builtin.width)))
    found = decode(prompt, builtin)
    assert found.reference is not None
    first, second, *_ = headline(found)
    assert first == "None of the 20 positions is closer to a token than the Gaussian control is."
    positions, chance = (np.median(r) for r in (found.reference.prompt, found.reference.chance))
    said = (
        f"Median cosine similarity to the nearest token: positions {positions:.3g}, "
        f"Gaussian control {chance:.3g}"
    )
    assert second.startswith(said)


@pytest.mark.slow
def test_real_tokens_are_closer_than_chance() -> None:
    builtin = load_vocabulary("builtin")
    rows = builtin.rows(slice(1000, 1005))
    prompt = SoftPrompt("tokens", rows, init_token_ids=tuple(range(1000, 1005)))
    lines = headline(decode(prompt, builtin))
    assert lines[0] == "All 5 positions are closer to a token than the Gaussian control is."
    told = "of 5 positions the nearest token is still its initial token (by cosine)."
    assert lines[-1] == f"At 5 {told}"
    moved = replace(prompt, init_token_ids=tuple(range(5)))
    assert headline(decode(moved, builtin))[-1] == f"At none {told}"


def test_a_mixed_prompt_is_counted() -> None:
    builtin = load_vocabulary("builtin")
    noise = np.random.default_rng(0).standard_normal((1, builtin.width))
    mixed = SoftPrompt("mixed", np.concatenate([noise, builtin.rows(slice(1000, 1002))]))
    first = headline(decode(mixed, builtin))[0]
    assert first == "1 of 3 positions is no closer to a token than the Gaussian control is."


def test_a_prompt_of_one_position_is_spoken_of_in_the_singular(vocabulary: Vocabulary) -> None:
    one = SoftPrompt("one", np.random.default_rng(3).standard_normal((1, WIDTH)))
    assert headline(decode(one, vocabulary))[0].startswith("The only position is")


def test_reports_are_small_and_repeatable(decoding: Decoding, tmp_path: Path) -> None:
    text = decoding_html(decoding)
    assert text == decoding_html(decoding)
    assert text.count('title="position ') == len(decoding.positions)  # the strip's tokens
    assert len(text.encode()) < 50_000


ATTACK = "<script>window.attacked=1</script>"


@pytest.fixture(scope="module")
def hostile_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three prompts on a hostile vocabulary; names and configurations are hostile too."""
    home = tmp_path_factory.mktemp("home")
    model = str(write_hostile_model(home / "model"))
    for number, length in enumerate((len(HOSTILE), len(HOSTILE), 5)):
        rows = prompt_rows()[:length] + np.float32(0.05 * number)
        config = {ATTACK: ATTACK, "\u202elist": [ATTACK, "$x$", "%{x}"], "run": "gone-1"}
        prompt = SoftPrompt(f"{ATTACK}{number}", rows, base_model=model, config=config)
        save(prompt, home / f"p{number}.safetensors", to="safetensors")
    return home


@pytest.fixture(scope="module")
def report(hostile_home: Path) -> str:
    """The page about these prompts, without the two scripts it may run."""
    files = [hostile_home / f"p{number}.safetensors" for number in range(3)]
    written = verbs.report(
        files, hostile_home / "page.html", seed=3, workspace=Workspace(hostile_home)
    )
    assert "inverse_euclidean" in {left.section for left in written.left}
    text = (hostile_home / "page.html").read_text(encoding="utf-8")
    runs = re.findall(r"<script>(.*?)</script>", text, flags=re.S)
    allowed = re.findall(r"'sha256-([^']+)'", text)
    digests = [b64encode(sha256(run.encode()).digest()).decode() for run in runs]
    assert digests == allowed and len(runs) == 2  # no third script, and no other is allowed
    for run in runs:
        text = text.replace(run, "")
    return text


@pytest.mark.slow
def test_the_page_holds_no_markup_that_came_from_a_token_a_name_or_a_configuration(
    report: str,
) -> None:
    page = _Page(report)
    assert ATTACK not in report and "\u202e" not in report
    assert page.tags.count("script") == 3
    assert not {"img", "link", "iframe", "object", "b"} & set(page.tags)
    assert not [name for name, _ in page.attributes if name.startswith("on") or name == "src"]
    assert {value[0] for name, value in page.attributes if name == "href" and value} == {"#"}
    assert ATTACK + "2" in page.text and "\\u202elist" in page.text


def test_the_page_asks_no_network_for_anything(report: str) -> None:
    assert "default-src 'none'" in report
    assert not re.search(r"https?://|url\(|@import", report)


def test_every_section_says_how_to_make_it_again_or_why_it_is_not_there(report: str) -> None:
    text = " ".join(_Page(report).text.split())
    for shown in (
        "p0.safetensors --seed 3",
        "p2.safetensors --centre",
        "probe map ",
        "inverse_euclidean needs prompts of one length",
        "neurons that fire higher it runs the model",
        "run gone-1, which trained it, is not in this workspace",
        "from probe import verbs; print(verbs.drift(",
        "Trustworthiness 0.",
        f"among {64 + 2 * len(HOSTILE) + 5} sampled rows",
    ):
        assert shown in text, shown


def test_the_same_report_gives_the_same_bytes(hostile_home: Path, report: str) -> None:
    del report  # it is the first of the two
    first = (hostile_home / "page.html").read_bytes()
    (hostile_home / "page.html").unlink()
    files = [hostile_home / f"p{number}.safetensors" for number in range(3)]
    verbs.report(files, hostile_home / "page.html", seed=3, workspace=Workspace(hostile_home))
    assert (hostile_home / "page.html").read_bytes() == first
    with pytest.raises(ProbeError, match="is there already"):
        verbs.report(files, hostile_home / "page.html")


@pytest.mark.slow
def test_faithfulness_stands_there_with_its_controls_when_a_task_is_named(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "home")
    sources = ["sst2-text", "subj-prefix"]
    written = verbs.report(
        sources, tmp_path / "page.html", task="mood", limit=12, workspace=workspace
    )
    assert [left.section for left in written.left] == ["decoding"]
    text = " ".join(_Page((tmp_path / "page.html").read_text(encoding="utf-8")).text.split())
    assert "mood, 12 test examples, accuracy, seed 0" in text
    assert "probe evaluate sst2-text --task mood --limit 12 --discretised" in text
    assert "probe evaluate subj-prefix --task mood --limit 12 --zero-shot" in text
    assert "random tokens" in text and "there is no faithfulness" in text


@pytest.mark.slow
def test_a_prompt_of_a_run_that_is_there_shows_its_drift(tmp_path: Path) -> None:
    import torch

    from probe.training.checkpoint import Checkpoint, write_checkpoint

    workspace = Workspace(tmp_path)
    rows = np.ones((3, 320), np.float32)
    asked = JobConfig(
        "train",
        "mood",
        {
            "model": "builtin",
            "task": "sst2",
            "training": {"method": "prompt_tuning", "steps": 20},
        },
        "2026-01-02T03:04:05",
    )
    run = workspace.runs.create(asked, Status("finished", queued_at=1.0))
    for step in (10, 20):
        state = {"module.rows": torch.from_numpy(rows * (step / 10))}
        made = (state, {"config": {"method": "prompt_tuning"}})
        write_checkpoint(run.path, Checkpoint(step, "model", [made]))
    prompt = SoftPrompt("mood", rows * 2, base_model="builtin", config={"run": run.id})
    workspace.save(prompt, note="asks for <b>joy</b>")
    namesake = save(prompt.renamed("mood@1"), tmp_path / "other.safetensors", to="safetensors")
    verbs.report(["mood", namesake], tmp_path / "page.html", workspace=workspace)
    page = _Page((tmp_path / "page.html").read_text(encoding="utf-8"))
    assert "at steps 10, 20." in " ".join(page.text.split())
    assert page.text.count("Note: asks for <b>joy</b>") == 1  # of the one that is kept
    places = {value for name, value in page.attributes if name == "id"}
    assert {"drift-0", "drift-changes-0", "map-0", "variance-0"} <= places


@pytest.mark.slow
def test_prompts_of_several_base_models_are_compared_model_by_model(
    home: Path, tmp_path: Path
) -> None:
    names = ["sst2-text", "opinion-vocab", "trec-text", "minilm-sst2-text"]
    written = verbs.report(names, tmp_path / "page.html", workspace=Workspace(home))
    page = (tmp_path / "page.html").read_text()
    assert "prompts on <bdi>builtin</bdi>" in page and 'id="similarity-0"' in page
    left = [one.reason for one in written.left if one.section == "similarity"]
    assert left == ["minilm-sst2-text is alone on its base model, minilm"]
    assert not any("was trained on" in one.reason for one in written.left)
