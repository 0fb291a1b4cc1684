"""Blocked prompts and answers: stage, category and advice in one line."""

import json

import pytest

from llm_playground import config, errors
from llm_playground.events import Block, Finish, PartEnded, TextDelta
from llm_playground.parts import Original
from llm_playground.providers.errors import blocked_error
from llm_playground.providers.gemini_endings import answer_block
from llm_playground.types import Usage
from tests.providers.failures import failure
from tests.providers.formats import anthropic_stream, gemini_event, gemini_stream, openai_stream
from tests.providers.server import Reply, WireServer, json_reply
from tests.providers.vendors import ANTHROPIC, GEMINI, OPENAI


async def blocked(vendor, events):
    """The deltas of a blocked answer, its last event, and the error it becomes."""
    with WireServer(Reply(events)) as wire:
        *deltas, finish = await vendor.answer(wire.url)
    assert finish.finish_reason == "content_filter"
    label = config.label(vendor.name)
    error = blocked_error(finish, provider=vendor.name, model=vendor.model, label=label)
    assert isinstance(error, errors.ContentBlockedError)
    assert (error.provider, error.model) == (vendor.name, vendor.model)
    assert (error.stage, error.category, error.reason) == (
        finish.block.stage,
        finish.block.category,
        finish.block.reason,
    )
    assert "\n" not in str(error)
    return deltas, finish, error


def rating(category, probability, **more):
    return {"category": category, "probability": probability, **more}


HARASSMENT = rating("HARM_CATEGORY_HARASSMENT", "NEGLIGIBLE")
DANGER = rating("HARM_CATEGORY_DANGEROUS_CONTENT", "HIGH", blocked=True)


async def test_gemini_names_why_it_blocked_the_prompt():
    feedback = {"blockReason": "SAFETY", "safetyRatings": [HARASSMENT, DANGER]}
    deltas, finish, error = await blocked(
        GEMINI, [gemini_event({"promptFeedback": feedback}, usage=None)]
    )
    assert deltas == []
    assert finish.block == Block("prompt", "HARM_CATEGORY_DANGEROUS_CONTENT", "SAFETY, HIGH")
    assert str(error) == (
        "Gemini blocked the prompt: dangerous content, high. Nothing was billed. "
        "Reword it or change the safety setting."
    )


async def test_counted_blocked_prompt_is_not_called_free():
    feedback = {"blockReason": "PROHIBITED_CONTENT"}
    usage = {"promptTokenCount": 8, "totalTokenCount": 8}
    _, finish, error = await blocked(
        GEMINI, [gemini_event({"promptFeedback": feedback}, usage=usage)]
    )
    assert finish.usage == Usage(8, 0)
    assert str(error) == (
        "Gemini blocked the prompt: prohibited content. Reword it, or choose another model."
    )


PROMPTS = {
    "SAFETY": "safety. Nothing was billed. Reword it or change the safety setting.",
    "OTHER": "it does not say why. Nothing was billed. Reword it, or choose another model.",
    "BLOCKLIST": "blocklist. Nothing was billed. Reword it without the words that are on the list.",
    "PROHIBITED_CONTENT": "prohibited content. Nothing was billed. "
    "Reword it, or choose another model.",
    "IMAGE_SAFETY": "image safety. Nothing was billed. Reword it or change the safety setting.",
    "JAILBREAK": "jailbreak. Nothing was billed. Reword it, or choose another model.",
}
BLOCK_NUMBERS = {
    1: "SAFETY",
    2: "OTHER",
    3: "BLOCKLIST",
    4: "PROHIBITED_CONTENT",
    5: "IMAGE_SAFETY",
}


@pytest.mark.parametrize("said", [*PROMPTS, *BLOCK_NUMBERS])
async def test_blocked_prompt_names_its_reason(said):
    name = BLOCK_NUMBERS.get(said, said)
    event = gemini_event({"promptFeedback": {"blockReason": said}}, usage=None)
    _, finish, error = await blocked(GEMINI, [event])
    assert finish.block == Block("prompt", None, name)
    assert str(error) == f"Gemini blocked the prompt: {PROMPTS[name]}"


