"""Few servers are kept; the least recently used idle one ends first."""

import asyncio
from contextlib import aclosing

import httpx2
import pytest

from llm_playground.providers import Endpoint, local
from llm_playground.providers.local import server


@pytest.fixture(autouse=True)
async def time_limit():
    async with asyncio.timeout(180):
        yield


@pytest.fixture
async def model(tmp_path, real_weights, servers, until):
    """The same weights under other names: a server each."""

    def named(name: str) -> str:
        path = tmp_path / f"{name}.gguf"
        if not path.exists():
            path.symlink_to(real_weights)
        return str(path)

    return named


@pytest.fixture
def settle(servers, until):
    """Wait until no more servers live than may."""
    return lambda: until(lambda: servers() <= server.MAX_SERVERS)


async def endpoint_of(model_name: str) -> Endpoint:
    async with aclosing(local.start(model_name)) as events:
        return [event async for event in events][-1]


async def in_a_task(model_name: str) -> Endpoint:
    """As a run does: the task that asked ends, and is done with the server."""
    return await asyncio.create_task(endpoint_of(model_name))


async def answers(endpoint: Endpoint, **more) -> bool:
    headers = {"Authorization": f"Bearer {endpoint.api_key}"}
    body = {"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 2} | more
    async with httpx2.AsyncClient(trust_env=False, headers=headers, timeout=60) as client:
        try:
            reply = await client.post(f"{endpoint.base_url}/chat/completions", json=body)
        except httpx2.ConnectError:
            return False
    return reply.status_code == 200


async def test_of_three_the_one_used_longest_ago_ends(model, servers, settle):
    first, second = await in_a_task(model("a")), await in_a_task(model("b"))
    assert await in_a_task(model("a")) == first  # used again

    third = await in_a_task(model("c"))
    await settle()

    assert [await answers(endpoint) for endpoint in (first, second, third)] == [True, False, True]
    assert servers() == 2


async def test_an_ended_one_is_started_again_when_asked_for(model, settle):
    first = await in_a_task(model("a"))
    await in_a_task(model("b"))
    await in_a_task(model("c"))
    await settle()

    again = await in_a_task(model("a"))

    assert again != first
    assert await answers(again)


async def test_one_that_is_answering_stays_though_its_task_is_over(model):
    first = await in_a_task(model("a"))
    headers = {"Authorization": f"Bearer {first.api_key}"}
    body = {"prompt": "Once upon a time", "max_tokens": 3500, "ignore_eos": True, "stream": True}
    async with (
        httpx2.AsyncClient(trust_env=False, headers=headers, timeout=60) as client,
        client.stream("POST", f"{first.base_url}/completions", json=body) as story,
    ):
        lines = story.aiter_lines()
        assert (await anext(lines)).startswith("data: ")
        for name in ("b", "c", "d"):
            await in_a_task(model(name))

        assert await answers(first)
        assert [await anext(lines) for _ in range(20)]


async def test_one_whose_user_has_not_asked_yet_stays_until_that_is_over(model):
    handed, go_on = asyncio.Event(), asyncio.Event()

    async def run_that_queues() -> bool:
        endpoint = await endpoint_of(model("a"))
        handed.set()
        await go_on.wait()
        return await answers(endpoint)

    queueing = asyncio.create_task(run_that_queues())
    await handed.wait()
    for name in ("b", "c", "d"):
        await in_a_task(model(name))
    go_on.set()

    assert await queueing


async def test_more_live_while_more_are_used_and_few_when_that_is_over(
    model, servers, settle, until
):
    go_on = asyncio.Event()

    async def run(name: str) -> bool:
        endpoint = await endpoint_of(model(name))
        await go_on.wait()
        return await answers(endpoint)

    runs = [asyncio.create_task(run(name)) for name in ("a", "b", "c")]
    await until(lambda: servers() >= 3)
    go_on.set()

    assert await asyncio.gather(*runs) == [True, True, True]
    await settle()
