"""The newest traceback of this kernel, as ``%llm fix`` sends it.

What is kept is text: an exception would keep the variables of its frames. Values of variables are
in no traceback; keys in code and messages are redacted.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from traceback import TracebackException

from IPython.core.error import UsageError
from IPython.core.interactiveshell import ExecutionResult, InteractiveShell

from llm_playground import _lifecycle
from llm_playground._validation import shorten
from llm_playground.errors import LLMError
from llm_playground.magics.options import usage_error
from llm_playground.redaction import printable, redact

# Mistakes in a magic and failed calls say themselves what to do; the others end a cell on purpose.
_NO_FAILURES = (UsageError, LLMError, KeyboardInterrupt, SystemExit)
IDENTIFIER = "llm_playground failures"
_MOST_CODE_CHARS = 20_000
_MOST_TRACEBACK_CHARS = 8_000
_FIRST_FRAMES, _LAST_FRAMES = 4, 8


@dataclass(frozen=True, slots=True)
class Failure:
    """A cell that failed: its name, such as ``In[3]``, its code, its error in a line and whole."""

    cell: str
    code: str
    error: str
    traceback: str

    def prompt(self, note: str) -> str:
        """What a model is asked about it."""
        longest = max(map(len, re.findall("`+", self.code + self.traceback)), default=0)
        fence = "`" * max(3, longest + 1)
        request = (
            "Explain in a few sentences why it failed. Then write the whole corrected cell in one "
            "fenced block of Python code."
        )
        parts = [
            "This cell of a Jupyter notebook failed.",
            f"{fence}python\n{self.code}\n{fence}",
            f"{fence}text\n{self.traceback}\n{fence}",
            *([note] if note else []),
            request,
        ]
        return "\n\n".join(parts)


_last: list[Failure] = []
_lifecycle.register_state(globals(), "_last", list)


def install(shell: InteractiveShell) -> None:
    """Keep the failures of cells from now on; once, however often it is called."""
    remove(shell)

    def keep_failure(result: ExecutionResult) -> None:
        error = result.error_before_exec or result.error_in_exec
        if isinstance(error, BaseException) and not isinstance(error, _NO_FAILURES):
            code = str(getattr(result.info, "raw_cell", "") or "")
            _last[:] = [_failure(error, code, shell)]

    keep_failure.identifier = IDENTIFIER  # type: ignore[attr-defined]  # read by `remove`
    shell.events.register("post_run_cell", keep_failure)


def remove(shell: InteractiveShell) -> None:
    """Keep no failures any more."""
    for callback in list(shell.events.callbacks["post_run_cell"]):
        if getattr(callback, "identifier", "") == IDENTIFIER:
            shell.events.unregister("post_run_cell", callback)


def newest(shell: InteractiveShell) -> Failure:
    """The newest failure of this kernel, also of a cell before the magics were loaded.

    Raises:
        UsageError: There was none.
    """
    if _last:
        return _last[0]
    error = getattr(sys, "last_value", None)
    if not isinstance(error, BaseException) or isinstance(error, _NO_FAILURES):
        raise usage_error(
            "%llm fix: no cell of this kernel has failed. Run the cell that fails, then %llm fix; "
            "write -- before a prompt that begins with fix. Nothing was sent."
        )
    number = _number_of(error, _cells(shell))
    history = shell.history_manager.input_hist_raw if shell.history_manager else []
    code = history[number] if number is not None and number < len(history) else ""
    return _failure(error, code, shell)


def _failure(error: BaseException, code: str, shell: InteractiveShell) -> Failure:
    cells = _cells(shell)
    number = _number_of(error, cells)
    whole = TracebackException.from_exception(error)
    # Without numbers, which change with each execution: a recording has the answer to this prompt.
    _trim(whole, {n: "this cell" if cells[n] == number else "another cell" for n in cells})
    text = "".join(whole.format()).strip()
    if home := str(Path.home()).rstrip("/"):
        text = text.replace(home, "~")
    *_, line = "".join(whole.format_exception_only()).strip().splitlines() or [""]
    return Failure(
        "The newest cell" if number is None else f"In[{number}]",
        _middle_left_out(redact(code.strip("\n")), _MOST_CODE_CHARS),
        printable(shorten(redact(line), 200)),
        _middle_left_out(redact(text), _MOST_TRACEBACK_CHARS),
    )


def _cells(shell: InteractiveShell) -> Mapping[str, int]:
    """The numbers of cells by the names that their code has in tracebacks."""
    return getattr(shell.compile, "_filename_map", {})


def _number_of(error: BaseException, cells: Mapping[str, int]) -> int | None:
    """The number of the newest cell in a traceback."""
    if isinstance(error, SyntaxError) and (error.filename or "") in cells:
        return cells[error.filename or ""]
    found, frame = None, error.__traceback__
    while frame is not None:
        name = frame.tb_frame.f_code.co_filename
        if found is None and name in cells:
            found = cells[name]
        frame = frame.tb_next
    return found


def _trim(whole: TracebackException, cells: Mapping[str, str]) -> None:
    """Leave out IPython's own frames and the middle of long stacks; name cells by ``cells``."""
    frames = list(whole.stack)
    own = next((at for at, frame in enumerate(frames) if frame.filename in cells), 0)
    frames = frames[own:]
    if len(frames) > _FIRST_FRAMES + _LAST_FRAMES:
        frames = [*frames[:_FIRST_FRAMES], *frames[-_LAST_FRAMES:]]
    for frame in frames:
        _ = frame.line  # read by the name that follows
        if frame.filename in cells:
            frame.filename = cells[frame.filename]
    whole.stack[:] = frames
    of_syntax = getattr(whole, "filename", None) or ""
    if of_syntax in cells:
        whole.filename = cells[of_syntax]
    for inner in (whole.__cause__, whole.__context__, *(getattr(whole, "exceptions", None) or ())):
        if inner is not None:
            _trim(inner, cells)


def _middle_left_out(text: str, most: int) -> str:
    if len(text) <= most:
        return text
    head, tail = text[: most // 3], text[-2 * most // 3 :]
    return f"{head}\n… {len(text) - len(head) - len(tail):,} characters are left out …\n{tail}"
