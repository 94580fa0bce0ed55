"""Hub ids against a local server that answers the hub's routes, in processes of their own.

The hub client reads `HF_ENDPOINT`, `HF_HOME` and `HF_HUB_OFFLINE` once, when it is imported.
"""

from __future__ import annotations

import hashlib
import http.server
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save as to_safetensors

from tests.waiting import LONGEST_S

COMMIT = "0123456789abcdef0123456789abcdef01234567"
ROWS = np.arange(12, dtype=np.float32).reshape(3, 4)
READ = """
import json, sys
from probe.errors import PromptFormatError
from probe.formats import load
try:
    prompts = load(sys.argv[1], revision=sys.argv[2] or None)
    print(json.dumps([[p.name, p.embeddings.tolist(), p.provenance.path] for p in prompts]))
    print(json.dumps([one.name for one in prompts[0].left_out]), file=sys.stderr)
except PromptFormatError as error:
    print(json.dumps(str(error)))
"""


def _adapter() -> dict[str, bytes]:
    config = {"peft_type": "PROMPT_TUNING", "num_virtual_tokens": 3, "token_dim": 4}
    return {
        "adapter_config.json": json.dumps(config).encode(),
        "adapter_model.safetensors": to_safetensors({"prompt_embeddings": ROWS}),
    }


REPOSITORIES = {
    "someone/sst2": _adapter()
    | {"adapter_model.bin": b"unread", "model.safetensors": b"a whole model", "README.md": b"#"}
    | {f"spare/{name}": data for name, data in _adapter().items()}
    | {f"old/two/{name}": data for name, data in _adapter().items()},
    "sd-concepts-library/cat": {
        "learned_embeds.safetensors": to_safetensors({"<cat>": ROWS}),
        "token_identifier.txt": b"<cat>",
    },
    "someone/model": {"model.safetensors": b"a whole model"},
}


class Hub(http.server.BaseHTTPRequestHandler):
    """`/api/models/ID[/revision/REV]` and `/ID/resolve/REV/FILE`; every download is noted."""

    downloads: list[str] = []

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def _answer(self, *, with_body: bool) -> None:
        parts = self.path.split("?")[0].strip("/").split("/")
        if parts[:2] == ["api", "models"]:
            self._info("/".join(parts[2:4]))
        elif len(parts) > 4 and parts[2] == "resolve":
            self._file("/".join(parts[:2]), "/".join(parts[4:]), with_body=with_body)
        else:
            self._send(404, b"", {"X-Error-Code": "RepoNotFound"}, with_body=with_body)

    def _info(self, repository: str) -> None:
        files = REPOSITORIES.get(repository)
        if files is None:
            self._send(404, b"{}", {"X-Error-Code": "RepoNotFound"}, with_body=True)
            return
        siblings = [{"rfilename": name, "size": len(data)} for name, data in files.items()]
        info = {"id": repository, "sha": COMMIT, "siblings": siblings}
        self._send(200, json.dumps(info).encode(), {}, with_body=True)

    def _file(self, repository: str, name: str, *, with_body: bool) -> None:
        data = REPOSITORIES.get(repository, {}).get(name)
        if data is None:
            self._send(404, b"", {"X-Error-Code": "EntryNotFound"}, with_body=with_body)
            return
        if with_body:
            Hub.downloads.append(name)
        etag = hashlib.sha256(data).hexdigest()
        self._send(200, data, {"ETag": f'"{etag}"', "X-Repo-Commit": COMMIT}, with_body=with_body)

    def _send(self, status: int, body: bytes, headers: dict[str, str], *, with_body: bool) -> None:
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if with_body:
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@pytest.fixture
def environment(tmp_path: Path) -> Iterator[dict[str, str]]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    Hub.downloads.clear()
    local = {"HF_HOME": str(tmp_path / "hf"), "HF_HUB_DISABLE_XET": "1", "NO_PROXY": "127.0.0.1"}
    port = server.server_address[1]
    yield {**os.environ, **local, "HF_ENDPOINT": f"http://127.0.0.1:{port}", "HF_HUB_OFFLINE": "0"}
    server.shutdown()
    thread.join()
    server.server_close()


