"""A provider's own cost report against the costs in the run log.

Each known form of a report is one :class:`Layout`; the first whose columns are there is used.

Sources, as of November 2026:

- OpenAI: the Costs export of the usage page (CSV), and ``GET /v1/organization/costs``, grouped by
  line item: https://platform.openai.com/docs/api-reference/usage/costs
- Anthropic: the Cost page's export (CSV), and ``GET /v1/organizations/cost_report``, grouped by
  description; its amounts are cents: https://platform.claude.com/docs/en/api/admin/cost_report
- Google: the Reports and Cost table pages' exports (CSV, days of Pacific time) and the export to
  BigQuery: https://cloud.google.com/billing/docs/how-to/export-data-bigquery-tables
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from llm_playground import config
from llm_playground._files import read_regular
from llm_playground._validation import checks_arguments, one_of, repr_of, shorten
from llm_playground.errors import InvalidParameterError
from llm_playground.reports import moments, query
from llm_playground.reports.query import SENT, Filters
from llm_playground.reports.spending import FIGURES

if TYPE_CHECKING:
    import pandas as pd

_COLUMNS = (
    *("day", "model", "theirs_usd", "ours_usd", "difference_usd", "runs"),
    *("unpriced_runs", "estimated_runs", "reason"),
)
MAX_BYTES = 200_000_000  # of a report
# Amounts agree within a cent, to which bills are rounded, or half a percent.
_CENT_USD, _SHARE = 0.01, 0.005
_BILLED_TOGETHER = {"gemini": ("gemini-legacy",)}
_OURS = """
SELECT {shown}coalesce(response_model, model) AS named, min(model) AS model, {figures}
FROM ({runs}) AS chosen GROUP BY {columns}coalesce(response_model, model) ORDER BY 1, 2
"""
# Dates and versions at the end of a model's name, which only some bills and APIs give.
_DATED = re.compile(r"[-@](\d{8}|\d{4}-\d{2}-\d{2}|\d{2}-\d{4}|latest|00\d)$")
_GEMINI = re.compile(r"gemini[ -_](\d+(?:[.-]\d+)?)[ -_](pro|flash)([ -_]lite)?", re.IGNORECASE)
_MISSING = frozenset({"", "nan", "none", "null", "<na>"})
_LONGEST_HEADER = 160

Key = tuple[str, str | None]  # the day (or month) and the comparable name of the model


@dataclass(frozen=True, slots=True)
class Line:
    """One amount of a bill. ``day`` is ``2026-03-01``, or ``2026-03`` where only months are known.

    ``model`` is as the report has it, None for a whole day.
    """

    day: str
    model: str | None
    usd: Decimal


@dataclass(frozen=True, slots=True)
class Layout:
    """One form of a report.

    ``columns`` has the names, in lower case and separated by commas, that the columns of ``day``,
    ``model``, ``usd`` and, optionally, ``ends`` and ``currency`` may have; the first that exists is
    used.
    """

    columns: Mapping[str, str]
    model: Callable[[str], str | None] = str  # from the text of its column; None: of no model
    timezone: str = "UTC"  # of its days
    units_per_usd: Decimal = Decimal(1)
    models_only: bool = False  # rows of no model are of other services and left out

    def find(self, header: Sequence[str]) -> dict[str, str] | None:
        """The column for each of ``columns``; None when day or amount is missing."""
        by_lower = {name.strip().lower(): name for name in header}
        columns = {}
        for role, names in self.columns.items():
            found = [by_lower[name] for name in names.split(", ") if name in by_lower]
            if found:
                columns[role] = found[0]
        return columns if {"day", "usd"} <= columns.keys() else None


def gemini_name(text: str) -> str | None:
    """The Gemini model that a longer name or the text of a bill mentions.

    >>> gemini_name("Generate content output token count gemini 2.5 flash short input text")
    'gemini-2.5-flash'
    >>> gemini_name("gemini-2.5-flash-lite-preview-09-2025")
    'gemini-2.5-flash-lite'
    """
    match = _GEMINI.search(text)
    return re.sub(r"[ _]", "-", match[0].lower()) if match else None


_OWN = Layout(
    {"day": "day, date", "model": "model", "usd": "cost_usd, usd", "currency": "currency"}
)
_LAYOUTS: Mapping[str, Sequence[Layout]] = {
    "openai": (
        Layout(
            {
                "day": "start_time_iso, start_time",
                "model": "line_item",
                "usd": "amount_value",
                "currency": "amount_currency",
            },
            model=lambda text: text.split(",")[0],  # "gpt-4o-2024-08-06, input"
        ),
    ),
    "anthropic": (
        Layout({"day": "usage_date_utc", "model": "model", "usd": "cost_usd"}),
        Layout(
            {
                "day": "starting_at",
                "model": "model, description",
                "usd": "amount",
                "currency": "currency",
            },
            model=lambda text: re.split(r" Usage\b", text)[0],  # "Claude Sonnet 4 Usage - ..."
            units_per_usd=Decimal(100),
        ),
    ),
    "gemini": (
        Layout(
            {
                "day": "date, usage start date, usage_start_time, usage start time",
                "ends": "usage end date",
                "model": "sku description, sku.description, sku_description",
                "usd": "unrounded subtotal ($), subtotal ($), unrounded cost ($), cost ($), cost",
                "currency": "currency",
            },
            model=gemini_name,
            timezone="America/Los_Angeles",
            models_only=True,
        ),
    ),
}


@dataclass(slots=True)
class _Ours:
    """Our figures for one day and model."""

    model: str
    usd: float = 0.0
    runs: int = 0
    unpriced: int = 0
    estimated: int = 0


@checks_arguments("reconcile")
def reconcile(
    report: str | Path | pd.DataFrame | Mapping[str, Any] | Sequence[Mapping[str, Any]],
    provider: str,
    month: str,
) -> pd.DataFrame:
    """Compare a provider's own cost report with the log.

    Columns: ``day``, ``model``, ``theirs_usd``, ``ours_usd``, ``difference_usd`` (theirs less
    ours), ``runs``, ``unpriced_runs``, ``estimated_runs`` and ``reason``: ``agrees`` (within a cent
    or 0.5 %), ``not through us`` (no such run in the log), ``partly not through us``, ``unpriced``
    (the price of some runs is unknown), ``estimated`` (tokens were estimated, not reported by the
    provider), ``more than they count``, ``not in the report``. Whole days are compared where a
    report has no models, and the month where it has no days. Days are those of the report's time
    zone; Google's are in Pacific time.

    Args:
        report: The path of the export (CSV or JSON), a frame of it, or the API's answer (a page or
            a list of pages). Exports of OpenAI, Anthropic and Google are known; of any other
            provider, ``day``, ``model`` and ``cost_usd``.
        provider: The provider: ``openai``, ``anthropic``, ``gemini``, or another one's name.
        month: Such as ``"2026-03"``.

    Raises:
        InvalidParameterError: The report cannot be read, its columns are unknown, it has no day of
            that month, or an argument is invalid.
        RunLogError: The log cannot be read.
    """
    from llm_playground.frames import Frame  # pandas is imported on first use

    one_of("provider", provider, sorted(config.rows()))
    if not isinstance(month, str) or len(month) != len("2026-03"):
        raise InvalidParameterError(f'month is {repr_of(month)}; it takes text such as "2026-03".')
    first = moments.span("month", month)[0].date()
    every_line, layout = read_report(report, provider)
    days = sorted(line.day for line in every_line)
    if not days:
        raise InvalidParameterError("The report has no costs.")
    lines = [line for line in every_line if line.day.startswith(f"{first:%Y-%m}")]
    if not lines:
        raise InvalidParameterError(
            f"The report has no day of {first:%Y-%m}; it goes from {days[0]} to {days[-1]}."
        )
    theirs = _theirs(lines)
    ours = _ours(_counted(provider, first, layout.timezone), layout, lines)
    keys = sorted({**theirs, **ours}, key=lambda key: (key[0], key[1] or ""))
    rows = [_row(key, theirs, ours, provider) for key in keys]
    return Frame(rows, columns=list(_COLUMNS))


def _theirs(lines: Iterable[Line]) -> dict[Key, tuple[str | None, float]]:
    sums: dict[Key, tuple[str | None, float]] = {}
    for line in lines:
        key = (line.day, line.model and comparable(line.model))
        named, so_far = sums.get(key, (line.model, 0.0))
        sums[key] = named, so_far + float(line.usd)
    return sums


def _counted(provider: str, first: date, timezone: str) -> pd.DataFrame:
    """Our costs by day and model, in the report's time zone."""
    zone = ZoneInfo(timezone)
    begin = datetime(first.year, first.month, 1, tzinfo=zone)
    after = (first.replace(day=28) + timedelta(days=4)).replace(day=1)
    end = datetime(after.year, after.month, 1, tzinfo=zone)
    models = [f"{name}:*" for name in (provider, *_BILLED_TOGETHER.get(provider, ()))]
    filters = Filters(since=begin, until=end, model=models)
    return query.report(_OURS, "day", filters, which=SENT, tz=timezone, figures=FIGURES)


