"""The panel's controls: parameters, models to choose from, and presets, as JSON for the view."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from llm_playground import config
from llm_playground._validation import closest
from llm_playground.catalog import capabilities, retirements
from llm_playground.config import credentials
from llm_playground.config.endpoint_table import EndpointRow
from llm_playground.errors import InvalidParameterError, LLMError
from llm_playground.providers import wire_formats
from llm_playground.request import parameters
from llm_playground.types import Parameters, Request
from llm_playground.widget.form import as_list

if TYPE_CHECKING:
    from llm_playground.catalog.models import Choice
    from llm_playground.config.credentials import KeyStatus
    from llm_playground.widget import Playground

# Choices for a provider that accepts any word.
_ANY_EFFORT = ("low", "medium", "high")
_LOCAL_HOSTS = ("127.0.0.1", "localhost", "[::1]")


@dataclass(frozen=True, slots=True)
class _Control:
    """How a parameter is shown. ``end`` and ``rest`` are used where the models define none."""

    label: str
    kind: Literal["slider", "number", "words", "texts"] = "slider"
    step: float = 1
    end: float | None = None
    rest: float | None = None
    hint: str = "auto"


_CONTROLS: dict[str, _Control] = {
    "temperature": _Control("Temperature", step=0.05, rest=1),
    "top_p": _Control("Top p", step=0.05, rest=1),
    "max_tokens": _Control("Max tokens", end=8192, rest=1024),
    "reasoning_effort": _Control("Reasoning effort", "words"),
    "stop": _Control("Stop", "texts"),
    "seed": _Control("Seed", "number"),
    "top_k": _Control("Top k", end=100, rest=40),
    "presence_penalty": _Control("Presence penalty", step=0.1, rest=0),
    "frequency_penalty": _Control("Frequency penalty", step=0.1, rest=0),
}
# The parameters' traits in the panel, where ``stop`` is a method.
TRAIT_OF = {name: "stop_at" if name == "stop" else name for name in _CONTROLS}
TRAITS = tuple(TRAIT_OF.values())


def parameter_controls(
    models: Sequence[str], values: Mapping[str, Any]
) -> dict[str, dict[str, Any]]:
    """Every control as the view draws it, in order; some values exclude other parameters.

    Returns:
        By trait: ``label``, ``kind`` (``slider``, ``number``, ``words`` or ``texts``), ``min``,
        ``max``, ``step``, ``whole``, ``rest`` (the thumb's position while the value is auto),
        ``default`` (of the models, None where unknown), ``words``, ``hint`` (the placeholder of an
        empty field), ``off`` (whether no model takes it) and ``note`` (which models do not, and
        why).

    >>> parameter_controls(["openai:o3"], {})["temperature"]["note"]
    'Not taken by o3: left out.'
    >>> parameter_controls(["anthropic:claude-haiku-4-5"], {})["temperature"]["max"]
    1
    """
    return {
        TRAIT_OF[name]: _parameter_control(name, control, models, values)
        for name, control in _CONTROLS.items()
    }


def _parameter_control(
    name: str, control: _Control, models: Sequence[str], values: Mapping[str, Any]
) -> dict[str, Any]:
    refusals = {model: why for model in models if (why := _refusal(name, model, values))}
    taking = [model for model in models if model not in refusals]
    shown: dict[str, Any] = {
        "label": control.label,
        "kind": control.kind,
        "hint": control.hint,
        "note": f"{_note(refusals, len(models))} {_version_note(name, taking, values)}".strip(),
        "off": bool(models) and len(refusals) == len(models),
    }
    if control.kind in ("slider", "number"):
        return shown | _number_range(name, control, models)
    if control.kind == "words":
        return shown | {"words": _efforts(taking)}
    return shown


def _number_range(name: str, control: _Control, models: Sequence[str]) -> dict[str, Any]:
    common = capabilities.control(name, models)
    top = common.range.top
    return {
        "min": common.range.bottom,
        "max": control.end if control.end is not None and top is None else top,
        "step": control.step,
        "whole": common.range.integer,
        "rest": control.rest if common.default is None else common.default,
        "default": common.default,
    }


def _refusal(name: str, model: str, values: Mapping[str, Any]) -> str:
    """Why this parameter is not sent to ``{who}``, a model; empty if it is."""
    takes = capabilities.capabilities_of(model)
    if name in takes.unsupported or (name == "reasoning_effort" and takes.efforts == ()):
        return "Not taken by {who}: left out."
    effort = values.get("reasoning_effort")
    efforts = effort if isinstance(effort, (list, tuple)) else [effort]
    if any(map(takes.reasons, efforts)) and name in takes.unsupported_while_reasoning:
        return "Left out for {who} while it reasons: set Reasoning effort to none."
    preferred = takes.first_of[: takes.first_of.index(name)] if name in takes.first_of else ()
    if any(values.get(other) is not None for other in preferred):
        return "Left out for {who}, which takes one of Temperature and Top p."
    return ""


def _version_note(name: str, models: Sequence[str], values: Mapping[str, Any]) -> str:
    """With which older version of its API a vendor takes a value that is set; may be empty."""
    if values.get(name) is None or name not in wire_formats.SAMPLING:
        return ""
    sampled = Parameters(temperature=1)
    versions = {
        model.partition(":")[2]: version
        for model in models
        if (version := wire_formats.older_version(Request(model, (), sampled)))
    }
    version = ", ".join(dict.fromkeys(versions.values()))
    return f"Sent to {' and '.join(versions)} with API version {version}." if versions else ""


def _note(refusals: Mapping[str, str], models: int) -> str:
    """One sentence per reason, with the models that it applies to."""
    sentences = []
    for why in dict.fromkeys(refusals.values()):
        names = [model.partition(":")[2] for model in refusals if refusals[model] == why]
        sentences.append(why.format(who=" and ".join(names)))
    if refusals and len(refusals) < models:
        sentences.append("The others get it.")
    return " ".join(sentences)


def _efforts(models: Sequence[str]) -> list[str]:
    """The words that all models take; where they have none in common, every model's words."""
    accepted = [capabilities.capabilities_of(model).efforts or _ANY_EFFORT for model in models]
    accepted = accepted or [_ANY_EFFORT]
    every = dict.fromkeys(word for words in accepted for word in words)
    shared = [word for word in every if all(word in words for words in accepted)]
    return shared or list(every)


def model_choices(choices: Sequence[Choice]) -> list[dict[str, Any]]:
    """Models as JSON for the view; ``model_choices.js`` lists the fields."""
    rows = config.rows()
    return [_model_choice(choice, rows.get(choice.provider)) for choice in choices]


def _model_choice(choice: Choice, row: EndpointRow | None) -> dict[str, Any]:
    return {
        "model": choice.model,
        "label": choice.label,
        "provider": choice.provider,
        "vendor": _vendor(choice.provider, row),
        "where": _where(row),
        "available": choice.available,
        "reason": "no key" if choice.keyless else choice.reason or "",
        "price": choice.price,
        "context": choice.context,
        "badges": list(choice.badges),
        "about": choice.description,
        "deprecated": choice.deprecated,
        "ends": retirements.warning(choice.retires_at, datetime.now(UTC)),
        "ends_soon": retirements.is_near(choice.retires_at, datetime.now(UTC)),
    }


def _vendor(provider: str, row: EndpointRow | None) -> str:
    return "Local" if provider == "local" or row is None else row.label


def _where(row: EndpointRow | None) -> str:
    """Where a local model runs; empty for a service."""
    if row is None or not row.base_url:
        return "in this kernel"
    is_local = any(f"//{host}" in row.base_url for host in _LOCAL_HOSTS)
    return "on this machine" if is_local else ""


def known_providers(choices: Sequence[Choice] = ()) -> dict[str, dict[str, str]]:
    """Every provider that may be used, by name, with or without a key and known models.

    Returns:
        ``vendor``, its name; and ``note``, why none of its models is among ``choices``: empty if
        some are, or if its models have to be typed.
    """
    listed = {choice.provider for choice in choices}
    return {
        row.name: {
            "vendor": _vendor(row.name, row),
            "note": "" if row.name in listed or not row.free else "no server answers",
        }
        for row in config.rows().values()
        if config.may_ask(row.name)
    }


def unusable_providers(choices: Sequence[Choice]) -> dict[str, dict[str, Any]]:
    """The providers that cannot be used now: ``vendor``, ``line``, ``page`` and ``wants_key``.

    ``line`` says what to do, ``page`` is where a key can be created. May wait for the keyring.
    """
    rows = config.rows()
    lines = {
        choice.provider: f"{_vendor(choice.provider, rows[choice.provider])}: {choice.reason}."
        for choice in choices
        if not choice.available and choice.provider in rows
    }
    for status in credentials.key_statuses():
        if status.status != "present":
            lines[status.provider] = _key_line(status, rows[status.provider].label)
    return {
        name: {
            "vendor": _vendor(name, rows[name]),
            "line": line,
            "page": rows[name].key_page or "",
            "wants_key": bool(rows[name].key_variables),
        }
        for name, line in lines.items()
    }


def _key_line(status: KeyStatus, label: str) -> str:
    if status.status == "malformed":
        return f"{status.variable} (from {status.source}) is not a key of {label}."
    return f"No key for {label}. Put {status.variable} in .env or the environment."


def preset_values(panel: Playground, name: object) -> dict[str, Any]:
    """The values that choosing a preset sets: a built-in one has a few, a saved one has all."""
    if not isinstance(name, str):
        return {}
    if name in panel.presets:
        return dict(panel.presets[name])
    if name not in panel.own_presets:
        return {}
    values = panel.own_presets[name]["parameters"]
    return {trait: values.get(trait) for trait in TRAITS}


def matches_preset(panel: Playground, trait: str, value: object) -> bool:
    """Whether a value is still the one that the chosen preset has."""
    values = preset_values(panel, panel.preset)
    return trait not in values or values[trait] == as_list(value)


def check_preset(panel: Playground) -> None:
    """Refuse an unknown preset, without reading the log.

    Raises:
        InvalidParameterError: No preset has this name; the message names the closest.
    """
    name: object = panel.preset
    known = [*panel.presets, *panel.own_presets]
    if name is not None and name not in known:
        raise InvalidParameterError(f"No preset is called {name!r}. {closest(str(name), known)}")


def load_presets(panel: Playground) -> None:
    """Read the saved presets; if the log cannot be read, the panel keeps those it has."""
    with suppress(LLMError):
        own_presets = {}
        for preset in parameters.saved():
            values = preset.parameters.as_dict()
            by_trait = {
                trait: as_list(values[name]) for name, trait in TRAIT_OF.items() if name in values
            }
            own_presets[preset.name] = {"parameters": by_trait, "by": preset.username or ""}
        panel.own_presets = own_presets


def check_name(name: str | None, models: Sequence[str] | str | None) -> None:
    """Refuse a model in the place of the name, which would ask the default model instead.

    Example:
        >>> check_name("invoice-summary", None)
        >>> check_name("local:tiny", None)
        Traceback (most recent call last):
        llm_playground.errors.InvalidParameterError: The first argument of Playground is its name. \
To ask that model: Playground(models="local:tiny").
    """
    if not isinstance(name, str) or models is not None or len(name.split()) != 1:
        return
    provider, colon, model = name.partition(":")
    if colon and model and provider in config.rows():
        raise InvalidParameterError(
            "The first argument of Playground is its name. "
            f'To ask that model: Playground(models="{name}").'
        )
