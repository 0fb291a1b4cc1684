"""Our costs against the provider's own report."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from llm_playground import config
from llm_playground.errors import InvalidParameterError
from llm_playground.reports import moments, vendor_report
from llm_playground.reports.filters import Filters, condition
from llm_playground.reports.groups import chosen, keys_of
from llm_playground.reports.model_names import comparable
from llm_playground.reports.speed import SENT
from llm_playground.reports.spending import FIGURES
from llm_playground.reports.vendor_report import Line, VendorReport
from llm_playground.runlog import open_log

if TYPE_CHECKING:
    import pandas as pd

_COLUMNS = ("day", "model", "theirs_usd", "ours_usd", "difference_usd", "runs")
_COUNTS = ("unpriced_runs", "estimated_runs", "reason")
# What two counts of one thing may differ by: bills round to cents.
_CENT_USD, _SHARE = 0.01, 0.005
_ALSO = {"gemini": ("gemini-legacy",)}  # the same bill
_OURS = """
SELECT {shown}coalesce(response_model, model) AS named, min(model) AS model, {figures}
FROM ({chosen}) AS chosen GROUP BY {columns}, coalesce(response_model, model) ORDER BY 1, 2
"""

Key = tuple[str, str | None]


@dataclass(slots=True)
class _Side:
    """What we count for one day and model."""

    named: str
    usd: float = 0.0
    runs: int = 0
    unpriced: int = 0
    estimated: int = 0


def reconcile(
    report: str | Path | pd.DataFrame | Mapping[str, Any] | Sequence[Mapping[str, Any]],
    provider: str,
    month: str,
) -> pd.DataFrame:
    """A provider's own cost report against the log: theirs, ours, the difference and why.

    ``day``, ``model``, ``theirs_usd``, ``ours_usd``, ``difference_usd`` (theirs less ours),
    ``runs``, ``unpriced_runs``, ``estimated_runs`` and ``reason``: ``agrees`` (within a cent or
    0.5 %), ``not through us`` (no run of it here), ``partly not through us``, ``unpriced`` (nobody
    here knew the price of some runs), ``estimated`` (tokens counted here, not there), ``more than
    they count``, ``not in the report``. Where a report has no models, whole days are compared;
    where it has no days, the month. The report's days count, Google's in Pacific time.

    Args:
        report: The path of the export (CSV or JSON), a frame of it, or the API's answer (a page or
            a list of pages). Exports of OpenAI, Anthropic and Google are known; of any other
            provider, ``day``, ``model`` and ``cost_usd``.
        provider: Whose report it is: ``openai``, ``anthropic``, ``gemini``, or another one's name.
        month: Such as ``"2026-03"``.

    Raises:
        InvalidParameterError: The report cannot be read or is of no known form, has no day of
            that month, or an argument is wrong.
        RunLogError: The log cannot be read.
    """
    import pandas as pd

    if provider not in config.rows():
        known = ", ".join(sorted(config.rows()))
        raise InvalidParameterError(f"provider is {provider!r}; it takes {known}.")
    first = _first_day(month)
    read = vendor_report.read(report, provider)
    lines = [line for line in read.lines if line.day.startswith(f"{first:%Y-%m}")]
    if not lines:
        raise InvalidParameterError(_no_such_month(read.lines, first))
    theirs = _theirs(lines)
    ours = _ours(_counted(provider, first, read), read, lines)
    rows = [_row(key, theirs, ours, provider) for key in _in_order({**theirs, **ours})]
    return pd.DataFrame(rows, columns=[*_COLUMNS, *_COUNTS])


def _first_day(month: object) -> date:
    if not isinstance(month, str) or len(month) != len("2026-03"):
        raise InvalidParameterError(f'month is {month!r}; it takes text such as "2026-03".')
    return moments.start("month", month).date()


def _no_such_month(lines: Sequence[Line], first: date) -> str:
    if not lines:
        return "The report has no costs."
    days = sorted(line.day for line in lines)
    return f"The report has no day of {first:%Y-%m}; it goes from {days[0]} to {days[-1]}."


def _theirs(lines: Iterable[Line]) -> dict[Key, tuple[str | None, float]]:
    sums: dict[Key, tuple[str | None, float]] = {}
    for line in lines:
        key = (line.day, line.model and comparable(line.model))
        named, so_far = sums.get(key, (line.model, 0.0))
        sums[key] = named, so_far + float(line.usd)
    return sums


def _counted(provider: str, first: date, read: VendorReport) -> pd.DataFrame:
    """Our costs by day and model, in the days of the report."""
    log, zone = open_log(), ZoneInfo(read.timezone)
    begin = datetime(first.year, first.month, 1, tzinfo=zone)
    after = (first.replace(day=28) + timedelta(days=4)).replace(day=1)
    end = datetime(after.year, after.month, 1, tzinfo=zone)
    keys = keys_of("day", read.timezone, log.dialect)
    models = [f"{name}:*" for name in (provider, *_ALSO.get(provider, ()))]
    where = condition(Filters(since=begin, until=end, model=models), log.dialect)
    query = _OURS.format(
        shown=keys.shown,
        columns=keys.columns,
        figures=FIGURES,
        chosen=chosen(keys, where, SENT),
    )
    return log.frame(query, {**keys.values, **where.values})


def _ours(counted: pd.DataFrame, read: VendorReport, lines: Sequence[Line]) -> dict[Key, _Side]:
    """The same by the report's days or months, and by its models where it has some."""
    by_month = all(len(line.day) == len("2026-03") for line in lines)
    by_model = any(line.model for line in lines)
    sides: dict[Key, _Side] = {}
    for row in counted.to_dict("records"):
        named = str(row["named"]).removeprefix(f"{str(row['model']).partition(':')[0]}:")
        day = str(row["day"])[: len("2026-03")] if by_month else str(row["day"])
        model = comparable(read.layout.model(named) or named) if by_model else None
        side = sides.setdefault((day, model), _Side(named=str(row["model"])))
        side.usd += 0.0 if row["cost_usd"] != row["cost_usd"] else float(row["cost_usd"])
        side.runs += int(row["runs"])
        side.unpriced += int(row["unpriced_runs"])
        side.estimated += int(row["estimated_runs"])
    return sides


