"""A full disk, later with free space again: nothing is lost."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
TIMEOUT_S = 240

# A file size limit simulates a full disk.
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
FREE = """
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


def test_buffered_runs_are_read_after_space_is_freed(tmp_path):
    code = f"""{FULL}
record(log, text="refused")
{FREE}
print(*log.frame("SELECT response_text FROM runs").response_text)
"""
    assert run_script(code, tmp_path) == ["refused"]


def test_buffered_runs_are_written_at_exit(tmp_path):
    run_script(f"{FULL}\nrecord(log, text='refused')\n{FREE}", tmp_path)
    code = "import llm_playground as lp; print(*lp.runs().response_text)"
    assert run_script(code, tmp_path) == ["refused"]


def test_check_reports_an_unwritten_journal(tmp_path):
    code = f"""{FULL}
record(log, text="refused")
print(log.check())
{FREE}
print(log.check())
"""
    full, free = run_script(code, tmp_path)
    assert full.startswith("Runs are not being logged: ")
    assert free == "ok"


def test_failed_change_is_not_reported_as_damage(tmp_path):
    code = f"""{FULL}
try:
    lp.save_preset("terse", temperature=0)
except lp.RunLogError as error:
    print(error)
{FREE}
print(len(lp.presets()))
"""
    refused, presets = run_script(code, tmp_path)
    assert "cannot be written" in refused
    assert "set_aside" not in refused
    assert presets == "3"
