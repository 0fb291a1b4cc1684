"""Rows that another program wrote into the log, and what nobody can write as JSON."""

import os
from datetime import UTC, datetime

import duckdb
import pytest

import llm_playground as lp
from llm_playground.widgets import draft
from llm_playground.widgets.draft import Answer


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


def test_a_form_that_is_too_long_to_keep_does_not_cost_the_answers(home):
    panel = lp.Playground("letters")
    panel.prompt = "a" * 2_000_000
    panel.kept_draft.note_answers([Answer("0123456789")], datetime.now(UTC))
    panel.kept_draft.keep()
    assert panel.draft["state"] == "not kept"
    panel.close()
    assert draft.read("name letters").answers == (Answer("0123456789"),)


@pytest.mark.parametrize(
    "form",
    [
        {"turns": None},
        {"turns": [{"role": "user"}]},
        {"turns": [{"role": "user", "content": "hi", "images": 5}]},
        {"images": ["a.png"]},
    ],
)
def test_a_draft_with_values_of_another_kind_is_left_out(form):
    document = draft.document("", draft.Draft(datetime.now(UTC), form=form))
    with pytest.raises(ValueError, match="another kind"):
        draft.of_document(document)


def test_a_pipe_in_the_place_of_a_draft_stops_nobody(home):
    lp.Playground("letters").kept_draft.note_answers([], datetime.now(UTC))
    panel = lp.Playground("letters")  # the other one's draft is there now
    [path] = (home / "drafts").glob("*.json")
    panel.close()
    path.unlink()
    os.mkfifo(path)
    assert lp.Playground("letters").draft["state"] == "not kept"


@pytest.mark.parametrize(
    ("columns", "shown"),
    [
        ("limit_usd = NULL", (0, "month", "block", "warn")),
        ("action = 'Block'", (1000, "month", "block", "warn")),
        ("period = 'fortnight'", (1000, "month", "block", "warn")),
        ("unknown_price = 'much'", (1000, "month", "block", "block")),
        ("unknown_price = 'NaN'", (1000, "month", "block", "block")),
    ],
)
def test_a_budget_that_another_program_wrote_wrongly_is_read_strictly(insert, columns, shown):
    insert(
        "INSERT INTO budgets (id, limit_usd, period, action, unknown_price)"
        f"VALUES ('strange', 1000, 'month', 'block', 'warn'); UPDATE budgets SET {columns}"
    )
    budgets = lp.budgets()[["limit_usd", "period", "action", "unknown_price"]]
    assert tuple(budgets.iloc[0]) == shown
    lp.set_budget(5, tag="another")
    assert len(lp.budgets()) == 2


def test_what_a_process_killed_while_writing_left_is_cleared_up(home):
    panel = lp.Playground("letters")
    panel.prompt = "Typed"
    panel.close()
    [path] = (home / "drafts").iterdir()
    old, new = (path.with_name(f"{path.stem}.{name}.part") for name in ("old", "new"))
    old.write_text("half a")
    os.utime(old, (0, 0))
    new.write_text("half a")  # somebody may be writing it
    assert lp.Playground("letters").prompt == "Typed"
    assert sorted((home / "drafts").iterdir()) == sorted([path, new])
