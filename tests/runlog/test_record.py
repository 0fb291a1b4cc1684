"""What is recorded is there: at once on disk, at once in frames, once."""

import json
import os
import stat
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import duckdb
import pandas as pd
import pytest

from llm_playground.errors import ConfigError, ProviderUnavailableError
from llm_playground.runlog import open_log
from llm_playground.types import Attempt, Usage
from tests.runlog.actors import begin, completed, execution_of, prompt, record, run_of
from tests.runlog.test_refusals import abandon, result

VIEW = """
    run_id execution_id prompt_id prompt_hash started_at username notebook cell_id
    git_commit tags source provider model response_model system_prompt user_prompt
    parameters response_text reasoning_text status finish_reason input_tokens output_tokens
    cache_read_tokens cache_write_tokens reasoning_tokens usage_source cost_usd price_source
    ttft_ms response_time_ms queue_ms attempts error_type error_message iteration_number
    cached rating
""".split()  # noqa: SIM905 - a page of names reads better than a column


def only(frame):
    assert len(frame) == 1
    return frame.iloc[0]


def test_a_finished_run_is_a_row_with_all_that_is_known(log):
    request = prompt("Why?", system="Be brief.", temperature=0.2, stop=("END",))
    execution = execution_of(
        request, notebook="a/b.ipynb", cell_id="c1", git_commit="f00", tags=("x", "y")
    )
    run = record(
        log,
        request,
        execution,
        text="Because.",
        reasoning="hm",
        response_model="tiny-2",
        usage=Usage(11, 22, 3, 4, 5),
        price_source="table",
        queue_ms=1.5,
        attempts=[Attempt(1, 0.0, 100.0, 200, "req-1")],
    )
    row = only(log.frame("SELECT * FROM runs"))
    assert row.run_id == run.id
    assert row.execution_id == execution.id
    assert row.prompt_id == run.prompt_id
    assert row.prompt_hash == request.prompt_hash()
    assert (row.user_prompt, row.system_prompt) == ("Why?", "Be brief.")
    assert json.loads(row.parameters) == {"temperature": 0.2, "stop": ["END"]}
    assert (row.notebook, row.cell_id, row.git_commit) == ("a/b.ipynb", "c1", "f00")
    assert json.loads(row.tags) == ["x", "y"]
    assert (row.username, row.source) == ("ada", "test")
    assert (row.response_text, row.reasoning_text) == ("Because.", "hm")
    assert (row.response_model, row.finish_reason, row.status) == ("tiny-2", "stop", "completed")
    counts = [row.input_tokens, row.output_tokens, row.cache_read_tokens]
    assert [*counts, row.cache_write_tokens, row.reasoning_tokens] == [11, 22, 3, 4, 5]
    assert row.cost_usd == pytest.approx(0.0000015)
    assert (row.ttft_ms, row.response_time_ms, row.queue_ms) == (20.0, 120.0, 1.5)
    assert json.loads(row.attempts)[0]["request_id"] == "req-1"
    assert not row.cached
    assert row.started_at == run.started_at
    tokens = only(log.frame("SELECT tokens_used FROM results")).tokens_used
    assert json.loads(tokens)["total"] == 33


def test_the_view_has_the_columns_it_promises_and_times_are_utc(log):
    record(log)
    frame = log.frame("SELECT * FROM runs")
    assert list(frame.columns)[: len(VIEW)] == VIEW
    assert frame.started_at.dt.tz is not None
    assert str(frame.started_at.dt.tz) == "UTC"
    assert isinstance(frame.run_id[0], str)


def test_an_empty_log_has_the_same_columns_and_types(log):
    empty = log.frame("SELECT * FROM runs")
    record(log)
    full = log.frame("SELECT * FROM runs")
    assert len(empty) == 0
    assert empty.dtypes.to_dict() == full.dtypes.to_dict()


def test_an_unknown_price_is_nan_and_unknown_tokens_are_na(log):
    record(log, cost_usd=None, usage=None, usage_source="none")
    row = only(log.frame("SELECT * FROM runs"))
    assert pd.isna(row.cost_usd)
    assert pd.isna(row.input_tokens)


def test_money_keeps_its_twelve_digits_in_the_database(log, path):
    record(log, cost_usd=Decimal("0.000000000001"))
    log.drain()
    with duckdb.connect(str(path), read_only=True) as connection:
        assert connection.execute("SELECT cost_usd FROM results").fetchone() == (Decimal("1E-12"),)


def test_a_failed_run_keeps_its_error_and_its_detail(log):
    error = ProviderUnavailableError("It is down. Try later.", detail="503 from somewhere")
    record(log, status="failed", error=error, text="", finish_reason=None)
    row = only(log.frame("SELECT * FROM results"))
    assert (row.error_type, row.error_message) == (
        "ProviderUnavailableError",
        "It is down. Try later.",
    )
    assert row.error_detail == "503 from somewhere"


