"""The embedded server works with both SDKs: text, usage, and the end after a disconnect."""

import asyncio
import time
from contextlib import aclosing

import anthropic
import httpx2
import openai
import pytest

from llm_playground.events import Finish, TextDelta
from llm_playground.parts import TextPart
from llm_playground.providers import Endpoint, local
from llm_playground.providers.anthropic import AnthropicProvider
from llm_playground.providers.http import client_for
from llm_playground.providers.openai import OpenAIProvider
from llm_playground.types import Message, Parameters, Request

MODEL = "smollm2-135m-instruct"
PROMPT = [{"role": "user", "content": "Count from one to five."}]
STORY = [{"role": "user", "content": "Tell a very long story."}]
ENDLESS = {"ignore_eos": True}
PATIENCE_S = 240


@pytest.fixture(autouse=True)
async def time_limit():
    async with asyncio.timeout(PATIENCE_S):
        yield


@pytest.fixture
async def endpoint() -> Endpoint:
    async with aclosing(local.start()) as events:
        return [event async for event in events][-1]


@pytest.fixture
async def openai_sdk(endpoint):
    async with openai.AsyncOpenAI(
        api_key=endpoint.api_key,
        base_url=endpoint.base_url,
        max_retries=0,
        http_client=client_for(endpoint),
    ) as client:
        yield client


@pytest.fixture
async def anthropic_sdk(endpoint):
    async with anthropic.AsyncAnthropic(
        api_key=endpoint.api_key,
        base_url=endpoint.base_url.removesuffix("/v1"),
        max_retries=0,
        http_client=client_for(endpoint),
    ) as client:
        yield client


@pytest.fixture
async def busy(endpoint):
    """How many answers are under way in the server, as it says itself."""
    url = endpoint.base_url.removesuffix("/v1") + "/slots"
    headers = {"Authorization": f"Bearer {endpoint.api_key}"}

    async with httpx2.AsyncClient(trust_env=False, headers=headers) as client:

        async def count() -> int:
            return sum(slot["is_processing"] for slot in (await client.get(url)).json())

        await reaches(count, 0)  # what an earlier test left is over
        yield count


async def reaches(count, wanted: int, seconds: float = 30.0) -> None:
    async with asyncio.timeout(seconds):
        while await count() != wanted:  # noqa: ASYNC110 - the server sets no event
            await asyncio.sleep(0.02)


def counts_to_five(text: str) -> bool:
    return any(word in text.lower() for word in ("one", "1"))


async def test_the_openai_sdk_has_text_and_usage(openai_sdk):
    answer = await openai_sdk.chat.completions.create(
        model=MODEL, messages=PROMPT, max_tokens=24, temperature=0
    )

    assert counts_to_five(answer.choices[0].message.content)
    assert answer.usage.prompt_tokens > 5
    assert 0 < answer.usage.completion_tokens <= 24
    assert answer.choices[0].finish_reason in {"stop", "length"}
    assert answer.model == MODEL


async def test_the_openai_sdk_streams_text_and_usage(openai_sdk):
    stream = await openai_sdk.chat.completions.create(
        model=MODEL, messages=PROMPT, max_tokens=24, temperature=0, stream=True,
        stream_options={"include_usage": True},
    )  # fmt: skip
    chunks = [chunk async for chunk in stream]

    deltas = [chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices]
    assert counts_to_five("".join(deltas))
    assert sum(map(bool, deltas)) > 3
    assert chunks[-1].usage.prompt_tokens > 5
    assert 3 < chunks[-1].usage.completion_tokens <= 24


async def test_the_anthropic_sdk_has_text_and_usage(anthropic_sdk):
    answer = await anthropic_sdk.messages.create(
        model=MODEL, messages=PROMPT, max_tokens=24, extra_body={"temperature": 0}
    )

    assert counts_to_five("".join(block.text for block in answer.content))
    assert answer.usage.input_tokens + (answer.usage.cache_read_input_tokens or 0) > 5
    assert 0 < answer.usage.output_tokens <= 24
    assert answer.stop_reason in {"end_turn", "max_tokens"}
    assert answer.model == MODEL


async def test_the_anthropic_sdk_streams_text_and_usage(anthropic_sdk):
    async with anthropic_sdk.messages.stream(
        model=MODEL, messages=PROMPT, max_tokens=24, extra_body={"temperature": 0}
    ) as stream:
        deltas = [text async for text in stream.text_stream]
        whole = await stream.get_final_message()

    assert counts_to_five("".join(deltas))
    assert len(deltas) > 3
    assert "".join(deltas) == "".join(block.text for block in whole.content)
    assert whole.usage.input_tokens + (whole.usage.cache_read_input_tokens or 0) > 5
    assert 3 < whole.usage.output_tokens <= 24


