"""The form under a name: saved as a version of a prompt."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llm_playground import capabilities, prompt_versions
from llm_playground.conversation import conversation
from llm_playground.errors import InvalidParameterError
from llm_playground.parameters import parameters_from
from llm_playground.saved_prompt import Prompt
from llm_playground.widgets import sweep
from llm_playground.widgets.form import Form, first

if TYPE_CHECKING:
    from llm_playground.widgets.playground import Playground
    from llm_playground.widgets.replies import Given

MOST_NAMES = 200


def save(panel: Playground, given: Given) -> str:
    """Save the form under ``name`` with ``note``; the version's name: ``invoice-summary@3``.

    Raises:
        InvalidParameterError: The name is none, or the form cannot be sent as it stands.
        RunLogError: The log cannot be written.
    """
    name = str(given.get("name") or "").strip()
    note = str(given.get("note") or "").strip() or None
    version = prompt_versions.save_prompt(name, panel, note)
    return f"{name}@{version}"


def names(_panel: Playground, _given: Given) -> list[str]:
    """The names under which prompts are saved, for who wants to add a version."""
    saved = dict.fromkeys(map(str, prompt_versions.prompts()["name"]))
    return list(saved)[:MOST_NAMES]


def prompt_of(form: Form) -> Prompt:
    """What the form asks, its ``{{name}}`` unfilled: the first model and values of a sweep.

    Raises:
        InvalidParameterError: There are pictures, which no prompt can keep, or it cannot be sent.
    """
    if form.images:
        raise InvalidParameterError("A saved prompt keeps no pictures. Take them out to save it.")
    one = first(form) if form.models or sweep.swept(form.parameters) else form
    return Prompt(
        messages=conversation(one.prompt, system=one.system or None, messages=one.turns),
        parameters=parameters_from(one.parameters, one.preset),
        model=capabilities.resolve_model(one.models[0]) if one.models else None,
    )
