"""Paths of the run log that are not ordinary files."""

import os
from pathlib import Path

import pytest

from llm_playground.errors import ConfigError, RunLogError
from llm_playground.runlog import open_log


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo], ids=["a folder", "a pipe"])
def test_only_files_are_set_aside(tmp_path, make):
    path = tmp_path / "log"
    make(path)
    with pytest.raises(RunLogError, match="is not a file and stays where it is"):
        open_log(str(path)).set_aside()
    assert [path.name for path in tmp_path.iterdir()] == ["log"]


def test_path_with_a_question_mark_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="question mark"):
        open_log(str(tmp_path / "what?.duckdb"))


@pytest.mark.parametrize("name", ["a b.duckdb", "it's.duckdb", "50% [ü] *{x}.duckdb"])
def test_unusual_file_names(tmp_path, name):
    assert len(open_log(str(tmp_path / name)).frame("SELECT 1")) == 1
    assert (tmp_path / name).is_file()


def test_setting_aside_never_overwrites(tmp_path):
    log = open_log(str(tmp_path / "runs.duckdb"))
    kept = []
    for number in range(3):  # within a second
        (tmp_path / "runs.duckdb").write_text(f"file {number}")
        kept.append(log.set_aside())
    assert [path.read_text() for path in kept] == ["file 0", "file 1", "file 2"]


def test_other_files_beside_journals_are_ignored(tmp_path):
    log = open_log(str(tmp_path / "runs.duckdb"))
    log.frame("SELECT 1")
    log.journals.mkdir(exist_ok=True)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("mine\n")
    (log.journals / "link.jsonl").symlink_to(elsewhere)
    (log.journals / "nowhere.jsonl").symlink_to(tmp_path / "nowhere")
    (log.journals / "folder.jsonl").mkdir()
    (log.journals / "folder.jsonl" / "file").write_text("x")
    os.mkfifo(log.journals / "pipe.jsonl")
    assert len(log.frame("SELECT 1")) == 1
    assert log.waiting() == 0
    left = {"folder.jsonl", "link.jsonl", "nowhere.jsonl", "pipe.jsonl"}
    assert left <= {path.name for path in log.journals.iterdir()}


def test_journaled_run_without_a_status(tmp_path):
    log = open_log(str(tmp_path / "runs.duckdb"))
    log.journals.mkdir(parents=True)
    strange = '{"result": {"id": "strange"}, "execution": {"id": "strange"}}\n'
    (log.journals / "another~program.jsonl").write_text(strange)
    assert list(log.frame("SELECT run_id FROM runs").run_id) == ["strange"]