def run(source: str, environment: dict[str, str], revision: str = "") -> tuple[str, str]:
    command = [sys.executable, "-c", READ, source, revision]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=LONGEST_S, check=True
    )
    return done.stdout, done.stderr


def read(source: str, environment: dict[str, str], revision: str = "") -> list | str:
    return json.loads(run(source, environment, revision)[0])


@pytest.mark.process
def test_what_a_repository_holds_beside_is_named_though_it_was_not_downloaded(
    environment: dict[str, str],
) -> None:
    _, told = run("someone/sst2", environment)
    assert json.loads(told.splitlines()[-1]) == ["adapter_model.bin", "old/two/", "spare/"]
    assert "adapter_model.bin" not in Hub.downloads


@pytest.mark.process
def test_an_adapters_two_files_are_downloaded_and_nothing_else(
    environment: dict[str, str],
) -> None:
    found = read("someone/sst2", environment, "main")
    assert found == [["sst2", ROWS.tolist(), "someone/sst2"]]
    assert sorted(Hub.downloads) == ["adapter_config.json", "adapter_model.safetensors"]


@pytest.mark.process
def test_a_folder_or_a_prompt_of_a_repository_is_picked(environment: dict[str, str]) -> None:
    assert read("someone/sst2#spare", environment) == [["spare", ROWS.tolist(), "someone/sst2"]]
    assert Hub.downloads == ["spare/adapter_model.safetensors", "spare/adapter_config.json"]
    (found,) = read("sd-concepts-library/cat#<cat>", environment)
    assert found[0] == "<cat>"


@pytest.mark.process
def test_what_was_downloaded_is_read_again_offline(environment: dict[str, str]) -> None:
    online = read("someone/sst2", environment)
    offline = {**environment, "HF_HUB_OFFLINE": "1", "HF_ENDPOINT": "http://127.0.0.1:9"}
    assert read("someone/sst2", offline) == online
    assert read("someone/sst2", offline, COMMIT) == online


@pytest.mark.process
def test_what_was_never_downloaded_is_refused_offline(environment: dict[str, str]) -> None:
    found = read("someone/sst2", {**environment, "HF_HUB_OFFLINE": "1"})
    assert "HF_HUB_OFFLINE is set and it was never downloaded" in found


@pytest.mark.process
@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("someone/model", "expected a PEFT, AdapterHub or diffusers prompt, found model.safetens"),
        ("someone/nothing", "no such file or folder here, and not to be had from the hub"),
        ("someone/sst2#nowhere", "has no single prompt 'nowhere', it holds 'sst2'"),
    ],
)
def test_what_the_hub_has_not_is_said(
    source: str, message: str, environment: dict[str, str]
) -> None:
    found = read(source, environment)
    assert isinstance(found, str)
    assert message in found
    assert "model.safetensors" not in Hub.downloads


@pytest.mark.process
def test_without_a_network_the_error_is_one_line(environment: dict[str, str]) -> None:
    found = read("someone/sst2", {**environment, "HF_ENDPOINT": "http://127.0.0.1:9"})
    assert isinstance(found, str)
    assert found.startswith("someone/sst2: no such file or folder here, and not to be had")


@pytest.mark.process
def test_reading_imports_neither_torch_nor_the_hub_client(tmp_path: Path) -> None:
    np.save(tmp_path / "p.npy", ROWS)
    code = (
        "import sys; from probe.formats import load; load(sys.argv[1]);"
        "heavy = {'torch', 'peft', 'transformers', 'huggingface_hub'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "p.npy")], capture_output=True, text=True
    )
    assert done.stdout.strip() == "[]", done.stderr
