"""Somebody deletes the folder this process works in."""

import pytest

import llm_playground as lp


def test_without_a_working_folder_keys_and_runs_are_still_found(home, monkeypatch):
    gone = home.parent / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with pytest.raises(lp.MissingKeyError):
        lp.ask("hi", "openai:gpt-4o")
    assert lp.runs().empty
