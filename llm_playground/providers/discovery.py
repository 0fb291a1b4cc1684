"""Servers of the user's own machine that listen now, and their models."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from urllib.parse import urlsplit

from llm_playground.endpoints import EndpointRow
from llm_playground.providers.address import is_loopback
from llm_playground.providers.listing import Listing
from llm_playground.providers.models import listed

WITHIN_S = 0.2


def is_near(row: EndpointRow) -> bool:
    """Whether it is a server of this machine that wants no key."""
    return not row.key_variables and is_loopback(row.base_url)


async def listening(rows: Iterable[EndpointRow], within_s: float = WITHIN_S) -> dict[str, Listing]:
    """The lists of those that answer with a list of models, by name; all are asked at once.

    Nothing but the question for the list is sent, and no key to a server that wants none.

    Args:
        rows: Those to ask.
        within_s: For all together. A port where nobody listens says so at once.
    """
    asked = list(rows)
    found = await asyncio.gather(*(_listing(row, within_s) for row in asked))
    return {
        row.name: listing
        for row, listing in zip(asked, found, strict=True)
        if listing is not None and listing.reason is None
    }


async def _listing(row: EndpointRow, within_s: float) -> Listing | None:
    try:
        async with asyncio.timeout(within_s):
            if await _listens(row.base_url):
                return await listed(row, within_s)
    except TimeoutError:
        pass
    return None


async def _listens(base_url: str) -> bool:
    """Whether somebody takes a connection."""
    parts = urlsplit(base_url)
    try:
        _, writer = await asyncio.open_connection(parts.hostname, parts.port or 80)
    except OSError:
        return False
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
    return True
