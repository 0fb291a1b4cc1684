"""The built-in wire formats, one row each: module, provider class, address, headers, model list.

This module is light: modules that a row names are imported on first use. A package's endpoint
names its provider class as ``module:Class`` in place of a row's name; it has no row here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from importlib import import_module
from typing import Any, cast
from urllib.parse import quote

from llm_playground import _lifecycle, config
from llm_playground.catalog import capabilities
from llm_playground.config import endpoint_fields
from llm_playground.errors import InvalidParameterError
from llm_playground.installation import INSTALL
from llm_playground.parts import AudioPart, FilePart, ImagePart, Part, is_text
from llm_playground.providers import additions, extra
from llm_playground.types import Request


@dataclass(frozen=True, slots=True)
class ModelList:
    """How a wire format lists models.

    ``path`` follows the base URL; ``{version}`` in it stands for Gemini's API version. ``items`` is
    the field of a page with the models, ``query`` the query of the first page; ``next_query``
    returns that of the page after a given one, None after the last.
    """

    path: str
    items: str
    query: Mapping[str, str] = field(default_factory=dict)
    next_query: Callable[[Mapping[str, Any]], Mapping[str, str] | None] = lambda _page: None


@dataclass(frozen=True, slots=True)
class WireFormat:
    """One wire format.

    ``module`` has its ``body`` and ``Reader``, and needs no vendor's SDK; ``provider`` is the class
    as ``module:Class``. ``path`` returns what follows the base URL, and raises
    InvalidParameterError for a model name that no URL can hold. ``limits`` are the dotted names of
    the fields of a body that limit the answer, ``without`` the parameters that it has no field for.
    ``key_scheme`` precedes the key in ``key_header``; ``headers`` are those beside key and content
    type. ``older_version`` returns the version of the vendor's API that a request needs in
    ``version_header`` or in its body, None for that of ``headers``. ``sdk`` has the modules of the
    vendor's SDK that the class imports only when it is first built; ``install`` says what to do
    when the class cannot be imported.
    """

    module: str
    provider: str
    path: Callable[[Request], str]
    models: ModelList
    limits: frozenset[str] = frozenset({"max_tokens"})
    without: frozenset[str] = frozenset()
    key_header: str = "Authorization"
    key_scheme: str = "Bearer "
    headers: Mapping[str, str] = field(default_factory=dict)
    version_header: str = ""
    older_version: Callable[[Request], str | None] = lambda _request: None
    sdk: tuple[str, ...] = ()
    install: str | None = None

    @property
    def name(self) -> str:
        """The name of the format, shared by the rows of one module.

        >>> WIRE_FORMATS["gemini-legacy"].name
        'gemini'
        """
        return self.module.rpartition(".")[2].replace("_", "-")

    def body(self, request: Request) -> dict[str, Any]:
        """The JSON body of a request, built once: what is checked is what is sent.

        A body with the bytes of images and files is built again each time, since it is large.

        Raises:
            InvalidParameterError: It cannot be sent as it stands.
        """
        refused = refused_additions.get(_place(self, request), ())
        key = " ".join((self.module, *refused))
        body: dict[str, Any] | None = request.derived.get(key)
        if body is None:
            body = cast("dict[str, Any]", import_module(self.module).body(request))
            if refused:
                body = additions.without(body, refused, request.parameters.extra)
            if not _has_bytes(request):
                request.derived[key] = body
        return body

    def authorization(self, key: str, header: str | None = None) -> dict[str, str]:
        """The header that carries ``key``; another ``header`` carries it without the scheme."""
        return {header: key} if header else {self.key_header: self.key_scheme + key}

    def headers_of(self, request: Request, endpoint: Mapping[str, str]) -> dict[str, str]:
        """The headers of a request beside key and content type; ``endpoint`` has those of its row.

        Those of the call win over those of the endpoint.
        """
        version = self.older_version(request)
        own = {self.version_header: version} if version else {}
        return {**self.headers, **own, **endpoint, **request.parameters.headers}


def _after_last_id(page: Mapping[str, Any]) -> Mapping[str, str] | None:
    last = page.get("last_id")
    return {"limit": "1000", "after_id": str(last)} if page.get("has_more") and last else None


def _next_page_token(page: Mapping[str, Any]) -> Mapping[str, str] | None:
    token = page.get("nextPageToken")
    return {"pageSize": "1000", "pageToken": str(token)} if token else None


# The parameters that API version 2026-10-21 refuses on every model, at their defaults too. Version
# 2023-06-01 takes them, on the models that ever did:
# https://platform.claude.com/docs/en/api/versioning
SAMPLING = ("temperature", "top_p", "top_k")
_WITH_SAMPLING = "2023-06-01"
# On Vertex, where the version is a field of the body:
# https://cloud.google.com/vertex-ai/generative-ai/docs/partner-models/claude/use-claude
_VERTEX_WITH_SAMPLING = "vertex-2023-10-16"
# As the SDK sends it, with the key as Bearer, from its version 2 on (``anthropic._constants``).
ANTHROPIC_VERSION = "2026-10-21"


def _is_sampled(request: Request) -> bool:
    parameters = request.parameters
    return any(
        getattr(parameters, name) is not None or name in parameters.extra for name in SAMPLING
    )


def _anthropic_version(request: Request) -> str | None:
    if "anthropic-version" in {**request.endpoint_settings, **request.parameters.headers}:
        return None
    return _WITH_SAMPLING if _is_sampled(request) else None


def _vertex_version(request: Request) -> str | None:
    is_set = "anthropic_version" in request.parameters.extra
    return _VERTEX_WITH_SAMPLING if _is_sampled(request) and not is_set else None


# An @ precedes the version of a model: claude-haiku-4-5@20251001.
_ON_VERTEX = re.compile(r"[\w-][\w.@-]*(?<!\.)")


def _vertex_path(request: Request, publisher: str, method: str) -> str:
    name = request.model_name
    if not _ON_VERTEX.fullmatch(name):
        raise InvalidParameterError(f"No model on Vertex is called {name!r}.")
    return f"/publishers/{publisher}/models/{quote(name, safe='@')}:{method}"


# A name that cannot change the rest of the URL, whatever a server on the way decodes.
_IN_PATH = re.compile(r"(?:(?:models|tunedModels)/)?[\w-][\w.-]*(?<!\.)")


def _gemini_path(request: Request) -> str:
    name = request.model_name
    if not _IN_PATH.fullmatch(name):
        raise InvalidParameterError(f"No model of Gemini is called {name!r}.")
    resource = name if name.startswith(("models/", "tunedModels/")) else f"models/{name}"
    version = config.gemini_api_version()
    return f"/{version}/{quote(resource)}:streamGenerateContent?alt=sse"


_GEMINI = WireFormat(
    module="llm_playground.providers.gemini",
    provider="llm_playground.providers.gemini:GeminiProvider",
    path=_gemini_path,
    models=ModelList("/{version}/models", "models", {"pageSize": "1000"}, _next_page_token),
    limits=frozenset({"generationConfig.maxOutputTokens", "generationConfig.max_output_tokens"}),
    key_header="x-goog-api-key",
    key_scheme="",
    sdk=("google.genai",),
)
_ANTHROPIC = WireFormat(
    module="llm_playground.providers.anthropic",
    provider="llm_playground.providers.anthropic:AnthropicProvider",
    path=lambda _request: "/v1/messages",
    models=ModelList("/v1/models", "data", {"limit": "1000"}, _after_last_id),
    headers={"anthropic-version": ANTHROPIC_VERSION},
    version_header="anthropic-version",
    older_version=_anthropic_version,
    sdk=("anthropic",),
)
WIRE_FORMATS: dict[str, WireFormat] = {
    "openai": WireFormat(
        module="llm_playground.providers.openai",
        provider="llm_playground.providers.openai:OpenAIProvider",
        path=lambda _request: "/chat/completions",
        models=ModelList("/models", "data"),
        sdk=("openai",),
    ),
    "openai-responses": WireFormat(
        module="llm_playground.providers.openai_responses",
        provider="llm_playground.providers.openai:OpenAIProvider",
        path=lambda _request: "/responses",
        models=ModelList("/models", "data"),
        limits=frozenset({"max_output_tokens"}),
        without=frozenset({"stop", "seed", "presence_penalty", "frequency_penalty", "top_k"}),
        sdk=("openai",),
    ),
    "anthropic": _ANTHROPIC,
    "gemini": _GEMINI,
    "gemini-legacy": replace(
        _GEMINI,
        provider="llm_playground.providers.gemini_legacy:GeminiLegacyProvider",
        sdk=(),
        install=f"Install it: {INSTALL['gemini-legacy']}.",
    ),
    "anthropic-vertex": replace(
        _ANTHROPIC,
        module="llm_playground.providers.anthropic_vertex",
        provider="llm_playground.providers.clouds:AnthropicVertexProvider",
        path=lambda request: _vertex_path(request, "anthropic", "streamRawPredict"),
        headers={},
        version_header="",
        older_version=_vertex_version,
        sdk=("google.auth.transport.requests", "anthropic"),
    ),
    "gemini-vertex": replace(
        _GEMINI,
        provider="llm_playground.providers.clouds:GeminiVertexProvider",
        path=lambda request: _vertex_path(request, "google", "streamGenerateContent?alt=sse"),
        key_header="Authorization",
        key_scheme="Bearer ",
        sdk=("google.auth.transport.requests", "google.genai"),
    ),
    "anthropic-bedrock": replace(
        _ANTHROPIC,
        provider="llm_playground.providers.clouds:AnthropicBedrockProvider",
        sdk=("boto3", "anthropic"),
        install=f"Install it: {INSTALL['bedrock']}.",
    ),
}

Place = tuple[str, str, str | None, str]
"""The name of a wire format, a provider, its base URL and a model."""
refused_additions: dict[Place, tuple[str, ...]] = {}
"""The additions refused at a place, in the order of the refusals; see ``known_refusals``."""
_lifecycle.register_state(globals(), "refused_additions", dict)


def at_endpoint(request: Request) -> Request:
    """The request to its provider's present endpoint."""
    row = config.rows().get(request.provider)
    settings = endpoint_fields.with_effect(row) if row and (row.headers or row.query) else {}
    base_url = config.base_url(request.provider)
    return replace(request, endpoint=base_url, endpoint_settings=settings)


