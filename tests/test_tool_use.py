"""``ask_with_tools`` and ``complete_with_tools``."""

import asyncio
import json
import logging
import signal
import threading
import time
from decimal import Decimal

import pandas as pd
import pydantic
import pytest

import llm_playground as lp
from llm_playground import rendering
from tests.kernel import kernel
from tests.providers.formats import (
    anthropic_event,
    anthropic_stream,
    gemini_event,
    gemini_stream,
    openai_stream,
)
from tests.providers.server import Reply, WireServer, json_reply

KEY = "sk-" + "planted" * 4
LIMIT_S = 240


def calling(*calls, text=()):
    """A streamed answer that asks for tools, with arguments in pieces as OpenAI sends them.

    Format: https://platform.openai.com/docs/api-reference/chat-streaming, ``delta.tool_calls``.
    """
    first, *_, usage, done = openai_stream(text)
    pieces = [delta for index, call in enumerate(calls) for delta in call_deltas(index, *call)]
    choices = [{"index": 0, "delta": {"tool_calls": [piece]}} for piece in pieces]
    choices.append({"index": 0, "delta": {}, "finish_reason": "tool_calls"})
    events = [
        b"data: " + json.dumps({"choices": [choice]}).encode() + b"\n\n" for choice in choices
    ]
    return Reply((first, *openai_stream(text)[1 : 1 + len(text)], *events, usage, done))


def call_deltas(index, name, arguments):
    text = arguments if isinstance(arguments, str) else json.dumps(arguments)
    function = {"name": name, "arguments": ""}
    yield {"index": index, "id": f"call_{index}", "type": "function", "function": function}
    for start in range(0, len(text), 5):
        yield {"index": index, "function": {"arguments": text[start : start + 5]}}


def answering(text):
    return Reply(openai_stream([text]))


def results(request):
    """The contents of the tool messages in a request, by call id."""
    messages = request.json["messages"]
    return {m["tool_call_id"]: m["content"] for m in messages if m["role"] == "tool"}


def weather(city: str, days: int = 1) -> str:
    """The weather forecast."""
    return f"{days} days of rain in {city}"


