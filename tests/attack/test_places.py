"""The run log is pointed at something that is not a file."""

import os
from pathlib import Path

import pytest

from llm_playground.errors import ConfigError, RunLogError
from llm_playground.runlog import open_log


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo], ids=["a folder", "a pipe"])
def test_what_is_not_a_file_is_never_moved_aside(tmp_path, make):
    place = tmp_path / "log"
    make(place)
    with pytest.raises(RunLogError, match="is not a file and stays where it is"):
        open_log(str(place)).set_aside()
    assert [path.name for path in tmp_path.iterdir()] == ["log"]


def test_a_path_that_duckdb_would_cut_in_two_is_refused_before_anything_is_sent(tmp_path):
    with pytest.raises(ConfigError, match="question mark"):
        open_log(str(tmp_path / "what?.duckdb"))


@pytest.mark.parametrize("name", ["a b.duckdb", "it's.duckdb", "50% [ü] *{x}.duckdb"])
def test_odd_file_names_are_names(tmp_path, name):
    assert len(open_log(str(tmp_path / name)).frame("SELECT 1")) == 1
    assert (tmp_path / name).is_file()
