"""What a call will use and cost, before it is made: what is likely, and what is the most.

The most is what a budget holds back for a call, so it errs upwards: texts count more tokens than
they are likely to have, and the answer is as long as it may be. Reasoning is part of the answer.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from math import ceil
from typing import Any

from llm_playground import pricing, tokens
from llm_playground.types import (
    ImagePart,
    Part,
    ReasoningPart,
    Request,
    TextPart,
    ToolCall,
    ToolResult,
    Usage,
)

# The longest answer that is counted on where nobody limits it.
ASSUMED_MAX_TOKENS = 4096
# Fewer bytes a token than nearly all texts have: digits, code and scripts without spaces have 2.5
# to 3, English prose 4 and more.
_FEWEST_BYTES_PER_TOKEN = 2.5
# Roles and separators of chat formats: 3 to 7 tokens a message in those that are published.
_TOKENS_PER_MESSAGE = 8
# Anthropic's most for one picture (https://docs.claude.com/en/docs/build-with-claude/vision);
# others count 85 to 1,500.
_TOKENS_PER_IMAGE = 1600
# What an answer has while nothing is known of its model's answers.
_LIKELY_OUTPUT_TOKENS = 500
# Worst cases come in steps of input, so that the prices of many similar prompts are looked up once.
_STEP = 64
# What vendors call the limit of an answer, and how many answers to give, in `parameters.extra`.
_LIMIT_NAMES = ("max_tokens", "max_completion_tokens", "max_output_tokens", "maxOutputTokens")
_COUNT_NAMES = ("n", "candidateCount")
_NESTED_IN = "generationConfig"


@dataclass(frozen=True, slots=True)
class History:
    """What a log tells of a model's earlier runs; None where it tells too little.

    Args:
        bytes_per_token: Of texts that were sent, in the mean.
        fewest_bytes_per_token: What hardly any text fell below.
        output_tokens: Of answers, in the mean.
    """

    bytes_per_token: float | None = None
    fewest_bytes_per_token: float | None = None
    output_tokens: float | None = None


NO_HISTORY = History()


@dataclass(frozen=True, slots=True)
class Estimate:
    """What calls would use and cost; all figures are sums over the calls.

    ``str()`` says it in a line: ``about $0.0054, at most $0.0232``.

    Args:
        model: ``provider:name``; several are joined by commas.
        calls: How many calls.
        input_tokens: Likely input.
        output_tokens: Likely output.
        most_input_tokens: What the input will not exceed.
        most_output_tokens: What the output will not exceed.
        expected_usd: The likely cost, None when a price is unknown.
        worst_case_usd: The most, None when a price is unknown.
        assumed: Whether nobody limits the answers, so that their most is assumed.
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

    def __str__(self) -> str:
        if self.expected_usd is None or self.worst_case_usd is None:
            return "price unknown"
        if self.worst_case_usd == 0:
            return "free"
        about = "about " if self.assumed else ""
        return f"about ${self.expected_usd:.4f}, at most {about}${self.worst_case_usd:.4f}"


def of(
    request: Request, at: datetime, history: History = NO_HISTORY, cap: int | None = None
) -> Estimate:
    """What one call would use and cost.

    Args:
        request: What would be sent.
        at: When; prices are dated.
        history: What is known of the model's earlier runs.
        cap: The limit of the answer that is sent where nobody set one.
    """
    most = most_usage(request, history, cap)
    likely = _likely_usage(request, history, most)
    return Estimate(
        model=request.model,
        calls=1,
        input_tokens=likely.input_tokens or 0,
        output_tokens=likely.output_tokens or 0,
        most_input_tokens=most.input_tokens or 0,
        most_output_tokens=most.output_tokens or 0,
        expected_usd=pricing.price(request.model, likely, at).cost_usd,
        worst_case_usd=pricing.price(request.model, most, at).cost_usd,
        assumed=cap is None and limit_of(request) is None,
    )


