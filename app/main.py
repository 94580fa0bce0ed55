"""The dashboard: what its server lets in, and the frame that every page stands in.

`streamlit run` puts this folder on the path and imports this file for the server; Streamlit then
runs it as a script for every page that is drawn.
"""

import os
from contextlib import suppress
from pathlib import Path

import streamlit as st
from starlette.middleware import Middleware

from probe.parent import end_with_parent

HERE = Path(__file__).resolve().parent
# Path, title and icon of every page, the first at `/`; a path is also the name of its package.
PAGES = (
    ("start", "Start", ":material/home:"),
    ("library", "Library", ":material/inventory_2:"),
    ("decode", "Decode", ":material/translate:"),
    ("map", "Map", ":material/scatter_plot:"),
    ("compare", "Compare", ":material/compare_arrows:"),
    ("waywardness", "Waywardness", ":material/alt_route:"),
    ("train", "Train", ":material/model_training:"),
    ("runs", "Runs", ":material/history:"),
)


# Pages of the public demo that may be open at once. No docstring: Streamlit would show it.
MOST_VISITORS = 300


def checks() -> list[Middleware]:
    """What every request has to pass."""
    from dashboard.shared.host_check import OwnPagesOnly, TokenOnly, Visitors
    from dashboard.shared.public_demo import is_public

    token = os.environ.pop("PROBE_DASHBOARD_TOKEN", "")  # a training has no use for it
    asked = [Middleware(TokenOnly, token=token)] if token else []
    hosts = [name for name in os.environ.get("PROBE_DEMO_HOSTS", "").split(",") if name]
    public = [Middleware(Visitors, most=MOST_VISITORS)] if is_public() else []
    return [Middleware(OwnPagesOnly, hosts=hosts), *public, *asked]


def draw() -> None:
    """The navigation, the sidebar that the pages share, and the page that is open."""
    # Imported here, as the server need not wait for them to answer.
    from dashboard.shared.address import check_visit
    from dashboard.shared.errors import draw_said, one_line_errors
    from dashboard.shared.jobs import active_jobs
    from dashboard.shared.sidebar import draw_sidebar
    from dashboard.shared.warm_up import keep_for_good

    st.set_page_config(layout="wide", page_icon=HERE / "icon.svg", initial_sidebar_state=280)
    st.logo(HERE / "logo.svg", size="large", link=None)
    at_work = ""
    with suppress(OSError):  # a workspace that cannot be read is told on the page
        at_work = f" ({count})" if (count := len(active_jobs())) else ""
    page = st.navigation(
        [
            st.Page(
                f"dashboard/{path}/page.py", title=title + at_work * (path == "train"), icon=icon,
                url_path=path, default=path == PAGES[0][0],
            )
            for path, title, icon in PAGES
        ],
        position="top",
    )  # fmt: skip
    st.html(HERE / "page.css")
    with one_line_errors():
        check_visit()
        draw_sidebar(page.url_path or PAGES[0][0])
        draw_said()
        page.run()
    st.html(HERE / "page.html", unsafe_allow_javascript=True)  # last: it takes a line
    keep_for_good(page.url_path)


if __name__ == "__main__":
    draw()
else:
    end_with_parent()
    # Several pages and trainings share the processor: threads that wait must not spin. torch's
    # OpenMP reads this when it is loaded.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    from dashboard.shared.warm_up import warmed

    pages = ["", *(path for path, *_ in PAGES[1:])]
    app = st.App(HERE / "main.py", middleware=checks(), lifespan=warmed(pages))
