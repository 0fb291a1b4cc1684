"""Forking while the log is in use: children log what they do, and the file stays whole."""

import multiprocessing
import threading

import pytest

from llm_playground.runlog import open_log
from tests.runlog.actors import record

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*fork.*:DeprecationWarning"  # Python 3.12 says of every fork that threads are lost
)
CHILDREN, ROUNDS, LIMIT_S = 4, 2, 60


def write_in_child(path):
    record(open_log(str(path)), text="of a child")
    open_log(str(path)).drain()


def test_a_log_that_is_drained_and_read_all_the_time_can_be_forked(tmp_path):
    path = tmp_path / "runs.duckdb"
    log, stop = open_log(str(path)), threading.Event()

    def keep_busy():
        while not stop.is_set():
            record(log, text="of the parent")
            log.frame("SELECT count(*) FROM results")

    busy = [threading.Thread(target=keep_busy) for _ in range(2)]
    for thread in busy:
        thread.start()
    try:
        for _ in range(ROUNDS):
            fork_some(path)
    finally:
        stop.set()
        for thread in busy:
            thread.join(LIMIT_S)

    texts = log.frame("SELECT response_text, count(*) AS n FROM results GROUP BY ALL")
    assert dict(zip(texts.response_text, texts.n, strict=True))["of a child"] == CHILDREN * ROUNDS
    assert log.check() == "ok"


def fork_some(path):
    forking = multiprocessing.get_context("fork")
    children = [forking.Process(target=write_in_child, args=(path,)) for _ in range(CHILDREN)]
    for child in children:
        child.start()
    for child in children:
        child.join(LIMIT_S)
    assert [child.exitcode for child in children] == [0] * CHILDREN
