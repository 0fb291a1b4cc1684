"""What the engine knows of a provider, and where one is reached."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Protocol

from llm_playground import config
from llm_playground.events import ProviderEvent
from llm_playground.types import Request


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where requests of one provider go.

    Args:
        provider: The provider's name as in ``provider:name``.
        api_key: The key; not part of the repr.
        base_url: None for the vendor's own.
        connect_timeout_s: How long a connection may take to come about; None is no limit.
    """

    provider: str
    api_key: str = field(repr=False)
    base_url: str | None = None
    connect_timeout_s: float | None = 10.0

    @property
    def address(self) -> str:
        """The base URL, the vendor's own where none is set."""
        return self.base_url or config.rows()[self.provider].base_url


class Provider(Protocol):
    """A service reached by one wire format."""

    def stream(self, request: Request) -> AsyncGenerator[ProviderEvent, None]:
        """Send the request and yield its events; the last is one ``Finish``.

        Closing the generator, or cancelling the task that reads it, closes the connection.

        Raises:
            ProviderError: Translated from whatever the SDK or the wire gave.
        """
        ...

    async def aclose(self) -> None:
        """Close the connections."""
        ...
