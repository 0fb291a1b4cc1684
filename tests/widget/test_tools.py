"""The panel's tools, as a view asks for them: wire, code, export, history, link, save, cell."""

import itertools
import json
import re
import threading
import time

import pytest

import llm_playground as lp
from llm_playground import provenance
from llm_playground.providers import tape
from llm_playground.widgets import history, recordings, stored
from llm_playground.widgets.replies import reply
from tests.wire.formats import openai_stream
from tests.wire.server import Reply, WireServer, json_reply

KEY = "sk-" + "planted" * 4 + "7Qa"
ANSWER_S = 60
NUMBERS = itertools.count()


@pytest.fixture
def pg(home):
    """A playground on the embedded model, its answers short."""
    name = f"invoice summary {next(NUMBERS)}"  # one of its own: a name brings its last answers
    made = lp.Playground(name, models=["local"], prompt="Say hello.")
    made.max_tokens = 8
    yield made
    made.close()


@pytest.fixture
def served(home, monkeypatch):
    """A playground on a scripted endpoint, and the server: ``served(script)``."""
    opened = []

    def start(script, **form):
        server = WireServer(script).__enter__()
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        monkeypatch.setenv("OPENAI_BASE_URL", f"{server.url}/v1")
        made = lp.Playground(models=["openai:gpt-4o"], prompt="Say hello.", **form)
        opened.extend([made, server])
        return made, server

    yield start
    for one in opened:
        one.close()


def ask(panel, what, **given):
    """What a view gets for a question; a refusal is raised as its line."""
    told = reply(panel, {"id": "1", "what": what, "given": given})
    assert json.dumps(told["value"] if "value" in told else told["error"])
    if "error" in told:
        raise lp.LLMError(told["error"])
    return told["value"]


def answered(panel):
    panel.run()
    return panel.results


# Wire


def test_wire_tells_what_was_sent_and_what_came(served):
    pieces = ["Good ", "day."]
    limits = {"x-ratelimit-remaining-tokens": "149984", **Reply().headers}
    pg, server = served(
        Reply(openai_stream(pieces), headers={"x-request-id": "req_7", **limits}, pause_s=0.02),
        max_tokens=20,
    )
    answered(pg)

    told = ask(pg, "wire", number=1)

    [exchange], [sent] = told["exchanges"], server.requests
    assert exchange["line"] == f"POST {server.url}/v1/chat/completions"
    assert json.loads(exchange["body"]) == sent.json
    assert exchange["body"].startswith('{\n  "')
    assert exchange["received"] == b"".join(openai_stream(pieces)).decode()
    assert exchange["status"] == "200"
    assert exchange["limits"] == [["x-ratelimit-remaining-tokens", "149984"]]
    assert ["Request ids", "req_7"] in told["facts"]
    assert dict(map(tuple, exchange["headers"]))["authorization"] == "Bearer …7Qa"
    assert KEY not in json.dumps(told)


def test_wire_says_which_parameters_were_renamed_or_left_out_and_why(served):
    pg, _ = served(Reply(openai_stream(["A"])), max_tokens=20, top_k=5, temperature=0.5)
    answered(pg)

    told = {one["name"]: one for one in ask(pg, "wire", number=1)["parameters"]}

    assert told["max_tokens"]["places"] == ["max_completion_tokens"]
    assert "max_tokens" in told["max_tokens"]["why"]
    assert (told["top_k"]["sent"], told["top_k"]["why"]) == (False, "gpt-4o does not take it.")
    assert (told["temperature"]["places"], told["temperature"]["why"]) == (["temperature"], "")


def test_wire_has_a_timeline_of_attempts_and_deltas(served, monkeypatch):
    refused = json_reply(429, {"error": {"message": "Slow down."}}, {"retry-after": "0.2"})
    pg, _ = served([refused, Reply(openai_stream(["A", "B", "C"]), pause_s=0.05)])
    answered(pg)

    told = ask(pg, "wire", number=1)

    assert [span["kind"] for span in told["spans"]] == ["failed", "wait", "attempt"]
    assert "429" in told["spans"][0]["label"]
    ends = [span["from"] + span["ms"] for span in told["spans"]]
    assert ends == sorted(ends)
    assert told["total_ms"] >= ends[-1]
    assert sum(count for _, count in told["ticks"]) == 3
    assert told["ticks"][0][0] >= told["spans"][2]["from"]
    assert "3 deltas, longest gap 0.0" in told["summary"]
    assert told["summary"].endswith("2 attempts.")
    assert [exchange["attempt"] for exchange in told["exchanges"]] == [1, 2]
    assert "Slow down." in told["exchanges"][0]["received"]


