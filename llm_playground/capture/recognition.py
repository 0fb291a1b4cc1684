"""Which HTTP requests are calls of models: wire format, base URL, provider and library."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from types import FrameType
from typing import Any

from llm_playground import config
from llm_playground.config.endpoint_table import EndpointRow

# The paths of calls, after the base URL. Embeddings, moderations, uploads, model lists and token
# counts have others, and are sent without being looked at.
_PATHS = re.compile(
    r"""
    (?P<before>\w+://[^/]+.*?)
    (?: (?P<openai>/chat/completions)
      | (?P<responses>/responses)
      | (?P<anthropic>/v1/messages)
      | (?:/v\d\w*)?/(?:projects/[^:]*/)?(?:models|tunedModels|endpoints)/(?P<model>[^/:]+)
        :(?:(?P<gemini>generateContent|streamGenerateContent)|(?P<vertex>rawPredict|streamRawPredict))
    )
    """,
    re.VERBOSE,
)
_FORMATS = {
    "openai": "openai",
    "responses": "openai-responses",
    "anthropic": "anthropic",
    "gemini": "gemini",
    "vertex": "anthropic",
}
# The provider of a base URL that no endpoint has: a changed base URL changes no price.
_VENDORS = {
    "openai": "openai",
    "openai-responses": "openai",
    "anthropic": "anthropic",
    "gemini": "gemini",
}
_USER = re.compile(r"(?<=://)[^/@]*@")
# Packages by the name that a run gets as its tag. One that calls others precedes them.
_LIBRARIES = {
    "pydantic_ai": "pydantic-ai",
    "litellm": "litellm",
    "langchain_openai": "langchain",
    "langchain_anthropic": "langchain",
    "langchain_google_genai": "langchain",
    "langchain_core": "langchain",
    "openai": "openai",
    "anthropic": "anthropic",
    "google": "google-genai",
}
_RANKS = {package: rank for rank, package in enumerate(_LIBRARIES)}
_MOST_FRAMES = 200


@dataclass(frozen=True, slots=True)
class Target:
    """Where a call goes.

    ``url`` is without its query. ``model`` is the name in the path, None where the body has it.
    ``streams`` is whether the path asks for a stream, None where the body says so.
    """

    wire_format: str
    url: str
    base_url: str
    model: str | None = None
    streams: bool | None = None


def target_of(method: str, url: str) -> Target | None:
    """The target of a request; None if it is no call of a model.

    >>> target_of("POST", "https://api.openai.com/v1/chat/completions").base_url
    'https://api.openai.com/v1'
    >>> target_of("POST", "https://example.com/v1beta/models/m:streamGenerateContent?alt=sse")
    ... # doctest: +ELLIPSIS
    Target(wire_format='gemini', ..., base_url='https://example.com', model='m', streams=True)
    >>> target_of("POST", "https://api.openai.com/v1/embeddings") is None
    True
    """
    if method != "POST":
        return None
    address = _USER.sub("", url.partition("?")[0], count=1)
    found = _PATHS.fullmatch(address)
    if found is None:
        return None
    kind = next(name for name in _FORMATS if found[name])
    method_name = found["gemini"] or found["vertex"]
    streams = method_name.startswith("stream") if method_name else None
    return Target(_FORMATS[kind], address, found["before"], found["model"], streams)


def provider_of(target: Target) -> str:
    """The provider whose base URL the target has; else the vendor of its wire format.

    Base URLs of the environment and of ``.env`` files are read only for a URL that no row has.

    >>> provider_of(target_of("POST", "http://10.0.0.5:8000/v1/chat/completions"))
    'openai'
    """
    rows: dict[str, EndpointRow] = config.rows()
    found = _best(target, {name: row.base_url for name, row in rows.items()}, rows)
    if found is None:
        own = {name: config.base_url(name) for name, row in rows.items() if row.base_url_variable}
        found = _best(target, own, rows)
    return _VENDORS[target.wire_format] if found is None else found


def _best(
    target: Target, base_urls: Mapping[str, str | None], rows: Mapping[str, EndpointRow]
) -> str | None:
    family = target.wire_format.partition("-")[0]
    found = [
        (rows[name].wire_format.partition("-")[0] == family, len(base_url), name)
        for name, base_url in base_urls.items()
        if base_url and target.url.startswith(f"{base_url.partition('{')[0].rstrip('/')}/")
    ]
    # Two rows of one address, such as Gemini and its retired SDK: the first one.
    best = max(found, key=lambda one: one[:2], default=None)
    return None if best is None else best[2]


def library() -> str | None:
    """The library whose code makes the present call; None for none that is known."""
    frame: FrameType | None = sys._getframe(1)
    best, name = len(_RANKS), None
    for _ in range(_MOST_FRAMES):
        if frame is None:
            break
        package = str(frame.f_globals.get("__name__")).partition(".")[0]
        rank = _RANKS.get(package, best)
        if rank < best:
            best, name = rank, _LIBRARIES[package]
        frame = frame.f_back
    return name


def key_in(headers: Mapping[str, str]) -> str | None:
    """The key that a request carries; None without one."""
    for name in ("x-api-key", "x-goog-api-key", "api-key"):
        if headers.get(name):
            return headers[name]
    scheme, _, value = headers.get("authorization", "").partition(" ")
    return value or scheme or None


def streams(target: Target, body: Mapping[str, Any]) -> bool:
    """Whether the answer is asked for as a stream."""
    return bool(body.get("stream")) if target.streams is None else target.streams
