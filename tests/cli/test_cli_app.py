"""`probe app` starts a dashboard that answers this machine only, and ends cleanly."""

import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import unquote

import psutil
import pytest

from probe.cli import dashboard
from probe.cli.announcing import announced
from probe.cli.dashboard import ADDRESS, command
from probe.cli.serving import Public, server_environment
from probe.paths import shipped
from tests.servers import free_port, wait_until_healthy
from tests.waiting import LONGEST_S, until

pytest.importorskip("streamlit")


def _websocket_status(port, host, origin=None, cookie=None):
    """Status of a WebSocket handshake that claims to come for `host`."""
    origin_line = f"Origin: {origin}\r\n" if origin else ""
    origin_line += f"Cookie: {cookie}\r\n" if cookie else ""
    with socket.create_connection((ADDRESS, port), timeout=20) as wire:
        wire.sendall(
            (
                f"GET /_stcore/stream HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\n"
                f"Upgrade: websocket\r\n{origin_line}Sec-WebSocket-Version: 13\r\n"
                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
            ).encode()
        )
        return int(wire.recv(64).split()[1])


def _asked(port, path, *, host=None, method="GET", body=None, **headers):
    """Status and text of what a plain request gets; `sec_fetch_site=` is `Sec-Fetch-Site:`."""
    wire = http.client.HTTPConnection(ADDRESS, port, timeout=20)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    try:
        wire.request(method, path, body, {"Host": host or f"localhost:{port}"} | named)
        answer = wire.getresponse()
        return answer.status, answer.read().decode("utf-8", "replace"), answer.headers
    finally:
        wire.close()