class TestRounds:
    def test_calls_tools_until_the_model_answers(self, serve):
        server = serve(
            calling(("weather", {"city": "Oslo", "days": "2"}), text=["Let me look."]),
            answering("Take an umbrella."),
        )

        result = lp.ask_with_tools("Umbrella?", "openai:gpt-4o", tools=[weather])

        assert str(result) == result.run.text == "Take an umbrella."
        assert [run.finish_reason for run in result.runs] == ["tool_call", "stop"]
        first, second = (request.json for request in server.requests)
        assert first["tools"][0]["function"]["name"] == "weather"
        assert [message["role"] for message in second["messages"]] == ["user", "assistant", "tool"]
        assistant = second["messages"][1]
        assert assistant["content"] == "Let me look."
        assert assistant["tool_calls"][0]["id"] == "call_0"
        assert json.loads(assistant["tool_calls"][0]["function"]["arguments"])["city"] == "Oslo"
        assert results(server.requests[1]) == {"call_0": "2 days of rain in Oslo"}

    def test_conversation_can_be_continued(self, serve):
        server = serve(
            calling(("weather", {"city": "Oslo"})), answering("Rain."), answering("Yes.")
        )

        result = lp.ask_with_tools("Weather?", "openai:gpt-4o", tools=[weather])
        lp.ask("Really?", "openai:gpt-4o", messages=result.messages, tools=[weather])

        roles = [message["role"] for message in server.requests[2].json["messages"]]
        assert roles == ["user", "assistant", "tool", "assistant", "user"]

    def test_each_round_is_a_logged_run(self, serve):
        serve(calling(("weather", {"city": "Oslo"})), answering("Rain."))

        result = lp.ask_with_tools("Weather?", "openai:gpt-4o", tools=weather, tags="tools")

        logged = lp.sql("SELECT id, tool_calls FROM results ORDER BY started_at")
        assert logged.id.tolist() == [run.id for run in result.runs]
        [call] = json.loads(logged.tool_calls[0])
        assert call == {"id": "call_0", "name": "weather", "arguments": {"city": "Oslo"}}
        assert len(lp.runs(tag="tools")) == 2
        assert lp.sql("SELECT DISTINCT status FROM executions").status.tolist() == ["completed"]

    def test_cost_is_the_sum_of_rounds(self, serve):
        serve(calling(("weather", {"city": "Oslo"})), answering("Rain."))

        result = lp.ask_with_tools("Weather?", "openai:gpt-4o", tools=[weather])

        assert isinstance(result.cost_usd, Decimal)
        assert result.cost_usd == sum(run.cost_usd for run in result.runs)

    @pytest.mark.parametrize("function", ["ask_with_tools", "complete_with_tools"])
    @pytest.mark.parametrize(("limit", "rounds"), [(0.02, 1), (0.04, 2), (0.2, 8), (None, 8)])
    async def test_every_round_counts_for_the_confirmation(self, serve, function, limit, rounds):
        """Each costs 1.6 cents, and could cost 1.92 cents."""
        server = serve(*[calling(("weather", {"city": "Oslo"}))] * 8)
        rates = {"input_usd_per_mtok": 0, "output_usd_per_mtok": 3200}
        lp.configure(prices={"openai:*": rates}, confirm_above_usd=limit)
        arguments = {"model": "openai:any", "tools": [weather], "max_tokens": 6}

        async def make():
            if function == "complete_with_tools":
                return await lp.complete_with_tools("hi", **arguments)
            return await asyncio.to_thread(lp.ask_with_tools, "hi", **arguments)

        if rounds == 8:
            assert len((await make()).runs) == 8
        else:
            spent = f"{rounds * 0.016:.4f}"
            with pytest.raises(lp.BudgetExceededError, match=rf"\(1 call after \${spent}\)"):
                await make()
        assert len(server.requests) == rounds

    def test_unknown_price_makes_the_cost_unknown(self, serve):
        serve(Reply(openai_stream(["Rain."], model="unlisted")))

        assert lp.ask_with_tools("Weather?", "openai:unlisted", tools=[weather]).cost_usd is None

    def test_answer_with_schema(self, serve):
        class Advice(pydantic.BaseModel):
            umbrella: bool

        serve(calling(("weather", {"city": "Oslo"})), answering('{"umbrella": true}'))

        result = lp.ask_with_tools("?", "openai:gpt-4o", tools=[weather], schema=Advice)

        assert (result.data, result.status) == (Advice(umbrella=True), "completed")
        assert result.text == result.run.text == '{"umbrella": true}'
        assert result.runs[0].data_error is None

    def test_failed_round_is_raised_with_its_run(self, serve):
        serve(
            calling(("weather", {"city": "Oslo"})),
            json_reply(404, {"error": {"message": "no such model"}}),
        )

        with pytest.raises(lp.RequestRejectedError) as caught:
            lp.ask_with_tools("Weather?", "openai:gpt-4o", tools=[weather])

        assert caught.value.run.status == "failed"
        assert sorted(lp.runs().status) == ["completed", "failed"]

    def test_html_has_steps(self, serve):
        serve(calling(("weather", {"city": "<b>"})), answering("**Rain.**"))

        result = lp.ask_with_tools("Weather?", "openai:gpt-4o", tools=[weather])

        html = result._repr_html_()
        assert "weather(" in html
        assert "rain in &lt;b&gt;" in html
        assert "<strong>Rain.</strong>" in html
        assert repr(result) == "ToolRun(2 rounds, 1 call: '**Rain.**')"


