"""Live lists of models, from providers and from servers on this machine.

Formats: https://platform.openai.com/docs/api-reference/models/list (compatible services add
fields), https://docs.claude.com/en/api/models-list, https://ai.google.dev/api/models#method:-models.list.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import httpx2

from llm_playground import config
from llm_playground.config import colab
from llm_playground.config.endpoint_table import EndpointRow
from llm_playground.errors import ConfigError
from llm_playground.providers import NO_KEY, Endpoint, endpoint_of
from llm_playground.providers.http import client_for, is_loopback
from llm_playground.providers.wire_formats import WIRE_FORMATS

# Lists include models for audio, images, embeddings and moderation.
NOT_CHAT = re.compile(
    r"embed|rerank|whisper|\btts\b|-tts|speech|transcri|moderation|dall-e|-image|\bocr\b|guard"
    r"|stable-diffusion|\bflux|orpheus|playai|distil",
    re.IGNORECASE,
)
_NOT_CHAT_TYPES = frozenset(
    {"audio", "embedding", "embeddings", "image", "moderation", "rerank", "transcribe", "video"}
)


@dataclass(frozen=True, slots=True)
class ListedModel:
    """One model of a live list; a field is None if the list does not have it."""

    name: str
    released_at: datetime | None = None
    deprecated: bool | None = None
    context_window: int | None = None
    vision: bool | None = None
    tools: bool | None = None
    retires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Listing:
    """The models of a provider, or the reason why they are unknown."""

    models: tuple[ListedModel, ...] = ()
    reason: str | None = None
    key_refused: bool = False


def items_of(page: object, field: str) -> list[Mapping[str, Any]]:
    """The JSON objects of the models; Together AI sends the list without an envelope.

    Raises:
        ValueError: The page has another shape.
    """
    items = page.get(field) if isinstance(page, Mapping) else page
    if items is None and isinstance(page, Mapping) and page.get("object") == "list":
        return []  # Ollama without a model
    if not isinstance(items, list) or not all(isinstance(item, Mapping) for item in items):
        raise ValueError("not a list of models")
    return items


def _openai_model(item: Mapping[str, Any]) -> ListedModel | None:
    name = item.get("id")
    if not isinstance(name, str) or not name or not _is_chat(name, item):
        return None
    return ListedModel(
        name,
        released_at=_time(item.get("created")),
        deprecated=True if any(item.get(name) for name in _ENDS) else None,
        context_window=_first(item, _CONTEXT_WINDOWS, int),
        vision=_flag(item, _VISION),
        tools=_flag(item, _TOOLS),
        retires_at=_end(item),
    )


def _anthropic_model(item: Mapping[str, Any]) -> ListedModel | None:
    name = item.get("id")
    if not isinstance(name, str) or not name:
        return None
    lifecycle = item.get("lifecycle")
    return ListedModel(
        name,
        released_at=_time(item.get("created_at")),
        deprecated=None if lifecycle is None else lifecycle != "active",
        context_window=_first(item, ("max_input_tokens",), int),
        vision=_first(item, ("capabilities.image_input.supported",), bool),
        retires_at=_time(item.get("retires_at")),
    )


def _gemini_model(item: Mapping[str, Any]) -> ListedModel | None:
    name, methods = item.get("name"), item.get("supportedGenerationMethods")
    if not isinstance(name, str) or (methods is not None and "generateContent" not in methods):
        return None
    window = _first(item, ("inputTokenLimit",), int)
    return ListedModel(name.removeprefix("models/"), context_window=window)


def _is_chat(name: str, item: Mapping[str, Any]) -> bool:
    outputs = _at(item, "architecture.output_modalities")  # OpenRouter
    return not (
        NOT_CHAT.search(name)
        or item.get("type") in _NOT_CHAT_TYPES  # Together AI
        or item.get("active") is False  # Groq
        or item.get("supports_chat") is False  # Fireworks AI
        or _at(item, "capabilities.completion_chat") is False  # Mistral
        or (isinstance(outputs, list) and "text" not in outputs)
    )


# Fields of OpenAI-compatible lists for the context window in tokens.
_CONTEXT_WINDOWS = (
    "context_window",  # Groq
    "context_length",  # OpenRouter, Together AI, Fireworks AI, Moonshot AI
    "max_context_length",  # Mistral
    "max_model_len",  # vLLM
    "meta.n_ctx",  # llama.cpp: as the server was started
    "meta.n_ctx_train",  # llama.cpp: as the model was trained
)
# Fields for vision and tools: a path, and the word to look for in its list (None if it is a bool).
_VISION = (
    ("architecture.input_modalities", "image"),  # OpenRouter
    ("input_modalities", "image"),
    ("capabilities.vision", None),  # Mistral
    ("supports_image_input", None),  # Fireworks AI
    ("supports_image_in", None),  # Moonshot AI
    ("capabilities", "vision"),
)
_TOOLS = (
    ("supported_parameters", "tools"),  # OpenRouter
    ("capabilities.function_calling", None),  # Mistral
    ("supports_tools", None),  # Fireworks AI
    ("capabilities", "tools"),
)


# Fields of OpenAI-compatible lists for the day on which a model ends.
_ENDS = ("shutdown_date", "deprecation", "expiration_date")  # OpenAI, Mistral, OpenRouter


def _end(item: Mapping[str, Any]) -> datetime | None:
    return next((at for name in _ENDS if (at := _time(item.get(name))) is not None), None)


def _flag(item: Mapping[str, Any], fields: tuple[tuple[str, str | None], ...]) -> bool | None:
    for path, word in fields:
        value = _at(item, path)
        if word is None and isinstance(value, bool):
            return value
        if word is not None and isinstance(value, list):
            return word in value
    return None


def _first(item: Mapping[str, Any], paths: tuple[str, ...], kind: type) -> Any:  # noqa: ANN401 - of type `kind`, or None
    values: Iterator[object] = (_at(item, path) for path in paths)
    return next((value for value in values if type(value) is kind), None)


def _at(item: Mapping[str, Any], path: str) -> object:
    """A value in nested objects by its dotted path; None if there is none.

    >>> _at({"a": {"b": 1}}, "a.b"), _at({"a": None}, "a.b")
    (1, None)
    """
    value: object = item
    for name in path.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def _time(value: object) -> datetime | None:
    """Seconds since 1970 or an ISO date as a time; None for other values and for 1970 itself."""
    try:
        if isinstance(value, str):
            at = datetime.fromisoformat(value)
        elif isinstance(value, (int, float)):
            at = datetime.fromtimestamp(value, UTC)
        else:
            return None
    except (ValueError, OverflowError, OSError):
        return None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return at if at.year > 1970 else None


# By wire format; None for an item that is not a chat model.
_READERS: dict[str, Callable[[Mapping[str, Any]], ListedModel | None]] = {
    "openai": _openai_model,
    "openai-responses": _openai_model,
    "anthropic": _anthropic_model,
    "gemini": _gemini_model,
    "gemini-legacy": _gemini_model,
}

_LOCAL_TIMEOUT_S = 0.2
_MOST_PAGES = 20
# Of all pages. The longest lists today have about 1 MB and 700 models.
_MOST_BYTES, _MOST_MODELS = 8_000_000, 5_000
_MOST_NAME_CHARS = 200
_MOST_TOKENS = 2**53


async def listed(row: EndpointRow, timeout_s: float) -> Listing:
    """The models that an endpoint serves now; a failure is reported as the listing's reason.

    The time limit is for all pages together. ``local`` has no list.
    """
    read = _READERS.get(row.wire_format)
    if read is None:
        return Listing(reason="its wire format has no list of models")
    if "{model}" in row.base_url:
        return Listing(reason="its base URL names the model")
    try:
        async with asyncio.timeout(timeout_s):
            items = await _pages(endpoint_of(row.name), row)
    except ConfigError as error:
        return Listing(reason=str(error))
    except TimeoutError:
        return Listing(reason=f"no answer within {timeout_s:g} s")
    except httpx2.HTTPStatusError as error:
        status = error.response.status_code
        return Listing(reason=f"it answers with status {status}", key_refused=status == 401)
    except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
        return Listing(reason=f"not reached ({type(error).__name__})")
    except _TooLongError as error:
        return Listing(reason=str(error))
    except (ValueError, RecursionError):
        return Listing(reason="its answer is not a list of models")
    models = {model.name: model for item in items if (model := _model(read, item)) is not None}
    return Listing(tuple(models.values()))


def _model(
    read: Callable[[Mapping[str, Any]], ListedModel | None], item: Mapping[str, Any]
) -> ListedModel | None:
    """The model of an item; None if it is no chat model, or no model has such a name."""
    try:
        model = read(item)
    except TypeError:  # a list or an object in place of a name
        return None
    if model is None or len(model.name) > _MOST_NAME_CHARS or not model.name.isprintable():
        return None
    known = model.context_window is None or 0 <= model.context_window < _MOST_TOKENS
    return model if known else replace(model, context_window=None)


class _TooLongError(ValueError):
    """A list exceeds a limit; the message is the listing's reason."""


