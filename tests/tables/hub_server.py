"""A hub on this machine: the routes that huggingface_hub asks for, counting what it sends."""

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"
TOKEN = "hf_secret"
WEIGHTS = (".safetensors", ".bin", ".gguf")


@dataclass
class Hub:
    """Repositories (folders) and how the server behaves."""

    root: Path
    """Folder of `org/name` folders."""
    url: str = ""
    cdn_url: str = ""
    ranges: bool = True
    cut: int | None = None
    """Send at most so many bytes of every weights response, then hang up."""
    admits_cut: bool = False
    """Declare the cut length as the whole, so that nothing looks broken."""
    shift: int = 0
    """Answer a range with bytes from so much later."""
    status: int | None = None
    """Answer every request for weights so."""
    gated: bool = False
    revisions: tuple[str, ...] = ("main", "v1", COMMIT)
    sent: dict[str, int] = field(default_factory=dict)
    """Body bytes sent, by file name."""
    requests: list[str] = field(default_factory=list)
    tokens_seen: set[tuple[str, str | None]] = field(default_factory=set)
    """(host:port kind, Authorization header) of every request."""

    @property
    def total(self) -> int:
        return sum(self.sent.values())

    def forget(self) -> None:
        self.sent.clear()
        self.requests.clear()
        self.tokens_seen.clear()


class _Handler(BaseHTTPRequestHandler):
    server: "_Server"
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        return

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, *, body: bool) -> None:
        path = urlsplit(self.path).path
        self.server.hub.requests.append(f"{self.command} {path}")
        self.server.hub.tokens_seen.add((self.server.kind, self.headers.get("Authorization")))
        if self.server.kind == "cdn":
            return self._send(self.server.hub.root / path.lstrip("/"), body=body)
        match = re.fullmatch(r"/(.+)/resolve/([^/]+)/(.+)", path)
        repo = match and self.server.hub.root / match[1]
        if match is None or repo is None or not repo.is_dir():
            return self._refuse(404, "RepoNotFound")
        if match[2] not in self.server.hub.revisions:
            return self._refuse(404, "RevisionNotFound")
        if self.server.hub.gated and self.headers.get("Authorization") != f"Bearer {TOKEN}":
            return self._refuse(401, "GatedRepo")
        file = repo / match[3]
        if not file.is_file():
            return self._refuse(404, "EntryNotFound")
        if file.suffix in WEIGHTS:
            return self._redirect(file)
        return self._send(file, body=body)

    def _common(self, file: Path) -> None:
        data = file.read_bytes()
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("ETag", f'"{hashlib.sha256(data).hexdigest()}"')
        if file.suffix in WEIGHTS:
            self.send_header("X-Linked-Size", str(len(data)))
            self.send_header("X-Linked-ETag", f'"{hashlib.sha256(data).hexdigest()}"')

    def _redirect(self, file: Path) -> None:
        if self.server.hub.status is not None and self.command == "GET":
            return self._refuse(self.server.hub.status, "")
        self.send_response(302)
        self._common(file)
        self.send_header(
            "Location", f"{self.server.hub.cdn_url}/{file.relative_to(self.server.hub.root)}"
        )
        self.send_header("Content-Length", "0")
        self.end_headers()
        return None

    def _send(self, file: Path, *, body: bool) -> None:
        hub, data, status = self.server.hub, file.read_bytes(), 200
        asked = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        sent_range = None
        if asked and hub.ranges:
            first, last = (int(end) + hub.shift for end in asked.groups())
            sent_range = f"bytes {first}-{last}/{len(data)}"
            data, status = data[first : last + 1], 206
        declared = len(data)
        if body and hub.cut is not None and file.suffix in WEIGHTS:
            data = data[: hub.cut]
            declared = len(data) if hub.admits_cut else declared
        self.send_response(status)
        self._common(file)
        if sent_range:
            self.send_header("Content-Range", sent_range)
        self.send_header("Content-Length", str(declared))
        self.end_headers()
        self.close_connection = len(data) < declared
        if body:
            self._send_body(file.name, data)

    def _send_body(self, name: str, data: bytes) -> None:
        sent = self.server.hub.sent
        try:
            for start in range(0, len(data), 1 << 16):
                chunk = data[start : start + (1 << 16)]
                sent[name] = sent.get(name, 0) + len(chunk)  # before the client can have it
                self.wfile.write(chunk)
        except OSError:
            self.close_connection = True  # the client had enough

    def _refuse(self, status: int, code: str) -> None:
        body = json.dumps({"error": code}).encode()
        self.send_response(status)
        if code:
            self.send_header("X-Error-Code", code)
        if code == "EntryNotFound":
            self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)


class _Server(ThreadingHTTPServer):
    def __init__(self, hub: Hub, kind: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.hub, self.kind = hub, kind


@contextmanager
def serve(root: Path) -> Iterator[Hub]:
    """Run the hub and its CDN on two free local ports."""
    hub = Hub(root)
    servers = {kind: _Server(hub, kind) for kind in ("hub", "cdn")}
    hub.url, hub.cdn_url = (f"http://127.0.0.1:{s.server_port}" for s in servers.values())
    threads = [
        threading.Thread(target=s.serve_forever, args=(0.02,), daemon=True)
        for s in servers.values()
    ]
    for thread in threads:
        thread.start()
    try:
        yield hub
    finally:
        for server in servers.values():
            server.shutdown()
            server.server_close()
        for thread in threads:
            thread.join()
