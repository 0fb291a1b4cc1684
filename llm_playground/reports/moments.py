"""Moments and periods that reports take: times, days, months as text, and time zones."""

from __future__ import annotations

import re
from calendar import monthrange
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from llm_playground._validation import repr_of
from llm_playground.errors import InvalidParameterError

When = str | date | datetime


def limits(since: When | None, until: When | None) -> dict[str, str | None]:
    """The values of ``$since`` and ``$until`` in SQL."""
    return {
        "since": None if since is None else span("since", since)[0].isoformat(),
        "until": None if until is None else span("until", until)[1].isoformat(),
    }


def is_month(when: object) -> bool:
    """Whether it is a whole month as text, such as ``"2026-03"``."""
    return isinstance(when, str) and re.fullmatch(r"\d{4}-\d{2}", when.strip()) is not None


def time_zone(tz: str) -> ZoneInfo:
    """The time zone of a name; InvalidParameterError if there is none."""
    try:
        return ZoneInfo(tz)
    except (KeyError, ValueError, TypeError, OSError, AttributeError):
        raise InvalidParameterError(
            f'tz is {repr_of(tz)}; it takes a time zone such as "Europe/Berlin".'
        ) from None


def span(name: str, when: When) -> tuple[datetime, datetime]:
    """The first moment of a time, date or month, and the moment after its end; without zone, UTC.

    ``name`` is the parameter's, for the InvalidParameterError if it is none of these.

    >>> [moment.isoformat() for moment in span("since", "2026-02")]
    ['2026-02-01T00:00:00+00:00', '2026-03-01T00:00:00+00:00']
    """
    value = _parsed(name, when) if isinstance(when, str) else when
    if isinstance(value, datetime) and value == value:  # pandas' NaT is a datetime
        moment = value if value.tzinfo else value.replace(tzinfo=UTC)
        return moment, moment
    if isinstance(value, date) and not isinstance(value, datetime):
        midnight = datetime.combine(value, time(), UTC)
        days = monthrange(value.year, value.month)[1] if is_month(when) else 1
        try:
            return midnight, midnight + timedelta(days=days)
        except OverflowError:  # after the year 9999
            return midnight, datetime.max.replace(tzinfo=UTC)
    raise _not_a_time(name, when)


def _parsed(name: str, text: str) -> date | datetime:
    text = text.strip()
    try:
        if is_month(text):
            return date.fromisoformat(f"{text}-01")
        return date.fromisoformat(text) if len(text) == 10 else datetime.fromisoformat(text)
    except ValueError:
        raise _not_a_time(name, text) from None


def _not_a_time(name: str, value: object) -> InvalidParameterError:
    return InvalidParameterError(
        f"{name} is {repr_of(value)}; it takes a datetime, a date, or text such as "
        '"2026-03-01", "2026-03-01T12:00" or "2026-03".'
    )
