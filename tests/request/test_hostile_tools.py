"""Misbehaving tools: the model gets their error, and nothing else is blocked."""

import asyncio
import json
import threading

import pytest

import llm_playground as lp
from tests.test_tool_use import answering, calling, results

MODEL = "openai:gpt-4o"


class BadRepr:
    def __repr__(self):
        raise RuntimeError("no words")


class WordlessError(Exception):
    def __str__(self):
        raise ValueError("no words")


def raising(error):
    def tool():
        raise error

    return tool


def deep():
    value = []
    for _ in range(100_000):
        value = [value]
    return value


async def cancelling():
    raise asyncio.CancelledError


async def ask_on_loop():
    return lp.ask("inner", MODEL).text


HOSTILE = {
    "a value without words": (BadRepr, "RuntimeError"),
    "a value too deep": (deep, "Error"),
    "an error without words": (raising(WordlessError()), "WordlessError"),
    "an exit": (raising(SystemExit(3)), "SystemExit"),
    "a cancellation of its own": (cancelling, "CancelledError"),
    "half a character": (lambda: "caf\udce9.txt", "caf?.txt"),
    "a question on the loop that would answer it": (ask_on_loop, "await lp.complete"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_goes_wrong_is_told_to_the_model(serve, name):
    function, said = HOSTILE[name]
    tool = lp.Tool("it", "", {"type": "object", "properties": {}}, function)
    server = serve(calling(("it", {})), answering("So."))

    result = lp.ask_with_tools("Do it.", MODEL, tools=[tool])

    assert result.run.text == "So."
    assert said in results(server.requests[1])["call_0"]


def test_tools_that_hang_leave_room_for_everything_else(serve):
    let_go = threading.Event()

    def hang() -> str:
        """Waits."""
        let_go.wait(60)
        return "late"

    server = serve(calling(*[("hang", {})] * 12), answering("Fine."))

    async def both():
        hanging = asyncio.create_task(
            lp.complete_with_tools("Hang.", MODEL, tools=[hang], max_rounds=1)
        )
        assert await asyncio.to_thread(server.wait_for, lambda wire: wire.requests)
        fine = await asyncio.wait_for(lp.complete("Hello?", MODEL), 20)
        let_go.set()
        await hanging
        return fine

    assert asyncio.run(both()).text == "Fine."


def test_tools_may_ask_with_tools_themselves(serve):
    def leaf() -> str:
        """The end."""
        return "leaf"

    def research(topic: str) -> str:
        """Asks further."""
        return lp.ask_with_tools(f"About {topic}", MODEL, tools=[leaf]).run.text

    def reply(request):
        body = json.loads(request.body)
        has_result = any(message["role"] == "tool" for message in body["messages"])
        outer = body["tools"][0]["function"]["name"] == "research"
        if has_result:
            return answering("Done." if outer else "Found.")
        if outer:
            return calling(*[("research", {"topic": str(n)}) for n in range(12)])
        return calling(("leaf", {}))

    serve(reply)

    assert lp.ask_with_tools("Go.", MODEL, tools=[research]).run.text == "Done."
