"""Retention is tested on both engines."""

import pytest

from llm_playground.runlog import postgres_admin
from tests.reports.conftest import log, new_url

__all__ = ["log", "new_url"]


@pytest.fixture
def everything_is_worn(monkeypatch):
    """Small tables are rewritten too."""
    monkeypatch.setattr(postgres_admin, "_WORTH_IT", 0.0)