# OpenAI's own servers, those of a region included.
_OPENAI_HOST = re.compile(r"https://(?:[a-z]+\.)?api\.openai\.com(?:[:/]|$)")
# What only Chat Completions takes, as parameters and as fields of ``extra`` in plain spelling.
_ONLY_CHAT = frozenset({"stop", "seed", "presence_penalty", "frequency_penalty"})
_ONLY_CHAT_EXTRA = frozenset({
    "stop", "seed", "presencepenalty", "frequencypenalty", "logitbias", "logprobs", "prediction",
    "audio", "modalities", "websearchoptions", "responseformat", "maxtokens", "functions",
    "maxcompletiontokens", "reasoningeffort", "verbosity", "functioncall",
})  # fmt: skip
_ONLY_RESPONSES_EXTRA = frozenset({
    "background", "backgroundoptions", "contextmanagement", "include", "maxoutputtokens",
    "maxtoolcalls", "reasoning", "text", "truncation",
})  # fmt: skip
_OPENAI_APIS = {"responses": "openai-responses", "chat_completions": "openai"}


def format_name(request: Request, address: str | None = None) -> str | None:
    """The name of the wire format in which a request is sent; None for an unknown provider.

    It is that of the request or of the provider's row. Models of ``openai`` are called as
    ``configure(openai_api=)`` says, by default through Responses at OpenAI's own address, unless
    the request sets what only Chat Completions takes. ``address`` is the base URL, where it is
    known better than by the request.
    """
    if request.wire_format is not None:
        return request.wire_format
    row = config.rows().get(request.provider)
    if row is None or request.provider != "openai" or row.wire_format != "openai":
        return None if row is None else row.wire_format
    chosen = config.settings().openai_api
    if chosen is not None:
        return _OPENAI_APIS[chosen]
    is_vendor = _OPENAI_HOST.match(address or request.endpoint or row.base_url)
    return "openai-responses" if is_vendor and not _needs_chat(request) else "openai"


