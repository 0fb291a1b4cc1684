"""Base URLs: whether one is a web address, whose machine it names, and through which proxy."""

from __future__ import annotations

import ipaddress
from urllib.request import getproxies, proxy_bypass

import httpx2


def fault_in(base_url: str) -> str | None:
    """Why nothing can be sent to a base URL, as the end of a sentence; None when it can.

    >>> fault_in("http://127.0.0.1:8080/v1"), fault_in("api.example.com")
    (None, 'it does not begin with http:// or https://')
    """
    try:
        url = httpx2.URL(base_url)
    except httpx2.InvalidURL:  # its words may hold a password
        return "it is no web address"
    if url.scheme not in ("http", "https"):
        return "it does not begin with http:// or https://"
    if url.userinfo:
        return "a user name or a password is in it"
    if url.query or url.fragment:
        return "a query is in it, and keys go into .env"
    if url.port is not None and not 0 < url.port < 65_536:
        return f"{url.port} is no port"
    return None if _names_a_host(url.host) else "it names no host"


def _names_a_host(host: str) -> bool:
    if _ip(host) is not None:
        return True
    try:  # as the resolver will: no empty label, none too long
        return bool(host.encode("idna")) and "%" not in host
    except UnicodeError:
        return False


def is_loopback(base_url: str | None) -> bool:
    """Whether a base URL stays on this machine: 127.0.0.0/8, ::1, localhost.

    >>> is_loopback("http://127.8.0.1:80/v1"), is_loopback("https://localhost.example.com")
    (True, False)
    """
    host = httpx2.URL(base_url).host.rstrip(".").lower() if base_url else ""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    ip = _ip(host)
    return ip is not None and ip.is_loopback


def proxy_for(base_url: str) -> str | None:
    """The proxy that the environment (or the system) names for a base URL, None for none.

    As ``host:port``, without its credentials. Loopback has none, whatever the environment says.
    """
    url = httpx2.URL(base_url)
    if is_loopback(base_url) or proxy_bypass(url.host):
        return None
    proxies = getproxies()
    proxy = proxies.get(url.scheme) or proxies.get("all")
    if not proxy:
        return None
    try:
        return httpx2.URL(proxy if "://" in proxy else f"http://{proxy}").netloc.decode()
    except httpx2.InvalidURL:
        return "of the environment"


def _ip(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
