"""The history drawer: runs of the log in short, searched, page by page."""

import pytest

import llm_playground as lp
from llm_playground import provenance
from llm_playground.widgets import history
from tests.widget import panels
from tests.widget.panels import ask, logged

pg = panels.pg


def test_history_lists_runs_newest_first_in_short(pg):
    runs = logged("First line.\nSecond line.", "Another.")

    told = ask(pg, "history")

    assert [row["run_id"] for row in told["rows"]] == [run.id for run in reversed(runs)]
    row = told["rows"][1]
    assert row["prompt"] == "First line. Second line."
    assert (row["model"], row["status"]) == ("local:smollm2-135m-instruct", "completed")
    assert (row["cost"], told["more"]) == ("free", False)


def test_history_is_searched_in_prompts_and_answers(pg):
    logged("About whales.", "About snow.")

    assert [row["prompt"] for row in ask(pg, "history", search=" WHALES ")["rows"]] == [
        "About whales."
    ]
    assert ask(pg, "history", search="nothing like it")["rows"] == []


def test_history_of_an_empty_log_is_empty(pg):
    assert ask(pg, "history") == {"rows": [], "more": False, "notebook": ""}


def test_history_goes_on_page_by_page_without_gaps_or_doubles(pg, monkeypatch):
    monkeypatch.setattr(history, "PAGE", 3)
    runs = [run.id for run in reversed(lp.compare("Hi", "local", n=8, max_tokens=1).runs)]
    shown, after = [], None
    for _ in range(4):
        told = ask(pg, "history", after=after)
        shown += [row["run_id"] for row in told["rows"]]
        after = told["rows"][-1] if told["rows"] else after
        if not told["more"]:
            break

    assert sorted(shown) == sorted(runs)
    assert shown == list(lp.runs().run_id)


def test_history_of_this_notebook_alone(pg, monkeypatch):
    logged("Elsewhere.")
    monkeypatch.setattr(provenance, "notebook", lambda: "work/mine.ipynb")
    logged("Here.")

    told = ask(pg, "history", here=True)

    assert [row["prompt"] for row in told["rows"]] == ["Here."]
    assert told["notebook"] == "mine.ipynb"


def test_a_log_that_cannot_be_read_is_one_line(pg, monkeypatch, home):
    monkeypatch.setenv("LLM_PLAYGROUND_LOG", "postgresql://127.0.0.1:1/none")

    with pytest.raises(lp.LLMError) as caught:
        ask(pg, "history")

    assert "\n" not in str(caught.value)


def test_no_key_is_in_a_row_of_history(pg, monkeypatch):
    monkeypatch.setattr(history, "redact", lambda text: text.replace("whale", "[redacted]"))
    logged("A whale.")

    assert ask(pg, "history")["rows"][0]["prompt"] == "A [redacted]."
