"""Which models an endpoint serves now: asks for its live list."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import httpx2

from llm_playground import config
from llm_playground.endpoints import EndpointRow
from llm_playground.errors import ConfigError
from llm_playground.providers import NO_KEY, endpoint_of
from llm_playground.providers.address import is_loopback
from llm_playground.providers.base import Endpoint
from llm_playground.providers.http import client_for
from llm_playground.providers.listing import FORMATS, Format, Listing, items_of

TIMEOUT_S = 3.0
_MOST_PAGES = 20
_MOST_BYTES = 16_000_000


class _WithoutTLS(httpx2.AsyncClient):
    """For http:// on this machine: reading certificates takes longer than such a server does."""

    def __init__(self, **options: Any) -> None:  # noqa: ANN401 - the parent's own options, handed on unread
        super().__init__(verify=False, **options)


async def listed(row: EndpointRow, timeout_s: float = TIMEOUT_S) -> Listing:
    """The models that an endpoint serves now. Whatever goes wrong is the listing's reason.

    Args:
        row: Any but ``local``.
        timeout_s: For all pages together.
    """
    form = FORMATS.get(row.wire_format)
    if form is None:
        return Listing(reason="its wire format has no list of models")
    try:
        async with asyncio.timeout(timeout_s):
            items = await _pages(endpoint_of(row.name), form)
    except ConfigError as error:
        return Listing(reason=str(error))
    except TimeoutError:
        return Listing(reason=f"no answer within {timeout_s:g} s")
    except httpx2.HTTPStatusError as error:
        status = error.response.status_code
        return Listing(reason=f"it answers with status {status}", key_refused=status == 401)
    except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
        return Listing(reason=f"not reached ({type(error).__name__})")
    except (ValueError, RecursionError):
        return Listing(reason="its answer is no list of models")
    found = {model.name: model for item in items if (model := form.read(item)) is not None}
    return Listing(tuple(found.values()))


async def _pages(endpoint: Endpoint, form: Format) -> list[Mapping[str, Any]]:
    client = await _client(endpoint)
    headers = dict(form.headers)
    if endpoint.api_key != NO_KEY:
        headers[form.key_header] = form.key_before + endpoint.api_key
    url = f"{endpoint.base_url}{form.path.format(version=config.gemini_api_version())}"
    items: list[Mapping[str, Any]] = []
    query: Mapping[str, str] | None = form.query
    async with client:
        for _ in range(_MOST_PAGES):
            page = await _page(client, url, headers, query or {})
            items += items_of(page, form.field)
            query = form.cursor(page) if isinstance(page, Mapping) else None
            if query is None:
                break
    return items


async def _page(
    client: httpx2.AsyncClient, url: str, headers: Mapping[str, str], query: Mapping[str, str]
) -> object:
    """One page's JSON.

    Raises:
        ValueError: It is none, or too long to be a list of models.
    """
    body = bytearray()
    async with client.stream("GET", url, headers=headers, params=query) as response:
        response.raise_for_status()
        async for chunk in response.aiter_bytes():
            body += chunk
            if len(body) > _MOST_BYTES:
                raise ValueError("too long")
    return json.loads(body)


async def _client(endpoint: Endpoint) -> httpx2.AsyncClient:
    base_url = endpoint.base_url or ""
    if base_url.startswith("http://") and is_loopback(base_url):
        return client_for(endpoint, _WithoutTLS)
    # In a thread: reading the certificates takes 50 ms, and answers stream on this loop.
    return await asyncio.to_thread(client_for, endpoint)
