"""Concurrency that one test configures is not the next one's."""

import pytest

from llm_playground import config


@pytest.fixture(autouse=True)
def own_settings(monkeypatch):
    monkeypatch.setattr(config, "_settings", config._settings)