def test_iterations_share_one_execution_and_one_prompt(log):
    request = prompt()
    execution = execution_of(request, iterations=3)
    for number in (1, 2, 3):
        log.finished(completed(begin(log, request, execution, iteration_number=number)))
    log.execution_finished(execution.id, "completed", datetime.now(UTC))
    record(log, prompt())  # the same prompt again
    counted = "SELECT (SELECT count(*) FROM prompts) p, (SELECT count(*) FROM executions) e, "
    row = only(log.frame(counted + "(SELECT count(*) FROM results) r"))
    assert (row.p, row.e, row.r) == (1, 2, 4)
    frame = log.frame("SELECT status, completed_at FROM executions WHERE id = ?", [execution.id])
    assert only(frame).status == "completed"
    assert only(frame).completed_at is not pd.NaT


def test_a_running_run_shows_its_text_so_far_and_its_end_is_not_lost(log):
    run = begin(log)
    for word in ("one ", "two ", "three"):
        log.text(run.id, word)
    row = only(log.frame("SELECT status, response_text FROM runs"))
    assert row.status == "running"
    assert row.response_text.startswith("one ")
    for _ in range(3):  # each reading starts a new journal and carries the run over
        log.frame("SELECT 1")
    log.text(run.id, " four")
    log.finished(completed(run, text="one two three four"))
    row = only(log.frame("SELECT status, response_text FROM runs"))
    assert (row.status, row.response_text) == ("completed", "one two three four")


def test_finished_is_on_disk_when_it_returns(log, journals):
    run = begin(log)
    log.finished(completed(run, text="safe and sound"))
    assert "safe and sound" in "".join(file.read_text() for file in journals())


def test_the_first_text_is_written_at_once_and_later_text_within_a_moment(log, journals, until):
    run = begin(log)
    log.text(run.id, "alpha ")
    (file,) = journals()
    assert "alpha" in file.read_text()
    log.text(run.id, "beta ")
    log.text(run.id, "gamma ")
    until(lambda: "beta gamma" in file.read_text())


def test_the_text_of_all_running_runs_goes_in_one_write(log, journals, until):
    runs = [begin(log) for _ in range(20)]
    for run in runs:
        log.text(run.id, "first ")
    began = time.monotonic()
    for run in runs:
        log.text(run.id, "second ")
    took_s = time.monotonic() - began
    (file,) = journals()
    until(lambda: file.read_text().count("second") == 20)
    lines = [line for line in file.read_text().splitlines() if "second" in line]
    assert len(lines) <= 3 + took_s / 0.05


def test_journals_are_for_their_owner_only(log, journals, path):
    begin(log)
    (file,) = journals()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert file.parent == path.with_name("runs.duckdb.journal")


def test_a_drained_journal_is_gone_and_does_not_grow(log, journals):
    for _ in range(5):
        record(log)
        log.drain()
    assert journals() == []
    assert log.waiting() == 0


def test_waiting_counts_what_only_the_journal_has(log):
    record(log)
    record(log)
    assert log.waiting() == 2
    log.drain()
    assert log.waiting() == 0


def test_a_finished_run_reaches_the_database_by_itself(log, path, journals, until):
    record(log)
    until(lambda: path.exists() and not journals())
    with duckdb.connect(str(path), read_only=True) as connection:
        assert connection.execute("SELECT status FROM results").fetchall() == [("completed",)]


def test_rows_of_another_program_appear_and_bring_no_obligations(log, path):
    log.drain()
    with duckdb.connect(str(path)) as connection:
        connection.execute("INSERT INTO results (model, status) VALUES ('openai:x', 'completed')")
    row = only(log.frame("SELECT * FROM runs"))
    assert row.model == "openai:x"
    assert not row.cached
    assert pd.notna(row.started_at)


def test_rating_is_the_mean_of_the_ratings(log, path):
    run = record(log)
    log.drain()
    with duckdb.connect(str(path)) as connection:
        for score in (1, 4):
            connection.execute(
                "INSERT INTO ratings (result_id, score) VALUES (?, ?)", [run.id, score]
            )
    assert only(log.frame("SELECT rating FROM runs")).rating == 2.5


INDEXES = {
    "duckdb": "SELECT expressions AS fields, is_unique FROM duckdb_indexes() "
    "WHERE table_name = 'results'",
    "postgres": "SELECT substring(pg_get_indexdef(indexrelid) FROM '\\((.*)\\)') AS fields, "
    "indisunique AS is_unique FROM pg_index WHERE indrelid = 'results'::regclass",
}


def test_indexes_are_where_the_contract_says(log):
    frame = log.frame(INDEXES[log.dialect])
    found = {(row.fields.strip("[]").replace('"', ""), row.is_unique) for row in frame.itertuples()}
    assert found >= {("execution_id, iteration_number", False), ("prompt_hash", False)}


@pytest.mark.parametrize(
    "text",
    ["", 'quote " and \\ back', "\u2028 line", "日本語 🎈", "x" * 3_000_000, "a\nb\r\n"],
    ids=["empty", "quotes", "separator", "unicode", "three-megabytes", "newlines"],
)
def test_any_text_comes_back_as_it_was(log, text):
    run = begin(log, prompt(text))
    log.text(run.id, text)
    log.finished(completed(run, text=text))
    row = only(log.frame("SELECT user_prompt, response_text FROM runs"))
    assert row.response_text == text
    assert row.user_prompt == text


