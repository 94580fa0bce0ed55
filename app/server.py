"""What `probe app` serves: the pages of main.py behind a check of who asks."""

from pathlib import Path

from own_pages import OwnPagesOnly
from starlette.middleware import Middleware
from streamlit import App

from probe.parent import end_with_parent

end_with_parent()
app = App(Path(__file__).resolve().with_name("main.py"), middleware=[Middleware(OwnPagesOnly)])
