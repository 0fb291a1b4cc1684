"""Expected and worst-case usage and cost of a call, before it is made.

Budgets reserve the worst case, an upper bound: the body counts as many tokens as it can have, see
:mod:`.token_bounds`, and the answer is as long as allowed. Reasoning is part of the answer. The
likely tokens are counted by size; these counts are also used for answers whose provider reports no
usage.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from math import ceil

from llm_playground.catalog import capabilities, file_tokens, price_list, pricing, token_bounds
from llm_playground.formatting import Sentence, count
from llm_playground.parts import FilePart
from llm_playground.providers import wire_formats
from llm_playground.redaction import printable
from llm_playground.request.files import kind_of
from llm_playground.types import Request, Usage

# OpenAI's rule of thumb: one token is about four characters of English, three quarters of a word
# (https://help.openai.com/en/articles/4936856). Scripts without spaces take about one a character.
_BYTES_PER_TOKEN = 4


def estimate(text: str) -> int:
    """Estimated number of tokens in a text: a quarter of its UTF-8 bytes, rounded up.

    >>> estimate("twelve bytes"), estimate("")
    (3, 0)
    """
    return of_bytes(len(text.encode("utf-8", "surrogatepass")))


def of_bytes(count: int) -> int:
    """Estimated number of tokens in ``count`` UTF-8 bytes."""
    return -(-count // _BYTES_PER_TOKEN)


def estimate_usage(request: Request, answer: str) -> Usage:
    """Estimated usage of a request without reported usage, such as a stopped stream."""
    sent = min(likely_input_tokens(request), _most_input_tokens(request))
    audio = _audio_units(request, file_tokens.likely_of_file, sent)
    return Usage(sent, estimate(answer), billed_units=audio)


def likely_input(request: Request) -> Usage:
    """Estimated input of a request that is sent, in its tier if that may be a dearer one."""
    sent = likely_input_tokens(request)
    audio = _audio_units(request, file_tokens.likely_of_file, sent)
    return Usage(sent, service_tier=dearer_tier_asked(request), billed_units=audio)


def likely_input_tokens(request: Request, bytes_per_token: float = _BYTES_PER_TOKEN) -> int:
    """Estimated input of a request: all that it sends, such as images, files, tools and results."""
    images = sum(token_bounds.of_image(request.model, part) for part in request.images)
    files = sum(file_tokens.likely_of_file(request.model, part) for part in request.files)
    return ceil(request.size_bytes / bytes_per_token) + images + files


# The longest answer that is assumed if it has no limit.
ASSUMED_MAX_TOKENS = 4096
# What a server adds to a request: a few tokens at these vendors, elsewhere perhaps the system
# prompt of an open model's chat template; that of gpt-oss is the longest, with about 70 tokens
# (https://cookbook.openai.com/articles/openai-harmony).
_TOKENS_OF_TEMPLATE = {"openai": 8, "anthropic": 8, "gemini": 8, "gemini-legacy": 8}
_MOST_TOKENS_OF_TEMPLATE = 100
# The instructions that vendors add for tools and schemas; Anthropic's for tools have up to 804
# (https://platform.claude.com/docs/en/agents-and-tools/tool-use/overview#pricing).
_TOKENS_FOR_TOOLS = 1000
# Fields of a body that are not input.
_NOT_INPUT = frozenset({"model", "stream", "stream_options", "max_tokens", "max_completion_tokens"})
# Expected length of an answer without a history of the model.
_LIKELY_OUTPUT_TOKENS = 500
# What a call with tools on the vendor's side is assumed to add, which has no bound: searches, and
# tokens of the results of each.
_ASSUMED_SEARCHES = 10
_TOKENS_PER_SEARCH = 10_000
# Worst-case input is rounded up to steps, so that price look-ups of similar prompts are cached.
_STEP = 64


@dataclass(frozen=True, slots=True)
class History:
    """Statistics of a model's logged runs; None if there are too few."""

    bytes_per_token: float | None = None  # mean of sent text
    fewest_bytes_per_token: float | None = None  # a low quantile of sent text
    output_tokens: float | None = None  # mean length of answers