def _needs_chat(request: Request) -> bool:
    """Whether a request sets what only Chat Completions takes, and nothing only Responses does."""
    parameters = request.parameters
    names, tools = extra.names(parameters.extra), extra.tools(parameters.extra)
    if names & _ONLY_RESPONSES_EXTRA or any("function" not in tool for tool in tools):
        return False
    return bool(
        tools
        or names & _ONLY_CHAT_EXTRA
        or any(getattr(parameters, name) is not None for name in _ONLY_CHAT)
        or any(map(_is_recording, request.files))
    )


def _is_recording(part: FilePart) -> bool:
    return (part.media_type or "").startswith("audio/")


def format_of(request: Request) -> WireFormat | None:
    """The wire format of a request; None where a package brings its own."""
    return WIRE_FORMATS.get(format_name(request) or "")


def dropped_in(request: Request) -> tuple[str, ...]:
    """The names of the set parameters that the model or the wire format does not take.

    They are not sent. The wire format is that of the request without them.
    """
    dropped = capabilities.unsupported_in(request.model, request.parameters)
    sent = request.as_sent(dropped)
    wire_format = format_of(sent)
    without = frozenset[str]() if wire_format is None else wire_format.without
    return (*dropped, *(name for name in sent.parameters.as_dict() if name in without))


