"""Turns at a file: one at a time, and nobody waits for ever."""

import fcntl
import os
import threading
import time
from contextlib import contextmanager

import pytest

from llm_playground.runlog.journal import FairFileLock, is_granted_within

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*fork.*:DeprecationWarning"  # Python 3.12 says of every fork that threads are lost
)
TIMEOUT_S = 240


@pytest.fixture
def lock(tmp_path):
    return tmp_path / "runs.duckdb.lock"


def holding(lock):
    held = lock.open("ab")
    fcntl.flock(held, fcntl.LOCK_EX)
    return held


def test_a_turn_that_does_not_come_is_given_up_and_blocks_nobody_later(lock):
    held = holding(lock)
    turns = FairFileLock(lock)
    with pytest.raises(TimeoutError):
        turns.acquire(0.1)
    held.close()
    turns.acquire(TIMEOUT_S)
    turns.release()
    FairFileLock(lock).acquire(TIMEOUT_S)


def test_a_suspended_process_loses_one_step_of_its_wait():
    granted = iter([False, False, True])
    assert is_granted_within(1.0, lambda step_s: step_s == 0.1 and next(granted))

    steps = []
    assert not is_granted_within(1.0, steps.append)
    assert sum(steps) == pytest.approx(1.0)


def test_a_turn_comes_as_soon_as_it_is_free(lock):
    held = holding(lock)
    turns = FairFileLock(lock)
    waiting = threading.Thread(target=turns.acquire, args=(TIMEOUT_S,))
    waiting.start()
    waiting.join(0.2)
    assert waiting.is_alive()
    held.close()
    waiting.join(TIMEOUT_S)
    assert not waiting.is_alive()
    turns.release()


def test_who_asks_without_pause_keeps_nobody_waiting(lock):
    ended = threading.Event()

    def greedy():
        turns = FairFileLock(lock)
        while not ended.is_set():
            turns.acquire(TIMEOUT_S)
            time.sleep(0.02)
            turns.release()

    others = [threading.Thread(target=greedy) for _ in range(2)]
    for other in others:
        other.start()
    turns = FairFileLock(lock)
    for _ in range(20):
        turns.acquire(TIMEOUT_S)
        turns.release()
    ended.set()
    for other in others:
        other.join(TIMEOUT_S)
        assert not other.is_alive()


@contextmanager
def forked(work=lambda: None):
    """A child that lives until the end of the block, after ``work``."""
    (ready, tell_ready), (end, tell_end) = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        try:
            work()
            os.write(tell_ready, b"1")
            os.close(tell_end)
            os.read(end, 1)
        finally:
            os._exit(0)
    os.close(end)
    os.close(tell_ready)
    is_ready = os.read(ready, 1)
    os.close(ready)
    try:
        assert is_ready
        yield
    finally:
        os.close(tell_end)
        os.waitpid(child, 0)


def test_a_request_that_was_given_up_leaves_no_lock_to_a_forked_child(lock):
    held = holding(lock)
    turns = FairFileLock(lock)
    with pytest.raises(TimeoutError):
        turns.acquire(0.1)
    with forked():
        fcntl.flock(held, fcntl.LOCK_UN)
        FairFileLock(lock).acquire(TIMEOUT_S)
    held.close()


def test_a_lock_leaves_nothing_to_a_forked_child_of_a_killed_process(lock):
    turns = FairFileLock(lock)
    turns.acquire(TIMEOUT_S)
    with forked(turns.close_in_child):
        os.close(turns._held)  # as the system does at the end of a process
        FairFileLock(lock).acquire(TIMEOUT_S)


def test_requests_that_were_given_up_take_one_thread(lock):
    held = holding(lock)
    turns = FairFileLock(lock)
    before = {*threading.enumerate()}
    for _ in range(5):
        with pytest.raises(TimeoutError):
            turns.acquire(0.01)
    new = {*threading.enumerate()} - before
    assert [thread.name for thread in new].count("llm_playground-lock") == 1
    held.close()
    turns.acquire(TIMEOUT_S)
    turns.release()


def test_a_request_that_was_given_up_is_not_used_for_a_new_file(lock):
    held = holding(lock)
    turns = FairFileLock(lock)
    with pytest.raises(TimeoutError):
        turns.acquire(0.01)
    lock.unlink()
    newer = holding(lock)
    held.close()
    with pytest.raises(TimeoutError):
        turns.acquire(0.1)
    newer.close()
    turns.acquire(TIMEOUT_S)
    turns.release()
