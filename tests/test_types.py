"""The repr of runs, and the hash of requests."""

import dataclasses
from datetime import UTC, datetime
from decimal import Decimal

from llm_playground.events import RunFinished
from llm_playground.parts import TextPart
from llm_playground.types import Message, Parameters, Request, Run, Tool


def request(text="hi", **parameters):
    return Request("local:m", (Message("user", (TextPart(text),)),), Parameters(**parameters))


def test_repr_of_a_run_is_one_short_line_without_keys():
    key = "sk-" + "planted" * 4
    began = datetime(2026, 3, 31, tzinfo=UTC)
    run = Run("r1", "e1", "p1", 1, "openai:gpt-4o", "openai", began, Parameters())
    text, cost_usd = f"Hello\n{key} " + "there " * 900, Decimal("0.000500")
    priced = dataclasses.replace(run, status="completed", text=text, cost_usd=cost_usd)

    assert repr(run) == "Run(openai:gpt-4o, running, '', r1)"
    assert repr(priced).startswith("Run(openai:gpt-4o, completed, 'Hello ")
    assert repr(priced).endswith("…', $0.0005, r1)")
    assert key not in repr(priced)
    assert len(repr(RunFinished(priced))) < 130


def test_hash_ignores_number_types_and_the_order_of_keys():
    one = request(temperature=1, extra={"a": 1, "b": 2.0})
    other = request(temperature=1.0, extra={"b": 2, "a": 1})

    assert one.prompt_hash() == other.prompt_hash()


def test_hash_depends_on_text_model_and_parameters():
    hashes = {
        request().prompt_hash(),
        request("ho").prompt_hash(),
        request(temperature=0).prompt_hash(),
        dataclasses.replace(request(), model="local:other").prompt_hash(),
    }

    assert len(hashes) == 4


def test_hash_of_a_subclass_of_a_part_is_that_of_the_part():
    class Note(TextPart):
        """A user's own part."""

    own = dataclasses.replace(request(), messages=(Message("user", (Note("hi"),)),))

    assert own.prompt_hash() == request().prompt_hash()


def test_size_of_a_tool_without_a_description():
    assert dataclasses.replace(request(), tools=(Tool("f", None, {}),)).size_bytes > 0
