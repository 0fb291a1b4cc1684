"""``lp.runs`` and ``lp.sql``."""

from datetime import timedelta

import pytest

from llm_playground import reports
from llm_playground.errors import RunLogError
from llm_playground.reports import run_rows
from tests.reports.shelf import NEW_YEAR, add, add_row


def texts(**filters):
    return list(run_rows.runs(**filters).response_text)


def test_runs_are_newest_first_and_limited(log):
    for day in (2, 0, 1):
        add(log, text=str(day), at=NEW_YEAR + timedelta(days=day))
    assert texts() == ["2", "1", "0"]
    assert texts(limit=2) == ["2", "1"]
    assert texts(limit=0) == []


def test_sql_reads_what_was_just_recorded(log):
    add(log, text="fresh")
    frame = reports.sql("SELECT response_text FROM runs WHERE model = ?", ["openai:gpt-x"])
    assert frame.response_text.tolist() == ["fresh"]
    with pytest.raises(RunLogError, match="SELECT"):
        reports.sql("DROP TABLE results")


def test_runs_have_the_columns_of_the_view(log):
    add(log)
    columns = list(run_rows.runs())
    assert sorted(columns) == sorted(reports.sql("SELECT * FROM runs"))
    assert columns[:3] == ["started_at", "model", "user_prompt"]
    assert columns[-3:] == ["run_id", "execution_id", "prompt_id"]
    assert list(run_rows.runs(limit=1)) == columns


def test_a_bare_row_of_another_program_is_a_run(log):
    add(log, text="ours", at=NEW_YEAR)
    add_row(log, model="theirs:m", response_text="theirs", started_at=NEW_YEAR + timedelta(days=1))
    assert texts() == texts(limit=5) == ["theirs", "ours"]
    assert texts(model="theirs:*") == ["theirs"]
    assert texts(limit=1, search="OURS") == ["ours"]


def test_a_limit_counts_after_the_filters(log):
    add(log, text="1", user="bob", tags=("t",))
    add(log, text="2", at=NEW_YEAR + timedelta(days=1))
    assert texts(limit=1, user="bob") == texts(limit=1, tag="t") == ["1"]


def test_runs_bring_their_prompt_execution_and_rating(log):
    run = add(log, question="Why?", notebook="n.ipynb", user="bob")
    log.drain()
    for number, score in enumerate((1.0, 4.0)):
        log.change(
            lambda session, number=number, score=score: session.execute(
                "INSERT INTO ratings (id, result_id, score) VALUES ($id, $run, $score)",
                {"id": f"rating {number}", "run": run.id, "score": score},
            )
        )
    [found] = run_rows.runs(limit=1).itertuples()
    assert (found.user_prompt, found.notebook, found.username) == ("Why?", "n.ipynb", "bob")
    assert found.rating == 2.5
