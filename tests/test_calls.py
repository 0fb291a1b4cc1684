"""``ask``, ``complete``, ``stream`` and ``compare`` through the public interface."""

import asyncio
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import nullcontext
from dataclasses import replace

import pandas as pd
import pydantic
import pytest

import llm_playground as lp
from llm_playground import footer
from llm_playground.execution.retry import without_waits
from llm_playground.types import Request
from tests.providers.formats import openai_stream
from tests.providers.server import Reply, WireServer, json_reply

KEY = "sk-" + "planted" * 4


@pytest.fixture
def serve(home, monkeypatch):
    """Starts a scripted OpenAI endpoint with a key."""
    servers = []

    def start(script):
        server = WireServer(script).__enter__()
        servers.append(server)
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        monkeypatch.setenv("OPENAI_BASE_URL", f"{server.url}/v1")
        return server

    yield start
    for server in servers:
        server.__exit__(None, None, None)


def endless():
    """A stream of three pieces that then stays open until the client disconnects."""
    return Reply(openai_stream(["one ", "two ", "three "], finish_reason=None)[:4], end="hang")


def logged(run_id):
    return lp.sql("SELECT * FROM runs WHERE run_id = ?", [run_id]).iloc[0]


class TestAsk:
    def test_run_has_text_and_metrics(self, serve):
        serve(Reply(openai_stream(["Hel", "lo"])))

        run = lp.ask("Say hello.", "openai:gpt-4o")

        assert (run.text, run.status, run.finish_reason) == ("Hello", "completed", "stop")
        assert run.response_model.startswith("gpt-4o")
        assert run.usage_source == "provider"
        assert run.cost_usd > 0
        assert run.price_source == "genai-prices"
        assert 0 < run.ttft_ms <= run.response_time_ms
        assert [attempt.number for attempt in run.attempts] == [1]

    def test_unset_parameters_are_not_sent(self, serve):
        server = serve(Reply(openai_stream(["x"])))

        lp.ask("hi", "openai:gpt-4o", system="Be brief.", temperature=0.2)

        body = server.requests[0].json
        assert body["messages"] == [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "hi"},
        ]
        assert body["temperature"] == 0.2
        assert body.keys() == {"model", "messages", "temperature", "stream", "stream_options"}

    def test_unsupported_parameters_are_dropped(self, serve):
        server = serve(Reply(openai_stream(["x"])))

        run = lp.ask("hi", "openai:gpt-4o", top_k=5, seed=1)

        assert run.dropped_parameters == ("top_k",)
        assert "Left out: top_k (openai:gpt-4o does not take it)." in footer.notices(run)
        assert "top_k" not in server.requests[0].json
        assert server.requests[0].json["seed"] == 1

    def test_placeholders_are_filled_only_with_variables(self, serve):
        server = serve(Reply(openai_stream(["x"])))

        lp.ask("{{a}} {b}", "openai:gpt-4o")
        lp.ask("{{a}} {b}", "openai:gpt-4o", variables={"a": 1})

        assert [r.json["messages"][0]["content"] for r in server.requests] == ["{{a}} {b}", "1 {b}"]

    def test_single_tag_as_text(self, serve):
        serve(Reply(openai_stream(["x"])))

        run = lp.ask("hi", "openai:gpt-4o", tags="draft")

        assert lp.runs(tag="draft").run_id.tolist() == [run.id]

    def test_messages_precede_the_prompt(self, serve):
        server = serve(Reply(openai_stream(["x"])))
        earlier = [{"role": "user", "content": "1"}, {"role": "assistant", "content": "2"}]

        lp.ask("3", "openai:gpt-4o", messages=earlier)

        assert [m["content"] for m in server.requests[0].json["messages"]] == ["1", "2", "3"]

    def test_failure_is_raised_with_its_run(self, serve):
        serve(json_reply(404, {"error": {"message": "no such model"}}, {"x-request-id": "req_7"}))

        with pytest.raises(lp.RequestRejectedError) as caught:
            lp.ask("hi", "openai:gpt-4o")

        run = caught.value.run
        assert (run.status, run.attempts[0].request_id) == ("failed", "req_7")
        assert logged(run.id)["error_type"] == "RequestRejectedError"

    @pytest.mark.parametrize(
        ("given", "error"),
        [
            ({"prompt": ""}, "empty"),
            ({"prompt": " \n"}, "empty"),
            ({"model": "gpt6-lunar"}, "Closest"),
            ({"temperature": 9}, "temperature"),
            ({"temprature": 1}, "Did you mean temperature"),
            ({"preset": "wild"}, "precise"),
            ({"messages": [{"role": "robot", "content": "x"}]}, "role"),
            ({"prompt": 7}, "text"),
            ({"system": 5}, "system is text"),
            ({"messages": ["a"]}, "role"),
            ({"preset": ["x"]}, "precise"),
        ],
    )
    def test_invalid_arguments(self, serve, given, error):
        server = serve(Reply(openai_stream(["x"])))

        with pytest.raises(lp.ConfigError, match=error) as caught:
            lp.ask(**{"prompt": "hi", "model": "openai:gpt-4o"} | given)

        assert "\n" not in str(caught.value)
        assert caught.value._render_traceback_() == [
            f"{type(caught.value).__name__}: {caught.value}"
        ]
        assert not server.requests
        assert lp.runs().empty

    def test_missing_key_leaves_no_row(self, home):
        with pytest.raises(lp.MissingKeyError, match="ANTHROPIC_API_KEY"):
            lp.ask("hi", "anthropic:claude-x")

        assert lp.runs().empty

    def test_lone_surrogate_is_replaced(self, serve):
        server = serve(Reply(openai_stream(["x"])))

        lp.ask("bad \ud800 paste", "openai:gpt-4o")

        assert server.requests[0].json["messages"][0]["content"] == "bad ? paste"

    def test_works_inside_a_running_loop(self, serve):
        serve(Reply(openai_stream(["x"])))

        async def cell():
            return lp.ask("hi", "openai:gpt-4o").text

        assert asyncio.run(cell()) == "x"