async def test_a_feedback_that_blocks_nothing_is_no_block():
    feedback = gemini_event({"promptFeedback": {"safetyRatings": [HARASSMENT]}})
    unspecified = gemini_event({"promptFeedback": {"blockReason": "BLOCK_REASON_UNSPECIFIED"}})
    with WireServer(Reply([feedback, unspecified, *gemini_stream(["A"])])) as wire:
        events = await GEMINI.answer(wire.url)
    assert [type(event).__name__ for event in events] == ["TextDelta", "Finish"]
    assert (events[-1].finish_reason, events[-1].block) == ("stop", None)


FINISHES = {
    "SAFETY": 3,
    "RECITATION": 4,
    "BLOCKLIST": 7,
    "PROHIBITED_CONTENT": 8,
    "SPII": 9,
    "IMAGE_SAFETY": 11,
    "IMAGE_PROHIBITED_CONTENT": 14,
    "IMAGE_RECITATION": 17,
    "MODEL_ARMOR": "MODEL_ARMOR",
}


@pytest.mark.parametrize("name", FINISHES)
async def test_blocked_answer_names_its_reason_and_keeps_the_text(name):
    for said in (name, FINISHES[name], str(FINISHES[name])):
        deltas, finish, error = await blocked(GEMINI, gemini_stream(["A"], finish_reason=said))
        assert deltas == [TextDelta("A")]
        assert finish.block == Block("answer", None, name)
        assert str(error).startswith("Gemini blocked the answer: ")
        assert "billed" not in str(error)


NOT_BLOCKED = {"STOP": "stop", 1: "stop", "MAX_TOKENS": "length", 2: "length"}
NOT_BLOCKED |= dict.fromkeys([99, "NEWS"], "other")


@pytest.mark.parametrize("said", NOT_BLOCKED)
async def test_other_ends_are_no_blocks_by_name_or_number(said):
    with WireServer(Reply(gemini_stream(["A"], finish_reason=said))) as wire:
        finish = (await GEMINI.answer(wire.url))[-1]
    assert (finish.finish_reason, finish.block) == (NOT_BLOCKED[said], None)


RATINGS = {
    "the blocking one, however improbable": (
        [
            rating("HARM_CATEGORY_HATE_SPEECH", "HIGH"),
            rating("HARM_CATEGORY_HARASSMENT", "LOW", blocked=True),
        ],
        Block("answer", "HARM_CATEGORY_HARASSMENT", "SAFETY, LOW"),
    ),
    "the most probable where none says that it blocked": (
        [HARASSMENT, rating("HARM_CATEGORY_SEXUALLY_EXPLICIT", "MEDIUM")],
        Block("answer", "HARM_CATEGORY_SEXUALLY_EXPLICIT", "SAFETY, MEDIUM"),
    ),
    "none where all are negligible": ([HARASSMENT], Block("answer", None, "SAFETY")),
    "numbers": ([rating(10, 4, blocked=True)], Block("answer", DANGER["category"], "SAFETY, HIGH")),
    "a category of next year": (
        [rating("HARM_CATEGORY_NEWS", "HIGH"), rating(99, 3)],
        Block("answer", "HARM_CATEGORY_NEWS", "SAFETY, HIGH"),
    ),
    "strange ones": (
        [5, None, {"category": [], "probability": {}}],
        Block("answer", None, "SAFETY"),
    ),
    "no list": (5, Block("answer", None, "SAFETY")),
}


@pytest.mark.parametrize("kind", RATINGS)
async def test_decisive_rating_is_reported(kind):
    ratings, block = RATINGS[kind]
    candidate = {"finishReason": "SAFETY", "safetyRatings": ratings, "index": 0}
    _, finish, _ = await blocked(GEMINI, [gemini_event({"candidates": [candidate]})])
    assert finish.block == block


def test_categories_of_the_first_models_have_numbers_too():
    candidate = {"finishReason": 3, "safetyRatings": [rating(7, 4)]}
    assert answer_block(candidate).category == "HARM_CATEGORY_HARASSMENT"


# OpenAI and its imitations.


