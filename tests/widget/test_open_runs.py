"""Runs opened in the panel by their ids, and the code that does so."""

import json
import threading

import pytest

import llm_playground as lp
from llm_playground import _runtime
from llm_playground.recording import numbers
from llm_playground.runlog import open_log
from llm_playground.widget.stored_runs import SHORTEST_PREFIX, stored_runs
from tests.codegen.requests import GIF
from tests.providers.formats import openai_stream
from tests.providers.server import Reply, json_reply
from tests.widget import panels
from tests.widget.panels import answered, ask, logged, until, values

pg, served = panels.pg, panels.served
MODEL = "openai:gpt-4o"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(500)


def test_opens_the_answer_and_the_form_of_a_run(home):
    run = lp.ask("Hi.", "local", system="Be brief.", max_tokens=4, temperature=0.5, seed=1)

    pg = lp.Playground(run=run.id)

    assert values(pg) == {
        "prompt": "Hi.",
        "system": "Be brief.",
        "models": ["local:smollm2-135m-instruct"],
        "temperature": 0.5,
        "max_tokens": 4,
        "seed": 1,
        "stop_at": None,
        "iterations": 1,
    }
    [row] = pg.results.to_dict("records")
    assert (row["run_id"], row["response_text"]) == (run.id, run.text)
    assert not pg.running


@pytest.mark.parametrize(
    "named",
    [lambda run: run, lambda run: run.id, lambda run: run.id[:18]],
    ids=["run", "id", "prefix"],
)
def test_takes_a_run_its_id_or_a_prefix(home, named):
    [first, second] = logged("One.", "Two.")

    assert lp.Playground(run=named(second)).prompt == "Two."
    assert lp.Playground(run=[named(first), named(second)]).results.run_id.tolist() == [
        first.id,
        second.id,
    ]


@pytest.mark.parametrize("end", [lp.Playground.stop, lp.Playground.close], ids=["stop", "close"])
@pytest.mark.parametrize("opened", ["none", "one", "two", "prefix", "ended"])
def test_ending_answers_that_have_ended_starts_no_loop(home, monkeypatch, opened, end):
    """A loop cannot be made while Python ends, which closes the panels that are left."""
    ids = [run.id for run in logged("One.", "Two.")]
    run = {"none": None, "one": ids[0], "two": ids, "prefix": ids[1][:18], "ended": None}[opened]
    panel = lp.Playground(models=["local"], prompt="Hi.", run=run)
    if opened == "ended":
        panel.max_tokens = 1
        answered(panel)
    real, me = _runtime.loop, threading.get_ident()

    def loop():
        if threading.get_ident() == me:
            raise ImportError("sys.meta_path is None, Python is likely shutting down")
        return real()

    monkeypatch.setattr(_runtime, "loop", loop)

    end(panel)


def test_run_of_an_opened_form_sends_the_same(home):
    run = lp.ask("Hi.", "local", system="Be brief.", max_tokens=2, stop=["x", "y"], seed=2)
    pg = lp.Playground(run=run)

    again = answered(pg)

    log = lp.runs().set_index("run_id").prompt_hash
    assert log[again.run_id[0]] == log[run.id]


def test_opens_earlier_turns(home):
    turns = [{"role": "user", "content": "A"}, {"role": "assistant", "content": "B"}]
    run = lp.ask("C", "local", messages=turns, max_tokens=2)

    again = answered(lp.Playground(run=run))

    log = lp.runs().set_index("run_id").prompt_hash
    assert log[again.run_id[0]] == log[run.id]


@pytest.mark.parametrize(
    ("images", "earlier"),
    [([GIF], []), ([GIF, PNG], []), ([PNG], [GIF]), ([], [GIF, PNG]), ([GIF], [GIF])],
    ids=["one", "two", "in a turn too", "in a turn", "twice"],
)
def test_run_with_images_opens_whole(served, images, earlier):
    _, server = served(lambda _request: Reply(openai_stream(["A dot."])))
    parts = [*({"type": "image", "image": i} for i in earlier), {"type": "text", "text": "A"}]
    turns = [{"role": "user", "content": parts}, {"role": "assistant", "content": "B"}]
    run = lp.ask("C", MODEL, messages=turns if earlier else None, images=images or None)

    opened = lp.Playground(run=run)
    again = answered(opened)

    assert [entry["size_bytes"] for entry in opened.images] == list(map(len, images))
    first, second = (request.json["messages"] for request in server.requests)
    assert first == second
    log = lp.runs().set_index("run_id").prompt_hash
    assert log[again.run_id[0]] == log[run.id]
    lp.configure(mode="replay")
    numbers.reset()  # as a restart of the kernel
    assert lp.ask(lp.Prompt(stored_runs([run.id])[0].messages), MODEL).cached
    assert len(server.requests) == 2
    opened.close()


