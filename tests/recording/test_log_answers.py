"""Which answer of the log a request gets, and which requests are close to one, on both engines."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

import llm_playground as lp
from llm_playground.parts import ImagePart, OtherPart, Source, TextPart, ToolCall
from llm_playground.recording import log_answers, numbers
from llm_playground.types import Usage
from tests.runlog.actors import begin, completed, execution_of, prompt, record

MODEL = "openai:gpt-4o"
OTHER = "openai:gpt-4o-mini"
BEGAN = datetime(2026, 3, 31, 12, tzinfo=UTC)
ASKED = prompt("Hi", model=MODEL)


@pytest.fixture(autouse=True)
def replay(home, log, monkeypatch):
    monkeypatch.setenv("LLM_PLAYGROUND_USER", "ada")
    numbers.reset()
    lp.configure(mode="replay")


def asked(log, minute, text, request=ASKED, user="ada", **known):
    """An answer to a request, asked at a minute."""
    at = BEGAN + timedelta(minutes=minute)
    return record(
        log, request, execution_of(request, started_at=at, username=user), text=text, **known
    )


def answers(times):
    return [lp.ask("Hi", MODEL).text for _ in range(times)]


def test_the_kth_request_gets_the_kth_answer_of_the_same_user(log, monkeypatch):
    for minute, text in ((3, "third"), (1, "first"), (2, "second")):
        asked(log, minute, text)
        asked(log, minute, f"Bob's {text}", user="bob")
    asked(log, 0, "again", cached=True)
    asked(log, 0, "", status="failed")
    asked(log, 0, "other", prompt("Ho", model=MODEL))
    asked(log, 0, "warm", prompt("Hi", model=MODEL, temperature=1.0))

    assert answers(3) == ["first", "second", "third"]
    with pytest.raises(lp.ConfigError, match=r"has 3 answers for this prompt .* is call 4 of it"):
        answers(1)

    numbers.reset()
    monkeypatch.setenv("LLM_PLAYGROUND_USER", "bob")
    assert answers(1) == ["Bob's first"]
    numbers.reset()
    lp.configure(reuse_from="everyone")
    assert {*answers(6)} == {
        f"{who}{n}" for who in ("", "Bob's ") for n in ("first", "second", "third")
    }


def test_iterations_keep_their_numbers_however_they_ended(log):
    execution = execution_of(ASKED, started_at=BEGAN, iterations=3)
    begun = {n: begin(log, ASKED, execution, iteration_number=n) for n in (2, 3, 1)}
    for number in (3, 1, 2):
        log.finished(completed(begun[number], f"answer {number}"))
    log.execution_finished(execution.id, "completed", datetime.now(UTC))
    asked(log, 1, "later")

    compared = lp.compare("Hi", MODEL, n=3).runs

    assert [run.text for run in compared] == ["answer 1", "answer 2", "answer 3"]
    assert answers(1) == ["later"]


async def test_an_iteration_does_not_get_the_answer_of_one_that_ended_before_it(log):
    execution = execution_of(ASKED, started_at=BEGAN, username="ada", iterations=2)
    first, second = (begin(log, ASKED, execution, iteration_number=n) for n in (1, 2))
    log.finished(completed(second, "second"))
    sent = completed(first, "first")

    async def send():
        return sent

    assert await log_answers.stored_or_sent(ASKED, execution, 1, send) is sent


def test_an_answer_comes_back_whole(log):
    parts = (
        TextPart("Look."),
        ImagePart("image/png", b"\x89PNG\r\n\x1a\n"),
        ToolCall("c1", "weather", '{"city": "Oslo"}'),
        OtherPart("hologram", '{"depth":3}'),
    )
    run = asked(
        log, 0, "Look.", parts=parts, tool_calls=(parts[2],), reasoning="Hm.",
        sources=(Source("T", "https://example.com", "Quote.", (5,)),),
        cost_usd=Decimal("0.000001234567"),
        usage=Usage(10, 20, 1, 2, 3, service_tier="flex", billed_units={"web_searches": 2}),
        response_model="gpt-4o-2026", stop_sequence="END", finish_reason="tool_call",
    )  # fmt: skip

    again = lp.ask("Hi", MODEL)

    same = ("text", "reasoning", "parts", "tool_calls", "sources", "finish_reason", "usage",
            "response_model", "stop_sequence")  # fmt: skip
    assert {name: getattr(again, name) for name in same} == {
        name: getattr(run, name) for name in same
    }
    assert (again.saved_usd, again.cost_usd, again.cached) == (run.cost_usd, 0, True)


def test_requests_that_were_asked_before_are_this_users_newest_first(log):
    for minute in range(3):
        asked(log, 9, "x", prompt(f"many {minute}", model=OTHER))
        asked(log, minute, "x", prompt(f"of the model {minute}", model=MODEL))
    for _ in range(250):
        asked(log, 2, "x", prompt("of the model 2", model=MODEL))
    asked(log, 10, "x", prompt("another's", model=MODEL), user="bob")
    asked(log, 10, "", prompt("failed", model=MODEL), status="failed")

    found = log_answers.asked_before(ASKED)

    prompts = [one["messages"][-1]["user"] for one in found]
    assert prompts[:3] == ["of the model 2", "of the model 1", "of the model 0"]
    assert {*prompts[3:]} == {"many 0", "many 1", "many 2"}
    assert [one["model"] for one in found] == [MODEL] * 3 + [OTHER] * 3
    with pytest.raises(lp.ConfigError) as missed:
        lp.ask("of the model 7", MODEL)
    assert "Closest in the log: openai:gpt-4o; same model; prompt: of the model [-" in str(
        missed.value
    )


def test_rows_of_another_program_do_not_come_first(log):
    asked(log, 0, "x", prompt("own", model=MODEL))
    foreign = prompt("foreign", model=MODEL)
    asked(log, 1, "x", foreign)
    log.change(
        lambda session: session.execute(
            "UPDATE executions SET started_at = NULL WHERE prompt_id = $prompt",
            {"prompt": execution_of(foreign).prompt_id},
        )
    )

    found = log_answers.asked_before(ASKED)

    assert [one["messages"][0]["user"] for one in found] == ["own", "foreign"]
