"""The Runs of a panel: walked, kept, with their forms, and the pinned baseline."""

import json

import pytest

import llm_playground as lp
from llm_playground.widget import draft_store, run_records, variables
from llm_playground.widget.baseline import Cell, column_of, counterparts, state_of
from llm_playground.widget.draft_store import DraftStore
from llm_playground.widget.drafts import Identity
from tests.providers.formats import openai_stream
from tests.providers.server import Reply
from tests.widget import panels
from tests.widget.panels import answered, ask, until

served, closed = panels.served, panels.closed
MODELS = ["openai:gpt-4o", "openai:gpt-4o-mini"]


def echo(request):
    """Answers with the prompt."""
    return Reply(openai_stream([request.json["messages"][-1]["content"]]))


def texts(panel):
    return panel.results.response_text.tolist()


def walked(panel, step):
    before = panel.panel_runs.display.number
    ask(panel, "show_run", step=step)
    return panel.panel_runs.display.number - before, panel.run_shown["number"], texts(panel)


def three_runs(panel):
    for prompt in ("One.", "Two.", "Three."):
        panel.prompt = prompt
        answered(panel)


def restarted(monkeypatch, *names, **arguments):
    """The panel of a new kernel: nothing but files and the log is left."""
    for store in list(draft_store._stores):
        until(lambda store=store: not store._unsaved)
    monkeypatch.setattr(DraftStore, "previous_playground", lambda _store: None)
    panel = lp.Playground(*names, **arguments)
    panel.results  # noqa: B018 - waits until the earlier answers are shown
    return panel


def test_walks_through_the_runs_in_memory(served, monkeypatch):
    panel, _ = served(echo)
    sent = []
    monkeypatch.setattr(panel, "send", sent.append)
    three_runs(panel)

    assert (panel.run_shown["older"], panel.run_shown["newer"]) == (True, False)
    assert walked(panel, -1) == (1, 2, ["Two."])
    assert walked(panel, -1) == (1, 1, ["One."])
    assert walked(panel, -1) == (0, 1, ["One."])  # there is none before it
    shown = panel.run_shown
    assert (shown["number"], shown["newest"], shown["about"]) == (1, 3, "gpt-4o")
    assert (shown["older"], shown["newer"], shown["opened"]) == (False, True, False)
    assert panel.prompt == "Three."  # the form stays
    until(lambda: [m for m in sent if m["type"] == "snapshot" and "One." in json.dumps(m)])
    shown = [message["run"] for message in sent if message["type"] in ("run", "snapshot")]
    assert shown == sorted(shown)  # a view ignores older numbers

    panel.prompt = "Four."
    answered(panel)  # the newest comes back
    assert (panel.run_shown["number"], texts(panel)) == (4, ["Four."])


def test_a_run_goes_on_while_another_is_shown(served, monkeypatch):
    panel, _ = served(
        [Reply(openai_stream(["First."])), Reply(openai_stream(["So "])[:2], end="hang")]
    )
    answered(panel)
    sent = []
    monkeypatch.setattr(panel, "send", sent.append)
    panel.run()
    until(lambda: panel.answers.text(1))

    assert walked(panel, -1)[1:] == (1, ["First."])
    assert (panel.running, panel.run_shown["running"]) == (True, 2)
    with pytest.raises(lp.LLMError, match="Still running"):
        panel.run()
    panel._handle_custom_msg({"type": "retry", "number": 1, "changes": {}}, [])
    until(lambda: "Still running" in panel.problem)
    panel.stop()
    until(lambda: not panel.running)
    assert panel.run_shown["running"] == 0
    numbers = {message["run"] for message in sent if message["type"] == "events"}
    assert max(numbers, default=0) < panel.panel_runs.display.number  # not shown
    assert walked(panel, 1)[1:] == (2, ["So "])
    assert panel.results.status.tolist() == ["cancelled"]


