"""The inputs of executions as columns of a frame."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from typing import Any

from llm_playground.inputs import Inputs
from llm_playground.runlog.rows import RUN_COLUMNS
from llm_playground.types import Parameters

LABEL = "case"
TEMPLATE = "prompt_template"
PREFIX = "input_"
_PARAMETERS = [one.name for one in fields(Parameters)]
_TAKEN = frozenset((*RUN_COLUMNS, *_PARAMETERS, LABEL, TEMPLATE))


def input_columns(inputs: Sequence[Inputs | None]) -> dict[str, list[Any]]:
    """The inputs of each run by column; None where a run has none of it.

    ``case`` is the label and ``prompt_template`` the user prompt as written, each only if a run has
    it; then come the columns of the cases and the values, see :func:`free_name`.

    >>> from llm_playground.inputs import Case
    >>> input_columns([Inputs(Case("case 1", {"id": 7, "model": "T"})), None])
    {'case': ['case 1', None], 'id': [7, None], 'input_model': ['T', None]}
    """
    labels = [one.case.label if one and one.case else None for one in inputs]
    templates = [one.prompt if one else None for one in inputs]
    columns = [one.columns if one else {} for one in inputs]
    names = dict.fromkeys(name for each in columns for name in each)
    found: dict[str, list[Any]] = {LABEL: labels, TEMPLATE: templates}
    found = {name: values for name, values in found.items() if any(values)}
    for name in names:
        found[free_name(name, names)] = [each.get(name) for each in columns]
    return found


def free_name(name: str, names: Iterable[str] = ()) -> str:
    """The name of a column for an input: with the prefix ``input_`` if its own is taken.

    ``names`` are those of all inputs, of which another may have the prefix already.

    >>> free_name("review_id"), free_name("model"), free_name("model", ["input_model"])
    ('review_id', 'input_model', 'input_input_model')
    """
    if name not in _TAKEN:
        return name
    free = f"{PREFIX}{name}"
    while free in _TAKEN or free in names:
        free = f"{PREFIX}{free}"
    return free


def parameter_names(parameters: Iterable[Mapping[str, Any]]) -> list[str]:
    """The parameters that any of some runs sets, in their usual order."""
    used = {name for each in parameters for name in each}
    return [name for name in _PARAMETERS if name in used]
