"""What is promised of keeping and purging is promised of both engines."""

import pytest

from llm_playground import config, redact
from llm_playground.runlog import space
from tests.reports.conftest import log, new_url

__all__ = ["log", "new_url"]


@pytest.fixture(autouse=True)
def own_settings(monkeypatch):
    """Settings, and known keys, of the test's own."""
    monkeypatch.setattr(config, "_settings", config._Settings())
    monkeypatch.setattr(redact, "_known", ())


@pytest.fixture
def everything_is_worn(monkeypatch):
    """Little tables are written anew too."""
    monkeypatch.setattr(space, "_WORTH_IT", 0.0)
