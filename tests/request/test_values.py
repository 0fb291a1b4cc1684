"""What is sent of a value that is no text."""

import dataclasses
import datetime as dt
import sys
import types
from collections import defaultdict, deque
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

import llm_playground as lp
from llm_playground.errors import TemplateError
from llm_playground.request.values import as_text, text_of
from llm_playground.widget.notebook_values import preview_of

LONG = "A long review that goes on and on until its end, which says what matters: REFUND"
FRAME = pd.DataFrame({"x": [1]})


@dataclasses.dataclass
class Record:
    values: object
    n: int = 1


def library_value(library, kind, **members):
    """A value of a library that is not installed here."""
    return type(kind, (), {"__module__": library, **members})()


TABLE = library_value(
    "pyarrow.lib",
    "Table",
    schema=types.SimpleNamespace(names=["a", "b"]),
    columns=[
        types.SimpleNamespace(to_pylist=lambda: [1, None]),
        types.SimpleNamespace(to_pylist=lambda: [[1, 2], float("nan")]),
    ],
)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (pd.DataFrame({"a": [0.1, 1 / 3]}), "a\n0.1\n0.3333333333333333"),
        (pd.DataFrame({"a": np.float32([0.1, 2])}), "a\n0.1\n2.0"),
        (pd.DataFrame({"s": ['a,"b"\nc', None]}), 's\n"a,""b""\nc"\nNaN'),
        (pd.DataFrame({"d": pd.to_datetime(["2026-01-02", None])}), "d\n2026-01-02\nNaN"),
        (pd.DataFrame({"a": [1, 2]}, index=["x", "y"]), ",a\nx,1\ny,2"),
        (pd.DataFrame({"a": range(9)})[3:5], ",a\n3,3\n4,4"),
        (pd.DataFrame({"o": [[1, None], {"k": np.float64(0.5)}]}), "o\n\"[1, None]\"\n{'k': 0.5}"),
        (FRAME.style, "x\n1"),
        (pd.Series([1.5, None], name="s"), "s\n1.5\nNaN"),
        (pd.Series(["a"]), "value\na"),
        (pd.Index([1, 2]), "[1, 2]"),
        (np.arange(6).reshape(2, 3), "[[0, 1, 2],\n [3, 4, 5]]"),
        (np.float32([0.1, 0.2]), "[0.1, 0.2]"),
        (np.array([1 / 3, np.nan]), "[0.3333333333333333, nan]"),
        (np.array(["2026-01-01"], dtype="datetime64[D]"), "[2026-01-01]"),
        (np.array([(1, "a")], dtype=[("n", int), ("s", "U3")]), "n,s\n1,a"),
        (np.ma.array([1, 2], mask=[0, 1]), "[1, None]"),
        (np.float32(0.1), "0.1"),
        ([dt.date(2026, 1, 1), Decimal("1.10"), "s", None], "[2026-01-01, 1.10, 's', None]"),
        ({"a": FRAME, "b": FRAME}, "a:\nx\n1\n\nb:\nx\n1"),
        (Record([np.float64(0.5)]), "Record(values=[0.5], n=1)"),
        (defaultdict(list, a=[np.int64(1)]), "{'a': [1]}"),
        (deque([(1,), set(), {2}]), "[(1,), set(), {2}]"),
        (TABLE, 'a,b\n1,"[1, 2]"\nNaN,NaN'),
        (3, "3"),
        (LONG, LONG),
    ],
)
def test_the_whole_value_in_a_readable_form(value, text):
    assert as_text(value) == text


@pytest.mark.parametrize(
    "value",
    [
        pd.DataFrame({f"c{i}": range(100) for i in range(30)}),
        pd.DataFrame({"text": [LONG] * 3}),
        pd.Series([LONG] * 100),
        np.arange(2_000),
        [np.arange(2_000)],
        {"a": {"b": np.arange(2_000)}},
        pd.DataFrame({"o": [np.arange(2_000)]}),
        Record(np.arange(2_000)),
    ],
)
def test_nothing_is_abbreviated(value):
    text = as_text(value)

    assert "..." not in text
    assert "1999" in text or LONG in text or "99,99,99" in text


def test_other_arrays_are_read_by_numpy():
    array = library_value(
        "jaxlib", "ArrayImpl", shape=(2,), __array__=lambda _self: np.array([1, 2])
    )
    assert as_text(array) == "[1, 2]"


TOO_LARGE = [
    (
        pd.DataFrame(np.zeros((10_000, 30))),
        "DataFrame, 10,000 rows \N{MULTIPLICATION SIGN} 30 columns",
        "at least 600,000",
    ),
    (
        pd.DataFrame({"t": ["x" * 99_999, "y"]}),
        "DataFrame, 2 rows \N{MULTIPLICATION SIGN} 1 column",
        "100,003",
    ),
    (np.zeros(10**6), "ndarray, 1,000,000", "at least 2,000,000"),
    (["x"] * 60_000, "list, 60,000 items", "at least 120,000"),
]


@pytest.mark.parametrize(("value", "shape", "size"), TOO_LARGE)
def test_a_value_above_the_limit_is_refused_with_the_way_to_send_it(value, shape, size):
    with pytest.raises(TemplateError) as caught:
        text_of("big", value)

    line = str(caught.value)
    assert line.startswith(f"{{{{big}}}} ({shape}) has {size} characters")
    assert "Nothing was sent." in line
    assert "lp.configure(max_value_chars=None)" in line


def test_the_limit_is_a_setting_and_text_has_none():
    lp.configure(max_value_chars=5)
    with pytest.raises(TemplateError):
        text_of("a", [1, 2])
    assert text_of("a", "long text") == "long text"

    lp.configure(max_value_chars=None)
    assert len(text_of("a", ["x"] * 60_000)) > 100_000


@pytest.mark.parametrize("value", [object(), len, lambda: 1, sys])
def test_a_value_without_a_text_is_refused(value):
    if str(value).count(" at 0x"):
        with pytest.raises(TemplateError, match="has no text"):
            text_of("a", value)


@pytest.mark.parametrize(
    ("value", "preview"),
    [
        (FRAME, ("DataFrame, 1 row \N{MULTIPLICATION SIGN} 1 column", "sent whole, as CSV")),
        (np.arange(3), ("ndarray, 3", "sent whole, as a list")),
        (
            np.zeros(10**6),
            (
                "ndarray, 1,000,000",
                "too large to send: over 2,000,000 characters, 100,000 are allowed",
            ),
        ),
    ],
)
def test_the_panel_says_what_is_sent(value, preview):
    shown = preview_of("a", value)
    assert (shown.detail, shown.text) == preview
