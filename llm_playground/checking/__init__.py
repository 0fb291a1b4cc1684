"""Notebooks checked before they are shared or replayed in CI, without executing anything.

``python -m llm_playground check`` (:mod:`~llm_playground.checking.command`) reports keys, calls
without a recorded answer, what replay does not serve, and outputs with errors.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from llm_playground._validation import shorten
from llm_playground.checking import calls_in_code, notebook_file, recorded_calls
from llm_playground.checking.calls_in_code import Code
from llm_playground.checking.notebook_file import Cell, Notebook
from llm_playground.config import credentials
from llm_playground.errors import LLMError
from llm_playground.formatting import count
from llm_playground.recording import kernel
from llm_playground.redaction import key_patterns, known_in, mask, printable, redact

_MOST_KEYS = 3
_KEY_ADVICE = "remove it and revoke it; %llm keys set, a .env file or the environment keep keys"
_EXPECTS_ERROR = "raises-exception"  # the tag of cells whose error nbclient and nbval expect
_KEY_PLACES = ("source", "outputs", "metadata")


@dataclass(frozen=True, slots=True)
class Finding:
    """One problem of a notebook, and what to do about it.

    ``kind`` is ``notebook`` (it cannot be read), ``key``, ``recording``, ``call`` (it has no
    recorded answer), ``mode`` (replay does not serve it), ``unused`` or ``error`` (in an output).
    ``cell`` counts all cells from 1; None for the whole notebook.
    """

    kind: str
    cell: int | None
    message: str


@dataclass(frozen=True, slots=True)
class Report:
    """What the check of one notebook found, and how many of its calls were compared.

    ``live`` is how many need no recording: calls of the model ``local`` in a notebook that is not
    replayed, and those of cells that are marked.
    """

    path: Path
    findings: tuple[Finding, ...]
    matched: int = 0
    unchecked: int = 0
    live: int = 0


def check(path: Path, *, keys_only: bool = False) -> Report:
    """Check one notebook.

    Args:
        path: The file of the notebook.
        keys_only: Search for keys, and leave out what concerns recordings and outputs.
    """
    with suppress(LLMError):  # a damaged .env: keys are then recognised by their form only
        credentials.remember_all()
    try:
        notebook = notebook_file.read(path)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        line = f"it cannot be read as a notebook ({why}); restore it, or save it again in Jupyter"
        return Report(path, (Finding("notebook", None, printable(redact(line))),))
    findings = list(_keys(notebook))
    if keys_only:
        return Report(path, tuple(findings))
    code = calls_in_code.calls_in(notebook.cells)
    findings += [Finding("mode", cell, sentence) for cell, sentence in code.remarks]
    findings += _errors(notebook.cells)
    recorded = _recorded(path, code)
    findings += recorded.findings
    ordered = sorted(findings, key=lambda one: (one.cell is None, one.cell or 0))
    return replace(recorded, findings=tuple(ordered))


def _keys(notebook: Notebook) -> Iterator[Finding]:
    for cell in notebook.cells:
        for place in _KEY_PLACES:
            if found := _keys_in(getattr(cell, place)):
                yield Finding("key", cell.number, f"{found} in its {place}: {_KEY_ADVICE}")
    if found := _keys_in(notebook.metadata):
        yield Finding("key", None, f"{found} in the notebook's metadata: {_KEY_ADVICE}")


def _keys_in(text: str) -> str:
    """The keys in a text, masked; empty if it has none."""
    matches = key_patterns.found(text) if key_patterns.suspected(text) else ()
    found = [text[match.start : match.end] for match in matches]
    keys = list(dict.fromkeys([*known_in(text), *found]))
    if not keys:
        return ""
    more = [f"{len(keys) - _MOST_KEYS:,} more"] if len(keys) > _MOST_KEYS else []
    masked = ", ".join([*map(mask, keys[:_MOST_KEYS]), *more])
    return f"{'a key' if len(keys) == 1 else count(len(keys), 'key')} ({masked})"


def _errors(cells: tuple[Cell, ...]) -> Iterator[Finding]:
    for cell in cells:
        for error in cell.errors[:1]:
            what = printable(shorten(redact(error), 120))
            if _EXPECTS_ERROR not in cell.tags:
                line = f"its output is an error ({what}): run it again, or tag it {_EXPECTS_ERROR}"
                yield Finding("error", cell.number, line)


def _recorded(path: Path, code: Code) -> Report:
    """What the recording of a notebook lacks."""
    where = kernel.beside(path) if code.recording is None else path.parent / code.recording
    shown, is_there = printable(str(where)), os.path.exists(where)  # noqa: PTH110 - Path raises if the name is too long
    free = {"live"} if is_there or code.replays else {"live", "local"}
    calls = [call for call in code.calls if call.answers not in free]
    unread = Report(path, (), 0, len(calls), len(code.calls) - len(calls))
    if not calls or code.recording == "":
        return unread
    if not is_there and not any(call.certain or call.prompts for call in calls):
        return unread
    if not is_there:
        line = f"its calls have no recording, {shown}: {recorded_calls.RECORD}"
        return replace(unread, findings=(Finding("recording", None, line),))
    try:
        read = recorded_calls.read(where)
    except (OSError, ValueError) as error:
        why = printable(redact(getattr(error, "strerror", None) or str(error)))
        line = f"{shown} cannot be read ({why}): correct it, or remove it and record again"
        return replace(unread, findings=(Finding("recording", None, line),))
    has = recorded_calls.coverage(calls, read.recording, is_whole=code.is_whole)
    findings = [Finding("call", cell, printable(line)) for cell, line in has.missing]
    if keys := _keys_in(read.text):
        findings.append(Finding("key", None, f"{keys} in {shown}: {_KEY_ADVICE}"))
    for prompt in has.unused:
        line = f"no call uses what {shown} has for {prompt}: run all cells, then %llm replay prune"
        findings.append(Finding("unused", None, printable(line)))
    return Report(path, tuple(findings), has.matched, has.unchecked, unread.live)
