"""Runs as the answers of a recording, and back: by the names of the log's columns."""

from __future__ import annotations

import base64
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal, InvalidOperation
from typing import Any, get_args

from llm_playground import _validation
from llm_playground.config.options import Privacy
from llm_playground.errors import LLMError
from llm_playground.parts import AudioPart, ImagePart
from llm_playground.recording.entries import JSON
from llm_playground.redaction import redact
from llm_playground.redaction.pii import masked_json
from llm_playground.runlog.reading import run_of
from llm_playground.runlog.recorder import RESULT_TEXTS
from llm_playground.runlog.rows import TOKEN_COLUMNS, clean_json, result_row
from llm_playground.types import Parameters, Run, TokenLogprob, UsageSource

# The columns of an answer in their order. What is unknown, or as usual, is left out.
_CONTENT = (
    *("status", "response_text", "reasoning_text", "tool_calls", "parts", "sources"),
    *("finish_reason", "stop_sequence", "response_model", "dropped_parameters"),
    *("error_type", "error_message", "error_detail"),
)
_MEASURED = (
    *(*TOKEN_COLUMNS, "billed_units", "service_tier", "usage_source"),
    *("cost_usd", "at_least_usd", "price_source", "ttft_ms", "response_time_ms"),
)
_USUAL = {"status": "completed", "usage_source": "provider"}
_EMPTY: tuple[object, ...] = (None, "", [], {})
# Attributes of errors beside their message.
_OF_ERRORS = ("status_code", "retry_after", "stage", "category", "reason")
_ERROR, _LOGPROBS = "error", "logprobs"
RESPONSE = "response"
"""What is kept of the HTTP response of a call by another library."""
# How runs end whose end is part of the answer. Cancelled and interrupted ones have none.
RECORDED_STATUSES = frozenset({"completed", "failed", "blocked", "over_budget"})
_MOST_TOKENS = (1 << 63) - 1  # BIGINT
_MOST_USD = 1_000_000  # DECIMAL(18, 12)


def _one_of(values: Sequence[str]) -> tuple[str, Callable[[Any], bool]]:
    return f"one of {', '.join(values)}", lambda value: value in values


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MOST_TOKENS


