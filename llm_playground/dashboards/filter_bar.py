"""The filters of a dashboard, as ipywidgets: dates with quick choices, and values that occur."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from typing import Any, cast

import ipywidgets  # type: ignore[import-untyped]

from llm_playground.dashboards.figures import Figures
from llm_playground.reports import moments
from llm_playground.reports.overview import Values
from llm_playground.reports.query import Filters

ALL, EVERY = "all", ""
_QUICK = (
    ("7 days", "7"),
    ("30 days", "30"),
    ("This month", "month"),
    ("All", ALL),
)
# The filters with a list of values: where the values are, and what the list shows for all.
_LISTS = {
    "model": ("models", "All models"),
    "provider": ("providers", "All providers"),
    "user": ("users", "All users"),
    "notebook": ("notebooks", "All notebooks"),
    "tag": ("tags", "All tags"),
    "status": ("statuses", "All statuses"),
}
_DAY = timedelta(days=1)
# Days whose moments every time zone and engine can hold.
_EARLIEST, _LATEST = date(1, 1, 3), date(9999, 12, 29)


class FilterBar(ipywidgets.Box):  # type: ignore[misc]  # ipywidgets has no types
    """The filters, which call ``on_change`` after each change by a person or by code.

    Args:
        figures: What gives the occurring values and the current time.
        given: The filters to begin with. Those without a control stay as they are.
        on_change: Called without arguments.
        on_refresh: Called when a person asks to read the log again.
    """

    def __init__(
        self,
        figures: Figures,
        given: Filters,
        on_change: Callable[[], None],
        on_refresh: Callable[[], None],
    ) -> None:
        self._figures, self._given, self._on_change = figures, given, on_change
        self._is_setting = False
        self.quick = ipywidgets.ToggleButtons(options=[*_QUICK], value=ALL, description="Period")
        self.since = ipywidgets.DatePicker(description="From")
        self.until = ipywidgets.DatePicker(description="To")
        self.lists = {
            name: ipywidgets.Dropdown(
                options=[(every, EVERY)], value=EVERY, description=name.capitalize()
            )
            for name, (_, every) in _LISTS.items()
        }
        self.reset_button = ipywidgets.Button(description="Reset", tooltip="Show all runs again")
        self.refresh_button = ipywidgets.Button(
            description="Refresh", tooltip="Read the run log again"
        )
        self._begin()
        dates = ipywidgets.Box([self.quick, self.since, self.until])
        dates.add_class("llm-dash-dates")
        lists = ipywidgets.Box([*self.lists.values()])
        lists.add_class("llm-dash-lists")
        buttons = ipywidgets.Box([self.reset_button, self.refresh_button])
        buttons.add_class("llm-dash-buttons")
        super().__init__([dates, lists, buttons])
        self.add_class("llm-dash-filters")
        self.quick.observe(self._on_quick, "value")
        for control in (self.since, self.until):
            control.observe(self._on_date, "value")
        for control in self.lists.values():
            control.observe(self._changed, "value")
        self.reset_button.on_click(lambda _: self.reset())
        self.refresh_button.on_click(lambda _: on_refresh())

    def filters(self) -> tuple[tuple[str, object], ...]:
        """The filters that are set, as reports take them, in a fixed order."""
        zone = moments.time_zone(self._figures.tz)
        chosen: dict[str, object] = {
            name: control.value for name, control in self.lists.items() if control.value != EVERY
        }
        first, last = self.since.value, self.until.value
        if first is not None and first > _EARLIEST:  # others exclude nothing
            chosen["since"] = datetime.combine(first, time(), zone)
        if last is not None and last < _LATEST:
            chosen["until"] = datetime.combine(max(last, _EARLIEST) + _DAY, time(), zone)
        kept = {name: v for name, v in self._given.items() if name == "search" and v is not None}
        return tuple(sorted({**kept, **chosen}.items(), key=lambda item: item[0]))

    def reset(self) -> None:
        """Show all runs again."""

        def clear() -> None:
            self._given = {}
            self._set_dates(None, None)
            for control in self.lists.values():
                control.value = EVERY
            self.quick.value = ALL

        self._set_together(clear)

    def offer(self, values: Values) -> None:
        """Offer the values that occur in the log; a chosen one stays."""

        def offer() -> None:
            for name, (source, every) in _LISTS.items():
                control = self.lists[name]
                found: Sequence[str] = getattr(values, source)
                options = [(every, EVERY), *((value, value) for value in found)]
                if control.value != EVERY and control.value not in found:
                    options.append((_written(control.value), control.value))
                if tuple(options) != tuple(control.options):
                    chosen = control.value
                    control.options = options
                    control.value = chosen

        self._set_together(offer, is_change=False)

    def choose(self, name: str, value: object) -> None:
        """Set the filter with a list of values, also to one that is not in the list."""
        control = self.lists[name]
        if value not in [known for _, known in control.options]:
            control.options = [*control.options, (_written(value), value)]
        control.value = value

    def _begin(self) -> None:
        """Set the controls to the filters that were given."""
        for name in _LISTS:
            value: Any = dict(self._given).get(name)
            if value is not None:
                self.choose(name, value if isinstance(value, str) else tuple(value))
        zone = moments.time_zone(self._figures.tz)
        given = cast("Mapping[str, Any]", self._given)
        if given.get("since") is not None:
            moment = moments.span("since", given["since"])[0]
            self.since.value = _day(moment, given["since"], zone)
        if given.get("until") is not None:
            end = moments.span("until", given["until"])[1] - timedelta(microseconds=1)
            self.until.value = _day(end, given["until"], zone)
        if self.since.value or self.until.value:
            self.quick.value = None

    def _on_quick(self, change: Mapping[str, Any]) -> None:
        if self._is_setting or change["new"] is None:
            return
        today = self._figures.now().astimezone(moments.time_zone(self._figures.tz)).date()
        first = {
            ALL: None,
            "month": today.replace(day=1),
        }.get(change["new"])
        if change["new"].isdigit():
            first = today - (int(change["new"]) - 1) * _DAY
        last = None if change["new"] == ALL else today
        self._set_together(lambda: self._set_dates(first, last))

    def _on_date(self, _change: Mapping[str, Any]) -> None:
        if not self._is_setting:
            self._set_together(lambda: setattr(self.quick, "value", None))

    def _set_dates(self, first: date | None, last: date | None) -> None:
        self.since.value, self.until.value = first, last

    def _changed(self, _change: object) -> None:
        if not self._is_setting:
            self._on_change()

    def _set_together(self, work: Callable[[], None], *, is_change: bool = True) -> None:
        """Set several controls as one change."""
        was, self._is_setting = self._is_setting, True
        try:
            work()
        finally:
            self._is_setting = was
        if is_change:
            self._changed(None)


def _day(moment: datetime, given: object, zone: Any) -> date:  # noqa: ANN401 - a ZoneInfo
    """The day of a moment; a given date stays itself in every time zone."""
    is_moment = isinstance(given, datetime) or (isinstance(given, str) and len(given.strip()) > 10)
    return moment.astimezone(zone).date() if is_moment else moment.date()


def _written(value: object) -> str:
    return value if isinstance(value, str) else ", ".join(map(str, cast("Sequence[str]", value)))
