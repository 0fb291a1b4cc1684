"""The history drawer: runs of the log in short, searched, page by page."""

import pytest

import llm_playground as lp
from llm_playground import provenance
from llm_playground.widget import history
from llm_playground.widget.baseline import state_of
from tests.providers.formats import openai_stream
from tests.providers.server import Reply
from tests.widget import panels
from tests.widget.panels import answered, ask, logged

pg, served = panels.pg, panels.served
LOCAL = "local:smollm2-135m-instruct"
MODELS = ["openai:gpt-4o", "openai:gpt-4o-mini"]


def test_lists_runs_newest_first(pg):
    runs = logged("First line.\nSecond line.", "Another.")

    page = ask(pg, "history")

    assert [row["run_id"] for row in page["rows"]] == [run.id for run in reversed(runs)]
    row = page["rows"][1]
    assert row["prompt"] == "First line. Second line."
    assert (row["models"], row["statuses"]) == ({LOCAL: 1}, {"completed": 1})
    assert (row["cost"], page["more"]) == ("free", False)


def test_a_row_with_cases_shows_the_prompt_as_it_was_written(pg):
    pg.prompt, pg.cases = "Say {{word}}.", [{"word": "red"}, {"word": "blue"}]
    answered(pg)

    assert ask(pg, "history")["rows"][0]["prompt"] == "Say {{word}}."
    assert ask(pg, "history", search="blue")["rows"][0]["prompt"] == "Say blue."


def test_one_row_for_each_run_which_unfolds_and_opens_whole(served):
    pg, server = served(lambda request: Reply(openai_stream([request.json["model"]])))
    lp.ask("Before.", MODELS[0])
    pg.models, pg.iterations, pg.temperature = MODELS, 2, 0.5
    own = answered(pg).run_id.tolist()
    pg.prompt, pg.models, pg.temperature = "Another.", MODELS[:1], None
    answered(pg)
    ask(pg, "pin", answer=2)
    magic = lp.compare(["Blue?", "Red?"], MODELS, max_tokens=9).runs

    rows = ask(pg, "history")["rows"]
    counts = [list(row["models"].values()) for row in rows]
    assert counts == [[2, 2], [2], [2, 2], [1]]
    assert [row["source"] for row in rows] == ["api", "widget", "widget", "api"]
    panel_rows = ask(pg, "history", of="panel")["rows"]
    assert [row["run_id"] for row in panel_rows] == [row["run_id"] for row in rows[1:3]]

    answers = ask(pg, "history_answers", run=rows[2]["run_id"])
    assert [one["run_id"] for one in answers] == own
    assert [one["prompt"] for one in answers] == [""] * 4
    answers = ask(pg, "history_answers", run=rows[0]["run_id"])
    assert {one["prompt"] for one in answers} == {"Blue?", "Red?"}
    assert answers[0]["answer"] == "gpt-4o"

    sent = len(server.requests)
    assert ask(pg, "reopen", run=own[3]) == {"note": ""}  # one of its own: as it was
    assert (pg.run_shown["number"], pg.models, pg.temperature) == (1, MODELS, 0.5)
    assert (pg.results.run_id.tolist(), pg.saved, pg.changed) == (own, {}, [])
    ask(pg, "undo")
    assert (pg.run_shown["number"], pg.prompt, pg.models) == (2, "Another.", MODELS[:1])

    note = ask(pg, "reopen", run=magic[1].id)["note"]  # one from elsewhere
    assert note == "These runs have different prompts: the form has the first."
    assert (pg.run_shown["number"], pg.run_shown["opened"], pg.max_tokens) == (3, True, 9)
    assert sorted(pg.results.run_id) == sorted(run.id for run in magic)
    assert state_of(pg)["run"] == 2
    ask(pg, "undo")
    assert (pg.run_shown["number"], pg.run_shown["newest"], pg.prompt) == (2, 2, "Another.")
    assert pg.max_tokens is None
    ask(pg, "reopen", run=magic[3].id, alone=True)
    assert (pg.prompt, pg.results.run_id.tolist()) == ("Red?", [magic[3].id])
    assert len(server.requests) == sent


def test_a_row_says_what_differs_from_the_form_now(served):
    pg, _ = served(lambda request: Reply(openai_stream(["Hi."])))
    lp.ask("Say {n}.", MODELS[0], system="Be dry.", temperature=0.2)
    pg.temperature, pg.system = 0.9, "Be brief."
    answered(pg)

    own, foreign = (row["differs"] for row in ask(pg, "history")["rows"])
    assert own == {"line": "", "in_full": ""}
    assert foreign["line"] == "temperature 0.2 \u2192 0.9 · system prompt · prompt"
    assert foreign["in_full"].splitlines()[1] == "system prompt: “Be dry.” \u2192 “Be brief.”"

    pg.temperature, pg.system, pg.prompt = 0.2, "Be dry.", "Say {n}."
    own, foreign = (row["differs"]["line"] for row in ask(pg, "history")["rows"])
    assert (own, foreign) == ("temperature 0.9 \u2192 0.2 · system prompt · prompt", "")
    lp.configure(privacy={"store": "metrics"})
    lp.ask("Say nothing.", MODELS[0], temperature=0.2)
    lp.ask("Say nothing.", MODELS[0])
    unknown = [row["differs"] for row in ask(pg, "history")["rows"][:2]]
    assert [one and one["line"] for one in unknown] == ["temperature auto \u2192 0.2", None]


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
    monkeypatch.setattr(history, "PAGE_ROWS", 2)
    runs = [run.id for run in reversed(logged(*"abcde"))]
    shown, after = [], None
    for _ in range(3):
        page = ask(pg, "history", after=after)
        shown += [row["run_id"] for row in page["rows"]]
        after = page["rows"][-1]
        assert page["more"] == (len(shown) < len(runs))

    assert shown == runs
    with pytest.raises(lp.LLMError, match="Reload the page"):
        ask(pg, "history", after={"started_at": "yesterday"})


def test_this_notebook_only(pg, monkeypatch):
    logged("Elsewhere.")
    monkeypatch.setattr(provenance, "notebook", lambda: "work/mine.ipynb")
    logged("Here.")

    page = ask(pg, "history", of="notebook")

    assert [row["prompt"] for row in page["rows"]] == ["Here."]
    assert page["notebook"] == "mine.ipynb"


def test_unreadable_log_is_explained_in_one_line(pg, monkeypatch, home):
    monkeypatch.setenv("LLM_PLAYGROUND_LOG", "postgresql://127.0.0.1:1/none")

    with pytest.raises(lp.LLMError) as caught:
        ask(pg, "history")

    assert "\n" not in str(caught.value)


def test_rows_have_no_keys(pg, monkeypatch):
    monkeypatch.setattr(history, "redact", lambda text: text.replace("whale", "[redacted]"))
    logged("A whale.")

    assert ask(pg, "history")["rows"][0]["prompt"] == "A [redacted]."
