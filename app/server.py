"""What `probe app` serves: the pages of main.py behind a check of who asks."""

import os
from pathlib import Path

from starlette.middleware import Middleware
from streamlit import App

from dashboard.shared.host_check import OwnPagesOnly, TokenOnly
from probe.parent import end_with_parent

end_with_parent()
checks = [Middleware(OwnPagesOnly)]
if token := os.environ.pop("PROBE_DASHBOARD_TOKEN", ""):  # a training has no use for it
    checks.append(Middleware(TokenOnly, token=token))
app = App(Path(__file__).resolve().with_name("main.py"), middleware=checks)
