"""The catalog: live lists, the price list, and what can be used here and now."""

import socket
import time
from decimal import Decimal

import pytest

import llm_playground as lp
from llm_playground import _runtime, config
from llm_playground.catalog import listing, models
from tests.providers.server import Reply, WireServer, json_reply

KEY = "sk-" + "planted" * 4
LIST = json_reply(
    200,
    {
        "data": [
            {"id": "gpt-old", "created": 1_500_000_000},
            {"id": "gpt-4o", "created": 1_715_367_049},
            {"id": "gpt-4o-mini-tts", "created": 1_715_367_049},
            {"id": "ft:gpt-4o:me::1", "created": 1_716_000_000},
        ]
    },
)


@pytest.fixture(autouse=True)
def as_it_was(home, monkeypatch):
    """No server listens at the known ports, and one that answers has time to."""
    monkeypatch.setattr(listing, "_LOCAL_TIMEOUT_S", 60)
    monkeypatch.setattr(models, "_MODELS_S", 60)
    with socket.socket() as bound:  # nobody else can listen there meanwhile
        bound.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{bound.getsockname()[1]}/v1"
        lp.configure(endpoints=dict.fromkeys(["ollama", "lmstudio", "llama.cpp", "vllm"], url))
        yield


@pytest.fixture
def openai(monkeypatch):
    """A scripted OpenAI that serves four models."""
    with WireServer(LIST) as server:
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        monkeypatch.setenv("OPENAI_BASE_URL", f"{server.url}/v1")
        yield server


def refreshed(timeout_s=60.0):
    _runtime.run(models.refresh(timeout_s))
    return {choice.model: choice for choice in models.choices()}


def of(provider):
    return [choice for choice in models.choices() if choice.provider == provider]


class TestWithoutALiveList:
    def test_the_local_model_is_first_and_free(self):
        first = models.choices()[0]

        assert (first.provider, first.available, first.price) == ("local", True, "free")

    def test_the_three_vendors_say_what_is_missing(self):
        reasons = {choice.provider: choice.reason for choice in models.choices()}

        assert reasons["openai"] == "set OPENAI_API_KEY"
        assert reasons["anthropic"] == "set ANTHROPIC_API_KEY"
        assert reasons["gemini"] == "set GOOGLE_GEMINI_API_KEY"

    def test_others_are_offered_once_their_key_is_there(self, monkeypatch):
        assert of("groq") == []
        monkeypatch.setenv("GROQ_API_KEY", "gsk_" + "planted" * 4)

        offered = of("groq")

        assert offered
        assert all(choice.available for choice in offered)
        assert all(choice.label == choice.model for choice in offered)

    def test_a_malformed_key_is_said(self, monkeypatch):
        monkeypatch.setenv("GROQ_API_KEY", "my key")

        assert {choice.reason for choice in of("groq")} == {"GROQ_API_KEY is not a key"}

    def test_newest_first_and_deprecated_last(self):
        names = [choice.model for choice in of("openai")]
        deprecated = [choice.deprecated for choice in of("openai")]

        assert names.index("openai:gpt-5.4") < names.index("openai:gpt-4o")
        assert deprecated == sorted(deprecated)

    def test_the_retired_sdk_does_not_list_everything_twice(self):
        assert of("gemini-legacy") == []

    def test_nothing_is_asked(self, openai):
        models.choices()
        models.known_models()

        assert openai.requests == []

    def test_own_prices_are_shown(self):
        lp.configure(
            prices={"openai:gpt-4o": {"input_usd_per_mtok": 1, "output_usd_per_mtok": 2.5}}
        )

        [choice] = [c for c in models.choices() if c.model == "openai:gpt-4o"]
        assert choice.price == "$1/$2.50"


