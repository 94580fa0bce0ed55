"""Who may ask the dashboard's server: this machine by its name, and the dashboard's own pages."""

from __future__ import annotations

import re

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

_HOST = re.compile(r"(localhost|127\.0\.0\.1)(:\d{1,5})?", re.IGNORECASE)
_ELSEWHERE = ("cross-site", "same-site")


class OwnPagesOnly:
    """Refuses what other web pages ask, by whatever way they found to this machine.

    Streamlit itself looks at the Host and the Origin of WebSockets alone.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer it with 403 and a line that says why."""
        why = refusal(Headers(scope=scope)) if scope["type"] in ("http", "websocket") else None
        if why is None:
            await self._app(scope, receive, send)
        else:
            await PlainTextResponse(why, status_code=403)(scope, receive, send)


def refusal(headers: Headers) -> str | None:
    """Why a request is not answered; None where it is.

    A Host of another name is a foreign page whose name was pointed at this machine (DNS rebinding).
    An Origin that is not the Host, or the browser's own word, tells of a page of elsewhere; it may
    lead here by a link, but neither read, send, nor put the dashboard into a frame.
    """
    hosts = headers.getlist("host")
    if len(hosts) != 1 or not _HOST.fullmatch(hosts[0]):
        return "The dashboard answers as localhost or 127.0.0.1 only."
    origin = headers.get("origin")
    if origin is not None and origin.partition("://")[2] != hosts[0]:
        return "The dashboard answers its own pages only."
    opens = headers.get("sec-fetch-mode") == "navigate"
    opens = opens and headers.get("sec-fetch-dest") == "document"
    if headers.get("sec-fetch-site") in _ELSEWHERE and not opens:
        return "The dashboard answers its own pages only."
    return None
