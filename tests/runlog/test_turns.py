"""Turns at a file: one at a time, and nobody waits for ever."""

import fcntl
import threading
import time

import pytest

from llm_playground.runlog.journal import FairFileLock

TIMEOUT_S = 20


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
