"""Whatever the texts are, exports keep them exactly and confine them."""

import csv
import io
import json
import re
from datetime import UTC, datetime

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from llm_playground.errors import InvalidParameterError
from llm_playground.exporting import formats, importing, markdown, parquet, traces, training
from llm_playground.exporting.records import Exported
from llm_playground.exporting.row_checks import check_rows
from llm_playground.exporting.rows import COLUMNS, plain_row
from llm_playground.runlog.rows import clean_json
from tests.exporting import training_rules
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
FEW = settings(max_examples=50)  # each example writes a file or several
SAID = TEXTS.filter(str.strip)  # no message is empty
AMOUNTS = st.none() | st.decimals(0, 999_999, places=12, allow_nan=False)
MOMENTS = st.datetimes(datetime(1970, 1, 1), datetime(2261, 1, 1), timezones=st.just(UTC))
# A file of RFC 4180: records that end in CRLF, of fields that are quoted or have no special sign.
_FIELD = r'(?:"(?:[^"]|"")*+"|[^",\r\n]*+)'
RFC_4180 = re.compile(rf"(?:{_FIELD}(?:,{_FIELD})*+\r\n)*+")


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
    assert RFC_4180.fullmatch(text)
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


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("parquet") / "runs.parquet"


@st.composite
def whole_rows(draw):
    """As :func:`rows`, also with amounts, times and numbers of any size."""
    known = {name: draw(AMOUNTS) for name in ("cost_usd", "saved_usd", "at_least_usd")}
    known |= {"started_at": draw(MOMENTS), "cached": draw(st.booleans())}
    known |= {"input_tokens": draw(st.none() | st.integers(0, 2**63 - 1))}
    known |= {"ttft_ms": draw(st.none() | st.floats(0, allow_infinity=False))}
    return plain_row({**draw(rows()), **known})


@FEW
@given(st.lists(whole_rows(), max_size=3))
def test_parquet_has_each_value_for_duckdb_and_pandas(path, found):
    path.write_bytes(parquet.to_parquet(found))
    relation = duckdb.read_parquet(str(path))
    read = [dict(zip(relation.columns, row, strict=True)) for row in relation.fetchall()]
    assert [_plain(row) for row in read] == found
    frame = relation.df()
    assert list(frame.columns) == list(COLUMNS)
    for name in ("response_text", "user_prompt", "model"):
        assert frame[name].astype(object).where(frame[name].notna(), None).tolist() == [
            row[name] for row in found
        ]
    costs = [row["cost_usd"] for row in found if row["cost_usd"] is not None]
    assert frame.cost_usd.sum() == pytest.approx(float(sum(costs)))


def _plain(row):
    """The row with JSON parsed, as a plain row has it."""
    held = {
        name: json.loads(value) if parquet.COLUMNS[name] == "JSON" and value else value
        for name, value in row.items()
    }
    return plain_row(held)


@st.composite
def calls(draw):
    """A call of a tool with its result, as parts of messages."""
    arguments = json.dumps(draw(st.dictionaries(TEXTS, JSON, max_size=2)))
    call = {"type": "tool_call", "id": "c1", "name": draw(SAID), "arguments": arguments}
    return call, {"type": "tool_result", "id": "c1", "name": call["name"], "text": draw(TEXTS)}


@st.composite
def asked(draw):
    """A prompt with a system prompt, an earlier turn and a call of a tool, as the log has it."""
    call, result = draw(calls())
    return clean_json(
        [
            {"role": "system", "content": [{"type": "text", "text": draw(SAID)}]},
            {"role": "user", "content": [{"type": "text", "text": draw(SAID)}]},
            {"role": "assistant", "content": [{"type": "text", "text": draw(SAID)}, call]},
            {"role": "tool", "content": [result]},
            {"role": "user", "content": [{"type": "text", "text": draw(SAID)}]},
        ]
    )


def exported(messages, *answers):
    """Runs of one prompt with these answers, each rated higher, with what a log would hold."""
    rated = [
        {**BARE, "run_id": f"r{number}", "response_text": text, "rating": number, "parts": None}
        for number, text in enumerate(answers)
    ]
    runs = Exported([plain_row(row) for row in rated])
    prompt = {"id": BARE["prompt_id"], "messages": messages}
    vars(runs)["records"] = {"prompts": [prompt]}  # in place of reading the log
    return runs


def _texts(messages):
    """The texts of messages of the log, in their order."""
    return [part["text"] for message in messages for part in message["content"] if "text" in part]


def _contents(messages):
    """The texts of chat messages, in their order."""
    return [message["content"] for message in messages]


@FEW
@given(asked(), SAID)
def test_training_lines_have_the_texts(messages, answer):
    runs = exported(messages, answer)
    [line] = training_rules.read(training.to_openai_tuning(runs))
    training_rules.check_tuning(line)
    assert _contents(line["messages"]) == [*_texts(messages), runs.rows[0]["response_text"]]
    sent, logged = line["messages"][2]["tool_calls"][0], messages[2]["content"][1]
    assert sent["function"] == {name: logged[name] for name in ("name", "arguments")}


@FEW
@given(asked(), st.lists(SAID, min_size=2, max_size=2, unique_by=lambda text: clean_json(text)))
def test_pairs_have_the_texts(messages, answers):
    runs = exported(messages, *answers)
    worse, better = (row["response_text"] for row in runs.rows)
    [openai] = training_rules.read(training.to_openai_preferences(runs))
    [trl] = training_rules.read(training.to_trl_preferences(runs))
    training_rules.check_openai_pair(openai)
    training_rules.check_trl_pair(trl)
    assert _contents(openai["input"]["messages"]) == _contents(trl["prompt"]) == _texts(messages)
    for chosen, rejected in (
        (openai["preferred_output"], openai["non_preferred_output"]),
        (trl["chosen"], trl["rejected"]),
    ):
        assert _contents(chosen) == [better]
        assert _contents(rejected) == [worse]
    call = trl["prompt"][2]["tool_calls"][0]["function"]
    assert call["arguments"] == clean_json(json.loads(messages[2]["content"][1]["arguments"]))


@FEW
@given(asked(), st.lists(SAID, min_size=1, max_size=2))
def test_spans_have_the_texts(messages, answers):
    runs = exported(messages, *answers)
    lines = training_rules.read(traces.to_otlp_with_content(runs))
    for line, row in zip(lines, runs.rows, strict=True):
        [resource] = line["resourceSpans"]
        [scope] = resource["scopeSpans"]
        [span] = scope["spans"]
        held = {one["key"]: one["value"].get("stringValue") for one in span["attributes"]}
        system, asked, answered = (
            json.loads(held[f"gen_ai.{name}"])
            for name in ("system_instructions", "input.messages", "output.messages")
        )
        parts = [*system, *(part for message in asked for part in message["parts"])]
        texts = [part.get("content", part.get("response")) for part in parts]
        assert [text for text in texts if text is not None] == _texts(messages)
        assert answered[0]["parts"][0]["content"] == row["response_text"]
