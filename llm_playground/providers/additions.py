"""What this package adds to requests by itself, and how it is taken back where a server refuses it.

A refusal is paid once: what an endpoint refuses for a model is remembered in this process, and left
out of later requests. The user leaves an addition out with ``extra={"stream_options": None}``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from llm_playground import _lifecycle
from llm_playground.types import Request

Body = dict[str, Any]
_LIMITS = ("max_tokens", "max_completion_tokens")
# By provider, base URL and model: what was refused, in the order of the refusals.
_taken_back: dict[tuple[str, str | None, str], tuple[str, ...]] = {}
_lifecycle.register_state(globals(), "_taken_back", dict)


def _without_counts(body: Body) -> Body:
    return {name: value for name, value in body.items() if name != "stream_options"}


def _whole(body: Body) -> Body:
    """The answer comes whole, as JSON; not left out, since the SDKs would set it again."""
    return {**_without_counts(body), "stream": False} if body.get("stream") else body


def _other_limit(body: Body) -> Body:
    """The limit of the answer under its other name, which is the newer one at OpenAI."""
    other = dict(zip(_LIMITS, reversed(_LIMITS), strict=True))
    if len(body.keys() & set(_LIMITS)) != 1 or "messages" not in body or "system" in body:
        return body
    return {other.get(name, name): value for name, value in body.items()}


def _not_strict(body: Body) -> Body:
    """Without ``strict`` in tools and in the format of the answer."""
    return {
        name: _without_strict(value) if name in ("tools", "response_format") else value
        for name, value in body.items()
    }


def _without_strict(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    if isinstance(value, list):
        return [_without_strict(each) for each in value]
    if not isinstance(value, Mapping):
        return value
    kept = {name: each for name, each in value.items() if name != "strict"}
    return {
        name: _without_strict(each) if name in ("function", "json_schema") else each
        for name, each in kept.items()
    }


_ADDITIONS: dict[str, Callable[[Body], Body]] = {
    "stream_options": _without_counts,
    "stream": _whole,
    "limit": _other_limit,
    "strict": _not_strict,
}


def taken_back(request: Request) -> tuple[str, ...]:
    """What the request's endpoint has refused for its model."""
    return _taken_back.get(_place(request), ())


def without(body: Body, names: tuple[str, ...], extra: Mapping[str, Any]) -> Body:
    """The body without these additions; what the user's ``extra`` sets stays.

    >>> without({"messages": [], "max_tokens": 5}, ("limit",), {})
    {'messages': [], 'max_completion_tokens': 5}
    """
    for name in names:
        if not extra.keys() & ({name} if name != "limit" else set(_LIMITS)):
            body = _ADDITIONS[name](body)
    return body


def take_back(request: Request, name: str, body: Body, sent_without: tuple[str, ...]) -> bool:
    """Leave an addition out of requests like this one from now on.

    ``body`` is the request's as it would be sent now, and ``sent_without`` what was left out of it
    when it was refused: another call may have taken the addition back in between. Returns whether
    it had the addition, so that a second attempt is another request.
    """
    known = taken_back(request)
    if name in known:
        return name not in sent_without
    if without(body, (name,), request.parameters.extra) == body:
        return False
    _taken_back[_place(request)] = (*known, name)
    return True


def _place(request: Request) -> tuple[str, str | None, str]:
    return request.provider, request.endpoint, request.model_name
