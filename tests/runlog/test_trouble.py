"""Whatever is wrong with the log: runs go on, and one line says what to do."""

import logging
import os
import subprocess
import sys
import threading
import time

import duckdb
import pytest

from llm_playground.errors import RunLogError
from llm_playground.runlog import open_log
from tests.runlog.actors import begin, completed, record
from tests.runlog.holding import held

TIMEOUT_S = 240


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
    until(warnings_of)
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
    with held(path, "writing") as holder:
        record(log)
        with pytest.raises(RunLogError, match="another program") as error:
            log.frame("SELECT 1")
        assert str(holder.pid) in one_line(error)
    assert statuses(log) == ["completed", "completed"]
    assert log.check() == "ok"


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


def test_a_clock_that_jumps_backwards_loses_and_doubles_nothing(log, monkeypatch, journals):
    record(log, text="before")
    now_ns, now_s = time.time_ns(), time.time()
    monkeypatch.setattr(time, "time_ns", lambda: now_ns - 3600 * 10**9)
    monkeypatch.setattr(time, "time", lambda: now_s - 3600)
    record(log, text="after")
    log.drain()
    record(log, text="and again")
    monkeypatch.undo()
    found = log.frame("SELECT run_id, response_text FROM runs")
    assert sorted(found.response_text) == ["after", "and again", "before"]
    assert found.run_id.is_unique
    assert journals() == []
    assert log.waiting() == 0


def test_drain_that_the_end_of_python_interrupts_logs_no_warning(path, warnings_of, monkeypatch):
    log = open_log(str(path))
    record(log)
    path.mkdir()  # a drain fails
    monkeypatch.setattr(threading.main_thread(), "is_alive", lambda: False)

    assert log._drain_quietly() is None

    assert warnings_of() == []


READ_UNTIL_THE_END = """
import sys, threading, time
from llm_playground.errors import RunLogError
from llm_playground.runlog import open_log

def read():
    try:
        while True:
            log.select("SELECT count(*) FROM runs")
            begun.set()
    except RunLogError:
        pass

log, begun = open_log(sys.argv[1]), threading.Event()
threading.Thread(target=read, daemon=True).start()
begun.wait()
"""


def test_daemon_thread_that_reads_while_python_ends_does_not_abort_it(path):
    done = subprocess.run(
        [sys.executable, "-c", READ_UNTIL_THE_END, path],
        capture_output=True, text=True, timeout=TIMEOUT_S, check=False,
    )  # fmt: skip

    assert (done.returncode, done.stderr) == (0, "")
