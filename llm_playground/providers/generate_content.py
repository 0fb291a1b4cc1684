"""``generateContent``, Gemini's wire format: a request as its JSON body, answers' JSON as events.

Format: https://ai.google.dev/api/generate-content.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from llm_playground import errors
from llm_playground.providers import answer, faults
from llm_playground.providers.call import Call
from llm_playground.types import (
    Finish,
    FinishReason,
    ProviderEvent,
    ReasoningDelta,
    Request,
    TextDelta,
    Usage,
)

_CONFIG_NAMES = {
    "temperature": "temperature",
    "top_p": "topP",
    "top_k": "topK",
    "max_tokens": "maxOutputTokens",
    "seed": "seed",
    "presence_penalty": "presencePenalty",
    "frequency_penalty": "frequencyPenalty",
}
_ROLES = {"user": "user", "assistant": "model"}
# Gemini 2 takes a budget in tokens where later models take a level; the numbers are those of
# Google's own OpenAI-compatible endpoint (https://ai.google.dev/gemini-api/docs/openai#thinking).
_BUDGETS = {"none": 0, "minimal": 512, "low": 1_024, "medium": 8_192, "high": 24_576}
_FINISH_REASONS: dict[str, FinishReason] = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "SAFETY": "content_filter",
    "RECITATION": "content_filter",
    "BLOCKLIST": "content_filter",
    "PROHIBITED_CONTENT": "content_filter",
    "SPII": "content_filter",
    "MODEL_ARMOR": "content_filter",
    "IMAGE_SAFETY": "content_filter",
    "IMAGE_PROHIBITED_CONTENT": "content_filter",
    "IMAGE_RECITATION": "content_filter",
}


def body(request: Request) -> dict[str, Any]:
    """The request's JSON body as the REST API takes it; a parameter nobody set is not in it.

    An empty ``generationConfig`` is, as the SDK sends one too.

    >>> from llm_playground.types import Message, Parameters, TextPart
    >>> body(Request("gemini:m", (Message("user", (TextPart("hi"),)),), Parameters(top_p=0.5)))
    ... # doctest: +NORMALIZE_WHITESPACE
    {'contents': [{'role': 'user', 'parts': [{'text': 'hi'}]}],
     'generationConfig': {'topP': 0.5}}
    """
    content: dict[str, Any] = {
        "contents": [
            {"role": _ROLES[message.role], "parts": [{"text": message.text}]}
            for message in request.messages
            if message.role in _ROLES
        ]
    }
    if request.system is not None:
        content["systemInstruction"] = {"parts": [{"text": request.system}]}
    content["generationConfig"] = _generation_config(request)
    return _merged(content, request.parameters.extra)


def _generation_config(request: Request) -> dict[str, Any]:
    parameters = request.parameters
    settings = {sent: getattr(parameters, name) for name, sent in _CONFIG_NAMES.items()}
    settings["stopSequences"] = None if parameters.stop is None else list(parameters.stop)
    settings["thinkingConfig"] = _thinking(request.model_name, parameters.reasoning_effort)
    return {name: value for name, value in settings.items() if value is not None}


def _thinking(model_name: str, effort: str | None) -> dict[str, Any] | None:
    if effort is None:
        return None
    if model_name.startswith("gemini-2") and effort in _BUDGETS:
        return {"thinkingBudget": _BUDGETS[effort], "includeThoughts": True}
    return {"thinkingLevel": effort, "includeThoughts": True}


def _merged(content: Mapping[str, Any], extra: Mapping[str, Any]) -> dict[str, Any]:
    """``extra`` wins, field by field: its generationConfig adds to ours."""
    merged = dict(content)
    for name, value in extra.items():
        ours = merged.get(name)
        if isinstance(ours, Mapping) and isinstance(value, Mapping):
            value = _merged(ours, value)
        merged[name] = value
    return merged


class Reader:
    """See :class:`llm_playground.providers.answer.Reader`."""

    ended = False  # nothing marks the end but the end

    def __init__(self, call: Call) -> None:
        self.complete = False
        self._call = call
        self._finish_reason: FinishReason = "other"
        self._usage: Usage | None = None
        self._model: str | None = None

    def read(self, event: dict[str, Any]) -> list[ProviderEvent]:
        """What one event's JSON adds."""
        if event.get("error"):
            raise answer.StreamFaultError(
                faults.status_in(event["error"]) or 500, json.dumps(event)
            )
        feedback = event.get("promptFeedback") or {}
        if feedback.get("blockReason"):
            raise _prompt_blocked(self._call, feedback)
        self._model = event.get("modelVersion") or self._model
        if event.get("usageMetadata"):
            self._usage = _usage(event["usageMetadata"])
        candidates = event.get("candidates")
        if not candidates:
            return []
        reason = candidates[0].get("finishReason")
        if reason:
            self.complete = True
            self._finish_reason = _FINISH_REASONS.get(reason, "other")
        parts = (candidates[0].get("content") or {}).get("parts") or []
        return [_delta(part) for part in parts if part.get("text")]

    def finish(self, request_id: str | None) -> Finish:
        """The last event."""
        return Finish(self._finish_reason, self._usage, self._model, request_id)


def _delta(part: dict[str, Any]) -> ProviderEvent:
    return ReasoningDelta(part["text"]) if part.get("thought") else TextDelta(part["text"])


def _usage(usage: dict[str, Any]) -> Usage:
    """Made inclusive: thoughts are counted apart from the answer. Absent counts are zeros."""
    thoughts = usage.get("thoughtsTokenCount")
    return Usage(
        input_tokens=usage.get("promptTokenCount", 0) + usage.get("toolUsePromptTokenCount", 0),
        output_tokens=usage.get("candidatesTokenCount", 0) + (thoughts or 0),
        cache_read_tokens=usage.get("cachedContentTokenCount"),
        reasoning_tokens=thoughts,
    )


def _prompt_blocked(call: Call, feedback: dict[str, Any]) -> errors.ContentBlockedError:
    ratings: list[dict[str, Any]] = feedback.get("safetyRatings") or []
    blocking = [rating for rating in ratings if rating.get("blocked")]
    rating = blocking[0] if blocking else {}
    category = rating.get("category")
    words = [category or feedback["blockReason"], rating.get("probability")]
    why = ", ".join(_in_words(word) for word in words if word)
    error = errors.ContentBlockedError(
        f"{call.label} blocked the prompt: {why}. Nothing was billed. "
        "Reword it or change the safety setting.",
        provider=call.endpoint.provider,
        model=call.model,
        detail=json.dumps(feedback),
    )
    error.stage, error.category, error.reason = "prompt", category, feedback["blockReason"]
    return error


def _in_words(constant: str) -> str:
    """``HARM_CATEGORY_DANGEROUS_CONTENT`` as ``dangerous content``."""
    return constant.removeprefix("HARM_CATEGORY_").replace("_", " ").lower()
