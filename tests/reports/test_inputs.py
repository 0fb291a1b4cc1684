"""Cases and values of prompts: stored with their types, found again, joined with their table."""

import math
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

import llm_playground as lp
from llm_playground.exporting.formats import MIME_TYPE
from llm_playground.exporting.notebook_output import mime_bundle
from llm_playground.exporting.rows import plain_rows
from llm_playground.frames import Frame
from llm_playground.inputs import Case, Inputs, inputs_from_json, storable_row
from llm_playground.reports import run_rows
from llm_playground.request.tables import TableRows, cases_of, table_of_cases
from llm_playground.retention import purge
from llm_playground.runlog import open_log
from llm_playground.runlog.input_columns import input_columns
from tests.providers.formats import openai_stream
from tests.providers.server import Reply
from tests.reports.shelf import NEW_YEAR
from tests.runlog.actors import execution_of, prompt, record

ROW = {
    "review_id": 17,
    "score": 4.5,
    "day": date(2026, 3, 1),
    "at": datetime(2026, 3, 1, 12, 30, tzinfo=UTC),
    "opens": time(9, 30),
    "took": timedelta(seconds=90),
    "price": Decimal("9.90"),
    "liked": True,
    "text": "Größe 中文 \x00",
    "labels": ["a", 1],
    "missing": None,
    "highest": math.inf,
    "lowest": -math.inf,
    "model": "Model T",
}
INPUTS = Inputs(Case("case 1: Oslo", ROW), {"text": ROW["text"], "tone": "dry"}, "Sum up {{text}}.")


def add(log, inputs=INPUTS, **known):
    execution = execution_of(prompt("Sum up."), inputs=inputs, started_at=NEW_YEAR)
    return record(log, prompt("Sum up."), execution, **known)


def test_the_row_of_a_case_comes_back_from_the_log_with_its_types(log):
    add(log)
    frame = run_rows.runs(expand=True)
    known = ROW | {"text": "Größe 中文 \ufffd" if log.dialect == "postgres" else ROW["text"]}
    free = {**known, "input_model": known["model"], "tone": "dry", "case": "case 1: Oslo"}
    del free["model"]

    assert {name: frame[name][0] for name in free} == free
    assert frame.model[0] == "local:tiny"
    assert frame.prompt_template[0] == "Sum up {{text}}."
    assert "review_id" not in run_rows.runs()


def test_what_privacy_leaves_out_and_a_purge_removes(log):
    lp.configure(privacy={"redact": ["email"]})
    add(log, Inputs(Case("ada@example.org", {"from": "ada@example.org", "n": 1})))
    lp.configure(privacy="metrics")
    add(log)
    nothing, masked = (inputs_from_json(one) for one in run_rows.runs().inputs)

    assert nothing is None
    assert masked == Inputs(Case("[redacted]", {"from": "[redacted]", "n": 1}))
    purge("1d", keep="metrics", dry_run=False)
    assert run_rows.runs().inputs.isna().all()


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        (np.int64(7), 7),
        (np.float32(0.5), 0.5),
        (np.datetime64("NaT"), None),
        (float("nan"), None),
        (pd.NA, None),
        (pd.NaT, None),
        (pd.Timestamp("2026-03-01 12:00"), datetime(2026, 3, 1, 12)),
        (pd.Timedelta(minutes=1), timedelta(minutes=1)),
        (np.array([1, 2]), "left out"),
        (object(), "left out"),
        ("x" * 10_001, "left out"),
        ([0.1] * 5_000, "left out"),
    ],
)
def test_what_of_a_row_is_stored(value, stored):
    row = storable_row({"column": value, 3: "number"})

    assert row.pop("3") == "number"
    assert row == ({} if stored == "left out" else {"column": stored})
    assert type(row.get("column")) is type(None if stored == "left out" else stored)
    assert storable_row({"used": "x" * 10_001}, ["used"])["used"] == "x" * 10_001


@pytest.mark.parametrize("text", ["{", "[]", "7", None, '{"row": 1, "types": {"a": "date"}}'])
def test_what_another_program_wrote_is_no_error(text):
    assert inputs_from_json(text) in (None, Inputs())


def test_a_date_that_is_masked_stays_text():
    masked = {"case": "a", "row": {"day": "[redacted]"}, "types": {"day": "date"}}

    assert inputs_from_json(masked).columns == {"day": "[redacted]"}


@pytest.mark.parametrize(
    "name", ["model", "cost_usd", "temperature", "case", "prompt_template", "username"]
)
def test_a_name_that_is_taken_gets_a_prefix(name):
    found = input_columns([Inputs(Case("a", {name: 1, "id": 2}), {"tone": "dry"})])

    assert (found[f"input_{name}"], found["id"], found["tone"]) == ([1], [2], ["dry"])


KINDS = {
    "int64": [1, 2],
    "float64": [0.5, 1.5],
    "str": ["a", "b"],
    "bool": [True, False],
    "object": [date(2026, 3, 1), date(2026, 3, 2)],
    "datetime64[ns]": ["2026-03-01", "2026-03-02"],
    "Int64": [1, 2],
    "category": ["a", "b"],
}


