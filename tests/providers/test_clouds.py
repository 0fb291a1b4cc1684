"""Clouds by a row of ``configure(endpoints=)``: they get what their own SDK clients send."""

import asyncio

import anthropic
import openai
import pytest

import llm_playground as lp
from tests.providers.server import Reply, WireServer
from tests.providers.vendors import ANTHROPIC, KEY, OPENAI, Vendor

OF_SDK = {"model": "my-model", "messages": [{"role": "user", "content": "Hi"}], "stream": True}


def azure(url):
    return openai.AsyncAzureOpenAI(azure_endpoint=url, api_key=KEY, api_version="2024-10-21")


def foundry(url):
    return anthropic.AsyncAnthropicFoundry(api_key=KEY, base_url=f"{url}/anthropic/")


def bedrock(url):
    return anthropic.AsyncAnthropicBedrockMantle(
        api_key=KEY, aws_region="us-east-1", base_url=f"{url}/anthropic"
    )


CLOUDS = {
    "azure": (
        OPENAI,
        azure,
        {
            "base_url": "/openai/deployments/{model}",
            "query": {"api-version": "2024-10-21"},
            "key_header": "api-key",
        },
    ),
    "foundry": (
        ANTHROPIC,
        foundry,
        {"base_url": "/anthropic", "wire_format": "anthropic", "key_header": "x-api-key"},
    ),
    "bedrock": (ANTHROPIC, bedrock, {"base_url": "/anthropic", "wire_format": "anthropic"}),
}


async def ask_sdk(vendor: Vendor, client):
    if vendor is OPENAI:
        await client.chat.completions.create(**OF_SDK)
    else:
        await client.messages.create(max_tokens=9, **OF_SDK)
    await client.close()


@pytest.mark.parametrize("cloud", CLOUDS)
def test_a_cloud_gets_what_its_sdk_sends(cloud, monkeypatch):
    vendor, client, row = CLOUDS[cloud]
    monkeypatch.setenv("CLOUD_KEY", KEY)
    with WireServer(Reply(vendor.stream(["A"]))) as server:
        asyncio.run(ask_sdk(vendor, client(server.url)))
        row = row | {"base_url": server.url + row["base_url"], "key_variable": "CLOUD_KEY"}
        lp.configure(endpoints={cloud: row})
        assert lp.ask("Hi", f"{cloud}:my-model", max_tokens=9).text == "A"

    theirs, ours = server.requests
    assert ours.path == theirs.path
    names = ("authorization", "api-key", "x-api-key", "anthropic-version")
    sent = {name: ours.headers[name] for name in names if name in ours.headers}
    assert theirs.headers.items() >= sent.items()
    assert any(KEY in value for value in sent.values())
    assert ours.json["messages"] == theirs.json["messages"]
