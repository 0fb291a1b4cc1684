"""One run that is to be made, and the execution it belongs to."""

from __future__ import annotations

from dataclasses import dataclass, field

from llm_playground.retries import Pause
from llm_playground.types import Execution, Request, Status


@dataclass(slots=True)
class Tally:
    """Counts an execution's runs to their end. Lives on the background loop only."""

    expected: int
    ended: list[Status] = field(default_factory=list)

    def add(self, status: Status) -> str | None:
        """Note one ended run; the execution's status once all have ended, else None.

        >>> tally = Tally(2)
        >>> tally.add("completed"), tally.add("failed")
        (None, 'partial')
        """
        self.ended.append(status)
        return self._outcome()

    def skip(self) -> str | None:
        """Note one run that leaves no row; the answer is as for :meth:`add`."""
        self.expected -= 1
        return self._outcome()

    def _outcome(self) -> str | None:
        if not self.ended or len(self.ended) < self.expected:
            return None
        kinds = set(self.ended)
        if len(kinds) > 1:
            return "partial"
        return "failed" if kinds <= {"blocked", "over_budget"} else self.ended[0]


@dataclass(frozen=True, slots=True)
class Call:
    """One run that is to be made. ``fresh`` is sent whatever is stored.

    ``override`` says why it is sent whatever budgets say; None obeys them. ``pause`` is its waits
    between attempts.
    """

    run_id: str
    request: Request
    execution: Execution
    iteration_number: int
    tally: Tally
    fresh: bool = False
    override: str | None = None
    pause: Pause = field(default_factory=Pause, compare=False)
