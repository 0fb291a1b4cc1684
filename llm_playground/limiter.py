"""How many calls are under way at once, per provider."""

from __future__ import annotations

import asyncio
from weakref import WeakKeyDictionary

# The embedded server answers four at a time; the vendors allow far more than one person needs.
CONCURRENCY = {"local": 4}
DEFAULT_CONCURRENCY = 32

_slots: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, asyncio.Semaphore]] = (
    WeakKeyDictionary()
)


def learn(model: str, responded: object) -> None:
    """What the provider says of its limits."""


def hold(model: str, for_s: float) -> None:
    """Send nothing more for a while."""


def slot(model: str, *, tokens: int, priority: int) -> asyncio.Semaphore:  # noqa: ARG001
    """The provider's semaphore on the running loop; hold it while a call is under way."""
    provider = model.partition(":")[0]
    of_loop = _slots.setdefault(asyncio.get_running_loop(), {})
    if provider not in of_loop:
        of_loop[provider] = asyncio.Semaphore(CONCURRENCY.get(provider, DEFAULT_CONCURRENCY))
    return of_loop[provider]
