"""Reads and changes that wait briefly for a log that another process or thread keeps."""

import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager

import pytest

from llm_playground.errors import RunLogError
from tests.runlog.actors import record

WAIT_S, LIMIT_S = 0.3, 25.0  # without its argument, an access waits for 30 s
ACCESSES = {
    "read": lambda log: log.read(lambda session: session.rows("SELECT 1"), wait_s=WAIT_S),
    "lagging read": lambda log: log.read(
        lambda session: session.rows("SELECT 1"), may_lag=True, wait_s=WAIT_S
    ),
    "change": lambda log: log.change(lambda session: session.rows("SELECT 1"), wait_s=WAIT_S),
    "rows": lambda log: log.rows("SELECT 1 AS one", wait_s=WAIT_S),
    "select": lambda log: log.select("SELECT 1 AS one", wait_s=WAIT_S),
}


def refused_quickly(access, log):
    """The message of an access that is given up soon."""
    began = time.monotonic()
    with pytest.raises(RunLogError) as error:
        ACCESSES[access](log)
    assert time.monotonic() - began < LIMIT_S
    return str(error.value)


@pytest.mark.parametrize("access", ACCESSES)
def test_process_that_keeps_the_log_is_named(log, path, actor, access):
    record(log)
    log.drain()
    holder = actor("keep")
    assert holder.stdout.readline() == "kept\n"

    message = refused_quickly(access, log)
    holder.send_signal(signal.SIGSTOP)
    suspended = refused_quickly(access, log)
    holder.send_signal(signal.SIGCONT)
    holder.communicate(timeout=300)

    assert f"Process {holder.pid} has kept the run log {path} for 0.3 s." in message
    assert f"Process {holder.pid} (suspended) has kept" in suspended
    assert ACCESSES[access](log)


@contextmanager
def kept_by(thread_name, log):
    """A thread of this process has the log; the block's function lets it go."""
    kept, ended = threading.Event(), threading.Event()

    def keep(session):
        kept.set()
        ended.wait(60)

    thread = threading.Thread(target=log.read, args=(keep,), name=thread_name)
    thread.start()
    kept.wait(60)
    yield ended.set
    ended.set()
    thread.join(60)


def test_thread_that_keeps_the_log_is_named(log):
    with kept_by("a long look", log):
        messages = [refused_quickly(access, log) for access in ACCESSES]

    assert all("(a long look) has kept the run log" in message for message in messages)
    assert [len(ACCESSES[access](log)) for access in ("read", "rows")] == [1, 1]


def test_own_drain_is_awaited(log):
    """A read with little patience ends after it, on a busy machine too."""
    with kept_by("llm_playground-drain", log) as let_go, ThreadPoolExecutor() as pool:
        waiting = pool.submit(ACCESSES["rows"], log)
        finished, _ = wait([waiting], timeout=3 * WAIT_S)
        let_go()

    if log.path is None:  # the server may be away
        assert "has kept the run log" in str(waiting.exception())
    else:
        assert not finished
        assert waiting.result() == [{"one": 1}]
