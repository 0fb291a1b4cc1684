"""Retries through the public functions: which errors, when, and what the run records."""

import asyncio
import email.utils
import random
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

import llm_playground as lp
from llm_playground import _runtime, progress
from llm_playground.config import options
from llm_playground.events import Retrying
from llm_playground.execution import limiter, retry
from tests.providers.formats import openai_stream
from tests.providers.server import Reply, WireServer, json_reply

KEY = "sk-" + "planted" * 4
MODEL = "openai:gpt-4o"
ANSWER = Reply(openai_stream(["Hel", "lo"]))
BUSY = json_reply(503, {"error": {"message": "Too busy."}})


async def not_held():
    """What another test's provider asked for holds no call of this one."""
    limiter.release(MODEL)


@pytest.fixture
def serve(home, monkeypatch):
    """Starts a scripted OpenAI endpoint, and makes it the one that is asked."""
    servers = []
    _runtime.run(not_held())

    def start(*replies):
        script = replies[0] if callable(replies[0]) else list(replies)
        server = WireServer(script).__enter__()
        servers.append(server)
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        monkeypatch.setenv("OPENAI_BASE_URL", f"{server.url}/v1")
        return server

    yield start
    for server in servers:
        server.__exit__(None, None, None)


@pytest.fixture
def no_waits():
    with retry.without_waits():
        yield


def limited(**headers):
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return json_reply(429, {"error": {"message": "Slow down."}}, names)


def asked(**parameters):
    """A run however it ended."""
    try:
        return lp.ask("hi", MODEL, **parameters)
    except lp.LLMError as error:
        return error.run


class TestAnAttemptThatFailed:
    def test_is_followed_by_another_and_all_are_on_the_run(self, serve, no_waits):
        server = serve(BUSY, limited(), ANSWER)

        run = asked()

        assert (run.status, run.text) == ("completed", "Hello")
        assert [attempt.number for attempt in run.attempts] == [1, 2, 3]
        assert [attempt.status_code for attempt in run.attempts] == [503, 429, 200]
        assert [attempt.error_type for attempt in run.attempts] == [
            "ProviderUnavailableError",
            "RateLimitError",
            None,
        ]
        assert "Too busy." in run.attempts[0].reason
        assert len(server.requests) == 3

    def test_is_in_the_log_with_its_reason(self, serve, no_waits):
        serve(BUSY, ANSWER)

        run = asked()

        logged = lp.sql("SELECT attempts FROM runs WHERE run_id = ?", [run.id]).attempts[0]
        assert "Too busy." in str(logged)

    def test_counts_in_the_times_of_the_run(self, serve):
        serve(limited(retry_after_ms="200"), ANSWER)

        run = asked()

        assert run.attempts[1].wait_ms >= 200
        assert run.ttft_ms >= 200
        assert run.response_time_ms >= sum(attempt.duration_ms for attempt in run.attempts) + 200

    @pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 422])
    def test_is_not_repeated_when_that_cannot_help(self, serve, no_waits, status):
        server = serve(json_reply(status, {"error": {"message": "No."}}))

        assert asked().status == "failed"
        assert len(server.requests) == 1

    def test_is_repeated_so_often_and_no_more(self, serve, no_waits):
        server = serve(BUSY)

        run = asked()

        assert (run.status, len(run.attempts), len(server.requests)) == ("failed", 5, 5)

    def test_is_not_repeated_after_the_first_delta(self, serve, no_waits):
        server = serve(Reply(openai_stream(["one"], finish_reason=None)[:2], end="reset"))

        run = asked()

        assert (run.status, run.text) == ("failed", "one")
        assert run.usage_source == "estimated"
        assert len(server.requests) == 1

    def test_is_repeated_when_the_connection_broke_before_anything_came(self, serve, no_waits):
        serve(Reply((), end="reset"), ANSWER)

        assert asked().status == "completed"

    def test_emits_an_event(self, serve, no_waits):
        serve(BUSY, ANSWER)

        async def watched():
            return [event async for event in lp.stream("hi", MODEL)]

        [retrying] = [event for event in asyncio.run(watched()) if isinstance(event, Retrying)]

        assert (retrying.number, retrying.of) == (2, 5)
        assert "Too busy." in retrying.reason


