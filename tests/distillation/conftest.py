"""A tiny random causal model with a chat template, and one without."""

from __future__ import annotations

import pytest

from probe.models import FrozenModel, load_model
from tests import tiny

CHAT = (
    "{% for message in messages %}{{ message['role'] }} {{ message['content'] }} it "
    "{% endfor %}{% if add_generation_prompt %}was{% endif %}"
)


@pytest.fixture(scope="session")
def plain_model(tmp_path_factory: pytest.TempPathFactory) -> FrozenModel:
    return load_model(tiny.save_causal(tmp_path_factory.mktemp("plain")), device="cpu")


@pytest.fixture(scope="session")
def chat_model(tmp_path_factory: pytest.TempPathFactory) -> FrozenModel:
    folder = tiny.save_causal(tmp_path_factory.mktemp("chat"))
    (folder / "chat_template.jinja").write_text(CHAT, encoding="utf-8")
    return load_model(folder, device="cpu")