class TestSignatures:
    """Signed parts of an answer are sent back unchanged."""

    def test_anthropic_reasoning_is_sent_back_signed(self, home, monkeypatch):
        thought = {"type": "thinking", "thinking": "Hm.", "signature": "EqQBCg"}
        call = {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Oslo"}}
        script = [Reply(claude_asking(thought, call)), Reply(anthropic_stream(["Rain."]))]
        with WireServer(script) as server:
            monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
            monkeypatch.setenv("ANTHROPIC_BASE_URL", server.url)

            result = lp.ask_with_tools("?", "anthropic:claude-sonnet-4-5", tools=[weather])

            assert result.run.text == "Rain."
            _, assistant, result_message = server.requests[1].json["messages"]
        assert assistant["content"] == [thought, call]
        assert result_message["role"] == "user"
        assert result_message["content"][0]["tool_use_id"] == "toolu_1"
        assert "rain in Oslo" in json.dumps(result_message["content"])

    def test_gemini_calls_are_sent_back_signed(self, home, monkeypatch):
        call = {"functionCall": {"name": "weather", "args": {"city": "Oslo"}}}
        part = call | {"thoughtSignature": "CpcBAdHtim"}
        candidate = {"content": {"parts": [part], "role": "model"}, "finishReason": "STOP"}
        call_reply = Reply([gemini_event({"candidates": [candidate]})])
        with WireServer([call_reply, Reply(gemini_stream(["Rain."]))]) as server:
            monkeypatch.setenv("GOOGLE_GEMINI_API_KEY", KEY)
            monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", server.url)

            result = lp.ask_with_tools("?", "gemini:gemini-2.5-flash", tools=[weather])

            assert result.run.text == "Rain."
            _, model, function_message = server.requests[1].json["contents"]
        assert model["parts"] == [part]
        assert function_message["parts"][0]["functionResponse"]["name"] == "weather"
        assert "rain in Oslo" in json.dumps(function_message)


def claude_asking(thought, call):
    """A Messages stream: a block of reasoning with its signature, then a tool call.

    Format: https://docs.claude.com/en/docs/build-with-claude/streaming#streaming-with-tool-use
    """
    start, *_, _delta, stop = anthropic_stream([])
    ended = {"delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 9}}
    pieces = [
        {"type": "thinking_delta", "thinking": thought["thinking"]},
        {"type": "signature_delta", "signature": thought["signature"]},
    ]
    arguments = [{"type": "input_json_delta", "partial_json": json.dumps(call["input"])}]
    begun = [thought | {"thinking": "", "signature": ""}, call | {"input": {}}]
    blocks = zip(begun, (pieces, arguments), strict=True)
    events = [
        event for number, block in enumerate(blocks) for event in claude_block(number, *block)
    ]
    return [start, *events, anthropic_event("message_delta", ended), stop]


def claude_block(index, block, deltas):
    yield anthropic_event("content_block_start", {"index": index, "content_block": block})
    for delta in deltas:
        yield anthropic_event("content_block_delta", {"index": index, "delta": delta})
    yield anthropic_event("content_block_stop", {"index": index})


class TestCalls:
    def test_parallel_calls_keep_their_order(self, serve):
        meeting = threading.Barrier(2, timeout=LIMIT_S)
        threads = set()

        def meet(name: str) -> str:
            threads.add(threading.current_thread().name)
            meeting.wait()
            return name

        server = serve(calling(("meet", {"name": "a"}), ("meet", {"name": "b"})), answering("Met."))

        result = lp.ask_with_tools("Meet.", "openai:gpt-4o", tools=[meet])

        assert results(server.requests[1]) == {"call_0": "a", "call_1": "b"}
        assert [step_result.text for _, step_result in result.steps] == ["a", "b"]
        assert "llm_playground" not in threads

    def test_coroutine_function_is_awaited(self, serve):
        async def double(n: int) -> int:
            await asyncio.sleep(0)
            return 2 * n

        server = serve(calling(("double", {"n": 4})), answering("8"))

        lp.ask_with_tools("4 + 4?", "openai:gpt-4o", tools=[double])

        assert results(server.requests[1]) == {"call_0": "8"}

    @pytest.mark.parametrize(
        ("value", "expected"),
        [
            ("text\nof two lines", "text\nof two lines"),
            (None, "null"),
            ({"a": [1, None]}, '{"a":[1,null]}'),
            (Decimal("1.50"), '"1.50"'),
            (pd.Series([1.5], ["a"]).describe()["mean"], "1.5"),
            (pd.DataFrame({"a": [1]}), "   a\n0  1"),
        ],
        ids=repr,
    )
    def test_results_are_sent_as_text_or_json(self, serve, value, expected):
        def give() -> object:
            return value

        server = serve(calling(("give", {})), answering("Thanks."))

        lp.ask_with_tools("Give.", "openai:gpt-4o", tools=[give])

        assert results(server.requests[1]) == {"call_0": expected}

    @pytest.mark.parametrize(
        ("error", "expected"),
        [
            (ValueError("no such city\nat all"), "ValueError: no such city at all"),
            (RuntimeError(f"key {KEY}"), "RuntimeError: key [redacted]"),
            (StopIteration(), "StopIteration"),
            (SystemExit(3), "SystemExit: 3"),
            (KeyboardInterrupt(), "KeyboardInterrupt"),
        ],
        ids=repr,
    )
    @pytest.mark.parametrize("kind", ["ordinary", "coroutine"])
    def test_exceptions_are_sent_as_one_line(self, serve, error, expected, kind):
        def fails() -> None:
            raise error

        async def fails_later() -> None:
            raise error

        function = fails if kind == "ordinary" else fails_later
        server = serve(calling((function.__name__, {})), answering("Sorry."))

        result = lp.ask_with_tools("Do.", "openai:gpt-4o", tools=[function])

        [(_, step_result)] = result.steps
        assert step_result.is_error
        assert expected in step_result.text
        assert "\n" not in step_result.text
        assert step_result.text in results(server.requests[1])["call_0"]
        assert lp.ask_with_tools("Again.", "openai:gpt-4o", tools=[function]).run.text == "Sorry."

    @pytest.mark.parametrize(
        ("name", "arguments", "expected"),
        [
            ("wether", {"city": "Oslo"}, "There is no tool called 'wether'. There are: weather."),
            ("weather", '{"city": "Os', "not a JSON object"),
            ("weather", '["Oslo"]', "not a JSON object"),
            ("weather", {}, "city: missing"),
            ("weather", {"city": "Oslo", "days": "x"}, "days: expected a whole number, got 'x'"),
        ],
    )
    def test_invalid_calls_are_sent_back_as_errors(self, serve, name, arguments, expected):
        server = serve(calling((name, arguments)), answering("Sorry."))

        result = lp.ask_with_tools("Weather?", "openai:gpt-4o", tools=[weather])

        [(_, step_result)] = result.steps
        assert step_result.is_error
        assert expected in step_result.text
        assert expected in results(server.requests[1])["call_0"]
        assert result.run.text == "Sorry."


class TestConfirm:
    @pytest.mark.parametrize("kind", ["ordinary", "coroutine"])
    def test_declined_call_is_not_made(self, serve, kind):
        confirmed, called = [], []

        def delete(name: str) -> str:
            called.append(name)
            return "gone"

        def confirm(call):
            confirmed.append((call.name, call.arguments["name"]))
            return call.arguments["name"] == "b"

        async def confirm_later(call):
            return confirm(call)

        server = serve(
            calling(*(("delete", {"name": name}) for name in "abc")), answering("One is gone.")
        )

        lp.ask_with_tools(
            "Delete.",
            "openai:gpt-4o",
            tools=[delete],
            confirm=confirm if kind == "ordinary" else confirm_later,
        )

        assert confirmed == [("delete", name) for name in "abc"]
        assert called == ["b"]
        sent = results(server.requests[1])
        assert "declined" in sent["call_0"]
        assert sent["call_1"] == "gone"

    def test_exception_of_confirm_is_raised(self, serve):
        def confirm(_call):
            raise LookupError("no terminal")

        serve(calling(("weather", {"city": "Oslo"})), answering("Rain."))

        with pytest.raises(LookupError, match="no terminal"):
            lp.ask_with_tools("?", "openai:gpt-4o", tools=[weather], confirm=confirm)

    def test_invalid_call_needs_no_confirmation(self, serve):
        confirmed = []
        serve(calling(("missing", {})), answering("Sorry."))

        lp.ask_with_tools("?", "openai:gpt-4o", tools=[weather], confirm=confirmed.append)

        assert not confirmed


class TestLimit:
    def test_limit_ends_with_a_notice_and_a_complete_conversation(self, serve, caplog):
        called = []

        def again(n: int = 0) -> str:
            called.append(n)
            return "more"

        server = serve(calling(("again", {}), text=["Hm."]))

        with caplog.at_level(logging.WARNING):
            result = lp.ask_with_tools("Go.", "openai:gpt-4o", tools=[again], max_rounds=3)

        assert len(result.runs) == len(server.requests) == 3
        assert len(called) == 2
        assert result.run.text == "Hm."
        assert result.run.tool_calls[0].name == "again"
        assert result.notice.startswith("Stopped after 3 rounds")
        assert [record.getMessage() for record in caplog.records] == [result.notice]
        assert result.notice in result._repr_html_()
        assert result.messages[-1].role == "tool"
        assert result.steps[-1][1].is_error

    def test_one_round_is_one_request(self, serve):
        server = serve(calling(("weather", {"city": "Oslo"})))

        lp.ask_with_tools("Go.", "openai:gpt-4o", tools=[weather], max_rounds=1)

        assert len(server.requests) == 1


class TestAwaiting:
    async def test_coroutine_functions_run_on_the_callers_loop(self, serve):
        loops = []

        async def where() -> str:
            loops.append(asyncio.get_running_loop())
            return "here"

        serve(calling(("where", {})), answering("There."))

        result = await lp.complete_with_tools("Where?", "openai:gpt-4o", tools=[where])

        assert result.run.text == "There."
        assert loops == [asyncio.get_running_loop()]

    async def test_cancelling_stops_the_function(self, serve):
        waiting, left = asyncio.Event(), asyncio.Event()

        async def wait() -> None:
            waiting.set()
            try:
                await asyncio.Event().wait()
            finally:
                left.set()

        server = serve(calling(("wait", {})), answering("Done."))
        task = asyncio.create_task(lp.complete_with_tools("?", "openai:gpt-4o", tools=[wait]))
        async with asyncio.timeout(LIMIT_S):
            await waiting.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

        assert left.is_set()
        assert len(server.requests) == 1

    async def test_invalid_arguments_raise_when_awaited(self, serve):
        with pytest.raises(lp.InvalidParameterError, match="needs a function"):
            await lp.complete_with_tools("?", "openai:gpt-4o", tools=[])


class TestInterrupt:
    def test_interrupt_in_a_function(self, serve):
        started, release = threading.Event(), threading.Event()

        def slow() -> None:
            started.set()
            release.wait(LIMIT_S)

        def interrupt():
            assert started.wait(LIMIT_S)
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

        server = serve(calling(("slow", {})), answering("Done."))
        threading.Thread(target=interrupt).start()
        began = time.monotonic()

        with pytest.raises(KeyboardInterrupt):
            lp.ask_with_tools("?", "openai:gpt-4o", tools=[slow])

        assert time.monotonic() - began < LIMIT_S
        release.set()
        assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"tools": []}, "needs a function"),
        ({"tools": None}, "needs a function"),
        ({"tools": [{"name": "elsewhere"}]}, "'elsewhere' has no function"),
        ({"tools": [weather, weather]}, "Two tools"),
        ({"max_rounds": 0}, "from 1 to"),
        ({"max_rounds": True}, "from 1 to"),
        ({"max_rounds": 2.5}, "from 1 to"),
        ({"confirm": "yes"}, "takes a function"),
        ({"prompt": ""}, "empty"),
        ({"temprature": 1}, "Did you mean temperature"),
    ],
)
def test_invalid_arguments(serve, given, expected):
    server = serve(answering("x"))

    with pytest.raises(lp.ConfigError, match=expected) as caught:
        lp.ask_with_tools(**{"prompt": "hi", "model": "openai:gpt-4o", "tools": [weather]} | given)

    assert "\n" not in str(caught.value)
    assert not server.requests