class TestTheWait:
    @pytest.mark.parametrize(
        "headers",
        [
            {"retry_after_ms": "300"},
            {"retry_after": "0.3"},
        ],
    )
    def test_is_as_long_as_the_provider_says(self, serve, headers):
        server = serve(limited(**headers), ANSWER)

        asked()

        first, second = server.requests
        assert second.received_at - first.received_at >= 0.3

    def test_may_be_a_date(self, serve):
        def in_two_seconds(_request):
            if len(server.requests) > 1:
                return ANSWER
            return limited(retry_after=email.utils.formatdate(time.time() + 2, usegmt=True))

        server = serve(in_two_seconds)

        asked()

        first, second = server.requests
        assert second.received_at - first.received_at >= 0.9  # the header has whole seconds

    def test_is_not_made_when_the_provider_asks_for_more_than_is_allowed(self, serve):
        server = serve(limited(retry_after="3600"), ANSWER)

        run = asked()

        assert run.status == "failed"
        assert "60 min" in str(run.error)
        assert len(server.requests) == 1

    def test_ends_when_the_call_is_cancelled(self, serve):
        server = serve(limited(retry_after="50"), ANSWER)

        async def watched(begun):
            async for event in lp.stream("hi", MODEL):
                if isinstance(event, Retrying):
                    begun.set()

        async def given_up():
            begun = asyncio.Event()
            task = asyncio.create_task(watched(begun))
            await asyncio.wait_for(begun.wait(), 60)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

        asyncio.run(given_up())

        assert lp.runs(limit=1).status[0] == "cancelled"
        assert len(server.requests) == 1

    def test_of_others_after_it_is_said(self, serve, capsys, monkeypatch):
        monkeypatch.setattr(progress, "is_terminal", lambda: True)
        serve(limited(retry_after="50"), ANSWER)
        lp.configure(retry=1)
        asked()
        said, waits_for = "", "for the rate limit of OpenAI"

        with ThreadPoolExecutor(1) as other:
            run = other.submit(asked)
            ends = time.monotonic() + 60
            while waits_for not in said and time.monotonic() < ends:
                time.sleep(0.01)
                said += capsys.readouterr().err
            time.sleep(0.1)
            _runtime.run(not_held())

            assert run.result(60).queue_ms >= 100
        assert waits_for in said

    def test_grows_and_is_spread(self):
        waits = [[_wait(failed) for _ in range(200)] for failed in (1, 2, 3, 20)]

        assert all(max(some) <= most for some, most in zip(waits, (1, 2, 4, 60), strict=True))
        assert max(waits[2]) > 1.5
        assert min(waits[2]) < 0.5
        assert max(waits[3]) <= 60


def _wait(failed):
    """The wait after so many failed attempts."""
    from tenacity import RetryCallState

    loop = retry.retrying(options.Retry(attempts=100), lambda _: True, lambda *_: None)
    state = RetryCallState(loop, None, (), {})
    state.attempt_number = failed
    state.set_exception((lp.ProviderUnavailableError, lp.ProviderUnavailableError("x"), None))
    return loop.wait(state)


class TestARefusedParameter:
    REFUSAL = json_reply(
        400,
        {
            "error": {
                "message": "Unsupported parameter: 'top_p' is not supported with this model.",
                "type": "invalid_request_error",
                "param": "top_p",
                "code": "unsupported_parameter",
            }
        },
    )

    def test_is_left_out_in_a_second_attempt_and_said(self, serve):
        server = serve(self.REFUSAL, ANSWER)

        run = asked(top_p=0.5, temperature=0.2)

        assert run.status == "completed"
        assert run.dropped_parameters == ("top_p",)
        first, second = (request.json for request in server.requests)
        assert first["top_p"] == 0.5
        assert "top_p" not in second
        assert second["temperature"] == 0.2

    def test_is_left_out_only_once(self, serve):
        server = serve(self.REFUSAL)

        run = asked(top_p=0.5)

        assert (run.status, len(server.requests)) == ("failed", 2)


class TestConfigure:
    def test_one_attempt_is_one_attempt(self, serve):
        server = serve(BUSY)
        lp.configure(retry=1)

        asked()

        assert len(server.requests) == 1

    @pytest.mark.parametrize(
        "setting", [0, -1, 1.5, "many", True, {"attempts": 0}, {"max_wait_s": -1}, {"tries": 2}]
    )
    def test_refuses_what_makes_no_sense(self, serve, setting):
        with pytest.raises(lp.InvalidParameterError, match="retry"):
            lp.configure(retry=setting)


def test_a_seeded_notebook_gets_the_numbers_it_expects(serve):
    """Waits are drawn from a generator of our own."""
    serve(BUSY, BUSY, ANSWER)
    lp.configure(retry={"first_wait_s": 0.01})
    random.seed(7)
    expected = random.random()
    random.seed(7)

    assert asked().text == "Hello"

    assert random.random() == expected
