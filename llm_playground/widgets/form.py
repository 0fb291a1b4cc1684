"""What a person has set in the panel, and the calls that it stands for."""

from __future__ import annotations

import itertools
from collections import ChainMap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

from llm_playground.call import Call
from llm_playground.calls import plan
from llm_playground.errors import InvalidParameterError
from llm_playground.widgets import sweep

LONGEST_LABEL = 40  # characters of a case's values over its answer


@dataclass(frozen=True, slots=True)
class Form:
    """The panel's values, as they were given: :func:`order` says what is wrong with them.

    Args:
        prompt: The user prompt, with ``{{name}}`` as written.
        system: The system prompt.
        models: Whom to ask.
        preset: One of the presets, or None.
        parameters: By name; None is ``auto``, a list is a sweep: one call per value.
        iterations: How often each model is asked.
        turns: Earlier turns, ``{"role": ..., "content": text}``.
        images: Pictures of the prompt, whatever :func:`llm_playground.image` takes.
        values: Typed values of ``{{name}}``; they go before the notebook's variables.
        cases: Rows of a table, each a mapping of names to values that go before all others.
    """

    prompt: str = ""
    system: str = ""
    models: Sequence[str] = ()
    preset: str | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    iterations: Any = 1
    turns: Sequence[Mapping[str, Any]] = ()
    images: Sequence[Any] = ()
    values: Mapping[str, str] = field(default_factory=dict)
    cases: Sequence[Mapping[str, object]] = ()


@dataclass(frozen=True, slots=True)
class Ordered:
    """One call; ``label`` says what is special about it: ``temperature 0.2``, or nothing."""

    call: Call
    label: str = ""


@dataclass(frozen=True, slots=True)
class Variation:
    """What one of the calls to a model has of its own: a row of the cases, values of the sweep."""

    label: str
    case: Mapping[str, object]
    parameters: Mapping[str, Any]


def order(
    form: Form, notebook: Mapping[str, object], override: str | None = None
) -> tuple[Ordered, ...]:
    """Every call of a form, grouped by model; nothing is sent.

    Args:
        form: What is set.
        notebook: The notebook's variables, for ``{{name}}``.
        override: Why it is to be sent whatever budgets say.

    Raises:
        ConfigError: Something cannot be sent as it stands; one line says what.
    """
    if not form.models:
        raise InvalidParameterError("No model is chosen. Add one.")
    known = known_values(form, notebook)
    ways = variations(form)
    return tuple(
        Ordered(call, way.label)
        for model in form.models
        for way in ways
        for call in plan(
            form.prompt,
            [model],
            system=form.system,
            messages=form.turns,
            images=list(form.images),
            preset=form.preset,
            parameters={**form.parameters, **way.parameters},
            iterations=form.iterations,
            variables=known.new_child({**way.case}),
            override=override,
            source="widget",
        )
    )


def known_values(form: Form, notebook: Mapping[str, object]) -> ChainMap[str, object]:
    """What is typed, then the notebook's variables; ``new_child(case)`` goes before both.

    Look up names only: a notebook makes the texts of its values when they are asked for.
    """
    return ChainMap({**form.values}, cast("dict[str, object]", notebook))


def variations(form: Form) -> list[Variation]:
    """What each model is asked with: every case with every combination of the swept values.

    Raises:
        InvalidParameterError: More parameters are lists than a sweep goes over.
    """
    return [
        Variation(" · ".join(filter(None, (case_label, sweep_label))), case, swept)
        for (case_label, case), (sweep_label, swept) in itertools.product(
            _cases(form), list(_sweep(form.parameters))
        )
    ]


def first(form: Form) -> Form:
    """The form of the first call alone: the first model, case and value of a sweep, once.

    >>> form = Form("Hi", models=["a:b", "c:d"], parameters={"top_p": [0.1, 0.2]}, iterations=5)
    >>> first(form).models, first(form).parameters, first(form).iterations
    (['a:b'], {'top_p': 0.1}, 1)
    """
    swept = variations(form)[0].parameters
    return replace(
        form,
        models=form.models[:1],
        cases=form.cases[:1],
        parameters={**form.parameters, **swept},
        iterations=1,
    )


def _cases(form: Form) -> list[tuple[str, Mapping[str, object]]]:
    if not form.cases:
        return [("", {})]
    return [(_case_label(number, case), case) for number, case in enumerate(form.cases, 1)]


def _case_label(number: int, case: Mapping[str, object]) -> str:
    """``case 1: Oslo, 3`` where its values are short texts and numbers, else its number alone."""
    plain = [str(value) for value in case.values() if isinstance(value, (str, int, float))]
    said = ", ".join(plain) if all(len(one) <= LONGEST_LABEL for one in plain) else ""
    shown = said and len(said) <= LONGEST_LABEL and "\n" not in said
    return f"case {number}: {said}" if shown else f"case {number}"


def _sweep(parameters: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every combination of the listed values, with its label; one empty one without a list."""
    listed = sweep.swept(parameters)
    for values in itertools.product(*listed.values()):
        chosen = dict(zip(listed, values, strict=True))
        yield " · ".join(f"{name} {value}" for name, value in chosen.items()), chosen