def test_earlier_runs_and_the_baseline_outlive_the_kernel(served, closed, monkeypatch, home):
    _, server = served(echo)
    panel = lp.Playground("kept", models=MODELS, prompt="One.", n=2)
    answered(panel)
    panel.baseline = 3
    panel.prompt, panel.temperature, panel.models = "Two {{x}}.", 0.5, MODELS[:1]
    panel.values = {"x": "words"}
    answered(panel)
    sent = len(server.requests)
    until(lambda: len(run_records.read(Identity("kept")).runs) == 2)

    panel = restarted(monkeypatch, "kept", models=MODELS, prompt="One.", n=2)

    assert (panel.run_shown["number"], texts(panel)) == (2, ["Two words."] * 2)
    assert panel.changed == []
    panel.prompt = "Three."
    panel.temperature = None
    assert panel.changed == ["temperature 0.5 \u2192 auto", "prompt"]
    assert panel.changed_in_full[1] == "prompt: \u201cTwo {{x}}.\u201d \u2192 \u201cThree.\u201d"
    found = state_of(panel, reads_log=True)
    assert (found["run"], found["answer"], found["title"]) == (1, 3, "Run 1, gpt-4o-mini")
    assert found["of"] == [[1, 3], [2, 4]]
    assert "temperature auto \u2192 0.5 · prompt · typed values" in found["differs"]["line"]
    assert ask(panel, "text", answer=-3) == "One."
    assert [pane["number"] for pane in found["panes"]] == [3, 4]
    assert "One." in json.dumps(found["panes"][0])
    assert walked(panel, -1)[1:] == (1, ["One."] * 4)
    assert [words.split(" ")[0] for words in panel.changed] == ["models", "prompt", "typed"]
    assert state_of(panel)["panes"] == []  # they are among the answers that are shown

    ask(panel, "restore_form")
    assert (panel.prompt, panel.models, panel.temperature) == ("One.", MODELS, None)
    assert panel.changed == []
    ask(panel, "undo")
    assert (panel.prompt, panel.values) == ("Three.", {"x": "words"})
    assert len(server.requests) == sent


def test_a_cell_run_again_dates_the_run_that_it_shows(served, closed):
    served(echo)
    panel = lp.Playground("dated", models=MODELS[:1], prompt="Hi.")
    three_runs(panel)
    walked(panel, -1)
    until(lambda: not panel.draft_store._unsaved)

    again = lp.Playground("dated", models=MODELS[:1], prompt="Hi.")

    assert again.run_shown["number"] == 2
    assert again.saved["at"] == again.run_shown["at"] == panel.run_shown["at"]


def test_a_value_of_the_notebook_that_has_changed_is_named(served, closed, monkeypatch):
    served(echo)
    notebook = {"n": 3}
    monkeypatch.setattr(variables, "_namespace", lambda: notebook)
    panel = lp.Playground("values", models=MODELS[:1], prompt="Say {{n}}.")
    answered(panel)
    until(lambda: len(run_records.read(Identity("values")).runs) == 1)

    notebook["n"] = 4
    panel.refresh_price()  # as after each cell
    until(lambda: panel.changed_values == ["{{n}}"])
    answered(panel)
    until(lambda: panel.changed_values == [])
    panel = restarted(monkeypatch, "values", models=MODELS[:1], prompt="Say {{n}}.")
    walked(panel, -1)
    until(lambda: panel.changed_values == ["{{n}}"])
    assert panel.changed == []


def test_runs_that_the_log_lost_are_said_to_be_lost(served, closed, monkeypatch, home):
    served(echo)
    panel = lp.Playground("lost", models=MODELS[:1], prompt="One.")
    three_runs(panel)
    until(lambda: len(run_records.read(Identity("lost")).runs) == 3)
    panel = restarted(monkeypatch, "lost", models=MODELS[:1], prompt="One.")
    lp.purge(run=panel.panel_runs.at(2).record.run_ids[0], keep="nothing", dry_run=False)

    with pytest.raises(lp.LLMError, match="The answers of Run 2 are not in the log"):
        ask(panel, "show_run", step=-1)

    assert (panel.run_shown["number"], texts(panel)) == (3, ["Three."])
    ask(panel, "show_run", number=1)
    assert texts(panel) == ["One."]


@pytest.mark.parametrize("store", ["metrics", "off"])
def test_private_runs_are_kept_in_memory_only(served, closed, store):
    lp.configure(privacy={"store": store})
    served(echo)
    panel = lp.Playground("private", models=MODELS[:1], prompt="One.")
    three_runs(panel)
    panel.panel_runs._save()

    assert not run_records.path_of(Identity("private")).exists()
    assert walked(panel, -1)[1:] == (2, ["Two."])


