"""Scripts as users run them, and the real weights."""

import asyncio
import contextlib
import hashlib
import sys
from pathlib import Path

import psutil
import pytest

from llm_playground import config

PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


@pytest.fixture
def real_weights() -> Path:
    path = config.local_model_path()
    assert path is not None, "the session's set-up names the weights"
    return path


@pytest.fixture
def run_script(tmp_path):
    """Write a script and give the command that runs it, as a user would from a terminal."""

    def command(code: str) -> list[str]:
        script = tmp_path / f"script{hashlib.sha256(code.encode()).hexdigest()[:8]}.py"
        script.write_text(code)
        return [sys.executable, str(script)]

    return command


@pytest.fixture(autouse=True)
def importable(monkeypatch):
    """Scripts elsewhere import the package from here; no proxy of the machine is in the way."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


def server_processes() -> list[psutil.Process]:
    """This process's embedded servers."""
    found = []
    for child in psutil.Process().children():
        with contextlib.suppress(psutil.Error):  # it has just ended
            found += [child] if "_server_process" in " ".join(child.cmdline()) else []
    return found


@pytest.fixture
def servers():
    """How many there are, asked again each time. Those a test starts end with it."""
    before = set(server_processes())
    yield lambda: len(server_processes())
    for process in set(server_processes()) - before:
        process.kill()


@pytest.fixture
def until():
    """Wait until a condition holds, on the test's event loop."""

    async def wait(condition, seconds: float = 60.0) -> None:
        async with asyncio.timeout(seconds):
            while not condition():  # noqa: ASYNC110 - other processes set no event
                await asyncio.sleep(0.05)

    return wait