class TestInterrupt:
    def test_keeps_partial_text_and_closes_the_connection(self, serve):
        server = serve(endless())
        threading.Thread(target=interrupt_when_streaming, args=(server,)).start()

        with pytest.raises(KeyboardInterrupt):
            lp.ask("hi", "openai:gpt-4o", tags=["interrupted"])

        assert server.wait_for(lambda s: bool(s.left_at))
        [row] = lp.runs(tag="interrupted").to_dict("records")
        assert (row["status"], row["response_text"]) == ("cancelled", "one two three ")
        assert row["usage_source"] == "estimated"

    def test_of_a_loop_closes_the_connection_while_the_error_is_kept(self, serve):
        server = serve(endless())
        threading.Thread(target=interrupt_when_streaming, args=(server,)).start()

        with pytest.raises(KeyboardInterrupt) as kept:  # as IPython keeps the last error
            for _ in lp.stream("hi", "openai:gpt-4o"):
                pass

        assert server.wait_for(lambda s: bool(s.left_at))
        assert kept.traceback


def wait_for_text(text, timeout_s=60):
    """Wait until the log has a run with this text."""
    end = time.monotonic() + timeout_s
    while text not in lp.runs().response_text.tolist():
        assert time.monotonic() < end, "timed out"
        time.sleep(0.05)


def interrupt_when_streaming(server):
    assert server.wait_for(lambda s: bool(s.requests))
    wait_for_text("one two three ")
    signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)


class TestComplete:
    async def test_calls_run_in_parallel(self, serve):
        server = serve(endless())

        tasks = [asyncio.create_task(lp.complete("hi", "openai:gpt-4o")) for _ in range(5)]
        assert await asyncio.to_thread(server.wait_for, lambda s: len(s.requests) == 5, 60)

        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(result, asyncio.CancelledError) for result in ended)

    async def test_cancelling_keeps_partial_text_and_closes_the_connection(self, serve):
        server = serve(endless())
        task = asyncio.create_task(lp.complete("hi", "openai:gpt-4o", tags=["stopped"]))
        await asyncio.to_thread(wait_for_text, "one two three ")

        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

        assert await asyncio.to_thread(server.wait_for, lambda s: bool(s.left_at))
        [row] = lp.runs(tag="stopped").to_dict("records")
        assert (row["status"], row["response_text"]) == ("cancelled", "one two three ")


class TestSchema:
    def test_failing_validator_keeps_the_answer(self, serve):
        class Judged(pydantic.BaseModel):
            x: int

            @pydantic.field_validator("x")
            @classmethod
            def judge(cls, _value):
                return len(lp.ask("Is it good?", "openai:gpt-4o").text)

        serve(Reply(openai_stream(['{"x": 1}'])))

        with pytest.warns(lp.SchemaWarning):
            run = lp.ask("x", "openai:gpt-4o", schema=Judged)

        assert (run.status, run.data) == ("completed", None)
        assert "await lp.complete" in run.data_error
        assert logged(run.id).status == "completed"


