"""What is exported from one log and imported into another is the same there."""

import json
from decimal import Decimal

import pandas as pd
import pytest

import llm_playground as lp
from llm_playground.errors import InvalidParameterError, RunLogError
from llm_playground.parts import TextPart
from llm_playground.runlog import open_log
from llm_playground.types import Message, Request
from tests.exporting.shelf import HOSTILE, KEY, fill
from tests.reports.shelf import NEW_YEAR, add, add_row
from tests.runlog.actors import begin, execution_of, prompt, record, run_of

pytestmark = pytest.mark.usefixtures("log")


def same(frame):
    """JSON columns compared as values: PostgreSQL has an order of its own."""
    held = frame.copy()
    for name in ("tags", "parameters", "attempts", "variables"):
        held[name] = [
            json.dumps(json.loads(value), sort_keys=True) if isinstance(value, str) else None
            for value in held[name]
        ]
    return held


@pytest.mark.parametrize("form", ["json", "csv"])
def test_frames_are_equal_in_every_column(log, elsewhere, form):
    count = fill(log)
    before = lp.runs()
    text = lp.export(before, form)
    elsewhere()
    assert lp.import_runs(text) == count
    pd.testing.assert_frame_equal(same(lp.runs()), same(before))


@pytest.mark.parametrize("engine", ["duckdb", "postgres"])
def test_runs_move_between_engines(log, elsewhere, engine):
    count = fill(log)
    before = lp.runs()
    text = lp.export(before)
    elsewhere(engine)
    assert lp.import_runs(text) == count
    pd.testing.assert_frame_equal(same(lp.runs()), same(before))


def test_a_second_import_changes_nothing(log, elsewhere):
    fill(log)
    text = lp.export(lp.runs())
    assert lp.import_runs(text) == 0  # they are here
    elsewhere()
    lp.import_runs(text)
    before = lp.runs()
    assert lp.import_runs(text) == 0
    assert lp.import_runs(lp.export(before, "csv")) == 0
    pd.testing.assert_frame_equal(lp.runs(), before)


def test_a_run_that_still_waits_in_the_journal_is_there_already(log):
    document = json.loads(lp.export(add(log, text="as it was")))
    add(log)  # in the journal, as the first
    document["runs"][0]["response_text"] = "changed on the way"
    assert lp.import_runs(document) == 0
    assert "changed on the way" not in lp.runs().response_text.tolist()


def test_only_what_is_new_is_imported(log, elsewhere):
    add(log, text="first")
    first = lp.export(lp.runs())
    add(log, text="second")
    both = lp.export(lp.runs())
    elsewhere()
    assert lp.import_runs(first) == 1
    assert lp.import_runs(both) == 1
    assert sorted(lp.runs().response_text) == ["first", "second"]


def test_iterations_stay_together(log, elsewhere):
    request = prompt("Why?")
    execution = execution_of(request, iterations=3)
    for number in (1, 2, 3):
        record(log, request, execution, begun={"iteration_number": number}, text=f"answer {number}")
    text = lp.export(lp.runs())
    other = elsewhere()
    lp.import_runs(text)
    rows = other.frame("SELECT iterations, status, username, source FROM executions")
    assert rows.to_numpy().tolist() == [[3, "completed", "ada", "test"]]
    assert sorted(lp.runs().iteration_number) == [1, 2, 3]


def test_costs_are_exact_to_the_last_digit(log, elsewhere):
    run = add(log, cost_usd=Decimal("999999.123456789012"), saved_usd=Decimal("1e-12"))
    text = lp.export(run)
    read = json.loads(text, parse_float=Decimal)["runs"][0]
    assert read["cost_usd"] == Decimal("999999.123456789012")
    other = elsewhere()
    lp.import_runs(text)
    exact = (
        "SELECT CAST(cost_usd AS VARCHAR) AS cost, CAST(saved_usd AS VARCHAR) AS saved FROM results"
    )
    found = other.frame(exact)
    assert found.to_numpy().tolist() == [["999999.123456789012", "0.000000000001"]]


def test_costs_by_user_are_the_same_after_an_import(log, elsewhere):
    add(log, user="bob", cost_usd=Decimal("0.5"))
    add(log, user="eve", cost_usd=Decimal("0.25"))
    text = lp.export(lp.runs())
    elsewhere()
    lp.import_runs(text)
    costs = lp.costs(by=["user"]).set_index("user").cost_usd
    assert costs.to_dict() == {"bob": 0.5, "eve": 0.25}


@pytest.mark.parametrize("form", ["json", "csv"])
def test_a_whole_prompt_is_known_again_where_its_hash_proves_it(log, elsewhere, form):
    add(log, question="What?", system="Be brief.")
    request = Request(
        "openai:x",
        tuple(Message(role, (TextPart("hi"),)) for role in ("user", "assistant", "user")),
    )
    execution = execution_of(request)
    begun = run_of(request, execution)
    log.started(begun, request, execution)
    log.finished(begun)
    text = lp.export(lp.runs(), form)
    other = elsewhere()
    lp.import_runs(text)
    found = other.frame("SELECT user_prompt, CAST(messages AS VARCHAR) AS messages FROM prompts")
    known = dict(zip(found.user_prompt, found.messages, strict=True))
    assert [turn["role"] for turn in json.loads(known["What?"])] == ["system", "user"]
    if form == "csv":  # the view knows the last question of a conversation alone
        assert pd.isna(known["hi"])
    else:
        roles = [turn["role"] for turn in json.loads(known["hi"])]
        assert roles == ["user", "assistant", "user"]