def test_columns_that_vary_come_first(serve):
    serve(lambda _request: Reply(openai_stream(["Yes."])))
    prompts = ["Capital? {{city}}", "{{city}}?"]
    two, one = (
        lp.compare(prompts[:number], "openai:gpt-4o", cases=ROWS, n=number).df for number in (2, 1)
    )

    assert [*two.columns[:4]] == ["case", "prompt_template", "model", "iteration_number"]
    assert [*one.columns[:3]] == ["case", "model", "response_text"]
    assert set(one.columns) == set(two.columns)


@pytest.mark.parametrize("kind", KINDS)
def test_a_frame_of_answers_joins_its_table(kind, serve):
    table = pd.DataFrame({"key": pd.Series(KINDS[kind], dtype=kind), "city": ["Oslo", "Rome"]})
    serve(lambda _request: Reply(openai_stream(["Yes."])))
    answers = lp.compare("Capital? {{city}}", "openai:gpt-4o", cases=table, temperature=0.5).df

    assert answers.merge(table, on="key").shape[0] == 2
    assert answers.key.tolist() == table.key.tolist()
    assert answers.city.tolist() == ["Oslo", "Rome"]
    logged = lp.runs(expand=True)
    assert len(logged.merge(table, on="key")) == 2
    assert set(logged.temperature) == {0.5}


class Listed:
    """A table of polars or Arrow, which gives its rows as dicts."""

    def __init__(self, method, rows):
        setattr(self, method, lambda: rows)


ROWS = [{"key": 1, "city": "Oslo"}, {"key": 2, "city": "Rome"}]
TABLES = {
    "a frame of a report": lambda: Frame(ROWS),
    "polars": lambda: Listed("to_dicts", ROWS),
    "Arrow": lambda: Listed("to_pylist", ROWS),
}


@pytest.mark.parametrize("kind", TABLES)
def test_cases_are_the_rows_of_any_table(kind):
    table = table_of_cases(TABLES[kind]())

    assert [dict(row) for row in TableRows(table)] == ROWS
    assert [case["city"] for case in cases_of(table, ["city"])] == ["Oslo", "Rome"]


def test_of_columns_with_one_name_the_first_is_sent_and_stored():
    table = table_of_cases(pd.DataFrame([["sent", 1, "other"]], columns=["text", "n", "text"]))

    assert [dict(row) for row in TableRows(table)] == [{"text": "sent", "n": 1}]
    assert cases_of(table, ["text"]) == [{"text": "sent"}]


@pytest.mark.parametrize(
    ("cases", "problem"),
    [
        ([], "cases has no rows."),
        (["x", "y"], "cases has rows of type str."),
        (Listed("to_pylist", [1]), "cases has rows of type int."),
        ("text", "got str."),
        ((row for row in ROWS), "got generator."),
    ],
)
def test_what_is_no_table_is_said(cases, problem):
    with pytest.raises(lp.InvalidParameterError) as error:
        table_of_cases(cases)

    assert str(error.value).endswith(f"of a list of dicts; {problem}")


@pytest.mark.parametrize(
    ("prompt", "problem"),
    [
        ("Capital? {{town}}", "in the prompt, only {{town}}. Write {{city}}; it has key, city."),
        ("Capital? {city}", "in the prompt. Write {{city}}; it has key, city."),
        ({"short": "{{city}}?"}, "a list of prompts; got a dict. Pass list(prompts.values())."),
    ],
)
def test_what_names_no_column_is_said(home, prompt, problem):
    with pytest.raises(lp.InvalidParameterError) as error:
        lp.compare(prompt, "openai:gpt-4o", cases=ROWS)

    assert str(error.value).endswith(problem)


def test_the_answers_of_a_panel_join_its_table(home, serve, tmp_path):
    serve(lambda _request: Reply(openai_stream(["Yes."])))
    pg = lp.Playground("joined", models=["openai:gpt-4o"], prompt="Capital? {{city}}")
    pg.cases = Frame(ROWS)
    pg.run()

    answers = pg.results
    assert sorted(answers.merge(pd.DataFrame(ROWS), on="key").city_x) == ["Oslo", "Rome"]
    saved = mime_bundle("joined", {}, plain_rows(pg))
    pg.close()
    runs = saved[MIME_TYPE]["runs"]
    assert {inputs_from_json(row["inputs"]).columns["key"] for row in runs} == {1, 2}
    lp.configure(log=tmp_path / "other.duckdb")
    assert lp.import_runs({"cells": [{"outputs": [{"data": saved}]}]}) == 2
    assert sorted(lp.runs(expand=True).key) == [1, 2]


def test_exports_carry_the_case_and_its_columns(home, tmp_path):
    log = open_log()
    add(log, text="Größe 中文 \x1b[2J")
    path = tmp_path / "runs.csv"
    lp.export(lp.runs(), path=path)
    frame = pd.read_csv(path)  # which knows the byte order mark, as Excel does
    markdown = lp.export(lp.runs(), "markdown")

    assert (frame.review_id[0], frame.day[0], frame.input_model[0]) == (17, "2026-03-01", "Model T")
    assert (frame.case[0], frame.response_text[0]) == ("case 1: Oslo", "Größe 中文 ␛[2J")
    assert "| review\\_id | 17 |" in markdown
    assert "Größe 中文 ␛[2J" in markdown
    for content in (path.read_bytes(), lp.export(lp.runs())):
        lp.configure(log=tmp_path / f"{type(content).__name__}.duckdb")
        assert lp.import_runs(content) == 1
        assert lp.runs(expand=True).review_id[0] == 17
        lp.configure(log=log.path)