def test_wire_of_an_answer_on_its_way_shows_what_there_is(served):
    chunks = openai_stream(["One ", "two "])[:2]
    pg, _ = served(Reply(chunks, end="hang"))
    pg.run()
    until(lambda: pg.sheet.text(1) == "One ")

    told = ask(pg, "wire", number=1)

    assert "One " in told["exchanges"][0]["received"]
    pg.stop()
    assert len(pg.results) == 1


def test_wire_of_many_answers_stays_within_its_memory():
    each = recordings.Recordings(1_000)
    alone = recordings.Recordings(1)

    assert 1_000 * each._most <= recordings.MOST_BYTES
    assert alone._most == tape.MOST_BYTES


def test_a_long_stream_of_deltas_is_a_strip_of_at_most_256_bins():
    pulse = recordings.Pulse()
    for number in range(20_000):
        pulse.beat(10 + number * 0.05)

    assert pulse.count == sum(count for _, count in pulse.filled()) == 20_000
    assert len(list(pulse.filled())) <= 256
    assert abs(pulse.longest_gap_s - 0.05) < 1e-6


def test_a_reopened_answer_has_the_request_as_the_log_tells_it_and_says_so(served):
    pg, server = served(Reply(openai_stream(["A"])), max_tokens=20, system="Be brief.")
    run_id = answered(pg).run_id[0]
    again = lp.Playground(run=run_id)

    told = ask(again, "wire", number=1)

    [exchange] = told["exchanges"]
    assert json.loads(exchange["body"]) == server.requests[0].json
    assert exchange["line"] == f"POST {server.url}/v1/chat/completions"
    assert exchange["received"] == ""
    assert any("not kept" in note for note in told["notes"])
    assert told["spans"][0]["kind"] == "attempt"
    assert KEY not in json.dumps(told)


def test_of_the_embedded_model_too_whose_server_has_no_address_to_tell(home):
    run = lp.ask("Hi.", "local", max_tokens=2, top_p=0.5)

    told = ask(lp.Playground(run=run), "wire", number=1)

    [exchange] = told["exchanges"]
    assert json.loads(exchange["body"])["top_p"] == 0.5
    assert exchange["line"] == "POST the server in this kernel"
    assert [one["name"] for one in told["parameters"]][:2] == ["top_p", "max_tokens"]


def test_what_was_never_sent_is_said(pg):
    with pytest.raises(lp.LLMError, match="There is no answer 1"):
        ask(pg, "wire", number=1)


# Code, export, cell


def test_code_of_the_form_is_that_of_its_first_call(served):
    pg, _ = served(Reply(openai_stream(["A"])), temperature=0.5)
    pg.models = ["openai:gpt-4o", "local"]

    told = ask(pg, "code")

    assert told["of"] == "The first call · openai:gpt-4o"
    texts = {tab["language"]: tab["text"] for tab in told["tabs"]}
    assert set(texts) == {"python", "javascript", "curl"}
    for text in texts.values():
        assert "Say hello." in text
        assert "0.5" in text
        assert KEY not in text


def test_code_of_an_answer_is_that_of_its_run(pg):
    run_id = answered(pg).run_id[0]
    pg.prompt = "Another one."

    told = ask(pg, "code", number=1)

    assert told["of"] == "Answer 1 · local:smollm2-135m-instruct"
    python, javascript = told["tabs"][0], told["tabs"][1]
    assert python["text"] == lp.code(run_id)
    assert "Say hello." in python["text"]
    assert "no address outside this kernel" in javascript["error"]


def test_code_of_a_form_that_cannot_be_sent_is_one_line(pg):
    pg.prompt = "{{nothing_of_the_kind}}"

    with pytest.raises(lp.LLMError, match="nothing_of_the_kind"):
        ask(pg, "code")


