"""Who may ask the dashboard's server: its own pages, on this machine, opened with its token."""

from __future__ import annotations

import hmac
import re
from collections.abc import Sequence
from http.cookies import SimpleCookie

from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

OWN_NAMES = ("localhost", "127.0.0.1")
_ELSEWHERE = ("cross-site", "same-site")
_QUESTIONS = ("GET", "HEAD", "OPTIONS")
_HEALTH = "/_stcore/health"
"""Says that a server is there, which its open port says as well."""


class OwnPagesOnly:
    """Refuses what other web pages ask, by whatever way they found to this machine.

    Streamlit itself looks at the Host and the Origin of WebSockets alone.
    """

    def __init__(self, app: ASGIApp, hosts: Sequence[str] = ()) -> None:
        """Stand before an app.

        Args:
            app: what answers.
            hosts: names it answers to beside this machine's own.
        """
        self._app = app
        self._hosts = (*OWN_NAMES, *hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer it with 403 and a line that says why."""
        why = (
            refusal(Headers(scope=scope), self._hosts)
            if scope["type"] in ("http", "websocket")
            else None
        )
        if why is None:
            await self._app(scope, receive, send)
        else:
            await PlainTextResponse(why, status_code=403)(scope, receive, send)


class TokenOnly:
    """Refuses whoever has neither the token in the address nor the cookie that came for it.

    Without it every user of the machine could read the workspace and train. Cookies do not tell
    ports apart, so this one is named after its own.
    """

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app = app
        self._token = token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer it with 403 and a line that says what is missing."""
        if scope["type"] not in ("http", "websocket") or scope["path"] == _HEALTH:
            await self._app(scope, receive, send)
            return
        asked = HTTPConnection(scope)
        name = f"probe-token-{scope['server'][1]}"
        if self._is_right(asked.query_params.get("token")):
            await self._let_in(asked, name, receive, send)
        elif self._is_right(asked.cookies.get(name)):
            await self._app(scope, receive, send)
        else:
            why = "This dashboard opens at the address that `probe app` printed, with its token."
            await PlainTextResponse(why, status_code=403)(scope, receive, send)

    def _is_right(self, given: str | None) -> bool:
        return given is not None and hmac.compare_digest(given.encode(), self._token.encode())

    async def _let_in(self, asked: HTTPConnection, name: str, receive: Receive, send: Send) -> None:
        """Answer with the cookie; a browser is sent on to the address without the token."""
        cookie = _cookie(name, self._token)

        async def send_cookie(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), (b"set-cookie", cookie)]
            await send(message)

        answer: ASGIApp = self._app
        if asked.scope["type"] == "http" and asked.headers.get("sec-fetch-mode") == "navigate":
            answer = _without_token(asked)
        await answer(asked.scope, receive, send_cookie)


def _without_token(asked: HTTPConnection) -> Response:
    """Where the token stays in no history, and is copied with no address."""
    kept = asked.url.remove_query_params("token")
    place = kept.path + (f"?{kept.query}" if kept.query else "")
    headers = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}
    return RedirectResponse("/" + place.lstrip("/\\"), status_code=303, headers=headers)


def _cookie(name: str, token: str) -> bytes:
    """A cookie for this visit that no script reads and no other site sends."""
    made = SimpleCookie({name: token})
    for attribute, value in (("path", "/"), ("httponly", True), ("samesite", "Lax")):
        made[name][attribute] = value
    return made.output(header="").strip().encode()


def refusal(headers: Headers, names: Sequence[str] = OWN_NAMES) -> str | None:
    """Why a request is not answered; None where it is.

    A Host of another name is a foreign page whose name was pointed at this machine (DNS rebinding).
    An Origin that is not the Host, or the browser's own word, tells of a page of elsewhere; it may
    lead here by a link, but neither read, send, nor put the dashboard into a frame.
    """
    hosts = headers.getlist("host")
    if len(hosts) != 1 or not _names(hosts[0], names):
        return f"The dashboard answers as {' or '.join(names)} only."
    origin = headers.get("origin")
    if origin is not None and origin.partition("://")[2] != hosts[0]:
        return "The dashboard answers its own pages only."
    opens = headers.get("sec-fetch-mode") == "navigate"
    opens = opens and headers.get("sec-fetch-dest") == "document"
    if headers.get("sec-fetch-site") in _ELSEWHERE and not opens:
        return "The dashboard answers its own pages only."
    return None


def _names(host: str, names: Sequence[str]) -> bool:
    """Whether a Host is one of these names, with or without a port."""
    allowed = "|".join(map(re.escape, names))
    return re.fullmatch(rf"({allowed})(:\d{{1,5}})?", host, re.IGNORECASE) is not None


class Visitors:
    """What the public demo takes over the network: questions, from so many at once."""

    def __init__(self, app: ASGIApp, most: int) -> None:
        """Stand before an app.

        Args:
            app: what answers.
            most: visitors, each with a page that is open.
        """
        self._app = app
        self._most = most
        self._open = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer it with a line that says why not."""
        if scope["type"] == "http" and scope["method"] not in _QUESTIONS:
            answer = PlainTextResponse("The public demo takes no uploads.", status_code=403)
            await answer(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._visit(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _visit(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._open >= self._most:
            why = f"The public demo has {self._most} visitors already: try again in a minute."
            await PlainTextResponse(why, status_code=503)(scope, receive, send)
            return
        self._open += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._open -= 1
