"""Helpers that return the error of an answer."""

import pytest

from llm_playground import errors
from llm_playground.events import Responded
from tests.providers.server import WireServer


async def failure(vendor, base_url, *, connect_timeout_s=10.0, **parameters):
    """The error of an answer, and the events before it."""
    provider, events = vendor.provider(base_url, connect_timeout_s), []
    with pytest.raises(errors.ProviderError) as caught:
        await collect(provider.stream(vendor.request(**parameters)), events)
    await provider.aclose()
    return caught.value, events


async def collect(stream, events):
    """What a stream holds, without the word that there is a response."""
    async for event in stream:
        if not isinstance(event, Responded):
            events.append(event)


async def failure_from(vendor, reply, **parameters):
    with WireServer(reply) as wire:
        return await failure(vendor, wire.url, **parameters)


def broken_off(vendor, *then):
    """A stream up to its last text, then something else."""
    whole = vendor.stream(["Hel", "lo", "END"])
    place = next(number for number, event in enumerate(whole) if b"END" in event)
    return (*whole[:place], *then)
