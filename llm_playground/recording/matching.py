"""Why no stored answer fits a request: the closest stored request, and in what it differs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

from llm_playground import differences
from llm_playground.differences import Change
from llm_playground.formatting import count

_AUTO = "auto"
_MOST_COMPARED = 300  # stored requests, those with the most words in common
_MOST_RATED_CHARS = 2_000
_MOST_SHOWN = 4  # differences
# How far a difference puts two requests apart; for texts the share that differs counts.
_WEIGHTS = {"model": 1.0, "parameters": 0.5, "tools": 0.5, "schema": 0.5}
_TEXT_WEIGHTS = {"prompt": 3.0, "system prompt": 1.0, "earlier turns": 1.0}


@dataclass(frozen=True, slots=True)
class Asked:
    """A described request in the parts that are compared."""

    model: str
    parameters: Mapping[str, Any]
    texts: Mapping[str, str]  # by the names of ``_TEXT_WEIGHTS``
    tools: Mapping[str, Any]
    schema: Any

    @classmethod
    def of(cls, request: Mapping[str, Any]) -> Asked:
        """The parts of :func:`llm_playground.recording.entries.described`; another's are empty."""
        turns = [
            (str(role), _content(content))
            for turn in _list(request.get("messages"))
            if isinstance(turn, Mapping)
            for role, content in turn.items()
        ]
        system = "\n\n".join(text for role, text in turns if role == "system")
        others = [(role, text) for role, text in turns if role != "system"]
        return cls(
            str(request.get("model") or ""),
            _mapping(request.get("parameters")),
            {
                "prompt": others[-1][1] if others else "",
                "system prompt": system,
                "earlier turns": "\n".join(f"{role}: {text}" for role, text in others[:-1]),
            },
            _mapping(request.get("tools")),
            request.get("schema"),
        )


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _content(value: object) -> str:
    """The text of a turn; an image, a file or a tool call as its JSON."""
    if isinstance(value, str):
        return value
    return "\n".join(
        str(part["text"]) if _mapping(part).get("type") == "text" else _json(part)
        for part in _list(value)
    )


def _json(value: object) -> str:
    return "" if value is None else json.dumps(value, ensure_ascii=False, sort_keys=True)


def closest(
    wanted: Mapping[str, Any], stored: Iterable[Mapping[str, Any]]
) -> Mapping[str, Any] | None:
    """The described request that is closest to another one; None if there is none."""
    asked, found = Asked.of(wanted), list(stored)
    if len(found) > _MOST_COMPARED:
        words = set(asked.texts["prompt"].split())
        found.sort(key=lambda one: -len(words & set(Asked.of(one).texts["prompt"].split())))
    return min(
        found[:_MOST_COMPARED], key=lambda one: _distance(Asked.of(one), asked), default=None
    )


def _distance(one: Asked, other: Asked) -> float:
    apart = sum(w for name, w in _WEIGHTS.items() if getattr(one, name) != getattr(other, name))
    return apart + sum(
        weight * _share_apart(one.texts[name], other.texts[name])
        for name, weight in _TEXT_WEIGHTS.items()
    )


def _share_apart(one: str, other: str) -> float:
    if one == other:
        return 0.0
    rated = SequenceMatcher(None, one[:_MOST_RATED_CHARS], other[:_MOST_RATED_CHARS])
    return 1.0 - rated.quick_ratio() * 0.999  # two that differ are never as one


def explained(stored: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    r"""In what a request differs from a stored one, in one line.

    >>> stored = {"model": "a:b", "messages": [{"user": "Oslo?"}]}
    >>> wanted = {"model": "a:b", "messages": [{"user": "Oslo?"}], "parameters": {"seed": 1}}
    >>> explained(stored, wanted)
    'same model; seed auto \u2192 1'
    """
    before, after = Asked.of(stored), Asked.of(wanted)
    found = list(_changes(before, after))
    same = ["same model"] if before.model == after.model else []
    shown = [one.in_full for one in found[:_MOST_SHOWN]]
    if more := len(found) - len(shown):
        shown.append(count(more, "more difference"))
    if not found:
        shown = ["differs in what is masked, shortened or left out there"]
    return "; ".join([*same, *shown])


def _changes(before: Asked, after: Asked) -> Iterator[Change]:
    if before.model != after.model:
        yield differences.change("model", before.model, after.model, (before.model, after.model))
    for name in sorted({*before.parameters, *after.parameters}):
        pair = before.parameters.get(name), after.parameters.get(name)
        if pair[0] != pair[1]:
            texts = _both(pair, lambda one: _AUTO if one is None else str(one))
            yield differences.change(name.replace("_", " "), *texts, texts)
    for name in _TEXT_WEIGHTS:
        if before.texts[name] != after.texts[name]:
            yield differences.change(name, before.texts[name], after.texts[name])
    if before.tools != after.tools:
        names = _both((before.tools, after.tools), lambda one: ", ".join(sorted(one)) or "none")
        texts = _both((before.tools, after.tools), _json)
        yield differences.change("tools", *texts, names)
    if before.schema != after.schema:
        yield differences.change("schema", *_both((before.schema, after.schema), _json))


def _both(pair: tuple[Any, Any], text: Callable[[Any], str]) -> tuple[str, str]:
    return text(pair[0]), text(pair[1])