def _is_time(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return 0 <= value <= sys.float_info.max


def _is_usd(value: object) -> bool:
    try:
        amount = Decimal(str(value))
    except InvalidOperation:
        return False
    return amount.is_finite() and 0 <= amount < _MOST_USD


# What each value of an answer is, in words and as a check; values of other names may be any.
_TEXT = ("a text, in quotes if it is a number", lambda value: isinstance(value, str))
_LIST = ("a list", lambda value: isinstance(value, list))
_NAMED = ("values by name", lambda value: isinstance(value, dict))
_EXPECTED: dict[str, tuple[str, Callable[[Any], bool]]] = {
    **dict.fromkeys(("response_text", "reasoning_text", "finish_reason", "stop_sequence"), _TEXT),
    **dict.fromkeys(("response_model", "error_type", "error_message"), _TEXT),
    **dict.fromkeys(("price_source", "service_tier"), _TEXT),
    **dict.fromkeys(("tool_calls", "parts", "sources", "dropped_parameters", _LOGPROBS), _LIST),
    **dict.fromkeys(("billed_units", _ERROR, RESPONSE), _NAMED),
    **dict.fromkeys(TOKEN_COLUMNS, ("a whole number of at least 0", _is_count)),
    **dict.fromkeys(("ttft_ms", "response_time_ms"), ("a number of at least 0", _is_time)),
    **dict.fromkeys(("cost_usd", "at_least_usd"), ("an amount of at least 0", _is_usd)),
    "status": _one_of(sorted(RECORDED_STATUSES)),
    "usage_source": _one_of(get_args(UsageSource)),
}


def check(answer: Mapping[str, Any]) -> None:
    """Check the values of an answer, which may be changed by hand.

    Raises:
        ValueError: One is none that an answer can have; the message names it.

    >>> check({"response_text": 42})
    Traceback (most recent call last):
        ...
    ValueError: response_text is 42; expected a text, in quotes if it is a number
    """
    for name, value in answer.items():
        if value is not None and name in _EXPECTED:
            expected, fits = _EXPECTED[name]
            if not fits(value):
                shown = _validation.short_repr(value)
                raise ValueError(f"{name} is {shown}; expected {expected}")


def as_json(run: Run, privacy: Privacy) -> JSON:
    """The answer of an ended run as plain values, without keys; times in whole milliseconds."""
    row = result_row(run, None)
    if privacy.redact:
        row |= {name: masked_json(row[name], privacy.redact) for name in RESULT_TEXTS}
    values = {name: row[name] for name in (*_CONTENT, *_MEASURED)}
    for name in ("ttft_ms", "response_time_ms"):
        values[name] = None if values[name] is None else round(values[name])
    if values["cost_usd"] is not None:
        values["cost_usd"] = f"{run.cost_usd.normalize():f}" if run.cost_usd else "0"
    attributes = {name: getattr(run.error, name, None) for name in _OF_ERRORS}
    values[_ERROR] = {name: one for name, one in attributes.items() if one is not None}
    if not privacy.redact and redact(run.text) == run.text:  # else tokens spell what is masked
        values[_LOGPROBS] = [
            [one.token, one.logprob, [list(pair) for pair in one.top]] for one in run.logprobs
        ]
    kept = {
        name: one for name, one in values.items() if one not in _EMPTY and one != _USUAL.get(name)
    }
    cleaned: JSON = clean_json(kept)
    return cleaned


def media_of(run: Run) -> dict[str, bytes]:
    """The bytes of the pictures and recordings of an answer by their SHA-256."""
    media = (part for part in run.parts if isinstance(part, (ImagePart, AudioPart)))
    return {str(part.sha256): part.data for part in media if part.data is not None}


def is_same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two answers say the same, whatever their counts, costs, times and responses are."""
    names = {*one, *other} - {*_MEASURED, RESPONSE}
    return all(one.get(name) == other.get(name) for name in names)


def run_of_answer(
    answer: Mapping[str, Any], parameters: Parameters, media: Mapping[str, bytes]
) -> Run:
    """The run that an answer was, as far as a recording has it.

    Raises:
        ValueError: It is no answer.
    """
    try:
        run = run_of({**_USUAL, **answer, "run_id": ""}, parameters)
        logprobs = tuple(
            TokenLogprob(str(token), float(value), tuple((str(t), float(p)) for t, p in top))
            for token, value, top in answer.get(_LOGPROBS) or ()
        )
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise ValueError(f"one of its answers is damaged ({error})") from None
    if run.error is not None:
        _set_attributes(run.error, answer.get(_ERROR))
    parts = tuple(_with_bytes(part, media) for part in run.parts)
    return replace(run, logprobs=logprobs, parts=parts)


def _set_attributes(error: LLMError, values: object) -> None:
    for name in _OF_ERRORS:
        if isinstance(values, Mapping) and values.get(name) is not None and hasattr(error, name):
            setattr(error, name, values[name])


def _with_bytes(part: Any, media: Mapping[str, bytes]) -> Any:  # noqa: ANN401 - a part of the same type
    if not isinstance(part, (ImagePart, AudioPart)):
        return part
    data = media.get(part.stored_sha256 or "")
    return part if data is None else replace(part, data=data, stored_sha256=None)  # as it came


def encoded(data: bytes) -> str:
    """Bytes as text.

    >>> encoded(b"GIF89a")
    'R0lGODlh'
    """
    return base64.b64encode(data).decode()


def decoded(text: object) -> bytes:
    """The bytes of :func:`encoded`.

    Raises:
        ValueError: They are not.
    """
    try:
        return base64.b64decode(str(text), validate=True)
    except ValueError:
        raise ValueError("the bytes of one of its media are damaged") from None
