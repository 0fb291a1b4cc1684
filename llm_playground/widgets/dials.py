"""The controls of the parameters: what each offers for the chosen models, from the one table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from llm_playground import capabilities
from llm_playground.capabilities import Capabilities

Kind = Literal["slider", "number", "words", "texts"]

# Offered where a provider sends any word on.
_ANY_EFFORT = ("low", "medium", "high")


@dataclass(frozen=True, slots=True)
class _Look:
    """How a parameter is shown. ``end`` and ``rest`` stand in where no model says."""

    label: str
    kind: Kind = "slider"
    step: float = 1
    end: float | None = None
    rest: float | None = None
    hint: str = "auto"


_LOOKS: dict[str, _Look] = {
    "temperature": _Look("Temperature", step=0.05, rest=1),
    "top_p": _Look("Top p", step=0.05, rest=1),
    "max_tokens": _Look("Max tokens", end=8192, rest=1024),
    "reasoning_effort": _Look("Reasoning effort", "words"),
    "stop": _Look("Stop", "texts", hint='END, "\\n"'),
    "seed": _Look("Seed", "number"),
    "top_k": _Look("Top k", end=100, rest=40),
    "presence_penalty": _Look("Presence penalty", step=0.1, rest=0),
    "frequency_penalty": _Look("Frequency penalty", step=0.1, rest=0),
}
# The panel's traits for them: its ``stop`` is a verb.
TRAIT_OF = {name: "stop_at" if name == "stop" else name for name in _LOOKS}
TRAITS = tuple(TRAIT_OF.values())


def dials(models: Sequence[str], values: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Every control as the view draws it, in order.

    Args:
        models: The chosen ones, ``provider:name``.
        values: What is set now: some parameters leave others no place.

    Returns:
        By trait: ``label``, ``kind`` (``slider``, ``number``, ``words`` or ``texts``), ``min``,
        ``max``, ``step``, ``whole``, ``rest`` (where the thumb waits), ``default`` (what the models
        use, None where unknown), ``words``, ``hint`` (what an empty field says), ``off`` (no model
        takes it) and ``note`` (who does not, and why).

    >>> dials(["openai:o3"], {})["temperature"]["note"]
    'Not taken by o3: left out.'
    >>> dials(["anthropic:claude-haiku-4-5"], {})["temperature"]["max"]
    1
    """
    drawn = (_dial(name, look, models, values) for name, look in _LOOKS.items())
    return dict(zip(TRAITS, drawn, strict=True))


def _dial(
    name: str, look: _Look, models: Sequence[str], values: Mapping[str, Any]
) -> dict[str, Any]:
    without = {model: why for model in models if (why := _refusal(name, model, values))}
    shown: dict[str, Any] = {
        "label": look.label,
        "kind": look.kind,
        "hint": look.hint,
        "note": _note(without, len(models)),
        "off": bool(models) and len(without) == len(models),
    }
    if look.kind in ("slider", "number"):
        return shown | _numbers(name, look, models)
    if look.kind == "words":
        return shown | {"words": _efforts([model for model in models if model not in without])}
    return shown


def _numbers(name: str, look: _Look, models: Sequence[str]) -> dict[str, Any]:
    offered = capabilities.control(name, models)
    top = offered.range.top
    return {
        "min": offered.range.bottom,
        "max": look.end if look.end is not None and top is None else top,
        "step": look.step,
        "whole": offered.range.integer,
        "rest": look.rest if offered.default is None else offered.default,
        "default": offered.default,
    }


def _refusal(name: str, model: str, values: Mapping[str, Any]) -> str:
    """Why a model would not be sent this parameter; empty when it would."""
    takes = capabilities.of(model)
    return next((why for refuses, why in _REFUSALS if refuses(name, takes, values)), "")


def _has_no_place(name: str, takes: Capabilities, _values: Mapping[str, Any]) -> bool:
    return name in takes.unsupported or (name == "reasoning_effort" and takes.efforts == ())


def _reasons(name: str, takes: Capabilities, values: Mapping[str, Any]) -> bool:
    effort = values.get("reasoning_effort")
    return name in takes.unsupported_while_reasoning and effort not in (None, "none")


def _comes_second(name: str, takes: Capabilities, values: Mapping[str, Any]) -> bool:
    if name not in takes.first_of:
        return False
    before = takes.first_of[: takes.first_of.index(name)]
    return any(values.get(other) is not None for other in before)


_REFUSALS = (
    (_has_no_place, "Not taken by {who}: left out."),
    (_reasons, "Left out for {who} while it reasons: set Reasoning effort to none."),
    (_comes_second, "Left out for {who}, which takes one of Temperature and Top p."),
)


def _note(without: Mapping[str, str], many: int) -> str:
    """One sentence per reason, with the models it is true of."""
    reasons = dict.fromkeys(without.values())
    sentences = []
    for why in reasons:
        names = [model.partition(":")[2] for model in without if without[model] == why]
        sentences.append(why.format(who=" and ".join(names)))
    if without and len(without) < many:
        sentences.append("The others get it.")
    return " ".join(sentences)


def _efforts(models: Sequence[str]) -> list[str]:
    """The words that all of them take; where they share none, every word that one takes."""
    known = [capabilities.of(model).efforts or _ANY_EFFORT for model in models] or [_ANY_EFFORT]
    every = dict.fromkeys(word for words in known for word in words)
    shared = [word for word in every if all(word in words for words in known)]
    return shared or list(every)
