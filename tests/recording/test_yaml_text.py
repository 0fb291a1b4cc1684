"""Texts of answers as YAML that diffs by lines, and back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_playground.recording.yaml_text import read, written

ODD = st.text(alphabet=" \n\t\r\x85\u2028\ufeff\x00\x7fab:#-'\"|>\\é🌊{}[]&*!%@`,?", max_size=20)
WORDS = ("yes", "null", "1.5", "1e5", "~", "2020-01-01", "a: b", "a #b", "- x", "<<", "=", "0x1f")
TEXTS = st.one_of(st.text(max_size=20), ODD, st.sampled_from(WORDS))
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), TEXTS
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=10,
)


@given(VALUES)
def test_every_value_comes_back(value):
    text = written({"a": value, "b": [value]})

    assert repr(read(text)) == repr({"a": value, "b": [value]}), text


@pytest.mark.parametrize("text", ["one\ntwo\nthree", "one  \ntwo\nthree\n", " one\ntwo\r\nthree"])
def test_a_changed_line_of_a_text_is_a_changed_line_of_the_file(text):
    before, after = (written({"t": one}).splitlines() for one in (text, text.replace("two", "2")))

    assert len(before) == len(after)
    assert sum(one != other for one, other in zip(before, after, strict=True)) == 1


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        "{a: " * 5_000,
        "- " * 3_000 + "a",
        "a: &x [1]\nb: *x",
        "a: &x one\nb: *x",
        "a: 1\na: 2",
        "a: 1e999",
        "a: !!timestamp 2020-01-01",
        "a: !!python/object:os.x {}",
        "a: [",
        "\0",
        "a: !!int x",
        "? [1]\n: 2",
        "a: 1" + "0" * 5_000,
    ],
)
def test_what_is_no_plain_value_is_refused_in_one_line(text):
    with pytest.raises(ValueError, match=r"\w") as refused:
        read(text)

    assert len(str(refused.value).splitlines()) == 1
