"""Error bodies that are more precise than their status, as rules: the first match counts.

A rule is matched with the message of an error and with its JSON. Sources: the vendors' error codes,
and what compatible services send, of which the tests name the threads. Compiled on the first
failure.
"""

from __future__ import annotations

import re

from llm_playground.errors import (
    AuthenticationError,
    ContentBlockedError,
    ContextLengthError,
    RateLimitError,
    RequestRejectedError,
)
from llm_playground.providers.errors import NO_MODEL, Rule

# Statuses that services use for a request that is wrong: 500 is that of Ollama, LM Studio and
# llama.cpp, 402 and 403 that of OpenRouter and xAI.
_WRONG = frozenset({400, 402, 403, 404, 413, 422, 424, 500, 502})
_LIMITED = frozenset({413, 429})

_TOO_LONG = Rule(
    ContextLengthError,
    "The prompt is too long for {model_name} {why}. "
    "Shorten it, lower max_tokens, or choose a model with a larger context window.",
)
_BLOCKED = Rule(
    ContentBlockedError,
    "{label} blocked the prompt {why}. Nothing was billed. Reword it, or choose another model.",
)
_NO_CREDIT = (
    "{label} says that the account's quota is used up {why}. Add credit or raise its limit."
)
_USED_UP = Rule(RateLimitError, _NO_CREDIT, final=True)
_UNPAID = Rule(RequestRejectedError, _NO_CREDIT)
_NO_QUOTA = Rule(
    RateLimitError,
    "{label} gives this account no quota for {model_name} {why}. "
    "Add billing to the account, or choose another model.",
    final=True,
)
_TODAY = Rule(
    RateLimitError,
    "{label} says today's quota is used up {why}. Wait until tomorrow or raise the limit.",
    final=True,
)
_PLAN = Rule(
    RateLimitError,
    "{label} says the plan's limit is used up {why}. Wait for its reset, or choose another model.",
    final=True,
)
_TOO_MUCH_AT_ONCE = Rule(
    RateLimitError,
    "The request is larger than {label} allows in a minute {why}. "
    "Shorten it, lower max_tokens, or raise the limit.",
    final=True,
)
_NO_VISION = Rule(
    RequestRejectedError, "{model_name} does not take images. Choose a model with vision."
)
_PERMANENT = Rule(
    RequestRejectedError,
    "{server} cannot do this {why}. Change the request, or choose another model.",
)

_BALANCE = (
    r"insufficient[_ ](?:account |user |available )?(?:quota|balance|credits?|funds)"
    r"|(?:balance|credits?) (?:is |are )?(?:not enough|insufficient|too low|exhausted|depleted)"
    r"|not enough (?:balance|credits?)|no (?:credits?|resource package)|out of credits"
    r"|credit balance is too low|used all (?:available |your )?credits|requires more credits"
    r"|please recharge|exceeded_current_quota|billing_hard_limit|billing_not_active"
    r"|account (?:\S+ ){0,4}(?:is |has been )?suspended|arrearage"
    r"|payment is past due|overdue[- ]payment"
    r"|monthly spending limit|余额不足|欠费|充值"
)
_RULES: tuple[tuple[frozenset[int], str, Rule], ...] = (
    (_LIMITED, r'"quotaId":\s*"[^"]*PerDay', _TODAY),
    (frozenset({429}), r"quota exceeded[^*\n]{0,200}limit: 0\b", _NO_QUOTA),
    (frozenset({429}), _BALANCE, _USED_UP),
    (_WRONG, _BALANCE, _UNPAID),
    (
        frozenset({429}),
        r"request too large|(?:input or output )?tokens must be reduced"
        r"|reduce (?:your |the )?(?:message|prompt|request) size"
        r"|would exceed .{0,60}on its own",
        _TOO_MUCH_AT_ONCE,
    ),
    (
        frozenset({429}),
        r"(?:tokens|requests|models)[- _]per[- _]day|\b[TR]PD\b|daily (?:\w+ )?(?:limit|quota)"
        r"|quota .{0,30}for today",
        _TODAY,
    ),
    (
        frozenset({429}),
        r"usage limit|(?:session|weekly|monthly|hour(?:ly)?) (?:\w+ )?(?:limit|quota)"
        r"|limit will reset at|使用上限",
        _PLAN,
    ),
    (
        _WRONG,
        r"context_length_exceeded|exceed_context_size|max(?:imum)?[ _](?:model )?(?:context|prompt)"
        r"[ _]length|prompt (?:is )?too long|input (?:is|too) (?:too )?long"
        r"|exceed(?:s|ed|ing)? (?:\S+ ){0,4}context (?:limit|size|length|window)"
        r"|context (?:limit|size|length|window)[^.]{0,40}exceed"
        r"|(?:longer|greater) than the (?:\S+ )?(?:maximum )?(?:model|context) length"
        r"|input token count.{0,40}exceeds|prompt token count.{0,40}exceeds the limit"
        r"|exceeded model token limit|reduce the length of (?:the|your) (?:messages|prompt|input)"
        r"|tokens when context the overflows|tokens to keep from the initial prompt"
        r"|`?inputs`? tokens \+ `?max_new_tokens`? must be|input length \d+ exceeds"
        r"|range of input length should be|too long to fit into the model"
        r"|total number of tokens in the prompt cannot exceed|prompt 超长|超出最大长度",
        _TOO_LONG,
    ),
    (_WRONG, r"image input is not supported", _NO_VISION),
    (
        frozenset({400, 403, 422}),
        # OpenAI, Azure, DashScope, OpenRouter, xAI, DeepSeek, Zhipu, Anthropic
        r'"code":\s*"(?:content_filter|(?:\w+_)?policy_violation|bio_policy|data_?inspection_?failed|1301'
        r'|ResponsibleAIPolicyViolation)"|"type":\s*"content_filter"'
        r"|(?:input|prompt) was flagged|violates usage guidelines|content exists risk"
        r"|blocked by content filtering policy|content management policy|不安全或敏感内容",
        _BLOCKED,
    ),
    (
        frozenset({400}),
        r"API_KEY_INVALID|API key not valid|API key expired|incorrect api key provided",
        Rule(AuthenticationError, "{label} refused the key (400). {key_origin} {key_advice}"),
    ),
    (
        _WRONG,
        r"model[_ ]not[_ ](?:found|exist)|(?:invalid|unknown|no such|unsupported)[_ ]model\b"
        r"|not a valid model|model ['\"`]?[\w./:@-]+['\"`]? (?:is )?(?:not (?:found|available"
        r"|deployed|loaded)|(?:does|do)(?: not|n.t) exist)|no endpoints found"
        r"|model .{0,60}does not exist|模型不存在",
        NO_MODEL,
    ),
    (
        frozenset({500, 502}),
        r"failed to parse grammar|error parsing grammar|invalid_request_error|BadRequestError"
        r"|validation ?error|error rendering prompt|roles must alternate|jinja template"
        r"|requires more system memory|unable to load model|not_?implemented|does not support"
        r"|is not supported",
        _PERMANENT,
    ),
    (frozenset({501, 505}), r"", _PERMANENT),
)
_COMPILED = [
    (statuses, re.compile(pattern, re.IGNORECASE | re.DOTALL), rule)
    for statuses, pattern, rule in _RULES
]


def by_body(status: int, text: str) -> Rule | None:
    """The rule for an error's message and JSON; None if that of its status applies."""
    return next(
        (
            rule
            for statuses, pattern, rule in _COMPILED
            if status in statuses and pattern.search(text)
        ),
        None,
    )
