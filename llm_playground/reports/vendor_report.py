"""A provider's cost report, read into days, models and dollars."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from llm_playground.errors import InvalidParameterError
from llm_playground.reports.vendors import Layout, layouts, needed, rows_of_json

_NOT_A_NUMBER = frozenset({"", "nan", "none", "null", "<na>"})
_LONGEST_SAID = 160


@dataclass(frozen=True, slots=True)
class Line:
    """One amount of a bill. ``day`` is ``2026-03-01``, or ``2026-03`` where only months are known.

    ``model`` is as the report has it, None for a whole day.
    """

    day: str
    model: str | None
    usd: Decimal


@dataclass(frozen=True, slots=True)
class VendorReport:
    """A report's lines, and whose days they are."""

    lines: Sequence[Line]
    timezone: str
    layout: Layout


def read(source: Any, provider: str) -> VendorReport:  # noqa: ANN401 - told apart below
    """A report as its provider gives it.

    Args:
        source: A file's path (CSV, TSV or JSON), a frame, or parsed JSON.
        provider: Whose it is.

    Raises:
        InvalidParameterError: There is no such file, its columns are of no known form, or an
            amount or a day in it cannot be understood.
    """
    rows = _rows(source, provider)
    header = list(dict.fromkeys(name for row in rows for name in row))
    for layout in layouts(provider):
        columns = layout.find(header)
        if columns is not None:
            return VendorReport(_lines(rows, layout, columns), layout.timezone, layout)
    raise InvalidParameterError(_no_form(header, provider))


def _rows(source: Any, provider: str) -> list[dict[str, object]]:  # noqa: ANN401 - as in read
    if hasattr(source, "to_dict") and hasattr(source, "columns"):
        return [
            {str(name): value for name, value in row.items()} for row in source.to_dict("records")
        ]
    if isinstance(source, (str, Path)):
        text = _text(Path(source))
        is_json = text.lstrip()[:1] in ("{", "[")
        return rows_of_json(_json(text, source)) if is_json else _table(text, provider)
    if isinstance(source, (Mapping, list, tuple)):
        return rows_of_json(list(source) if isinstance(source, tuple) else source)
    raise InvalidParameterError(
        f"A cost report is a file's path, a frame or parsed JSON, not {type(source).__name__}."
    )


def _text(path: Path) -> str:
    try:
        return path.expanduser().read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text"
        raise InvalidParameterError(f"The report {path} cannot be read ({why}).") from error


def _json(text: str, source: object) -> object:
    try:
        return json.loads(text)
    except ValueError as error:
        raise InvalidParameterError(f"The report {source} is no JSON ({error}).") from error


def _table(text: str, provider: str) -> list[dict[str, object]]:
    """The rows below the first line that is a header; some reports begin with an invoice."""
    tabs = "\t" in text.split("\n", 1)[0]
    lines = list(csv.reader(io.StringIO(text), delimiter="\t" if tabs else ","))
    forms = layouts(provider)
    at = next((n for n, line in enumerate(lines) if any(form.find(line) for form in forms)), 0)
    header = lines[at] if lines else []
    return [dict(zip(header, line, strict=False)) for line in lines[at + 1 :]] or [
        dict.fromkeys(header)
    ]


def _lines(
    rows: Iterable[Mapping[str, object]], layout: Layout, columns: Mapping[str, str]
) -> list[Line]:
    lines = []
    for row in rows:
        amount, day = row.get(columns["usd"]), row.get(columns["day"])
        named = _known(row.get(columns.get("model", "")))
        model = layout.model(named) if named else None
        if _known(amount) is None or _known(day) is None or (layout.strangers and not model):
            continue
        _check_currency(_known(row.get(columns.get("currency", ""))))
        usd = _amount(amount) / layout.units
        lines.append(Line(_day(row, columns, layout), model, usd))
    return lines


def _known(value: object) -> str | None:
    text = "" if value is None else str(value).strip()
    return None if text.lower() in _NOT_A_NUMBER else text


def _check_currency(currency: str | None) -> None:
    if currency is not None and currency.upper() != "USD":
        raise InvalidParameterError(
            f"The report is in {currency.upper()}; costs here are in USD. Convert it first."
        )


def _amount(value: object) -> Decimal:
    """``"$1,234.50"`` as a number."""
    try:
        return Decimal(re.sub(r"[$,\s]", "", str(value)))
    except InvalidOperation:
        raise InvalidParameterError(f"The report has {value!r} for an amount.") from None


def _day(row: Mapping[str, object], columns: Mapping[str, str], layout: Layout) -> str:
    """The day of a row, or its month where it stands for several days."""
    first = _date(row[columns["day"]], layout.timezone)
    ends = _known(row.get(columns.get("ends", "")))
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
        raise InvalidParameterError(f"The report has {text!r} for a day.") from None
    bare = len(text) == 10 or moment.tzinfo is None  # as 2026-03-01
    return moment.date() if bare else moment.astimezone(ZoneInfo(timezone)).date()


def _no_form(header: Sequence[str], provider: str) -> str:
    has = ", ".join(header)
    said = has if len(has) <= _LONGEST_SAID else f"{has[:_LONGEST_SAID]}…"
    return (
        f"A cost report of {provider} needs {needed(provider)}; this one has {said or 'nothing'}."
    )
