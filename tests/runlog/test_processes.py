"""Several processes share one log; any of them may die at any moment."""

import fcntl
import os
import shutil
import signal
import threading

import pytest

from llm_playground.reports import spending
from llm_playground.runlog import journal
from tests.runlog.actors import begin, completed

TIMEOUT_S = 240
PEOPLE = 6
RUNS_EACH = 100


def streaming(process):
    """Wait until the actor is in the middle of its third run; that run's id."""
    word, run_id = process.stdout.readline().split()
    assert word == "streaming"
    return run_id


def kill(process):
    process.send_signal(signal.SIGKILL)
    process.wait(TIMEOUT_S)


def states(log):
    frame = log.frame("SELECT run_id, status, response_text FROM runs ORDER BY response_text")
    return {row.run_id: (row.status, row.response_text) for row in frame.itertuples()}


def test_six_writers_and_a_reader_lose_and_double_nothing(log, path, actor, monkeypatch):
    monkeypatch.setenv("LLM_PLAYGROUND_LOG", str(path))
    writers = [actor("write_many", RUNS_EACH) for _ in range(PEOPLE)]
    seen = [0]
    while any(writer.poll() is None for writer in writers) or len(seen) < 3:
        seen.append(int(spending.costs(by=()).runs.sum()))
    for writer in writers:
        _, complaints = writer.communicate(timeout=TIMEOUT_S)
        assert (writer.returncode, complaints) == (0, "")
    assert seen == sorted(seen)
    frame = log.frame(
        "SELECT count(*) AS n, count(DISTINCT run_id) AS ids, sum(cost_usd) AS usd FROM runs"
    )
    assert (frame.n[0], frame.ids[0]) == (PEOPLE * RUNS_EACH, PEOPLE * RUNS_EACH)
    assert frame.usd[0] == pytest.approx(PEOPLE * RUNS_EACH * 0.0000015)
    assert set(log.frame("SELECT status FROM executions").status) == {"completed"}
    assert len(log.frame("SELECT id FROM prompts")) == 7


def test_a_killed_process_loses_nothing_but_its_future(log, actor, journals):
    victim = actor("break_off")
    broken = streaming(victim)
    kill(victim)
    found = states(log)
    assert found.pop(broken) == ("interrupted", "once upon a time")
    assert sorted(found.values()) == [("completed", "first"), ("completed", "second")]
    executions = log.frame("SELECT status, count(*) AS n FROM executions GROUP BY 1 ORDER BY 1")
    assert executions.values.tolist() == [["completed", 2], ["interrupted", 1]]
    assert journals() == []


def test_a_killed_process_whose_journal_was_read_before_is_taken_over_too(log, actor, journals):
    victim = actor("break_off")
    broken = streaming(victim)
    assert states(log)[broken][0] == "running"
    kill(victim)
    assert states(log)[broken] == ("interrupted", "once upon a time")
    assert journals() == []


def test_what_a_process_carried_into_a_new_journal_survives_it_too(log, actor, journals):
    victim = actor("read_and_break_off")
    broken = streaming(victim)
    kill(victim)
    assert states(log) == {broken: ("interrupted", "once upon a time")}
    assert list(log.frame("SELECT status FROM executions").status) == ["interrupted"]
    assert journals() == []


def test_who_opens_the_database_waits_for_its_lock_file(log, path):
    """Without it DuckDB loses committed rows now and then, too seldom to wait for."""
    log.drain()
    reader = threading.Thread(target=log.frame, args=("SELECT 1",))
    with path.with_name(path.name + ".lock").open("r+b") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        reader.start()
        reader.join(0.5)
        assert reader.is_alive()
    reader.join(TIMEOUT_S)
    assert not reader.is_alive()


def test_another_living_process_is_read_at_once_and_left_alone(log, actor, journals):
    neighbour = actor("break_off")
    streaming(neighbour)
    before = [file.name for file in journals()]
    assert sorted(states(log).values()) == [
        ("completed", "first"),
        ("completed", "second"),
        ("running", "once upon a time"),
    ]
    assert [file.name for file in journals()][: len(before)] == before


