"""Live model lists of each wire format, and the reasons why there is none."""

import asyncio
import time
from datetime import UTC, datetime

import pytest

import llm_playground as lp
from llm_playground import config
from llm_playground.catalog import listing
from llm_playground.catalog.listing import ListedModel, listed, listening
from llm_playground.config.endpoint_table import LOCAL_SERVERS
from tests.providers.server import Reply, WireServer, json_reply

KEY = "planted-" + "word-" * 4
DAY = datetime(2025, 8, 7, tzinfo=UTC)
SECONDS = int(DAY.timestamp())


def row(base_url, **fields):
    lp.configure(endpoints={"mine": {"base_url": base_url, **fields}})
    return config.rows()["mine"]


async def list_of(script, timeout_s=60.0, **fields):
    with WireServer(script) as server:
        return await listed(row(server.url, **fields), timeout_s)


def openai_list(*items):
    return json_reply(200, {"object": "list", "data": items})


# One item of each service's list, as its documentation or a recorded answer shows it.
ITEMS = {
    "OpenAI": (
        {"id": "gpt-x", "object": "model", "created": SECONDS, "owned_by": "system"},
        ListedModel("gpt-x", released_at=DAY),
    ),
    "OpenRouter": (
        {
            "id": "acme/big",
            "created": SECONDS,
            "context_length": 262144,
            "architecture": {"input_modalities": ["text", "image"], "output_modalities": ["text"]},
            "supported_parameters": ["max_tokens", "tools"],
        },
        ListedModel("acme/big", DAY, context_window=262144, vision=True, tools=True),
    ),
    "OpenRouter, text only": (
        {
            "id": "acme/small",
            "architecture": {"input_modalities": ["text"], "output_modalities": ["text"]},
            "supported_parameters": ["max_tokens"],
        },
        ListedModel("acme/small", vision=False, tools=False),
    ),
    "Groq": (
        {"id": "quick", "active": True, "context_window": 131072},
        ListedModel("quick", context_window=131072),
    ),
    "Mistral": (
        {
            "id": "medium",
            "max_context_length": 131072,
            "deprecation": "2027-01-01T00:00:00Z",
            "capabilities": {"completion_chat": True, "function_calling": True, "vision": False},
        },
        ListedModel("medium", None, True, 131072, False, True, datetime(2027, 1, 1, tzinfo=UTC)),
    ),
    "OpenAI, an end": (
        {"id": "gpt-x", "created": SECONDS, "shutdown_date": "2027-01-14"},
        ListedModel("gpt-x", DAY, True, retires_at=datetime(2027, 1, 14, tzinfo=UTC)),
    ),
    "OpenAI, no end": (
        {"id": "gpt-x", "created": SECONDS, "shutdown_date": None},
        ListedModel("gpt-x", DAY),
    ),
    "Fireworks": (
        {"id": "a", "context_length": 8, "supports_image_input": False, "supports_tools": True},
        ListedModel("a", context_window=8, vision=False, tools=True),
    ),
    "vLLM": (
        {"id": "org/m", "max_model_len": 4096},
        ListedModel("org/m", context_window=4096),
    ),
    "llama.cpp": (
        {"id": "m.gguf", "created": SECONDS, "meta": {"n_ctx_train": 32768, "n_vocab": 5}},
        ListedModel("m.gguf", DAY, context_window=32768),
    ),
    "odd values": (
        {"id": "m", "created": "soon", "context_window": "big", "capabilities": 5, "meta": None},
        ListedModel("m"),
    ),
}


