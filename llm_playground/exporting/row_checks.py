"""Checks of rows from an export or a notebook, before any of them enters a log."""

from __future__ import annotations

import base64
import hashlib
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Any, get_args
from uuid import UUID

from llm_playground import _validation
from llm_playground._validation import nested_too_deeply
from llm_playground.errors import InvalidParameterError
from llm_playground.exporting.rows import COLUMNS, USD_PLACES, Row, fitting, utc_text
from llm_playground.parts import FilePart, ImagePart
from llm_playground.runlog.rows import RUN_COLUMNS, clean_json, clean_text
from llm_playground.types import FinishReason, Status, UsageSource

# Columns that may be missing: those after the rating came later than the first exports.
OPTIONAL_COLUMNS = set(list(RUN_COLUMNS)[list(RUN_COLUMNS).index("rating") + 1 :])
# Columns that the log stores with the execution or the prompt, whose id a row then needs.
_EXECUTION_COLUMNS = (
    *("username", "notebook", "cell_id", "git_commit", "tags", "source", "prompt_id"),
)
_PROMPT_COLUMNS = ("system_prompt", "user_prompt", "parameters", "attachments")

_YEARS = range(1970, 2262)  # what frames can hold, with nanoseconds
_MAX_BIGINT = (1 << 63) - 1
_MAX_INTEGER = (1 << 31) - 1
_MAX_NUMBER = 1e300
_MAX_USD = Decimal(1_000_000)  # DECIMAL(18, 12)
_DIGITS = re.compile(r"\d{1,30}(\.\d{1,60})?([eE][+-]?\d{1,3})?")
_SHA256 = re.compile(r"[0-9a-f]{64}")
NOT_UTF8 = re.compile("[\udc80-\udcff]")  # how `importing` reads bytes that are not UTF-8
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def check_rows(rows: Sequence[object]) -> list[Row]:
    """The rows with every value of its column's type and without keys, each run once.

    Raises:
        InvalidParameterError: A value does not fit; names the first one, with its place.

    >>> check_rows([])
    []
    """
    return _once(_check_row(row, f"runs[{index}]") for index, row in enumerate(rows))


def fitting_rows(rows: Sequence[object]) -> list[Row]:
    """As :func:`check_rows`, without the rows that do not fit, which one warning names.

    Raises:
        InvalidParameterError: No row fits.
    """
    numbered = [(f"runs[{index}]", row) for index, row in enumerate(rows)]
    return _once(fitting(numbered, lambda pair: _check_row(pair[1], pair[0]), "imported"))


def _once(rows: Iterable[Row]) -> list[Row]:
    """The first row of each run."""
    found: dict[str, Row] = {}
    for row in rows:
        found.setdefault(row["run_id"], row)
    return list(found.values())


def _check_row(row: object, place: str) -> Row:
    if not isinstance(row, Mapping):
        raise InvalidParameterError(
            f"{place}: expected an object, got {_validation.short_repr(row)}."
        )
    checked: Row = {}
    for name, check in _CHECKS.items():
        if name not in row and name not in OPTIONAL_COLUMNS:
            raise InvalidParameterError(f"{place}.{name}: missing.")
        checked[name] = check_value(row.get(name), check, f"{place}.{name}")
    required = ["run_id", "started_at"]
    if any(checked[name] is not None for name in _EXECUTION_COLUMNS):
        required.append("execution_id")
    if any(checked[name] is not None for name in _PROMPT_COLUMNS):
        required += ["execution_id", "prompt_id"]
    for name in required:
        if checked[name] is None:
            raise InvalidParameterError(f"{place}.{name}: missing.")
    return checked


def check_value(value: object, check: Check, place: str) -> Any:  # noqa: ANN401 - a JSON value
    """A value as its column holds it; None stays None.

    Raises:
        InvalidParameterError: It does not fit; the message names its place.

    >>> check_value("2026-03-31T12:00:00+02:00", TIME, "runs[0].started_at")
    '2026-03-31T10:00:00Z'
    """
    expected, is_valid, convert = check
    if value is None:
        return None
    try:
        if is_valid(value):
            return convert(value)
    except (ValueError, OverflowError):
        pass
    shown = _validation.short_repr(value)
    raise InvalidParameterError(f"{place}: expected {expected}, got {shown}.")


def checked_parts(values: Sequence[object]) -> dict[str, ImagePart | FilePart]:
    """The images and files of an export by their hashes; those of another hash are left out.

    >>> checked_parts([{"sha256": "0" * 64, "data": "YWJj"}])
    {}
    """
    found: dict[str, ImagePart | FilePart] = {}
    for value in values:
        data = value.get("data") if isinstance(value, Mapping) else None
        if not isinstance(value, Mapping) or not isinstance(data, str):
            continue
        with suppress(ValueError):
            content = base64.b64decode(data, validate=True)
            if (sha256 := hashlib.sha256(content).hexdigest()) == value.get("sha256"):
                found[sha256] = _attached(value, content)
    return found


def _attached(value: Mapping[str, object], content: bytes) -> ImagePart | FilePart:
    media_type, name = value.get("media_type"), value.get("name")
    kind = media_type if isinstance(media_type, str) else None
    if isinstance(name, str):
        return FilePart(kind, name, content)
    return ImagePart(kind, content)