class TestStream:
    async def test_yields_deltas_then_the_run(self, serve):
        serve(Reply(openai_stream(["Hel", "lo"])))

        events = [event async for event in lp.stream("hi", "openai:gpt-4o")]

        assert [e.text for e in events if isinstance(e, lp.TextDelta)] == ["Hel", "lo"]
        assert isinstance(events[-1], lp.RunFinished)
        assert events[-1].run.text == "Hello"

    async def test_failure_is_data(self, serve):
        serve(json_reply(500, {"error": {"message": "broken"}}))

        with without_waits():
            *_, finished = [event async for event in lp.stream("hi", "openai:gpt-4o")]

        assert finished.run.status == "failed"
        assert isinstance(finished.run.error, lp.ProviderUnavailableError)

    async def test_missing_key_is_raised(self, home):
        with pytest.raises(lp.MissingKeyError):
            async for _ in lp.stream("hi", "openai:gpt-4o"):
                pass

    async def test_unusable_log_is_raised(self, home, monkeypatch):
        monkeypatch.setenv("LLM_PLAYGROUND_LOG", "mysql://nowhere/runs")

        with pytest.raises(lp.ConfigError, match="mysql"):
            await asyncio.wait_for(anext(aiter(lp.stream("hi"))), 10)

    async def test_invalid_base_url_is_raised(self, serve, monkeypatch):
        serve(Reply(openai_stream(["x"])))
        monkeypatch.setenv("OPENAI_BASE_URL", "http://[::1")

        with pytest.raises(lp.ConfigError, match="not a web address"):
            await asyncio.wait_for(anext(aiter(lp.stream("hi", "openai:gpt-4o"))), 10)

    @pytest.mark.parametrize("error", [None, ValueError])
    async def test_leaving_a_loop_closes_the_connection(self, serve, error):
        server = serve(endless())

        events = lp.stream("hi", "openai:gpt-4o")  # has a name
        with pytest.raises(error) if error else nullcontext():
            async for _ in events:
                if error:
                    raise error
                break

        assert await asyncio.to_thread(server.wait_for, lambda s: bool(s.left_at))
        await events.aclose()
        assert lp.runs(limit=1).status[0] == events.run.status == "cancelled"

    async def test_the_end_of_async_with_waits_for_the_log(self, serve):
        serve(endless())

        async with lp.stream("hi", "openai:gpt-4o") as events:
            iterator = aiter(events)  # a reference that outlives the loop
            async for _ in iterator:
                break

        assert events.run.status == lp.runs(limit=1).status[0] == "cancelled"
        with pytest.raises(lp.InvalidParameterError, match="was read already"):
            aiter(events)

    def test_is_read_by_for_too(self, serve):
        replies = iter([Reply(openai_stream(["Hel", "lo"])), endless()])
        server = serve(lambda _request: next(replies))

        events = lp.stream("hi", "openai:gpt-4o")
        texts = [event.text for event in events if isinstance(event, lp.TextDelta)]
        with lp.stream("hi", "openai:gpt-4o") as left:
            for _ in left:
                break

        assert texts == ["Hel", "lo"]
        assert events.run.text == "Hello"
        assert server.wait_for(lambda s: bool(s.left_at))
        assert left.run.status == "cancelled"


class TestCompare:
    def test_sends_each_prompt_to_each_model_n_times(self, serve):
        server = serve(Reply(openai_stream(["x"])))

        prompts = pd.Series(["a", "b"])
        comparison = lp.compare(prompts, ["openai:gpt-4o", "openai:gpt-4.1"], n=3)

        assert len(comparison.runs) == len(server.requests) == 12
        assert comparison.df.iteration_number.tolist() == [1, 2, 3] * 4
        assert comparison.df.groupby("prompt_id", sort=False).size().tolist() == [3] * 4
        executions = lp.sql("SELECT status, iterations FROM executions")
        assert executions.status.tolist() == ["completed"] * 4
        assert executions.iterations.tolist() == [3] * 4
        assert len(lp.sql("SELECT * FROM prompts")) == 4

    def test_failed_call_does_not_affect_others(self, serve):
        def script(request):
            if request.json["model"] == "gpt-4o":
                return Reply(openai_stream(["fine"]))
            return json_reply(404, {"error": {"message": "no such model"}})

        serve(script)

        comparison = lp.compare("a", ["openai:gpt-4o", "openai:gone", "anthropic:no-key"])

        assert comparison.df.status.tolist() == ["completed", "failed", "failed"]
        assert comparison.df.error_type.tolist()[1:] == ["RequestRejectedError", "MissingKeyError"]
        assert "fine" in comparison._repr_html_()
        answered, gone, keyless = comparison.runs
        shown = repr(comparison)
        assert shown.startswith("Comparison(1 of 3 answers from openai:gpt-4o, openai:gone, anth")
        assert str(keyless.error) in shown

        others = [replace(gone, error=lp.LLMError(f"Reason {n}.")) for n in range(4)]
        runs = (answered, gone, gone, *others)
        shown = repr(lp.Comparison(runs, ("a",) * 7))
        reasons = f"{gone.error} (2 times); Reason 0.; Reason 1.; and 2 other reasons)"
        assert shown == f"Comparison(1 of 7 answers from openai:gpt-4o, openai:gone; {reasons}"

    @pytest.mark.parametrize(("prompts", "models"), [("hi", None), (5, "local"), ([], "local")])
    def test_needs_prompts_and_models(self, home, prompts, models):
        with pytest.raises(lp.InvalidParameterError, match="at least one prompt and one model"):
            lp.compare(prompts, models)

    def test_sends_nothing_if_a_model_is_unknown(self, serve):
        server = serve(Reply(openai_stream(["x"])))

        with pytest.raises(lp.UnknownModelError):
            lp.compare("a", ["openai:gpt-4o", "unknown"])

        assert not server.requests