async def _pages(endpoint: Endpoint, row: EndpointRow) -> list[Mapping[str, Any]]:
    form = WIRE_FORMATS[row.wire_format]
    client = await _client(endpoint)
    headers = {**form.headers, **dict(endpoint.headers)}
    if endpoint.api_key != NO_KEY:
        headers |= form.authorization(endpoint.api_key, endpoint.key_header)
    path = form.models.path.format(version=config.gemini_api_version())
    url = colab.models_url(row) or f"{endpoint.base_url}{path}"
    items: list[Mapping[str, Any]] = []
    query = form.models.query
    room = _MOST_BYTES
    async with client:
        for _ in range(_MOST_PAGES):
            body = await _body(client, url, headers, {**dict(endpoint.query), **query}, room)
            room -= len(body)
            page = json.loads(body)
            items += items_of(page, form.models.items)
            if len(items) > _MOST_MODELS:
                raise _TooLongError(f"it lists more than {_MOST_MODELS:,} models")
            following = form.models.next_query(page) if isinstance(page, Mapping) else None
            if following is None:
                break
            query = following
    return items


async def _body(
    client: httpx2.AsyncClient,
    url: str,
    headers: Mapping[str, str],
    query: Mapping[str, str],
    most_bytes: int,
) -> bytearray:
    """The JSON text of one page.

    Raises:
        ValueError: It has more than ``most_bytes``.
    """
    body = bytearray()
    async with client.stream("GET", url, headers=headers, params=query) as response:
        response.raise_for_status()
        async for chunk in response.aiter_bytes():
            body += chunk
            if len(body) > most_bytes:
                raise _TooLongError(f"its list has more than {_MOST_BYTES // 1_000_000} MB")
    return body


