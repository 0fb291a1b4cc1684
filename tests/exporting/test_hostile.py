"""Files from anywhere: one line says what is wrong, and nothing of them is imported."""

import contextlib
import copy
import json
import os
import re
from decimal import Decimal
from pathlib import Path

import nbformat
import pandas as pd
import pytest

import llm_playground as lp
from llm_playground.errors import ConfigError, InvalidParameterError
from llm_playground.exporting import importing
from llm_playground.exporting.formats import MIME_TYPE, extract_rows
from llm_playground.exporting.notebook_output import mime_bundle
from llm_playground.exporting.row_checks import OPTIONAL_COLUMNS
from llm_playground.exporting.rows import COLUMNS
from llm_playground.runlog import open_log
from tests.exporting.shelf import run
from tests.reports.shelf import add

HEAD = ",".join(COLUMNS)
GOOD = {"format": "llm_playground.runs", "version": 1}


@pytest.fixture(autouse=True)
def log(monkeypatch, new_url, tmp_path):
    url = new_url("duckdb")
    monkeypatch.setenv("LLM_PLAYGROUND_LOG", url)
    monkeypatch.chdir(tmp_path)
    log = open_log(url)
    yield log
    log.close()


@pytest.fixture
def rows(log):
    """Two runs of another log."""
    return json.loads(lp.export([run("one"), run("two")]))["runs"]


def refused(source):
    line = complaint(source)
    untouched()
    return line


def untouched():
    assert lp.runs().empty
    assert lp.audit(action="import_runs").empty


