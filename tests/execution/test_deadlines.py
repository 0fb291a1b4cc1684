"""Time limits of a call: first delta, between deltas, total."""

import asyncio

import pytest

import llm_playground as lp
from llm_playground import config
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
    serve(Reply(openai_stream(["x"]), delay_s=5))
    lp.configure(timeout_s={"first_delta": 0.3})

    assert "sent nothing for 0.3 s" in str(failed())


def test_pings_are_no_answer(serve):
    serve(Reply([b": ping\n\n"] * 100, pause_s=0.05))
    lp.configure(timeout_s={"first_delta": 0.4})

    assert "sent nothing" in str(failed())


def test_silence_after_a_delta_keeps_the_text(serve):
    serve(Reply(openai_stream(["one ", "two"], finish_reason=None)[:3], end="hang"))
    lp.configure(timeout_s={"between_deltas": 0.3})

    error = failed()

    assert "stopped sending for 0.3 s" in str(error)
    assert error.run.text == "one two"


def test_the_total_ends_an_answer_that_goes_on_and_on(serve):
    serve(Reply(openai_stream(["word "] * 200), pause_s=0.05))
    lp.configure(timeout_s={"total": 0.5})

    error = failed()

    assert "longer than 0.5 s" in str(error)
    assert error.run.text.startswith("word word")


def test_a_slow_answer_that_goes_on_is_not_ended(serve):
    serve(Reply(openai_stream(["word "] * 10), pause_s=0.1))
    lp.configure(timeout_s=0.6)

    assert lp.ask("hi", MODEL).status == "completed"


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