async def test_a_system_prompt_reaches_the_model_through_both(openai_sdk, anthropic_sdk):
    system = "You are a helpful assistant. " * 20
    through_openai = await openai_sdk.chat.completions.create(
        model=MODEL, messages=[{"role": "system", "content": system}, *PROMPT], max_tokens=1
    )
    through_anthropic = await anthropic_sdk.messages.create(
        model=MODEL, system=system, messages=PROMPT, max_tokens=1
    )
    usage = through_anthropic.usage

    assert through_openai.usage.prompt_tokens > 100
    assert usage.input_tokens + (usage.cache_read_input_tokens or 0) > 100


async def test_a_wrong_key_is_the_sdks_own_error(endpoint):
    wrong = Endpoint("local", "wrong", endpoint.base_url)
    async with openai.AsyncOpenAI(
        api_key="wrong", base_url=endpoint.base_url, max_retries=0, http_client=client_for(wrong)
    ) as client:
        with pytest.raises(openai.AuthenticationError):
            await client.chat.completions.create(model=MODEL, messages=PROMPT, max_tokens=1)
    async with anthropic.AsyncAnthropic(
        api_key="wrong",
        base_url=endpoint.base_url.removesuffix("/v1"),
        max_retries=0,
        http_client=client_for(wrong),
    ) as client:
        with pytest.raises(anthropic.AuthenticationError):
            await client.messages.create(model=MODEL, messages=PROMPT, max_tokens=1)


# Disconnected readers


async def first_of_openai(client):
    stream = await client.chat.completions.create(
        model=MODEL, messages=STORY, max_tokens=3500, stream=True, extra_body=ENDLESS
    )
    async for chunk in stream:
        if chunk.choices and chunk.choices[0].delta.content:
            return stream
    raise AssertionError("it ended by itself")


async def first_of_anthropic(client):
    stream = await client.messages.create(
        model=MODEL, messages=STORY, max_tokens=3500, stream=True, extra_body=ENDLESS
    )
    async for event in stream:
        if event.type == "content_block_delta":
            return stream
    raise AssertionError("it ended by itself")


async def test_closing_the_openai_sdks_stream_ends_the_work(openai_sdk, busy):
    streams = await asyncio.gather(*(first_of_openai(openai_sdk) for _ in range(4)))
    assert await busy() == 4  # every slot the server has

    await asyncio.gather(*(stream.close() for stream in streams))

    await reaches(busy, 0)
    began = time.monotonic()
    await openai_sdk.chat.completions.create(model=MODEL, messages=PROMPT, max_tokens=1)
    assert time.monotonic() - began < PATIENCE_S  # four times 3,500 tokens would be minutes


async def test_closing_the_anthropic_sdks_stream_ends_the_work(anthropic_sdk, busy):
    streams = await asyncio.gather(*(first_of_anthropic(anthropic_sdk) for _ in range(4)))
    assert await busy() == 4

    await asyncio.gather(*(stream.close() for stream in streams))

    await reaches(busy, 0)
    began = time.monotonic()
    await anthropic_sdk.messages.create(model=MODEL, messages=PROMPT, max_tokens=1)
    assert time.monotonic() - began < PATIENCE_S


# Through the package's own providers


@pytest.fixture(params=["openai", "anthropic"])
async def provider(request, endpoint):
    kinds = {
        "openai": (OpenAIProvider, endpoint.base_url),
        "anthropic": (AnthropicProvider, endpoint.base_url.removesuffix("/v1")),
    }
    kind, base_url = kinds[request.param]
    provider = kind(Endpoint(request.param, endpoint.api_key, base_url))
    yield provider
    await provider.aclose()


def question(prompt: list[dict[str, str]], **parameters) -> Request:
    text = prompt[0]["content"]
    return Request(
        f"local:{MODEL}", (Message("user", (TextPart(text),)),), Parameters(**parameters)
    )


async def test_each_provider_yields_its_text_and_usage(provider):
    async with aclosing(provider.stream(question(PROMPT, max_tokens=24, temperature=0))) as stream:
        events = [event async for event in stream]

    deltas = [event.text for event in events if isinstance(event, TextDelta)]
    finish = events[-1]
    assert counts_to_five("".join(deltas))
    assert len(deltas) > 3
    assert isinstance(finish, Finish)
    assert finish.finish_reason in {"stop", "length"}
    assert finish.response_model == MODEL
    assert finish.usage.input_tokens > 5
    assert 3 < finish.usage.output_tokens <= 24


async def test_leaving_a_providers_stream_ends_the_work(provider, busy):
    request = question(STORY, max_tokens=3500, extra=ENDLESS)
    async with aclosing(provider.stream(request)) as stream:
        async for event in stream:
            if isinstance(event, TextDelta):
                break
        assert await busy() == 1

    await reaches(busy, 0)