async def _client(endpoint: Endpoint) -> httpx2.AsyncClient:
    base_url = endpoint.base_url or ""
    if base_url.startswith("http://") and is_loopback(base_url):
        return client_for(endpoint)
    # In a thread: loading certificates takes 50 ms, and answers stream on this loop.
    return await asyncio.to_thread(client_for, endpoint)


def is_near(row: EndpointRow) -> bool:
    """Whether the endpoint is a server on this machine without a key."""
    return not row.key_variables and is_loopback(row.base_url)


async def listening(rows: Iterable[EndpointRow]) -> dict[str, Listing]:
    """The model lists of all running servers by name, queried in parallel for at most 200 ms.

    Only the request for the list is sent, and no key to servers that need none. A closed port fails
    at once.
    """
    servers = list(rows)
    listings = await asyncio.gather(*map(_listing, servers))
    return {
        row.name: listing
        for row, listing in zip(servers, listings, strict=True)
        if listing is not None and listing.reason is None
    }


async def _listing(row: EndpointRow) -> Listing | None:
    with suppress(TimeoutError):
        async with asyncio.timeout(_LOCAL_TIMEOUT_S):
            if await _listens(row.base_url):
                return await listed(row, _LOCAL_TIMEOUT_S)
    return None


async def _listens(base_url: str) -> bool:
    """Whether a server accepts connections."""
    parts = urlsplit(base_url)
    try:
        _, writer = await asyncio.open_connection(parts.hostname, parts.port or 80)
    except OSError:
        return False
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
    return True