def _ours(counted: pd.DataFrame, layout: Layout, lines: Sequence[Line]) -> dict[Key, _Ours]:
    """The same by the report's days or months, and by model where it has models."""
    by_month = all(len(line.day) == len("2026-03") for line in lines)
    by_model = any(line.model for line in lines)
    sums: dict[Key, _Ours] = {}
    for row in counted.to_dict("records"):
        name = str(row["named"]).removeprefix(f"{str(row['model']).partition(':')[0]}:")
        day = str(row["day"])[: len("2026-03")] if by_month else str(row["day"])
        model = comparable(layout.model(name) or name) if by_model else None
        side = sums.setdefault((day, model), _Ours(str(row["model"])))
        side.usd += 0.0 if row["cost_usd"] != row["cost_usd"] else float(row["cost_usd"])
        side.runs += int(row["runs"])
        side.unpriced += int(row["unpriced_runs"])
        side.estimated += int(row["estimated_runs"])
    return sums


def _row(
    key: Key,
    theirs: Mapping[Key, tuple[str | None, float]],
    ours: Mapping[Key, _Ours],
    provider: str,
) -> tuple[object, ...]:
    named, their_usd = theirs.get(key, (None, 0.0))
    side = ours.get(key, _Ours(f"{provider}:{named}"))
    return (
        key[0],
        None if key[1] is None else side.model,
        their_usd,
        float("nan") if side.unpriced and not side.usd else side.usd,
        their_usd - side.usd,
        side.runs,
        side.unpriced,
        side.estimated,
        _reason(their_usd, key in theirs, side),
    )


