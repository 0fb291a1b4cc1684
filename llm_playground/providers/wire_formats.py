"""The built-in wire formats, one row each: module, provider class, address, headers, model list.

This module is light: modules that a row names are imported on first use. A package's endpoint
names its provider class as ``module:Class`` in place of a row's name; it has no row here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from importlib import import_module
from typing import Any, cast
from urllib.parse import quote

from llm_playground import config
from llm_playground.errors import InvalidParameterError
from llm_playground.types import Request


@dataclass(frozen=True, slots=True)
class ModelList:
    """How a wire format lists models.

    ``path`` follows the base URL; ``{version}`` in it stands for Gemini's API version. ``items`` is
    the field of a page with the models, ``query`` the query of the first page; ``next_query``
    returns that of the page after a given one, None after the last. ``key_header`` has the key,
    where it differs from that of other requests.
    """

    path: str
    items: str
    query: Mapping[str, str] = field(default_factory=dict)
    next_query: Callable[[Mapping[str, Any]], Mapping[str, str] | None] = lambda _page: None
    key_header: str | None = None


@dataclass(frozen=True, slots=True)
class WireFormat:
    """One wire format.

    ``module`` has its ``body`` and ``Reader``, and needs no vendor's SDK; ``provider`` is the class
    as ``module:Class``. ``path`` returns what follows the base URL, and raises
    InvalidParameterError for a model name that no URL can hold. ``key_scheme`` precedes the key in
    ``key_header``; ``headers`` are those beside key and content type. ``sdk`` is the vendor's,
    where the class imports it only when it is first built; ``install`` says what to do when the
    class cannot be imported.
    """

    module: str
    provider: str
    path: Callable[[Request], str]
    models: ModelList
    key_header: str = "Authorization"
    key_scheme: str = "Bearer "
    headers: Mapping[str, str] = field(default_factory=dict)
    sdk: str | None = None
    install: str | None = None

    def body(self, request: Request) -> dict[str, Any]:
        """The JSON body of a request.

        Raises:
            InvalidParameterError: It cannot be sent as it stands.
        """
        return cast("dict[str, Any]", import_module(self.module).body(request))

    def authorization(self, key: str, header: str | None = None) -> dict[str, str]:
        """The header that carries ``key``; another ``header`` carries it without the scheme."""
        return {header: key} if header else {self.key_header: self.key_scheme + key}


def _after_last_id(page: Mapping[str, Any]) -> Mapping[str, str] | None:
    last = page.get("last_id")
    return {"limit": "1000", "after_id": str(last)} if page.get("has_more") and last else None


def _next_page_token(page: Mapping[str, Any]) -> Mapping[str, str] | None:
    token = page.get("nextPageToken")
    return {"pageSize": "1000", "pageToken": str(token)} if token else None


# Not allowed in a path. Google's SDK refuses the same names.
_NOT_IN_PATH = re.compile(r"\.\.|[?&#]")


def _gemini_path(request: Request) -> str:
    name = request.model_name
    if _NOT_IN_PATH.search(name):
        raise InvalidParameterError(f"No model of Gemini is called {name!r}.")
    resource = name if name.startswith(("models/", "tunedModels/")) else f"models/{name}"
    version = config.gemini_api_version()
    return f"/{version}/{quote(resource, safe='/:@%')}:streamGenerateContent?alt=sse"


_GEMINI = WireFormat(
    module="llm_playground.providers.gemini",
    provider="llm_playground.providers.gemini:GeminiProvider",
    path=_gemini_path,
    models=ModelList("/{version}/models", "models", {"pageSize": "1000"}, _next_page_token),
    key_header="x-goog-api-key",
    key_scheme="",
    sdk="google.genai",
)
WIRE_FORMATS: dict[str, WireFormat] = {
    "openai": WireFormat(
        module="llm_playground.providers.openai",
        provider="llm_playground.providers.openai:OpenAIProvider",
        path=lambda _request: "/chat/completions",
        models=ModelList("/models", "data"),
        sdk="openai",
    ),
    "anthropic": WireFormat(
        module="llm_playground.providers.anthropic",
        provider="llm_playground.providers.anthropic:AnthropicProvider",
        path=lambda _request: "/v1/messages",
        # Requests carry the key as the SDK sends it from version 2 on:
        # https://platform.claude.com/docs/en/manage-claude/authentication#api-keys
        models=ModelList("/v1/models", "data", {"limit": "1000"}, _after_last_id, "x-api-key"),
        headers={"anthropic-version": "2023-06-01"},
        sdk="anthropic",
    ),
    "gemini": _GEMINI,
    "gemini-legacy": replace(
        _GEMINI,
        provider="llm_playground.providers.gemini_legacy:GeminiLegacyProvider",
        sdk=None,
        install="Install it: pip install 'llm_playground[gemini-legacy]'.",
    ),
}


def body_of(request: Request) -> dict[str, Any] | None:
    """The JSON body of a request; None where a package of its own builds it.

    Raises:
        InvalidParameterError: It cannot be sent as it stands.
    """
    row = config.rows().get(request.provider)
    wire_format = WIRE_FORMATS.get(row.wire_format) if row is not None else None
    return None if wire_format is None else wire_format.body(request)
