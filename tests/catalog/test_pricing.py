"""What runs cost: own prices, free endpoints, dated and tiered list prices, and the unknown."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

import llm_playground as lp
from llm_playground import config
from llm_playground.catalog import pricing
from llm_playground.config.endpoint_table import BUILT_IN
from llm_playground.config.options import Rates
from llm_playground.types import Usage
from tests.providers.formats import openai_stream
from tests.providers.runner import Runner
from tests.providers.server import Reply, WireServer
from tests.providers.vendors import KEY, OPENAI

NOW = datetime(2026, 10, 1, 12, tzinfo=UTC)
MILLION = 1_000_000
ONE_EACH = Usage(MILLION, MILLION)


pytestmark = pytest.mark.usefixtures("home")


def cost(model, usage=ONE_EACH, at=NOW):
    found = pricing.price(model, usage, at)
    assert isinstance(found.cost_usd, Decimal | None)
    return found.cost_usd, found.source


class TestOwnPrices:
    def test_they_win_over_the_list_and_over_free(self):
        rates = {"input_usd_per_mtok": 1, "output_usd_per_mtok": "2.5"}
        lp.configure(prices={"openai:gpt-4o": rates, "ollama:*": rates})

        assert cost("openai:gpt-4o") == (Decimal("3.5"), "override")
        assert cost("ollama:anything") == (Decimal("3.5"), "override")
        assert cost("openai:gpt-4o-mini")[1] == "genai-prices"

    def test_the_nearest_name_counts(self):
        lp.configure(
            prices={
                "openai:*": {"input_usd_per_mtok": 1, "output_usd_per_mtok": 1},
                "openai:big-*": {"input_usd_per_mtok": 2, "output_usd_per_mtok": 2},
                "openai:big-one": {"input_usd_per_mtok": 3, "output_usd_per_mtok": 3},
            }
        )

        names = ("openai:small", "openai:big-two", "openai:big-one")
        assert [cost(name)[0] for name in names] == [2, 4, 6]

    def test_cached_input_has_its_own_price_where_one_is_said(self):
        usage = Usage(1000, 100, cache_read_tokens=600, cache_write_tokens=300)
        plain = {"input_usd_per_mtok": 10, "output_usd_per_mtok": 50}
        cached = {"cache_read_usd_per_mtok": 1, "cache_write_usd_per_mtok": 12.5}

        lp.configure(prices={"openai:x": plain | cached, "openai:y": plain})

        assert cost("openai:x", usage)[0] == Decimal("0.01035")  # 100, 600, 300 in, 100 out
        assert cost("openai:y", usage)[0] == Decimal("0.015")

    def test_a_tenth_is_a_tenth(self):
        lp.configure(prices={"openai:x": {"input_usd_per_mtok": 0.1, "output_usd_per_mtok": 0.2}})

        assert cost("openai:x")[0] == Decimal("0.3")

    def test_contradictory_or_missing_counts_have_no_price(self):
        lp.configure(prices={"openai:x": {"input_usd_per_mtok": 1, "output_usd_per_mtok": 1}})

        assert cost("openai:x", Usage(10, 10, cache_read_tokens=11)) == (None, None)
        assert cost("openai:x", Usage(10, None)) == (None, None)
        assert cost("openai:x", None) == (None, None)

    def test_none_takes_a_price_back(self):
        lp.configure(prices={"openai:x": {"input_usd_per_mtok": 1, "output_usd_per_mtok": 1}})
        lp.configure(prices={"openai:x": None})

        assert cost("openai:x") == (None, None)

    def test_an_own_endpoint_gets_one_together_with_it(self):
        lp.configure(
            endpoints={"mine": "http://127.0.0.1:9/v1"},
            prices={"mine:*": {"input_usd_per_mtok": 1, "output_usd_per_mtok": 1}},
        )

        assert cost("mine:model") == (2, "override")

    def test_a_run_says_where_its_price_came_from(self, monkeypatch):
        with WireServer(Reply(openai_stream(["Hi"]))) as server:
            lp.configure(
                endpoints={"mine": f"{server.url}/v1"},
                prices={"mine:*": {"input_usd_per_mtok": 1, "output_usd_per_mtok": 1}},
            )
            run = lp.ask("Hi", "mine:model")

        assert (run.cost_usd, run.price_source) == (Decimal("0.000016"), "override")
        logged = lp.sql("SELECT cost_usd, price_source FROM runs WHERE run_id = ?", [run.id])
        assert logged.values.tolist() == [[0.000016, "override"]]

    WRONG = (
        ({"gpt-4o": {}}, "write provider:name"),
        ({"opnai:gpt-4o": {}}, "Did you mean openai"),
        ({"zzzz:gpt-4o": {}}, "configure\\(endpoints"),
        ({"openai:x": {"input_usd_per_mtok": 1}}, "output_usd_per_mtok"),
        ({"openai:x": 5}, "takes input_usd_per_mtok"),
        (
            {"openai:x": {"input_usd_per_mtok": 1, "output_usd_per_mtok": 1, "cache_read": 1}},
            "Did you mean cache_read_usd_per_mtok",
        ),
        ({"openai:x": {"input_usd_per_mtok": -1, "output_usd_per_mtok": 1}}, "0 or more"),
        ({"openai:x": {"input_usd_per_mtok": "a lot", "output_usd_per_mtok": 1}}, "0 or more"),
        ({"openai:x": {"input_usd_per_mtok": float("nan"), "output_usd_per_mtok": 1}}, "0 or more"),
        ({"openai:x": {"input_usd_per_mtok": True, "output_usd_per_mtok": 1}}, "0 or more"),
        ("cheap", "prices takes"),
    )

    @pytest.mark.parametrize(("setting", "line"), WRONG, ids=str)
    def test_what_is_wrong_is_one_line(self, setting, line):
        with pytest.raises(lp.InvalidParameterError, match=line) as caught:
            lp.configure(prices=setting)

        assert "\n" not in str(caught.value)


class TestFree:
    @pytest.mark.parametrize("provider", ["local", "ollama", "lmstudio", "vllm", "llama.cpp"])
    def test_a_server_of_ones_own_costs_nothing(self, provider):
        assert cost(f"{provider}:any") == (0, "free")
        assert cost(f"{provider}:any", usage=None) == (0, "free")

    def test_a_gateway_is_not_free_because_it_is_near(self, monkeypatch):
        before = cost("openai:gpt-4o")
        monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")

        assert cost("openai:gpt-4o") == before
        assert before[0] > 0

    def test_an_own_endpoint_is_unknown_until_it_is_said_to_be_free(self):
        lp.configure(endpoints={"mine": "http://127.0.0.1:9/v1"})
        assert cost("mine:gpt-4o") == (None, None)

        lp.configure(endpoints={"mine": {"free": True}})
        assert cost("mine:gpt-4o") == (0, "free")

    def test_a_free_variant_of_openrouter_is_free_and_only_there(self):
        assert cost("openrouter:google/gemma-3-27b-it:free") == (0, "free")
        assert cost("groq:google/gemma-3-27b-it:free") == (None, None)


class TestListed:
    def test_a_dated_price_is_that_of_the_runs_day(self):
        the_day = datetime(2025, 6, 10, tzinfo=UTC)  # o3 became cheaper

        assert cost("openai:o3", at=the_day - timedelta(seconds=1))[0] == 50
        assert cost("openai:o3", at=the_day)[0] == 10

    def test_a_price_may_depend_on_the_hour(self):
        night = datetime(2026, 10, 1, 20, tzinfo=UTC)

        assert cost("deepseek:deepseek-chat", at=night)[0] == Decimal("0.685")
        assert cost("deepseek:deepseek-chat", at=NOW)[0] == Decimal("1.37")

    def test_a_long_prompt_is_on_a_higher_tier(self):
        short, long = Usage(200_000, 1000), Usage(200_001, 1000)

        assert cost("anthropic:claude-sonnet-4-5", short)[0] == Decimal("0.615")
        assert cost("anthropic:claude-sonnet-4-5", long)[0] == Decimal("1.222506")

    def test_cached_input_is_priced_as_such(self):
        usage = Usage(1000, 100, cache_read_tokens=600, cache_write_tokens=300)

        # 100 at 3, 600 at 0.3, 300 at 3.75, 100 at 15 dollars per million
        assert cost("anthropic:claude-sonnet-4-5", usage)[0] == Decimal("0.003105")

    def test_two_ways_to_one_vendor_have_one_price(self):
        model = "gemini-2.5-flash"

        assert cost(f"gemini:{model}") == cost(f"gemini-legacy:{model}")
        assert cost(f"gemini:{model}")[0] > 0

    def test_an_own_endpoint_may_be_priced_as_a_vendor(self):
        lp.configure(
            endpoints={"gate": {"base_url": "http://127.0.0.1:9/v1", "priced_as": "openai"}}
        )

        assert cost("gate:gpt-4o") == cost("openai:gpt-4o")

    @pytest.mark.parametrize(
        "model",
        [
            "openai:no-such-model-ever",
            "nowhere:gpt-4o",
            "huggingface:any",
            "openai:text-embedding-3-large",  # listed without a price for output
            "gemini:gemma-3-27b-it",  # listed without any price
        ],
    )
    def test_what_nobody_knows_is_unknown_and_never_zero(self, model):
        assert cost(model) == (None, None)

    def test_no_listed_model_is_free_by_mistake(self):
        from genai_prices import data_snapshot

        listed = {provider.id: provider for provider in data_snapshot.get_snapshot().providers}
        for row in BUILT_IN.values():
            for model in listed[row.priced_as].models if row.priced_as else ():
                found = pricing.price(f"{row.name}:{model.id}", ONE_EACH, NOW)
                assert found.cost_usd != 0 or found.source == "free", model.id


def test_ready_made_rates_are_checked_and_exact():
    lp.configure(endpoints={"mine": "http://h/v1"}, prices={"mine:*": Rates(0.1, 0.2)})
    assert config.rates("mine:m") == Rates(Decimal("0.1"), Decimal("0.2"))
    for wrong in (Decimal("NaN"), Decimal(-1), None, "much"):
        with pytest.raises(lp.InvalidParameterError, match="input_usd_per_mtok"):
            lp.configure(prices={"mine:*": Rates(wrong, Decimal(1))})
    with pytest.raises(lp.ConfigError, match="null byte"):
        lp.configure(log="a\0b")


async def test_a_price_list_that_fails_and_an_echoed_key_leave_a_run_that_ended(monkeypatch):
    def fails(*_):
        raise TypeError("a table of another")

    monkeypatch.setattr(pricing, "price", fails)
    headers = {"content-type": "text/event-stream", "x-request-id": f"req-{KEY}"}
    events = [e.replace(b"gpt-4o-2024-08-06", KEY.encode()) for e in openai_stream(["A"])]
    with WireServer(Reply(events, headers=headers)) as wire:
        async with Runner(OPENAI, wire.url) as asker:
            run = await asker.run()
    assert (run.status, run.text, run.cost_usd) == ("completed", "A", None)
    assert run.response_model == "[redacted]"
    assert run.attempts[0].request_id == "req-[redacted]"
    assert list(lp.runs().status) == ["completed"]


@pytest.mark.parametrize(
    "rate",
    [-1, -1e-12, float("nan"), float("inf"), "inf", "NaN", 1e30, 100_000_000, "1e8", True, [], "a"],
)
@pytest.mark.parametrize("name", ["input_usd_per_mtok", "cache_read_usd_per_mtok"])
class TestBounds:
    def test_configured_rates(self, home, name, rate):
        rates = {"input_usd_per_mtok": 1, "output_usd_per_mtok": 1} | {name: rate}

        with pytest.raises(lp.InvalidParameterError, match=f"{name} is .* below 100,000,000"):
            lp.configure(prices={"openai:x": rates})

    def test_rates_of_the_policy(self, home, tmp_path, monkeypatch, name, rate):
        values = {"input_usd_per_mtok": 1, "output_usd_per_mtok": 1} | {name: rate}
        written = ", ".join(f"{key} = {_toml(value)}" for key, value in values.items())
        path = tmp_path / "policy.toml"
        path.write_text(f'prices = {{ "openai:x" = {{ {written} }} }}')
        monkeypatch.setenv("LLM_PLAYGROUND_POLICY", str(path))

        with pytest.raises(lp.ConfigError, match="cannot be used"):
            lp.ask("hi", "openai:x")


def _toml(value):
    return repr(value).lower().replace("'", '"') if not isinstance(value, str) else f'"{value}"'


@pytest.mark.parametrize("tokens", [2**53 - 1, 10**15, 10**13, 10**12])
@pytest.mark.parametrize("kind", ["prompt_tokens", "completion_tokens"])
def test_costs_that_no_column_holds_are_estimated(serve, caplog, tokens, kind):
    usage = {"prompt_tokens": 7, "completion_tokens": 5} | {kind: tokens}
    serve(Reply(openai_stream(["word " * 40], usage=usage)))
    rates = {"input_usd_per_mtok": 1, "output_usd_per_mtok": 1}
    lp.configure(prices={"openai:*": rates}, confirm_above_usd=None)

    run = lp.ask("hi", "openai:x", max_tokens=50)

    assert (run.status, run.usage_source) == ("completed", "estimated")
    assert run.cost_usd == Decimal("0.000051")
    assert "which cannot be: not counted" in caplog.text
    assert lp.runs().cost_usd.tolist() == [0.000051]


@pytest.mark.parametrize(
    ("reported", "cost_usd"),
    [
        ({"prompt_tokens": 7}, "0.000057"),
        ({"prompt_tokens": 7, "completion_tokens": None}, "0.000057"),
        ({"prompt_tokens": 7, "completion_tokens": -1}, "0.000057"),
        ({"prompt_tokens": 7, "completion_tokens": "5"}, "0.000057"),
        ({"completion_tokens": 5}, "0.000006"),
        ({"prompt_tokens": 1e300, "completion_tokens": 5}, "0.000006"),
        ({"prompt_tokens": 7, "completion_tokens_details": {"reasoning_tokens": 90}}, "0.000097"),
        ({"completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 40}}, "0.000045"),
        ({"prompt_tokens": 10**13}, "0.000051"),
    ],
)
def test_a_count_that_is_missing_is_estimated(serve, reported, cost_usd):
    serve(Reply(openai_stream(["word " * 40], usage=reported)))
    rates = {"input_usd_per_mtok": 1, "output_usd_per_mtok": 1}
    lp.configure(prices={"openai:*": rates}, confirm_above_usd=None)

    run = lp.ask("hi", "openai:x", max_tokens=50)

    assert (run.usage_source, run.cost_usd) == ("estimated", Decimal(cost_usd))


def test_a_large_cost_is_stored(serve):
    usage = {"prompt_tokens": 0, "completion_tokens": 999_999 * 10**6}
    serve(Reply(openai_stream(["hi"], usage=usage)))
    rates = {"input_usd_per_mtok": 1, "output_usd_per_mtok": 1}
    lp.configure(prices={"openai:*": rates}, confirm_above_usd=None)

    assert lp.ask("hi", "openai:x", max_tokens=50).cost_usd == 999_999
    assert lp.runs().cost_usd.tolist() == [999_999]
