"""An empty log, no keys, no settings of an SDK; scripted servers in the vendors' place."""

import os

import pytest

from tests.codegen.running import KEYS, node_worker, python_worker, run
from tests.providers import vendors

_UNWANTED = ("_proxy", "openai_", "anthropic_", "google_", "gemini_")


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch, home):
    for name in list(os.environ):
        if any(part in name.lower() for part in _UNWANTED):
            monkeypatch.delenv(name)


@pytest.fixture
def keys(monkeypatch):
    for name, key in KEYS.items():
        monkeypatch.setenv(name, key)


@pytest.fixture(params=vendors.ALL, ids=str)
def vendor(request):
    return request.param


@pytest.fixture(scope="package")
def workers(node_modules, tmp_path_factory):
    """One process of each language whose SDKs are slow to load, by language."""
    with (
        python_worker() as python,
        node_worker(tmp_path_factory.mktemp("node"), node_modules) as javascript,
    ):
        yield {"python": python, "javascript": javascript}


@pytest.fixture
def runs(workers, tmp_path):
    """Runs code of a language; what it prints."""

    def run_it(language, code):
        worker = workers.get(language)
        return run(language, code, tmp_path) if worker is None else worker.run(code)

    return run_it