def test_what_a_database_cannot_hold_costs_a_character_and_not_the_run(log):
    """PostgreSQL has no NUL in texts."""
    texts = ["a\0b", "\0\0", "written \\u0000 is six characters", "\\\0"]
    for text in texts:
        record(log, prompt(text), text=text)
    found = log.frame("SELECT response_text, user_prompt FROM runs ORDER BY started_at")
    held = texts if log.dialect == "duckdb" else [t.replace("\0", "\ufffd") for t in texts]
    assert list(found.response_text) == list(found.user_prompt) == held


def test_what_utf8_cannot_carry_costs_a_character_and_not_the_run(log):
    record(log, prompt("half \ud83d", extra={"odd": float("nan")}), text="x\udc00y")
    assert only(log.frame("SELECT response_text FROM runs")).response_text == "x?y"


def test_a_folder_with_pattern_characters_is_just_a_folder(tmp_path):
    log = open_log(str(tmp_path / "a[1]*'b" / "runs.duckdb"))
    record(log)
    assert len(log.frame("SELECT * FROM runs")) == 1
    log.close()


def test_one_object_for_one_url(path):
    assert open_log(str(path)) is open_log(f"duckdb:///{path}")


def test_the_setting_names_the_log(tmp_path, monkeypatch):
    monkeypatch.setenv("LLM_PLAYGROUND_LOG", f"duckdb:///{tmp_path}/set.duckdb")
    assert open_log().path == tmp_path / "set.duckdb"


def test_another_kind_of_database_is_refused_in_one_line():
    with pytest.raises(ConfigError, match="a path such as"):
        open_log("mysql://host/db")


def test_many_threads_record_and_read_at_once(log):
    def work():
        for _ in range(25):
            record(log)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        log.frame("SELECT count(*) FROM runs")
    for thread in threads:
        thread.join(20)
    assert len(log.frame("SELECT * FROM runs")) == 200


def test_text_and_end_of_a_run_nobody_started_do_no_harm(log):
    log.text("no such run", "text")
    request = prompt()
    log.finished(completed(run_of(request, execution_of(request))))
    assert len(log.frame("SELECT * FROM runs")) == 1


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # said since Python 3.12
def test_a_forked_child_writes_a_journal_of_its_own(log, journals):
    run = begin(log)
    log.text(run.id, "parent ")
    before = journals()
    child = os.fork()
    if child == 0:
        try:
            record(log, text="from the child")
            os._exit(0)
        except BaseException:
            os._exit(1)
    assert os.waitpid(child, 0)[1] == 0
    assert len(journals()) == len(before) + 1
    frame = log.frame("SELECT status, response_text FROM runs ORDER BY status")
    assert frame.values.tolist() == [["completed", "from the child"], ["running", "parent "]]
    log.finished(completed(run, text="parent done"))
    assert set(log.frame("SELECT status FROM runs").status) == {"completed"}


def test_an_answer_in_the_background_is_found_by_its_id_and_completed_once(log):
    request = prompt()
    execution = execution_of(request)
    run = begin(log, request, execution)
    failed, accepted = Attempt(1, 0.0, 5.0, 500), Attempt(2, 1.0, 5.0, 200, response_id="resp_1")
    log.updated(replace(run, attempts=[failed, accepted]))

    counted = {"usage": Usage(90, None, 50), "usage_source": "provider"}
    log.updated(replace(run, attempts=[failed, accepted], **counted))

    sql = "SELECT CAST(attempts AS VARCHAR) AS attempts, input_tokens, cache_read_tokens"
    row = only(log.frame(f"{sql} FROM results"))
    assert (row.input_tokens, row.cache_read_tokens) == (90, 50)
    assert [one.get("response_id") for one in json.loads(row.attempts)] == [None, "resp_1"]

    log.finished(replace(run, status="interrupted", attempts=[failed, accepted], text="Hel"))
    assert only(log.frame("SELECT status FROM runs")).status == "interrupted"
    log.finished(completed(run, text="Hello.", attempts=[failed, accepted]))
    row = only(log.frame("SELECT status, response_text, cost_usd FROM runs"))
    assert (row.status, row.response_text) == ("completed", "Hello.")


@pytest.mark.parametrize("later", ["completed", "failed"])
def test_a_resumed_end_wins_over_the_interrupted_one_beside_it(log, later):
    half = result("r", status="interrupted", response_text="half", attempts=[{}, {}])
    whole = result("r", status=later, response_text="whole answer", attempts=[{}])
    moment = {"started_at": half["result"]["started_at"]}
    abandon(log, half, whole | {"result": whole["result"] | moment})

    [row] = log.rows("SELECT status, response_text FROM results")
    assert row == {"status": later, "response_text": "whole answer"}
