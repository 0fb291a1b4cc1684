"""The answers of one Run as a view shows them, and what is new since a view was last told."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, TypeAlias

from llm_playground import footer, render, tokens
from llm_playground.types import (
    Preparing,
    ReasoningDelta,
    Retrying,
    Run,
    RunFinished,
    Status,
    StreamEvent,
    TextDelta,
    Waiting,
)

PaneChange: TypeAlias = dict[str, Any]  # JSON for the view; panes.js says which fields

_OPEN = ("waiting", "running")


@dataclass(slots=True)
class _Text:
    """A growing text; ``told`` counts the pieces that a view has been given."""

    pieces: list[str] = field(default_factory=list)
    told: int = 0

    def new(self) -> str:
        """What was not told yet, which now counts as told."""
        new = "".join(self.pieces[self.told :])
        self.told = len(self.pieces)
        return new

    def whole(self) -> str:
        return "".join(self.pieces)


@dataclass(slots=True)
class _Pane:
    """One answer. ``changed`` is whether there is something a view was not told."""

    number: int
    model: str
    label: str = ""
    state: str = "waiting"
    status: str = ""
    text: _Text = field(default_factory=_Text)
    reasoning: _Text = field(default_factory=_Text)
    run: Run | None = None
    changed: bool = False
    begun_at: float = 0.0
    size_bytes: int = 0

    def grow(self, text: _Text, piece: str) -> None:
        if self.state != "running":
            self.begun_at = time.perf_counter()
        self.state, self.status = "running", ""
        self.size_bytes += len(piece.encode("utf-8", "surrogatepass"))
        text.pieces.append(piece)

    def news(self) -> PaneChange:
        self.changed = False
        new = {"text": self.text.new(), "reasoning": self.reasoning.new()}
        return self._state() | {name: text for name, text in new.items() if text}

    def everything(self) -> PaneChange:
        whole = {"text": self.text.whole(), "reasoning": self.reasoning.whole()}
        return self._state() | self.opening() | whole

    def opening(self) -> PaneChange:
        return {"number": self.number, "model": self.model, "label": self.label}

    def _state(self) -> PaneChange:
        state: PaneChange = {"number": self.number, "state": self.state, "status": self.status}
        if self.state == "running":
            took = footer.duration((time.perf_counter() - self.begun_at) * 1000)
            so_far = tokens.of_bytes(self.size_bytes)
            state["footer"] = f"{took} · about {so_far:,} tokens so far"
        return state


class Sheet:
    """All panes of one Run. Events come on the background loop, messages are made elsewhere.

    Args:
        run: Counts the Runs of one playground, from 1.
        answers: The model of each answer and what is special about it, in order; they are
            numbered from 1.
    """

    def __init__(self, run: int, answers: Sequence[tuple[str, str]]) -> None:
        self.run = run
        self._panes = {
            number: _Pane(number, model, label) for number, (model, label) in enumerate(answers, 1)
        }
        self._endings: dict[int, PaneChange] = {}
        self._lock = threading.Lock()
        self._started_at = self._ended_at = time.perf_counter()

    def take(self, number: int, event: StreamEvent) -> None:
        """Note an event of answer ``number``."""
        take = _TAKERS.get(type(event))
        if take is not None:
            with self._lock:
                take(self._panes[number], event)
                self._panes[number].changed = True
                self._ended_at = time.perf_counter()

    def opening(self) -> list[PaneChange]:
        """What a view needs to draw the empty panes."""
        return [pane.opening() for pane in self._panes.values()]

    def news(self) -> list[PaneChange]:
        """What is new since the last call: only new text, never the whole text again."""
        with self._lock:
            changes = self._news()
        return self._ended(changes)

    def catch_up(self) -> tuple[list[PaneChange], list[PaneChange]]:
        """News for the views that follow, and of the same moment everything for one that opens."""
        with self._lock:
            news, everything = self._news(), [pane.everything() for pane in self._panes.values()]
        return self._ended(news), self._ended(everything)

    def give_up(self, number: int, status: Status, why: str) -> bool:
        """End an answer that has no run: it was stopped before it began. False when it has ended.

        Args:
            number: The answer's.
            status: How it ended.
            why: One line for the person, empty when the status says it all.
        """
        pane = self._panes[number]
        with self._lock:
            if pane.state not in _OPEN:
                return False
            pane.state, pane.status, pane.changed = status, "", True
            notices = [why] if why else []
            self._endings[number] = {"html": "", "footer": "nothing billed", "notices": notices}
            self._ended_at = time.perf_counter()
        return True

    def runs(self) -> list[Run]:
        """The answers that have ended, in the order of their numbers."""
        return [pane.run for pane in self._panes.values() if pane.run is not None]

    def ended(self) -> bool:
        """Whether every answer has ended."""
        return all(pane.state not in _OPEN for pane in self._panes.values())

    def summary(self) -> str:
        """What all answers took together: ``6 answers · $0.0049 · 4.1 s``; empty before the end."""
        runs = self.runs()
        if not runs or not self.ended():
            return ""
        many = f"{len(runs):,} answer{'' if len(runs) == 1 else 's'}"
        took = footer.duration((self._ended_at - self._started_at) * 1000)
        return " · ".join([many, _cost(runs), took])

    def _news(self) -> list[PaneChange]:
        return [pane.news() for pane in self._panes.values() if pane.changed]

    def _ended(self, changes: list[PaneChange]) -> list[PaneChange]:
        """Changes, with the ending where they say that the answer has ended.

        Without the lock: rendering a long answer must not hold up the streams of the others.
        """
        return [
            change
            if change["state"] in _OPEN
            else change | self._ending(self._panes[change["number"]])
            for change in changes
        ]

    def _ending(self, pane: _Pane) -> PaneChange:
        if pane.run is not None and pane.number not in self._endings:
            self._endings[pane.number] = _rendered(pane.run)
        return self._endings.get(pane.number, {})


def _rendered(run: Run) -> PaneChange:
    return {
        "html": render.to_html(run.text),
        "footer": footer.text(run),
        "hover": footer.details(run),
        "notices": footer.notices(run),
    }


def _cost(runs: Sequence[Run]) -> str:
    """The sum where every price is known; otherwise the sum says that it is not all."""
    billed = [run for run in runs if run.cost_usd is not None or run.usage is not None]
    known = [run.cost_usd for run in billed if run.cost_usd is not None]
    if all(run.price_source == "free" for run in billed):
        return "free" if billed else "nothing billed"
    total = footer.usd(sum(known, Decimal(0)))
    unpriced = len(billed) - len(known)
    return f"{total} and {unpriced} unpriced" if unpriced else total


def _take_text(pane: _Pane, event: TextDelta) -> None:
    pane.grow(pane.text, event.text)


def _take_reasoning(pane: _Pane, event: ReasoningDelta) -> None:
    pane.grow(pane.reasoning, event.text)


def _take_preparing(pane: _Pane, event: Preparing) -> None:
    share = "" if event.fraction is None else f" {event.fraction:.0%}"
    pane.status = f"{event.message}{share}"


def _take_waiting(pane: _Pane, event: Waiting) -> None:
    pane.status = event.reason


def _take_retrying(pane: _Pane, event: Retrying) -> None:
    pane.status = footer.retrying(event)


def _take_end(pane: _Pane, event: RunFinished) -> None:
    pane.state, pane.status, pane.run = event.run.status, "", event.run


_TAKERS: dict[type, Callable[[_Pane, Any], None]] = {
    TextDelta: _take_text,
    ReasoningDelta: _take_reasoning,
    Preparing: _take_preparing,
    Waiting: _take_waiting,
    Retrying: _take_retrying,
    RunFinished: _take_end,
}
