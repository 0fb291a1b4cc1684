"""What leaves one log comes back in another: promised of both engines."""

import pytest

from llm_playground.runlog import open_log
from tests.reports.conftest import log, new_url

__all__ = ["log", "new_url"]


@pytest.fixture(autouse=True)
def own_settings(monkeypatch):
    """Settings, known keys and a user of the test's own."""
    monkeypatch.setenv("LLM_PLAYGROUND_USER", "ada")
    monkeypatch.delenv("JUPYTERHUB_USER", raising=False)


@pytest.fixture
def elsewhere(log, new_url, monkeypatch):
    """Goes on with another, empty log, of the same engine or of the one that is named."""
    opened = []

    def move(engine=None):
        url = new_url(engine or log.dialect)
        monkeypatch.setenv("LLM_PLAYGROUND_LOG", url)
        opened.append(open_log(url))
        return opened[-1]

    yield move
    for other in opened:
        other.close()