@contextmanager
def _dashboard(folder, *options, health="_stcore/health"):
    """A dashboard started where somebody left a careless configuration and a trap.

    The user's browser is a script that notes which addresses it was asked to open.
    """
    window = folder / "window"
    window.write_text(f'#!/bin/sh\necho "$@" >> {folder}/opened.txt\n')
    window.chmod(0o755)
    (folder / ".streamlit").mkdir()
    (folder / ".streamlit" / "config.toml").write_text(
        '[server]\naddress = "0.0.0.0"\nenableXsrfProtection = false\nallowedHosts = []\n'
        '[client]\nshowErrorDetails = "full"\n'
    )
    (folder / "streamlit.py").write_text("raise SystemExit('a module from the current folder')")
    environment = {
        "BROWSER": str(window),
        "PROBE_HOME": str(folder / "home"),
        "TMPDIR": str(folder),
    }
    port = free_port()
    with (folder / "server.log").open("wb") as output:
        started = subprocess.Popen(
            [sys.executable, "-P", "-m", "probe", "app", "--port", str(port), *options],
            cwd=folder,
            env=os.environ | environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            wait_until_healthy(started, port, folder / "server.log", health)
            yield started, port
        finally:
            with suppress(psutil.NoSuchProcess):
                for process in psutil.Process(started.pid).children(recursive=True):
                    with suppress(psutil.NoSuchProcess):
                        process.kill()
            started.kill()
            started.wait()


@pytest.fixture
def server(tmp_path):
    """A dashboard that the test ends."""
    with _dashboard(tmp_path) as server:
        yield server


@pytest.fixture(scope="module")
def lasting(tmp_path_factory):
    """The folder and port of a dashboard that no test ends."""
    folder = tmp_path_factory.mktemp("lasting")
    with _dashboard(folder) as (started, port):
        yield folder, started, port


def _cookie(tmp_path, port):
    """What a browser keeps of the printed address."""
    (said,) = re.findall(r"/\?token=([\w-]{40,})", (tmp_path / "server.log").read_text())
    status, _, headers = _asked(port, f"/?token={said}")
    assert status == 200
    cookies = [one for one in headers.get_all("Set-Cookie") if one.startswith("probe-token-")]
    assert [one.partition("; ")[2] for one in cookies] == ["HttpOnly; Path=/; SameSite=Lax"]
    return cookies[0].partition(";")[0]


@pytest.mark.process
@pytest.mark.skipif(os.name != "posix", reason="sends POSIX signals")
def test_the_dashboard_answers_this_machine_only_whatever_lies_in_the_current_folder(
    server, tmp_path
):
    started, port = server
    listening = set()
    for process in psutil.Process(started.pid).children(recursive=True):
        with suppress(psutil.NoSuchProcess):  # what opens the window is soon gone
            found = process.net_connections("inet")
            listening |= {one.laddr.ip for one in found if one.status == psutil.CONN_LISTEN}
    assert listening == {ADDRESS}
    opened = tmp_path / "opened.txt"
    until(lambda: opened.exists() and opened.read_text().endswith("\n"))
    cookie = _cookie(tmp_path, port)
    page = Path(unquote(opened.read_text().removeprefix("file://").strip()))
    assert f'url=http://{ADDRESS}:{port}/?token={cookie.partition("=")[2]}"' in page.read_text()
    assert page.stat().st_mode & 0o777 == 0o600
    assert _websocket_status(port, f"localhost:{port}", cookie=cookie) == 101
    assert _websocket_status(port, f"evil.example:{port}", cookie=cookie) == 403
    evil = {"origin": "http://evil.example", "cookie": cookie}
    assert _websocket_status(port, f"localhost:{port}", **evil) == 403
    assert f"http://{ADDRESS}:{port}" in (tmp_path / "server.log").read_text()
    os.killpg(started.pid, signal.SIGINT)  # Ctrl-C reaches the whole group
    assert started.wait(timeout=LONGEST_S) == 0
    assert "Traceback" not in (tmp_path / "server.log").read_text()


@pytest.mark.process
def test_no_page_of_elsewhere_reaches_anything_the_server_has(lasting):
    folder, _, port = lasting
    own, cookie = f"localhost:{port}", _cookie(folder, port)
    status, page, _ = _asked(port, "/", Cookie=cookie)
    assert status == 200
    script = re.search(r'src="\./(static/[^"]+\.js)"', page)[1]
    _, _, headers = _asked(port, "/_stcore/health")
    token = headers["Set-Cookie"].partition(";")[0]
    upload = "/_stcore/upload_file/session/file"
    paths = ("/", "/decode", f"/{script}", "/_stcore/health", "/_stcore/host-config",
             "/media/none.csv", upload)  # fmt: skip
    elsewhere = {
        "a foreign name for this machine": {"host": f"evil.example:{port}"},
        "no machine's name": {"host": "localhost@evil.example"},
        "a name that only begins alike": {"host": "localhost.evil.example"},
        "a page of another site": {"Origin": "http://evil.example"},
        "a page of another server here": {"Origin": "http://localhost:1"},
        "a page without a site": {"Origin": "null"},
        "a picture on another site": {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "no-cors"},
        "a frame on another site": {
            "Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "iframe"
        },
    }  # fmt: skip
    for who, asks in elsewhere.items():
        for path in paths:
            status, text, headers = _asked(port, path, Cookie=cookie, **asks)
            assert (status, text.count("\n")) == (403, 0), (who, path)
            assert "Access-Control-Allow-Origin" not in headers
        put = {
            "method": "PUT",
            "body": b"x",
            "Cookie": f"{token}; {cookie}",
            "X_Xsrftoken": token.partition("=")[2],
        }
        assert _asked(port, upload, **asks, **put)[0] == 403, who
    for kind in ({"Origin": f"http://{own}"}, {"Sec_Fetch_Site": "none"}, {
        "Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "document"
    }):  # fmt: skip
        assert _asked(port, "/decode", Cookie=cookie, **kind)[0] == 200
    put = {"method": "PUT", "body": b"x", "Origin": f"http://{own}", "Cookie": cookie}
    assert _asked(port, upload, **put)[0] == 403
    assert _asked(port, f"/{script}", host=f"{ADDRESS}:{port}", Cookie=cookie)[0] == 200
    assert _websocket_status(port, own, origin=f"http://{own}", cookie=cookie) == 101
    for origin in ("http://localhost:1", "null", f"http://{ADDRESS}:{port}"):
        assert _websocket_status(port, own, origin=origin, cookie=cookie) == 403


@pytest.mark.process
def test_another_user_of_the_machine_gets_one_line(lasting):
    folder, _, port = lasting
    own, cookie = f"localhost:{port}", _cookie(folder, port)
    name, _, token = cookie.partition("=")
    said = "This dashboard opens at the address that `probe app` printed, with its token."
    wrong = {
        "nothing": ("", None),
        "another token": ("?token=wrong", None),
        "letters of no alphabet": ("?token=%C3%A9%00", None),
        "its beginning": (f"?token={token[:-1]}", f"{name}={token[:-1]}"),
        "an empty one": ("?token=", f"{name}="),
        "the cookie of another dashboard": ("", f"probe-token-1={token}"),
    }
    for who, (query, held) in wrong.items():
        asks = {"Cookie": held} if held else {}
        for path in ("/", "/decode", "/static/x.js", "/_stcore/host-config", "/media/none.csv"):
            assert _asked(port, path + query, **asks)[:2] == (403, said), (who, path)
        assert _websocket_status(port, own, origin=f"http://{own}", cookie=held) == 403, who
    browser = {"Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "document"}
    status, _, headers = _asked(port, f"/decode?p=a%26b&token={token}", **browser)
    assert (status, headers["Location"]) == (303, "/decode?p=a%26b")  # it stays in no history
    assert cookie in headers["Set-Cookie"]
    _, _, headers = _asked(port, f"//evil.example/?token={token}", **browser)
    assert headers["Location"] == "/evil.example/"


@pytest.mark.process
def test_a_second_dashboard_says_where_the_first_one_is(server, home, tmp_path):
    started, port = server
    (kept,) = home.glob("dashboard-*.json")
    assert kept.stat().st_mode & 0o777 == 0o600 and kept.with_suffix(".html").exists()
    (home / "dashboard-1.json").write_text('{"pid": 1, "started": "before", "address": "gone"}')
    (home / "dashboard-2.json").write_text("damaged")
    log = (tmp_path / "server.log").read_text()
    printed = re.search(rf"http://{ADDRESS}:{port}/\?token=\S+", log)
    command = [sys.executable, "-P", "-m", "probe", "app", "--no-browser", "--no-token"]
    command += ["--port", str(free_port())]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as second:
        said = [second.stderr.readline(), second.stderr.readline()]
        second.terminate()
    assert said[0] == f"probe: another dashboard of this workspace is at {printed[0]}\n"
    assert re.fullmatch(rf"probe: the dashboard is at http://{ADDRESS}:\d+ .*\n", said[1])
    assert list(home.glob("dashboard-*.json")) == [kept]
    started.terminate()
    started.wait(timeout=LONGEST_S)
    assert list(home.glob("dashboard-*")) == []


@pytest.mark.process
def test_nobody_else_reads_the_token_off_a_command_line(lasting):
    folder, started, port = lasting
    until(lambda: (folder / "opened.txt").exists())  # by the browser's own command line
    token = _cookie(folder, port).partition("=")[2]
    assert token not in (folder / "opened.txt").read_text()
    for process in psutil.Process(started.pid).children(recursive=True):
        with suppress(psutil.NoSuchProcess):  # what opens the window is soon gone
            assert token not in " ".join(process.cmdline())


def test_where_nothing_can_be_kept_the_window_opens_without_the_token(tmp_path):
    (tmp_path / "file").touch()
    with announced(tmp_path / "file" / "home", 1, "http://h:1/?token=secret") as shown:
        assert shown == "http://h:1/"


def _server_of(command):
    """The dashboard's server among a command's children: what opened the window soon ends."""
    for child in psutil.Process(command.pid).children():
        with suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
            if "streamlit" in child.cmdline():
                return child
    return None


@pytest.mark.process
@pytest.mark.skipif(os.name != "posix", reason="sends POSIX signals")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_ending_the_command_ends_the_server_even_when_it_can_tell_it_nothing(number, server):
    started, _ = server
    child = until(lambda: _server_of(started))
    started.send_signal(number)
    assert started.wait(timeout=LONGEST_S) == (0 if number == signal.SIGTERM else -number)
    _, living = psutil.wait_procs([child], timeout=LONGEST_S)
    assert living == []


@pytest.mark.process
@pytest.mark.skipif(os.name != "posix", reason="sends POSIX signals")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_server_that_is_still_starting_ends_with_the_command(number, own_handlers):
    command = [sys.executable, "-P", "-m", "probe", "app", "--no-browser"]
    command += ["--port", str(free_port())]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as started:
        try:
            started.stderr.readline()
            children = until(lambda: psutil.Process(started.pid).children())
            started.send_signal(number)
            assert started.wait(timeout=LONGEST_S) == 0
        finally:
            started.kill()
    _, living = psutil.wait_procs(children, timeout=LONGEST_S)
    assert living == []


@pytest.mark.process
@pytest.mark.skipif(os.name != "posix", reason="sends POSIX signals")
def test_a_server_that_does_not_listen_is_killed(monkeypatch):
    monkeypatch.setattr(dashboard, "_POLITE_S", 0.3)
    program = "import signal, time; signal.signal(15, signal.SIG_IGN); print(1, flush=True)"
    before = {number: signal.getsignal(number) for number in dashboard._endings()}
    started = []

    def start():
        command = [sys.executable, "-c", f"{program}; time.sleep(60)"]
        started.append(subprocess.Popen(command, stdout=subprocess.PIPE))
        started[0].stdout.readline()
        threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGTERM)).start()
        return started[0]

    try:
        dashboard._end_like_ctrl_c()
        assert dashboard._wait_for(start) == 0
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    assert started[0].returncode == -signal.SIGKILL
    started[0].stdout.close()


