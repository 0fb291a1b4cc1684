"""Log probabilities are requested in each vendor's format and returned per token."""

import json

import pytest

from llm_playground.events import TextDelta
from llm_playground.parts import TextPart
from llm_playground.providers import gemini, openai
from llm_playground.types import Message, Parameters, Request, TokenLogprob
from tests.providers.formats import gemini_event
from tests.providers.server import Reply, WireServer
from tests.providers.vendors import GEMINI, OPENAI


def asked(build, model, wanted):
    request = Request(model, (Message("user", (TextPart("Hi"),)),), Parameters(logprobs=wanted))
    return build(request)


@pytest.mark.parametrize(("model", "alternatives"), [("openai:gpt-4o", 0), ("vllm:x", 0)])
def test_the_token_alone_is_asked_for_without_alternatives(model, alternatives):
    body = asked(openai.body, model, 0)
    assert (body["logprobs"], body["top_logprobs"]) == (True, alternatives)


@pytest.mark.parametrize("model", ["local:x", "llama.cpp:x"])
def test_llama_cpp_gets_at_least_one_logprob(model):
    assert asked(openai.body, model, 0)["top_logprobs"] == 1
    assert asked(openai.body, model, 5)["top_logprobs"] == 5


def test_gemini_logprobs_request():
    assert asked(gemini.body, "gemini:x", 3)["generationConfig"] == {
        "responseLogprobs": True,
        "logprobs": 3,
    }
    assert asked(gemini.body, "gemini:x", 0)["generationConfig"] == {"responseLogprobs": True}


def chat_chunk(text, entries, reason=None):
    logprobs = {"content": entries, "refusal": None}
    choice = {
        "index": 0,
        "delta": {"content": text},
        "logprobs": logprobs,
        "finish_reason": reason,
    }
    return b"data: " + json.dumps({"choices": [choice]}).encode() + b"\n\n"


def token(text, logprob, *top):
    return {
        "token": text,
        "logprob": logprob,
        "bytes": list(text.encode()),
        "top_logprobs": [{"token": t, "logprob": p, "bytes": None} for t, p in top],
    }


async def test_every_token_of_chat_completions_is_collected():
    events = [
        chat_chunk("Hel", [token("Hel", -0.5, ("Hel", -0.5), ("Hi", -1.25))]),
        chat_chunk("lo!", [token("lo", 0, ("lo", 0)), token("!", -9999.0)], "stop"),
        b"data: [DONE]\n\n",
    ]
    with WireServer(Reply(events)) as wire:
        *deltas, finish = await OPENAI.answer(wire.url)
    assert deltas == [TextDelta("Hel"), TextDelta("lo!")]
    assert finish.logprobs == (
        TokenLogprob("Hel", -0.5, (("Hel", -0.5), ("Hi", -1.25))),
        TokenLogprob("lo", 0, (("lo", 0),)),
        TokenLogprob("!", -9999.0),
    )


STRANGE = [5, {"content": 5}, {"content": [5, {"token": "a"}, {"token": "a", "logprob": None}]}]


@pytest.mark.parametrize("strange", STRANGE, ids=str)
async def test_invalid_logprobs_lose_no_text(strange):
    choice = {"index": 0, "delta": {"content": "A"}, "logprobs": strange, "finish_reason": "stop"}
    events = [b"data: " + json.dumps({"choices": [choice]}).encode() + b"\n\n"]
    with WireServer(Reply(events)) as wire:
        *deltas, finish = await OPENAI.answer(wire.url)
    assert deltas == [TextDelta("A")]
    assert finish.logprobs == ()


async def test_every_token_of_gemini_is_collected():
    def chunk(text, result, **more):
        content = {"parts": [{"text": text}], "role": "model"}
        candidate = {"content": content, "logprobsResult": result, "index": 0, **more}
        return gemini_event({"candidates": [candidate]})

    first = {
        "chosenCandidates": [{"token": "Hel", "tokenId": 1, "logProbability": -0.5}],
        "topCandidates": [
            {
                "candidates": [
                    {"token": "Hel", "logProbability": -0.5},
                    {"token": "Hi", "logProbability": -1.25},
                ]
            }
        ],
    }
    second = {"chosenCandidates": [{"token": "lo", "tokenId": 2}]}
    events = [chunk("Hel", first), chunk("lo", second, finishReason="STOP")]
    with WireServer(Reply(events)) as wire:
        finish = (await GEMINI.answer(wire.url))[-1]
    assert finish.logprobs == (
        TokenLogprob("Hel", -0.5, (("Hel", -0.5), ("Hi", -1.25))),
        TokenLogprob("lo", 0.0),
    )
