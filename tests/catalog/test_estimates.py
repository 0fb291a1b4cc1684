"""What a call would use and cost: counted here, learned from the log, never sent."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

import llm_playground as lp
from llm_playground.catalog import estimates
from llm_playground.catalog.estimates import History
from llm_playground.parts import ImagePart, TextPart, ToolCall, ToolResult
from llm_playground.runlog import open_log
from llm_playground.types import Message, Parameters, Request, Schema, Tool, Usage
from tests.runlog.actors import prompt, record
from tests.runlog.holding import held

NOW = datetime(2026, 11, 21, tzinfo=UTC)
MODEL = "openai:any"


@pytest.fixture(autouse=True)
def a_dollar_a_million(home):
    lp.configure(prices={"openai:*": {"input_usd_per_mtok": 1, "output_usd_per_mtok": 10}})


def request(text="Say hello.", *parts, model=MODEL, tools=(), schema=None, **parameters):
    message = Message("user", (TextPart(text), *parts))
    return Request(model, (message,), Parameters(**parameters), tools, schema)


def most(asked, **given):
    return estimates.most_usage(asked, **given)


def test_what_a_model_does_not_take_costs_nothing():
    effort = request(model="gemini:gemini-2.0-flash", max_tokens=9, reasoning_effort="high")
    plain = request(model="gemini:gemini-2.0-flash", max_tokens=9)

    assert estimates.of(effort, NOW) == estimates.of(plain, NOW)


class TestMost:
    def test_the_answer_is_as_long_as_it_may_be(self):
        assert most(request(max_tokens=100)).output_tokens == 100
        assert most(request(), cap=2000).output_tokens == 2000
        assert most(request(max_tokens=100), cap=2000).output_tokens == 100
        assert most(request()).output_tokens == estimates.ASSUMED_MAX_TOKENS

    @pytest.mark.parametrize(
        ("model", "given", "tokens"),
        [
            (MODEL, {"extra": {"max_completion_tokens": 50}}, 50),
            (MODEL, {"extra": {"max_tokens": 50}}, 50),
            (MODEL, {"extra": {"max_tokens": "9000"}}, 9000),
            (MODEL, {"extra": {"max_tokens": 9e3}}, 9000),
            (MODEL, {"extra": {"max_tokens": 8999.5}}, 9000),
            (MODEL, {"max_tokens": 10, "extra": {"max_tokens": 50}}, 50),
            (MODEL, {"max_tokens": 90, "extra": {"max_tokens": 50}}, 90),
            (MODEL, {"extra": {"max_tokens": 50, "max_completion_tokens": 70}}, 70),
            (MODEL, {"max_tokens": 9, "extra": {"reasoning": {"max_tokens": 800}}}, 800),
            # Names that this server may not read are no limit, but may allow more.
            (MODEL, {"extra": {"maxOutputTokens": 5}}, estimates.ASSUMED_MAX_TOKENS),
            (MODEL, {"extra": {"Max_Tokens": 9999}}, 9999),
            ("mine:any", {"extra": {"max_completion_tokens": 5}}, estimates.ASSUMED_MAX_TOKENS),
            ("anthropic:claude-x", {"extra": {"max_tokens": 70}}, 70),
            (
                "anthropic:claude-x",
                {"max_tokens": 70, "extra": {"thinking": {"budget_tokens": 8000}}},
                8000,
            ),
            ("gemini:m", {"extra": {"generationConfig": {"maxOutputTokens": 70}}}, 70),
            ("gemini:m", {"extra": {"generation_config": {"max_output_tokens": "70"}}}, 70),
            (
                "gemini:m",
                {
                    "max_tokens": 7,
                    "extra": {"generation_config": {"thinking_config": {"thinking_budget": 99}}},
                },
                99,
            ),
            ("gemini:gemini-2.5-pro", {"max_tokens": 7, "reasoning_effort": "high"}, 24_576),
            ("gemini:gemini-3-pro", {"max_tokens": 7, "reasoning_effort": "high"}, 7),
            (
                "gemini:m",
                {"extra": {"generationConfig": {"thinkingConfig": {"thinkingBudget": -1}}}},
                estimates.ASSUMED_MAX_TOKENS,
            ),
        ],
    )
    def test_a_limit_in_extra_counts_as_the_server_may_read_it(self, model, given, tokens):
        lp.configure(endpoints={"mine": "http://127.0.0.1:9/v1"})

        assert most(request(model=model, **given)).output_tokens == tokens

    def test_a_prediction_may_be_billed_with_the_answer(self):
        text = "x9" * 200
        asked = request(max_tokens=9, extra={"prediction": {"type": "content", "content": text}})

        assert most(asked).output_tokens >= 9 + 400

    @pytest.mark.parametrize(
        "extra",
        [
            {"web_search_options": {}},
            {"modalities": ["text", "audio"]},
            {"cachedContent": "cachedContents/1"},
            {"mcp_servers": [{"url": "https://example.com"}]},
            {"generationConfig": {"responseModalities": ["AUDIO"]}},
        ],
    )
    def test_a_cost_without_a_bound_is_unknown_and_needs_a_reason(self, extra, monkeypatch):
        one = estimates.of(request(max_tokens=5, extra=extra), NOW)

        assert (one.worst_case_usd, str(one)) == (None, "price unknown")
        with pytest.raises(lp.BudgetExceededError, match=f"extra.*{one.unbounded}.*has no bound"):
            lp.ask("hi", MODEL, extra=extra)
        lp.configure(confirm_above_usd=None)
        lp.set_budget(1)
        monkeypatch.setenv("OPENAI_API_KEY", "sk-" + "planted" * 4)
        with pytest.raises(lp.BudgetExceededError, match=f"extra.*{one.unbounded}.*has no bound"):
            lp.ask("hi", MODEL, extra=extra)

    @pytest.mark.parametrize(
        "extra",
        [
            {"web_search_options": None},
            {"service_tier": "flex"},
            {"modalities": ["text"]},
            {"tools": [{"type": "function", "function": {"name": "f"}}]},
            {"tools": [{"functionDeclarations": []}]},
            {"metadata": {"speed": "fast", "max_tokens": "many"}},
        ],
    )
    def test_what_costs_no_more_than_its_tokens_has_a_price(self, extra):
        assert estimates.of(request(max_tokens=5, extra=extra), NOW).worst_case_usd > 0

    @given(st.text(max_size=300), st.text(max_size=300))
    def test_more_text_is_never_fewer_tokens(self, text, more):
        assert most(request(text)).input_tokens <= most(request(text + more)).input_tokens

    @given(st.text(max_size=2000))
    def test_it_is_more_than_what_is_likely(self, text):
        one = estimates.of(request(text, max_tokens=9), NOW)

        assert one.input_tokens <= one.most_input_tokens
        assert one.expected_usd <= one.worst_case_usd

    def test_all_that_is_sent_counts(self):
        bare = most(request()).input_tokens
        tool = Tool("weather", "The weather. " * 50, {"type": "object"})
        schema = Schema("shape", {"description": "long " * 200}, str)
        picture = ImagePart("image/png", b"1")
        past = (ToolCall("1", "weather", '{"city": "Oslo"}' * 30), ToolResult("1", "w", "x" * 900))

        for more in (
            request("Say hello.", picture),
            request("Say hello.", *past),
            request(tools=(tool,)),
            request(schema=schema),
        ):
            assert most(more).input_tokens >= bare + 200

    def test_writing_to_a_cache_costs_what_it_costs(self):
        rates = {"input_usd_per_mtok": 1, "output_usd_per_mtok": 0}
        lp.configure(prices={"openai:*": rates | {"cache_write_usd_per_mtok": 2}})
        plain = estimates.of(request("x" * 4000), NOW)
        cached = estimates.of(request("x" * 4000, extra={"cache_control": {}}), NOW)

        assert cached.worst_case_usd == 2 * plain.worst_case_usd
        hour = {"type": "ephemeral", "ttl": "1h"}
        for extra in ({"cache_control": hour}, {"tools": [{"name": "f", "cache_control": hour}]}):
            kept = estimates.of(request("x" * 4000, extra=extra), NOW)
            assert kept.worst_case_usd >= Decimal("1.6") * 2 * plain.worst_case_usd


class TestCost:
    def test_worst_and_expected_follow_the_price(self):
        one = estimates.of(request("x" * 400, max_tokens=300), NOW)

        assert (one.input_tokens, one.output_tokens) == (100, 300)
        assert one.expected_usd == Decimal("0.0031")
        assert one.worst_case_usd == Decimal(one.most_input_tokens + 3000) / 1_000_000

    def test_long_prompts_reach_the_next_tier_of_a_price(self):
        short, long = (request("x" * n, model="gemini:gemini-2.5-pro") for n in (1000, 1_000_000))

        per_token = [
            estimates.of(one, NOW, cap=1).worst_case_usd / most(one).input_tokens
            for one in (short, long)
        ]
        assert per_token[1] > per_token[0] * Decimal("1.9")

    def test_an_unknown_price_is_none_and_a_free_one_0(self):
        lp.configure(endpoints={"mine": "http://127.0.0.1:9/v1"})

        unknown = estimates.of(request(model="mine:any"), NOW)
        assert (unknown.expected_usd, unknown.worst_case_usd) == (None, None)
        assert str(unknown) == "price unknown"
        assert estimates.of(request(model="ollama:any"), NOW).worst_case_usd == 0
        assert estimates.together([unknown, unknown]).worst_case_usd is None

    def test_history_replaces_rules_of_thumb(self):
        known = History(bytes_per_token=2.0, fewest_bytes_per_token=1.0, output_tokens=40.0)
        one = estimates.of(request("x" * 400), NOW, known)

        assert (one.input_tokens, one.output_tokens) == (200, 40)
        assert one.most_input_tokens >= 400


class TestEstimate:
    def test_it_sums_over_the_calls_and_sends_nothing(self):
        one = lp.estimate("x" * 400, MODEL, max_tokens=300)
        three = lp.estimate("x" * 400, MODEL, n=3, max_tokens=300)

        assert (three.calls, three.input_tokens) == (3, 300)
        assert three.expected_usd == 3 * one.expected_usd == Decimal("0.0093")
        assert three.worst_case_usd == 3 * one.worst_case_usd
        assert str(one) == "about $0.0031, at most $0.0035"
        assert lp.runs().empty

    def test_it_takes_what_ask_takes(self):
        bare = lp.estimate("{{text}}", MODEL, variables={"text": "a"})
        more = lp.estimate("{{text}}", MODEL, variables={"text": "a" * 4000}, system="b" * 400)

        assert (bare.input_tokens, more.input_tokens) == (1, 1100)
        with pytest.raises(lp.InvalidParameterError, match="max_tokens"):
            lp.estimate("hi", MODEL, max_tokns=5)

    def test_the_local_model_is_free(self):
        assert lp.estimate("hi", "local").worst_case_usd == 0

    def test_after_20_runs_it_knows_the_model(self):
        log = open_log()
        for number in range(20):
            assert lp.estimate("x" * 400, MODEL).output_tokens == 500
            text = f"{number}".ljust(1000, "x")
            record(log, prompt(text, model=MODEL), usage=Usage(500, 60))

        known = lp.estimate("x" * 400, MODEL)

        assert (known.input_tokens, known.output_tokens) == (200, 60)
        assert lp.estimate("x" * 400, "openai:other").output_tokens == 500

    def test_it_knows_the_model_while_another_program_reads_the_log(self):
        log = open_log()
        for number in range(20):
            text = f"{number}".ljust(1000, "x")
            record(log, prompt(text, model=MODEL), usage=Usage(500, 60))
        log.drain()

        with held(log.path):
            assert lp.estimate("x" * 400, MODEL).output_tokens == 60
            record(log, prompt("waits in the journal", model=MODEL))
            assert lp.estimate("x" * 400, MODEL).output_tokens == 60

    def test_stopped_reused_and_estimated_runs_teach_nothing(self):
        log = open_log()
        known = {"status": "cancelled"}, {"cached": True}, {"usage_source": "estimated"}
        for number in range(30):
            given = known[number % 3]
            record(log, prompt("x" * 1000, model=MODEL), usage=Usage(1, 1), **given)

        assert lp.estimate("x" * 400, MODEL).output_tokens == 500