def complaint(source):
    """The error, or the warning about single rows, which is an error in tests."""
    with pytest.raises((InvalidParameterError, UserWarning)) as error:
        lp.import_runs(source)
    line = str(error.value).removeprefix("1 of 2 runs are not imported: ")
    assert "\n" not in line
    assert len(line) < 300
    return line


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("nowhere.json", "There is no file"),
        (".", "There is no file"),
        ("/dev/zero", "There is no file"),
        ("a\0b", "There is no file"),
        ("", "imported from"),
        (None, "imported from"),
        (3, "imported from"),
        ([], "imported from"),
        (b"", "not JSON"),
        (b"\xff\xfe\x00", "UTF-8"),
        (b"PK\x03\x04", "not JSON"),
        ("{", "not JSON"),
        ("[]", "not a JSON object"),
        (b"null", "not a JSON object"),
        (b"3", "not a JSON object"),
        ("{}", "holds no runs"),
        ({"runs": []}, "its format is null"),
        ({"format": "other", "version": 1, "runs": []}, "its format is 'other'"),
        ({"format": ["llm_playground.runs"], "version": 1, "runs": []}, "its format is"),
        ({"format": "llm_playground.runs", "runs": []}, "its version is null"),
        (GOOD | {"version": 2, "runs": []}, "newer llm_playground"),
        (GOOD | {"version": True, "runs": []}, "its version is true"),
        (GOOD | {"version": "1", "runs": []}, "its version is '1'"),
        (GOOD | {"version": 0, "runs": []}, "its version is 0"),
        (GOOD, "its runs are not a list"),
        (GOOD | {"runs": {}}, "its runs are not a list"),
        (GOOD | {"runs": [3]}, r"runs\[0\]: expected an object, got 3"),
        (GOOD | {"runs": [{}]}, r"runs\[0\]\.run_id: missing"),
        ({"cells": []}, "outputs hold no runs"),
        ({"cells": [{"outputs": [{"data": {MIME_TYPE: {}}}]}]}, "its format is null"),
        ({"cells": [{"outputs": [{"data": {MIME_TYPE: "{"}}]}]}, "are not JSON"),
        ({"cells": [3, {"outputs": 3}, {"outputs": [3, {"data": 3}]}]}, "outputs hold no runs"),
        ('{"format": "llm_playground.runs", "version": 1, "runs": [NaN]}', "NaN is not JSON"),
        ('{"a":' * 100_000, "too deeply"),
        ("[" * 100_000, "too deeply"),
        (f'{{"version": {"9" * 5_000}}}', "not JSON"),
        ("run_id,\n", "it has no column execution_id"),
        ('run_id,"x\n', "not CSV"),
        (f"{HEAD}\na\n", "row 2 has 1 cells"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_refuses_other_documents(source, said):
    line = refused(source)
    assert re.search(said, line), line


@pytest.mark.parametrize(
    ("column", "values"),
    {
        "run_id": [None, 3, "", "x", "0" * 36, "../../etc", {"a": 1}, "r" * 10_000],
        "execution_id": [3, "x", None],
        "prompt_id": [3, "x", None],
        "started_at": [None, 3, "yesterday", "2026-13-01", "0001-01-01T00:00:00Z", "9" * 50],
        "model": [3, ["x"], {}, True],
        "response_text": [3, ["x"], False],
        "tags": ["x", {"a": 1}, [3], [None], [["x"]]],
        "parameters": ["x", [], 3, True],
        "attempts": ["x", {}, [3], [[]]],
        "variables": ["x", [3]],
        "status": ["done", 3, "", [], pd.NA],
        "finish_reason": ["because", 3, pd.NA, {}],
        "usage_source": ["rumour", 3, pd.NA, []],
        "input_tokens": [-1, 1.5, "3", True, 1 << 63, 1e300, float("nan"), float("inf")],
        "iteration_number": [-1, 1 << 31, "1"],
        "cost_usd": [-1, "-0.5", 1_000_000, "1e6", "NaN", "inf", True, [], "1" * 200, 1e400],
        "ttft_ms": [-1, "3", float("nan"), float("inf"), 10**400],
        "rating": ["good", True, float("nan")],
        "cached": [0, "false", []],
    }.items(),
)
def test_refuses_and_names_values_of_another_type(rows, column, values):
    for value in values:
        document = GOOD | {"runs": [rows[0], rows[1] | {column: value}]}
        assert complaint(document).startswith(f"runs[1].{column}: "), value
    untouched()


def test_every_column_of_an_export_is_needed(rows):
    for column in rows[0].keys() - OPTIONAL_COLUMNS:
        less = {name: value for name, value in rows[1].items() if name != column}
        assert complaint(GOOD | {"runs": [rows[0], less]}) == f"runs[1].{column}: missing."
    untouched()


def test_newer_columns_may_be_missing_and_unknown_ones_are_ignored(rows):
    older = {
        name: value for name, value in rows[0].items() if name not in ("saved_usd", "variables")
    }
    assert lp.import_runs(GOOD | {"runs": [older | {"of_tomorrow": 1}]}) == 1


def test_refuses_endless_nesting(rows):
    deep = {}
    deep["a"] = deep
    refused(GOOD | {"runs": [rows[0] | {"parameters": deep}]})
    text = json.dumps(GOOD | {"runs": [rows[0] | {"parameters": "HERE"}]})
    refused(text.replace('"HERE"', '{"a":' * 500 + "1" + "}" * 500))


def test_a_file_that_is_too_large_is_not_read(tmp_path):
    path = tmp_path / "large.json"
    with path.open("wb") as file:
        file.truncate(1 << 30)  # takes no room on the disk
    assert "1,024 MB" in refused(path)
    assert "lp.restore" in refused(str(path))


def test_refuses_a_text_that_is_too_large(monkeypatch, rows):
    monkeypatch.setattr(importing, "MAX_BYTES", 1000)
    text = json.dumps(GOOD | {"runs": rows})
    for source in (text, text.encode()):
        assert "imported at once" in refused(source)


def test_does_not_wait_for_a_pipe(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert "There is no file" in refused(tmp_path / "pipe")


def test_the_same_run_twice_is_one(rows):
    shouting = rows[0]["run_id"].upper()
    document = GOOD | {"runs": [rows[0], rows[0], rows[0] | {"run_id": shouting}]}
    assert lp.import_runs(document) == 1
    assert len(lp.runs()) == 1


def test_values_are_not_interpolated_into_sql(rows):
    sly = "'; DROP TABLE results; -- $rows $1 ? % \\ {shape}"
    names = ("model", "username", "notebook", "response_text", "user_prompt", "source")
    assert lp.import_runs(GOOD | {"runs": [rows[0] | dict.fromkeys(names, sly)]}) == 1
    assert lp.runs()[list(names)].to_numpy().tolist() == [[sly] * len(names)]


@pytest.mark.parametrize("text", ["\ufeff", "", "\n \n"], ids=["mark", "plain", "blank lines"])
def test_exports_are_found_in_every_form(rows, tmp_path, text):
    whole = text + json.dumps(GOOD | {"runs": rows})
    (tmp_path / "runs.json").write_text(whole, "utf-8")
    assert lp.import_runs(whole) == 2
    for source in (
        whole.encode(),
        "runs.json",
        tmp_path / "runs.json",
        json.loads(whole[len(text) :]),
    ):
        assert lp.import_runs(source) == 0


class TestNotebooks:
    def notebook(self, *bundles):
        outputs = [nbformat.v4.new_output("display_data", data=bundle) for bundle in bundles]
        cells = [
            nbformat.v4.new_markdown_cell("# Mine"),
            nbformat.v4.new_code_cell("pg", outputs=outputs),
        ]
        return nbformat.v4.new_notebook(cells=cells)

    def test_runs_come_out_of_a_saved_notebook(self, tmp_path):
        bundle = mime_bundle("mine", {"prompt": "Why?"}, [run("one"), run("two")])
        nbformat.write(self.notebook(bundle), tmp_path / "mine.ipynb")
        assert lp.import_runs(tmp_path / "mine.ipynb") == 2
        assert lp.import_runs("mine.ipynb") == 0
        frame = lp.runs()
        assert sorted(frame.response_text) == ["one", "two"]
        assert set(frame.user_prompt) == {"Why?"}
        assert set(frame.cost_usd) == {0.00054}

    def test_they_are_found_in_a_notebook_a_bundle_an_output_or_an_export(self):
        bundle = mime_bundle("mine", {}, [run("one")])
        notebook = self.notebook(bundle)
        places = (notebook, bundle, notebook.cells[1].outputs[0], bundle[MIME_TYPE])
        assert [len(extract_rows(place)) for place in places] == [1, 1, 1, 1]

    def test_a_run_in_several_outputs_is_one_with_its_longest_text(self):
        whole = run("a long answer " * 100)
        short = copy.deepcopy(mime_bundle("mine", {}, [whole], max_bytes=2_600))
        notebook = self.notebook(short, mime_bundle("mine", {}, [whole]), short)
        [found] = extract_rows(notebook)
        assert found["response_text"] == "a long answer " * 100

    def test_one_output_of_a_newer_version_stops_all(self):
        bundle = mime_bundle("mine", {}, [run("one")])
        newer = {MIME_TYPE: bundle[MIME_TYPE] | {"version": 9}}
        assert "newer" in refused(self.notebook(bundle, newer))


ODD = {
    "cost in words": {"cost_usd": "dear"},
    "cost above a million": {"cost_usd": 1e9},
    "cost that is no number": {"cost_usd": float("nan")},
    "infinite time": {"response_time_ms": float("inf")},
    "fraction of a token": {"input_tokens": 1.5},
    "time in words": {"started_at": "yesterday"},
    "list for a text": {"response_text": ["a"]},
    "deep JSON": {"parameters": json.loads('{"a":' * 200 + "1" + "}" * 200)},
    "text for an object": {"variables": "a"},
}


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
def test_odd_row_is_skipped_and_named(rows, odd):
    document = {**GOOD, "runs": [rows[0], rows[1] | odd]}
    [column] = odd
    with pytest.warns(UserWarning, match=rf"^1 of 2 runs are not imported: runs\[1\]\.{column}: "):
        assert lp.import_runs(document) == 1
    assert list(lp.runs().run_id) == [rows[0]["run_id"]]


def test_many_odd_rows_are_counted_and_the_first_are_named(rows):
    bad = [rows[1] | {"cached": "perhaps"}] * 5
    with pytest.warns(UserWarning, match=r"^5 of 6 .*runs\[0\].*runs\[2\].* \.\.\.$"):
        assert lp.import_runs({**GOOD, "runs": [*bad, rows[0]]}) == 1


def test_text_that_is_not_utf_8_skips_its_row_in_json_and_csv(rows):
    frame = pd.DataFrame(rows[:2])
    for form in ("json", "csv"):
        lp.export(frame, form, f"runs.{form}")
        path = Path(f"runs.{form}")
        model = rows[0]["model"].encode()
        path.write_bytes(path.read_bytes().replace(model, model + b"\xff\xfe", 1))
    for form, new in (("json", 1), ("csv", 0)):
        with pytest.warns(UserWarning, match="1 of 2 runs are not imported: .*model"):
            assert lp.import_runs(f"runs.{form}") == new


def test_line_of_csv_with_missing_cells_is_skipped(rows):
    lines = lp.export(pd.DataFrame(rows[:2]), "csv").splitlines()
    with pytest.warns(UserWarning, match=r"1 of 2 runs .*row 2 has 2 cells"):
        assert lp.import_runs("\n".join([lines[0], "a,b", lines[2]])) == 1


@pytest.mark.parametrize("form", ["json", "csv", "markdown"])
@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("cost_usd", "dear"),
        ("cost_usd", Decimal("Infinity")),
        ("cost_usd", Decimal("1e30")),
        ("input_tokens", 1.5),
        ("output_tokens", "many"),
        ("ttft_ms", float("inf")),
        ("started_at", "yesterday"),
        ("cached", "perhaps"),
        ("parameters", "[" * 100_000 + "]" * 100_000),
    ],
)
def test_export_skips_and_names_an_odd_row(rows, form, column, value):
    frame = pd.DataFrame(rows[:2]).astype(object)
    frame.at[1, column] = value
    with pytest.warns(UserWarning, match=f"^1 of 2 runs are not exported: .* as its {column}"):
        text = lp.export(frame, form)
    assert rows[0]["run_id"] in text or rows[0]["response_text"] in text
    assert rows[1]["run_id"] not in text