class TestChatCompletions:
    @pytest.mark.parametrize("service", ITEMS)
    async def test_what_a_service_says_of_a_model_is_read(self, service):
        item, expected = ITEMS[service]

        listing = await list_of(openai_list(item))

        assert (listing.models, listing.reason) == ((expected,), None)

    async def test_it_is_one_get_with_the_key_in_one_header(self, monkeypatch):
        monkeypatch.setenv("MINE_API_KEY", KEY)
        with WireServer(openai_list({"id": "m"})) as server:
            await listed(row(f"{server.url}/v1", key_variable="MINE_API_KEY"), 60.0)

        [request] = server.requests
        assert (request.method, request.path, request.body) == ("GET", "/v1/models", b"")
        assert [n for n, v in request.headers.items() if KEY in v] == ["authorization"]

    async def test_a_server_without_keys_is_sent_none(self):
        with WireServer(openai_list({"id": "m"})) as server:
            await listed(row(server.url), 60.0)

        assert "authorization" not in server.requests[0].headers

    async def test_models_for_other_things_are_left_out(self):
        others = (
            {"id": "nomic-embed-text:latest"},
            {"id": "whisper-large-v3"},
            {"id": "x", "type": "image"},
            {"id": "y", "active": False},
            {"id": "z", "capabilities": {"completion_chat": False}},
            {"id": "w", "architecture": {"output_modalities": ["image"]}},
            {"id": "v", "supports_chat": False},
            {"id": ""},
            {"id": 5},
            {},
        )

        listing = await list_of(openai_list(*others, {"id": "llama3.2:3b"}))

        assert [model.name for model in listing.models] == ["llama3.2:3b"]

    async def test_reads_a_bare_array(self):
        listing = await list_of(json_reply(200, [{"id": "m", "type": "chat"}]))

        assert [model.name for model in listing.models] == ["m"]

    async def test_a_server_without_models_has_an_empty_list(self):
        listing = await list_of(json_reply(200, {"object": "list", "data": None}))

        assert (listing.models, listing.reason) == ((), None)


class TestMessages:
    async def test_pages_are_followed_with_the_vendors_headers(self, monkeypatch):
        monkeypatch.setenv("MINE_API_KEY", KEY)
        image = {"image_input": {"supported": True}}
        first = {
            "data": [
                {
                    "type": "model",
                    "id": "claude-b",
                    "created_at": "2025-08-07T00:00:00Z",
                    "lifecycle": "active",
                    "max_input_tokens": 200000,
                    "capabilities": image,
                }
            ],
            "has_more": True,
            "last_id": "claude-b",
        }
        ending = {"lifecycle": "deprecated", "retires_at": "2027-01-14T00:00:00Z"}
        second = {"data": [{"id": "claude-a", **ending}], "has_more": False}
        with WireServer([json_reply(200, first), json_reply(200, second)]) as server:
            mine = row(server.url, wire_format="anthropic", key_variable="MINE_API_KEY")
            listing = await listed(mine, 60.0)

        assert listing.models == (
            ListedModel("claude-b", DAY, False, 200000, vision=True),
            ListedModel("claude-a", deprecated=True, retires_at=datetime(2027, 1, 14, tzinfo=UTC)),
        )
        paths = [request.path for request in server.requests]
        assert paths == ["/v1/models?limit=1000", "/v1/models?limit=1000&after_id=claude-b"]
        headers = server.requests[1].headers
        assert headers["authorization"] == f"Bearer {KEY}"
        assert headers["anthropic-version"] == "2026-10-21"


class TestGemini:
    @pytest.mark.parametrize("wire_format", ["gemini", "gemini-legacy"])
    async def test_pages_are_followed_and_only_what_generates_counts(
        self, wire_format, monkeypatch
    ):
        monkeypatch.setenv("MINE_API_KEY", KEY)
        writes = {
            "name": "models/gemini-x",
            "inputTokenLimit": 1048576,
            "supportedGenerationMethods": ["generateContent", "countTokens"],
        }
        embeds = {"name": "models/other", "supportedGenerationMethods": ["embedContent"]}
        first = {"models": [writes, embeds], "nextPageToken": "t/2"}
        second = {"models": [{**writes, "name": "models/gemini-y"}]}
        with WireServer([json_reply(200, first), json_reply(200, second)]) as server:
            mine = row(server.url, wire_format=wire_format, key_variable="MINE_API_KEY")
            listing = await listed(mine, 60.0)

        window = {"context_window": 1048576}
        assert listing.models == tuple(ListedModel(f"gemini-{n}", **window) for n in "xy")
        assert [request.path for request in server.requests] == [
            "/v1beta/models?pageSize=1000",
            "/v1beta/models?pageSize=1000&pageToken=t%2F2",
        ]
        assert server.requests[0].headers["x-goog-api-key"] == KEY


