"""The dashboard's frame: navigation, the sidebar every page shares, and one-line errors."""

import sys
from pathlib import Path

import streamlit as st

# Streamlit runs this file as a script. Its own folder holds the other modules, in a checkout
# (app/) and in an installed package (probe/app/) alike.
if (here := str(Path(__file__).resolve().parent)) not in sys.path:
    sys.path.insert(0, here)

from guard import one_line_errors
from sidebar import draw_sidebar

st.set_page_config(layout="wide", page_icon=f"{here}/icon.svg", initial_sidebar_state=280)
st.logo(f"{here}/logo.svg", size="large", link=None)

# Path, title and icon of every page but the first; a path is also the name of a file of views/.
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
        st.Page("views/library.py", title="Library", icon=":material/inventory_2:", default=True),
        *(
            st.Page(f"views/{path}.py", title=title, icon=icon, url_path=path)
            for path, title, icon in PAGES
        ),
    ],
    position="top",
)

with one_line_errors():
    draw_sidebar()
    page.run()
