"""The dialog "Open": the saved prompts, what changed between two versions, and opening one."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

from llm_playground import differences
from llm_playground._validation import shorten
from llm_playground.request import prompts
from llm_playground.request.prompts import Prompt
from llm_playground.widget.controls import TRAIT_OF
from llm_playground.widget.form import form_from_prompt

if TYPE_CHECKING:
    from llm_playground.widget import Playground

_MOST_PROMPTS = 500
_PREVIEW_CHARACTERS = 160
_PARTS = ("System prompt", "Turns", "User prompt", "Parameters", "Model")


def saved_prompts(_panel: Playground, _arguments: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The saved prompts, those saved last first.

    Returns:
        One dict per prompt: ``name``, and ``versions``, the newest first, each with ``version``,
        ``note``, ``by``, ``at`` (ISO 8601), ``model`` and ``text``, the start of its user prompt.

    Raises:
        RunLogError: The log cannot be read.
    """
    rows = prompts.prompts().to_dict("records")
    by_name = groupby(rows, key=lambda row: str(row["name"]))
    found = [(name, [_version(row) for row in versions]) for name, versions in by_name]
    found.sort(key=lambda one: str(one[1][0]["at"]), reverse=True)
    return [{"name": name, "versions": versions} for name, versions in found[:_MOST_PROMPTS]]


def _version(row: Mapping[Any, Any]) -> dict[str, Any]:
    text = _text(row["user_prompt"])[: 8 * _PREVIEW_CHARACTERS]
    return {
        "version": int(row["version"]),
        "note": _text(row["note"]),
        "by": _text(row["username"]),
        "at": row["created_at"].isoformat(),
        "model": _text(row["model"]),
        "text": shorten(text, _PREVIEW_CHARACTERS),
    }


def _text(value: object) -> str:
    """A text of a frame, where a missing one may be None or NaN."""
    return value if isinstance(value, str) else ""


def prompt_changes(_panel: Playground, arguments: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What a ``version`` of the prompt ``name`` has that the version ``than`` has not.

    Returns:
        One dict per part of the prompt that either has: ``part``, its heading, and ``pieces``,
        the word diff of its text, see :func:`llm_playground.differences.diff`. Without ``than``,
        all of it is in both.

    Raises:
        InvalidParameterError: There is no such version.
        RunLogError: The log cannot be read.
    """
    name = str(arguments["name"])
    after = _parts(prompts.prompt(f"{name}@{int(arguments['version'])}"))
    than = arguments.get("than")
    before = after if than is None else _parts(prompts.prompt(f"{name}@{int(than)}"))
    return [
        {"part": part, "pieces": differences.diff(before.get(part, ""), after.get(part, ""))}
        for part in _PARTS
        if part in before or part in after
    ]


def _parts(prompt: Prompt) -> dict[str, str]:
    """The texts of a prompt by their headings; without empty ones."""
    turns = [f"{turn.role}: {turn.text}" for turn in prompt.earlier]
    values = prompt.parameters.as_dict().items()
    texts = (
        prompt.system or "",
        "\n\n".join(turns),
        str(prompt),
        "\n".join(f"{name}: {json.dumps(value)}" for name, value in values),
        prompt.model or "",
    )
    return {part: text for part, text in zip(_PARTS, texts, strict=True) if text}


def open_prompt(panel: Playground, arguments: Mapping[str, Any]) -> None:
    """Fill the form with a ``version`` of the prompt ``name``; answers and values stay.

    The models stay if the prompt was saved without one.

    Raises:
        InvalidParameterError: There is no such version.
        RunLogError: The log cannot be read.
    """
    prompt = prompts.prompt(f"{arguments['name']}@{int(arguments['version'])}")
    form = form_from_prompt(prompt)
    panel.set_form(
        {
            "prompt": form.prompt,
            "system": form.system,
            "models": list(form.models) or panel.models,
            **{trait: form.parameters.get(name) for name, trait in TRAIT_OF.items()},
            "turns": list(form.turns),
            "images": list(form.images),
            "files": list(form.files),
            "preset": None,
        }
    )


REQUESTS: Sequence[Callable[[Playground, Mapping[str, Any]], object]] = (
    saved_prompts,
    prompt_changes,
    open_prompt,
)
