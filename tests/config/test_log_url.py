"""``LLM_PLAYGROUND_LOG``."""

import pytest

from llm_playground import config
from llm_playground.errors import ConfigError


def test_a_path_is_a_duckdb_file(home, monkeypatch):
    monkeypatch.setenv("LLM_PLAYGROUND_LOG", "logs/mine.duckdb")

    assert config.log_url() == f"duckdb:///{home.parent}/logs/mine.duckdb"


@pytest.mark.parametrize("url", ["mysql:///x", "mysql://user:word@host/x", "duckdb://x"])
def test_another_kind_of_database_is_refused(home, monkeypatch, url):
    monkeypatch.setenv("LLM_PLAYGROUND_LOG", url)

    with pytest.raises(ConfigError, match="a path such as"):
        config.log_url()
