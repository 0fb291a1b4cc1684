"""Attempts without an answer count with their input; answers far past their limit are cut."""

import asyncio
import json
import socket
import subprocess
import sys
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import ClassVar

import pytest

import llm_playground as lp
from llm_playground import footer
from llm_playground.catalog import estimates
from llm_playground.events import Finish, ReasoningDelta, Responded, TextDelta, ToolCallDelta
from llm_playground.execution import charges
from llm_playground.execution.retry import without_waits
from llm_playground.execution.run_builder import RunBuilder
from llm_playground.parts import (
    ImagePart,
    Original,
    ReasoningPart,
    TextPart,
    ToolCall,
    ToolResult,
)
from llm_playground.runlog import open_log
from llm_playground.types import Message, Parameters, Request, Run, Tool, Usage
from tests.providers.formats import openai_stream
from tests.providers.server import Reply, json_reply

ROOT = Path(__file__).parents[2]
MODEL = "openai:any"
PROMPT = "word " * 80  # 400 bytes: about 100 tokens
INPUT_USD = Decimal("0.1")  # of 100 tokens
LONG_ENOUGH_TO_SEND_S = 3  # also under load
RATES = {"input_usd_per_mtok": 1000, "output_usd_per_mtok": 1000}


@pytest.fixture(autouse=True)
def prices(home):
    lp.configure(prices={"openai:*": RATES}, confirm_above_usd=None, retry=1)


def run_of(**options):
    try:
        return lp.ask(PROMPT, MODEL, **{"max_tokens": 50} | options)
    except lp.LLMError as error:
        return error.run


MAY_BE_BILLED = {
    "500": json_reply(500, {"error": {"message": "oops"}}),
    "502": Reply((b"<html>bad gateway</html>",), status=502),
    "503": json_reply(503, {}),
    "529": json_reply(529, {"type": "error", "error": {"type": "overloaded_error"}}),
    "reset": Reply((), head=False, end="reset"),
    "dropped": Reply((), head=False, end="drop"),
    "dropped after the head": Reply((), end="drop"),
    "reset after the head": Reply((), end="reset"),
    "silent": Reply((), end="hang"),
    "no headers": Reply((), delay_s=600),
    "empty": Reply(()),
    "a page": Reply((b"<html>Welcome</html>",), headers={"content-type": "text/html"}),
}
UNBILLED = {
    "400": json_reply(400, {"error": {"message": "bad request"}}),
    "401": json_reply(401, {"error": {"message": "wrong key"}}),
    "403": json_reply(403, {"error": {"message": "not allowed"}}),
    "404": json_reply(404, {"error": {"message": "no such model"}}),
    "413": json_reply(413, {"error": {"message": "too large"}}),
    "422": json_reply(422, {"error": {"message": "what?"}}),
    "429": json_reply(429, {"error": {"message": "slow down"}}),
}


@pytest.mark.parametrize("kind", MAY_BE_BILLED)
def test_an_attempt_that_reached_the_provider_counts_with_its_input(serve, kind):
    serve(MAY_BE_BILLED[kind])
    if kind in ("silent", "no headers"):
        lp.configure(timeout_s={"first_delta": LONG_ENOUGH_TO_SEND_S})

    run = run_of()

    assert run.status == "failed"
    assert run.cost_usd == INPUT_USD
    assert (run.usage_source, run.price_source) == ("estimated", "override")
    assert "billed" not in footer.line(run)
    [row] = lp.runs().to_dict("records")
    assert (row["cost_usd"], row["usage_source"]) == (0.1, "estimated")


@pytest.mark.parametrize("kind", UNBILLED)
def test_a_refused_attempt_costs_nothing(serve, kind):
    serve(UNBILLED[kind])

    run = run_of()

    assert (run.cost_usd, run.usage, run.usage_source) == (None, None, "none")
    assert footer.cost(run) == "nothing billed"


