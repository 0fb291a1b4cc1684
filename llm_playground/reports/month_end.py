"""What the month will have cost when it ends."""

from __future__ import annotations

import math
from calendar import monthrange
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Unpack
from zoneinfo import ZoneInfo

from llm_playground.errors import InvalidParameterError
from llm_playground.reports import moments
from llm_playground.reports.filters import Filters
from llm_playground.reports.groups import By, grouped
from llm_playground.reports.moments import When

if TYPE_CHECKING:
    import pandas as pd

_WEEKS = 8
_TWO_WEEKS = 14
_Z80 = 1.2816  # four of five months end between low and high, as far as days are alike
_COLUMNS = ("month", "spent_usd", "daily_usd", "days_left", "expected_usd", "low_usd", "high_usd")
_DAYS = "sum(cost_usd)::FLOAT8 AS cost_usd"

Days = Mapping[date, float]


def forecast(
    by: By | Sequence[By] = (),
    *,
    at: When | None = None,
    tz: str = "UTC",
    **filters: Unpack[Filters],
) -> pd.DataFrame:
    """What the month will have cost at its end, from the days of the last eight weeks.

    The ``by`` columns, ``month``, ``spent_usd`` so far, ``daily_usd`` (the mean of the days before
    today since the first run, eight weeks at most), ``days_left`` (today counts for its rest),
    ``expected_usd``, and ``low_usd`` to ``high_usd``, between which four of five months end when
    days go on as they did. Each day left costs what its weekday did, once two weeks are known. Runs
    whose price nobody knows are in no amount.

    Args:
        by: model, provider, user, notebook, tag, status; one or several; nothing for the total.
        at: As if it were then; now when not given. Try the past to see how far to trust it.
        tz: The time zone whose months and days count.
        **filters: See :class:`Filters`.

    Raises:
        InvalidParameterError: ``by``, ``at``, ``tz`` or a filter cannot be understood.
        RunLogError: The log cannot be read.
    """
    import pandas as pd

    if filters.get("since") is not None or filters.get("until") is not None:
        raise InvalidParameterError("A forecast takes at=, not since= or until=.")
    now = datetime.now(UTC) if at is None else moments.start("at", at)
    now = now.astimezone(ZoneInfo(moments.zone(tz)))
    names = [by] if isinstance(by, str) else list(by)
    if {"month", "day"} & set(names):
        raise InvalidParameterError("A forecast is for a month: by takes no month and no day.")
    first = min(now.date() - timedelta(weeks=_WEEKS), now.date().replace(day=1))
    begin = datetime.combine(first, datetime.min.time(), now.tzinfo)
    days = grouped(
        _DAYS, [*names, "day"], Filters(**filters, since=begin, until=now), tz=tz
    ).to_dict("records")
    return pd.DataFrame(
        [(*key, *_month(known, now)) for key, known in _by_group(days, names)],
        columns=[*names, *_COLUMNS],
    )


def _by_group(
    rows: Iterable[Mapping[Any, Any]], names: Sequence[str]
) -> Iterable[tuple[tuple[object, ...], Days]]:
    """The costs of the days of each group, in the order of its first row."""
    groups: dict[tuple[object, ...], dict[date, float]] = {}
    for row in rows:
        key = tuple(None if row[name] != row[name] else row[name] for name in names)  # NaN
        cost = 0.0 if math.isnan(row["cost_usd"]) else row["cost_usd"]
        groups.setdefault(key, {})[date.fromisoformat(row["day"])] = cost
    return groups.items()


def _month(known: Days, now: datetime) -> tuple[object, ...]:
    today = now.date()
    spent = sum(cost for day, cost in known.items() if day >= today.replace(day=1))
    past = _past(known, today)
    mean = sum(past.values()) / len(past) if past else spent / max(_gone(now), 1 / 24)
    last = today.replace(day=monthrange(today.year, today.month)[1])
    ahead = [today + timedelta(days=n) for n in range(1, (last - today).days + 1)]
    rest = 1 - _gone(now)
    to_come = [_like(day, past, mean) for day in ahead] + [rest * _like(today, past, mean)]
    expected = spent + sum(to_come)
    spread = _Z80 * _deviation(past, mean) * math.sqrt(len(ahead) + rest)
    low, high = max(spent, expected - spread), expected + spread
    return f"{today:%Y-%m}", spent, mean, len(ahead) + rest, expected, low, high


def _past(known: Days, today: date) -> Days:
    """Every day before today since the first known one, eight weeks at most; 0 where none ran."""
    before = [day for day in known if day < today]
    if not before:
        return {}
    first = max(min(before), today - timedelta(weeks=_WEEKS))
    days = (first + timedelta(days=n) for n in range((today - first).days))
    return {day: known.get(day, 0.0) for day in days}


def _like(day: date, past: Days, mean: float) -> float:
    """What days of this weekday cost, once there were two of each."""
    same = [cost for other, cost in past.items() if other.weekday() == day.weekday()]
    return sum(same) / len(same) if len(past) >= _TWO_WEEKS else mean


def _deviation(past: Days, mean: float) -> float:
    """How far days are from what is expected of them."""
    if len(past) < 2:  # one day tells nothing of the next
        return mean
    squares = [(cost - _like(day, past, mean)) ** 2 for day, cost in past.items()]
    return math.sqrt(sum(squares) / (len(squares) - 1))


def _gone(now: datetime) -> float:
    """The part of today that has passed."""
    return (now.hour * 3600 + now.minute * 60 + now.second) / 86_400
