"""Rows that another program wrote into the log, and what nobody can write as JSON."""

import duckdb
import pytest

import llm_playground as lp


@pytest.fixture
def insert(home):
    def insert(statement):
        lp.runs()  # the file is there
        with duckdb.connect(str(home / "runs.duckdb")) as connection:
            connection.execute(statement)

    return insert


def test_a_run_with_an_id_of_another_programs_kind_is_opened_by_it(insert):
    insert("INSERT INTO results (id, response_text) VALUES ('run_1000', 'a'), ('run_10002', 'b')")
    panel = lp.Playground(run="run_1000")
    assert list(panel.results.response_text) == ["a"]
    panel.close()


@pytest.mark.parametrize(
    "columns",
    [
        "tool_calls) VALUES ('strange', '5'",
        "attempts) VALUES ('strange', '[{\"foo\": 1}]'",
        "dropped_parameters) VALUES ('strange', '7'",
        "started_at) VALUES ('strange', '290000-01-01'",
    ],
)
def test_a_run_that_is_not_as_runs_are_is_refused_in_one_line(insert, columns):
    insert(f"INSERT INTO results (id, {columns})")
    with pytest.raises(lp.InvalidParameterError, match="strange"):
        lp.Playground(run="strange")


def test_what_is_no_json_is_not_kept_and_the_panel_says_so(home):
    panel = lp.Playground("letters")
    panel.temperature = float("nan")
    panel.kept_draft.keep()
    assert panel.draft["state"] == "not kept"
    panel.close()
