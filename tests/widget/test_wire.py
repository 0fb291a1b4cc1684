"""What the dialog "Wire" tells of an answer: request, response, parameters, timeline."""

import json

import pytest

import llm_playground as lp
from llm_playground.providers import tape
from llm_playground.widgets import recordings
from tests.widget import panels
from tests.widget.panels import KEY, answered, ask, until
from tests.wire.formats import openai_stream
from tests.wire.server import Reply, json_reply

pg, served = panels.pg, panels.served


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
