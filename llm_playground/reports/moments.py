"""Moments as people write them: a datetime, a date, or either as text, also ``"2026-03"``."""

from __future__ import annotations

import re
from calendar import monthrange
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from llm_playground.errors import InvalidParameterError

When = str | date | datetime


def start(name: str, when: When) -> datetime:
    """The first moment of what was said; without a zone, UTC.

    Args:
        name: The parameter that says so.
        when: What a person wrote.

    Raises:
        InvalidParameterError: It cannot be understood.

    >>> start("since", "2026-03").isoformat()
    '2026-03-01T00:00:00+00:00'
    """
    return _span(name, when)[0]


def end(name: str, when: When) -> datetime:
    """The moment after what was said: a date or month is included to its end.

    Raises:
        InvalidParameterError: It cannot be understood.

    >>> end("until", "2026-02").isoformat()
    '2026-03-01T00:00:00+00:00'
    """
    return _span(name, when)[1]


def zone(tz: str) -> str:
    """The name of a time zone, checked.

    Raises:
        InvalidParameterError: There is none of this name.
    """
    try:
        ZoneInfo(tz)
    except (KeyError, ValueError, TypeError, OSError):
        raise InvalidParameterError(
            f'tz is {tz!r}; it takes a time zone such as "Europe/Berlin".'
        ) from None
    return tz


def _span(name: str, when: When) -> tuple[datetime, datetime]:
    value = _parsed(name, when) if isinstance(when, str) else when
    if isinstance(value, datetime) and value == value:  # pandas' NaT is one
        moment = value if value.tzinfo else value.replace(tzinfo=UTC)
        return moment, moment
    if isinstance(value, date) and not isinstance(value, datetime):
        midnight = datetime.combine(value, time(), UTC)
        days = monthrange(value.year, value.month)[1] if is_month(when) else 1
        try:
            return midnight, midnight + timedelta(days=days)
        except OverflowError:  # the end of the year 9999: for ever
            return midnight, datetime.max.replace(tzinfo=UTC)
    raise InvalidParameterError(_not_a_time(name, when))


def _parsed(name: str, text: str) -> date | datetime:
    text = text.strip()
    try:
        if is_month(text):
            return date.fromisoformat(f"{text}-01")
        return date.fromisoformat(text) if len(text) == 10 else datetime.fromisoformat(text)
    except ValueError:
        raise InvalidParameterError(_not_a_time(name, text)) from None


def is_month(when: object) -> bool:
    """Whether a whole month was said, as ``"2026-03"``."""
    return isinstance(when, str) and re.fullmatch(r"\d{4}-\d{2}", when.strip()) is not None


def _not_a_time(name: str, value: object) -> str:
    return (
        f"{name} is {value!r}; it takes a datetime, a date, or text such as "
        '"2026-03-01", "2026-03-01T12:00" or "2026-03".'
    )