def _in_order(keys: Iterable[Key]) -> list[Key]:
    return sorted(keys, key=lambda key: (key[0], key[1] or ""))


def _row(
    key: Key,
    theirs: Mapping[Key, tuple[str | None, float]],
    ours: Mapping[Key, _Side],
    provider: str,
) -> tuple[object, ...]:
    named, their_usd = theirs.get(key, (None, 0.0))
    side = ours.get(key)
    model = side.named if side else f"{provider}:{named}"
    counts = (side.usd, side.runs, side.unpriced, side.estimated) if side else (0.0, 0, 0, 0)
    our_usd, runs, unpriced, estimated = counts
    return (
        key[0],
        None if key[1] is None else model,
        their_usd,
        float("nan") if unpriced and not our_usd else our_usd,
        their_usd - our_usd,
        runs,
        unpriced,
        estimated,
        _reason(their_usd, key in theirs, side or _Side(model)),
    )


def _reason(their_usd: float, told: bool, ours: _Side) -> str:
    difference = their_usd - ours.usd
    if abs(difference) <= max(_CENT_USD, _SHARE * abs(their_usd)):
        return "agrees"
    if not ours.runs:
        return "not through us"
    if not told:
        return "not in the report"
    doubts = [
        name
        for name, count in (("unpriced", ours.unpriced), ("estimated", ours.estimated))
        if count and (difference > 0 or name == "estimated")
    ]
    plain = "partly not through us" if difference > 0 else "more than they count"
    return ", ".join(doubts) or plain
