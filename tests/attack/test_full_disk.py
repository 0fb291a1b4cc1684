"""The disk is full, and has room again: nothing is lost, and one line says how it is."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
TIMEOUT_S = 60

# A file that may not grow stands for a disk without room.
FULL = """
import os, resource
import llm_playground as lp
from llm_playground.runlog import open_log
from tests.runlog.actors import record
log = open_log(os.environ["LOG"])
log.frame("SELECT 1")
limits = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (64, limits[1]))
"""
ROOM = """
resource.setrlimit(resource.RLIMIT_FSIZE, limits)
"""


def run_script(code, tmp_path):
    environment = {"PYTHONPATH": str(ROOT), "LOG": str(tmp_path / "runs.duckdb")}
    environment["LLM_PLAYGROUND_LOG"] = environment["LOG"]
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_with_room_again_a_reader_sees_what_waited_in_memory(tmp_path):
    code = f"""{FULL}
record(log, text="refused")
{ROOM}
print(*log.frame("SELECT response_text FROM runs").response_text)
"""
    assert run_script(code, tmp_path) == ["refused"]


def test_what_waited_in_memory_is_kept_when_python_ends(tmp_path):
    run_script(f"{FULL}\nrecord(log, text='refused')\n{ROOM}", tmp_path)
    code = "import llm_playground as lp; print(*lp.runs().response_text)"
    assert run_script(code, tmp_path) == ["refused"]


def test_a_log_whose_journal_is_not_written_is_not_called_fine(tmp_path):
    code = f"""{FULL}
record(log, text="refused")
print(log.check())
{ROOM}
print(log.check())
"""
    full, room = run_script(code, tmp_path)
    assert full.startswith("Runs are not being logged: ")
    assert room == "ok"


def test_a_change_that_finds_no_room_is_one_error_and_the_file_is_not_called_damaged(tmp_path):
    code = f"""{FULL}
try:
    lp.save_preset("terse", temperature=0)
except lp.RunLogError as error:
    print(error)
{ROOM}
print(len(lp.presets()))
"""
    refused, presets = run_script(code, tmp_path)
    assert "cannot be written" in refused
    assert "set_aside" not in refused
    assert presets == "3"
