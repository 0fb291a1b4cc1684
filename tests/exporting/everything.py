"""A log with everything that an export can hold, and its documents as values."""

import base64
import json
from datetime import UTC, datetime

import llm_playground as lp
from llm_playground.ids import new_id
from llm_playground.parts import FilePart, ImagePart, TextPart, ToolCall, ToolResult
from llm_playground.request.schemas import schema_from
from llm_playground.types import Message, Parameters, Request, Tool
from tests.runlog.actors import execution_of, record

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGNgYGBgAAAABQABh6FO1AAAAABJRU5ErkJggg=="
)
PICTURE = ImagePart("image/png", PIXEL)
REPORT = FilePart("text/csv", "rain.csv", b"city,mm\nOslo,12\n")
WEATHER = Tool(
    "weather",
    "The weather of a city.",
    {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
)
CALL = ToolCall("c1", "weather", '{"city": "Oslo"}')
BEGAN = datetime(2026, 3, 31, 12, tzinfo=UTC)


def message(role, *content):
    return Message(role, tuple(TextPart(x) if isinstance(x, str) else x for x in content))


def requests(model="openai:gpt-x"):
    """One request of each kind, by its name."""
    system, asked = message("system", "Be brief."), message("user", "Is it raining in Oslo?")
    return {
        "plain": Request(model, (asked,)),
        "conversation": Request(
            model,
            (system, asked, message("assistant", "Yes."), message("user", "And in Rome?")),
            Parameters(temperature=0.2, stop=("END",)),
        ),
        "picture": Request(model, (message("user", PICTURE, "What is it?"),)),
        "file": Request(model, (message("user", REPORT, "Sum it up."),)),
        "tools": Request(
            model,
            (
                asked,
                message("assistant", "I look.", CALL),
                message("tool", ToolResult("c1", "weather", "rain")),
            ),
            tools=(WEATHER,),
        ),
        "schema": Request(model, (asked,), schema=schema_from(list[str])),
    }


def fill(log, **known):
    """A run of each request, and one whose answer calls a tool; the runs by their names."""
    runs = {
        name: record(log, request, execution_of(request, started_at=BEGAN), **known)
        for name, request in requests().items()
    }
    asked = requests()["tools"]
    asked = Request(asked.model, asked.messages[:1], tools=asked.tools)
    execution = execution_of(asked, started_at=BEGAN, tags=("a", "b"))
    runs["call"] = record(
        log,
        asked,
        execution,
        text="",
        tool_calls=(CALL,),
        parts=(CALL,),
        finish_reason="tool_call",
    )
    return runs


def vote(log, winner, loser, score=1.0):
    """A vote between two answers, as a comparison stores it."""
    values = {"id": new_id(), "winner": winner.id, "loser": loser.id, "score": score, "at": BEGAN}
    sql = (
        "INSERT INTO ratings (id, result_id, against_result_id, username, score, created_at) "
        "VALUES ($id, $winner, $loser, 'ada', $score, $at)"
    )
    log.change(lambda session: session.execute(sql, values))


def document(runs=None):
    """The JSON export of all runs, oldest first."""
    frame = lp.runs() if runs is None else runs
    return json.loads(lp.export(frame.sort_values("run_id") if runs is None else frame))
