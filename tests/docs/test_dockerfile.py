"""The demo's image is built from pinned parts and runs without rights."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def steps():
    """Instruction and arguments of every step, continued lines joined."""
    text = re.sub(r"(?m)^\s*#.*\n", "", (ROOT / "Dockerfile").read_text())
    lines = text.replace("\\\n", " ").splitlines()
    return [tuple(line.split(maxsplit=1)) for line in lines if line.strip()]


def _last_stage(steps):
    begins = max(i for i, (name, _) in enumerate(steps) if name == "FROM")
    return steps[begins:]


def test_it_ends_as_a_user_without_rights_with_a_health_check(steps):
    last = _last_stage(steps)
    (user,) = [words for name, words in last if name == "USER"]
    assert user.isdecimal() and int(user) >= 1000
    names = [name for name, _ in last]
    assert names.index("USER") < names.index("CMD") and "RUN" not in names[names.index("USER") :]
    (health,) = [words for name, words in last if name == "HEALTHCHECK"]
    assert "/_stcore/health" in health


def test_every_image_and_library_is_named_by_its_version(steps):
    images = [words.split()[0] for name, words in steps if name == "FROM"]
    assert images and all(re.fullmatch(r"python:\d+\.\d+-slim", image) for image in images)
    pinned = dict(
        line.split("==") for line in (ROOT / "constraints.txt").read_text().splitlines()
        if "==" in line
    )  # fmt: skip
    installs = [
        one
        for name, words in steps
        if name == "RUN"
        for one in re.findall(r"pip install[^&]*", words)
    ]
    assert len(installs) == 4
    for one in installs:
        assert re.search(r"-c \S*constraints\.txt", one) or "--no-deps" in one, one
        for library, version in re.findall(r"([\w.-]+)==([\w.]+)", one):
            assert pinned[library] == version, library
    assert any("torch==" in one and "+cpu" in one for one in installs)


def test_it_serves_the_demo_to_a_named_host(steps):
    (command,) = [words for name, words in _last_stage(steps) if name == "CMD"]
    assert all(part in command for part in ("probe app --demo", "--address 0.0.0.0", "--host"))


def test_what_the_wheel_is_built_from_is_all_that_is_sent():
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    needed = {*wheel["packages"], *wheel["force-include"], project["project"]["readme"]}
    needed |= {*project["project"]["license-files"], "pyproject.toml", "constraints.txt"}
    assert {f"!{one}" for one in needed} <= set(rules)
    assert all((ROOT / rule[1:]).exists() for rule in rules if rule.startswith("!"))
