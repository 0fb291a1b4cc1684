"""Where each parameter of a request stands in the body that is sent, and why some stand nowhere.

Nothing is listed twice: the place is found by asking the body's builder with and without it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from llm_playground import capabilities, config
from llm_playground.providers import chat_completions, generate_content, messages
from llm_playground.types import Request

_BODIES: dict[str, Callable[[Request], dict[str, Any]]] = {
    "openai": chat_completions.body,
    "anthropic": messages.body,
    "gemini": generate_content.body,
    "gemini-legacy": generate_content.body,
}
# Why a parameter has another name than everywhere here, by that name.
_RENAMED = {
    "max_completion_tokens": "OpenAI's reasoning models refuse max_tokens.",
    "max_tokens": "Nobody set it; Messages refuses a request without it.",
    "top_logprobs": "It says how many alternatives.",
}
# What is in a body though nobody set it.
_ALWAYS = {
    "stream": "Answers are read as they come.",
    "stream_options": "It lets the stream end with its usage.",
}


@dataclass(frozen=True, slots=True)
class Passage:
    """One parameter on its way: ``name`` as everywhere here, empty for what nobody set.

    ``places`` are where it stands in the body, none for one that is not sent; ``why`` says why it
    is not, or is called otherwise, and is empty where there is nothing to say.
    """

    name: str
    value: object
    places: tuple[str, ...]
    why: str = ""


def body_of(request: Request) -> dict[str, Any] | None:
    """The JSON body of a request; None where a package of others builds it.

    Raises:
        InvalidParameterError: It cannot be sent as it stands.
    """
    build = _BODIES.get(_wire_format(request))
    return None if build is None else build(request)


def passages(
    request: Request, dropped: tuple[str, ...] = (), max_tokens_cap: int | None = None
) -> tuple[Passage, ...]:
    """What became of each parameter that was set, in order, then what was added.

    Args:
        request: What was asked.
        dropped: What was left out, as a run's ``dropped_parameters``.
        max_tokens_cap: As a run's.

    >>> from llm_playground.types import Message, Parameters, TextPart
    >>> hi = (Message("user", (TextPart("hi"),)),)
    >>> asked = Request("openai:o3", hi, Parameters(temperature=1, max_tokens=5))
    >>> [(p.name, p.places) for p in passages(asked, ("temperature",))][:2]
    [('temperature', ()), ('max_tokens', ('max_completion_tokens',))]
    """
    sent = sendable(request, dropped, max_tokens_cap)
    body = _flat(body_of(sent) or {})
    found = [
        Passage(name, value, (), _why_dropped(request, name))
        if name in dropped
        else _passage(sent, body, name, value)
        for name, value in request.parameters.as_dict().items()
    ]
    return (*found, *_added(request, body, max_tokens_cap))


def sendable(request: Request, dropped: tuple[str, ...], max_tokens_cap: int | None) -> Request:
    """The request as it was sent: without what was left out, with the cap of a budget."""
    parameters = request.parameters.without(dropped)
    if max_tokens_cap is not None:
        parameters = replace(parameters, max_tokens=max_tokens_cap)
    return replace(request, parameters=parameters)


def _passage(sent: Request, body: Mapping[str, Any], name: str, value: object) -> Passage:
    if not body:  # another package's format
        return Passage(name, value, (name,))
    places = tuple(sorted({*_changed_by(sent, body, name, value)}, key=list(body).index))
    if not places:
        return Passage(name, value, (), "extra says it otherwise.")
    renamed = "" if name == "extra" or name in places else places[0]
    why = _RENAMED.get(renamed) or (f"Its name at {_label(sent)}." if renamed else "")
    return Passage(name, value, places, why)


def _changed_by(sent: Request, body: Mapping[str, Any], name: str, value: object) -> Iterator[str]:
    """Where the body differs from that of a request without it, or with another value."""
    others: list[Any] = [{} if name == "extra" else None]
    if isinstance(value, (int, float)):
        others.append(value + 1)
    for other in others:
        parameters = replace(sent.parameters, **{name: other})
        without = _flat(body_of(replace(sent, parameters=parameters)) or {})
        yield from (place for place in body if without.get(place, _NOWHERE) != body[place])


_NOWHERE = object()


def _why_dropped(request: Request, name: str) -> str:
    takes, model = capabilities.of(request.model), request.model_name
    if name not in capabilities.unsupported_in(request.model, request.parameters):
        return f"{_label(request)} refused it, and it was sent again without."
    if name in takes.unsupported or name == "reasoning_effort":
        return f"{model} does not take it."
    if name in takes.unsupported_while_reasoning:
        return f"{model} does not take it while it reasons."
    return f"{model} takes only one of {' and '.join(takes.first_of)}."


def _added(request: Request, body: Mapping[str, Any], cap: int | None) -> Iterator[Passage]:
    if cap is not None:
        place = next((place for place in body if body[place] == cap), "max_tokens")
        yield Passage("", cap, (place,), "A budget applies, and nobody set max tokens.")
    elif request.parameters.max_tokens is None and body.get("max_tokens") is not None:
        yield Passage("", body["max_tokens"], ("max_tokens",), _RENAMED["max_tokens"])
    for name, why in _ALWAYS.items():
        places = [place for place in body if place.split(".")[0] == name]
        if places and name not in request.parameters.extra:
            yield Passage("", body[places[0]], (places[0],), why)


def _flat(value: Mapping[str, Any], under: str = "") -> dict[str, Any]:
    """Every value of nested objects by its path; a list is one value."""
    flat: dict[str, Any] = {}
    for name, item in value.items():
        if isinstance(item, Mapping):
            flat |= _flat(item, f"{under}{name}.")
        else:
            flat[f"{under}{name}"] = item
    return flat


def _label(request: Request) -> str:
    return config.label(request.provider)


def _wire_format(request: Request) -> str:
    row = config.rows().get(request.provider)
    return row.wire_format if row is not None else ""
