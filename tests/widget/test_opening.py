"""Runs opened in the panel by their ids, and the link that does so."""

import json

import pytest

import llm_playground as lp
from llm_playground.widgets import stored
from tests.widget import panels
from tests.widget.panels import answered, ask, logged, until, values
from tests.wire.formats import openai_stream
from tests.wire.server import Reply, json_reply

pg, served = panels.pg, panels.served


def test_a_run_is_opened_with_its_answer_and_the_form_as_it_was_sent(home):
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


@pytest.mark.parametrize("named", [lambda run: run, lambda run: run.id, lambda run: run.id[:18]])
def test_a_run_is_named_by_itself_its_id_or_the_beginning_of_it(home, named):
    [first, second] = logged("One.", "Two.")

    assert lp.Playground(run=named(second)).prompt == "Two."
    assert lp.Playground(run=[named(first), named(second)]).results.run_id.tolist() == [
        first.id,
        second.id,
    ]


def test_a_run_again_from_an_opened_one_sends_the_same(home):
    run = lp.ask("Hi.", "local", system="Be brief.", max_tokens=2, stop=["x", "y"], seed=2)
    pg = lp.Playground(run=run)

    again = answered(pg)

    log = lp.runs().set_index("run_id").prompt_hash
    assert log[again.run_id[0]] == log[run.id]


def test_earlier_turns_come_back_too(home):
    turns = [{"role": "user", "content": "A"}, {"role": "assistant", "content": "B"}]
    run = lp.ask("C", "local", messages=turns, max_tokens=2)

    again = answered(lp.Playground(run=run))

    log = lp.runs().set_index("run_id").prompt_hash
    assert log[again.run_id[0]] == log[run.id]


def test_an_execution_opens_all_its_answers(home):
    runs = lp.compare("Hi", "local", n=3, max_tokens=2).runs

    pg = lp.Playground(run=runs[0].execution_id)

    assert pg.results.run_id.tolist() == [run.id for run in runs]
    assert pg.iterations == 3


def test_runs_that_differ_in_a_parameter_open_as_a_sweep(home):
    runs = [lp.ask("Hi", "local", max_tokens=n) for n in (1, 2)]

    assert lp.Playground(run=runs).max_tokens == [1, 2]


def test_a_failed_run_is_opened_with_its_error(served):
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
def test_an_id_that_names_no_run_is_one_line_with_what_to_do(home, run, line):
    with pytest.raises(lp.InvalidParameterError, match=line):
        lp.Playground(run=run)


def test_a_beginning_that_several_runs_have_is_not_guessed(home):
    runs = logged("One.", "Two.")
    common = runs[0].id[: stored.SHORTEST_PREFIX]

    with pytest.raises(lp.InvalidParameterError, match="Several runs"):
        lp.Playground(run=common)


def test_the_views_are_told_of_a_run_opened_from_history(pg, monkeypatch):
    told = []
    monkeypatch.setattr(pg, "send", told.append)
    run = logged("Opened.", temperature=0)[0]

    note = ask(pg, "reopen", run=run.id)["note"]

    assert (note, pg.prompt, pg.max_tokens) == ("", "Opened.", 2)
    until(lambda: [m for m in told if m["type"] == "snapshot"])
    [snapshot] = [message for message in told if message["type"] == "snapshot"]
    assert snapshot["view"] is None
    assert run.text.split()[0] in json.dumps(snapshot["panes"][0])
    assert snapshot["panes"][0]["state"] == "completed"


def test_nothing_is_opened_while_answers_are_still_to_come(served):
    run = lp.ask("Hi", "local", max_tokens=1)
    pg, _ = served(Reply(openai_stream(["One "])[:2], end="hang"))
    pg.run()

    with pytest.raises(lp.LLMError, match=r"Still running\. Stop all first\."):
        ask(pg, "reopen", run=run.id)

    assert pg.prompt == "Say hello."
    pg.stop()
    assert len(pg.results) == 1


def test_the_link_opens_the_same_answers(pg):
    frame = answered(pg)
    assert ask(pg, "link") == f'lp.Playground(run="{frame.run_id[0]}")'

    pg.max_tokens = [1, 2]
    frame = answered(pg)
    again = eval(ask(pg, "link"))

    assert again.results.run_id.tolist() == frame.run_id.tolist()
    assert again.max_tokens == [1, 2]
