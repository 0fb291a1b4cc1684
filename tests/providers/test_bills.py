"""Bills: what an answer costs by hand, from list prices, and what the run says that it cost.

The table: ``python -m tests.providers.test_bills``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

import llm_playground as lp
from llm_playground.events import Responded
from llm_playground.execution.run_builder import RunBuilder
from llm_playground.parts import FilePart, TextPart
from llm_playground.providers import anthropic, gemini, openai
from llm_playground.runlog.reading import run_of
from llm_playground.runlog.rows import row_of
from llm_playground.types import Message, Parameters, Request, Run

AT = datetime(2026, 12, 1, tzinfo=UTC)
READERS: Mapping[str, Callable[[], Any]] = {
    "Chat Completions": openai.Reader,
    "Messages": anthropic.Reader,
    "Gemini": gemini.Reader,
}
CHAT, MESSAGES, GEMINI = READERS
Events = Sequence[dict[str, Any]]


@dataclass(frozen=True)
class Bill:
    """One row: ``usd`` are US dollars per million tokens times tokens, and amounts of calls."""

    feature: str
    format: str
    model: str
    events: Events
    tokens_usd: Decimal | float
    calls_usd: Decimal | float = 0
    source: str = "genai-prices"
    at_least: bool = False
    is_cut: bool = False
    is_stopped: bool = False
    extra: Mapping[str, Any] = field(default_factory=dict)
    files: tuple[FilePart, ...] = ()

    def __str__(self) -> str:
        return f"{self.feature} | {self.format}"

    @property
    def by_hand(self) -> Decimal:
        return Decimal(str(self.tokens_usd)) / 1_000_000 + Decimal(str(self.calls_usd))

    def run(self) -> Run:
        """The run of the answer, cut or stopped before its end where the row says so."""
        request = Request(
            self.model,
            (Message("user", (*self.files, TextPart("Hi"))),),
            Parameters(extra=dict(self.extra)),
        )
        run = Run("r", "e", "p", 1, self.model, request.provider, AT, request.parameters)
        builder, reader = RunBuilder(run, request), READERS[self.format]()
        builder.sent()
        builder.add(Responded(200, None, None, None, so_far=lambda: reader.finish(None)))
        for event in self.events:
            for delta in reader.read(event):
                builder.add(delta)
        if not (self.is_cut or self.is_stopped):
            builder.add(reader.finish(None))
        builder.attempted(None)
        status = "cancelled" if self.is_stopped else "failed" if self.is_cut else "completed"
        return builder.ended(status, None, ())


def chat(usage: Mapping[str, Any] | None, model: str = "m", **more: Any) -> Events:
    """A stream of Chat Completions; fields of the last chunk are ``more``."""
    text = {"index": 0, "delta": {"content": "Two."}, "finish_reason": None}
    end = {"index": 0, "delta": {}, "finish_reason": "stop"}
    about = {"model": model, **{k: v for k, v in more.items() if k == "service_tier"}}
    last = {**about, "choices": [], "usage": usage, **more}
    return [{**about, "choices": [text]}, {**about, "choices": [end], **more}, last]


def messages(
    start: Mapping[str, Any],
    end: Mapping[str, Any] | None = None,
    model: str = "claude-sonnet-4-5-20250929",
) -> Events:
    """A stream of Messages; without ``end`` it breaks after its text."""
    about = {"model": model, "usage": start}
    text = {"type": "text", "text": ""}
    delta = {"type": "text_delta", "text": "Two."}
    events: Events = [
        {"type": "message_start", "message": about},
        {"type": "content_block_start", "index": 0, "content_block": text},
        {"type": "content_block_delta", "index": 0, "delta": delta},
    ]
    if end is None:
        return events
    stop = {"stop_reason": "end_turn"}
    return [
        *events,
        {"type": "message_delta", "delta": stop, "usage": end},
        {"type": "message_stop"},
    ]


def generated(
    usage: Mapping[str, Any],
    model: str = "gemini-2.5-flash",
    reason: str | None = "STOP",
    **more: Any,
) -> Events:
    """A stream of Gemini with one event."""
    candidate = {"content": {"parts": [{"text": "Two."}]}, "index": 0, **more}
    if reason:
        candidate["finishReason"] = reason
    return [{"candidates": [candidate], "usageMetadata": usage, "modelVersion": model}]


usd = Decimal


def of(modality: str, tokens: int) -> list[dict[str, Any]]:
    return [{"modality": modality, "tokenCount": tokens}]


LARGE = {"prompt_tokens": 100_000, "completion_tokens": 1000, "total_tokens": 101_000}
SMALL = {"prompt_tokens": 400, "completion_tokens": 100, "total_tokens": 500}
GEMINI_SMALL = {"promptTokenCount": 1000, "candidatesTokenCount": 100, "totalTokenCount": 1100}
SEARCHES = {"webSearchQueries": ["a", "b", "c"]}
WRITTEN = {"input_tokens": 10, "cache_creation_input_tokens": 1000, "output_tokens": 1}
OPUS = "claude-opus-4-8"

BILLS = [
    # Tiers.
    Bill("standard tier", CHAT, "openai:gpt-5", chat(LARGE, "gpt-5-2025-08-07"),
         100_000 * usd("1.25") + 1000 * 10),
    Bill("default tier, said", CHAT, "openai:gpt-5", chat(LARGE, "gpt-5", service_tier="default"),
         100_000 * usd("1.25") + 1000 * 10),
    Bill("flex", CHAT, "openai:gpt-5", chat(LARGE, "gpt-5", service_tier="flex"),
         100_000 * usd("0.625") + 1000 * 5, extra={"service_tier": "flex"}),
    Bill("priority", CHAT, "openai:gpt-5", chat(LARGE, "gpt-5", service_tier="priority"),
         100_000 * usd("2.5") + 1000 * 20),
    Bill("priority asked, default given", CHAT, "openai:gpt-5",
         chat(LARGE, "gpt-5", service_tier="default"), 100_000 * usd("1.25") + 1000 * 10,
         extra={"service_tier": "priority"}),
    Bill("priority asked, none said", CHAT, "openai:gpt-5", chat(LARGE, "gpt-5"),
         100_000 * usd("2.5") + 1000 * 20, extra={"service_tier": "priority"}),
    Bill("scale, which has no price", CHAT, "openai:gpt-5",
         chat(LARGE, "gpt-5", service_tier="scale"), 100_000 * usd("1.25") + 1000 * 10,
         at_least=True),
    Bill("standard tier", MESSAGES, "anthropic:claude-sonnet-4-5",
         messages({"input_tokens": 1000, "service_tier": "standard"}, {"output_tokens": 100}),
         1000 * 3 + 100 * 15),
    Bill("batch", MESSAGES, "anthropic:claude-sonnet-4-5",
         messages({"input_tokens": 1000, "service_tier": "batch"}, {"output_tokens": 100}),
         1000 * usd("1.5") + 100 * usd("7.5")),
    Bill("fast mode", MESSAGES, f"anthropic:{OPUS}",
         messages({"input_tokens": 1000, "speed": "fast"}, {"output_tokens": 100}, OPUS),
         1000 * 10 + 100 * 50),
    Bill("inference in the US", MESSAGES, f"anthropic:{OPUS}",
         messages({"input_tokens": 1000, "inference_geo": "us"}, {"output_tokens": 100}, OPUS),
         (1000 * 5 + 100 * 25) * usd("1.1")),
    Bill("standard tier", GEMINI, "gemini:gemini-2.5-flash",
         generated(GEMINI_SMALL | {"serviceTier": "standard", "trafficType": "ON_DEMAND"}),
         1000 * usd("0.3") + 100 * usd("2.5")),
    Bill("priority, which the list has not", GEMINI, "gemini:gemini-2.5-flash",
         generated(GEMINI_SMALL | {"trafficType": "ON_DEMAND_PRIORITY"}),
         1000 * usd("0.3") + 100 * usd("2.5"), at_least=True),
    Bill("flex, which the list has not", GEMINI, "gemini:gemini-2.5-flash",
         generated(GEMINI_SMALL | {"serviceTier": "flex"}),
         (1000 * usd("0.3") + 100 * usd("2.5")) / 2, at_least=True),
    # Cached input.
    Bill("cache read", CHAT, "openai:gpt-5",
         chat(SMALL | {"prompt_tokens_details": {"cached_tokens": 300}}, "gpt-5"),
         100 * usd("1.25") + 300 * usd("0.125") + 100 * 10),
    Bill("cache write, 5 minutes", MESSAGES, "anthropic:claude-sonnet-4-5",
         messages(WRITTEN | {"cache_creation": {"ephemeral_5m_input_tokens": 1000}},
                  {"output_tokens": 10}), 10 * 3 + 1000 * usd("3.75") + 10 * 15),
    Bill("cache write, 1 hour", MESSAGES, "anthropic:claude-sonnet-4-5",
         messages(WRITTEN | {"cache_creation": {"ephemeral_1h_input_tokens": 1000}},
                  {"output_tokens": 10}), 10 * 3 + 1000 * 6 + 10 * 15),
    Bill("cache writes, both, and a read", MESSAGES, "anthropic:claude-sonnet-4-5",
         messages({**WRITTEN, "cache_read_input_tokens": 500, "cache_creation": {
             "ephemeral_5m_input_tokens": 400, "ephemeral_1h_input_tokens": 600}},
             {"output_tokens": 10}),
         10 * 3 + 400 * usd("3.75") + 600 * 6 + 500 * usd("0.3") + 10 * 15),
    Bill("cache read", GEMINI, "gemini:gemini-2.5-flash",
         generated(GEMINI_SMALL | {"cachedContentTokenCount": 900}),
         100 * usd("0.3") + 900 * usd("0.03") + 100 * usd("2.5")),
    # Calls of tools on the vendor's side.
    Bill("web search", MESSAGES, "anthropic:claude-sonnet-4-5",
         messages({"input_tokens": 2679}, {"input_tokens": 10_682, "output_tokens": 510,
                  "server_tool_use": {"web_search_requests": 5}}),
         10_682 * 3 + 510 * 15, calls_usd=5 * usd("0.01")),
    Bill("web fetch, free", MESSAGES, "anthropic:claude-sonnet-4-5",
         messages({"input_tokens": 1000}, {"output_tokens": 100,
                  "server_tool_use": {"web_search_requests": 0, "web_fetch_requests": 2}}),
         1000 * 3 + 100 * 15),
    Bill("a call of an unknown kind", MESSAGES, "anthropic:claude-sonnet-4-5",
         messages({"input_tokens": 1000}, {"output_tokens": 100,
                  "server_tool_use": {"time_travel_requests": 1}}),
         1000 * 3 + 100 * 15, at_least=True),
    Bill("compaction", MESSAGES, "anthropic:claude-opus-4-6",
         messages({"input_tokens": 612}, {"input_tokens": 612, "output_tokens": 100, "iterations": [
             {"type": "compaction", "input_tokens": 60_000, "output_tokens": 500},
             {"type": "message", "input_tokens": 612, "output_tokens": 100}]},
             "claude-opus-4-6"), (60_000 + 612) * 5 + (500 + 100) * 25),
    Bill("web search, once for each answer", GEMINI, "gemini:gemini-2.5-flash",
         generated(GEMINI_SMALL, groundingMetadata=SEARCHES),
         1000 * usd("0.3") + 100 * usd("2.5"), calls_usd=usd("0.035")),
    Bill("web search, each", GEMINI, "gemini:gemini-3-pro-preview",
         generated(GEMINI_SMALL, "gemini-3-pro-preview", groundingMetadata=SEARCHES),
         1000 * 2 + 100 * 12, calls_usd=3 * usd("0.014")),
    Bill("tokens of tool results", GEMINI, "gemini:gemini-2.5-flash",
         generated({**GEMINI_SMALL, "toolUsePromptTokenCount": 500, "totalTokenCount": 1600}),
         1500 * usd("0.3") + 100 * usd("2.5")),
    # Pictures and sound.
    Bill("picture in the answer", GEMINI, "gemini:gemini-2.5-flash-image",
         generated({"promptTokenCount": 10, "candidatesTokenCount": 1290, "totalTokenCount": 1300,
                    "candidatesTokensDetails": of("IMAGE", 1290)}, "gemini-2.5-flash-image"),
         10 * usd("0.3") + 1290 * 30),
    Bill("picture in the prompt", GEMINI, "gemini:gemini-2.5-flash",
         generated(GEMINI_SMALL | {"promptTokensDetails": of("IMAGE", 900)}),
         1000 * usd("0.3") + 100 * usd("2.5")),
    Bill("sound in the prompt", GEMINI, "gemini:gemini-2.5-flash",
         generated(GEMINI_SMALL | {"promptTokensDetails": of("AUDIO", 900)}),
         100 * usd("0.3") + 900 * 1 + 100 * usd("2.5")),
    Bill("sound from the cache", GEMINI, "gemini:gemini-2.5-flash",
         generated(GEMINI_SMALL | {"promptTokensDetails": of("AUDIO", 900),
                   "cachedContentTokenCount": 800, "cacheTokensDetails": of("AUDIO", 800)}),
         100 * usd("0.3") + 100 * 1 + 800 * usd("0.1") + 100 * usd("2.5")),
    Bill("sound in prompt and answer", CHAT, "openai:gpt-audio",
         chat({**SMALL, "prompt_tokens_details": {"audio_tokens": 300},
               "completion_tokens_details": {"audio_tokens": 80}}, "gpt-audio"),
         100 * usd("2.5") + 300 * 32 + 20 * 10 + 80 * 64),
    Bill("sound, which the list has not", CHAT, "openai:gpt-4o-audio-preview",
         chat({**SMALL, "completion_tokens_details": {"audio_tokens": 80}}, "gpt-4o-audio-preview"),
         400 * usd("2.5") + 100 * 10, at_least=True),
    Bill("picture in the prompt", CHAT, "openai:gpt-5",
         chat({**SMALL, "prompt_tokens_details": {"image_tokens": 300}}, "gpt-5"),
         400 * usd("1.25") + 100 * 10),
    # Reasoning.
    Bill("reasoning inside", CHAT, "openai:gpt-5",
         chat({**SMALL, "completion_tokens_details": {"reasoning_tokens": 64}}, "gpt-5"),
         400 * usd("1.25") + 100 * 10),
    Bill("reasoning apart, by the total", CHAT, "xai:grok-4",
         chat({**SMALL, "total_tokens": 1000, "completion_tokens_details": {
             "reasoning_tokens": 500}}, "grok-4-0709"), 400 * 3 + 600 * 15),
    Bill("reasoning, citations, searches priced apart", CHAT, "perplexity:sonar-deep-research",
         chat({"prompt_tokens": 33, "completion_tokens": 11_395, "total_tokens": 11_428,
               "citation_tokens": 5000, "reasoning_tokens": 193_947, "num_search_queries": 18},
              "sonar-deep-research"),
         33 * 2 + 11_395 * 8 + 5000 * 2 + 193_947 * 3, calls_usd=18 * usd("0.005")),
    Bill("thoughts", GEMINI, "gemini:gemini-2.5-flash",
         generated({**GEMINI_SMALL, "thoughtsTokenCount": 200, "totalTokenCount": 1300}),
         1000 * usd("0.3") + 300 * usd("2.5")),
    # The answer says what it cost.
    Bill("stated: OpenRouter", CHAT, "openrouter:vendor/very-new-model",
         chat(SMALL | {"cost": 0.0145, "is_byok": False}, "vendor/very-new-model"),
         0, calls_usd=0.0145, source="provider"),
    Bill("stated: OpenRouter with an own key", CHAT, "openrouter:openai/gpt-4o-mini",
         chat(SMALL | {"cost": 0.0005, "is_byok": True, "cost_details": {
             "upstream_inference_cost": 0.01}}), 0, calls_usd=0.0105, source="provider"),
    Bill("stated: Perplexity", CHAT, "perplexity:sonar",
         chat(SMALL | {"cost": {"request_cost": 0.005, "total_cost": 0.005105}}, "sonar"),
         0, calls_usd=0.005105, source="provider"),
    Bill("stated: xAI", CHAT, "xai:grok-4",
         chat(SMALL | {"cost_in_usd_ticks": 37_756_000, "num_sources_used": 3}, "grok-4"),
         0, calls_usd=0.0037756, source="provider"),
    Bill("stated: Vercel", CHAT, "huggingface:openai/gpt-5",
         chat(SMALL, provider_metadata={"gateway": {"cost": "0.0045405"}}),
         0, calls_usd=0.0045405, source="provider"),
    Bill("stated: DeepInfra", CHAT, "deepinfra:any",
         chat(SMALL | {"estimated_cost": 2.68e-05}), 0, calls_usd=2.68e-05, source="provider"),
    # Another model answered.
    Bill("fallback", MESSAGES, "anthropic:claude-fable-5",
         messages({"input_tokens": 412}, {"output_tokens": 264}, OPUS), 412 * 5 + 264 * 25),
    Bill("a free model was asked, a paid one answered", CHAT,
         "openrouter:deepseek/deepseek-chat-v3.1:free", chat(SMALL, "openai/gpt-4o-mini"),
         400 * usd("0.15") + 100 * usd("0.6")),
    Bill("snapshot with a price of its own", CHAT, "openai:gpt-4o",
         chat(SMALL, "gpt-4o-2024-05-13"), 400 * 5 + 100 * 15),
    # Cut and stopped.
    *(
        Bill(f"{how} stream", MESSAGES, "anthropic:claude-sonnet-4-5",
             messages({"input_tokens": 325, "cache_creation_input_tokens": 90_000}),
             325 * 3 + 90_000 * usd("3.75") + 1 * 15,
             is_cut=how == "cut", is_stopped=how == "stopped")
        for how in ("cut", "stopped")
    ),
    *(
        Bill(f"{how} stream", GEMINI, "gemini:gemini-2.5-flash",
             generated({**GEMINI_SMALL, "thoughtsTokenCount": 700, "totalTokenCount": 1800},
                       reason=None), 1000 * usd("0.3") + 800 * usd("2.5"),
             is_cut=how == "cut", is_stopped=how == "stopped")
        for how in ("cut", "stopped")
    ),
    *(
        Bill(f"{how} stream, flex", CHAT, "openai:gpt-5",
             [{"model": "gpt-5", "service_tier": "flex", "usage": SMALL, "choices": [
                 {"index": 0, "delta": {"content": "Two."}}]}],
             400 * usd("0.625") + 100 * 5, is_cut=how == "cut", is_stopped=how == "stopped")
        for how in ("cut", "stopped")
    ),
    # The cost that is stated in the middle of an answer is that of a part.
    *(
        Bill(f"cut stream, {cost} dollars stated", CHAT, model,
             [{"model": model, "usage": SMALL | {"cost": cost}, "choices": [
                 {"index": 0, "delta": {"content": "Two."}}]}], *costs, is_cut=True)
        for cost, model, *costs in (
            (0, "openai:gpt-5", 400 * usd("1.25") + 100 * 10),
            (0.001, "openai:gpt-5", 400 * usd("1.25") + 100 * 10),
            (0.5, "openai:gpt-5", 0, 0.5, "provider"),
            (0.5, "openrouter:vendor/very-new-model", 0, 0.5, "provider", True),
        )
    ),
    Bill("zeros at the end", MESSAGES, "anthropic:claude-sonnet-4-5",
         messages({"input_tokens": 10, "cache_read_input_tokens": 90_000},
                  {"input_tokens": 0, "cache_read_input_tokens": 0, "output_tokens": 500}),
         10 * 3 + 90_000 * usd("0.3") + 500 * 15),
]  # fmt: skip


@pytest.mark.parametrize("bill", BILLS, ids=str)
def test_the_run_costs_what_the_bill_says(bill):
    run = bill.run()

    assert (run.price_source, run.cost_usd is None) == (bill.source, bill.at_least)
    ours = run.at_least_usd if bill.at_least else run.cost_usd
    assert (ours, run.at_least_usd is None) == (bill.by_hand, not bill.at_least)
    kept = run_of(row_of(run))
    assert (kept.usage.billed_units, kept.service_tier) == (
        run.usage.billed_units,
        run.usage.service_tier,
    )
    assert (kept.cost_usd, kept.at_least_usd) == (run.cost_usd, run.at_least_usd)


def test_a_deployment_is_priced_as_the_model_that_answers():
    lp.configure(endpoints={"corp": {"base_url": "http://127.0.0.1:9/v1", "priced_as": "azure"}})
    names = {"gpt-4o-2024-11-20": "0.002", "my-deployment": None, "": None}
    for answered, usd in names.items():
        run = Bill("", CHAT, "corp:my-deployment", chat(SMALL, answered), 0).run()
        assert run.cost_usd == (None if usd is None else Decimal(usd))


ANSWERED = [
    ("openai:gpt-4o", "gpt-4o-2031-01-01", "0.002"),  # a snapshot that is not listed
    ("openai:gpt-4o", "m", "0.002"),  # the name of no model
    ("openai:gpt-4o", "gpt-9-nano", None),  # another model, without a price
    ("openrouter:openai/gpt-4o", "vendor/very-new-model", None),
    ("openrouter:deepseek/deepseek-chat-v3.1:free", "deepseek/deepseek-chat-v3.1", "0"),
]


@pytest.mark.parametrize(("asked", "answered", "usd"), ANSWERED)
def test_what_answers_decides_the_price(asked, answered, usd):
    run = Bill("", CHAT, asked, chat(SMALL, answered), 0).run()
    assert run.cost_usd == (None if usd is None else Decimal(usd))


def test_own_prices_win_over_what_the_answer_says():
    rates = {"input_usd_per_mtok": 1, "output_usd_per_mtok": 2, "cache_write_usd_per_mtok": 10}
    lp.configure(prices={"openai:gpt-5": rates})
    run = Bill("", CHAT, "openai:gpt-5", chat(SMALL | {"cost": 9.0}), 0).run()
    assert (run.cost_usd, run.price_source) == (usd("0.0006"), "override")
    hour = SMALL | {
        "prompt_tokens_details": {
            "cache_write_tokens": 400,
            "cache_creation_token_details": {"ephemeral_1h_input_tokens": 400},
        }
    }
    run = Bill("", CHAT, "openai:gpt-5", chat(hour), 0).run()
    assert run.cost_usd == usd("0.0066")  # 400 at 16, 100 at 2 dollars per million
    run = Bill("", CHAT, "openai:gpt-5", chat(SMALL | {"num_search_queries": 2}), 0).run()
    assert (run.cost_usd, run.at_least_usd) == (None, usd("0.0006"))


TEN_SECONDS = FilePart("audio/mpeg", "a.mp3", b"ID3" + bytes(159_997))


@pytest.mark.parametrize(
    ("format_name", "model", "events", "rates"),
    [
        *(
            (GEMINI, "gemini:gemini-2.5-flash", generated(events, reason=None), ("0.3", "1", "2.5"))
            for events in ({}, {"trafficType": "ON_DEMAND"})  # the second in early chunks of Vertex
        ),
        (
            CHAT,
            "openai:gpt-audio",
            chat({"completion_tokens": 5}, "gpt-audio"),
            ("2.5", "32", "10"),
        ),
    ],
)
@pytest.mark.parametrize("answers", [True, False], ids=["answer", "no answer"])
def test_input_that_is_not_counted_has_its_recordings(format_name, model, events, rates, answers):
    run = Bill("", format_name, model, events if answers else (), 0, is_cut=True,
               files=(TEN_SECONDS,)).run()  # fmt: skip
    text_rate, audio_rate, output_rate = map(usd, rates)
    audio, usage = 320, run.usage
    assert (usage.billed_units, run.usage_source) == ({"audio_input_tokens": audio}, "estimated")
    by_hand = (usage.input_tokens - audio) * text_rate + audio * audio_rate
    assert run.cost_usd == (by_hand + usage.output_tokens * output_rate) / 1_000_000


def test_worst_cases_are_at_the_prices_of_a_dearer_tier_only():
    worst = {
        tier: lp.estimate("Hi", "openai:gpt-5", max_tokens=100, extra={"service_tier": tier})
        for tier in ("default", "flex", "priority")
    }
    usual = worst["default"].worst_case_usd  # the word for a tier counts as a token or two
    assert usual * usd("0.99") < worst["flex"].worst_case_usd < usual * usd("1.01")
    assert worst["flex"].expected_usd < worst["default"].expected_usd * usd("0.51")
    assert usual * usd("1.99") < worst["priority"].worst_case_usd < usual * usd("2.01")
    assert str(worst["priority"]).endswith("(priority)")


def test_worst_cases_are_those_of_the_dearest_model_that_may_answer():
    cheap, dear = "openai/gpt-4o-mini", "openai/gpt-4o"
    extra = {"models": [dear]}
    asked = lp.estimate("Hi", f"openrouter:{cheap}", max_tokens=100, extra=extra)
    assert (
        asked.worst_case_usd
        > 10 * lp.estimate("Hi", f"openrouter:{cheap}", max_tokens=100).worst_case_usd
    )
    for wrong in ({"models": dear}, {"models": [1]}, {"extra_body": {"models": [dear]}}):
        with pytest.raises(lp.InvalidParameterError, match="models"):
            lp.estimate("Hi", f"openrouter:{cheap}", extra=wrong)


def print_table() -> None:
    print("feature | format | by hand | ours")
    print("---|---|---|---")
    for one in BILLS:
        ended = one.run()
        ours = ended.cost_usd
        print(
            f"{one} | {one.by_hand} | {f'at least {ended.at_least_usd}' if ours is None else ours}"
        )


def test_the_table_has_a_row_of_each_bill(capsys):
    print_table()
    rows = capsys.readouterr().out.splitlines()[2:]
    assert len(rows) == len(BILLS)
    assert "cut stream, flex | Chat Completions | 0.00075 | 0.00075" in rows


if __name__ == "__main__":
    print_table()
