"""Fields that this package adds to requests, and how they are left out where a server refuses them.

One row of :data:`ADDITIONS` per addition. A refusal is paid once: what an endpoint refuses for a
model is remembered (``wire_formats.leave_additions_out``) and left out of later requests. The user
leaves an addition out with None in its place, such as ``extra={"stream_options": None}``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from llm_playground.providers import extra
from llm_playground.providers.gemini_parts import UNSIGNED

Body = dict[str, Any]
Given = Mapping[str, Any]

ENCRYPTED = "reasoning.encrypted_content"
"""The entry of ``include`` that asks Responses for reasoning which can be sent back."""
_LIMITS = ("max_tokens", "max_completion_tokens")


@dataclass(frozen=True, slots=True)
class Addition:
    """One addition.

    ``wire_formats`` are the names of the formats that have it. A refusal is recognised by the
    names of the fields that it refuses (``names``: in lower case, without ``_``), by its ``param``
    or by its ``message``; the last two are patterns. ``left_out`` returns the body without the
    addition, given the user's ``extra``, whose fields stay.
    """

    wire_formats: frozenset[str]
    names: frozenset[str]
    left_out: Callable[[Body, Given], Body]
    param: str | None = None
    message: str | None = None

    def is_refused(self, names: Iterable[str], param: object, message: str) -> bool:
        """Whether a refusal is about this addition; ``names`` are the fields that it refuses."""
        by_param = self.param is not None and isinstance(param, str)
        return (
            not self.names.isdisjoint(names)
            or (by_param and re.fullmatch(str(self.param), str(param)) is not None)
            or (self.message is not None and re.search(self.message, message, re.I) is not None)
        )


def _without_counts(body: Body, given: Given) -> Body:
    return body if extra.sets(given, "stream_options") else _without(body, "stream_options")


def _whole(body: Body, given: Given) -> Body:
    """The answer comes whole, as JSON; not left out, since the SDKs would set it again."""
    return {**_without_counts(body, given), "stream": False} if body.get("stream") else body


def _other_limit(body: Body, given: Given) -> Body:
    """The limit of the answer under its other name, which is the newer one at OpenAI."""
    if len(body.keys() & set(_LIMITS)) != 1 or any(extra.sets(given, name) for name in _LIMITS):
        return body
    other = dict(zip(_LIMITS, reversed(_LIMITS), strict=True))
    return {other.get(name, name): value for name, value in body.items()}


def _not_strict(body: Body, given: Given) -> Body:
    """Without ``strict`` in tools and in the format of the answer."""
    own_tools = extra.tools(given)
    changed: Body = {
        name: _without_strict(body[name])
        for name in ("response_format", "text")
        if name in body and not extra.sets(given, name)
    }
    if "tools" in body:
        changed["tools"] = [
            tool if tool in own_tools else _without_strict(tool) for tool in body["tools"]
        ]
    return {**body, **changed}


def _without_strict(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    if not isinstance(value, Mapping):
        return value
    holders = ("function", "json_schema", "format")
    return {
        name: _without_strict(each) if name in holders else each
        for name, each in value.items()
        if name != "strict"
    }


def _without_encrypted(body: Body, given: Given) -> Body:
    asked = given.get("include")
    if "include" not in body or (isinstance(asked, (list, tuple)) and ENCRYPTED in asked):
        return body
    rest = [name for name in body["include"] if name != ENCRYPTED]
    return {**body, "include": rest} if rest else _without(body, "include")


def _without_summary(body: Body, given: Given) -> Body:
    if extra.sets(given, "reasoning", "summary"):
        return body
    less = _without(body, "reasoning", "summary")
    return less if less.get("reasoning") else _without(less, "reasoning")


def _without_thoughts(body: Body, given: Given) -> Body:
    path = ("generationConfig", "thinkingConfig", "includeThoughts")
    return body if extra.sets(given, *path) else _without(body, *path)


def _without_marks(body: Body, _given: Given) -> Body:
    """Without the marks on calls of other models."""
    return {**body, "contents": [_unmarked(content) for content in body.get("contents", ())]}


def _unmarked(content: Body) -> Body:
    parts = (
        _without(part, "thoughtSignature") if part.get("thoughtSignature") == UNSIGNED else part
        for part in content["parts"]
    )
    return {**content, "parts": list(parts)}


def _not_cited(body: Body, _given: Given) -> Body:
    """Without ``citations`` in documents."""
    return {**body, "messages": [_turn_not_cited(turn) for turn in body.get("messages", ())]}


def _turn_not_cited(turn: Body) -> Body:
    if isinstance(turn["content"], str):
        return turn
    blocks = (
        _without(block, "citations") if block.get("type") == "document" else block
        for block in turn["content"]
    )
    return {**turn, "content": list(blocks)}


def _without(body: Body, name: str, *inner: str) -> Body:
    """The object without the field at a path; the object itself where it has none."""
    if name not in body:
        return body
    if inner:
        held = body[name]
        return {**body, name: _without(held, *inner)} if isinstance(held, dict) else body
    return {other: value for other, value in body.items() if other != name}


_CHAT, _RESPONSES, _GEMINI = "openai", "openai-responses", "gemini"
_MESSAGES = ("anthropic", "anthropic-vertex")
# Sources of the patterns: OpenAI's "Encrypted content is not supported with this model" (param
# "include") and "Your organization must be verified to generate reasoning summaries" (param
# "reasoning.summary"); Gemini's "Thinking_config.include_thoughts is only enabled when thinking is
# enabled" and 'Unknown name "includeThoughts"'.
ADDITIONS: dict[str, Addition] = {
    "stream_options": Addition(
        frozenset({_CHAT}),
        frozenset({"streamoptions", "includeusage"}),
        _without_counts,
    ),
    "stream": Addition(frozenset({_CHAT, *_MESSAGES, _RESPONSES}), frozenset({"stream"}), _whole),
    "limit": Addition(
        frozenset({_CHAT}), frozenset({"maxtokens", "maxcompletiontokens"}), _other_limit
    ),
    "strict": Addition(frozenset({_CHAT, _RESPONSES}), frozenset({"strict"}), _not_strict),
    "include": Addition(
        frozenset({_RESPONSES}),
        frozenset({"include"}),
        _without_encrypted,
        param=r"include(?:[.\[].*)?",
        message=r"encrypted[ _]content",
    ),
    "reasoning_summary": Addition(
        frozenset({_RESPONSES}),
        frozenset({"reasoning", "summary"}),
        _without_summary,
        param=r"reasoning(?:\.summary)?",
        message=r"reasoning(?: |\.)summar",
    ),
    "include_thoughts": Addition(
        frozenset({_GEMINI}), frozenset({"includethoughts"}), _without_thoughts
    ),
    "call_marks": Addition(
        frozenset({_GEMINI}),
        frozenset({"thoughtsignature"}),
        _without_marks,
        # "missing a thought_signature" is about another call, which has none.
        message=r"^(?!.*missing).*skip_thought_signature",
    ),
    "citations": Addition(frozenset(_MESSAGES), frozenset({"citations"}), _not_cited),
}


def refusable_names() -> frozenset[str]:
    """The names of the additions in refusals: in lower case, without ``_``."""
    return frozenset().union(*(row.names for row in ADDITIONS.values()))


def refused(names: Iterable[str], param: object, message: str) -> frozenset[str]:
    """The additions that a refusal may be about, keys of :data:`ADDITIONS`, of all wire formats.

    ``names`` are the fields that it refuses, as :attr:`Addition.names`; ``param`` and ``message``
    are the error's.

    >>> refused((), "include", "Encrypted content is not supported with this model.")
    frozenset({'include'})
    """
    known = frozenset(names)
    return frozenset(
        name for name, row in ADDITIONS.items() if row.is_refused(known, param, message)
    )


def without(body: Body, names: Iterable[str], given: Given) -> Body:
    """The body without these additions; what the user's ``extra`` sets stays.

    >>> without({"messages": [], "max_tokens": 5}, ("limit",), {})
    {'messages': [], 'max_completion_tokens': 5}
    """
    for name in names:
        body = ADDITIONS[name].left_out(body, given)
    return body


def in_body(wire_format: str, body: Body, names: frozenset[str], given: Given) -> tuple[str, ...]:
    """Those of the ``names`` that a body has, in the order of :data:`ADDITIONS`.

    >>> in_body("openai", {"max_tokens": 5, "stream": False}, frozenset({"limit", "stream"}), {})
    ('limit',)
    """
    return tuple(
        name
        for name, row in ADDITIONS.items()
        if name in names and wire_format in row.wire_formats and row.left_out(body, given) != body
    )
