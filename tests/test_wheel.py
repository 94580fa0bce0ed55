"""The built wheel works alone: no checkout beside it, nothing but its own files on the path."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.servers import free_port, wait_until_healthy
from tests.waiting import LONGEST_S

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The wheel unpacked in an empty folder, and an environment that sees it and its libraries."""
    build = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", build, ROOT],
        check=True,
        capture_output=True,
    )
    (wheel,) = build.glob("*.whl")
    target = build / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(target)
    # On PYTHONPATH the .pth file of an editable install is not followed: the checkout stays unseen.
    libraries = next(path for path in sys.path if path.endswith("site-packages"))
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(target), libraries]),
        "PROBE_HOME": str(build / "home"),
    }
    return target, [sys.executable, "-S", "-m", "probe"], environment


@pytest.mark.process
def test_the_wheel_carries_the_dashboard_the_samples_and_the_model(installed):
    target, _, _ = installed
    for part in (
        "app/main.py",
        "app/dashboard/library/page.py",
        "app/.streamlit/config.toml",
        "sample_prompts/manifest.json",
        "sample_prompts/sst2-vocab/adapter_model.safetensors",
        "builtin/model.safetensors",
    ):
        assert (target / "probe" / part).is_file(), part
    assert not (target / "tests").exists()


@pytest.mark.process
def test_an_installed_probe_decodes_a_sample(installed, tmp_path):
    target, command, environment = installed
    run = subprocess.run(
        [*command, "decode", "sst2-vocab", "--json"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert len(json.loads(run.stdout)["positions"]) == 20
    where = subprocess.run(
        [*command[:2], "-c", "import probe; print(probe.__file__)"],
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
