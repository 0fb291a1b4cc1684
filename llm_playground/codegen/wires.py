"""What is sent where, wire format by wire format: body, address, headers."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote

from llm_playground import capabilities, config
from llm_playground.codegen import texts
from llm_playground.codegen.blanks import Blanks, blanks_of
from llm_playground.errors import InvalidParameterError, UnknownModelError
from llm_playground.providers import chat_completions, generate_content, messages
from llm_playground.types import Parameters, Request


@dataclass(frozen=True, slots=True)
class Wire:
    """One wire format.

    Args:
        body: A request's JSON body, as its provider sends it.
        path: What follows the base URL.
        key_header: The header that carries the key.
        key_scheme: What stands before the key in it.
        headers: What is sent beside key and content type.
    """

    body: Callable[[Request], dict[str, Any]]
    path: Callable[[Request], str]
    key_header: str
    key_scheme: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Sending:
    """One request as code sends it.

    Args:
        request: What is asked, as it is sent: without what its model has no place for.
        body: Its JSON body, with marks for the parameters of a function.
        wire_format: As in the provider's row.
        base_url: Where to, without a slash at its end.
        key_variable: The environment variable that holds the key; None where there is none.
        blanks: The parameters of the function.
        as_function: Whether it is to be a function.
        note: What who runs the code must know, None where there is nothing.
    """

    request: Request
    body: dict[str, Any]
    wire_format: str
    base_url: str
    key_variable: str | None
    blanks: Blanks
    as_function: bool = False
    note: str | None = None

    @property
    def wire(self) -> Wire:
        """Its wire format."""
        return WIRES[self.wire_format]

    @property
    def url(self) -> str:
        """The address it is posted to."""
        return self.base_url + self.wire.path(self.request)


# What is no part of a path. Google's SDK refuses the same names.
_NO_MODEL = re.compile(r"\.\.|[?&#]")
_KEY_NOTE = "A key was in what is sent; [redacted] stands in its place."


def _gemini_path(request: Request) -> str:
    name = request.model_name
    if _NO_MODEL.search(name):
        raise InvalidParameterError(f"No model of Gemini is called {name!r}.")
    place = name if name.startswith(("models/", "tunedModels/")) else f"models/{name}"
    return (
        f"/{config.gemini_api_version()}/{quote(place, safe='/:@%')}:streamGenerateContent?alt=sse"
    )


_GEMINI = Wire(generate_content.body, _gemini_path, "x-goog-api-key")
WIRES: dict[str, Wire] = {
    "openai": Wire(
        chat_completions.body, lambda _: "/chat/completions", "Authorization", "Bearer "
    ),
    "anthropic": Wire(
        messages.body,
        lambda _: "/v1/messages",
        # As the SDK does from version 2 on:
        # https://platform.claude.com/docs/en/manage-claude/authentication#api-keys
        "Authorization",
        "Bearer ",
        {"anthropic-version": "2023-06-01"},
    ),
    "gemini": _GEMINI,
    "gemini-legacy": _GEMINI,
}


def sending(request: Request, *, as_function: bool = False, blanks: bool = False) -> Sending:
    """What code has to send for a request.

    Args:
        request: As it is sent.
        as_function: Whether it is to be a function.
        blanks: Whether ``{{name}}`` in it are that function's parameters.

    Raises:
        InvalidParameterError: It cannot be sent as it stands.
        UnknownModelError: Its provider is not known here.
    """
    row = config.rows().get(request.provider)
    if row is None:
        raise UnknownModelError(
            f"No provider is known for {request.model}. configure(endpoints=...) adds one."
        )
    whole = texts.mended(request)
    shown = texts.keyless(whole)
    filled = blanks_of(shown, _json(_body(shown, row.wire_format))) if blanks else Blanks()
    return Sending(
        request=shown,
        body=json.loads(_json(_body(filled.marked(shown), row.wire_format))),
        wire_format="local" if request.provider == "local" else row.wire_format,
        base_url=(request.endpoint or row.base_url).rstrip("/"),
        key_variable=_key_variable(row.key_variables),
        blanks=filled,
        as_function=as_function,
        note=None if shown == whole else _KEY_NOTE,
    )


def sendable(request: Request, dropped: tuple[str, ...] | None = None) -> Request:
    """The request as the engine sends it: without what its model has no place for.

    Args:
        request: What was asked.
        dropped: The parameters that were left out, None where nobody knows.
    """
    if dropped is None:
        dropped = capabilities.unsupported_in(request.model, request.parameters)
    return replace(request, parameters=request.parameters.without(dropped))


def without_extra(sent: Sending) -> dict[str, Any]:
    """The body but for what ``extra`` says of it."""
    parameters = replace(sent.request.parameters, extra=Parameters().extra)
    plain = replace(sent.blanks.marked(sent.request), parameters=parameters)
    return dict(json.loads(_json(sent.wire.body(plain))))


def _body(request: Request, wire_format: str) -> dict[str, Any]:
    wire = WIRES.get(wire_format)
    return {} if wire is None else wire.body(request)


def _json(body: Mapping[str, Any]) -> str:
    try:
        return json.dumps(body, allow_nan=False, default=dict)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidParameterError(f"This request cannot be sent as JSON: {error}.") from None


def _key_variable(names: tuple[str, ...]) -> str | None:
    """The one that is set, else the first."""
    return next((name for name in names if config.read(name)), next(iter(names), None))