FAULTS = {
    "another status": (json_reply(503, {}), "it answers with status 503"),
    "a page": (Reply((b"<html>",)), "its answer is not a list of models"),
    "another JSON": (json_reply(200, {"data": "x"}), "its answer is not a list of models"),
    "a list of texts": (json_reply(200, ["a"]), "its answer is not a list of models"),
    "a redirect": (Reply(status=302, headers={"location": "/x"}), "it answers with status 302"),
    "a drop": (Reply((b"{",), end="drop"), "not reached (RemoteProtocolError)"),
    "silence": (Reply((b"{",), end="hang"), "no answer within 0.5 s"),
    "no answer": (Reply(delay_s=600), "no answer within 0.5 s"),
}


class TestFaults:
    @pytest.mark.parametrize("fault", FAULTS)
    async def test_error_is_the_reason(self, fault):
        script, reason = FAULTS[fault]

        listing = await list_of(script, timeout_s=0.5 if "within 0.5 s" in reason else 60)

        assert (listing.models, listing.reason) == ((), reason)

    async def test_refused_key_is_flagged(self, monkeypatch):
        monkeypatch.setenv("MINE_API_KEY", KEY)

        listing = await list_of(json_reply(401, {"error": KEY}), key_variable="MINE_API_KEY")

        assert listing.key_refused
        assert KEY not in listing.reason

    async def test_refused_connection_is_the_reason(self):
        with WireServer(Reply()) as server:
            mine = row(server.url)
        listing = await listed(mine, 60.0)

        assert listing.reason == "not reached (ConnectError)"

    async def test_a_missing_key_is_a_reason(self):
        listing = await listed(row("http://127.0.0.1:9", key_variable="MINE_API_KEY"), 60.0)

        assert "MINE_API_KEY" in listing.reason

    async def test_an_endless_answer_is_given_up(self, monkeypatch):
        monkeypatch.setattr(listing, "_MOST_BYTES", 1000)

        listed_models = await list_of(Reply([b" " * 400] * 10, end="hang"))

        assert listed_models.reason.startswith("its list has more than")

    async def test_endless_list_is_abandoned(self):
        page = {"data": [{"id": "m"}], "has_more": True, "last_id": "m"}
        with WireServer(json_reply(200, page)) as server:
            listing = await listed(row(server.url, wire_format="anthropic"), 60.0)

        assert [model.name for model in listing.models] == ["m"]
        assert len(server.requests) <= 20

    async def test_a_wire_format_of_a_package_has_no_list(self):
        listing = await listed(row("http://127.0.0.1:9", wire_format="package.module:Class"), 60.0)

        assert listing.reason == "its wire format has no list of models"


class TestDiscovery:
    async def test_finds_listening_servers_in_time(self, monkeypatch):
        monkeypatch.setattr("llm_playground.catalog.listing._LOCAL_TIMEOUT_S", 5.0)
        with (
            WireServer(openai_list({"id": "m"})) as good,
            WireServer(json_reply(200, {"hello": "world"})) as other,
            WireServer(Reply(delay_s=600)) as slow,
            WireServer(Reply()) as gone,
        ):
            gone.close()
            urls = {"ollama": good.url, "vllm": other.url, "lmstudio": slow.url}
            lp.configure(endpoints={**urls, "llama.cpp": gone.url})
            rows = [config.rows()[row.name] for row in LOCAL_SERVERS]
            began = time.monotonic()
            found = await listening(rows)
            took_s = time.monotonic() - began

        assert {name: [m.name for m in lst.models] for name, lst in found.items()} == {
            "ollama": ["m"]
        }
        assert took_s < 60

    async def test_closed_port_is_not_waited_for(self, monkeypatch):
        monkeypatch.setattr("llm_playground.catalog.listing._LOCAL_TIMEOUT_S", 60)
        with WireServer(Reply()) as server:
            gone = server.url
        lp.configure(endpoints=dict.fromkeys([row.name for row in LOCAL_SERVERS], gone))
        rows = [config.rows()[row.name] for row in LOCAL_SERVERS]

        async with asyncio.timeout(50):
            assert await listening(rows) == {}