def body_of(request: Request) -> dict[str, Any] | None:
    """The JSON body of a request; None where a package of its own builds it.

    Raises:
        InvalidParameterError: It cannot be sent as it stands.
    """
    wire_format = format_of(request)
    return None if wire_format is None else wire_format.body(request)


def older_version(request: Request) -> str | None:
    """The version of the vendor's API that a request needs; None where the current one will do.

    >>> from llm_playground.types import Parameters
    >>> older_version(Request("anthropic:claude-haiku-4-5", (), Parameters(temperature=0)))
    '2023-06-01'
    """
    wire_format = format_of(request)
    return None if wire_format is None else wire_format.older_version(request)


def readable_body(request: Request) -> dict[str, Any]:
    """The body that is checked before a call: as it is sent, without bytes of images and files.

    Where a package of its own builds the body, it is the request in the form of its hash.

    Raises:
        InvalidParameterError: It cannot be sent as it stands.
    """
    wire_format = format_of(request)
    if wire_format is None:
        extra.check(request.parameters.extra)
        return request.canonical()
    if not _has_bytes(request):
        return wire_format.body(request)
    readable: Request = request.derived.setdefault("readable", _without_bytes(request))
    return wire_format.body(readable)


def set_body(request: Request, body: dict[str, Any], readable: dict[str, Any]) -> None:
    """Make ``body`` that of a request, whatever its format: another program has built it.

    ``readable`` is the body without bytes of images and files.
    """
    without = _without_bytes(request) if _has_bytes(request) else request
    for wire_format in WIRE_FORMATS.values():
        refused = refused_additions.get(_place(wire_format, request), ())
        key = " ".join((wire_format.module, *refused))
        request.derived[key], without.derived[key] = body, readable
    request.derived.update({"readable": without, "as sent": request})