@pytest.fixture
def refusing():
    """An address that refuses connections and that no other process can take."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"


@contextmanager
def full():
    """A host that completes no further connection."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server:
        address = server.getsockname()
        waiting = [socket.socket() for _ in range(4)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(address)
        yield f"http://127.0.0.1:{address[1]}"
        for each in waiting:
            each.close()


@pytest.mark.parametrize(
    "url", ["http://no-such-host.invalid", "https://127.0.0.1:{port}", "{refusing}"]
)
def test_a_failed_connection_costs_nothing(serve, refusing, monkeypatch, url):
    server = serve(Reply(openai_stream(["x"])))
    address = url.format(port=server.url.rpartition(":")[2], refusing=refusing)
    monkeypatch.setenv("OPENAI_BASE_URL", address)

    assert run_of().cost_usd is None


def test_a_connection_that_times_out_costs_nothing(serve, monkeypatch):
    serve(Reply(()))
    lp.configure(timeout_s={"connect": 0.3})
    with full() as url:
        monkeypatch.setenv("OPENAI_BASE_URL", url)
        run = run_of()

    assert isinstance(run.error, lp.ProviderTimeoutError)
    assert run.cost_usd is None


def test_each_retry_counts(serve):
    usage = {"prompt_tokens": 90, "completion_tokens": 10, "total_tokens": 100}
    failed, limited = MAY_BE_BILLED["500"], UNBILLED["429"]
    serve(failed, limited, failed, Reply(openai_stream(["Hi"], usage=usage)))
    lp.configure(retry=5)

    with without_waits():
        run = run_of()

    assert run.status == "completed"
    assert len(run.attempts) == 4
    assert (run.usage.input_tokens, run.usage_source) == (90, "provider")
    assert run.cost_usd == Decimal("0.1") + 2 * INPUT_USD


def test_failed_retries_count_in_a_budget(serve):
    server = serve(MAY_BE_BILLED["500"])
    lp.configure(retry=5)
    worst_usd = lp.estimate(PROMPT, MODEL, max_tokens=50).worst_case_usd
    lp.set_budget(worst_usd + INPUT_USD * Decimal("1.5"))

    with without_waits():
        run = run_of()

    assert run.status == "over_budget"
    assert len(server.requests) == 2
    assert run.cost_usd == len(server.requests) * INPUT_USD
    assert "nothing billed" not in footer.line(run)
    assert lp.budgets().spent_usd[0] == pytest.approx(float(run.cost_usd))


def stream(*events):
    return tuple(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events)


COUNTED = {
    "model": "any-2",
    "choices": [],
    "usage": {"prompt_tokens": 5000, "prompt_tokens_details": {"cached_tokens": 900}},
}
COUNTED_USD = 5
OVERLOADED, LIMITED = (
    {"error": {"message": "Sorry.", "code": code}}
    for code in ("server_error", "rate_limit_exceeded")
)
FAILED = {
    "cut": Reply(stream(COUNTED), end="drop"),
    "error": Reply(stream(COUNTED, OVERLOADED)),
    "limit": Reply(stream(COUNTED, LIMITED)),
}


@pytest.mark.parametrize("kind", FAILED)
def test_what_was_counted_before_an_attempt_failed_is_charged(serve, kind):
    usage = {"prompt_tokens": 90, "completion_tokens": 10, "total_tokens": 100}
    server = serve(FAILED[kind], FAILED[kind], Reply(openai_stream(["Hi"], usage=usage)))
    lp.configure(retry=3)
    lp.set_budget(100)

    with without_waits():
        run = run_of()

    assert (run.status, len(server.requests)) == ("completed", 3)
    assert (run.usage.total_tokens, run.usage_source) == (100, "provider")
    assert run.cost_usd == Decimal("0.1") + 2 * COUNTED_USD
    assert lp.budgets().spent_usd[0] == pytest.approx(10.1)


STATED = {
    "cost": Usage(None, 50, reported_cost_usd=Decimal("0.5")),
    "cache writes": Usage(0, 0, cache_write_tokens=5_000),
    "output": Usage(None, 50),
    "searches": Usage(billed_units={"web_searches": 1}),
}


@pytest.mark.parametrize("kind", STATED)
def test_what_was_stated_without_an_input_is_charged(kind):
    stated, limited = STATED[kind], lp.RateLimitError("Slow down.")
    request = Request(MODEL, ASKED)

    usage = charges.of_unanswered(limited, request, Finish("other", stated)).usage

    estimated = estimates.estimate_usage(request, "")
    assert usage == charges.completed(stated, estimated, has_ended=False)
    nothing = Finish("other", Usage(0, 0, billed_units={"web_searches": 0}))
    assert charges.of_unanswered(limited, request, nothing) is None


def test_failed_attempts_are_charged_with_what_each_counted(serve):
    serve(FAILED["error"], MAY_BE_BILLED["500"], FAILED["cut"])
    lp.configure(retry=3)

    with without_waits():
        run = run_of()

    assert (run.status, run.usage_source) == ("failed", "estimated")
    assert run.usage == Usage(10_100, 0, cache_read_tokens=1_800)
    assert run.cost_usd == 2 * COUNTED_USD + INPUT_USD


def test_a_run_that_is_killed_later_has_what_its_failed_attempts_counted():
    counted = Finish("other", Usage(5000, 0, cache_read_tokens=900))
    builder = RunBuilder(
        Run("a", "b", "c", 1, MODEL, "openai", datetime.now(UTC), Parameters()),
        Request(MODEL, ASKED),
    )
    for events in ((), (TextDelta("Hm"),)):
        builder.attempted(lp.ProviderUnavailableError("Sorry."))
        builder.sent()
        builder.add(Responded(200, None, None, None, so_far=lambda: counted))
        for event in events:
            builder.add(event)

    run = builder.run_so_far()

    assert (run.usage.input_tokens, run.usage.cache_read_tokens) == (10_000, 1_800)
    assert run.usage_source == "provider"


def test_what_is_received_of_calls_and_reasoning_is_noted_as_it_comes():
    counted = Finish("other", Usage(5000, 100, reported_cost_usd=Decimal("0.2")))
    builder = RunBuilder(
        Run("a", "b", "c", 1, MODEL, "openai", datetime.now(UTC), Parameters()),
        Request(MODEL, ASKED),
    )
    builder.sent()
    builder.add(Responded(200, None, None, None, so_far=lambda: counted))
    noted = [builder.run_so_far().usage.output_tokens]
    for event in [ReasoningDelta("ä" * 300)] * 4 + [ToolCallDelta(0, "1", "f", "x" * 400)] * 3:
        builder.add(event)
        if builder.is_worth_noting:
            noted.append(builder.run_so_far().usage.output_tokens)

    assert noted == [100, 600, 903]  # a token for each four bytes
    assert builder.run_so_far().at_least_usd == Decimal("0.2")


async def test_a_stopped_run_counts_with_its_input(serve):
    server = serve(Reply((), end="hang"))
    call = asyncio.create_task(lp.complete(PROMPT, MODEL, max_tokens=50))
    await asyncio.to_thread(server.wait_for, lambda wire: wire.requests)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call

    [row] = lp.runs().to_dict("records")
    assert (row["status"], row["cost_usd"]) == ("cancelled", pytest.approx(0.1))


LONG = "word " * 80_000  # about 100,000 tokens
ASKED = (Message("user", (TextPart("hi"),)), Message("assistant", (ToolCall("1", "f", "{}"),)))
INPUTS = {
    "image": (ImagePart(None, url="https://example.com/a.png"),),
    "tool": (TextPart("hi"),),
    "result": (ToolResult("1", "f", LONG),),
    "call": (ToolCall("1", "f", json.dumps({"a": LONG})),),
    "reasoning": (ReasoningPart(LONG, Original("anthropic", '{"signature": "s"}', "anthropic")),),
    "extra": (TextPart("hi"),),
}


@pytest.mark.parametrize("kind", INPUTS)
@pytest.mark.parametrize("status", ["running", "answering", "cancelled", "completed"])
def test_all_input_counts_without_reported_usage(kind, status):
    role = {"result": "tool", "call": "assistant", "reasoning": "assistant"}.get(kind, "user")
    parameters = Parameters(extra={"metadata": {"a": LONG}} if kind == "extra" else {})
    tools = (Tool("f", LONG, {}),) if kind == "tool" else ()
    messages = (*ASKED, Message(role, INPUTS[kind]))
    model = "anthropic:any" if kind == "reasoning" else "openai:gpt-4o-mini"
    request = Request(model, messages, parameters, tools=tools)
    now = datetime.now(UTC)
    skeleton = Run("a", "b", "c", 1, request.model, request.provider, now, parameters)
    builder = RunBuilder(skeleton, request)
    if status != "running":
        builder.sent()
        builder.add(TextDelta("Hm"))
        builder.attempted(None)

    run = {"running": builder.run, "answering": builder.run_so_far}.get(
        status, lambda: builder.ended(status, None, ())
    )()

    expected = estimates.of(request, now).input_tokens
    assert expected > 40_000
    assert run.usage.input_tokens == pytest.approx(expected, rel=0.01)


KILLED = """
import sys, llm_playground as lp
lp.configure(prices={{"openai:*": {rates}}}, confirm_above_usd=None, privacy="{store}")
lp.ask({prompt!r}, "{model}", max_tokens=50)
"""


@pytest.mark.parametrize("store", ["texts", "metrics"])
def test_a_killed_run_counts_with_its_input(serve, store):
    server = serve(Reply((), end="hang"))
    lp.set_budget(1)
    code = KILLED.format(rates=RATES, store=store, prompt=PROMPT, model=MODEL)
    process = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT)
    assert server.wait_for(lambda wire: wire.requests)
    process.kill()
    process.wait(60)

    open_log().drain()
    assert lp.budgets().spent_usd[0] == pytest.approx(0.1)
    [row] = lp.runs().to_dict("records")
    assert (row["status"], row["usage_source"]) == ("interrupted", "estimated")