def _reason(their_usd: float, in_report: bool, ours: _Ours) -> str:
    difference = their_usd - ours.usd
    if abs(difference) <= max(_CENT_USD, _SHARE * abs(their_usd)):
        return "agrees"
    if not ours.runs:
        return "not through us"
    if not in_report:
        return "not in the report"
    uncertain = [
        name
        for name, count in (("unpriced", ours.unpriced), ("estimated", ours.estimated))
        if count and (difference > 0 or name == "estimated")
    ]
    plain = "partly not through us" if difference > 0 else "more than they count"
    return ", ".join(uncertain) or plain


def comparable(name: str) -> str:
    """A form of a model's name that is the same in APIs, bills and product pages.

    It has the words in alphabetical order, then the numbers, without a date.

    >>> comparable("claude-haiku-4-5-20251001") == comparable("Claude Haiku 4.5")
    True
    >>> comparable("Claude Haiku 3.5") == comparable("claude-3-5-haiku-latest")
    True
    >>> comparable("gpt-4o-2024-08-06")
    '4o gpt'
    """
    bare = _DATED.sub("", name.strip().lower().rpartition("/")[2])
    parts = re.findall(r"[a-z0-9]+", bare)
    words = sorted(part for part in parts if not part.isdigit())
    return " ".join([*words, *(part for part in parts if part.isdigit())])


def read_report(source: Any, provider: str) -> tuple[list[Line], Layout]:  # noqa: ANN401 - checked in _rows
    """The lines of a report: a file's path (CSV, TSV or JSON), a frame, or parsed JSON.

    Raises:
        InvalidParameterError: There is no such file, its columns fit no layout, or an amount or a
            day in it is invalid.
    """
    rows = _rows(source, provider)
    header = list(dict.fromkeys(name for row in rows for name in row))
    for layout in layouts(provider):
        columns = layout.find(header)
        if columns is not None:
            return _lines(rows, layout, columns), layout
    has = shorten(", ".join(header), _LONGEST_HEADER) or "nothing"
    raise InvalidParameterError(
        f"A cost report of {provider} needs {needed(provider)}; this one has {has}."
    )


def layouts(provider: str) -> Sequence[Layout]:
    """The layouts of a provider's reports; day, model, cost_usd is one for every provider."""
    return (*_LAYOUTS.get(provider, ()), _OWN)


def needed(provider: str) -> str:
    """The columns of each layout, for a message when none of them fits.

    >>> needed("openrouter")
    'day, model, cost_usd'
    """

    def firsts(layout: Layout) -> str:
        names = (layout.columns[role].split(", ")[0] for role in ("day", "model", "usd"))
        return ", ".join(names)

    return "; or ".join(map(firsts, layouts(provider)))


def _rows_of_json(pages: Iterable[object]) -> Iterator[dict[str, object]]:
    """The rows of an API's cost report: of pages, or of rows."""
    for page in pages:
        if not isinstance(page, Mapping):
            continue
        if not isinstance(page.get("data"), list):
            yield _flat(page)
            continue
        for bucket in page["data"]:
            outer = {name: each for name, each in bucket.items() if name != "results"}
            yield from (_flat(outer | result) for result in bucket.get("results") or [])


