"""What a form asks, in a line, and in what it and the notebook's values differ from another one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from llm_playground.differences import Change, change
from llm_playground.errors import ConfigError
from llm_playground.formatting import count
from llm_playground.redaction import redact
from llm_playground.request import templates
from llm_playground.request.messages import conversation
from llm_playground.widget.controls import TRAIT_OF
from llm_playground.widget.drafts import storable
from llm_playground.widget.form import Form, known_values

_TIMES = " \N{MULTIPLICATION SIGN} "
_BETWEEN = " · "
# The traits of a form by the words for them, those with short values first. A preset is no value:
# it sets those of parameters.
_WORDS = {
    "models": "models",
    **{trait: name.replace("_", " ") for name, trait in TRAIT_OF.items()},
    "iterations": "iterations",
    "system": "system prompt",
    "prompt": "prompt",
    "turns": "earlier turns",
    "values": "typed values",
    "cases": "cases",
    "images": "images",
    "files": "files",
}
_MOST_MODELS = 3
_OF_A_FRAME = "equals"


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Change]:
    r"""In what two forms differ, among the traits that both have. Keys in texts are masked.

    >>> before = {"system": "Be brief and dry.", "temperature": 0.2}
    >>> [one.in_full for one in differences(before, {"system": "Be brief.", "temperature": None})]
    ['temperature 0.2 \u2192 auto', 'system prompt: Be brief[- and dry-].']
    """
    return [
        _change(trait, before[trait], after[trait])
        for trait in _WORDS
        if trait in before and trait in after and not _is_same(trait, before[trait], after[trait])
    ]


def as_state(changes: Sequence[Change]) -> dict[str, str]:
    """Changes as a view shows them: the ``line`` of their words, and all ``in_full``."""
    return {
        "line": _BETWEEN.join(one.words for one in changes),
        "in_full": "\n".join(one.in_full for one in changes),
    }


def _change(trait: str, before: Any, after: Any) -> Change:  # noqa: ANN401 - values of traits
    name = _WORDS[trait]
    of_value = _SHORT_TEXTS.get(trait)
    short = None if of_value is None else (of_value(before), of_value(after))
    return change(name, _in_full(before), _in_full(after), short)


def _parameter(value: object) -> str:
    values = value if isinstance(value, (list, tuple)) else [value]
    return ", ".join("auto" if one is None else redact(str(one)) for one in values) or "none"


def _number_of(value: Any) -> str:  # noqa: ANN401 - as above
    if isinstance(value, str):  # the name of a table
        return redact(value)
    return f"{len(value):,}" if hasattr(value, "__len__") else "0"


def _models(value: Iterable[object]) -> str:
    return ", ".join(str(one).partition(":")[2] or str(one) for one in value) or "none"


# Texts of values that may be short enough for the line.
_SHORT_TEXTS: Mapping[str, Callable[[Any], str]] = {
    "models": _models,
    **dict.fromkeys(TRAIT_OF.values(), _parameter),
    "iterations": _parameter,
    **dict.fromkeys(("turns", "cases", "images", "files"), _number_of),
}


def _in_full(value: Any) -> str:  # noqa: ANN401 - as above
    """A value of a form as text: typed values with their names, entries one after the other."""
    match value:
        case None:
            return ""
        case Mapping():
            return ", ".join(f"{name}: {item}" for name, item in value.items())
        case list() | tuple():
            return ", ".join(map(_entry, value))
    return "" if hasattr(value, _OF_A_FRAME) else str(value)


def _entry(value: object) -> str:
    """A turn, an image or file by its name, a case, or a plain value."""
    match value:
        case {"role": role, "content": content}:
            return f"{role}: {content}"
        case {"id": _, "name": name}:
            return str(name)
    return _in_full(value) if isinstance(value, (Mapping, list, tuple)) else str(value)


def _is_same(trait: str, before: Any, now: Any) -> bool:  # noqa: ANN401 - values of traits
    if before is now:
        return True
    if trait == "cases" and hasattr(before, _OF_A_FRAME) and hasattr(now, _OF_A_FRAME):
        with suppress(Exception):  # frames of users may hold anything
            return bool(before.equals(now))
        return False
    if trait == "models" and isinstance(before, list) and isinstance(now, list):
        return sorted(map(str, before)) == sorted(map(str, now))
    return storable({trait: before}) == storable({trait: now})


def changed_values(
    asked: Iterable[Mapping[str, str]], form: Form, notebook: Mapping[str, object]
) -> list[str]:
    """What differs between the values that were sent and those of the notebook now, in words.

    ``asked`` has for each prompt that was sent the hashes of its values by name. Typed values are
    part of the form; a name that is not among both prompts is left out, and so is everything if a
    value is missing now.

    >>> sent = templates.hashes_of({"n": "3"})
    >>> changed_values([sent], Form("Say {{n}}."), {"n": 4})
    ['{{n}}']
    """
    before = [one for one in asked if one]
    try:
        template = conversation(form.prompt, system=form.system, messages=form.turns)
        known = known_values(form, notebook)
        now = [
            templates.hashes_of(templates.values_of(template, known.new_child({**case})))
            for case in form.cases or [{}]
        ]
    except ConfigError:
        return []
    of_cases = set(form.cases[0]) if form.cases else set()
    rows = [name for name in now[0] if name in of_cases]
    others = [name for name in now[0] if name not in of_cases and name not in form.values]
    found = []
    for name in others:
        sent = _columns(before, [name])
        if len(sent) == 1 and sent != _columns(now[:1], [name]):
            found.append(f"{{{{{name}}}}}")
    sent = _columns(before, rows)
    is_tried_alone = len(sent) == 1 and sent <= _columns(now, rows)
    if rows and sent and not is_tried_alone and sent != _columns(now, rows):
        found.append("cases")
    return found


def differing_values(
    before: Iterable[Mapping[str, str]], after: Iterable[Mapping[str, str]]
) -> list[str]:
    """The values that differ between two Runs, as ``{{name}}``, but those that vary within a Run.

    ``before`` and ``after`` have, for each prompt that was sent, the hashes of its values by name.

    >>> differing_values([{"n": "a", "m": "b"}], [{"n": "c", "m": "b"}])
    ['{{n}}']
    """
    first, second = list(before), list(after)
    names = dict.fromkeys(name for one in second for name in one)
    sent = {name: (_columns(first, [name]), _columns(second, [name])) for name in names}
    return [f"{{{{{name}}}}}" for name, (a, b) in sent.items() if len(a) == len(b) == 1 and a != b]


def _columns(hashes: Sequence[Mapping[str, str]], names: Sequence[str]) -> set[tuple[str, ...]]:
    """The values of some names together, each combination once; empty where one is unknown."""
    known = [one for one in hashes if all(name in one for name in names)]
    return {tuple(one[name] for name in names) for one in known}


def about(form: Mapping[str, Any]) -> str:
    r"""The models, iterations, parameters and cases of a form.

    >>> about({"models": ["ollama:llama3:8b", "local"], "iterations": 2, "temperature": 0.2})
    'llama3:8b, local \xd7 2 · temperature 0.2'
    """
    return " · ".join(filter(None, _about(form)))


def _about(form: Mapping[str, Any]) -> Iterator[str]:
    models = [str(model).partition(":")[2] or str(model) for model in form.get("models") or ()]
    named = ", ".join(models) if len(models) <= _MOST_MODELS else count(len(models), "model")
    iterations = form.get("iterations")
    yield named + (f"{_TIMES}{iterations}" if iterations not in (None, 1) else "")
    for name, trait in TRAIT_OF.items():
        value = form.get(trait)
        if value is not None:
            values = ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else value
            yield f"{name.replace('_', ' ')} {values}"
    cases = form.get("cases")
    if isinstance(cases, str) and cases.strip():
        yield f"cases of {cases.strip()}"
    elif cases is not None and hasattr(cases, "__len__") and len(cases):
        yield count(len(cases), "case")