def test_what_was_compressed_leaves_whole_and_comes_back_whole(log, elsewhere):
    run = add(log, text="long ago " * 50, question="when?")
    lp.purge("0h", dry_run=False)
    assert lp.runs().compressed.tolist() == [True]
    by_frame, by_run = lp.export(lp.runs()), lp.export(log_row(run.id))
    assert json.loads(by_frame) == json.loads(by_run)
    elsewhere()
    lp.import_runs(by_frame)
    [row] = lp.runs().to_dict("records")
    assert (row["response_text"], row["user_prompt"]) == ("long ago " * 50, "when?")
    assert not row["compressed"]


def log_row(run_id):
    """A frame of nothing but an id: all else is looked up."""
    return pd.DataFrame({"run_id": [run_id]})


def test_what_still_ran_comes_as_interrupted(log, elsewhere):
    run = begin(log)
    log.text(run.id, "half a sen")
    text = lp.export(lp.runs())
    elsewhere()
    assert lp.import_runs(text) == 1
    assert lp.runs().status.tolist() == ["interrupted"]
    log.finished(run)


def test_a_row_that_another_program_inserted_leaves_and_comes_back(log, elsewhere):
    run_id = "0190c7e2-0000-7000-8000-000000000001"
    add_row(log, id=run_id, model="theirs", started_at=NEW_YEAR, input_tokens=3)
    before = lp.runs()
    text = lp.export(before)
    elsewhere()
    assert lp.import_runs(text) == 1
    after = lp.runs()
    for name in ("run_id", "model", "started_at", "input_tokens", "execution_id", "username"):
        pd.testing.assert_series_equal(after[name], before[name])


def test_many_runs_are_imported_at_once(log, elsewhere):
    row = json.loads(lp.export(add(log)))["runs"][0]
    ids = [f"0190c7e2-0000-7000-8000-{number:012x}" for number in range(1203)]
    document = {"format": "llm_playground.runs", "version": 1}
    document["runs"] = [row | {"run_id": run_id} for run_id in ids]
    elsewhere()
    assert lp.import_runs(document) == 1203
    assert sorted(lp.runs().run_id) == ids
    assert len(lp.duplicates()) == 1


def test_all_are_imported_or_none(log, elsewhere):
    fill(log)
    text = lp.export(lp.runs())
    other = elsewhere()
    for sql in ("DROP VIEW runs", "ALTER TABLE ratings RENAME TO gone"):
        other.change(lambda session, sql=sql: session.execute(sql))
    with pytest.raises(RunLogError):
        lp.import_runs(text)
    for table in ("prompts", "executions", "results"):
        assert other.frame(f"SELECT count(*) AS n FROM {table}").n[0] == 0


def test_privacy_holds_for_what_is_imported(log, elsewhere):
    add(log, text="a secret", question="whose mail is ada@example.org?", system="private")
    text = lp.export(lp.runs())
    other = elsewhere()
    lp.configure(privacy="metrics")
    assert lp.import_runs(text) == 1
    [row] = lp.runs().to_dict("records")
    assert pd.isna(row["response_text"])
    assert pd.isna(row["user_prompt"])
    assert row["output_tokens"] == 20
    other = elsewhere()
    lp.configure(privacy={"store": "texts", "redact": ["email"]})
    lp.import_runs(text)
    assert "ada@example.org" not in other.frame("SELECT * FROM prompts").to_csv()
    other = elsewhere()
    lp.configure(privacy="off")
    with pytest.raises(RunLogError, match="privacy"):
        lp.import_runs(text)
    assert len(other.frame("SELECT * FROM results")) == 0


def test_no_key_is_imported(log, elsewhere):
    document = json.loads(lp.export(add(log)))
    document["runs"][0] |= {
        "response_text": f"it is {KEY}",
        "tags": [KEY],
        "parameters": {KEY: KEY},
    }
    other = elsewhere()
    lp.import_runs(document)
    for table in ("prompts", "executions", "results"):
        assert KEY not in other.frame(f"SELECT * FROM {table}").to_csv()


def test_exports_and_imports_are_in_the_audit_log(log, elsewhere, tmp_path):
    add(log)
    lp.export(lp.runs(), "csv", tmp_path / "runs.csv")
    lp.export(lp.runs())
    frame = lp.audit()
    assert frame.action.tolist() == ["export", "export"]
    assert frame.username.tolist() == ["ada", "ada"]
    assert frame.target[1] == str(tmp_path / "runs.csv")
    assert json.loads(frame.detail[1]) == {"format": "csv", "runs": 1}
    elsewhere()
    lp.import_runs(tmp_path / "runs.csv")
    frame = lp.audit()
    assert (frame.action[0], frame.target[0]) == ("import_runs", str(tmp_path / "runs.csv"))
    assert json.loads(frame.detail[0]) == {"runs": 1, "new": 1}


def test_what_is_refused_is_no_entry(log):
    with pytest.raises(InvalidParameterError):
        lp.export(lp.runs(), "papyrus")
    with pytest.raises(InvalidParameterError):
        lp.import_runs("nowhere.json")
    assert lp.audit().empty


def test_an_answer_that_was_imported_can_be_used_again(log, elsewhere):
    asked = (
        f"Say something of {log.dialect}."  # a kernel's second such request wants a second answer
    )
    record(log, prompt(asked, model="openai:gpt-x"), text=HOSTILE)
    text = lp.export(lp.runs())
    elsewhere()
    lp.import_runs(text)
    lp.configure(mode="replay")
    run = lp.ask(asked, "openai:gpt-x")
    assert (run.text, run.cached) == (HOSTILE, True)


def test_the_columns_are_those_of_the_view(log):
    add(log)
    view = list(open_log().frame("SELECT * FROM runs LIMIT 0"))
    text = lp.export(lp.runs())
    assert list(json.loads(text)["runs"][0]) == view
    assert lp.export(lp.runs(), "csv").splitlines()[0].split(",") == view
