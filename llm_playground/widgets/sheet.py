"""The answers of one Run as a view shows them, and what is new since a view was last told."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from decimal import Decimal

from llm_playground import footer, tokens
from llm_playground.errors import InvalidParameterError
from llm_playground.events import StreamEvent
from llm_playground.types import Request, Run, Status
from llm_playground.widgets.form import Ordered
from llm_playground.widgets.pane import OPEN, Pane, PaneChange
from llm_playground.widgets.previews import many
from llm_playground.widgets.spending import Spending


class Sheet:
    """All panes of one Run. Events come on the background loop, messages are made elsewhere.

    Args:
        run: Counts the Runs of one playground, from 1.
        ordered: The call of each answer, in order; answers are numbered from 1.
    """

    def __init__(self, run: int, ordered: Sequence[Ordered]) -> None:
        self.run = run
        self._panes = {number: _pane(number, one) for number, one in enumerate(ordered, 1)}
        self._spending = Spending([one.call.request for one in ordered])
        self._lock = threading.Lock()  # the panes' texts and states
        self._rendering = threading.Lock()  # their blocks, which take longer
        self._started_at = self._ended_at = time.perf_counter()

    def take(self, number: int, event: StreamEvent) -> bool:
        """Note an event of answer ``number``; whether the views have to know."""
        with self._lock:
            taken = self._panes[number].take(event)
            if taken:
                self._ended_at = time.perf_counter()
        return taken

    def begin_again(self, number: int, attempt: int) -> bool:
        """Answer ``number`` waits for an attempt no longer; whether the views have to know."""
        with self._lock:
            self._panes[number].begin_again(attempt)
            return self._panes[number].changed

    def again(self, number: int, one: Ordered) -> None:
        """Begin answer ``number`` anew."""
        with self._lock:
            if all(pane.state not in OPEN for pane in self._panes.values()):
                # What passed since the last one ended is no part of what all took.
                self._started_at += time.perf_counter() - self._ended_at
            self._panes[number] = _pane(number, one)
            self._panes[number].anew = self._panes[number].changed = True
        self._spending.expect(number, one.call.request)

    def awaited(self, number: int) -> int | None:
        """The attempt that answer ``number`` waits for; None where it waits for none."""
        pane = self._panes.get(number)
        return pane.awaited.number if pane is not None and pane.awaited is not None else None

    def is_open(self, number: int) -> bool:
        """Whether answer ``number`` is still to come or growing."""
        return self._pane(number).state in OPEN

    def opening(self) -> list[PaneChange]:
        """What a view needs to draw the empty panes."""
        return [pane.opening() for pane in self._panes.values()]

    def news(self) -> list[PaneChange]:
        """What is new since the last call: only new text, never the whole text again."""
        with self._rendering:
            with self._lock:
                changed = self._changed()
            return [pane.with_new_blocks(change) for pane, change in changed]

    def catch_up(self) -> tuple[list[PaneChange], list[PaneChange]]:
        """News for the views that follow, and of the same moment everything for one that opens."""
        with self._rendering:
            with self._lock:
                changed = self._changed()
                everything = [(pane, pane.everything()) for pane in self._panes.values()]
            news = [pane.with_new_blocks(change) for pane, change in changed]
            return news, [pane.with_all_blocks(change) for pane, change in everything]

    def give_up(self, number: int, status: Status, why: str) -> bool:
        """End an answer that has no run: it was stopped before it began. False when it has ended.

        Args:
            number: The answer's.
            status: How it ended.
            why: One line for the person, empty when the status says it all.
        """
        with self._lock:
            if not self.is_open(number):
                return False
            self._panes[number].give_up(status, why)
            self._ended_at = time.perf_counter()
        return True

    def text(self, number: int) -> str:
        """The text so far of answer ``number``.

        Raises:
            InvalidParameterError: There is no such answer.
        """
        return self._pane(number).text.whole()

    def request(self, number: int) -> Request:
        """What was sent for answer ``number``.

        Raises:
            InvalidParameterError: There is no such answer.
        """
        request = self._pane(number).request
        if request is None:
            raise InvalidParameterError(f"What answer {number} was asked is not known here.")
        return request

    def run_of(self, number: int) -> Run | None:
        """The run of answer ``number``, None before it has ended.

        Raises:
            InvalidParameterError: There is no such answer.
        """
        return self._pane(number).run

    def runs(self) -> list[Run]:
        """The answers that have ended, in the order of their numbers."""
        return [pane.run for pane in self._panes.values() if pane.run is not None]

    def ended(self) -> bool:
        """Whether every answer has ended, and the views were told so."""
        return all(pane.state not in OPEN and not pane.changed for pane in self._panes.values())

    def summary(self) -> str:
        """What all answers took: ``6 answers · $0.0049 (estimate $0.0054) · 4.1 s``.

        Before the end it is what they cost so far, and the most that they may come to.
        """
        runs = self.runs()
        if not self.ended():
            return self._so_far()
        if not runs:
            return ""
        took = footer.duration((self._ended_at - self._started_at) * 1000)
        return " · ".join([many(len(runs), "answer"), self._with_estimate(_cost(runs)), took])

    def _so_far(self) -> str:
        panes = list(self._panes.values())
        runs = {pane.number: pane.run for pane in panes if pane.run is not None}
        came = {p.number: tokens.of_bytes(p.size_bytes) for p in panes if p.state == "running"}
        return self._spending.so_far(runs, came)

    def _with_estimate(self, cost: str) -> str:
        estimate = self._spending.estimate() if cost.startswith("$") else ""
        return f"{cost} (estimate {estimate})" if estimate else cost

    def _changed(self) -> list[tuple[Pane, PaneChange]]:
        return [(pane, pane.news()) for pane in self._panes.values() if pane.changed]

    def _pane(self, number: int) -> Pane:
        if number not in self._panes:
            raise InvalidParameterError(f"There is no answer {number}. Run first.")
        return self._panes[number]


def _pane(number: int, one: Ordered) -> Pane:
    return Pane(number, one.call.request.model, one.label, one.call.request)


def _cost(runs: Sequence[Run]) -> str:
    """The sum where every price is known; otherwise the sum says that it is not all."""
    billed = [run for run in runs if run.cost_usd is not None or run.usage is not None]
    known = [run.cost_usd for run in billed if run.cost_usd is not None]
    if all(run.price_source == "free" for run in billed):
        return "free" if billed else "nothing billed"
    total = footer.usd(sum(known, Decimal(0)))
    unpriced = len(billed) - len(known)
    return f"{total} and {unpriced} unpriced" if unpriced else total