NO_HISTORY = History()


@dataclass(frozen=True, slots=True, repr=False)
class Estimate(Sentence):
    """Usage and cost of calls before they are made; all figures are sums over the calls.

    ``str()`` is one line: ``about $0.0054, at most $0.0232``.

    Args:
        model: ``provider:name``; several are joined by commas.
        calls: Number of calls.
        input_tokens: Expected input.
        output_tokens: Expected output.
        most_input_tokens: Upper bound of the input.
        most_output_tokens: Upper bound of the output.
        expected_usd: Expected cost; None if a price is unknown.
        worst_case_usd: Upper bound of the cost; None if a price is unknown, or has no bound.
        assumed: Whether an answer has no limit, so that its upper bound is an assumption.
        unbounded: The field of ``extra`` whose cost has no bound; None if there is none.
        assumed_usd: What the calls may cost with about ten uses of tools on the vendor's side,
            where these have no bound; None otherwise, or if a price is unknown.
        tier: The service tier asked for; None for the usual one. The worst case is at the prices
            of a dearer tier, and at the usual ones for a cheaper tier, which may be refused.
    """

    model: str
    calls: int
    input_tokens: int
    output_tokens: int
    most_input_tokens: int
    most_output_tokens: int
    expected_usd: Decimal | None
    worst_case_usd: Decimal | None
    assumed: bool = False
    unbounded: str | None = None
    assumed_usd: Decimal | None = None
    tier: str | None = None

    def __repr__(self) -> str:
        calls = count(self.calls, "call")
        tokens = f"{self.input_tokens:,} tokens in, about {self.output_tokens:,} out"
        return f"Estimate of {calls} to {printable(self.model)}: {self}; {tokens}."

    def __str__(self) -> str:
        if self.expected_usd is None or self.worst_case_usd is None:
            return "price unknown"
        if self.worst_case_usd == 0:
            return "free"
        about = "about " if self.assumed else ""
        tier = f" ({self.tier})" if self.tier else ""
        return f"about ${self.expected_usd:.4f}, at most {about}${self.worst_case_usd:.4f}{tier}"


def of(
    request: Request, at: datetime, history: History = NO_HISTORY, cap: int | None = None
) -> Estimate:
    """Estimated usage and cost of one call, without the parameters that its model does not take.

    Args:
        request: The request to be sent.
        at: Time of the call; prices are dated.
        history: Statistics of the model's earlier runs.
        cap: The limit of the answer that is sent if the request sets none.
    """
    request = _as_sent(request)
    effects = wire_formats.effects_of_extra(request)
    most = most_usage(request, history, cap)
    likely = replace(_likely_usage(request, history, most), service_tier=effects.tier)
    worst_usd = _worst_usd(request, most, at)
    unbounded = effects.unbounded if worst_usd else None
    if worst_usd is None and most.service_tier and _worst_usd(request, _at_usual(most), at):
        unbounded = unbounded or "service_tier"  # without a price in the list
    return Estimate(
        model=request.model,
        calls=1,
        input_tokens=likely.input_tokens or 0,
        output_tokens=likely.output_tokens or 0,
        most_input_tokens=most.input_tokens or 0,
        most_output_tokens=most.output_tokens or 0,
        expected_usd=_expected_usd(request, likely, at),
        worst_case_usd=None if unbounded else worst_usd,
        assumed=cap is None and limit_of(request) is None,
        unbounded=unbounded,
        assumed_usd=_worst_usd(request, _with_searches(most), at) if unbounded == "tools" else None,
        tier=effects.tier if price_list.tier_of(effects.tier) else None,
    )


def dearer_tier_asked(request: Request) -> str | None:
    """The service tier asked for, if it may cost more than the usual one."""
    tier = wire_formats.effects_of_extra(request).tier
    is_dearer = price_list.tier_of(tier) is not None and not price_list.is_discount(tier)
    return tier if is_dearer else None