def test_missing_tools(serve):
    with pytest.raises(lp.InvalidParameterError, match="tools"):
        lp.ask_with_tools("hi", "openai:gpt-4o")


def test_help_documents_each_argument_once():
    for verb in (lp.ask, lp.complete, lp.stream):
        for argument in ("prompt:", "images:", "tools:", "schema:", "tags:", "temperature:"):
            assert verb.__doc__.count(f"\n    {argument}") == 1
    for verb in (lp.ask_with_tools, lp.complete_with_tools):
        for argument in ("tools:", "max_rounds:", "confirm:"):
            assert verb.__doc__.count(f"\n    {argument}") == 1


CONFIRMING = """
allowed = lambda call: input(f"{call.name}? ") == "y"
print(lp.ask_with_tools("?", "openai:gpt-4o", tools=[weather], confirm=allowed).steps[0][1].text)
"""


class TestNotebook:
    @pytest.fixture
    def nb(self, serve, home):
        def script(request):
            has_result = any(message["role"] == "tool" for message in request.json["messages"])
            return answering("Rain.") if has_result else calling(("weather", {"city": "Oslo"}))

        serve(script)
        with kernel({}) as started:
            started.run("import llm_playground as lp\ndef weather(city: str): return 'rain'")
            yield started

    def start(self, nb, code):
        """Start a cell and wait for its input prompt; the cell and the prompt."""
        cell = nb.client.execute(code, allow_stdin=True)
        return cell, nb.client.get_stdin_msg(timeout=LIMIT_S)["content"]["prompt"]

    def test_confirm_can_use_input(self, nb):
        for answer, text in (("y", "rain"), ("n", "The user declined this call.")):
            cell, question = self.start(nb, CONFIRMING)
            nb.client.input(answer)

            assert question == "weather? "
            assert nb.finish(cell).text.strip() == text

    def test_interrupted_input_does_not_take_a_later_answer(self, nb):
        cell, _ = self.start(nb, CONFIRMING)
        nb.manager.interrupt_kernel()
        assert nb.finish(cell).error["ename"] == "KeyboardInterrupt"

        cell, _ = self.start(nb, "print(input('Your name? '))")
        nb.client.input("Ann")

        assert nb.finish(cell).text.strip() == "Ann"