async def test_a_refusal_in_chat_completions_is_a_block_with_its_words_kept():
    events = [
        event.replace(b'"content": "', b'"refusal": "') if b"can" in event else event
        for event in openai_stream(["I can't ", "do that, I cannot."])
    ]
    deltas, finish, error = await blocked(OPENAI, events)
    assert deltas == [
        TextDelta("I can't "),
        TextDelta("do that, I cannot."),
        PartEnded(Original("openai", '{"refusal":null}'), is_refusal=True),
    ]
    assert finish.block == Block("answer", None, "I can't do that, I cannot.")
    assert str(error) == (
        "OpenAI blocked the answer: I can't do that, I cannot. "
        "Reword the prompt, or choose another model."
    )


async def test_content_filter_without_text_is_a_block():
    _, finish, error = await blocked(OPENAI, openai_stream(["A"], finish_reason="content_filter"))
    assert finish.block == Block("answer")
    assert str(error) == (
        "OpenAI blocked the answer for safety. Reword the prompt, or choose another model."
    )


async def test_azures_filter_names_its_category():
    results = {"hate": {"filtered": False}, "self_harm": {"filtered": True, "severity": "high"}}
    choice = {
        "index": 0,
        "delta": {},
        "finish_reason": "content_filter",
        "content_filter_results": results,
    }
    events = [b"data: " + json.dumps({"choices": [choice]}).encode() + b"\n\n"]
    _, finish, error = await blocked(OPENAI, events)
    assert finish.block == Block("answer", "self_harm")
    assert str(error).startswith("OpenAI blocked the answer: self harm.")


@pytest.mark.parametrize("code", ["content_filter", "content_policy_violation"])
async def test_rejected_content_is_a_block(code):
    said = {"message": "The prompt triggered our content management policy.", "code": code}
    with WireServer(json_reply(400, {"error": said})) as wire:
        error, _ = await failure(OPENAI, wire.url)
    assert type(error) is errors.ContentBlockedError
    assert (error.stage, error.status_code) == ("prompt", 400)
    assert error.reason == "The prompt triggered our content management policy"
    assert str(error) == (
        f"OpenAI at {wire.url[7:]} blocked the prompt (400): "
        "The prompt triggered our content management policy. "
        "Nothing was billed. Reword it, or choose another model."
    )


# Anthropic.


def refusing(details):
    events = anthropic_stream(["A"], stop_reason="refusal")
    said = b'"stop_reason": "refusal", "stop_details": ' + json.dumps(details).encode()
    return [event.replace(b'"stop_reason": "refusal"', said) for event in events]


async def test_anthropic_refusal_has_category_and_explanation():
    details = {"type": "refusal", "category": "cyber", "explanation": "It could harm. Really."}
    deltas, finish, error = await blocked(ANTHROPIC, refusing(details))
    assert deltas == [TextDelta("A")]
    assert finish.block == Block("answer", "cyber", "It could harm. Really.")
    assert str(error) == (
        "Anthropic blocked the answer: cyber, It could harm. Really. "
        "Reword the prompt, or choose another model."
    )


@pytest.mark.parametrize("details", [None, {}, {"category": None, "explanation": None}, 5])
async def test_anthropics_refusal_without_details_is_a_refusal(details):
    _, finish, error = await blocked(ANTHROPIC, refusing(details))
    assert finish.block == Block("answer")
    assert str(error).startswith("Anthropic blocked the answer for safety.")


# The line.


def test_key_in_an_error_message_is_redacted():
    words = "I will not repeat Bearer abcdefgh1234. " + "No. " * 200
    finish = Finish("content_filter", block=Block("answer", None, words))
    error = blocked_error(finish, provider="openai", model="openai:m", label="OpenAI")
    assert "abcdefgh1234" not in str(error)
    assert len(str(error)) < 400


def test_the_local_models_line_begins_with_a_capital():
    error = blocked_error(
        Finish("content_filter"), provider="local", model="local:m", label="the local model"
    )
    assert str(error).startswith("The local model blocked the answer for safety.")
    assert (error.stage, error.category, error.reason) == ("answer", None, None)
