"""What the run log tells of calls to come, as last read: the price tag never waits for the log."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

from llm_playground import config
from llm_playground.budgeting.standing import Outlook, Standing, histories, standings
from llm_playground.errors import LLMError
from llm_playground.estimates import History

_STANDINGS_S = 5.0
_HISTORIES_S = 300.0


class Outlooks:
    """The newest outlook of the run log in use. From any thread."""

    def __init__(self) -> None:
        self._log = ""
        self._known = Outlook()
        self._standings_at = 0.0
        self._histories_at: dict[str, float] = {}
        self._reading = threading.Lock()

    def known(self) -> Outlook:
        """What was read last; empty before that, and for another log than the one in use."""
        return self._known if self._log == _place() else Outlook()

    def expire(self) -> None:
        """Something was spent: what budgets have left is to be read again."""
        self._standings_at = 0.0

    def is_stale(self, models: Sequence[str]) -> bool:
        """Whether reading is due for a form with these models."""
        return self._standings_are_old() or bool(self._unread(models))

    def read(self, models: Sequence[str]) -> bool:
        """Read what is due, which may take its time; whether that changed anything.

        A log that cannot be read tells nothing new; it is tried again when the next is due.
        """
        with self._reading:
            self._follow(_place())
            before = self._known
            try:
                read = Outlook(self._standings(), {**before.histories, **self._new(models)})
            except LLMError:  # whoever records runs says so
                return False
            self._known = read
            self._follow(_place())  # what was read may be of a log that is no longer in use
            return self._known != before

    def _follow(self, place: str) -> None:
        if place != self._log:
            self._log, self._known = place, Outlook()
            self._standings_at, self._histories_at = 0.0, {}

    def _standings(self) -> tuple[Standing, ...]:
        if not self._standings_are_old():
            return self._known.standings
        self._standings_at = time.monotonic()
        return standings()

    def _new(self, models: Sequence[str]) -> dict[str, History]:
        due = self._unread(models)
        self._histories_at |= dict.fromkeys(due, time.monotonic())
        return histories(due)

    def _standings_are_old(self) -> bool:
        age_s = time.monotonic() - self._standings_at
        return not self._standings_at or age_s > _STANDINGS_S or self._log != _place()

    def _unread(self, models: Sequence[str]) -> list[str]:
        now = time.monotonic()
        return [m for m in models if now - self._histories_at.get(m, -_HISTORIES_S) >= _HISTORIES_S]


def _place() -> str:
    try:
        return config.log_url()
    except LLMError:  # an unusable log has no budgets; who records says so
        return ""


outlooks = Outlooks()