def test_form_with_images_is_saved_whole(served):
    pg, _ = served(Reply(openai_stream(["A dot."])))
    pg.images = [GIF]
    lp.save_prompt("seen", pg)

    opened = lp.Playground(prompt=lp.prompt("seen"))

    assert (opened.prompt, len(opened.images)) == (pg.prompt, 1)
    assert opened.form().images == pg.form().images
    opened.close()


def test_execution_opens_all_its_answers(home):
    runs = lp.compare("Hi", "local", n=3, max_tokens=2).runs

    pg = lp.Playground(run=runs[0].execution_id)

    assert pg.results.run_id.tolist() == [run.id for run in runs]
    assert pg.iterations == 3


def test_runs_that_differ_in_a_parameter_are_a_sweep(home):
    runs = [lp.ask("Hi", "local", max_tokens=n) for n in (1, 2)]

    assert lp.Playground(run=runs).max_tokens == [1, 2]


def test_failed_run_opens_with_its_error(served):
    pg, _ = served(json_reply(400, {"error": {"message": "No such thing."}}))
    [row] = answered(pg).to_dict("records")

    again = lp.Playground(run=row["run_id"])

    assert again.results.error_message[0] == row["error_message"]
    assert again.results.status[0] == "failed"


@pytest.mark.parametrize(
    ("run", "line"),
    [
        ("0123456789", r"No run of this log has the id '0123456789'. lp.runs\(\) lists all"),
        ("01", "'01' is too short to name a run"),
        (7, "run takes a run, its id or an execution's id, or several; got 7"),
        ([], "run is empty"),
        ("%%%%%%%", "too short"),
    ],
)
def test_unknown_id_is_an_error_with_advice(home, run, line):
    with pytest.raises(lp.InvalidParameterError, match=line):
        lp.Playground(run=run)


def test_ambiguous_prefix_is_an_error(home):
    prefix = "0123456789"[:SHORTEST_PREFIX]
    insert = f"INSERT INTO results (id) VALUES ('{prefix}-one'), ('{prefix}-two')"
    open_log().change(lambda session: session.execute(insert))

    with pytest.raises(lp.InvalidParameterError, match=r"Several runs .* such as 012345-"):
        lp.Playground(run=prefix)


def test_the_id_in_the_heading_of_a_run_opened_from_the_dashboard_names_it(home):
    lp.demo_runs(20)
    run_id = lp.runs(limit=1).run_id[0]
    board = lp.dashboard()
    pressed = {"type": "press", "value": json.dumps({"run": run_id})}

    board._on_message(None, pressed, [])

    [opened] = board._playground.children
    word, prefix = opened.name.split()
    assert word == "run"
    assert lp.Playground(run=prefix).results.run_id.tolist() == [run_id]


def test_views_get_a_snapshot_of_a_run_opened_from_history(served, monkeypatch):
    messages = []
    pg, _ = served(Reply(openai_stream(["Answered."])))
    monkeypatch.setattr(pg, "send", messages.append)
    run = lp.ask("Opened.", "openai:gpt-4o", max_tokens=2)

    note = ask(pg, "reopen", run=run.id)["note"]

    assert (note, pg.prompt, pg.max_tokens) == ("", "Opened.", 2)
    until(lambda: [m for m in messages if m["type"] == "snapshot"])
    [snapshot] = [message for message in messages if message["type"] == "snapshot"]
    assert snapshot["view"] is None
    assert "Answered." in json.dumps(snapshot["panes"][0])
    assert snapshot["panes"][0]["state"] == "completed"


def test_nothing_opens_while_answers_are_running(served):
    run = lp.ask("Hi", "local", max_tokens=1)
    pg, _ = served(Reply(openai_stream(["One "])[:2], end="hang"))
    pg.run()

    with pytest.raises(lp.LLMError, match=r"Still running\. Stop all first\."):
        ask(pg, "reopen", run=run.id)

    assert pg.prompt == "Say hello."
    pg.stop()
    assert len(pg.results) == 1


def test_shared_code_opens_the_same_answers(pg):
    frame = answered(pg)
    assert ask(pg, "link") == f'lp.Playground(run="{frame.run_id[0]}")'

    pg.max_tokens = [1, 2]
    frame = answered(pg)
    again = eval(ask(pg, "link"))

    assert again.results.run_id.tolist() == frame.run_id.tolist()
    assert again.max_tokens == [1, 2]
