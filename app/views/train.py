"""Train: can i make one now?"""

import streamlit as st

st.title("Train", anchor=False)
st.caption("Can I make one now?")
