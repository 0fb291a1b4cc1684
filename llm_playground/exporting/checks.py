"""Rows from outside, checked before any of them goes into a log."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, NoReturn, get_args
from uuid import UUID

from llm_playground import misfit
from llm_playground.errors import InvalidParameterError
from llm_playground.exporting.columns import COLUMNS, USD_PLACES, Row, clean, cleaned, utc
from llm_playground.types import FinishReason, Status, UsageSource, nested_too_deeply

# Newer columns of the view may be missing: an earlier version wrote the export.
LATER = {"saved_usd", "git_dirty", "variables", "compressed"}
_NEEDED = ("run_id", "started_at")
# What the log keeps with an execution, and with a prompt: without one there is no place for it.
_OF_EXECUTION = ("username", "notebook", "cell_id", "git_commit", "tags", "source", "prompt_id")
_OF_PROMPT = ("system_prompt", "user_prompt", "parameters")
_YEARS = range(1970, 2262)  # what frames with nanoseconds can hold
_MOST_COUNT = (1 << 63) - 1
_MOST_ITERATIONS = (1 << 31) - 1
_MOST_NUMBER = 1e300
_MOST_USD = Decimal(1_000_000)  # DECIMAL(18, 12)
_DIGITS = re.compile(r"\d{1,30}(\.\d{1,60})?([eE][+-]?\d{1,3})?")
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


class _MisfitError(Exception):
    """What was wanted of a value instead."""


def checked(rows: Sequence[object]) -> list[Row]:
    """The rows, each value of its column's kind, without keys; a run once.

    Raises:
        InvalidParameterError: The first value that is not, with its place.

    >>> checked([])
    []
    """
    found: dict[str, Row] = {}
    for place, row in enumerate(rows):
        one = _checked(row, f"runs[{place}]")
        found.setdefault(one["run_id"], one)
    return list(found.values())


def _checked(row: object, place: str) -> Row:
    if not isinstance(row, Mapping):
        raise InvalidParameterError(f"{place}: an object was wanted, got {misfit.got(row)}.")
    found: Row = {}
    for name in COLUMNS:
        if name not in row and name not in LATER:
            raise InvalidParameterError(f"{place}.{name}: missing.")
        value = row.get(name)
        try:
            found[name] = None if value is None else _CHECKS.get(name, _text)(value)
        except _MisfitError as wanted:
            raise InvalidParameterError(
                f"{place}.{name}: {wanted} was wanted, got {misfit.got(value)}."
            ) from None
    _check_whole(found, place)
    return found


def _check_whole(row: Row, place: str) -> None:
    """What a row must have so that nothing of it is lost."""
    needed = [
        *_NEEDED,
        *(["execution_id"] if any(row[name] is not None for name in _OF_EXECUTION) else []),
        *(["execution_id", "prompt_id"] if any(row[n] is not None for n in _OF_PROMPT) else []),
    ]
    for name in needed:
        if row[name] is None:
            raise InvalidParameterError(f"{place}.{name}: missing.")


def _wanted(what: str) -> NoReturn:
    raise _MisfitError(what)


def _text(value: object) -> str:
    return clean(value) if isinstance(value, str) else _wanted("text")


def _id(value: object) -> str:
    if not isinstance(value, str) or not _UUID.fullmatch(value):
        _wanted("a UUID")
    return str(UUID(value))


def _time(value: object) -> str:
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
        if moment is None or moment.year not in _YEARS:
            _wanted("a time such as 2026-03-31T12:00:00Z")
        text = utc(moment)
    except (ValueError, OverflowError):
        _wanted("a time such as 2026-03-31T12:00:00Z")
    return text


def _is_number(value: object) -> bool:
    if isinstance(value, Decimal):
        return value.is_finite()
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, int) and not isinstance(value, bool)


def _number(value: object) -> float:
    if not _is_number(value) or not abs(value) < _MOST_NUMBER:  # type: ignore[arg-type]  # a number here
        _wanted("a number")
    return float(value)  # type: ignore[arg-type]  # as above


def _at_least_0(value: object) -> float:
    number = _number(value)
    return number if number >= 0 else _wanted("a number of at least 0")


def _whole(most: int) -> Callable[[object], int]:
    def check(value: object) -> int:
        if not _is_number(value) or not 0 <= value <= most or value != int(value):  # type: ignore[operator,call-overload]  # a number here
            _wanted("a whole number of at least 0")
        return int(value)  # type: ignore[call-overload,no-any-return]  # as above

    return check


def _usd(value: object) -> Decimal:
    """A number, or text with one; more than twelve decimals are rounded."""
    short = isinstance(value, str) or (_is_number(value) and abs(value) < _MOST_USD)  # type: ignore[arg-type]  # a number here
    written = str(value) if short else ""
    if not _DIGITS.fullmatch(written) or Decimal(written) >= _MOST_USD:
        _wanted("an amount from 0 to a million")
    return Decimal(written).quantize(USD_PLACES)


def _flag(value: object) -> bool:
    return value if isinstance(value, bool) else _wanted("true or false")


def _object(value: object) -> dict[str, Any]:
    if not isinstance(value, Mapping) or nested_too_deeply(value):
        _wanted("an object")
    return dict(cleaned(value))


def _list_of(kind: type, what: str) -> Callable[[object], list[Any]]:
    def check(value: object) -> list[Any]:
        known = isinstance(value, list) and all(isinstance(one, kind) for one in value)
        if not known or nested_too_deeply(value):
            _wanted(what)
        return list(cleaned(value))

    return check


def _one_of(words: Sequence[str]) -> Callable[[object], str]:
    def check(value: object) -> str:
        if not isinstance(value, str) or value not in words:
            _wanted(f"one of {', '.join(words)}")
        return value

    return check


def _status(value: object) -> str:
    """What still ran when it was exported never ends here."""
    status = _one_of(get_args(Status))(value)
    return "interrupted" if status == "running" else status


_CHECKS: dict[str, Callable[[object], Any]] = {
    **dict.fromkeys(("run_id", "execution_id", "prompt_id"), _id),
    "started_at": _time,
    "tags": _list_of(str, "a list of texts"),
    "attempts": _list_of(Mapping, "a list of objects"),
    **dict.fromkeys(("parameters", "variables"), _object),
    "status": _status,
    "finish_reason": _one_of(get_args(FinishReason)),
    "usage_source": _one_of(get_args(UsageSource)),
    **{name: _whole(_MOST_COUNT) for name, kind in COLUMNS.items() if kind == "count"},
    "iteration_number": _whole(_MOST_ITERATIONS),
    **dict.fromkeys(("cost_usd", "saved_usd"), _usd),
    **dict.fromkeys(("ttft_ms", "response_time_ms", "queue_ms"), _at_least_0),
    "rating": _number,
    **dict.fromkeys(("cached", "git_dirty", "compressed"), _flag),
}
