"""CSV that other programs saved again, and files that are no exports."""

import csv
import io
import json

import pandas as pd
import pytest

import llm_playground as lp
from llm_playground.errors import InvalidParameterError
from llm_playground.exporting import importing
from llm_playground.runlog import open_log
from tests.exporting.shelf import fill
from tests.reports.shelf import add

pytestmark = pytest.mark.usefixtures("home")


def by_pandas(text, path):
    pd.read_csv(io.StringIO(text)).to_csv(path, index=False)


def by_pandas_with_index(text, path):
    pd.read_csv(io.StringIO(text)).to_csv(path)


def by_pandas_as_floats(text, path):
    pd.read_csv(io.StringIO(text)).astype({"input_tokens": float, "cached": float}).to_csv(
        path, index=False, na_rep="NaN", lineterminator="\r\n"
    )


def by_excel(text, path):
    """As Excel saves a table: TRUE and FALSE, no quotes that are not needed, CR LF."""
    rows = list(csv.reader(io.StringIO(text, newline="")))
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        flags = {"true": "TRUE", "false": "FALSE"}
        csv.writer(file).writerows([flags.get(cell, cell) for cell in row] for row in rows)


def by_r(text, path):
    """As write.csv of R: all texts in quotes, a first column of numbers, NA for what is missing."""
    rows = list(csv.reader(io.StringIO(text, newline="")))
    numbered = [[number or "", *row] for number, row in enumerate(rows)]
    with path.open("w", newline="") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_ALL)
        writer.writerows(
            [{"true": "TRUE", "false": "FALSE", "": "NA"}.get(cell, cell) for cell in row]
            for row in numbered
        )


def by_excel_in_german(text, path):
    """As Excel saves a table where the decimal point is a comma: semicolons, WAHR and FALSCH."""
    header, *rows = csv.reader(io.StringIO(text, newline=""))
    numbers = {"cost_usd", "saved_usd", "ttft_ms", "response_time_ms", "queue_ms", "rating"}
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file, delimiter=";")
        writer.writerow(header)
        for row in rows:
            cells = {"true": "WAHR", "false": "FALSCH"}
            writer.writerow(
                cell.replace(".", ",") if name in numbers else cells.get(cell, cell)
                for name, cell in zip(header, row, strict=True)
            )


def by_pandas_with_tabs(text, path):
    frame = pd.read_csv(io.StringIO(text)).astype({"input_tokens": float})
    frame.to_csv(path, index=False, sep="\t", decimal=",")


@pytest.mark.parametrize(
    "save",
    [
        by_pandas,
        by_pandas_with_index,
        by_pandas_as_floats,
        by_pandas_with_tabs,
        by_excel,
        by_excel_in_german,
        by_r,
    ],
)
def test_what_other_programs_saved_is_imported(save, tmp_path, monkeypatch):
    log = open_log()
    count = fill(log)
    before = lp.runs()
    save(lp.export(before, "csv"), tmp_path / "saved.csv")
    monkeypatch.setenv("LLM_PLAYGROUND_LOG", str(tmp_path / "other.duckdb"))

    assert lp.import_runs(tmp_path / "saved.csv") == count

    kept = ["run_id", "input_tokens", "cost_usd", "cached", "status", "started_at", "rating"]
    pd.testing.assert_frame_equal(lp.runs()[kept], before[kept])