class TestLocal:
    def test_default_model_needs_no_key(self, home):
        run = lp.ask("Say hello.", max_tokens=16, temperature=0)

        assert run.model == "local:smollm2-135m-instruct"
        assert run.text.strip()
        assert (run.cost_usd, run.price_source) == (0, "free")
        assert run.usage.output_tokens <= 16

    def test_prompt_beyond_the_context_window_is_refused(self, home):
        window = lp.models().set_index("model").context_window["local:smollm2-135m-instruct"]

        with pytest.raises(lp.ContextLengthError, match=rf"\({window} tokens\)"):
            lp.ask("word " * (window + 1))

    def test_finish_reason_length(self, home):
        run = lp.ask("Tell me a long story.", max_tokens=3, extra={"ignore_eos": True})

        assert run.finish_reason == "length"

    def test_iterations_belong_to_one_execution(self, home):
        comparison = lp.compare("Name a colour.", "local", n=3, max_tokens=8, temperature=1.0)

        assert len({run.id for run in comparison.runs}) == 3
        assert len({run.execution_id for run in comparison.runs}) == 1


class TestKeys:
    def test_key_is_in_no_error_row_or_journal(self, serve, home):
        serve(json_reply(401, {"error": {"message": f"Incorrect API key provided: {KEY}"}}))

        with pytest.raises(lp.AuthenticationError) as caught:
            lp.ask("hi", "openai:gpt-4o", tags=[KEY])
        lp.runs()

        error = caught.value
        assert KEY not in f"{error} {error!r} {error.detail} {error.run!r}"
        for path in home.rglob("*"):
            assert path.is_dir() or KEY.encode() not in path.read_bytes(), path


FORKING = """
import os
import llm_playground as lp
from llm_playground.execution.retry import without_waits
from llm_playground.types import Request

assert lp.ask("hi", "openai:gpt-4o").text == "x"
child = os.fork()
assert lp.ask("hi", "openai:gpt-4o").text == "x"
if child:
    assert os.waitpid(child, 0)[1] == 0
    print(len(lp.runs()))
"""


def test_forked_process_can_ask(serve):
    serve(Reply(openai_stream(["x"])))

    done = subprocess.run(
        [sys.executable, "-c", FORKING], capture_output=True, text=True, timeout=300, check=True
    )

    assert done.stdout.strip() == "3"


class TestCost:
    """How often the expensive properties of a request are computed."""

    @pytest.mark.parametrize("mode", ["live", "reuse"])
    def test_a_request_is_hashed_and_measured_once(self, serve, monkeypatch, mode):
        serve(Reply(openai_stream(["x"])))
        lp.set_budget(5)
        computed = Counter()
        for name in ("_prompt_hash", "size_bytes"):
            count_computations(monkeypatch, name, computed)
        lp.configure(mode=mode)

        lp.compare("hi", "openai:gpt-4o", n=3, max_tokens=5)

        assert computed == {"_prompt_hash": 1, "size_bytes": 1}


def count_computations(monkeypatch, name, computed):
    prop = vars(Request)[name]
    compute = prop.func

    def counted(request):
        computed[name] += 1
        return compute(request)

    monkeypatch.setattr(prop, "func", counted)


@pytest.mark.parametrize("call", [lp.ask, lp.compare])
@pytest.mark.parametrize("variables", [{}, {"y": 1}, {"X": 1}])
def test_a_missing_variable_is_to_be_added(home, call, variables):
    with pytest.raises(lp.ConfigError, match=r"\{\{x\}\} is not defined. Add it to variables="):
        call("{{x}}", "local", variables=variables)
