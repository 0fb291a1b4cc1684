"""The run log is pointed at something that is not a file."""

import os
from pathlib import Path

import pytest

from llm_playground.errors import RunLogError
from llm_playground.runlog import open_log


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo], ids=["a folder", "a pipe"])
def test_what_is_not_a_file_is_never_moved_aside(tmp_path, make):
    place = tmp_path / "log"
    make(place)
    with pytest.raises(RunLogError, match="is not a file and stays where it is"):
        open_log(str(place)).set_aside()
    assert [path.name for path in tmp_path.iterdir()] == ["log"]
