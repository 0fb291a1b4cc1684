"""One provider: where it is reached, in which wire format, with whose key, at whose prices."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EndpointRow:
    """One row of the table of providers.

    Args:
        name: What stands before the colon in ``provider:name``.
        label: The name for people, as within a sentence.
        base_url: Where requests go unless the base URL's variable says otherwise.
        wire_format: ``openai``, ``anthropic``, ``gemini`` or ``gemini-legacy``; a package of its
            own may bring another as ``module:Class``.
        key_variables: Environment variables that may hold the key; none where no key is needed.
        key_prefixes: How the vendor's keys start; none where nobody documents it.
        key_page: Where a key is had.
        base_url_variable: The environment variable that moves ``base_url``.
        free: Whether a call costs nothing, because the server is the user's own.
        priced_as: The provider's id in genai-prices, None where it does not list it.
        offered: Whether its models are listed. A second way to the same models is not.
    """

    name: str
    label: str
    base_url: str
    wire_format: str = "openai"
    key_variables: tuple[str, ...] = ()
    key_prefixes: tuple[str, ...] = ()
    key_page: str | None = None
    base_url_variable: str | None = None
    free: bool = False
    priced_as: str | None = None
    offered: bool = True
