"""Errors in the words of compatible services: class, one line with the reason, sent again or not.

Each row names the issue thread or the document that its body was taken from.
"""

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

import pytest

from llm_playground import errors
from llm_playground.providers import Endpoint, RequestContext
from llm_playground.providers.errors import status_error


class Said(NamedTuple):
    """What a service sent, and what a person should read."""

    source: str
    status: int
    body: object
    kind: type[errors.ProviderError]
    line: str
    retried: bool = False
    headers: Mapping[str, str] = MappingProxyType({})


def error(message, **fields):
    return {"error": {"message": message, **fields}}


REJECTED, TOO_LONG = errors.RequestRejectedError, errors.ContextLengthError
LIMITED, DOWN = errors.RateLimitError, errors.ProviderUnavailableError
BLOCKED = errors.ContentBlockedError
GOOGLE = "generativelanguage.googleapis.com/generate_content"
UPSTREAM = {"provider_name": "Google", "raw": "temporarily rate-limited upstream"}

ROWS = [
    # Balances: no wait helps.
    Said(
        "anthropics/claude-code#9201 (Zhipu)",
        429,
        error("Insufficient balance or no resource package. Please recharge.", code="1113"),
        LIMITED,
        "no resource package. Please recharge. Add credit",
    ),
    Said(
        "continuedev/continue#11823 (Zhipu)",
        429,
        error("余额不足或无可用资源包,请充值。", code="1113"),
        LIMITED,
        "Add credit",
    ),
    Said(
        "anomalyco/opencode#24462 (Moonshot behind a gateway)",
        429,
        error(
            "Error from provider: Provider returned error",
            code=429,
            metadata={"raw": json.dumps(error("Your account org-1 <ak-2> is suspended due to it"))},
        ),
        LIMITED,
        "Add credit",
    ),
    Said(
        "openclaw/openclaw#43447 (Moonshot)",
        429,
        error("Your account is suspended, check your plan", type="exceeded_current_quota_error"),
        LIMITED,
        "Add credit",
    ),
    Said(
        "continuedev/continue#9853 (DeepSeek)",
        402,
        error("Insufficient Balance", type="unknown_error", code="invalid_request_error"),
        REJECTED,
        "Insufficient Balance. Add credit",
    ),
    Said(
        "https://docs.claude.com/en/api/errors",
        400,
        error("Your credit balance is too low to access the Anthropic API."),
        REJECTED,
        "Add credit",
    ),
    Said(
        "continuedev/continue#11540 (OpenRouter)",
        402,
        error("Prompt tokens limit exceeded: 36163 > 29652. To increase, upgrade"),
        REJECTED,
        "36163 > 29652",
    ),
    # Sizes and plans: not today.
    Said(
        "vanna-ai/vanna-flask#11 (OpenAI)",
        429,
        error(
            "Request too large for gpt-4o on tokens per min (TPM): Limit 30000, Requested 342389. "
            "The input or output tokens must be reduced in order to run successfully."
        ),
        LIMITED,
        "larger than",
    ),
    Said(
        "assafelovic/gpt-researcher#985 (Groq)",
        413,
        error(
            "Request too large for model `m` on tokens per minute (TPM): Limit 6000, "
            "Requested 14368, please reduce your message size and try again.",
            type="tokens",
            code="rate_limit_exceeded",
        ),
        REJECTED,
        "Limit 6000, Requested 14368",
    ),
    Said(
        "elizaOS/eliza#4040 (Groq)",
        429,
        error(
            "Rate limit reached for model `m` on tokens per minute (TPM): Limit 6000, "
            "Used 5034, Requested 1443. Please try again in 4.77s."
        ),
        LIMITED,
        "Used 5034",
        retried=True,
    ),
    Said(
        "https://openrouter.ai/docs/api-reference/limits",
        429,
        error("Rate limit exceeded: free-models-per-day. Add 10 credits to unlock 1000 requests"),
        LIMITED,
        "today's quota is used up",
    ),
    Said(
        "dirge-code/dirge#818 (Zhipu)",
        429,
        error("Usage limit reached for 5 hour. Your limit will reset at 21:31", code="1308"),
        LIMITED,
        "reset at 21:31. Wait for its reset",
    ),
    Said(
        "continuedev/continue#10579 (Ollama)",
        429,
        "you have reached your session usage limit, please wait or upgrade to continue",
        LIMITED,
        "plan's limit is used up",
    ),
    Said(
        "https://ai.google.dev/gemini-api/docs/rate-limits (no free quota)",
        429,
        error(
            f"You exceeded your current quota. * Quota exceeded for metric: {GOOGLE}_free_tier_"
            "requests, limit: 0, model: gemini-3-pro"
        ),
        LIMITED,
        "gives this account no quota",
    ),
    Said(
        "https://ai.google.dev/gemini-api/docs/rate-limits (a minute's)",
        429,
        error(
            "You exceeded your current quota, please check your plan and billing details. For more "
            "information on this error, head to: https://ai.google.dev/gemini-api/docs/rate-limits."
            " To monitor your current usage, head to: https://ai.dev/rate-limit. \n* Quota "
            f"exceeded for metric: {GOOGLE}_paid_tier_input_token_count, limit: 1000000, model: m\n"
            "Please retry in 47.9s."
        ),
        LIMITED,
        "paid tier input tokens per minute, 1,000,000",
        retried=True,
    ),
    # Waits of zero.
    Said(
        "Azure",
        429,
        error("Slow"),
        LIMITED,
        "Run again in 1 s.",
        True,
        {"retry-after-ms": "0", "retry-after": "1"},
    ),
    Said(
        "Azure", 429, error("Slow"), LIMITED, "Run again in a moment.", True, {"retry-after": "0"}
    ),
    # Reasons that are nested.
    Said(
        "https://docs.mistral.ai/api (a list in message.detail)",
        422,
        {
            "object": "error",
            "message": {"detail": [{"loc": ["body", "n"], "msg": "Not permitted"}]},
        },
        REJECTED,
        "body.n: Not permitted",
    ),
    Said(
        "https://fastapi.tiangolo.com/tutorial/handling-errors",
        422,
        {"detail": [{"loc": ["body", "messages"], "msg": "field required", "type": "missing"}]},
        REJECTED,
        "body.messages: field required",
    ),
    Said(
        "https://openrouter.ai/docs/api-reference/errors",
        429,
        error("Provider returned error", code=429, metadata=UPSTREAM),
        LIMITED,
        "temporarily rate-limited upstream",
        retried=True,
    ),
    Said(
        "davidmigloz/ai_clients_dart#85 (a Bedrock gateway)",
        429,
        {"error": {"error": "Too many tokens, please wait before trying again.", "code": 4001}},
        LIMITED,
        "Too many tokens, please wait",
        retried=True,
    ),
    Said(
        "https://developers.cloudflare.com/workers-ai/errors",
        400,
        {"success": False, "errors": [{"code": 5006, "message": "required properties missing"}]},
        REJECTED,
        "required properties missing",
    ),
    Said(
        "https://www.rfc-editor.org/rfc/rfc9457",
        400,
        {"title": "Odd", "detail": "No such thing"},
        REJECTED,
        "No such thing",
    ),
    # Prompts that are too long.
    *(
        Said(source, status, error(words), TOO_LONG, "too long for")
        for source, status, words in (
            ("Ollama", 400, "prompt too long; exceeded max context length by 1119046 tokens"),
            ("ValueCell-ai/ClawX#658", 400, "Prompt too long: 4 tokens exceeds max context window"),
            (
                "lmstudio-ai/lmstudio-bug-tracker#237",
                400,
                "Trying to keep the first 15857 tokens "
                "when context the overflows. However, the model is loaded with a length of 7866",
            ),
            ("lmstudio-ai/examples#29", 400, "Input length 6491 exceeds context length 1500"),
            (
                "vllm-project/vllm#12165",
                400,
                "The prompt (total length 25938) is too long to fit "
                "into the model (context length 4096).",
            ),
            ("vLLM", 400, "The decoder prompt (length 9) is longer than the maximum model length"),
            ("OpenAI", 400, "Your input exceeds the context window of this model."),
            ("xAI", 400, "This model's maximum prompt length is 131072 but the request contains 5"),
            ("Groq", 400, "Please reduce the length of the messages or completion."),
            ("GitHub Copilot", 400, "prompt token count of 9 exceeds the limit of 8"),
            ("MiniMax", 400, "invalid params, context window exceeds limit"),
            ("Moonshot", 400, "Your request exceeded model token limit: 8 (requested: 9)"),
            ("Bedrock", 400, "Input is too long for requested model."),
            ("TGI", 422, "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 8"),
            ("DashScope", 400, "Range of input length should be [1, 30720]"),
            (
                "coddy-project/coddy-agent#106 (llama.cpp)",
                500,
                "the request exceeds the available "
                "context size. try increasing the context size or enable context shift",
            ),
        )
    ),
    # Models that are not there.
    *(
        Said(source, status, body, REJECTED, "Choose another model")
        for source, status, body in (
            ("Mistral", 400, {"object": "error", "message": "Invalid model: nope", "code": "1500"}),
            ("langbot-app/LangBot#1643 (DeepSeek)", 400, error("Model Not Exist")),
            ("continuedev/continue#10758 (OpenRouter)", 400, error("a/b is not a valid model ID")),
            (
                "continuedev/continue#11177 (LiteLLM)",
                400,
                {
                    "error": "/chat/completions: Invalid "
                    "model name passed in model=ollama/deepseek-r1:latest."
                },
            ),
            ("Ollama", 404, error('model "llama9" not found, try pulling it first')),
            ("OpenRouter", 404, error("No endpoints found for a/b.")),
            ("Together", 422, error("The model m does not exist", code="model_not_available")),
            ("a gateway", 500, error("model_not_found: no channel for m", code="model_not_found")),
        )
    ),
    # Refusals on grounds of content.
    *(
        Said(source, status, body, BLOCKED, "blocked the prompt")
        for source, status, body in (
            ("DeepSeek", 400, error("Content Exists Risk", code="invalid_request_error")),
            ("Zhipu", 400, error("系统检测到输入或生成内容可能包含不安全或敏感内容", code="1301")),
            ("xAI", 403, error("Content violates usage guidelines.")),
            (
                "OpenRouter",
                403,
                error("Your input was flagged", metadata={"reasons": ["violence"]}),
            ),
            (
                "OpenAI",
                400,
                error("Invalid prompt: your prompt was flagged", code="invalid_prompt"),
            ),
            ("Anthropic", 400, error("Output blocked by content filtering policy")),
        )
    ),
    # Errors of the server that come again each time.
    *(
        Said(source, 500, error(words, **fields), REJECTED, "cannot do this")
        for source, words, fields in (
            ("bmachek/lrc-ai-assistant#37 (Ollama)", "failed to parse grammar", {}),
            ("Ollama", "model requires more system memory (8.4 GiB) than is available", {}),
            ("LM Studio", 'Error rendering prompt with jinja template: "roles must alternate"', {}),
            ("LiteLLM", "litellm.BadRequestError: no", {"type": "invalid_request_error"}),
        )
    ),
    Said("RFC 9110", 501, {}, REJECTED, "cannot do this"),
    # Errors that pass.
    Said("sipeed/picoclaw#795 (Zhipu)", 500, error("网络错误", code="1234"), DOWN, "(500)", True),
    Said("Gemini", 500, error("Internal error encountered.", code=500), DOWN, "(500)", True),
    Said("Gemini", 503, error("The model is overloaded.", code=503), DOWN, "overloaded", True),
]


@pytest.mark.parametrize("said", ROWS, ids=lambda said: f"{said.source} {said.status}")
def test_error_of_a_service_is_one_class_and_one_clear_line(said):
    body = said.body if isinstance(said.body, str) else json.dumps(said.body)
    for provider in ("openai", "anthropic", "gemini"):
        call = RequestContext(Endpoint(provider, "none", "http://127.0.0.1:9"), f"{provider}:m")
        found = status_error(call, said.status, body, said.headers)
        assert type(found) is said.kind
        assert said.line in str(found)
        assert found.retryable == said.retried
        assert "…." not in str(found)
        assert "in 0 s" not in str(found)


def test_message_names_the_host_that_answered():
    for status in (400, 401, 403, 404, 429, 500):
        call = RequestContext(Endpoint("openai", "none", "http://llm.example:9/v1"), "openai:m")
        assert str(status_error(call, status, "{}")).startswith("OpenAI at llm.example:9 ")
        call = RequestContext(Endpoint("openai", "none"), "openai:m")
        assert str(status_error(call, status, "{}")).startswith("OpenAI ")
