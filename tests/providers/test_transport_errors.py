"""Connection errors: refused, unknown host, TLS, unreachable proxies, invalid base URLs."""

import asyncio
import socket
from contextlib import contextmanager

import pytest

from llm_playground import errors
from llm_playground.providers import Endpoint, RequestContext, transport_errors
from llm_playground.providers.errors import status_error
from tests.providers.failures import failure
from tests.providers.vendors import KEY


async def test_a_refused_connection_names_the_address(vendor):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    error, _ = await failure(vendor, f"http://127.0.0.1:{port}")
    assert type(error) is errors.ProviderUnavailableError
    assert str(error).startswith(f"127.0.0.1:{port} refuses connections.")


async def test_unknown_host_is_named(vendor):
    error, _ = await failure(vendor, "http://nowhere.invalid")
    assert type(error) is errors.ProviderUnavailableError
    assert "nowhere.invalid cannot be found" in str(error)


async def test_no_secure_connection_is_said_so(vendor):
    async def plain(reader, writer):
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(plain, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        error, _ = await failure(vendor, f"https://127.0.0.1:{port}")
    assert type(error) is errors.ProviderUnavailableError
    assert "No secure connection" in str(error)


@contextmanager
def unanswering():
    """The port of a listener that never accepts, its queue full."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        waiting = []
        for _ in range(3):
            waiting.append(socket.socket())
            waiting[-1].setblocking(False)
            waiting[-1].connect_ex(full.getsockname())
        yield full.getsockname()[1]
        for connection in waiting:
            connection.close()


async def test_an_address_that_never_answers_is_a_time_out(vendor):
    with unanswering() as port:
        error, _ = await failure(vendor, f"http://127.0.0.1:{port}", connect_timeout_s=0.3)
    assert type(error) is errors.ProviderTimeoutError
    assert str(error).startswith(f"127.0.0.1:{port} could not be reached within 0.3 s.")


# Proxies that are named and do not work.


@pytest.fixture
def dead_port():
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


# The SDKs' transport hands a proxy's password to aiohttp in a way that aiohttp finds old.
@pytest.mark.filterwarnings("ignore:(BasicAuth|The 'proxy_auth'):DeprecationWarning")
@pytest.mark.parametrize("user", ["", "somebody:secret@"])
async def test_unreachable_proxy_is_named(vendor, user, dead_port, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", f"http://{user}127.0.0.1:{dead_port}")
    error, _ = await failure(vendor, "http://models.example")
    assert type(error) is errors.ProviderUnavailableError
    assert str(error) == (
        f"The proxy 127.0.0.1:{dead_port} cannot be reached, and requests to models.example go "
        "through it. Check that it runs, HTTPS_PROXY and NO_PROXY."
    )
    assert "secret" not in error.detail


async def test_default_address_fails_at_the_proxy(vendor, dead_port, monkeypatch):
    monkeypatch.setenv("ALL_PROXY", f"http://127.0.0.1:{dead_port}")
    error, _ = await failure(vendor, None)
    assert str(error).startswith(f"The proxy 127.0.0.1:{dead_port} cannot be reached")


async def test_unknown_proxy_host_is_named(vendor, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://nowhere.invalid:3128")
    error, _ = await failure(vendor, "http://models.example")
    assert str(error).startswith("The proxy nowhere.invalid:3128 cannot be reached")


async def test_silent_proxy_is_named(vendor, monkeypatch):
    with unanswering() as port:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{port}")
        error, _ = await failure(vendor, "http://models.example", connect_timeout_s=0.3)
    assert str(error).startswith(f"The proxy 127.0.0.1:{port} cannot be reached")


async def test_no_proxy_host_is_not_blamed_on_the_proxy(vendor, dead_port, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "nowhere.invalid")
    error, _ = await failure(vendor, "http://nowhere.invalid")
    assert "nowhere.invalid cannot be found" in str(error)
    error, _ = await failure(vendor, f"http://127.0.0.1:{dead_port}")
    assert str(error).startswith(f"127.0.0.1:{dead_port} refuses connections.")


def test_a_proxy_of_an_unknown_kind_is_one_line(vendor, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "carrier-pigeon://127.0.0.1:9")
    with pytest.raises(errors.ConfigError, match="HTTPS_PROXY, HTTP_PROXY or ALL_PROXY"):
        vendor.provider("http://models.example")


# Base URLs to which nothing can be sent.

UNUSABLE = {
    "http://somebody:secret@models.example/v1": "it contains a user name or a password",
    "http://somebody:sec/ret@models.example/v1": "it is not a web address",
    "http://models.example:99999": "99999 is not a port",
    "http://models.example:0": "0 is not a port",
    "http://models.example:-5": "-5 is not a port",
    "http://models.example:abc": "it is not a web address",
    "http://[::1": "it is not a web address",
    "models.example/v1": "it does not begin with http:// or https://",
    "ftp://models.example": "it does not begin with http:// or https://",
    "http://": "it names no host",
    "http:///v1": "it names no host",
    "http://two words/v1": "it names no host",
    "http://models..example": "it names no host",
}


@pytest.mark.parametrize("base_url", UNUSABLE)
def test_invalid_base_url_is_one_line(vendor, base_url):
    with pytest.raises(errors.ConfigError) as caught:
        vendor.provider(base_url)
    assert f": {UNUSABLE[base_url]}. Correct it." in str(caught.value)
    assert "sec" not in str(caught.value)
    assert KEY not in str(caught.value)


@pytest.mark.parametrize(
    "base_url", ["http://[::1]:8080/v1", "https://models.example", "http://bücher.example:1/v1"]
)
async def test_valid_base_urls(vendor, base_url):
    await vendor.provider(base_url).aclose()


@pytest.mark.parametrize(
    ("provider", "base_url", "refused", "down"),
    [
        ("ollama", "http://127.0.0.1:11434/v1", "Ollama", "Ollama"),
        ("ollama", "http://10.0.0.5:1/v1", "Ollama", "Ollama at 10.0.0.5:1"),
        ("lmstudio", "http://127.0.0.1:1234/v1", "LM Studio", "LM Studio"),
        ("vllm", "http://127.0.0.1:8000/v1", "vLLM", "vLLM"),
        ("openai", "https://api.openai.com/v1", "it", "OpenAI"),
        ("openai", None, "it", "OpenAI"),
        ("openai", "http://127.0.0.1:8000/v1", "it", "OpenAI at 127.0.0.1:8000"),
        ("anthropic", "https://gateway.example", "it", "Anthropic at gateway.example"),
        ("local", "http://127.0.0.1:5/v1", "the local model", "The local model"),
    ],
)
def test_messages_name_the_server_that_was_asked(provider, base_url, refused, down):
    call = RequestContext(Endpoint(provider, "no key", base_url, None), f"{provider}:m")

    error = transport_errors.transport_error(call, ConnectionRefusedError())
    assert f"Check that {refused} runs, and the base URL." in str(error)
    for status in (500, 502, 503, 529):
        assert str(status_error(call, status, "")).startswith((f"{down} had ", f"{down} is "))