def is_text(value: object) -> bool:
    """Whether it is text that was UTF-8."""
    return isinstance(value, str) and NOT_UTF8.search(value) is None


def _time(value: str) -> str:
    time = datetime.fromisoformat(value)
    if time.year not in _YEARS:
        raise ValueError(value)
    return utc_text(time)


def _is_number(value: Any) -> bool:  # noqa: ANN401 - a JSON value is any of six types
    if isinstance(value, (Decimal, float)):
        return math.isfinite(value)
    return isinstance(value, int) and not isinstance(value, bool)


def _is_whole(maximum: int, value: Any) -> bool:  # noqa: ANN401 - as above
    return _is_number(value) and 0 <= value <= maximum and value == int(value)


def _is_usd(value: Any) -> bool:  # noqa: ANN401 - as above
    """Whether it is a number, or text with one."""
    if not isinstance(value, str) and not (_is_number(value) and abs(value) < _MAX_USD):
        return False
    text = str(value)
    return _DIGITS.fullmatch(text) is not None and Decimal(text) < _MAX_USD


def is_list_of(item_type: type, value: object) -> bool:
    """Whether it is a list of such items, nested no deeper than a log stores."""
    return (
        isinstance(value, list)
        and all(isinstance(item, item_type) for item in value)
        and not nested_too_deeply(value)
    )


def _one_of(literal: object) -> tuple[str, Callable[[Any], bool], Callable[[Any], Any]]:
    names = get_args(literal)
    return f"one of {', '.join(names)}", lambda v: isinstance(v, str) and v in names, str


# What is expected of a column's values, whether a value is that, and its conversion; both may raise
# ValueError.
Check = tuple[str, Callable[[Any], object], Callable[[Any], Any]]

_COUNT = "a whole number of at least 0"
_EXPECTED_STATUS, _is_status, _ = _one_of(Status)


def ended_status(status: str) -> str:
    """A run that was still running when it was exported is interrupted: it never ends here."""
    return "interrupted" if status == "running" else status


def is_sha256(value: object) -> bool:
    """Whether it is a hash in hex."""
    return isinstance(value, str) and _SHA256.fullmatch(value) is not None


def is_clean_text(value: object) -> bool:
    """Whether it is text that holds no key."""
    return isinstance(value, str) and is_text(value) and clean_text(value) == value


def _is_counts(value: object) -> bool:
    return isinstance(value, Mapping) and all(
        isinstance(unit, str) and _is_whole(_MAX_BIGINT, number) for unit, number in value.items()
    )


ID: Check = (
    "a UUID",
    lambda id_: is_text(id_) and _UUID.fullmatch(id_),
    lambda id_: str(UUID(id_)),
)
TIME: Check = ("a time such as 2026-03-31T12:00:00Z", is_text, _time)
TEXTS: Check = ("a list of texts", partial(is_list_of, str), clean_json)
HASHES: Check = (
    "a list of SHA-256 hashes",
    lambda value: is_list_of(str, value) and all(map(is_sha256, value)),
    clean_json,
)
OBJECTS: Check = ("a list of objects", partial(is_list_of, Mapping), clean_json)
OBJECT: Check = (
    "an object",
    lambda value: isinstance(value, Mapping) and not nested_too_deeply(value),
    clean_json,
)
COUNTS: Check = ("an object of counts", _is_counts, clean_json)
COUNT: Check = (_COUNT, partial(_is_whole, _MAX_BIGINT), int)
INTEGER: Check = (_COUNT, partial(_is_whole, _MAX_INTEGER), int)
USD: Check = (
    "an amount from 0 to a million",
    _is_usd,
    lambda usd: Decimal(str(usd)).quantize(USD_PLACES),  # more decimals are rounded
)
SCORE: Check = ("a number", lambda score: _is_number(score) and abs(score) < _MAX_NUMBER, float)
FLAG: Check = ("true or false", lambda flag: isinstance(flag, bool), bool)

_CHECKS: dict[str, Check] = {
    **dict.fromkeys(COLUMNS, ("text", is_text, clean_text)),
    **dict.fromkeys(("run_id", "execution_id", "prompt_id"), ID),
    "started_at": TIME,
    "tags": TEXTS,
    "attachments": HASHES,
    **dict.fromkeys(("attempts", "parts", "sources"), OBJECTS),
    "billed_units": COUNTS,
    **dict.fromkeys(("parameters", "variables", "inputs"), OBJECT),
    "status": (_EXPECTED_STATUS, _is_status, ended_status),
    "finish_reason": _one_of(FinishReason),
    "usage_source": _one_of(UsageSource),
    **{name: COUNT for name, kind in COLUMNS.items() if kind == "count"},
    "iteration_number": INTEGER,
    **dict.fromkeys(("cost_usd", "saved_usd", "at_least_usd"), USD),
    **dict.fromkeys(
        ("ttft_ms", "response_time_ms", "queue_ms"),
        ("a number of at least 0", lambda ms: _is_number(ms) and 0 <= ms < _MAX_NUMBER, float),
    ),
    "rating": SCORE,
    **dict.fromkeys(("cached", "git_dirty", "compressed"), FLAG),
}
FREE_TEXTS = frozenset(name for name, check in _CHECKS.items() if check[1] is is_text) - {
    "started_at"
}
"""The columns in which any text is a value, an empty one and ``NaN`` too."""
