"""The history drawer: runs of the log in short, searched, page by page."""

import pytest

import llm_playground as lp
from llm_playground import provenance
from llm_playground.widget import requests
from tests.providers.formats import openai_stream
from tests.providers.server import Reply
from tests.widget import panels
from tests.widget.panels import ask, logged

pg, served = panels.pg, panels.served


def test_lists_runs_newest_first(pg):
    runs = logged("First line.\nSecond line.", "Another.")

    page = ask(pg, "history")

    assert [row["run_id"] for row in page["rows"]] == [run.id for run in reversed(runs)]
    row = page["rows"][1]
    assert row["prompt"] == "First line. Second line."
    assert (row["model"], row["status"]) == ("local:smollm2-135m-instruct", "completed")
    assert (row["cost"], page["more"]) == ("free", False)


def test_searches_prompts_and_answers(served):
    pg, _ = served([Reply(openai_stream(["A plonkrid."])), Reply(openai_stream(["A whale."]))])
    for prompt in ("About zwibbelwurz.", "About snow."):
        lp.ask(prompt, "openai:gpt-4o")

    def found(search):
        return [row["prompt"] for row in ask(pg, "history", search=search)["rows"]]

    assert found(" ZWIBBELWURZ ") == ["About zwibbelwurz."]
    assert found("plonkrid") == ["About zwibbelwurz."]
    assert ask(pg, "history", search="nothing like it")["rows"] == []


def test_empty_log(pg):
    assert ask(pg, "history") == {"rows": [], "more": False, "notebook": ""}


def test_pages_have_no_gaps_or_duplicates(pg, monkeypatch):
    monkeypatch.setattr(requests, "HISTORY_PAGE_ROWS", 3)
    runs = [run.id for run in reversed(lp.compare("Hi", "local", n=8, max_tokens=1).runs)]
    shown, after = [], None
    for _ in range(4):
        page = ask(pg, "history", after=after)
        shown += [row["run_id"] for row in page["rows"]]
        after = page["rows"][-1] if page["rows"] else after
        if not page["more"]:
            break

    assert sorted(shown) == sorted(runs)
    assert shown == list(lp.runs().run_id)


def test_this_notebook_only(pg, monkeypatch):
    logged("Elsewhere.")
    monkeypatch.setattr(provenance, "notebook", lambda: "work/mine.ipynb")
    logged("Here.")

    page = ask(pg, "history", here=True)

    assert [row["prompt"] for row in page["rows"]] == ["Here."]
    assert page["notebook"] == "mine.ipynb"


def test_unreadable_log_is_explained_in_one_line(pg, monkeypatch, home):
    monkeypatch.setenv("LLM_PLAYGROUND_LOG", "postgresql://127.0.0.1:1/none")

    with pytest.raises(lp.LLMError) as caught:
        ask(pg, "history")

    assert "\n" not in str(caught.value)


def test_rows_have_no_keys(pg, monkeypatch):
    monkeypatch.setattr(requests, "redact", lambda text: text.replace("whale", "[redacted]"))
    logged("A whale.")

    assert ask(pg, "history")["rows"][0]["prompt"] == "A [redacted]."