def test_a_port_that_is_taken_is_one_clear_line(probe):
    with socket.socket() as taken:
        taken.bind((ADDRESS, 0))
        taken.listen()
        port = taken.getsockname()[1]
        result = probe("app", "--port", port, "--no-browser")
    assert result.code == 1
    assert result.err == (f"probe: port {port} is taken or not yours: name another with --port\n")


def test_without_streamlit_the_error_names_the_extra(probe, monkeypatch):
    monkeypatch.setitem(sys.modules, "streamlit", None)
    result = probe("app")
    assert (result.code, result.out) == (1, "")
    assert "pip install 'soft-prompt-probe[app]'" in result.err and result.err.count("\n") == 1


def test_whatever_guards_the_user_is_a_flag():
    arguments = command(shipped("app") / "main.py", 8765, Public())
    assert arguments[:4] == [sys.executable, "-m", "streamlit", "run"]
    assert os.path.isabs(arguments[4]) and os.path.isfile(arguments[4])
    assert {
        "--server.address=127.0.0.1",
        "--server.port=8765",
        "--server.headless=true",
        "--server.allowedHosts=localhost",
        "--server.allowedHosts=127.0.0.1",
        "--server.enableXsrfProtection=true",
        "--server.fileWatcherType=none",
        "--browser.gatherUsageStats=false",
        "--client.showErrorDetails=none",
        "--client.toolbarMode=viewer",
        "--logger.level=error",
        "--logger.hideWelcomeMessage=true",
    } <= set(arguments[5:])


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (("--host", "demo.example.org"), "--host is for the demo"),
        (("--base-path", "/probe"), "--base-path is for the demo"),
        (("--address", "0.0.0.0"), "--address is for the demo"),
        (("--memory", "900"), "--memory is for the demo"),
        (("--demo", "--address", "0.0.0.0"), "--address 0.0.0.0 needs the names"),
        (("--demo", "--host", "http://x"), "expected a host name such as demo.example.org"),
        (("--demo", "--host", "x:80"), "expected a host name"),
        (("--demo", "--host", "*"), "expected a host name"),
        (("--demo", "--host", ""), "expected a host name"),
        (("--demo", "--base-path", "../x"), "expected a path such as /probe"),
        (("--demo", "--workspace", "mine"), "the demo has a workspace of its own"),
    ],
)
def test_strangers_are_let_into_nothing_but_a_demo_under_its_names(probe, options, line):
    result = probe("app", *options, "--no-browser")
    assert (result.code, result.out, result.err.count("\n")) == (1, "", 1)
    assert result.err.startswith(f"probe: {line}")


