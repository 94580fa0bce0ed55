"""A prompt goes to a hub with a card of what it is worth, and comes back the same."""

import base64
import hashlib
import http.server
import json
import os
import subprocess
import sys
import threading

import jsonschema
import numpy as np
import pytest
import yaml

from probe import load, pull, verbs
from probe.errors import ProbeError
from probe.prompt import SoftPrompt
from probe.store import Workspace
from tests.cli.commands_page import DOCS
from tests.waiting import LONGEST_S

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class _Hub(http.server.BaseHTTPRequestHandler):
    """The routes that creating, committing to and downloading from a repository ask for."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self._answer(b"")

    def do_GET(self):
        self._answer(b"")

    def do_POST(self):
        self._answer(self.rfile.read(int(self.headers.get("Content-Length", 0))))

    def _answer(self, body):
        hub, path = self.server, self.path.split("?")[0].strip("/").split("/")
        if self.command == "POST" and self.headers.get("Authorization") != "Bearer hf_right":
            return self._send(401, b'{"error": "Invalid credentials"}')
        if path == ["api", "repos", "create"]:
            asked = json.loads(body)
            hub.private = asked.get("private", asked.get("visibility") == "private")
            name = f"{asked.get('organization') or 'someone'}/{asked['name']}"
            return self._json({"url": f"{hub.url}/{name}", "id": name, "name": name})
        if path == ["api", "validate-yaml"]:
            return self._json({"errors": [], "warnings": []})
        if path[:2] == ["api", "models"] and path[4:5] == ["preupload"]:
            files = json.loads(body)["files"]
            modes = [
                {"path": f["path"], "uploadMode": "regular", "shouldIgnore": False} for f in files
            ]
            return self._json({"files": modes})
        if path[:2] == ["api", "models"] and path[4:5] == ["commit"]:
            self._commit(map(json.loads, body.splitlines()))
            url = f"{hub.url}/{'/'.join(path[2:4])}/commit/{COMMIT}"
            return self._json({"commitUrl": url, "commitOid": COMMIT, "success": True})
        if path[:2] == ["api", "models"]:
            return self._json(self._listed(path))
        if path[2:3] == ["resolve"] and path[4] in hub.files:
            data = hub.files[path[4]]
            etag = f'"{hashlib.sha256(data).hexdigest()}"'
            return self._send(200, data, {"ETag": etag, "X-Repo-Commit": COMMIT})
        return self._send(404, b"{}", {"X-Error-Code": "EntryNotFound"})

    def _commit(self, lines):
        for line in lines:
            if line["key"] == "file":
                file = line["value"]
                self.server.files[file["path"]] = base64.b64decode(file["content"])
            elif line["key"] == "deletedFile":
                del self.server.files[line["value"]["path"]]
        self.server.commits += 1

    def _listed(self, path):
        files = self.server.files
        if path[4:5] == ["tree"]:
            return [{"type": "file", "path": n, "oid": "", "size": 0} for n in files]
        siblings = [{"rfilename": n, "size": len(d)} for n, d in files.items()]
        return {"id": "/".join(path[2:4]), "sha": COMMIT, "siblings": siblings}

    def _json(self, document):
        self._send(200, json.dumps(document).encode(), {"Content-Type": "application/json"})

    def _send(self, status, body, headers=()):
        self.send_response(status)
        for key, value in dict(headers).items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


@pytest.fixture
def hub(tmp_path):
    """A hub on this machine, and the environment of a process that uses it."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Hub)
    server.url = f"http://127.0.0.1:{server.server_address[1]}"
    server.files, server.commits, server.private = {}, 0, None
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    server.environment = os.environ | {
        "HF_ENDPOINT": server.url,
        "HF_HOME": str(tmp_path / "hf"),
        "HF_HUB_OFFLINE": "0",
        "HF_HUB_DISABLE_XET": "1",
        "HF_TOKEN": "hf_right",
        "NO_PROXY": "127.0.0.1",
        "PROBE_HOME": str(tmp_path / "home"),
    }
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def _workspace(hub):
    return Workspace(hub.environment["PROBE_HOME"])


def _probe(hub, *arguments, **environment):
    return subprocess.run(
        [sys.executable, "-m", "probe", *arguments],
        env=hub.environment | environment,
        capture_output=True,
        text=True,
        timeout=LONGEST_S,
        check=False,
    )