class TestTimeouts:
    """``retryable`` is False after the first delta, as it would be paid twice."""

    STREAMS: ClassVar = {
        "text": openai_stream(["one ", "two "], finish_reason=None)[:3],
        "reasoning": openai_stream([], reasoning=["Hm"], finish_reason=None)[:2],
    }

    @pytest.mark.parametrize(
        "limit", [{"between_deltas": 0.5}, {"total": LONG_ENOUGH_TO_SEND_S}], ids=str
    )
    @pytest.mark.parametrize("kind", STREAMS)
    def test_after_a_delta(self, serve, kind, limit):
        serve(Reply([b"".join(self.STREAMS[kind])], end="hang"))
        lp.configure(timeout_s=limit, retry=3)

        run = run_of()

        assert isinstance(run.error, lp.ProviderTimeoutError)
        assert not run.error.retryable
        assert len(run.attempts) == 1

    @pytest.mark.parametrize("limit", ["first_delta", "total"])
    def test_before_the_first_delta(self, serve, limit):
        serve(Reply((), end="hang"))
        lp.configure(timeout_s={limit: 0.3})

        assert run_of().error.retryable


PIECES = (
    "words and words ",
    "1 2 3 4 5 6 7 8 ",
    "日本語の文章です。",
    "🙂🙃" * 4 + "a",
    "x y\n" * 4,
)


