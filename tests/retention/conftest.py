"""Retention is tested on both engines."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from llm_playground import config
from llm_playground.runlog import postgres_admin
from tests.reports.conftest import log, new_url

ROOT = Path(__file__).parents[2]

__all__ = ["log", "new_url"]


@pytest.fixture(autouse=True)
def own_home(tmp_path, monkeypatch):
    """A test finds no draft of another test."""
    monkeypatch.setenv("LLM_PLAYGROUND_HOME", str(tmp_path / "home"))


@pytest.fixture
def everything_is_worn(monkeypatch):
    """Small tables are rewritten too."""
    monkeypatch.setattr(postgres_admin, "_WORTH_IT", 0.0)


@pytest.fixture
def run_and_kill():
    """Run code in another process with the same log, and kill that process at its end."""

    def run(code, *arguments):
        whole = f"import sys\n{code}\nprint('ready', flush=True)\nsys.stdin.read()"
        place = {"PYTHONPATH": str(ROOT), "LLM_PLAYGROUND_LOG": config.log_url()}
        process = subprocess.Popen(
            [sys.executable, "-c", whole, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | place,
        )
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=300)

    return run