@pytest.mark.process
@pytest.mark.slow
def test_a_prompt_that_was_pushed_is_pulled_as_it_was(hub):
    done = _probe(hub, "push", "mood-text", "someone/mood", "--licence", "apache-2.0")
    assert done.returncode == 0, done.stderr
    assert f"{hub.url}/someone/mood/commit/{COMMIT}" in done.stdout
    assert (hub.commits, hub.private) == (1, True)
    assert set(hub.files) == {
        "README.md",
        "adapter_config.json",
        "adapter_model.safetensors",
        "prompt.safetensors",
    }
    pulled = _probe(hub, "pull", "someone/mood", "--tag", "theirs", "--json")
    assert pulled.returncode == 0, pulled.stderr
    (row,) = json.loads(pulled.stdout)["prompts"]
    assert (row["id"], row["origin"], row["tags"]) == ("mood-text@1", "someone/mood", ["theirs"])
    (ours,) = load("mood-text")
    (theirs,) = load("mood-text@1", workspace=_workspace(hub))
    np.testing.assert_array_equal(theirs.embeddings, ours.embeddings)


@pytest.mark.process
@pytest.mark.slow
def test_a_prompt_that_peft_cannot_hold_comes_back_from_its_vectors(hub):
    hub.files |= dict.fromkeys(("adapter_config.json", "adapter_model.bin"), b"of an earlier push")
    assert _probe(hub, "push", "smollm2-distilled-french", "someone/french").returncode == 0
    assert set(hub.files) == {"README.md", "prompt.safetensors"}
    assert _probe(hub, "pull", "someone/french").returncode == 0
    (theirs,) = load("smollm2-distilled-french@1", workspace=_workspace(hub))
    (ours,) = load("smollm2-distilled-french")
    assert theirs.config["template"] == ours.config["template"]


@pytest.mark.process
@pytest.mark.slow
def test_a_hub_that_refuses_says_why_in_one_line_and_nothing_is_there(hub):
    done = _probe(hub, "push", "mood-text", "someone/mood", HF_TOKEN="hf_wrong")
    assert done.returncode == 1
    assert "HF_TOKEN" in done.stderr.splitlines()[-1]
    assert "hf_wrong" not in done.stderr
    assert hub.files == {}


def test_a_dry_run_prints_the_card_and_asks_no_hub(probe):
    done = probe("push", "mood-text", "someone/mood", "--dry-run")
    assert done.code == 0
    assert done.out.startswith("---\n")
    assert "nothing was published" in done.err
    schema = json.loads((DOCS / "schemas" / "push.json").read_text(encoding="utf-8"))
    asked = ("push", "mood-text", "someone/mood", "--dry-run", "--json")
    jsonschema.validate(json.loads(probe(*asked).out), schema)


@pytest.mark.slow
def test_the_card_holds_base_model_scores_tokens_and_meaning():
    plan = verbs.push_plan("smollm2-distilled-french", "someone/french", licence="mit")
    _, head, page = plan.card.split("---\n", 2)
    assert yaml.safe_load(head) == {
        "base_model": "HuggingFaceTB/SmolLM2-135M-Instruct",
        "license": "mit",
        "tags": ["soft-prompt", "prompt-tuning", "soft-prompt-probe"],
    }
    assert plan.files == ("README.md", "prompt.safetensors")  # PEFT has no place inside a chat
    assert "Without PEFT" in page
    assert "French" in page.split("## What it means")[1].split("## Nearest")[0]
    assert "not better than chance" in page
    assert "probe pull someone/french" in page


def test_scores_stand_with_their_intervals():
    plan = verbs.push_plan(
        SoftPrompt(
            "mine",
            np.ones((2, 320), np.float32),
            base_model="builtin",
            metrics={"accuracy": 0.91, "accuracy_interval": [0.9, 0.92], "metric": "accuracy"},
        ),
        "someone/mine",
    )
    assert "| accuracy | 0.91 (0.9 to 0.92) |" in plan.card


def test_nothing_in_a_prompts_file_becomes_a_link_or_html_of_the_card():
    name = "[a](http://evil) <img src=x> | `b`"
    plan = verbs.push_plan(
        SoftPrompt("mine", np.ones((2, 320), np.float32), base_model="builtin", task=name),
        "someone/mine",
    )
    assert "http://evil" not in plan.card
    assert "\\<img" in plan.card


@pytest.mark.parametrize("name", ["mood", "a/b/c", "../up", "owner/"])
def test_a_repository_is_an_owner_and_a_name(name):
    with pytest.raises(ProbeError, match="expected a repository like owner/name"):
        verbs.push_plan("mood-text", name)
    with pytest.raises(ProbeError, match="expected a repository like owner/name"):
        pull(name)
