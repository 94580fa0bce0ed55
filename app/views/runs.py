"""Runs: what happened before?"""

import streamlit as st

st.title("Runs", anchor=False)
st.caption("What happened before?")
