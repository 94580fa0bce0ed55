import pytest


@pytest.fixture(autouse=True)
def _own_workspace(home):
    """Readings keep their controls, and most tests ask for the same."""
