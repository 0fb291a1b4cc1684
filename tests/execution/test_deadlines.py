"""Time limits of a call: first delta, between deltas, total."""

import asyncio
import threading

import pytest

import llm_playground as lp
from llm_playground import _runtime, config
from llm_playground.config.options import Timeouts
from llm_playground.execution.retry import DeadlineError, Deadlines
from tests.providers.formats import openai_stream
from tests.providers.server import Reply, WireServer

KEY = "sk-" + "planted" * 4
MODEL = "openai:gpt-4o"


@pytest.fixture
def serve(home, monkeypatch):
    servers = []
    lp.configure(retry=1)

    def start(*replies):
        server = WireServer(list(replies)).__enter__()
        servers.append(server)
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        monkeypatch.setenv("OPENAI_BASE_URL", f"{server.url}/v1")
        return server

    yield start
    for server in servers:
        server.__exit__(None, None, None)


def failed():
    with pytest.raises(lp.ProviderTimeoutError) as raised:
        lp.ask("hi", MODEL)
    return raised.value


def test_silence_before_the_first_delta_ends(serve):
    server = serve(Reply((), end="hang"))
    lp.configure(timeout_s={"first_delta": 0.3})

    error = failed()

    assert "sent nothing for 0.3 s" in str(error)
    assert error.run.status == "failed"
    assert server.wait_for(lambda wire: wire.left_at)


def test_silence_before_the_headers_ends_too(serve):
    serve(Reply(openai_stream(["x"]), delay_s=600))
    lp.configure(timeout_s={"first_delta": 0.3})

    assert "sent nothing for 0.3 s" in str(failed())


def test_pings_are_no_answer(serve):
    serve(Reply([b": ping\n\n"] * 100, pause_s=0.05, end="hang"))
    lp.configure(timeout_s={"first_delta": 0.4})

    assert "sent nothing" in str(failed())


def test_silence_after_a_delta_keeps_the_text(serve):
    together = b"".join(openai_stream(["one ", "two"], finish_reason=None)[:3])
    serve(Reply([together], end="hang"))
    lp.configure(timeout_s={"first_delta": None, "between_deltas": 0.3})

    error = failed()

    assert "stopped sending for 0.3 s" in str(error)
    assert error.run.text == "one two"


def let_time_pass(seconds):
    """On the loop of all calls, at once. Its clock stays ahead: going back would delay timers."""
    loop = _runtime.loop()
    before = loop.time
    loop.time = lambda: before() + seconds
    loop.call_soon_threadsafe(lambda: None)  # it looks at its timers


async def streamed(pieces, seconds):
    """The run of a streamed answer; so much time passes after each of its deltas."""
    async for event in lp.stream("hi", MODEL):
        if isinstance(event, lp.TextDelta):
            let_time_pass(seconds)
            next(pieces).set()
        elif isinstance(event, lp.RunFinished):
            return event.run
    return None


def held_back(count):
    """A stream of so many deltas, and the events that let it go on after each of them."""
    role, *deltas, finish, usage, done = openai_stream(["word "] * count)
    events = [threading.Event() for _ in deltas]
    chunks = [chunk for pair in zip(deltas, events, strict=True) for chunk in pair]
    return Reply([role, *chunks, finish, usage, done]), iter(events)


async def test_the_total_ends_an_answer_that_goes_on_and_on(serve):
    reply, pieces = held_back(10)
    serve(reply)
    lp.configure(timeout_s={"first_delta": 600, "between_deltas": 600, "total": 1000})

    run = await streamed(pieces, 300)

    assert "longer than 1000 s" in str(run.error)
    assert run.text.startswith("word word")


async def test_a_slow_answer_that_goes_on_is_not_ended(serve):
    reply, pieces = held_back(10)
    serve(reply)
    lp.configure(timeout_s=600)

    run = await streamed(pieces, 300)

    assert (run.status, run.text) == ("completed", "word " * 10)


def test_one_number_sets_three_parts(serve):
    lp.configure(timeout_s=7)

    assert config.settings().timeouts == Timeouts(7, 7, 7, None)


@pytest.mark.parametrize("setting", [0, -1, float("nan"), "soon", True, {"last": 1}])
def test_what_makes_no_sense_is_refused(serve, setting):
    with pytest.raises(lp.InvalidParameterError):
        lp.configure(timeout_s=setting)


async def test_a_cancelled_task_is_cancelled_and_not_late():
    async def watched():
        async with Deadlines(Timeouts()):
            await asyncio.sleep(10)

    task = asyncio.create_task(watched())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_the_part_that_passed_is_named():
    with pytest.raises(DeadlineError) as raised:
        async with Deadlines(Timeouts(total=0.05), spent_s=0.04):
            await asyncio.sleep(10)
    assert (raised.value.part, raised.value.limit_s) == ("total", 0.05)
