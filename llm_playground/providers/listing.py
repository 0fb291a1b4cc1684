"""What a live list of models says, in each wire format.

Formats: https://platform.openai.com/docs/api-reference/models/list (each imitator adds its own),
https://docs.claude.com/en/api/models-list, https://ai.google.dev/api/models#method:-models.list.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

# Lists also name models for sound, pictures, vectors and moderation.
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
    """One model of a live list; None where the list does not say."""

    name: str
    released_at: datetime | None = None
    deprecated: bool | None = None
    context_window: int | None = None
    vision: bool | None = None
    tools: bool | None = None


@dataclass(frozen=True, slots=True)
class Listing:
    """What came of asking: the models, or the reason why there are none."""

    models: tuple[ListedModel, ...] = ()
    reason: str | None = None
    key_refused: bool = False


@dataclass(frozen=True, slots=True)
class Format:
    """How one wire format lists models.

    ``key_header`` and ``key_before`` say where the key goes, ``field`` where a page holds the
    models; ``cursor`` gives the query of the next page, None after the last; ``read`` gives None
    for what is no model to ask.
    """

    path: str
    key_header: str
    key_before: str
    headers: Mapping[str, str]
    query: Mapping[str, str]
    field: str
    cursor: Callable[[Mapping[str, Any]], Mapping[str, str] | None]
    read: Callable[[Mapping[str, Any]], ListedModel | None]


def items_of(page: object, field: str) -> list[Mapping[str, Any]]:
    """The models' objects. Together AI sends them bare.

    Raises:
        ValueError: The page has another shape.
    """
    items = page.get(field) if isinstance(page, Mapping) else page
    if items is None and isinstance(page, Mapping) and page.get("object") == "list":
        return []  # Ollama without a model
    if not isinstance(items, list) or not all(isinstance(item, Mapping) for item in items):
        raise ValueError("no list of models")
    return items


def _last_page(_page: Mapping[str, Any]) -> None:
    return None


def _after_id(page: Mapping[str, Any]) -> Mapping[str, str] | None:
    last = page.get("last_id")
    return {"limit": "1000", "after_id": str(last)} if page.get("has_more") and last else None


def _page_token(page: Mapping[str, Any]) -> Mapping[str, str] | None:
    token = page.get("nextPageToken")
    return {"pageSize": "1000", "pageToken": str(token)} if token else None


def _openai_model(item: Mapping[str, Any]) -> ListedModel | None:
    name = item.get("id")
    if not isinstance(name, str) or not name or not _is_chat(name, item):
        return None
    return ListedModel(
        name,
        released_at=_time(item.get("created")),
        deprecated=True if item.get("deprecation") else None,
        context_window=_first(item, _CONTEXT_WINDOWS, int),
        vision=_said(item, _VISION),
        tools=_said(item, _TOOLS),
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
    )


def _gemini_model(item: Mapping[str, Any]) -> ListedModel | None:
    name, methods = item.get("name"), item.get("supportedGenerationMethods")
    if not isinstance(name, str) or (methods is not None and "generateContent" not in methods):
        return None
    window = _first(item, ("inputTokenLimit",), int)
    return ListedModel(name.removeprefix("models/"), context_window=window)


def _is_chat(name: str, item: Mapping[str, Any]) -> bool:
    makes = _at(item, "architecture.output_modalities")  # OpenRouter
    return not (
        NOT_CHAT.search(name)
        or item.get("type") in _NOT_CHAT_TYPES  # Together AI
        or item.get("active") is False  # Groq
        or item.get("supports_chat") is False  # Fireworks AI
        or _at(item, "capabilities.completion_chat") is False  # Mistral
        or (isinstance(makes, list) and "text" not in makes)
    )


# Where imitators of OpenAI write how long a prompt may be, in tokens.
_CONTEXT_WINDOWS = (
    "context_window",  # Groq
    "context_length",  # OpenRouter, Together AI, Fireworks AI, Moonshot AI
    "max_context_length",  # Mistral
    "max_model_len",  # vLLM
    "meta.n_ctx",  # llama.cpp: what it was started with
    "meta.n_ctx_train",  # llama.cpp: what the model was made for
)
# Where they write whether pictures and tools are taken: a place, and the word in a list found there
# (None where the place holds true or false).
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


def _said(item: Mapping[str, Any], places: tuple[tuple[str, str | None], ...]) -> bool | None:
    for place, word in places:
        value = _at(item, place)
        if word is None and isinstance(value, bool):
            return value
        if word is not None and isinstance(value, list):
            return word in value
    return None


def _first(item: Mapping[str, Any], places: tuple[str, ...], kind: type) -> Any:  # noqa: ANN401 - of the kind asked for, or None
    values: Iterator[object] = (_at(item, place) for place in places)
    return next((value for value in values if type(value) is kind), None)


def _at(item: Mapping[str, Any], place: str) -> object:
    """A value inside nested objects.

    >>> _at({"a": {"b": 1}}, "a.b"), _at({"a": None}, "a.b")
    (1, None)
    """
    value: object = item
    for step in place.split("."):
        value = value.get(step) if isinstance(value, Mapping) else None
    return value


def _time(said: object) -> datetime | None:
    """Seconds since 1970, or a date as text; what is neither is unknown, as is 1970 itself."""
    try:
        if isinstance(said, str):
            at = datetime.fromisoformat(said)
        elif isinstance(said, (int, float)):
            at = datetime.fromtimestamp(said, UTC)
        else:
            return None
    except (ValueError, OverflowError, OSError):
        return None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return at if at.year > 1970 else None


_GEMINI = Format(
    "/{version}/models",
    "x-goog-api-key",
    "",
    {},
    {"pageSize": "1000"},
    "models",
    _page_token,
    _gemini_model,
)
FORMATS = {
    "openai": Format(
        "/models", "Authorization", "Bearer ", {}, {}, "data", _last_page, _openai_model
    ),
    "anthropic": Format(
        "/v1/models",
        "x-api-key",
        "",
        {"anthropic-version": "2023-06-01"},
        {"limit": "1000"},
        "data",
        _after_id,
        _anthropic_model,
    ),
    "gemini": _GEMINI,
    "gemini-legacy": _GEMINI,
}
