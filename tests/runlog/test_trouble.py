"""Whatever is wrong with the log: runs go on, and one line says what to do."""

import logging
import os
import subprocess
import sys

import duckdb
import pytest

from llm_playground.errors import RunLogError
from llm_playground.runlog import open_log
from tests.runlog.actors import begin, completed, record

TIMEOUT_S = 60


@pytest.fixture
def warnings_of(caplog):
    caplog.set_level(logging.WARNING, logger="llm_playground.runlog")
    return lambda: [entry.getMessage() for entry in caplog.records]


def one_line(error):
    text = str(error.value)
    assert "\n" not in text
    return text


def statuses(log):
    return sorted(log.frame("SELECT status FROM runs").status)


def test_a_torn_last_line_is_passed_over(log, actor, journals):
    assert actor("forget").wait(TIMEOUT_S) == 0
    (file,) = journals()
    with file.open("ab") as stream:
        stream.write(b'{"kind":"finished","result":{"id":"half')
    assert statuses(log) == ["completed"]


def test_garbage_in_a_journal_costs_its_own_lines_only(log, actor, journals):
    assert actor("forget").wait(TIMEOUT_S) == 0
    (file,) = journals()
    file.write_bytes(b"\xff\xfe\0garbage\n[1]\n" + file.read_bytes() + b"\0\0\0\n{}\n")
    assert statuses(log) == ["completed"]


@pytest.mark.parametrize("place", ["file/runs.duckdb", "/proc/nowhere/runs.duckdb"])
def test_a_place_that_cannot_be_written_warns_once_and_runs_go_on(tmp_path, place, warnings_of):
    (tmp_path / "file").write_text("not a folder")
    log = open_log(str(tmp_path / place))
    for _ in range(3):
        run = begin(log)
        log.text(run.id, "text")
        log.finished(completed(run))
    log._drain_quietly()  # what the timer does a moment later
    (warning,) = warnings_of()
    assert "Runs go on" in warning
    assert "\n" not in warning
    for door in (log.drain, lambda: log.frame("SELECT 1"), log.waiting):
        with pytest.raises(RunLogError) as error:
            door()
        assert "LLM_PLAYGROUND_LOG" in one_line(error)
    assert "LLM_PLAYGROUND_LOG" in log.check()
    log.close()


def test_what_a_full_disk_refused_is_written_when_there_is_room(log, actor):
    process = actor("full_disk")
    _, said = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 0
    assert said.count("\n") == 1
    assert "not being logged" in said
    frame = log.frame("SELECT response_text FROM runs ORDER BY started_at")
    assert list(frame.response_text) == ["while the disk was full", "still full", "room again"]


@pytest.mark.parametrize("content", [os.urandom(50_000), b"SQLite format 3\0" + bytes(5_000), b"x"])
def test_a_damaged_file_is_kept_and_moved_aside_only_on_request(path, content, warnings_of, until):
    path.parent.mkdir()
    path.write_bytes(content)
    log = open_log(str(path))
    record(log)
    with pytest.raises(RunLogError, match="set_aside") as error:
        log.frame("SELECT 1")
    assert "left as it is" in one_line(error)
    assert path.read_bytes() == content
    until(warnings_of, timeout_s=10)
    record(log)
    assert log.waiting() == 2
    aside = log.set_aside()
    assert aside.read_bytes() == content
    assert statuses(log) == ["completed", "completed"]
    log.close()


def test_a_damaged_block_is_an_error_that_says_the_file_is_kept(path):
    log = open_log(str(path))
    for _ in range(50):
        record(log, text="some text " * 500)
    log.drain()
    log.close()
    content = bytearray(path.read_bytes())
    content[4096 * 3 :] = os.urandom(len(content) - 4096 * 3)
    path.write_bytes(content)
    with pytest.raises(RunLogError, match="left as it is") as error:
        log.frame("SELECT * FROM runs")
    one_line(error)
    assert path.read_bytes() == bytes(content)


def test_a_newer_log_is_refused_in_one_line_and_runs_go_on(path):
    log = open_log(str(path))
    log.drain()
    with duckdb.connect(str(path)) as connection:
        connection.execute("INSERT INTO schema_migrations (version) VALUES (1000)")
    record(log)
    with pytest.raises(RunLogError, match="newer version") as error:
        log.frame("SELECT 1")
    assert "Upgrade llm_playground" in one_line(error)
    assert log.check() == one_line(error)
    with duckdb.connect(str(path)) as connection:
        connection.execute("DELETE FROM schema_migrations WHERE version = 1000")
    assert statuses(log) == ["completed"]
    log.close()


def test_a_file_held_by_another_program_is_waited_for_and_then_named(log, path, until):
    record(log)
    log.drain()
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert holder.stdout.readline() == b"held\n"
        record(log)
        with pytest.raises(RunLogError, match="another program") as error:
            log.frame("SELECT 1")
        assert str(holder.pid) in one_line(error)
    finally:
        holder.communicate(timeout=TIMEOUT_S)
    assert statuses(log) == ["completed", "completed"]
    assert log.check() == "ok"


HOLD = """
import sys, duckdb
held = duckdb.connect(sys.argv[1])
print("held", flush=True)
sys.stdin.read()
"""


def test_a_file_open_in_this_process_is_named_too(log, path):
    record(log)
    log.drain()
    with duckdb.connect(str(path)), pytest.raises(RunLogError, match="in this process") as error:
        log.frame("SELECT 1")
    one_line(error)


def test_a_deleted_journal_folder_is_made_again(log, journals):
    begin(log)
    for file in journals():
        file.unlink()
    log.journals.rmdir()
    record(log)
    assert "completed" in statuses(log)


def test_a_deleted_database_starts_anew(log, path):
    record(log)
    log.drain()
    path.unlink()
    record(log)
    assert statuses(log) == ["completed"]
