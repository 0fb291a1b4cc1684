"""A time limit for each test, and an environment without proxies and SDK settings."""

import asyncio
import functools
import inspect
import os
from pathlib import Path

import pytest

import llm_playground as lp
from llm_playground import config
from llm_playground.config import options
from tests.providers import example_provider, responses_format, vendors
from tests.providers.server import Reply, WireServer

_HERE = Path(__file__).parent
_LIMIT_S = 240
_UNWANTED = ("_proxy", "openai_", "anthropic_", "google_", "gemini_")


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch, home):
    for name in list(os.environ):
        if any(part in name.lower() for part in _UNWANTED):
            monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def own_providers(home, monkeypatch):
    """The example provider and the gateway, at prices of their own, beside what a test sets."""
    with monkeypatch.context() as patched:  # an audit entry would create a log for each test
        patched.setattr(options, "record", lambda *_: None)
        lp.configure(**example_provider.SETTINGS)
        lp.configure(**responses_format.SETTINGS)


@pytest.fixture
def reaching(monkeypatch):
    """Starts a server in place of a vendor."""
    servers = []

    def start(vendor):
        row = config.rows()[vendor.name]
        server = WireServer(Reply(vendor.stream(["A"]))).__enter__()
        servers.append(server)
        monkeypatch.setenv(row.key_variables[0], vendors.KEY)
        path = "/v1" if vendor.name == "openai" else ""
        monkeypatch.setenv(row.base_url_variable, server.url + path)
        return server

    yield start
    for server in servers:
        server.close()


@pytest.fixture(params=vendors.ALL, ids=str)
def vendor(request):
    return request.param


def pytest_collection_modifyitems(items):
    """A time-out for every asynchronous test of this folder."""
    for item in items:
        if item.path.parent == _HERE and inspect.iscoroutinefunction(item.obj):
            item.obj = limited(item.obj)


def limited(test):
    @functools.wraps(test)
    async def within_limit(*args, **kwargs):
        async with asyncio.timeout(_LIMIT_S):
            return await test(*args, **kwargs)

    return within_limit