class TestLiveLists:
    def test_what_is_served_is_offered_with_its_prices_newest_first(self, openai):
        choices = refreshed()

        names = [name for name in choices if name.startswith("openai:")]
        assert names == ["openai:ft:gpt-4o:me::1", "openai:gpt-4o", "openai:gpt-old"]
        known = choices["openai:gpt-4o"]
        assert known.available
        assert (known.input_usd_per_mtok, known.context_window) == (Decimal("2.5"), 128_000)
        assert choices["openai:gpt-old"].input_usd_per_mtok is None

    def test_a_list_is_believed_for_ten_minutes(self, openai, monkeypatch):
        refreshed()
        refreshed()
        assert len(openai.requests) == 1

        now = time.monotonic()
        monkeypatch.setattr(models.time, "monotonic", lambda: now + 601)
        refreshed()
        assert len(openai.requests) == 2

    def test_another_key_is_asked_again(self, openai, monkeypatch):
        refreshed()
        monkeypatch.setenv("OPENAI_API_KEY", KEY + "x")
        refreshed()

        keys = [request.headers["authorization"] for request in openai.requests]
        assert keys == [f"Bearer {KEY}", f"Bearer {KEY}x"]

    def test_without_its_key_the_list_is_forgotten(self, openai, monkeypatch):
        assert "openai:gpt-old" in refreshed()
        monkeypatch.delenv("OPENAI_API_KEY")

        assert "openai:gpt-old" not in refreshed()

    def test_a_refused_key_is_said(self, monkeypatch):
        with WireServer(json_reply(401, {})) as server:
            monkeypatch.setenv("OPENAI_API_KEY", KEY)
            monkeypatch.setenv("OPENAI_BASE_URL", server.url)
            refreshed()

        reasons = {(choice.available, choice.reason) for choice in of("openai")}
        assert reasons == {(False, "OPENAI_API_KEY is not accepted")}

    def test_a_provider_that_gives_no_list_keeps_the_price_list(self, monkeypatch):
        with WireServer(json_reply(500, {})) as server:
            monkeypatch.setenv("OPENAI_API_KEY", KEY)
            monkeypatch.setenv("OPENAI_BASE_URL", server.url)
            choices = refreshed()

        assert choices["openai:gpt-4o"].available

    @pytest.mark.parametrize(
        ("models", "reason"),
        [
            ([{"id": f"m{n}"} for n in range(5_001)], "more than 5,000 models"),
            ([{"id": "m", "about": "x" * 8_000_000}], "more than 8 MB"),
        ],
        ids=["many", "large"],
    )
    async def test_a_list_without_bound_is_refused_in_one_line(self, monkeypatch, models, reason):
        with WireServer(json_reply(200, {"data": models})) as server:
            monkeypatch.setenv("OPENAI_API_KEY", KEY)
            monkeypatch.setenv("OPENAI_BASE_URL", server.url)
            answer = await listing.listed(config.rows()["openai"], 60)

        assert answer.models == ()
        assert reason in answer.reason

    async def test_a_list_that_never_ends_is_read_up_to_its_bound(self, monkeypatch):
        pages = (b'{"data": [', *[b'{"id": "m", "about": "' + b"x" * 65_536 + b'"},'] * 200)
        with WireServer(Reply(pages, end="hang")) as server:
            monkeypatch.setenv("OPENAI_API_KEY", KEY)
            monkeypatch.setenv("OPENAI_BASE_URL", server.url)
            answer = await listing.listed(config.rows()["openai"], 60)

        assert "more than 8 MB" in answer.reason

    async def test_the_bound_is_for_all_pages_together(self, monkeypatch):
        page = {"data": [{"id": "m", "about": "x" * 3_000_000}], "has_more": True, "last_id": "m"}
        with WireServer(json_reply(200, page)) as server:
            monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
            monkeypatch.setenv("ANTHROPIC_BASE_URL", server.url)
            answer = await listing.listed(config.rows()["anthropic"], 60)

        assert "more than 8 MB" in answer.reason
        assert len(server.requests) == 3

    @pytest.mark.parametrize(
        "item",
        [
            {"id": "x" * 201},
            {"id": "\x1b[2Jgpt"},
            {"id": "gpt\u202e4"},
            {"id": "gpt", "type": ["chat"]},
            {"id": ["gpt"]},
            {"id": {"a": 1}},
            {"id": None},
        ],
    )
    async def test_an_item_that_is_no_model_is_left_out(self, monkeypatch, item):
        with WireServer(json_reply(200, {"data": [item, {"id": "good"}]})) as server:
            monkeypatch.setenv("OPENAI_API_KEY", KEY)
            monkeypatch.setenv("OPENAI_BASE_URL", server.url)
            answer = await listing.listed(config.rows()["openai"], 60)

        assert [model.name for model in answer.models] == ["good"]

    @pytest.mark.parametrize("tokens", [-1, 2**53, 10**400, 1.5, "many", True])
    async def test_an_impossible_context_window_is_unknown(self, monkeypatch, tokens):
        item = {"id": "good", "context_length": tokens}
        with WireServer(json_reply(200, {"data": [item]})) as server:
            monkeypatch.setenv("OPENAI_API_KEY", KEY)
            monkeypatch.setenv("OPENAI_BASE_URL", server.url)
            answer = await listing.listed(config.rows()["openai"], 60)

        assert answer.models[0].context_window is None

    def test_who_answers_late_is_not_waited_for(self, monkeypatch):
        with WireServer(Reply(delay_s=60)) as server:
            monkeypatch.setenv("OPENAI_API_KEY", KEY)
            monkeypatch.setenv("OPENAI_BASE_URL", server.url)
            choices = refreshed(timeout_s=0.2)

        assert choices["openai:gpt-4o"].available

    def test_an_own_endpoint_is_offered_when_it_lists_models(self):
        with WireServer(LIST) as server:
            lp.configure(endpoints={"mine": f"{server.url}/v1"})
            choices = refreshed()

        mine = choices["mine:gpt-4o"]
        assert (mine.available, mine.price, mine.label) == (True, "", "mine:gpt-4o")