def _expected_usd(request: Request, likely: Usage, at: datetime) -> Decimal | None:
    """The likely cost, at the usual prices where the list has none for a cheaper tier."""
    cost_usd = pricing.price(request.model, likely, at).cost_usd
    if cost_usd is None and price_list.is_discount(likely.service_tier):
        return pricing.price(request.model, _at_usual(likely), at).cost_usd
    return cost_usd


def _worst_usd(request: Request, most: Usage, at: datetime) -> Decimal | None:
    """The cost at the dearest of the models that may answer; None if a price is unknown."""
    models = (request.model, *wire_formats.fallbacks(request))
    prices = [pricing.price(model, most, at) for model in models]
    costs = [price.cost_usd for price in prices if price.cost_usd is not None]
    return max(costs) if len(costs) == len(models) else None


def _at_usual(usage: Usage) -> Usage:
    return replace(usage, service_tier=None)


def _with_searches(most: Usage) -> Usage:
    input_tokens = (most.input_tokens or 0) + _ASSUMED_SEARCHES * _TOKENS_PER_SEARCH
    units = {**most.billed_units, "web_searches": _ASSUMED_SEARCHES}
    return replace(most, input_tokens=input_tokens, billed_units=units)


def _as_sent(request: Request) -> Request:
    dropped = capabilities.unsupported_in(request.model, request.parameters)
    if not dropped:
        return request
    sent: Request = request.derived.setdefault("as sent", request.as_sent(dropped))
    return sent


def together(estimates: Iterable[Estimate]) -> Estimate:
    """The sum of estimates; a cost is None if any of them is.

    >>> one = Estimate("a:b", 1, 10, 20, 30, 40, Decimal(1), Decimal(2))
    >>> both = together([one, one])
    >>> both.calls, both.worst_case_usd
    (2, Decimal('4'))
    """
    every = tuple(estimates)
    return Estimate(
        model=", ".join(dict.fromkeys(each.model for each in every)),
        calls=sum(each.calls for each in every),
        input_tokens=sum(each.input_tokens for each in every),
        output_tokens=sum(each.output_tokens for each in every),
        most_input_tokens=sum(each.most_input_tokens for each in every),
        most_output_tokens=sum(each.most_output_tokens for each in every),
        expected_usd=_sum(each.expected_usd for each in every),
        worst_case_usd=_sum(each.worst_case_usd for each in every),
        assumed=any(each.assumed for each in every),
        unbounded=next((each.unbounded for each in every if each.unbounded), None),
        assumed_usd=_assumed(every),
        tier=next((each.tier for each in every if each.tier), None),
    )


def _assumed(every: tuple[Estimate, ...]) -> Decimal | None:
    """The sum with what is assumed where there is no bound; None if there are bounds for all."""
    if not any(each.unbounded for each in every):
        return None
    return _sum(each.assumed_usd if each.unbounded else each.worst_case_usd for each in every)


def most_usage(request: Request, history: History = NO_HISTORY, cap: int | None = None) -> Usage:
    """Worst-case usage of one call; the arguments are those of :func:`of`.

    >>> from llm_playground.parts import TextPart
    >>> from llm_playground.types import Message, Parameters
    >>> hello = Message("user", (TextPart("Say hello."),))
    >>> most_usage(Request("openai:any", (hello,), Parameters(max_tokens=100))).output_tokens
    100
    """
    sent = _most_input_tokens(request)
    if history.fewest_bytes_per_token is not None:  # statistics are no bound, and only raise it
        sent = max(sent, ceil(request.size_bytes / history.fewest_bytes_per_token))
    input_tokens = ceil(sent / _STEP) * _STEP if sent > _STEP else sent
    effects = wire_formats.effects_of_extra(request)
    output_tokens = max(limit_of(request) or cap or ASSUMED_MAX_TOKENS, effects.most_tokens)
    if effects.prediction is not None:
        output_tokens += token_bounds.of_text(json.dumps(effects.prediction, ensure_ascii=False))
    settings = json.dumps(request.parameters.extra) if request.parameters.extra else ""
    written = input_tokens if "cache_control" in settings else None  # cache writes cost more
    units = _audio_units(request, file_tokens.most_of_file, input_tokens)
    if written and "1h" in settings:
        units["cache_write_1h_tokens"] = input_tokens
    tier = dearer_tier_asked(request)
    return Usage(
        input_tokens,
        output_tokens,
        cache_write_tokens=written,
        service_tier=tier,
        billed_units=units,
    )


