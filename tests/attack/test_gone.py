"""The working directory was deleted."""

import pytest

import llm_playground as lp


def test_works_without_a_working_directory(home, monkeypatch):
    gone = home.parent / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with pytest.raises(lp.MissingKeyError):
        lp.ask("hi", "openai:gpt-4o")
    assert lp.runs().empty