class TestManyCalls:
    """A model may ask for more calls than any kernel has threads."""

    @pytest.mark.parametrize("number", [31, 33, 128, 129, 2_000])
    def test_a_bounded_number_is_made_in_a_bounded_number_of_threads(self, serve, caplog, number):
        made, running, most, lock = [], 0, 0, threading.Lock()
        most_at_once, all_at_once = min(number, 32), threading.Event()

        def slow(n: int) -> int:
            nonlocal running, most
            with lock:
                running += 1
                most = max(most, running)
                if running == most_at_once:
                    all_at_once.set()
            all_at_once.wait(60)
            with lock:
                running -= 1
                made.append(n)
            return n

        asked = [("slow", {"n": n}) for n in range(number)]
        server = serve(calling(*asked), answering("Done."))
        with caplog.at_level(logging.WARNING):
            result = lp.ask_with_tools("Go.", "openai:gpt-4o", tools=[slow])

        first, refused = range(min(number, 128)), range(128, number)
        assert sorted(made) == list(first)
        assert most == most_at_once
        assert len(result.runs[0].tool_calls) == len(result.steps) == number
        sent = results(server.requests[1])
        assert [sent[f"call_{n}"] for n in first] == [str(n) for n in first]
        assert {sent[f"call_{n}"] for n in refused} <= {"Not made: one answer may have 128 calls."}
        said = [f"The model asked for {number:,} calls in one answer; only the first 128 are made."]
        assert [line.partition(" All")[0] for line in caplog.messages] == said[: len(refused)]
        assert result._repr_html_().count("<div>") <= 21
        stored = lp.sql("SELECT tool_calls FROM results WHERE id = ?", [result.runs[0].id])
        assert str(stored.iloc[0, 0]).count('"slow"') == number

    async def test_coroutine_functions_are_bounded_too(self, serve):
        running = most = 0
        all_at_once = asyncio.Event()

        async def slow(n: int) -> int:
            nonlocal running, most
            running += 1
            most = max(most, running)
            if running == 32:
                all_at_once.set()
            await all_at_once.wait()
            running -= 1
            return n

        serve(calling(*[("slow", {"n": n}) for n in range(200)]), answering("Done."))
        await lp.complete_with_tools("Go.", "openai:gpt-4o", tools=[slow])

        assert most == 32

    def test_refused_calls_are_not_confirmed(self, serve):
        serve(calling(*[("weather", {"city": str(n)}) for n in range(200)]), answering("Done."))
        confirmed = []

        lp.ask_with_tools("Go.", "openai:gpt-4o", tools=[weather], confirm=confirmed.append)

        assert len(confirmed) == 128

    @pytest.mark.parametrize("chars", [999_999, 1_000_001, 5_000_000])
    def test_a_result_is_sent_up_to_a_limit_that_is_said(self, serve, chars):
        server = serve(calling(("long", {})), answering("Done."))
        lp.configure(confirm_above_usd=None)  # a million characters may cost some dollars

        lp.ask_with_tools("Go.", "openai:gpt-4o", tools=[lambda_named(chars)])

        sent = results(server.requests[1])["call_0"]
        assert len(sent) <= 1_000_100
        assert sent.endswith("not sent]") == (chars > 1_000_000)

    def test_many_calls_are_one_notice(self, serve):
        serve(calling(*[("weather", {"city": "x" * 2_100})] * 23))

        run = lp.ask("Go.", "openai:gpt-4o", tools=[weather])

        shown = rendering.answer_to_text(run)
        assert len(run.tool_calls) == 23
        assert "Asked for 3 more calls." in shown
        assert len(shown) < 20 * 2_100 + 500


def lambda_named(chars):
    def long() -> str:
        return "x" * chars

    return long
