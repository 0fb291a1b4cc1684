"""One updating line about calls that take long, in a notebook or on a terminal.

The line appears a second after the first call began, changes a few times a second, and is replaced
by a last line (in a notebook) or removed (on a terminal). Where standard error is neither, such as
in a script whose output goes to a file, there is none; ``configure(progress=False)`` turns it off.
"""

from __future__ import annotations

import asyncio
import shutil
import sys
import time
from collections.abc import Callable, Coroutine, Iterable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from html import escape
from typing import Any, Protocol, TypeAlias, TypeVar
from weakref import WeakKeyDictionary

from llm_playground import _runtime, config, footer, formatting, updating_output
from llm_playground._validation import shorten
from llm_playground.events import Preparing, Retrying, RunFinished, StreamEvent, Waiting
from llm_playground.redaction import printable
from llm_playground.types import Run

T = TypeVar("T")
# Gets the id of the run that an event belongs to, and the event.
Take: TypeAlias = Callable[[str, StreamEvent], None]

SHOWN_AFTER_S = 1.0
_UPDATE_EVERY_S = 0.25
_TERMINAL_COLUMNS = 80


class _OneLine(BaseException):
    def _render_traceback_(self) -> list[str]:
        """One line for IPython to show instead of a traceback."""
        return [f"Interrupted: {self}"]


class Interrupted(_OneLine, KeyboardInterrupt):
    """The kernel was interrupted while calls were made; ``str()`` is where their texts are."""


class _InterruptedAwait(_OneLine, asyncio.CancelledError):
    """The same, where calls are awaited."""


def interrupted_text(run_ids: Iterable[str]) -> str:
    """Where the texts of interrupted runs are.

    >>> interrupted_text(["01a2"])
    'the text so far is kept (%llm show 01a2).'
    """
    ids = list(run_ids)
    if len(ids) == 1:
        return f"the text so far is kept (%llm show {ids[0]})."
    return "the texts so far are kept (%llm runs lists them)."


@contextmanager
def interrupts_in_one_line(text: str) -> Iterator[None]:
    """In IPython, have an interruption of the block shown as one line instead of a traceback."""
    try:
        yield
    except (KeyboardInterrupt, asyncio.CancelledError) as interrupt:
        if _shell() is None:
            raise
        kind = Interrupted if isinstance(interrupt, KeyboardInterrupt) else _InterruptedAwait
        raise kind(text) from None


class Line(Protocol):
    """Where the line is shown."""

    def show(self, text: str) -> None:
        """Show a text in place of the one before."""
        ...

    def end(self, text: str) -> None:
        """Show the last text, or remove the line if nothing was shown."""
        ...


class Progress:
    """What ``total`` calls have done and wait for. Events may come on any thread.

    >>> progress = Progress(2)
    >>> reason = "Waiting 6 s for the rate limit of OpenAI."
    >>> progress.take("a", Waiting(reason, rate_limited=True))
    >>> progress.line()
    '0 of 2 answers · 1 waiting for a rate limit'
    """

    def __init__(self, total: int) -> None:
        self.total = total
        self._states: dict[str, Preparing | Waiting | Retrying] = {}
        self._runs: list[Run] = []
        self.run_ids: set[str] = set()
        self._began_at = time.monotonic()

    def take(self, run_id: str, event: StreamEvent) -> None:
        """Note an event of a run."""
        self.run_ids.add(run_id)
        match event:
            case Preparing() | Waiting() | Retrying():
                self._states[run_id] = event
            case RunFinished(run):
                self._states.pop(run_id, None)
                self._runs.append(run)
            case _ if self._states:  # cheap, as it is called for every delta
                self._states.pop(run_id, None)

    def line(self) -> str:
        """The state in one line; empty for one call that only answers."""
        states = list(self._states.values())
        if self.total == 1:
            return "" if not states else printable(_in_words(states[0]))
        parts = [f"{len(self._runs):,} of {formatting.count(self.total, 'answer')}"]
        parts += self._money(" so far")
        preparing = [one for one in states if isinstance(one, Preparing)]
        limited = sum(not isinstance(one, Preparing) and one.rate_limited for one in states)
        others = len(states) - len(preparing) - limited
        parts += [_in_words(preparing[0])] if preparing else []
        parts += [f"{limited:,} waiting for a rate limit"] if limited else []
        parts += [f"{others:,} waiting"] if others else []
        return printable(" · ".join(parts))

    def last_line(self) -> str:
        """The outcome in one line."""
        if self.total == 1 and len(self._runs) == 1:
            return footer.line(self._runs[0])
        completed = sum(run.status == "completed" for run in self._runs)
        reused, all_reused = footer.reused(self._runs), all(run.cached for run in self._runs)
        if reused and all_reused and completed == self.total:
            return reused
        answers = formatting.count(self.total, "answer")
        parts = [answers if completed == self.total else f"{completed:,} of {answers}"]
        parts += [*self._money(""), *([reused] if reused else [])]
        if not (reused and all_reused):  # else it is how long the log or the file took
            parts.append(formatting.duration((time.monotonic() - self._began_at) * 1000))
        return " · ".join(parts)

    def _money(self, when: str) -> list[str]:
        """The known costs, if there are any: ``$0.0031 so far``."""
        spent = sum(
            (run.cost_usd or run.at_least_usd or Decimal(0) for run in self._runs), Decimal(0)
        )
        return [f"{formatting.usd(spent)}{when}"] if spent else []


