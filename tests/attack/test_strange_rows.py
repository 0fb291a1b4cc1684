"""Rows written by other programs, and values that JSON cannot hold."""

import os
from datetime import UTC, datetime

import duckdb
import pytest

import llm_playground as lp
from llm_playground import _files
from llm_playground.widget import drafts
from llm_playground.widget.drafts import DraftAnswer
from tests.attack.killed_steps import killed_while_making


@pytest.fixture
def insert(home):
    def insert(statement):
        lp.runs()  # creates the file
        with duckdb.connect(str(home / "runs.duckdb")) as connection:
            connection.execute(statement)

    return insert


def test_opens_a_run_by_an_id_of_another_program(insert):
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
    ],
)
def test_invalid_run_is_refused(insert, columns):
    insert(f"INSERT INTO results (id, {columns})")
    with pytest.raises(lp.InvalidParameterError, match="strange"):
        lp.Playground(run="strange")


def test_run_with_a_time_that_python_cannot_hold_is_opened(insert):
    insert("INSERT INTO results (id, started_at) VALUES ('strange', '290000-01-01')")
    panel = lp.Playground(run="strange")
    assert panel.results.run_id.tolist() == ["strange"]
    panel.close()


def test_draft_with_nan_is_not_kept(home):
    panel = lp.Playground("letters")
    panel.temperature = float("nan")
    panel.draft_store.save()
    assert panel.draft["state"] == "not kept"
    panel.close()


def test_answers_are_kept_without_a_form_that_is_too_long(home):
    panel = lp.Playground("letters")
    panel.prompt = "a" * 2_000_000
    panel.draft_store.record_answers([DraftAnswer("0123456789")], datetime.now(UTC))
    panel.draft_store.save()
    assert panel.draft["state"] == "not kept"
    panel.close()
    assert drafts.read_draft(drafts.Identity("letters")).answers == (DraftAnswer("0123456789"),)


@pytest.mark.parametrize(
    "form",
    [
        {"turns": None},
        {"turns": [{"role": "user"}]},
        {"turns": [{"role": "user", "content": "hi", "images": 5}]},
        {"images": ["a.png"]},
    ],
)
def test_invalid_drafts_are_refused(form):
    document = drafts.as_json("", drafts.Draft(datetime.now(UTC), form=form))
    with pytest.raises(ValueError, match="another kind"):
        drafts.from_json(document)


def test_pipe_instead_of_a_draft(home):
    lp.Playground("letters").draft_store.record_answers([], datetime.now(UTC))
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
def test_invalid_budgets_are_read_strictly(insert, columns, shown):
    insert(
        "INSERT INTO budgets (id, limit_usd, period, action, unknown_price)"
        f"VALUES ('strange', 1000, 'month', 'block', 'warn'); UPDATE budgets SET {columns}"
    )
    budgets = lp.budgets()[["limit_usd", "period", "action", "unknown_price"]]
    assert tuple(budgets.iloc[0]) == shown
    lp.set_budget(5, tag="another")
    assert len(lp.budgets()) == 2


def test_partial_files_of_killed_processes_are_removed(home):
    panel = lp.Playground("letters")
    panel.prompt = "Typed"
    panel.close()
    [path] = (home / "drafts").iterdir()
    killed_while_making(path)
    with _files.making(path) as living:
        (living / "file").write_text("half a")
        killed_while_making(path)
        assert len(list((home / "drafts").iterdir())) == 3
        assert lp.Playground("letters").prompt == "Typed"
        assert sorted((home / "drafts").iterdir()) == sorted([path, living])
    assert list((home / "drafts").iterdir()) == [path]
