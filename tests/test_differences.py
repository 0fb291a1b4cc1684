"""``differences.diff``."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_playground import differences

TEXTS = st.text(alphabet="ab \n.é🌊", max_size=40)


@given(TEXTS, TEXTS)
def test_pieces_join_to_both_texts(before, after):
    pieces = differences.diff(before, after)

    assert "".join(text for kind, text in pieces if kind != "+") == before
    assert "".join(text for kind, text in pieces if kind != "-") == after


@given(TEXTS)
def test_equal_texts_have_no_changes(text):
    assert all(kind == "=" for kind, _ in differences.diff(text, text))


def test_words_are_not_split():
    pieces = differences.diff("led by exports", "driven by exports")

    assert pieces == [("-", "led"), ("+", "driven"), ("=", " by exports")]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (
            "in the north rose",
            "in Oslo grew",
            [("=", "in "), ("-", "the north rose"), ("+", "Oslo grew")],
        ),
        ("a\nb", "c\nd", [("-", "a"), ("+", "c"), ("=", "\n"), ("-", "b"), ("+", "d")]),
        ("a b c", "x b z", [("-", "a"), ("+", "x"), ("=", " b "), ("-", "c"), ("+", "z")]),
        ("销售增长", "销售下降", [("=", "销售"), ("-", "增长"), ("+", "下降")]),
    ],
    ids=["neighbours", "lines", "words between", "no spaces"],
)
def test_changed_words_beside_each_other_are_one_change(before, after, expected):
    assert differences.diff(before, after) == expected


@pytest.mark.parametrize("ending", ["", "\n"])
def test_long_texts_are_compared_line_by_line(ending):
    lines = [f"line {number} of many" for number in range(3_000)]
    changed = [*lines[:1_500], "another line", *lines[1_501:]]

    pieces = differences.diff("\n".join(lines) + ending, "\n".join(changed) + ending)

    assert ("-", "line 1500 of many\n") in pieces
    assert ("+", "another line\n") in pieces