@pytest.mark.parametrize("piece", PIECES)
def test_an_answer_far_past_its_limit_is_cut(serve, piece):
    server = serve(Reply([b"".join(openai_stream([piece] * 400)[:399])], end="hang"))

    run = run_of(max_tokens=5)

    assert (run.status, run.finish_reason) == ("completed", "length")
    assert "Cut off at 5 tokens" in footer.notices(run)[0]
    assert run.usage_source == "estimated"
    assert run.usage.output_tokens >= len(run.text.encode()) / 4
    assert server.wait_for(lambda wire: wire.left_at)


def test_an_answer_that_is_cut_keeps_what_was_counted(serve):
    piece = {"choices": [{"index": 0, "delta": {"content": "words and words "}}]}
    serve(Reply([b"".join(stream(COUNTED, *[piece] * 400))], end="hang"))

    run = run_of(max_tokens=5)

    assert (run.finish_reason, run.response_model) == ("length", "any-2")
    assert (run.usage.input_tokens, run.usage.cache_read_tokens) == (5000, 900)
    assert run.usage.output_tokens >= len(run.text) / 4
    assert run.usage_source == "estimated"
    assert run.cost_usd == run.usage.total_tokens * Decimal("0.001")


@pytest.mark.parametrize(
    "pieces",
    [lambda n: [(n, "", f"c{n}", None)], lambda n: [(n, "", f"c{n}", "f" * 200)]],
)
def test_calls_without_arguments_are_cut_too(pieces):
    builder = RunBuilder(None, None)
    for n in range(2_000):
        for piece in pieces(n):
            builder.add(ToolCallDelta(*piece))
    assert builder.is_past(5)


def test_an_answer_past_the_cap_of_a_budget_is_cut(serve):
    serve(Reply([b"".join(openai_stream(["words and words "] * 400)[:399])], end="hang"))
    lp.set_budget(10)
    lp.configure(budget_max_tokens=7)

    run = run_of(max_tokens=None)

    assert (run.finish_reason, run.max_tokens_cap) == ("length", 7)


@pytest.mark.parametrize("options", [{"max_tokens": None}, {"max_tokens": 5000}])
def test_an_answer_within_its_limit_is_whole(serve, options):
    serve(Reply([b"".join(openai_stream(["words and words "] * 400))]))

    assert run_of(**options).text == "words and words " * 400


HONEST = {
    "long words": "Donaudampfschifffahrtsgesellschaftskapitän " * 12,  # about 10 tokens each
    "spaces": " " * 128 * 100,
    "rules": ("=" * 100 + "\n") * 100,
    "table": ("|" + "-" * 60 + "|" + "-" * 60 + "|\n") * 20,
    "Hindi": "यह एक लंबा वाक्य है जो बहुत कुछ कहता है। " * 60,
    "one long word": "pneumonoultramicroscopicsilicovolcanoconiosis" * 20,
}


@pytest.mark.parametrize("kind", HONEST)
@pytest.mark.parametrize("event", [TextDelta, lambda text: ToolCallDelta(0, text)])
def test_honest_answers_are_never_cut(kind, event):
    builder, text = RunBuilder(None, None), HONEST[kind]
    for start in range(0, len(text), 50):
        builder.add(event(text[start : start + 50]))
        assert not builder.is_past(100)


def test_reasoning_may_be_longer():
    builder = RunBuilder(None, None)
    builder.add(ReasoningDelta("thinking about it " * 50_000))
    assert not builder.is_past(100)
    builder.add(ReasoningDelta("thinking about it " * 50_000))
    assert builder.is_past(100)
