"""HTTP clients: one kind for every provider, with one set of limits and one rule for proxies."""

from __future__ import annotations

import ipaddress

import httpx2

from llm_playground.errors import ConfigError
from llm_playground.providers.base import Endpoint
from llm_playground.redact import remember

CONNECT_TIMEOUT_S = 10.0
# Until the first delta and between deltas: reasoning models are silent for minutes.
READ_TIMEOUT_S = 120.0
WRITE_TIMEOUT_S = 60.0
# For a connection of the pool, its DNS look-up included.
POOL_TIMEOUT_S = 30.0
# Above what the limiter ever lets through; the transports' own default is 100.
MAX_CONNECTIONS = 2_000
# Below the idle time after which vendors' load balancers close: a reused connection is alive.
KEEPALIVE_S = 30.0


def client_for(
    endpoint: Endpoint, kind: type[httpx2.AsyncClient] = httpx2.AsyncClient
) -> httpx2.AsyncClient:
    """An HTTP client for one endpoint.

    Redirects are not followed: a key would go along to another host.

    Args:
        endpoint: Loopback endpoints never use a proxy, whatever the environment says, and a new
            connection for each request.
        kind: The class to build; the SDKs bring one over aiohttp, which costs a third of the CPU.

    Raises:
        ConfigError: The base URL is no URL.
    """
    remember(endpoint.api_key)
    try:
        at_home = is_loopback(endpoint.base_url)
    except httpx2.InvalidURL as error:
        raise ConfigError(
            f"The base URL of {endpoint.provider} is no web address ({error}). Correct it.",
            provider=endpoint.provider,
        ) from error
    return kind(
        timeout=httpx2.Timeout(
            connect=CONNECT_TIMEOUT_S,
            read=READ_TIMEOUT_S,
            write=WRITE_TIMEOUT_S,
            pool=POOL_TIMEOUT_S,
        ),
        limits=httpx2.Limits(
            max_connections=MAX_CONNECTIONS,
            max_keepalive_connections=MAX_CONNECTIONS,
            # A connection costs nothing here, and llama.cpp closes each after its answer while
            # it says "keep-alive": the next request would be written into the closing one.
            keepalive_expiry=0.0 if at_home else KEEPALIVE_S,
        ),
        follow_redirects=False,
        trust_env=not at_home,
    )


def is_loopback(base_url: str | None) -> bool:
    """Whether a base URL stays on this machine: 127.0.0.0/8, ::1, localhost.

    >>> is_loopback("http://127.8.0.1:80/v1"), is_loopback("https://localhost.example.com")
    (True, False)
    """
    host = httpx2.URL(base_url).host.rstrip(".").lower() if base_url else ""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
