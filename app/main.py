"""The dashboard's frame: navigation, the sidebar every page shares, and one-line errors."""

from pathlib import Path

import streamlit as st

from dashboard.shared.errors import one_line_errors
from dashboard.shared.sidebar import draw_sidebar

# Streamlit runs this file as a script and puts its folder on the path, in a checkout (app/) and in
# an installed package (probe/app/) alike.
here = Path(__file__).resolve().parent
st.set_page_config(layout="wide", page_icon=here / "icon.svg", initial_sidebar_state=280)
st.logo(here / "logo.svg", size="large", link=None)

# Path, title and icon of every page but the first; a path is also the name of its package.
PAGES = (
    ("decode", "Decode", ":material/translate:"),
    ("map", "Map", ":material/scatter_plot:"),
    ("compare", "Compare", ":material/compare_arrows:"),
    ("waywardness", "Waywardness", ":material/alt_route:"),
    ("train", "Train", ":material/model_training:"),
    ("runs", "Runs", ":material/history:"),
)

page = st.navigation(
    [
        # The default page answers at `/` only, so it has no path of its own.
        st.Page(
            "dashboard/library/page.py",
            title="Library",
            icon=":material/inventory_2:",
            default=True,
        ),
        *(
            st.Page(f"dashboard/{path}/page.py", title=title, icon=icon, url_path=path)
            for path, title, icon in PAGES
        ),
    ],
    position="top",
)

with one_line_errors():
    draw_sidebar()
    page.run()
