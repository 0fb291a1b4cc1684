"""Importing into a log that many share, as somebody who may only add and read their own."""

import json
import subprocess
import sys

import pytest

import llm_playground as lp
from llm_playground.errors import RunLogError
from llm_playground.runlog import open_log, postgres_admin
from tests.exporting.shelf import fill, run
from tests.runlog.conftest import server, template, url

__all__ = ["server", "template", "url"]


@pytest.fixture
def member_of(server, url):
    """Where the log is for somebody with a role of their own."""
    server.execute(url.partition("?")[0].rpartition("/")[2], postgres_admin.sql())
    return lambda: server.new_role(url, "llm_playground_member")


def test_members_import_what_they_like_once_and_only_they_see_it(
    member_of, url, tmp_path, monkeypatch
):
    monkeypatch.setenv("LLM_PLAYGROUND_LOG", str(tmp_path / "log" / "runs.duckdb"))
    count = fill(open_log())
    text = lp.export(lp.runs())
    ines, jim = member_of(), member_of()
    monkeypatch.setenv("LLM_PLAYGROUND_LOG", ines)
    assert lp.import_runs(text) == count
    assert lp.import_runs(text) == 0
    assert len(lp.runs()) == count
    monkeypatch.setenv("LLM_PLAYGROUND_LOG", jim)
    assert lp.import_runs(text) == 0  # they are in the log, if not for jim's eyes
    assert lp.runs().empty
    assert len(open_log(url).frame("SELECT * FROM runs")) == count


def test_a_log_that_is_away_is_said_in_a_line(url, server, monkeypatch):
    text = lp.export([])
    monkeypatch.setenv("LLM_PLAYGROUND_LOG", url)
    document = json.loads(text) | {"runs": json.loads(lp.export(run()))["runs"]}
    server.stop()
    try:
        with pytest.raises(RunLogError) as error:
            lp.import_runs(document)
    finally:
        server.start()
    assert "\n" not in str(error.value)
    assert lp.import_runs(document) == 1


def test_two_who_import_the_same_at_once_import_each_run_once(url, tmp_path, monkeypatch):
    monkeypatch.setenv("LLM_PLAYGROUND_LOG", url)
    row = json.loads(lp.export(run()))["runs"][0]
    ids = [f"0190c7e2-0000-7000-8000-{number:012x}" for number in range(600)]
    turned = [ids, ids[::-1]]
    for path, order in zip((tmp_path / "a.json", tmp_path / "b.json"), turned, strict=True):
        rows = [row | dict.fromkeys(("run_id", "execution_id", "prompt_id"), one) for one in order]
        document = {"format": "llm_playground.runs", "version": 1, "runs": rows}
        path.write_text(json.dumps(document))
    code = "import sys, llm_playground as lp\nprint(lp.import_runs(sys.argv[1]))"
    started = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path / name)], stdout=subprocess.PIPE, text=True
        )
        for name in ("a.json", "b.json")
    ]
    printed = [process.communicate(timeout=300)[0] for process in started]
    assert sum(map(int, printed)) == 600
    assert sorted(lp.runs().run_id) == ids
