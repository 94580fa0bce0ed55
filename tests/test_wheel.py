"""The built wheel works alone: no checkout beside it, nothing but its own files on the path."""

import json
import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from tests.servers import free_port, wait_until_healthy
from tests.waiting import LONGEST_S

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The wheel and the source distribution of this checkout."""
    build = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", build, ROOT],
        check=True,
        capture_output=True,
    )
    (wheel,), (source,) = build.glob("*.whl"), build.glob("*.tar.gz")
    return wheel, source


@pytest.fixture(scope="module")
def installed(built, tmp_path_factory):
    """An environment with the wheel, installed by pip; its libraries are this environment's."""
    folder = tmp_path_factory.mktemp("installed")
    venv.create(folder, symlinks=os.name != "nt")
    python = folder / "bin" / "python"
    subprocess.run(
        [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps"]
        + ["--no-index", "--disable-pip-version-check", built[0]],
        check=True,
        capture_output=True,
    )
    target = next(folder.glob("lib/*/site-packages"))
    # The name in a .pth file is a folder alone: .pth files in it, as of an editable install of this
    # checkout, are not followed.
    libraries = next(path for path in sys.path if path.endswith("site-packages"))
    (target / "libraries.pth").write_text(libraries + "\n")
    environment = os.environ | {"PROBE_HOME": str(folder / "home")}
    environment.pop("PYTHONPATH", None)
    return target, [str(folder / "bin" / "probe")], environment


@pytest.mark.process
def test_wheel_and_source_are_of_a_size_that_people_fetch(built):
    wheel, source = (path.stat().st_size / 1e6 for path in built)
    assert wheel < 40
    assert source < 45


@pytest.mark.process
def test_the_wheel_carries_the_dashboard_the_samples_and_the_model(installed):
    target, _, _ = installed
    for part in (
        "app/main.py",
        "app/dashboard/library/page.py",
        "app/.streamlit/config.toml",
        "sample_prompts/manifest.json",
        "sample_prompts/opinion-vocab/adapter_model.safetensors",
        "builtin/model.safetensors",
        "py.typed",
    ):
        assert (target / "probe" / part).is_file(), part
    assert not (target / "tests").exists()


@pytest.mark.process
def test_an_installed_probe_decodes_a_sample(installed, tmp_path):
    target, command, environment = installed
    run = subprocess.run(
        [*command, "decode", "opinion-vocab", "--json"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert len(json.loads(run.stdout)["positions"]) == 20
    where = subprocess.run(
        [Path(command[0]).with_name("python"), "-c", "import probe; print(probe.__file__)"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert Path(where.stdout.strip()).is_relative_to(target)


@pytest.mark.process
def test_an_installed_probe_serves_its_dashboard(installed, tmp_path):
    _, command, environment = installed
    port = free_port()
    server = subprocess.Popen(
        [*command, "app", "--no-browser", "--port", str(port)],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until_healthy(server, port)
    finally:
        server.terminate()
        assert server.wait(timeout=LONGEST_S) == 0
