"""CSV that other programs saved again, and files that are no exports."""

import csv
import io

import pandas as pd
import pytest

import llm_playground as lp
from llm_playground.errors import InvalidParameterError
from llm_playground.exporting import importing
from llm_playground.runlog import open_log
from tests.exporting.shelf import fill

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


@pytest.mark.parametrize(
    "save", [by_pandas, by_pandas_with_index, by_pandas_as_floats, by_excel, by_r]
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


@pytest.mark.parametrize(
    ("cell", "value"),
    [("True", True), ("FALSE", False), (" true ", True), ("1", True), ("0.0", False),
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
        ("run_id;execution_id\n1;2\n", "semicolons separate its cells: save it with commas"),
        ('"execution_id"\t"run_id"\n', "tabs separate its cells"),
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