@pytest.mark.parametrize(
    ("form", "suffix", "kind"),
    [
        ("json", ".json", "application/json"),
        ("markdown", ".md", "text/markdown"),
        ("csv", ".csv", "text/csv"),
    ],
)
def test_an_export_is_a_text_with_a_name_for_its_file(pg, form, suffix, kind):
    frame = answered(pg)

    told = ask(pg, "export", format=form)

    assert told["text"] == lp.export(frame, form)
    assert re.match(r"invoice summary \d+ 20\d\d-", told["name"])
    assert told["name"].endswith(suffix)
    assert told["kind"] == kind


def test_a_name_that_no_file_may_have_is_made_one(pg):
    pg.name = '../..\\a:b*"<>|?\n'
    answered(pg)

    name = ask(pg, "export", format="json")["name"]

    assert not set(name) & set('/\\:*"<>|?\n')
    assert name.startswith("a-b")


@pytest.mark.parametrize("what", ["export", "link"])
def test_nothing_leaves_before_there_are_answers(pg, what):
    with pytest.raises(lp.LLMError, match="yet: run first"):
        ask(pg, what, format="json")


def test_the_cell_is_that_of_the_form(pg):
    assert ask(pg, "cell") == "%%llm -m local --max-tokens 8\nSay hello."


# History


def logged(*prompts, **parameters):
    return [lp.ask(prompt, "local", max_tokens=2, **parameters) for prompt in prompts]


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


# Opening


FORM = ("prompt", "system", "models", "temperature", "max_tokens", "seed", "stop_at", "iterations")


def values(panel):
    return {name: getattr(panel, name) for name in FORM}


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
    run = logged("Opened.")[0]

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


# Link


def test_the_link_opens_the_same_answers(pg):
    frame = answered(pg)
    assert ask(pg, "link") == f'lp.Playground(run="{frame.run_id[0]}")'

    pg.max_tokens = [1, 2]
    frame = answered(pg)
    again = eval(ask(pg, "link"))

    assert again.results.run_id.tolist() == frame.run_id.tolist()
    assert again.max_tokens == [1, 2]


# Save as


def test_the_form_is_saved_as_the_next_version_and_fills_a_panel_again(pg):
    pg.system, pg.prompt, pg.temperature = "Be {{how}}.", "Say {{what}}.", 0.5

    assert ask(pg, "save_prompt", name=" invoice-summary ", note="first") == "invoice-summary@1"
    pg.prompt = "Say {{what}} twice."
    assert ask(pg, "save_prompt", name="invoice-summary", note="") == "invoice-summary@2"
    assert ask(pg, "prompt_names") == ["invoice-summary"]

    again = lp.Playground(prompt=lp.prompt("invoice-summary"))
    assert values(again) == values(pg) | {"models": ["local:smollm2-135m-instruct"]}
    assert lp.prompt("invoice-summary@1").note == "first"


def test_what_is_said_beside_a_saved_prompt_wins(pg):
    pg.system, pg.temperature = "Old.", 0.5
    ask(pg, "save_prompt", name="a")
    saved = lp.prompt("a")

    again = lp.Playground(prompt=saved, system="New.", preset="precise", models=["ollama:x"])

    assert (again.system, again.temperature, again.models) == ("New.", 0.2, ["ollama:x"])
    assert again.max_tokens == 8


def test_turns_and_every_parameter_are_saved_with_it(pg):
    pg.turns = [{"role": "user", "content": "A"}, {"role": "assistant", "content": "B"}]
    pg.seed, pg.stop_at = 3, ["x", "y"]
    ask(pg, "save_prompt", name="talk")

    saved = lp.prompt("talk")

    assert [turn.text for turn in saved.messages] == ["A", "B", "Say hello."]
    assert saved.parameters.as_dict() == {"max_tokens": 8, "seed": 3, "stop": ("x", "y")}
    again = lp.Playground(prompt=saved)
    assert [turn["content"] for turn in again.turns] == ["A", "B"]
    assert (again.seed, list(again.stop_at)) == (3, ["x", "y"])


@pytest.mark.parametrize("name", ["", "a@3", " "])
def test_a_name_that_is_none_is_explained(pg, name):
    with pytest.raises(lp.LLMError, match="A prompt's name is a text without @"):
        ask(pg, "save_prompt", name=name)


def test_lp_save_prompt_takes_the_panel_with_all_it_has(pg):
    pg.seed = 5

    assert lp.save_prompt("whole", pg) == 1
    assert lp.prompt("whole").parameters.seed == 5


def until(condition, timeout_s=ANSWER_S):
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        threading.Event().wait(0.01)
