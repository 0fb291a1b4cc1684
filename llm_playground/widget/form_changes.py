"""What a form asks, in a line, and in what it and the notebook's values differ from another one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from llm_playground.errors import ConfigError
from llm_playground.formatting import count
from llm_playground.request import templates
from llm_playground.request.messages import conversation
from llm_playground.widget.controls import TRAIT_OF
from llm_playground.widget.drafts import storable
from llm_playground.widget.form import Form, known_values

_TIMES = " \N{MULTIPLICATION SIGN} "
# The traits of a form by the words for them. A preset is no value: it sets those of parameters.
_WORDS = {
    "prompt": "prompt",
    "system": "system prompt",
    "models": "models",
    **{trait: name.replace("_", " ") for name, trait in TRAIT_OF.items()},
    "iterations": "iterations",
    "turns": "earlier turns",
    "values": "typed values",
    "cases": "cases",
    "images": "images",
    "files": "files",
}
_MOST_MODELS = 3
_OF_A_FRAME = "equals"


def changed(asked: Mapping[str, Any], panel: object) -> list[str]:
    """What differs between the form that was asked and that of a panel, in words.

    >>> from types import SimpleNamespace
    >>> changed({"prompt": "Hi", "temperature": 0.5}, SimpleNamespace(prompt="Ho", temperature=0.5))
    ['prompt']
    """
    return [
        words
        for trait, words in _WORDS.items()
        if trait in asked and not _is_same(trait, asked[trait], getattr(panel, trait))
    ]


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