def test_a_process_that_leaves_without_farewell_is_read(log, actor):
    assert actor("forget").wait(TIMEOUT_S) == 0
    assert list(states(log).values()) == [("completed", "left behind")]


def test_an_ended_interpreter_leaves_no_journal(actor, journals, path):
    assert actor("write_many", 3).wait(TIMEOUT_S) == 0
    assert journals() == []
    assert path.exists()


def test_a_dead_journal_is_renamed_before_it_is_read(log, actor, journals):
    assert actor("forget").wait(TIMEOUT_S) == 0
    (file,) = journals()
    taken = journal.Journal.take_over(file)
    assert not file.exists()
    assert [found.name for found in journals()] == [taken.path.name]
    taken.close()  # this process, too, dies before it is done
    assert list(states(log).values()) == [("completed", "left behind")]
    assert journals() == []


@pytest.mark.parametrize(
    "stranger", ["otherhost~{boot}", "{host}~00000000-0000-0000-0000-000000000000"]
)
def test_a_journal_of_another_machine_is_read_but_kept(log, actor, journals, stranger):
    assert actor("forget").wait(TIMEOUT_S) == 0
    (file,) = journals()
    host, boot, rest = file.name.split("~", 2)
    foreign = file.rename(file.with_name(f"{stranger.format(host=host, boot=boot)}~{rest}"))
    assert list(states(log).values()) == [("completed", "left behind")]
    assert foreign.exists()
    os.utime(foreign, (0, 0))  # nobody has written there for years
    assert list(states(log).values()) == [("completed", "left behind")]
    assert not foreign.exists()


@pytest.mark.parametrize("ends", ["while it lives", "when it is dead"])
def test_two_pid_namespaces_share_a_folder(log, actor, journals, tmp_path, until, ends):
    """Two containers on one volume: the same host name, boot id and pids, two processes."""
    alone = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc")
    assert shutil.which(alone[0]), "util-linux's unshare is needed for this promise"
    pids = [tmp_path / "pid-a", tmp_path / "pid-b"]
    containers = [actor("break_off", pid, before=alone) for pid in pids]
    broken = [streaming(container) for container in containers]
    assert pids[0].read_text() == pids[1].read_text()
    assert len(journals()) == 2
    if ends == "while it lives":
        assert {states(log)[run_id][0] for run_id in broken} == {"running"}
        assert len(journals()) == 2
    kill(containers[0])  # the system ends what it contains a moment later
    until(lambda: states(log)[broken[0]][0] == "interrupted")
    found = states(log)
    assert found[broken[0]] == ("interrupted", "once upon a time")
    assert found[broken[1]] == ("running", "once upon a time")
    kill(containers[1])
    until(lambda: states(log)[broken[1]][0] == "interrupted")
    found = states(log)
    assert found[broken[1]] == ("interrupted", "once upon a time")
    assert sorted(status for status, _ in found.values()) == ["completed"] * 4 + ["interrupted"] * 2
    assert journals() == []


def test_a_crash_between_commit_and_removal_doubles_nothing(log, actor, journals):
    victim = actor("break_off")
    broken = streaming(victim)
    kill(victim)
    (file,) = journals()
    content = file.read_bytes()
    before = states(log)
    file.write_bytes(content)
    assert states(log) == before
    assert before[broken] == ("interrupted", "once upon a time")
    assert journals() == []


def test_an_old_journal_undoes_no_later_end(log, actor, journals):
    """Somebody's backup brings back the journal from before the run was finished."""
    run = begin(log)
    log.text(run.id, "half")
    (file,) = journals()
    old = file.read_bytes()
    log.finished(completed(run, text="whole"))
    assert states(log)[run.id] == ("completed", "whole")
    file.with_name(file.name.replace("~", "~old-", 1)).write_bytes(old)
    log.drain()
    assert states(log)[run.id] == ("completed", "whole")


def test_a_process_that_only_reads_leaves_no_journal(log, journals):
    log.frame("SELECT 1")
    assert journals() == []