def test_a_demo_is_bounded_by_flags_and_told_by_its_environment(tmp_path):
    public = Public(True, ("demo.example.org",), "/probe", "0.0.0.0", 2000)
    assert {
        "--server.address=0.0.0.0",
        "--server.baseUrlPath=probe",
        "--server.maxUploadSize=1",
        "--server.maxWidgetStateSize=1",
        "--server.maxCacheDataSize=300mb",
        "--server.enableAgentApi=false",
        "--server.allowedHosts=demo.example.org",
    } <= set(command(tmp_path / "main.py", 8765, public))
    told = server_environment(tmp_path, "", public)
    assert (told["PROBE_DEMO"], told["PROBE_DEMO_HOSTS"]) == ("1", "demo.example.org")
    assert (told["PROBE_DEMO_MEMORY_MB"], told["HF_HUB_OFFLINE"]) == ("2000", "1")
    assert "PROBE_DEMO" not in Public().environment


@pytest.mark.process
def test_a_demo_behind_a_proxy_answers_its_names_below_its_path_and_takes_no_uploads(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("PROBE_DEMO_COLD", "1")
    options = ("--demo", "--host", "demo.example.org", "--base-path", "/probe")
    with _dashboard(tmp_path, *options, health="probe/_stcore/health") as (_, port):
        named = {"host": "demo.example.org"}
        assert _asked(port, "/probe/", **named)[0] == 200
        assert _asked(port, "/probe/decode", **named, Origin="https://demo.example.org")[0] == 200
        assert _asked(port, "/probe/_stcore/health")[0] == 200
        for host in (
            "evil.example",
            "xdemo.example.org",
            "demo.example.org.evil",
            "demoxexample.org",
        ):
            assert _asked(port, "/probe/", host=host)[0] == 403, host
        for method in ("PUT", "POST", "DELETE", "PATCH"):
            status, said, _ = _asked(
                port, "/probe/_stcore/upload_file/session/file", method=method, body=b"x", **named
            )
            assert (status, said) == (403, "The public demo takes no uploads.")
        for path in (
            "../etc/passwd", "%2e%2e/%2e%2e/etc/passwd", "/etc/passwd", "component/../x",
            "media/../../etc/passwd", "_stcore/agent/interact", "app/static/../main.py",
        ):  # fmt: skip
            said = _asked(port, f"/probe/{path}", **named)[1]
            assert "root:" not in said and "dashboard.shared" not in said, path
        log = (tmp_path / "server.log").read_text()
        assert f"http://{ADDRESS}:{port}/probe (Ctrl-C" in log and "token" not in log
        assert not (tmp_path / "opened.txt").exists()
    assert not list((tmp_path / "home").glob("dashboard*"))  # its workspace is another