def _most_input_tokens(request: Request) -> int:
    """The most tokens that the body can have, counted once for each request.

    JSON has all texts, and more characters around them than any chat template.
    """
    counted: int | None = request.derived.get("input tokens")
    if counted is None:
        body = wire_formats.readable_body(request)
        read = {name: value for name, value in body.items() if name not in _NOT_INPUT}
        counted = token_bounds.of_text(json.dumps(read, ensure_ascii=False, default=str))
        counted += _TOKENS_OF_TEMPLATE.get(request.provider, _MOST_TOKENS_OF_TEMPLATE)
        if request.schema or any(name in body for name in ("tools", "functions")):
            counted += _TOKENS_FOR_TOOLS
        counted += sum(token_bounds.of_image(request.model, part) for part in request.images)
        counted += _most_tokens_of_files(request)
        request.derived["input tokens"] = counted
    return counted


def _most_tokens_of_files(request: Request) -> int:
    """The most tokens of documents and recordings; more than a model's window is refused unpaid.

    >>> from llm_playground.types import Message
    >>> linked = FilePart("application/pdf", url="https://example.org/a.pdf")
    >>> _most_tokens_of_files(Request("anthropic:claude-opus-5", (Message("user", (linked,)),)))
    1000000
    """
    most = sum(file_tokens.most_of_file(request.model, part) for part in request.files)
    if not most:
        return 0
    models = (request.model, *wire_formats.fallbacks(request))
    listed = [pricing.listed_model(model) for model in models]
    windows = [one.context_window for one in listed if one and one.context_window]
    return min(most, max(windows)) if len(windows) == len(models) else most


def limit_of(request: Request) -> int | None:
    """The limit of the answer that the request sets, in tokens; None if it sets none.

    Where the body has two limits, the larger one counts.

    >>> from llm_playground.types import Parameters
    >>> limit_of(Request("openai:any", (), Parameters(extra={"max_completion_tokens": 9})))
    9
    """
    limits = (request.parameters.max_tokens, wire_formats.effects_of_extra(request).limit)
    return max((limit for limit in limits if limit is not None), default=None)


def _likely_usage(request: Request, history: History, most: Usage) -> Usage:
    input_tokens = likely_input_tokens(request, history.bytes_per_token or _BYTES_PER_TOKEN)
    output_tokens = ceil(history.output_tokens or _LIKELY_OUTPUT_TOKENS)
    input_tokens = min(input_tokens, most.input_tokens or 0)
    return Usage(
        input_tokens,
        min(output_tokens, most.output_tokens or 0),
        billed_units=_audio_units(request, file_tokens.likely_of_file, input_tokens),
    )


def _audio_units(
    request: Request, tokens_of: Callable[[str, FilePart], int], input_tokens: int
) -> dict[str, int]:
    """The tokens of recordings, a part of the input that may have a price of its own."""
    audio = [part for part in request.files if kind_of(part.media_type) == "audio"]
    tokens = min(sum(tokens_of(request.model, part) for part in audio), input_tokens)
    return {"audio_input_tokens": tokens} if tokens else {}


def _sum(amounts: Iterable[Decimal | None]) -> Decimal | None:
    total = Decimal(0)
    for amount in amounts:
        if amount is None:
            return None
        total += amount
    return total
