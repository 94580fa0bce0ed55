"""Every architecture of transformers is right in every column of the page, or refused in a line."""

from __future__ import annotations

import pytest
import torch

from tests.models.architecture_findings import YES, examine
from tests.models.architectures_page import PAGE, page, page_row
from tests.models.every_architecture import ARCHITECTURES, NOT_BUILT, Architecture, build, quiet

pytestmark = pytest.mark.slow
BUILT = [each for each in ARCHITECTURES if str(each) not in NOT_BUILT]
WRITE = "write it anew: python -m tests.models.architectures_page"


@pytest.mark.parametrize("architecture", BUILT, ids=str)
def test_an_architecture_is_right_in_every_column_or_refused(architecture: Architecture) -> None:
    found = examine(architecture)
    assert not found.wrong
    right = {found.table, found.loss, found.tokens, found.decode} == {YES}
    assert right or found.reason
    assert page_row(architecture) in PAGE.read_text(encoding="utf-8").splitlines(), WRITE


@pytest.mark.parametrize("name", NOT_BUILT)
def test_what_is_listed_as_not_built_cannot_be(name: str, tmp_path: object) -> None:
    architecture = next(each for each in ARCHITECTURES if str(each) == name)
    with quiet(), pytest.raises(Exception):  # noqa: B017, PT011 - transformers raises anything
        model = build(architecture, tmp_path)
        model(input_ids=torch.tensor([[5, 6, 7]]))


def test_the_page_lists_every_architecture() -> None:
    written = PAGE.read_text(encoding="utf-8").splitlines()
    lines = {line.split(" | ")[0]: line for line in written}
    expected = page(lambda each: lines.get(f"| {each.model_type}", "")).splitlines()
    assert len(written) == len(expected) and len(BUILT) > 230, WRITE
