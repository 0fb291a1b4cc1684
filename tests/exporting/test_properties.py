"""Whatever the texts are, exports keep them exactly and confine them."""

import csv
import io
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from llm_playground.errors import InvalidParameterError
from llm_playground.exporting import formats, importing, markdown
from llm_playground.exporting.row_checks import check_rows
from llm_playground.exporting.rows import COLUMNS, plain_row
from tests.exporting.shelf import run

SIGNS = st.text(alphabet="=+-@'\"\t\r\n ,;|`~#<>\\\0$[]{}()a1é日🎈\u2028\ud800\uff1d", max_size=30)
TEXTS = SIGNS | st.text(max_size=60)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**12), 10**12) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
BARE = plain_row(run())
SOME = settings(max_examples=200)


@st.composite
def rows(draw):
    """A run with texts, a model, tags and parameters of any kind."""
    changed = {name: draw(st.none() | TEXTS) for name in ("user_prompt", "username", "notebook")}
    changed |= {"response_text": draw(TEXTS), "model": draw(TEXTS)}
    changed |= {"tags": draw(st.lists(TEXTS, max_size=3))}
    changed |= {"parameters": draw(st.dictionaries(TEXTS, JSON, max_size=3))}
    return plain_row({**BARE, **changed})


@SOME
@given(st.lists(rows(), max_size=3))
def test_json_round_trip(found):
    text = formats.to_json(found)
    read = importing.read_export(text).rows
    assert check_rows(read) == check_rows(formats.json_document(found)["runs"])
    assert [row["response_text"] for row in read] == [row["response_text"] for row in found]


@SOME
@given(rows())
def test_csv_round_trip(row):
    [read] = importing.read_export(formats.to_csv([row])).rows
    [again] = check_rows([read])
    texts = {n: formats.with_visible_controls(v) for n, v in row.items() if isinstance(v, str)}
    [known] = check_rows([row | texts])
    for name in set(known) - {"tags", "parameters"}:  # whose texts JSON escapes
        assert again[name] == known[name]


@SOME
@given(st.lists(rows(), max_size=3))
def test_csv_is_rfc_4180_and_has_no_formulas(found):
    text = formats.to_csv(found)
    lines = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    assert len(lines) == len(found) + 1
    assert lines[0][: len(COLUMNS)] == [*COLUMNS]
    assert {len(line) for line in lines} == {len(lines[0])}
    for line, row in zip(lines[1:], found, strict=True):
        for cell, value in zip(line, row.values(), strict=False):
            if isinstance(value, str):
                assert not cell.startswith(("=", "+", "-", "@", "\t", "\r"))


@SOME
@given(st.lists(st.lists(st.none() | TEXTS, min_size=2, max_size=4), min_size=1, max_size=4))
def test_csv_cells_round_trip(lines):
    text = "".join(
        ",".join(formats.to_csv_cell(value) for value in line) + "\r\n" for line in lines
    )
    visible = [
        [one if one is None else formats.with_visible_controls(one) for one in x] for x in lines
    ]
    assert list(formats.read_csv(text)) == visible


@SOME
@given(TEXTS, TEXTS)
def test_markdown_confines_texts(name, content):
    fenced, title = markdown.fence(content), f"# x{markdown.escape_markdown(name)}"
    tokens = MarkdownIt("commonmark", {"html": True}).parse(f"{title}\n\n{fenced}\n\nend")
    assert [token.type for token in tokens] == [
        *("heading_open", "inline", "heading_close", "fence"),
        *("paragraph_open", "inline", "paragraph_close"),
    ]
    inside = {child.type for child in tokens[1].children or ()}
    assert inside <= {"text", "text_special"}


@SOME
@given(st.lists(JSON, max_size=4))
def test_a_markdown_table_has_one_cell_per_value(values):
    table = markdown.markdown_table(("name", "value"), [("x", value) for value in values])
    tokens = MarkdownIt("commonmark").enable("table").parse(table)
    assert sum(token.type == "td_open" for token in tokens) == 2 * len(values)
    assert sum(token.type == "table_open" for token in tokens) == 1


@SOME
@given(JSON)
def test_refuses_other_documents_in_one_line(value):
    with pytest.raises(InvalidParameterError) as error:
        check_rows(importing.read_export(json.dumps(value).encode()).rows)
    assert "\n" not in str(error.value)