def additions_left_out(request: Request) -> tuple[str, ...]:
    """The additions of this package that are left out of a request if it is sent now."""
    wire_format = format_of(request)
    return () if wire_format is None else refused_additions.get(_place(wire_format, request), ())


def leave_additions_out(
    request: Request, refused: frozenset[str], sent_without: tuple[str, ...]
) -> bool:
    """Leave out of requests like this one, from now on, what a refusal may be about.

    ``refused`` are additions of this package, and ``sent_without`` those that the refused request
    did not have: another call may have left one out in between. Returns whether it had one of the
    refused ones, so that a second attempt is another request.
    """
    wire_format = format_of(request)
    if wire_format is None or not refused:
        return False
    known, body = additions_left_out(request), wire_format.body(request)
    asked = refused.difference(known)
    changes = additions.in_body(wire_format.name, body, asked, request.parameters.extra)
    if changes:
        refused_additions[_place(wire_format, request)] = (*known, *changes)
    return bool(changes) or any(name in refused and name not in sent_without for name in known)


def put_additions_back(request: Request, names: Iterable[str]) -> None:
    """Send these additions again: the request was refused without them too."""
    wire_format = format_of(request)
    if wire_format is not None:
        kept = tuple(name for name in additions_left_out(request) if name not in names)
        refused_additions[_place(wire_format, request)] = kept


def place_of(request: Request) -> Place | None:
    """Where refusals of a request are remembered; None for the embedded model."""
    wire_format = format_of(request)
    return None if wire_format is None else _place(wire_format, request)


def _place(wire_format: WireFormat, request: Request) -> Place:
    return wire_format.name, request.provider, request.endpoint, request.model_name


def check(request: Request) -> None:
    """Check that a request can be sent as it stands, and is what its fields say.

    Raises:
        ConfigError: The administrator does not allow a model that it may fall back to.
        InvalidParameterError: It cannot, or ``extra`` sets what an argument sets.
    """
    readable_body(request)
    for model in fallbacks(request):
        config.check_allowed(model)
    wire_format = format_of(request)
    if wire_format is not None:
        wire_format.path(request)


def effects_of_extra(request: Request) -> extra.Effects:
    """What the settings of a request, ``extra`` above all, do to its worst case.

    Raises:
        InvalidParameterError: A limit in ``extra`` is no number.
    """
    parameters = request.parameters
    if not parameters.extra and parameters.reasoning_effort is None:
        return extra.NO_EFFECTS
    wire_format = format_of(request)
    limits = frozenset[str]() if wire_format is None else wire_format.limits
    if format_name(request) == "openai" == request.provider:  # others may ignore its newer name
        limits |= {"max_completion_tokens"}
    effects = extra.effects(parameters.extra, limits)
    # Gemini 2 has a budget of tokens in place of an effort.
    settings = readable_body(request).get("generationConfig")
    if not isinstance(settings, Mapping):
        return effects
    own = extra.effects(settings, frozenset()).most_tokens
    return replace(effects, most_tokens=max(effects.most_tokens, own))


def fallbacks(request: Request) -> tuple[str, ...]:
    """The other models, ``provider:name``, that may answer in place of the one asked."""
    names = effects_of_extra(request).fallbacks
    return tuple(f"{request.provider}:{name}" for name in names)


def _has_bytes(request: Request) -> bool:
    return any(_without_bytes_of(part) is not part for part in request.parts)


def _without_bytes(request: Request) -> Request:
    return replace(
        request,
        messages=tuple(
            replace(message, content=tuple(map(_without_bytes_of, message.content)))
            for message in request.messages
        ),
    )


def _without_bytes_of(part: Part) -> Part:
    """A part without bytes that is not read as text; every other part as it is."""
    match part:
        case ImagePart() if part.data or (part.url or "").startswith("data:"):
            return ImagePart("image/png", b"")
        case AudioPart() if part.data:
            return replace(part, data=b"")
        case FilePart() if part.data and not is_text(part.media_type or ""):
            return replace(part, data=b"")
    return part
