"""One Run: its calls, its answers as the views show them, and what it costs.

Calls run on the package's background loop. The views get messages with the changes of all answers
together, new text only: at once when an answer ends, otherwise at most every
:data:`UPDATE_INTERVAL_S`.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from typing import Any, TypeAlias

from llm_playground import _runtime, footer, formatting
from llm_playground.calls import repeated_call
from llm_playground.catalog import estimates, pricing
from llm_playground.catalog.estimates import Estimate
from llm_playground.config.options import Rates
from llm_playground.errors import InvalidParameterError
from llm_playground.events import Retrying, RunFinished, StreamEvent
from llm_playground.execution import Call
from llm_playground.formatting import usd
from llm_playground.redaction import StreamRedactor, printable
from llm_playground.types import Request, Run, Status
from llm_playground.widget.cost_context import basis_of, cost_contexts, log_readers
from llm_playground.widget.form import PlannedCall
from llm_playground.widget.inspector import RunTraces
from llm_playground.widget.pane import OPEN, Pane, PaneChange

# Each message costs the page a layout and JupyterLab milliseconds, whatever is in it; ten in a
# second still read as a steady stream.
UPDATE_INTERVAL_S = 0.1
STILL_RUNNING = "the answers still run; Stop or pg.stop() stops them, pg.results waits again."
# Amounts that change more often cannot be read.
_COST_INTERVAL_S = 0.25
_ZERO = Decimal(0)
_MILLION = Decimal(1_000_000)

Notify: TypeAlias = Callable[["RunSession"], None]


@dataclass(frozen=True, slots=True)
class _CallCost:
    """The estimate of one call; ``rates`` are None if the price is unknown."""

    estimate: Estimate
    rates: Rates | None

    def so_far_usd(self, output_tokens: int) -> Decimal | None:
        """The cost if the call is stopped now, None if the price is unknown."""
        if self.rates is None or self.estimate.worst_case_usd is None:
            return self.estimate.worst_case_usd
        sent = self.rates.input_usd_per_mtok * self.estimate.input_tokens
        received = self.rates.output_usd_per_mtok * output_tokens
        return min((sent + received) / _MILLION, self.estimate.worst_case_usd)


class RunCost:
    """The cost of one Run as text, while it runs and as it was expected. Computed on demand."""

    def __init__(self, requests: Sequence[Request]) -> None:
        self._requests = dict(enumerate(requests, 1))
        self._costs: dict[int, _CallCost] = {}
        self._text = ""
        self._computed_at = 0.0

    def replace(self, number: int, request: Request) -> None:
        """Answer ``number`` is made again, with another request."""
        self._requests[number] = request
        self._costs.pop(number, None)

    def expected(self) -> str:
        """``$0.0054``, the expected cost of all calls; empty if it is zero or not known."""
        amounts = [cost.estimate.expected_usd for cost in self._call_costs().values()]
        known = [amount for amount in amounts if amount is not None]
        total = sum(known, _ZERO)
        return usd(total) if total and len(known) == len(amounts) else ""

    def so_far(self, runs: Mapping[int, Run], tokens: Mapping[int, int]) -> str:
        """``$0.0016 so far, at most $0.0154``; empty if nothing costs anything.

        ``runs`` are the ended calls, ``tokens`` the output tokens so far of each running call. The
        text is at most four times a second another one.
        """
        now = time.monotonic()
        if now - self._computed_at >= _COST_INTERVAL_S:
            self._text, self._computed_at = self._so_far(runs, tokens), now
        return self._text

    def _so_far(self, runs: Mapping[int, Run], tokens: Mapping[int, int]) -> str:
        open_calls = {n: cost for n, cost in self._call_costs().items() if n not in runs}
        least = [run.at_least_usd or _ZERO for run in runs.values() if run.cost_usd is None]
        known = [run.cost_usd for run in runs.values() if run.cost_usd is not None]
        spent = sum([*known, *least], _ZERO)
        running = (
            open_calls[n].so_far_usd(count) for n, count in tokens.items() if n in open_calls
        )
        so_far = spent + sum((amount or _ZERO for amount in running), _ZERO)
        worst = [cost.estimate.worst_case_usd for cost in open_calls.values()]
        most = spent + sum((amount or _ZERO for amount in worst), _ZERO)
        unknown = sum(amount is None for amount in worst)
        unknown += sum(
            run.cost_usd is None and not run.at_least_usd and not footer.is_unbilled(run)
            for run in runs.values()
        )
        if any(least):  # then the most is not known
            parts = [f"at least {usd(so_far)} so far"]
        else:
            parts = [f"{usd(so_far)} so far, at most {usd(most)}"] if most else []
        parts += [f"{unknown:,} of unknown price"] if unknown else []
        return ", ".join(parts)

    def _call_costs(self) -> dict[int, _CallCost]:
        """The estimates of all calls; calls with the same request share one."""
        new = {n: request for n, request in self._requests.items() if n not in self._costs}
        if new:
            context, at = cost_contexts.current(), datetime.now(UTC)
            bases = {model: basis_of(model, context) for model in {r.model for r in new.values()}}
            by_request = {
                id(request): _CallCost(
                    bases[request.model].estimate(request, at), pricing.rates(request.model, at)
                )
                for request in {id(request): request for request in new.values()}.values()
            }
            self._costs |= {number: by_request[id(request)] for number, request in new.items()}
        return self._costs


class AnswerSet:
    """The answers of one Run. Events come on the background loop, messages are made elsewhere.

    Runs of one playground and answers of one Run are numbered from 1.
    """

    def __init__(self, run_number: int, calls: Sequence[PlannedCall]) -> None:
        self.run_number = run_number
        numbered = list(enumerate(calls, 1))
        firsts = {one.call.request.provider: number for number, one in reversed(numbered)}
        self._panes = {
            number: Pane(
                number, one.call.request, one.label, firsts[one.call.request.provider] == number
            )
            for number, one in numbered
        }
        self._cost = RunCost([one.call.request for one in calls])
        self._lock = threading.Lock()  # the panes' texts and states
        self._rendering = threading.Lock()  # their blocks and actions, which take longer

    def apply(self, number: int, event: StreamEvent) -> bool:
        """Apply an event of answer ``number``; whether the views need a message."""
        with self._lock:
            return self._panes[number].apply(event)

    def end_wait(self, number: int, attempt: int) -> bool:
        """The wait before an attempt is over; as :meth:`apply`."""
        with self._lock:
            self._panes[number].end_wait(attempt)
            return self._panes[number].changed

    def restart(self, number: int, one: PlannedCall) -> None:
        """Replace answer ``number`` by a new one that is still to come."""
        with self._lock:
            says_caveats = self._panes[number].says_caveats
            pane = Pane(number, one.call.request, one.label, says_caveats)
            self._panes[number] = pane
            pane.restarted = pane.changed = True
        self._cost.replace(number, one.call.request)

    def refresh_actions(self, number: int) -> bool:
        """Compute the suggested actions again, as prices may have changed; as :meth:`apply`."""
        with self._rendering:
            pane = self._pane(number)
            differ = pane.refresh_actions()
            if differ:
                with self._lock:
                    pane.repriced = True
        return differ

    def offer_retry(self, provider: str) -> bool:
        """Offer to retry all that failed for a provider's key; as :meth:`apply`."""
        with self._rendering:
            numbers = [n for n, pane in self._panes.items() if pane.failed_key == provider]
            with self._lock:
                for number in numbers:
                    self._panes[number].offer_retry(numbers)
        return bool(numbers)

    def end_without_run(self, number: int, status: Status, why: str) -> bool:
        """End an answer that was stopped before it began, or broke; False if it has ended already.

        ``why`` is one line for the person, empty if the status says it all.
        """
        with self._lock:
            if not self.is_open(number):
                return False
            self._panes[number].end_without_run(status, why)
        return True

    def pending_attempt(self, number: int) -> int | None:
        """The attempt that answer ``number`` waits for, None if there is none."""
        pane = self._panes.get(number)
        retry = pane.pending_retry if pane is not None else None
        return None if retry is None else retry.number

    def is_open(self, number: int) -> bool:
        """Whether answer ``number`` is waiting or running."""
        return self._pane(number).state in OPEN

    def initial_states(self) -> list[PaneChange]:
        """What a view needs to draw the empty panes."""
        return [pane.initial_state() for pane in self._panes.values()]

    def take_changes(self) -> list[PaneChange]:
        """What changed since the last call: only new text, never the whole text again."""
        with self._rendering:
            with self._lock:
                changed = self._changed()
            return [pane.with_new_blocks(change) for pane, change in changed]

    def changes_and_snapshot(self) -> tuple[list[PaneChange], list[PaneChange]]:
        """The changes for the open views, and the whole state at that moment for a new one."""
        with self._rendering:
            with self._lock:
                changed = self._changed()
                states = [(pane, pane.snapshot()) for pane in self._panes.values()]
            changes = [pane.with_new_blocks(change) for pane, change in changed]
            return changes, [pane.with_all_blocks(state) for pane, state in states]

    def text(self, number: int) -> str:
        """The text so far of answer ``number``; as :meth:`run_of`."""
        return "".join(self._pane(number).text.pieces)

    def raw_text(self, number: int, start: int) -> tuple[str, int]:
        """The text so far of answer ``number`` from a place on, as a page may show it, and its end.

        Keys are redacted, control characters visible. What may become part of a key is not in it.
        """
        pane, redactor = self._pane(number), StreamRedactor()
        redactor.add(self.text(number))
        text = redactor.take() + ("" if pane.state in OPEN else redactor.flush())
        return printable(text[start:]), len(text)

    def request(self, number: int) -> Request:
        """The request of answer ``number``; as :meth:`run_of`."""
        return self._pane(number).request

    def run_of(self, number: int) -> Run | None:
        """The run of answer ``number``, None before it has ended.

        Raises:
            InvalidParameterError: There is no such answer.
        """
        return self._pane(number).run

    def runs(self) -> list[Run]:
        """The ended answers, in the order of their numbers."""
        return [pane.run for pane in self._panes.values() if pane.run is not None]

    def ended(self) -> bool:
        """Whether every answer has ended and a message has said so."""
        return all(pane.state not in OPEN and not pane.changed for pane in self._panes.values())

    def summary(self) -> str:
        """The totals: ``6 answers · $0.0049 (estimate $0.0054) · 4.1 s``.

        While answers are running, the cost so far and the worst case.
        """
        if not self.ended():
            panes = list(self._panes.values())
            ended = {pane.number: pane.run for pane in panes if pane.run is not None}
            running = [pane for pane in panes if pane.state == "running"]
            tokens = {pane.number: estimates.of_bytes(pane.size_bytes) for pane in running}
            return self._cost.so_far(ended, tokens)
        runs = self.runs()
        if not runs:
            return ""
        cost = footer.total_cost(runs)
        expected = self._cost.expected() if "$" in cost else ""
        if expected:
            cost += f" (estimate {expected})"
        took_ms = busy_ms(runs)
        took = "" if took_ms is None else formatting.duration(took_ms)
        return " · ".join(filter(None, [counted(runs), cost, took]))

    def _changed(self) -> list[tuple[Pane, PaneChange]]:
        panes = self._panes.values()
        return [(pane, pane.take_changes()) for pane in panes if pane.changed or pane.repriced]

    def _pane(self, number: int) -> Pane:
        if number not in self._panes:
            raise InvalidParameterError(f"There is no answer {number}. Run first.")
        return self._panes[number]


