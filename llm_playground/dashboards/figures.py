"""What a dashboard shows, and its figures, which are read once for each state of the log."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar, cast

from llm_playground.budgeting.status import BudgetStatus, budget_statuses
from llm_playground.reports import overview
from llm_playground.reports.overview import Outlook, Overview, Row, Values
from llm_playground.reports.query import Filters
from llm_playground.reports.slices import Slice
from llm_playground.runlog import open_log

_MOST_KEPT = 64  # figures of different filters
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class State:
    """What a person has chosen."""

    filters: tuple[tuple[str, object], ...] = ()
    section: str = "overview"
    slice: Slice = field(default_factory=Slice)
    offset: int = 0  # of the page of runs
    other_model: str = ""  # of the what-if
    action: str = ""  # of the audit log

    @property
    def chosen(self) -> Filters:
        """The filters, as reports take them."""
        return cast("Filters", dict(self.filters))

    def of(self, *names: str) -> Mapping[str, Any]:
        """Some of the filters."""
        return {name: value for name, value in self.filters if name in names}

    def without(self, *names: str) -> Filters:
        """The filters but some."""
        kept = {name: value for name, value in self.filters if name not in names}
        return cast("Filters", kept)


class Figures:
    """Reads figures and keeps them until the log changes.

    Args:
        tz: The time zone of days and months.
        at: The moment that counts as now; None is the clock's.
    """

    def __init__(self, tz: str, at: datetime | None = None) -> None:
        self.tz = tz
        self._at = at
        self._log_state: object = None
        self._kept: dict[object, Any] = {}
        self._budgets: tuple[BudgetStatus, ...] | None = None

    def now(self) -> datetime:
        """The current time, for the forecast and the quick choices of dates."""
        return self._at or datetime.now(UTC)

    def forget(self) -> None:
        """Read everything again."""
        self._log_state, self._kept = None, {}

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Read all figures in a ``with`` at one state of the log, and forget those of another.

        Raises:
            RunLogError: The log cannot be read.
        """
        # Each time, since limits may change; before, since reservations are released.
        self._budgets = budget_statuses()
        with open_log().opened():
            state = overview.log_state()
            if state != self._log_state or len(self._kept) > _MOST_KEPT:
                self._log_state, self._kept = state, {}
            yield

    def read(self, name: str, key: object, work: Callable[[], T]) -> T:
        """The result of ``work``, kept under a name and what it depends on."""
        if (name, key) not in self._kept:
            self._kept[name, key] = work()
        return cast("T", self._kept[name, key])

    def overview(self, state: State) -> Overview:
        """The figures of the summary and of most charts of costs."""
        return self.read(
            "overview", state.filters, lambda: overview.overview(state.chosen, self.tz)
        )

    def by_user_and_notebook(self, state: State) -> Sequence[Row]:
        """The costs of each user in each notebook."""
        return self.read(
            "places", state.filters, lambda: overview.by_user_and_notebook(state.chosen)
        )

    def outlook(self, state: State) -> Outlook:
        """What the current month costs; another day has another one."""
        now = self.now()
        return self.read(
            "outlook",
            (state.filters, f"{now:%Y-%m-%dT%H}"),
            lambda: overview.outlook(state.chosen, now, self.tz),
        )

    def values(self) -> Values:
        """The values that filters may have."""
        return self.read("values", None, overview.values)

    def budgets(self) -> tuple[BudgetStatus, ...]:
        """All budgets with what is left."""
        if self._budgets is None:
            self._budgets = budget_statuses()
        return self._budgets