# Values of another program in columns of `prompts`.
ODD_PROMPTS = [
    *(("messages", one) for one in ({"a": 1}, "text", [3], [{"role": "user"}], [{"content": "x"}])),
    *(
        ("messages", [{"role": "user", "content": one}])
        for one in (None, 5, [5], [{"type": "text"}], [{"type": "tool_result"}])
    ),
    *(("parameters", one) for one in ([], 3, None, {"temperature": "hot"}, {"stop": 3})),
    *(("tools", one) for one in ({"a": 1}, 3, [3], [{}])),
]


@pytest.mark.filterwarnings("ignore:.* left out of openai-tuning")
def test_odd_prompts_of_another_program_are_exported_in_every_format(log):
    for number, (column, value) in enumerate(ODD_PROMPTS):
        question = f"Question {number}?"
        add(log, text=f"Answer {number}.", question=question)
        sql = f"UPDATE prompts SET {column} = CAST($value AS JSON) WHERE user_prompt = $question"
        values = {"value": json.dumps(value), "question": question}
        log.change(lambda session, sql=sql, values=values: session.execute(sql, values))
    frame = lp.runs()

    for form in ("json", "csv", "markdown", "html", "notebook", "otlp-content"):
        text = lp.export(frame, form)
        assert [n for n in range(len(ODD_PROMPTS)) if f"Answer {n}." not in text] == [], form
    lp.export(frame, "openai-tuning")
    for run_id in frame.run_id:
        with contextlib.suppress(ConfigError):
            lp.code(run_id)