def together(estimates: Iterable[Estimate]) -> Estimate:
    """The sum; a cost is None where one of them is.

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
    )


def most_usage(request: Request, history: History = NO_HISTORY, cap: int | None = None) -> Usage:
    """The tokens that a call will hardly exceed.

    Args:
        request: What would be sent.
        history: What is known of the model's earlier runs.
        cap: The limit of the answer that is sent where nobody set one.

    >>> from llm_playground.types import Message, Parameters
    >>> hello = Message("user", (TextPart("Say hello."),))
    >>> most_usage(Request("openai:any", (hello,), Parameters(max_tokens=100))).output_tokens
    100
    """
    fewest = history.fewest_bytes_per_token or _FEWEST_BYTES_PER_TOKEN
    sent = ceil(size_in_bytes(request) / fewest) + _beside_text(request)
    input_tokens = ceil(sent / _STEP) * _STEP if sent > _STEP else sent
    output_tokens = (limit_of(request) or cap or ASSUMED_MAX_TOKENS) * _answers(request)
    if "cache_control" in request.parameters.extra:  # written to a cache, it costs more
        return Usage(input_tokens, output_tokens, cache_write_tokens=input_tokens)
    return Usage(input_tokens, output_tokens)


def limit_of(request: Request) -> int | None:
    """The limit of the answer that somebody set, in tokens; None when nobody did.

    >>> from llm_playground.types import Parameters
    >>> limit_of(Request("openai:any", (), Parameters(extra={"max_completion_tokens": 9})))
    9
    """
    said = _numbers(request.parameters.extra, _LIMIT_NAMES)
    if request.parameters.max_tokens is not None:
        said.append(request.parameters.max_tokens)
    return max(said, default=None)


def size_in_bytes(request: Request) -> int:
    """All text of a request in UTF-8: messages, tools and schema."""
    texts = [_text(part) for message in request.messages for part in message.content]
    texts += [
        f"{tool.name}{tool.description}{json.dumps(tool.parameters, default=str)}"
        for tool in request.tools
    ]
    if request.schema is not None:
        texts.append(json.dumps(request.schema.json_schema, default=str))
    return sum(len(text.encode("utf-8", "surrogatepass")) for text in texts)


def _likely_usage(request: Request, history: History, most: Usage) -> Usage:
    size = size_in_bytes(request)
    told = history.bytes_per_token
    sent = tokens.of_bytes(size) if told is None else ceil(size / told)
    images = _TOKENS_PER_IMAGE * _images(request)
    came = ceil(history.output_tokens or _LIKELY_OUTPUT_TOKENS)
    return Usage(min(sent + images, most.input_tokens or 0), min(came, most.output_tokens or 0))


def _beside_text(request: Request) -> int:
    messages = (len(request.messages) + 1) * _TOKENS_PER_MESSAGE
    tools = len(request.tools) * _TOKENS_PER_MESSAGE
    return messages + tools + _TOKENS_PER_IMAGE * _images(request)


def _images(request: Request) -> int:
    return sum(_is_image(part) for message in request.messages for part in message.content)


def _is_image(part: Part) -> bool:
    return isinstance(part, ImagePart)


def _text(part: Part) -> str:
    match part:
        case TextPart(text) | ReasoningPart(text):
            return text
        case ToolCall():
            return part.name + part.arguments_json
        case ToolResult():
            return part.name + part.text
    return ""


def _answers(request: Request) -> int:
    return max([1, *_numbers(request.parameters.extra, _COUNT_NAMES)])


def _numbers(extra: Mapping[str, Any], names: Iterable[str]) -> list[int]:
    """The whole numbers that go by these names, at the top or where Gemini has them."""
    if not extra:
        return []
    nested = extra.get(_NESTED_IN)
    places = (extra, nested) if isinstance(nested, Mapping) else (extra,)
    found = [place[name] for place in places for name in names if name in place]
    return [value for value in found if isinstance(value, int) and value > 0]


def _sum(amounts: Iterable[Decimal | None]) -> Decimal | None:
    total = Decimal(0)
    for amount in amounts:
        if amount is None:
            return None
        total += amount
    return total
