"""The whole session runs on a log and a home of its own, without the developer's keys."""

import os
import tempfile
import threading
from pathlib import Path

import pytest

from llm_playground import config as settings
from llm_playground import redact
from llm_playground.providers import weights

KEYS = [variable for row in settings.rows().values() for variable in row.key_variables]
BASE_URLS = [row.base_url_variable for row in settings.rows().values() if row.base_url_variable]


class EachTest:
    """A plugin, for doctests outside this folder have fixtures of plugins only."""

    @pytest.fixture(autouse=True)
    def settings(self, monkeypatch):
        """What one test configures, and the keys it uses, are not the next one's."""
        monkeypatch.setattr(settings, "_settings", settings._settings)
        monkeypatch.setattr(redact, "_known", redact._known)


def pytest_configure(config):
    """Before anything is collected: doctests and notebooks see this environment too."""
    config.pluginmanager.register(EachTest())
    os.environ["LLM_PLAYGROUND_LOCAL_MODEL"] = str(weights.find() or fetch())
    os.environ["LLM_PLAYGROUND_HOME"] = tempfile.mkdtemp(prefix="llm-playground-tests-")
    os.environ["PYTHON_KEYRING_BACKEND"] = "keyring.backends.null.Keyring"  # not the developer's
    unwanted = [*KEYS, *BASE_URLS, "LLM_PLAYGROUND_LOG", "LLM_PLAYGROUND_MODEL"]
    for variable in unwanted:
        os.environ.pop(variable, None)


def fetch():
    print("fetching the embedded model's weights, once")
    return weights.fetch(lambda _done, _total: None, threading.Event())


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A data folder and a working folder of the test's own: an empty log, no ``.env`` above."""
    monkeypatch.setenv("LLM_PLAYGROUND_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return Path(tmp_path / "home")