class _Drawing:
    """The progress of some calls on the line of this thread's cell or terminal."""

    def __init__(self, total: int, line: Line) -> None:
        self.progress = Progress(total)
        self.awaiting = 0  # groups of calls
        self._line = line
        self._shown_from = time.monotonic() + SHOWN_AFTER_S
        self._shown = ""

    def update(self) -> None:
        """Show what has changed."""
        text = self.progress.line()
        if text and text != self._shown and time.monotonic() >= self._shown_from:
            self._shown = text
            self._line.show(text)

    def end(self) -> None:
        """Replace or remove the line, if there was one."""
        if self._shown:
            self._line.end(self.progress.last_line())


# Calls that are awaited at the same time on one loop, as by `asyncio.gather`, share a line.
_AWAITED: WeakKeyDictionary[asyncio.AbstractEventLoop, _Drawing] = WeakKeyDictionary()


@contextmanager
def _shared_drawing(total: int, line: Line) -> Iterator[_Drawing]:
    """The line of all calls that this loop awaits; the last group to end removes it."""
    loop = asyncio.get_running_loop()
    drawing = _AWAITED.setdefault(loop, _Drawing(0, line))
    drawing.progress.total += total
    drawing.awaiting += 1
    try:
        yield drawing
    finally:
        drawing.awaiting -= 1
        if not drawing.awaiting:
            del _AWAITED[loop]
            drawing.end()


def run(total: int, start: Callable[[Take], Coroutine[Any, Any, T]]) -> T:
    """Run ``total`` calls to their end from synchronous code, with a line while that takes long.

    ``start`` makes the coroutine from the function that takes the calls' events. The line is drawn
    on this thread, so that it appears in the present cell, or in the ``Output`` widget around it.

    Raises:
        KeyboardInterrupt: The calls were interrupted, and were cancelled; in IPython an
            :class:`Interrupted`, which is shown as one line.
    """
    line = _line()
    if line is None:
        return _runtime.run(start(_ignore))
    drawing = _Drawing(total, line)
    try:
        return _runtime.run(start(drawing.progress.take), drawing.update, _UPDATE_EVERY_S)
    except KeyboardInterrupt:
        with interrupts_in_one_line(interrupted_text(drawing.progress.run_ids)):
            raise
    finally:
        drawing.end()


async def bridge(total: int, start: Callable[[Take], Coroutine[Any, Any, T]]) -> T:
    """As :func:`run`, for ``await`` on any loop. Cancelling the awaiting task cancels the calls."""
    line = _line()
    if line is None:
        return await _runtime.bridge(start(_ignore))
    with _shared_drawing(total, line) as drawing:
        future = asyncio.wrap_future(_runtime.submit(start(drawing.progress.take)))
        try:
            while not (await asyncio.wait({future}, timeout=_UPDATE_EVERY_S))[0]:
                drawing.update()
            return await future
        except asyncio.CancelledError:
            future.cancel()
            with interrupts_in_one_line(interrupted_text(drawing.progress.run_ids)):
                raise


def _ignore(_run_id: str, _event: StreamEvent) -> None:
    """Take an event where nothing is shown."""


def _in_words(state: Preparing | Waiting | Retrying) -> str:
    match state:
        case Preparing():
            return formatting.preparing(state)
        case Waiting(reason):
            return reason
        case Retrying():
            return formatting.retrying(state)


def _line() -> Line | None:
    """Where a line can be shown from here, None for nowhere."""
    shell = _shell()
    if config.settings().progress and not replays_at_once():
        if hasattr(shell, "kernel"):
            return NotebookLine()
        if is_terminal():
            return TerminalLine()
    return None if shell is None else _NoLine()


def replays_at_once() -> bool:
    """Whether no call waits for a provider: a line would come and go with the machine's speed."""
    return config.mode() == "replay" and not config.settings().replay_timing


def _shell() -> object:
    """IPython's shell; None in a script."""
    return getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()


def is_terminal() -> bool:
    """Whether standard error is a terminal; it is None in a process without a console."""
    return sys.stderr is not None and sys.stderr.isatty()


class _NoLine:
    """Shows nothing; IPython only gets the line of an interruption."""

    def show(self, text: str) -> None: ...

    def end(self, text: str) -> None: ...


class TerminalLine:
    """The present line of a terminal, which is overwritten and at last removed."""

    def show(self, text: str) -> None:
        """Show a text, cut at the terminal's width."""
        columns = shutil.get_terminal_size((_TERMINAL_COLUMNS, 24)).columns - 1
        sys.stderr.write(f"\r\x1b[2K{shorten(text, columns)}")
        sys.stderr.flush()

    def end(self, text: str) -> None:  # noqa: ARG002 - the caller's own output follows
        """Remove the line."""
        sys.stderr.write("\r\x1b[2K")
        sys.stderr.flush()


class NotebookLine:
    """One output of a cell or callback, which is updated in place."""

    def __init__(self) -> None:
        self._output: updating_output.UpdatingOutput | None = None

    def show(self, text: str) -> None:
        """Show a text in place of the one before."""
        if self._output is None:
            self._output = updating_output.show(_as_output(text))
        else:
            self._output.update(_as_output(text))

    def end(self, text: str) -> None:
        """Show the last text, which stays."""
        if self._output is not None:
            self._output.end(_as_output(text))


def _as_output(text: str) -> updating_output.Bundle:
    html = f'<div style="color:var(--jp-ui-font-color2,#616161)">{escape(text)}</div>'
    return {"text/plain": text, "text/html": html}
