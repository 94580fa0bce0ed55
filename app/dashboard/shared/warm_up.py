"""The public demo's first visitor is the server itself: nobody else waits for what all share."""

from __future__ import annotations

import asyncio
import gc
import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import streamlit as st
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.runtime import Runtime

from dashboard.shared.public_demo import is_public

_LONGEST_S = 120.0
"""A page that takes longer does not keep the server closed."""
COLD = "PROBE_DEMO_COLD"
"""Set where a server is to listen at once, and its first visitors to wait."""


class _Visitor:
    """A session without a browser, that waits for the end of a page."""

    client_context = None

    def __init__(self) -> None:
        self.finished = asyncio.Event()

    def write_forward_msg(self, msg: ForwardMsg) -> None:
        """What the page says; only its end counts."""
        if msg.WhichOneof("type") == "script_finished":
            self.finished.set()


async def visit(pages: Sequence[str]) -> None:
    """Draw pages in the running server, one after the other.

    Libraries are imported, and models, decodings, maps and figures kept for whoever comes.

    Args:
        pages: their paths, as in an address.
    """
    for page in pages:
        visitor, runtime = _Visitor(), Runtime.instance()
        session = runtime.connect_session(visitor, {})
        message = BackMsg()
        message.rerun_script.page_name = page
        runtime.handle_backmsg(session, message)
        try:
            await asyncio.wait_for(visitor.finished.wait(), _LONGEST_S)
        except TimeoutError:
            continue
        finally:
            runtime.close_session(session)


def warmed(pages: Sequence[str]) -> Callable[[st.App], AbstractAsyncContextManager[None]]:
    """What the server does before it listens: the demo draws these pages once."""

    @asynccontextmanager
    async def lifespan(_: st.App) -> AsyncIterator[None]:
        if is_public() and os.environ.get(COLD) != "1":
            await visit(pages)
        yield

    return lifespan


@st.cache_resource(show_spinner=False)
def keep_for_good(page: str) -> None:  # noqa: ARG001
    """What a page's first drawing loaded is no garbage, and not looked through again.

    Streamlit collects garbage after every run of a page, and looking through all of torch and
    transformers takes ten times as long as drawing it, during which no other page is drawn.
    """
    gc.collect()
    gc.freeze()
