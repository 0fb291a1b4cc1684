"""An empty log, no keys, no settings of an SDK; scripted servers in the vendors' place."""

import os

import pytest

from tests.codegen.running import KEYS, PythonWorker, run
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
def worker():
    with PythonWorker() as started:
        yield started


@pytest.fixture
def runs(worker, tmp_path):
    """Runs code of a language; what it prints."""

    def run_it(language, code):
        return worker.run(code) if language == "python" else run(language, code, tmp_path)

    return run_it
