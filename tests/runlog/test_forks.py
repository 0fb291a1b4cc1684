"""Forking while the log is in use: children log what they do, and the file stays whole."""

import multiprocessing
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from llm_playground.runlog import open_log
from tests.providers.formats import openai_stream
from tests.providers.server import Reply
from tests.runlog.actors import record

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*fork.*:DeprecationWarning"  # Python 3.12 says of every fork that threads are lost
)
CHILDREN, ROUNDS, LIMIT_S = 4, 2, 240
ROOT = Path(__file__).parents[2]


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


# What a parent reads before it forks.
READINGS = (
    "open_log()",
    "lp.runs()",
    "lp.sql('SELECT 1')",
    "lp.costs()",
    "pandas.read_sql('SELECT model FROM runs', lp.engine())",
    "lp.import_runs(lp.export(lp.runs(), 'csv', 'runs.csv'))",
    "begin(open_log()), open_log().waiting(), open_log().check()",
    "duckdb.sql('SELECT 1').fetchall()",
    "duckdb.from_df(lp.runs()).write_parquet('runs.parquet')",
)
FORKS = """
import concurrent.futures, multiprocessing, os, sys
import duckdb, pandas
import llm_playground as lp
from llm_playground.runlog import open_log
from tests.runlog.actors import begin, record

def act(way):
    record(open_log(), text=way)
    assert way in list(lp.runs().response_text)

def ask(way):
    act(way)
    return lp.ask("Hi", model="openai:gpt-4o-mini").text

def forked(work, *arguments):
    child = os.fork()
    if child == 0:
        work(*arguments)
        sys.exit(0)
    return os.waitpid(child, 0)[1]

ask("parent")  # loads what the children use
for reading in {readings}:
    result = eval(reading)
    print(forked(act, "fork"), end=" ")
    del result
print(forked(ask, "fork"), forked(str))
forking = multiprocessing.get_context("fork")
process = forking.Process(target=ask, args=("process",))
process.start()
process.join()
with concurrent.futures.ProcessPoolExecutor(1, forking) as pool:
    print(process.exitcode, pool.submit(ask, "pool").result(), ask("parent"))
print(list(lp.runs().response_text).count("Hello"))
"""


def test_forks_after_readings_end_cleanly(place, serve, tmp_path):
    serve(lambda _: Reply(openai_stream(["Hel", "lo"])))
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORKS.replace("{readings}", str(READINGS))],
        env=os.environ | {"PYTHONPATH": str(ROOT), "LLM_PLAYGROUND_LOG": place},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=2 * LIMIT_S,
        check=False,
    )
    assert done.stderr == ""
    assert done.returncode == 0
    assert done.stdout.splitlines() == ["0 " * len(READINGS) + "0 0", "0 Hello Hello", "5"]
