"""The dialog "Wire" of an answer: requests, responses, parameters, timeline."""

import json
import re

import pytest

import llm_playground as lp
from llm_playground.providers import http_trace
from llm_playground.widget import inspector
from tests.providers.formats import openai_stream
from tests.providers.server import Reply, json_reply
from tests.widget import panels
from tests.widget.panels import KEY, answered, ask, until

pg, served = panels.pg, panels.served


def test_shows_request_and_response(served):
    pieces = ["Good ", "day."]
    limits = {"x-ratelimit-remaining-tokens": "149984", **Reply().headers}
    pg, server = served(
        Reply(openai_stream(pieces), headers={"x-request-id": "req_7", **limits}, pause_s=0.02),
        max_tokens=20,
    )
    answered(pg)

    shown = ask(pg, "wire", number=1)

    [exchange], [sent] = shown["exchanges"], server.requests
    assert exchange["line"] == f"POST {server.url}/v1/chat/completions"
    assert json.loads(exchange["body"]) == sent.json
    assert exchange["body"].startswith('{\n  "')
    assert exchange["received"] == b"".join(openai_stream(pieces)).decode()
    assert exchange["status"] == "200"
    assert exchange["limits"] == [["x-ratelimit-remaining-tokens", "149984"]]
    assert ["Request ids", "req_7"] in shown["facts"]
    assert dict(map(tuple, exchange["headers"]))["authorization"] == "Bearer …7Qa"
    assert KEY not in json.dumps(shown)


def test_explains_renamed_and_dropped_parameters(served):
    pg, _ = served(Reply(openai_stream(["A"])), max_tokens=20, top_k=5, temperature=0.5)
    answered(pg)

    uses = {one["name"]: one for one in ask(pg, "wire", number=1)["parameters"]}

    assert uses["max_tokens"]["places"] == ["max_completion_tokens"]
    assert "max_tokens" in uses["max_tokens"]["why"]
    assert (uses["top_k"]["sent"], uses["top_k"]["why"]) == (False, "gpt-4o does not support it.")
    assert (uses["temperature"]["places"], uses["temperature"]["why"]) == (["temperature"], "")


def test_timeline_has_attempts_and_deltas(served):
    refused = json_reply(429, {"error": {"message": "Slow down."}}, {"retry-after": "0.2"})
    pg, _ = served([refused, Reply(openai_stream(["A", "B", "C"]), pause_s=0.05)])
    answered(pg)

    shown = ask(pg, "wire", number=1)

    assert [span["kind"] for span in shown["spans"]] == ["failed", "wait", "attempt"]
    assert "429" in shown["spans"][0]["label"]
    ends = [span["from"] + span["ms"] for span in shown["spans"]]
    assert ends == sorted(ends)
    assert shown["total_ms"] >= ends[-1]
    assert sum(count for _, count in shown["ticks"]) == 3
    assert shown["ticks"][0][0] >= shown["spans"][2]["from"]
    assert re.search(r"3 deltas, longest gap \d+\.\d\d s", shown["summary"])
    assert shown["summary"].endswith("2 attempts.")
    assert [exchange["attempt"] for exchange in shown["exchanges"]] == [1, 2]
    assert "Slow down." in shown["exchanges"][0]["received"]


def test_running_answer_shows_what_there_is(served):
    chunks = openai_stream(["One ", "two "])[:2]
    pg, _ = served(Reply(chunks, end="hang"))
    pg.run()
    until(lambda: pg.answers.text(1) == "One ")

    shown = ask(pg, "wire", number=1)

    assert "One " in shown["exchanges"][0]["received"]
    pg.stop()
    assert len(pg.results) == 1


def test_traces_of_many_answers_share_the_memory():
    each = inspector.RunTraces(1_000)
    alone = inspector.RunTraces(1)

    assert 1_000 * each.most_bytes_each <= inspector.MOST_BYTES
    assert alone.most_bytes_each == http_trace.MOST_BYTES


def test_timing_of_a_long_stream_has_at_most_256_bins():
    timing = inspector.TraceTiming()
    for number in range(20_000):
        timing.add(10 + number * 0.05)

    assert timing.count == sum(count for _, count in timing.filled()) == 20_000
    assert len(list(timing.filled())) <= 256
    assert abs(timing.longest_gap_s - 0.05) < 1e-6


def test_stored_answer_has_the_request_rebuilt_from_the_log(served):
    pg, server = served(Reply(openai_stream(["A"])), max_tokens=20, system="Be brief.")
    run_id = answered(pg).run_id[0]
    again = lp.Playground(run=run_id)

    shown = ask(again, "wire", number=1)

    [exchange] = shown["exchanges"]
    assert json.loads(exchange["body"]) == server.requests[0].json
    assert exchange["line"] == f"POST {server.url}/v1/chat/completions"
    assert exchange["received"] == ""
    assert any("not kept" in note for note in shown["notes"])
    assert shown["spans"][0]["kind"] == "attempt"
    assert KEY not in json.dumps(shown)


def test_embedded_server_has_no_address(home):
    run = lp.ask("Hi.", "local", max_tokens=2, top_p=0.5)

    shown = ask(lp.Playground(run=run), "wire", number=1)

    [exchange] = shown["exchanges"]
    assert json.loads(exchange["body"])["top_p"] == 0.5
    assert exchange["line"] == "POST the server in this kernel"
    assert [one["name"] for one in shown["parameters"]][:2] == ["top_p", "max_tokens"]


def test_unknown_answer_is_an_error(pg):
    with pytest.raises(lp.LLMError, match="There is no answer 1"):
        ask(pg, "wire", number=1)