def _flat(row: Mapping[str, object]) -> dict[str, object]:
    """``{"amount": {"value": 1}}`` as ``amount_value``, as OpenAI's CSV names it."""
    flat: dict[str, object] = {}
    for name, value in row.items():
        if isinstance(value, Mapping):
            joint = "." if name in ("sku", "service") else "_"
            flat |= {f"{name}{joint}{inner}": each for inner, each in value.items()}
        else:
            flat[name] = value
    return flat


def _rows(source: Any, provider: str) -> list[dict[str, object]]:  # noqa: ANN401 - as above
    if hasattr(source, "to_dict") and hasattr(source, "columns"):
        named = source.set_axis([str(name) for name in source.columns], axis="columns")
        return list(named.to_dict("records"))
    if isinstance(source, (str, Path)):
        text = _text(Path(source))
        if text.lstrip()[:1] not in ("{", "["):
            return _table(text, provider)
        try:
            source = json.loads(text)
        except ValueError as error:
            raise InvalidParameterError(
                f"The report {source} is not valid JSON ({error})."
            ) from error
    if isinstance(source, (Mapping, list, tuple)):
        return list(_rows_of_json([source] if isinstance(source, Mapping) else source))
    raise InvalidParameterError(
        f"A cost report is a file's path, a frame or parsed JSON, not {type(source).__name__}."
    )


def _text(path: Path) -> str:
    try:
        return read_regular(path.expanduser(), MAX_BYTES).decode("utf-8-sig")
    except (OSError, UnicodeDecodeError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise InvalidParameterError(f"The report {path} cannot be read ({reason}).") from error


def _table(text: str, provider: str) -> list[dict[str, object]]:
    """The rows below the first line that fits a layout; some reports begin with an invoice."""
    tabs = "\t" in text.split("\n", 1)[0]
    lines = list(csv.reader(io.StringIO(text), delimiter="\t" if tabs else ","))
    known = layouts(provider)
    start = next((n for n, line in enumerate(lines) if any(one.find(line) for one in known)), 0)
    header = lines[start] if lines else []
    rows: list[dict[str, object]] = [
        dict(zip(header, line, strict=False)) for line in lines[start + 1 :]
    ]
    return rows or [dict.fromkeys(header)]


def _lines(
    rows: Iterable[Mapping[str, object]], layout: Layout, columns: Mapping[str, str]
) -> list[Line]:
    lines = []
    for row in rows:
        amount, day = row.get(columns["usd"]), row.get(columns["day"])
        name = _value(row.get(columns.get("model", "")))
        model = layout.model(name) if name else None
        if _value(amount) is None or _value(day) is None or (layout.models_only and not model):
            continue
        currency = _value(row.get(columns.get("currency", "")))
        if currency is not None and currency.upper() != "USD":
            raise InvalidParameterError(
                f"The report is in {currency.upper()}; costs here are in USD. Convert it first."
            )
        usd = _amount(amount) / layout.units_per_usd
        lines.append(Line(_day(row, columns, layout), model, usd))
    return lines


def _value(value: object) -> str | None:
    text = "" if value is None else str(value).strip()
    return None if text.lower() in _MISSING else text


def _amount(value: object) -> Decimal:
    """``"$1,234.50"`` as a number."""
    try:
        return Decimal(re.sub(r"[$,\s]", "", str(value)))
    except InvalidOperation:
        raise InvalidParameterError(
            f"The report has the amount {value!r}, which is not a number."
        ) from None


def _day(row: Mapping[str, object], columns: Mapping[str, str], layout: Layout) -> str:
    """The day of a row, or its month where it stands for several days."""
    first = _date(row[columns["day"]], layout.timezone)
    ends = _value(row.get(columns.get("ends", "")))
    if ends is not None and _date(ends, layout.timezone) > first:
        return f"{first:%Y-%m}"
    return first.isoformat()


def _date(value: object, timezone: str) -> date:
    text = str(value).strip()
    if re.fullmatch(r"\d{9,}(\.\d+)?", text):
        return datetime.fromtimestamp(float(text), ZoneInfo(timezone)).date()
    try:
        moment = datetime.fromisoformat(re.sub(r" ?UTC$", "+00:00", text))
    except ValueError:
        raise InvalidParameterError(
            f"The report has the day {text!r}, which is not a date."
        ) from None
    bare = len(text) == 10 or moment.tzinfo is None  # as 2026-03-01
    return moment.date() if bare else moment.astimezone(ZoneInfo(timezone)).date()