# How runs that came to no answer are counted.
_WITHOUT_ANSWER = {"failed": "failed", "blocked": "blocked", "over_budget": "not sent"}


def counted(runs: Sequence[Run]) -> str:
    """``6 answers``, ``5 answers, 1 failed`` or ``1 failed``."""
    without = Counter(_WITHOUT_ANSWER[one.status] for one in runs if one.status in _WITHOUT_ANSWER)
    answers = len(runs) - without.total()
    words = [formatting.count(answers, "answer")] if answers else []
    return ", ".join([*words, *(f"{number:,} {word}" for word, number in without.items())])


def busy_ms(runs: Iterable[Run]) -> float | None:
    """How long at least one of the runs went on, their queues included; None if none was sent.

    The time between a Run and a retry is left out, and so are tries that a retry has replaced.
    """
    spans = sorted(
        (run.started_at.timestamp() * 1000, (run.queue_ms or 0.0) + run.response_time_ms)
        for run in runs
        if run.response_time_ms is not None and not run.cached
    )
    total, until = 0.0, float("-inf")
    for begin, length in spans:
        total += max(0.0, begin + length - max(begin, until))
        until = max(until, begin + length)
    return total if spans else None


class RunSession:
    """The calls of one Run, in the order of their answers. A playground begins with an empty Run 0.

    ``notify`` is called on the background loop when the views need a message: it must return at
    once.
    """

    def __init__(self, number: int, calls: Sequence[PlannedCall], notify: Notify) -> None:
        self.answers = AnswerSet(number, calls)
        self.traces = RunTraces(len(calls))
        self.calls = list(calls)
        self._notify = notify
        self._tasks: dict[int, asyncio.Task[Run]] = {}
        self._notified_at = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def ended(self) -> list[tuple[Run, Call]]:
        """The ended answers with their calls, in the order of their numbers."""
        runs = [(self.answers.run_of(n), one.call) for n, one in enumerate(self.calls, 1)]
        return [(run, call) for run, call in runs if run is not None]

    def start(self) -> None:
        """Send all; returns at once."""
        _runtime.loop().call_soon_threadsafe(self._send, range(1, len(self.calls) + 1))

    def stop(self, number: int | None = None) -> None:
        """Stop one answer, or all that are running. The text so far is kept."""
        # Else the loop may not exist, and cannot be made while Python ends.
        if any(map(self.answers.is_open, range(1, len(self.calls) + 1))):
            _runtime.loop().call_soon_threadsafe(self._cancel, number)

    def retry_now(self, number: int) -> None:
        """Begin the next attempt at an answer now, if it waits for one."""
        _runtime.loop().call_soon_threadsafe(self._end_wait_now, number)

    def prepare_retry(self, number: int, changes: Mapping[str, Any]) -> PlannedCall:
        """The call that makes an answer again; :meth:`retry` sends it.

        Raises:
            ConfigError: It cannot be sent with these changes.
        """
        one = self.calls[number - 1]
        return PlannedCall(repeated_call(one.call, changes), one.label)

    def retry(self, number: int, one: PlannedCall) -> None:
        """Send a call in place of the answer ``number``, which has ended."""
        self.calls[number - 1] = one
        self.answers.restart(number, one)
        _runtime.loop().call_soon_threadsafe(self._update_soon)
        _runtime.loop().call_soon_threadsafe(self._send, [number])

    def refresh_actions(self, number: int) -> None:
        """Read from the log what a retry of a cut-off answer may cost; returns at once.

        The views get a message if the price is another than that at the end of the answer.
        """
        run = self.answers.run_of(number)
        if run is not None and run.finish_reason == "length":
            model = self.answers.request(number).model
            with suppress(RuntimeError):  # Python is ending
                log_readers.submit(self._refresh_actions, number, model)

    def _refresh_actions(self, number: int, model: str) -> None:
        cost_contexts.refresh([model])
        if self.answers.refresh_actions(number):
            _runtime.loop().call_soon_threadsafe(self._update_soon)

    def message(self, changes: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """The message with changes of answers."""
        answers = self.answers
        state = {"running": not answers.ended(), "summary": answers.summary()}
        return {"type": "events", "run": answers.run_number, "panes": changes} | state

    # From here on everything runs on the background loop.

    def _send(self, numbers: Iterable[int]) -> None:
        for number in numbers:
            on_event = partial(self._on_event, number)
            call = self.calls[number - 1].call
            task = asyncio.ensure_future(self.traces.send(number, call, on_event))
            self._tasks[number] = task
            task.add_done_callback(partial(self._on_done, number))

    def _cancel(self, number: int | None) -> None:
        tasks = self._tasks.values() if number is None else [self._tasks.get(number)]
        for task in tasks:
            if task is not None:  # a Stop of an earlier Run may come late
                task.cancel()

    def _end_wait_now(self, number: int) -> None:
        attempt = self.answers.pending_attempt(number)
        if attempt is not None:
            self.calls[number - 1].call.pause.end()
            self._end_wait(number, attempt)

    def _end_wait(self, number: int, attempt: int) -> None:
        if self.answers.end_wait(number, attempt):
            self._update_soon()

    def _on_event(self, number: int, event: StreamEvent) -> None:
        if not self.answers.apply(number, event):
            return
        if isinstance(event, Retrying):
            _runtime.loop().call_later(event.wait_s, self._end_wait, number, event.number)
        if isinstance(event, RunFinished):
            self._update_now()
            self.refresh_actions(number)
        else:
            self._update_soon()

    def _on_done(self, number: int, task: asyncio.Task[Run]) -> None:
        """End the answer of a call that was stopped before its first step, or broke."""
        error = None if task.cancelled() else task.exception()
        status: Status = "failed" if error else "cancelled"
        if self.answers.end_without_run(number, status, str(error or "")):
            self._update_now()

    def _update_soon(self) -> None:
        if self._timer is None:
            loop = _runtime.loop()
            wait_s = self._notified_at + UPDATE_INTERVAL_S - loop.time()
            self._timer = loop.call_later(max(0.0, wait_s), self._update_now)

    def _update_now(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._notified_at = None, _runtime.loop().time()
        self._notify(self)