def test_a_file_that_is_none_is_left_out(served, closed, home):
    served(echo)
    path = run_records.path_of(Identity("odd"))
    path.parent.mkdir(parents=True)
    for content in ("{", "[]", '{"format": "llm_playground.runs", "version": 1, "runs": [{}]}'):
        path.write_text(content)
        panel = lp.Playground("odd", models=MODELS[:1], prompt="One.")
        answered(panel)
        assert panel.run_shown["number"] == 1
        panel.close()


def test_the_oldest_runs_are_forgotten_and_the_baseline_is_not(served, closed, monkeypatch):
    monkeypatch.setattr(run_records, "MOST_RUNS", 2)
    served(echo)
    panel = lp.Playground("many", models=MODELS[:1], prompt="One.")
    answered(panel)
    panel.baseline = 1
    three_runs(panel)

    assert [run.number for run in panel.panel_runs._runs] == [1, 3, 4]
    assert state_of(panel)["run"] == 1


def test_retried_answer_takes_its_place_in_its_run(served, closed):
    served([Reply(openai_stream([text])) for text in ("One.", "Two.", "Other.")])
    panel = lp.Playground("again", models=MODELS[:1], prompt="Say it.")
    answered(panel)
    answered(panel)
    ask(panel, "show_run", step=-1)

    [run_id] = panels.retried(panel, 1)

    assert texts(panel) == ["Other."]
    assert panel.panel_runs.at(1).record.run_ids == [run_id]
    assert walked(panel, 1)[1:] == (2, ["Two."])


@pytest.mark.parametrize("value", [0, 2, "one", True, {"run": 9, "answer": 1}, [1]])
def test_baseline_is_an_answer_that_is_shown(served, value):
    panel, _ = served(echo)
    answered(panel)

    with pytest.raises(lp.InvalidParameterError, match="the number of an answer that is shown"):
        panel.baseline = value

    ask(panel, "pin", answer=1)
    assert panel.baseline == {"run": 1, "answer": 1}
    ask(panel, "pin", answer=None)
    assert state_of(panel) is None
    with pytest.raises(lp.LLMError, match="No answer is pinned"):
        ask(panel, "difference", answer=1)


A, B = "a:one", "b:two"
OSLO = [Cell(n, A, "Oslo", f"temperature {n - 1}") for n in (1, 2)]
ROME = [Cell(n, A, "Rome", f"temperature {n - 3}") for n in (3, 4)]


@pytest.mark.parametrize(
    ("pinned", "column", "answers", "is_own", "expected"),
    [
        pytest.param(
            *(Cell(1, A), [Cell(1, A), Cell(2, A, iteration=2)]),
            *([Cell(1, A), Cell(2, A, iteration=2)], True, {1: 1, 2: 1}),
            id="one column: the pinned answer",
        ),
        pytest.param(
            *(Cell(1, A), [Cell(1, A), Cell(2, A, iteration=2)]),
            *([*map(Cell, (1, 2, 3), (A, A, B)), Cell(4, B, iteration=2)], True),
            {1: 1, 2: 2, 3: 1, 4: 2},
            id="own Run: row by row",
        ),
        pytest.param(
            *(OSLO[0], [*OSLO, *ROME]),
            *([Cell(1, B, "Rome", "temperature 1"), Cell(2, B, "Bern")], False, {1: 4, 2: 1}),
            id="same case, else the pinned answer",
        ),
        pytest.param(
            *(OSLO[1], [*OSLO, *ROME], [Cell(1, A, "Oslo"), Cell(2, A, "Rome")], False),
            {1: 2, 2: 4},
            id="no sweep any more: the pinned one's value",
        ),
        pytest.param(
            *(Cell(2, A, iteration=2), [Cell(1, A), Cell(2, A, iteration=2)]),
            *([Cell(1, B), Cell(2, B, iteration=2), Cell(3, B, iteration=3)], False),
            {1: 1, 2: 2, 3: 2},
            id="more iterations: the pinned one",
        ),
        pytest.param(
            *(Cell(1, A), [Cell(1, A)], [Cell(1, B, "Oslo"), Cell(2, B, "Rome")], False),
            {1: 1, 2: 1},
            id="no cases before: the pinned answer for all",
        ),
    ],
)
def test_baseline_of_each_answer(pinned, column, answers, is_own, expected):
    assert column_of(pinned, [*column, Cell(9, B)]) == column
    assert counterparts(answers, pinned, column, is_own=is_own) == expected
