"""Errors in JSON: the message in any of its places, and the HTTP status that an error means.

Sources of the shapes: the documentation of OpenAI, Anthropic, Google, Azure and MiniMax; FastAPI's
and Mistral's lists (`detail`), OpenRouter's `metadata.raw`
(https://openrouter.ai/docs/api-reference/errors), Cloudflare's `errors`, RFC 9457's `title`, and
the issue threads that the tests name.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

# Fields with a message, the first ones preferred; compared without case and `_`.
_MESSAGES = (
    "message", "msg", "detail", "error", "errors", "errormessage", "errormsg", "errordescription",
    "statusmsg", "baseresp", "description", "reason", "title",
)  # fmt: skip
_NUMBERS = ("code", "status", "statuscode", "httpstatus", "httpcode", "errorcode")
# Messages without information, of servers that pass on the error of another one.
_GENERIC = ("provider returned error", "upstream error", "error from provider", "bad request")
_DEPTH = 6
_SHOWN = 3  # entries of a list
# Codes and types of errors inside a stream, with the status that they have outside one:
# https://platform.openai.com/docs/guides/error-codes, https://docs.claude.com/en/api/errors,
# https://cloud.google.com/apis/design/errors
_STATUS_OF_NAMES = {
    **dict.fromkeys(
        (
            "context_length_exceeded",
            "invalid_request_error",
            "invalid_prompt",
            "invalid_argument",
            "failed_precondition",
            "content_filter",
            "content_policy_violation",
            "data_inspection_failed",
            "datainspectionfailed",
            "responsibleaipolicyviolation",
            "badrequesterror",
            "exceed_context_size_error",
            # Of responses that have failed: ``ResponseError`` of openai 3.
            "bio_policy",
            "misalignment_policy_violation",
            "data_residency_mismatch",
            "invalid_image",
            "invalid_image_format",
            "invalid_base64_image",
            "invalid_image_url",
            "invalid_image_mode",
            "image_too_large",
            "image_too_small",
            "image_parse_error",
            "image_content_policy_violation",
            "image_file_too_large",
            "image_file_not_found",
            "unsupported_image_media_type",
            "empty_image_file",
            "failed_to_download_image",
        ),
        400,
    ),
    **dict.fromkeys(("invalid_api_key", "authentication_error", "unauthenticated"), 401),
    **dict.fromkeys(("billing_error", "insufficient_balance"), 402),
    **dict.fromkeys(("permission_error", "permission_denied"), 403),
    **dict.fromkeys(("model_not_found", "not_found_error", "not_found"), 404),
    "request_too_large": 413,
    **dict.fromkeys(
        (
            "insufficient_quota",
            "rate_limit_exceeded",
            "rate_limit_error",
            "ratelimitreached",
            "tokens",
            "requests",
            "resource_exhausted",
            "too_many_requests",
            "exceeded_current_quota_error",
        ),
        429,
    ),
    **dict.fromkeys(("unavailable", "engine_overloaded_error"), 503),
    **dict.fromkeys(("timeout_error", "deadline_exceeded", "vector_store_timeout"), 504),
    "overloaded_error": 529,
}


def json_object(body: str) -> dict[str, Any]:
    """The JSON object in a body; empty when it has another form."""
    value = _parsed(body)
    if isinstance(value, list) and value:  # without alt=sse, Gemini wraps its error in a list
        value = value[0]
    return value if isinstance(value, dict) else {}


def message_in(value: object) -> str:
    """The message in an error's JSON, at any depth; empty if there is none.

    >>> message_in({"detail": [{"loc": ["body", "n"], "msg": "field required"}]})
    'body.n: field required'
    >>> passed_on = {"message": "Provider returned error", "metadata": {"raw": "Slow down"}}
    >>> message_in({"error": passed_on})
    'Slow down'
    """
    return next(_texts(value, _DEPTH), "")


def error_in(event: Mapping[str, Any]) -> object:
    """The error that an event without an answer reports; None where it reports none.

    >>> error_in({"object": "error", "message": "No", "code": 400})["code"], error_in({"id": "c1"})
    (400, None)
    """
    error = event.get("error") or event.get("errors")
    if error:
        return error
    is_error = "error" in (event.get("object"), event.get("type"), event.get("status"))
    has_message = any(event.get(name) for name in ("message", "detail", "msg", "error_msg"))
    return (
        event if is_error or (has_message and not isinstance(event.get("message"), dict)) else None
    )


def status_in(error: object) -> int | None:
    """The HTTP status among an error object's numbers, if there is one."""
    fields = _plain(error) if isinstance(error, Mapping) else {}
    for name in _NUMBERS:
        value = fields.get(name)
        if isinstance(value, str) and len(value) == 3 and value.isascii() and value.isdigit():
            value = int(value)
        if isinstance(value, int) and not isinstance(value, bool) and 400 <= value < 600:
            return value
    return None


def status_of(error: object) -> int:
    """The HTTP status that an error object means; 500 where that is unknown.

    >>> status_of({"code": 429}), status_of({"type": "overloaded_error"}), status_of("down")
    (429, 529, 500)
    """
    status = status_in(error)
    if status is not None or not isinstance(error, Mapping):
        return status or 500
    fields = _plain(error)
    names = (fields.get(name) for name in ("code", "type", "status"))
    known = (_STATUS_OF_NAMES.get(name.lower()) for name in names if isinstance(name, str))
    return next((status for status in known if status is not None), 500)


def _parsed(text: str) -> object:
    try:
        value: object = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value


def _texts(value: object, depth: int) -> Iterator[str]:
    """The texts of an error, the best first."""
    if depth == 0:
        return
    if isinstance(value, str):
        inner = _parsed(value) if value.lstrip()[:1] in ("{", "[") else None
        if isinstance(inner, (dict, list)):
            yield from _texts(inner, depth - 1)
        if value.strip():
            yield value
    elif isinstance(value, list):
        entries = [found for each in value[:_SHOWN] if (found := next(_texts(each, depth - 1), ""))]
        if entries:
            yield "; ".join(entries)
    elif isinstance(value, Mapping):
        yield from _texts_of_object(value, depth)


def _texts_of_object(value: Mapping[str, Any], depth: int) -> Iterator[str]:
    fields = _plain(value)
    metadata = fields.get("metadata")
    raw = metadata.get("raw") if isinstance(metadata, Mapping) else None
    order = ("error", *_MESSAGES) if isinstance(fields.get("error"), Mapping) else _MESSAGES
    found = [each for name in order for each in _texts(fields.get(name), depth - 1)]
    is_generic = not found or found[0].strip().rstrip(".").lower() in _GENERIC
    passed_on = next(_texts(raw, depth - 1), "")
    if passed_on and is_generic:
        yield passed_on
    elif passed_on and found and passed_on not in found[0]:
        yield f"{found[0]}: {passed_on}"
    place = fields.get("loc")
    if isinstance(place, list) and found:
        yield f"{'.'.join(map(str, place))}: {found[0]}"
    yield from found


def _plain(value: Mapping[str, Any]) -> dict[str, Any]:
    return {name.replace("_", "").lower(): each for name, each in value.items()}