# As Excel 365 saves a table with German settings as "CSV UTF-8": a mark, semicolons, CR LF.
GERMAN = (
    b"\xef\xbb\xbfrun_id;execution_id;prompt_id;prompt_hash;started_at;username;notebook;cell_id;"
    b"git_commit;tags;source;provider;model;response_model;system_prompt;user_prompt;parameters;"
    b"response_text;reasoning_text;status;finish_reason;input_tokens;output_tokens;"
    b"cache_read_tokens;cache_write_tokens;reasoning_tokens;usage_source;cost_usd;price_source;"
    b"ttft_ms;response_time_ms;queue_ms;attempts;error_type;error_message;iteration_number;cached;"
    b"rating;saved_usd;inputs;temperature\r\n"
    b"01900000-0000-7000-8000-000000000001;01900000-0000-7000-8000-000000000002;"
    b"01900000-0000-7000-8000-000000000003;;2026-03-31T12:00:00.25Z;ada;;;;"
    b'"[""x"",""y""]";cell;openai;openai:gpt-x;;;"1,5; oder ""2,5""?\r\n\xc3\x9cber";'
    b'"{""temperature"":0.5}";1,5;;completed;stop;12;205;;;;provider;1,5E-06;list;'
    b"400,5;1200,25;0;;;;1;FALSCH;4,5;;;0,5\r\n"
    b"01900000-0000-7000-8000-000000000004;;;;2026-03-31T12:00:01Z;;;;;;;;openai:gpt-x;;;;;;;"
    b"completed;;;;;;;;0,054;;;;;;;;;WAHR;\r\n"
)


def test_the_bytes_of_a_spreadsheet_with_semicolons_and_decimal_commas():
    assert lp.import_runs(GERMAN) == 2
    second, first = lp.runs().itertuples()
    assert first.user_prompt == '1,5; oder "2,5"?\r\nÜber'
    assert (first.response_text, json.loads(first.parameters)) == ("1,5", {"temperature": 0.5})
    assert (first.cost_usd, first.ttft_ms, first.response_time_ms) == (1.5e-06, 400.5, 1200.25)
    assert (first.input_tokens, first.output_tokens, first.cached) == (12, 205, False)
    assert (first.rating, json.loads(first.tags)) == (4.5, ["x", "y"])
    assert (second.cost_usd, second.cached) == (0.054, True)


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_separators_that_excel_leaves_out_at_the_end_of_lines(separator):
    kept = add(open_log())
    header, row = csv.reader(io.StringIO(lp.export(kept, "csv"), newline=""))
    filled = header.index("rating") + 1
    saved = io.StringIO()
    csv.writer(saved, delimiter=separator).writerows([header, row[:filled]])

    [read] = importing.read_export(saved.getvalue()).rows
    [cut] = importing.read_export(saved.getvalue().rstrip("\r\n")).rows

    assert (read["run_id"], read["response_text"], read["inputs"]) == (kept.id, kept.text, None)
    assert cut == f"row 2 has {filled} cells, the header has {len(header)}"


@pytest.mark.parametrize(
    ("cell", "value"),
    [("True", True), ("FALSE", False), (" true ", True), ("1", True), ("0.0", False),
     ("WAHR", True), ("FAUX", False),
     ("", None), ("NaN", None), ("<NA>", None), ("2", "2"), ("yes", "yes")],
)  # fmt: skip
def test_flags_in_the_spellings_of_other_programs(cell, value):
    assert importing._cell_value("cached", cell) == value


def test_a_text_may_be_nan():
    assert importing._cell_value("response_text", "NaN") == "NaN"
    assert importing._cell_value("finish_reason", "NaN") is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("run_id;execution_id\n1;2\n", "it has no column prompt_id"),
        ('"execution_id"\t"run_id"\n', "it has no column prompt_id"),
        ("name,city\nAda,London\n", "not JSON, and not CSV with a column run_id"),
        ("name;city\nAda;London\n", "not JSON, and not CSV with a column run_id"),
        ("<!doctype html>\n<title>Runs</title>", "it is HTML; lp.import_runs reads exports as"),
        ("# Runs\n\nHello.\n", "not JSON, CSV or Parquet; lp.import_runs reads"),
        ('{"a": 1}\n{"a": 2}\n', "several JSON documents"),
    ],
)
def test_another_format_is_named(text, said):
    with pytest.raises(InvalidParameterError, match=said) as error:
        lp.import_runs(text)
    assert "\n" not in str(error.value)
    assert "Expecting value" not in str(error.value)
