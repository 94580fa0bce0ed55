"""JSON and YAML give what other parsers give, within bounds."""

from __future__ import annotations

import json
import math
import time

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from probe.errors import PromptFormatError
from probe.formats.containers.json_yaml import read_json, read_yaml
from probe.formats.containers.limits import MAX_DOCUMENT_BYTES, MAX_NESTING, MAX_YAML_BYTES

LEAVES = st.none() | st.booleans() | st.integers(-(10**30), 10**30) | st.floats(allow_nan=False)
LEAVES |= st.text(st.characters(exclude_categories=["Cs"]))
TREES = st.recursive(
    LEAVES, lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=5), inner)
)


@given(TREES, st.booleans(), st.sampled_from([None, 2]))
@pytest.mark.slow
def test_json_is_read_as_the_standard_library_reads_it(tree, escaped, indent) -> None:
    try:
        data = json.dumps(tree, ensure_ascii=escaped, indent=indent).encode()
    except UnicodeEncodeError:
        return
    assert read_json(data) == json.loads(data)


def test_a_byte_order_mark_is_skipped() -> None:
    assert read_json(b"\xef\xbb\xbf{}") == {}


def test_numbers_that_are_not_finite_are_read_as_python_writes_them() -> None:
    found = read_json(b'{"loss": NaN, "best": -Infinity}')
    assert math.isnan(found["loss"])
    assert found["best"] == -math.inf


def test_nesting_is_counted_outside_of_texts() -> None:
    text = json.dumps({"a": '[["\\"{' * 1000, "b": "[" * 1000})
    assert read_json(text.encode())["b"] == "[" * 1000
    fits = b"[" * MAX_NESTING + b"]" * MAX_NESTING
    assert read_json(fits)
    with pytest.raises(PromptFormatError, match="nested more than 64 levels deep"):
        read_json(b"[" + fits + b"]")


@pytest.mark.parametrize("data", [b"", b"{", b'{"a"', b'"abc', b"[1,]", b"nope", b'"\\', b"\x00"])
def test_damaged_json_is_refused(data: bytes) -> None:
    with pytest.raises(PromptFormatError, match="JSON: damaged or cut short"):
        read_json(data)


@pytest.mark.parametrize(
    "data", [b'"\xff"', b'{"a": "\\ud800"}', b'{"\\udc00": 1}', b'["\\udfff"]']
)
def test_text_that_could_not_be_printed_is_refused(data: bytes) -> None:
    with pytest.raises(PromptFormatError, match="expected UTF-8 text"):
        read_json(data)


def test_a_pair_of_escapes_is_one_character() -> None:
    assert read_json(b'"\\ud83d\\ude00"') == "😀"


def test_long_numbers_and_long_documents_are_refused() -> None:
    with pytest.raises(PromptFormatError, match="a number of 41 digits"):
        read_json(b"1" * 41)
    with pytest.raises(PromptFormatError, match="expected at most 24,000,000 bytes"):
        read_json(b" " * (MAX_DOCUMENT_BYTES + 1))
    with pytest.raises(PromptFormatError, match="more than 1,000,000 parts"):
        read_json(b"[" + b"0," * 1_000_001 + b"0]")


def test_a_text_without_end_is_passed_over_once() -> None:
    """Trying again at every escaped quote would take hours."""
    start = time.process_time()
    with pytest.raises(PromptFormatError, match="damaged"):
        read_json(b'"' + b'\\"' * 4_000_000)
    assert time.process_time() - start < 8


CONFIG = """
# a NeMo configuration
name: prompt_tuning
seed: 1234
empty:
lr: 1.0e-04
tokens: [1, -2, 0.5]
frozen: true
quoted: "true"
path: /a/b: c
task_templates:
  - taskname: sst2
    prompt_template: "<|VIRTUAL_PROMPT_0|> {sentence} sentiment: {label}"
    total_virtual_tokens: 10
  - {taskname: boolq, truncate: null}
text: |
  two
  lines
"""


def test_yaml_is_read_as_yaml_reads_it() -> None:
    text = CONFIG.replace("path: /a/b: c\n", "")
    assert read_yaml(text.encode()) == yaml.safe_load(text)


PLAIN = st.none() | st.booleans() | st.integers(-(10**30), 10**30) | st.text("ab :#'\"\n{[,%é")


@given(
    st.recursive(PLAIN, lambda i: st.lists(i) | st.dictionaries(st.text("ab: "), i), max_leaves=9)
)
def test_dumped_yaml_comes_back(tree) -> None:
    text = yaml.dump(tree, Dumper=WithoutAliases, allow_unicode=True)
    assert read_yaml(text.encode()) == tree


class WithoutAliases(yaml.SafeDumper):
    def ignore_aliases(self, data: object) -> bool:
        return True


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"a: &x 1\nb: *x", "without aliases"),
        (b"[" * 65 + b"]" * 65, "nested more than 64 levels"),
        (CONFIG.encode(), "damaged"),
        (b"\xff", "expected UTF-8"),
        (b"--- 1\n--- 2", "expected one document, found 2"),
        (b"? [1]\n: 2", "expected texts or numbers as keys"),
        (b" " * (MAX_YAML_BYTES + 1), "expected at most 65,536 bytes"),
        (b"a: \x00", "damaged"),
        (b'a: "\\ud800"', "expected UTF-8 text"),
        (b'"\\udfff": [1]', "expected UTF-8 text"),
    ],
)
def test_yaml_beyond_plain_data_is_refused(data: bytes, why: str) -> None:
    with pytest.raises(PromptFormatError, match=f"YAML: .*{why}"):
        read_yaml(data)


def test_tags_make_nothing() -> None:
    assert read_yaml(b"a: !!python/object/apply:os.system ['true']") == {"a": ["true"]}


def test_empty_yaml_is_none() -> None:
    assert read_yaml(b"") is None