class TestThisMachine:
    def test_a_server_that_listens_is_offered_unasked_and_free(self):
        assert of("ollama") == []
        with WireServer(json_reply(200, {"data": [{"id": "llama3.2:3b"}]})) as server:
            lp.configure(endpoints={"ollama": f"{server.url}/v1"})
            choices = refreshed()

        found = choices["ollama:llama3.2:3b"]
        assert (found.available, found.price) == (True, "free")

    def test_one_that_went_is_offered_no_more(self):
        with WireServer(json_reply(200, {"data": [{"id": "m"}]})) as server:
            lp.configure(endpoints={"ollama": f"{server.url}/v1"})
            assert "ollama:m" in refreshed()

        assert "ollama:m" not in refreshed()


class TestTheFrame:
    COLUMNS = (
        "model provider available reason context_window input_usd_per_mtok output_usd_per_mtok "
        "streaming vision tools deprecated retires_at"
    )

    def test_it_has_a_row_for_each_model_usable_ones_first(self, openai):
        frame = lp.models()

        assert list(frame) == self.COLUMNS.split()
        assert frame.available.tolist() == sorted(frame.available, reverse=True)
        row = frame.set_index("model").loc["openai:gpt-4o"]
        assert (row.provider, row.available, row.input_usd_per_mtok) == ("openai", True, 2.5)

    def test_the_unknown_is_not_zero_and_not_false(self, openai):
        row = lp.models().set_index("model").loc["openai:gpt-old"]

        assert row[["context_window", "input_usd_per_mtok", "vision", "tools"]].isna().all()

    def test_what_a_live_list_says_of_pictures_and_tools_is_there(self, monkeypatch):
        said = {
            "id": "acme/big",
            "architecture": {"input_modalities": ["text", "image"], "output_modalities": ["text"]},
            "supported_parameters": ["temperature"],
        }
        with WireServer(json_reply(200, {"data": [said]})) as server:
            monkeypatch.setenv("OPENROUTER_API_KEY", "sk-or-" + "planted" * 4)
            lp.configure(endpoints={"openrouter": server.url})
            row = lp.models().set_index("model").loc["openrouter:acme/big"]

        assert (bool(row.vision), bool(row.tools)) == (True, False)
