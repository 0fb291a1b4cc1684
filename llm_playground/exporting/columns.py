"""A run outside this process: the columns of the view ``runs``, as plain values without keys.

Texts are str, times ISO 8601 in UTC, costs exact Decimals, JSON columns are JSON values; what
nobody knows is None. The order of the columns is the view's.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Literal

from llm_playground import misfit
from llm_playground.errors import InvalidParameterError
from llm_playground.redact import redact

Row = dict[str, Any]
Kind = Literal["text", "time", "json", "count", "number", "usd", "flag"]

COLUMNS: dict[str, Kind] = {
    "run_id": "text",
    "execution_id": "text",
    "prompt_id": "text",
    "prompt_hash": "text",
    "started_at": "time",
    "username": "text",
    "notebook": "text",
    "cell_id": "text",
    "git_commit": "text",
    "tags": "json",
    "source": "text",
    "provider": "text",
    "model": "text",
    "response_model": "text",
    "system_prompt": "text",
    "user_prompt": "text",
    "parameters": "json",
    "response_text": "text",
    "reasoning_text": "text",
    "status": "text",
    "finish_reason": "text",
    "input_tokens": "count",
    "output_tokens": "count",
    "cache_read_tokens": "count",
    "cache_write_tokens": "count",
    "reasoning_tokens": "count",
    "usage_source": "text",
    "cost_usd": "usd",
    "price_source": "text",
    "ttft_ms": "number",
    "response_time_ms": "number",
    "queue_ms": "number",
    "attempts": "json",
    "error_type": "text",
    "error_message": "text",
    "iteration_number": "count",
    "cached": "flag",
    "rating": "number",
    "saved_usd": "usd",
    "git_dirty": "flag",
    "variables": "json",
    "compressed": "flag",
}
USD_PLACES = Decimal("1e-12")  # as in the log: DECIMAL(18, 12)
_NO_FRACTION = re.compile(r"\.0+(?=Z$)")


def plain(row: Mapping[str, object]) -> Row:
    """A run's row with every column, its values plain and without keys.

    Raises:
        InvalidParameterError: A value cannot be one of its column.

    >>> plain({"run_id": "r1", "cost_usd": 1.5e-06})["cost_usd"]
    Decimal('0.000001500000')
    """
    found = {}
    for name, kind in COLUMNS.items():
        value = row.get(name)
        try:
            found[name] = None if _is_unknown(value) else _PLAIN[kind](value)
        except (ValueError, TypeError, ArithmeticError, RecursionError):
            raise InvalidParameterError(
                f"The run {row.get('run_id')} has {misfit.got(value)} as its {name}."
            ) from None
    return found


def clean(text: str) -> str:
    """Text without keys and without what UTF-8 cannot carry."""
    found = redact(text)
    return found if found.isascii() else found.encode("utf-8", "replace").decode()


def cleaned(value: object) -> Any:  # noqa: ANN401 - a JSON value is any of six types
    """A JSON value without keys, without NaN, and without what UTF-8 cannot carry."""
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, (float, Decimal)):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {clean(str(name)): cleaned(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [cleaned(item) for item in value]
    return clean(str(value))


def usd(value: object) -> Decimal:
    """An amount of dollars, as exact as the log has it.

    Raises:
        ValueError: It is none.
        ArithmeticError: As before.
    """
    if isinstance(value, bool):
        raise ValueError(value)  # noqa: TRY004 - one error for all that is no amount
    amount = Decimal(str(value))
    if not amount.is_finite():
        raise ValueError(value)
    return amount.quantize(USD_PLACES)


def utc(value: datetime) -> str:
    """A time in ISO 8601, in UTC; without a zone it is taken as UTC.

    >>> utc(datetime(2026, 3, 31, 12))
    '2026-03-31T12:00:00Z'
    """
    known = value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    text = known.replace(tzinfo=None).isoformat(timespec="microseconds")
    return _NO_FRACTION.sub("", f"{text}Z")


def _is_unknown(value: object) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def _time(value: object) -> str:
    return utc(value if isinstance(value, datetime) else datetime.fromisoformat(str(value)))


def _json(value: object) -> Any:  # noqa: ANN401 - a JSON value is any of six types
    """JSON columns are text in frames."""
    if not isinstance(value, str):
        return cleaned(value)
    try:
        return cleaned(json.loads(value))
    except ValueError:
        return clean(value)


def _count(value: Any) -> int:  # noqa: ANN401 - whatever stands in a frame
    count = int(value)
    if count != value or isinstance(value, str):
        raise ValueError(value)
    return count


def _number(value: Any) -> float:  # noqa: ANN401 - whatever stands in a frame
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(value)
    return number


def _flag(value: Any) -> bool:  # noqa: ANN401 - whatever stands in a frame
    if value not in (True, False):
        raise ValueError(value)
    return bool(value)


_PLAIN: dict[Kind, Callable[[Any], Any]] = {
    "text": lambda value: clean(str(value)),
    "time": _time,
    "json": _json,
    "count": _count,
    "number": _number,
    "usd": usd,
    "flag": _flag,
}
