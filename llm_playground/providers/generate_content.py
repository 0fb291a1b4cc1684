"""``generateContent``, Gemini's wire format: a request as its JSON body, answers' JSON as events.

Format: https://ai.google.dev/api/generate-content.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping
from itertools import zip_longest
from typing import Any

from llm_playground.errors import InvalidParameterError
from llm_playground.events import (
    Block,
    Finish,
    ProviderEvent,
    ReasoningDelta,
    TextDelta,
    ToolCallDelta,
)
from llm_playground.providers import answer, faults, gemini_safety, pictures
from llm_playground.providers import usage as usages
from llm_playground.types import (
    FinishReason,
    ImagePart,
    Message,
    ReasoningPart,
    Request,
    Schema,
    TextPart,
    TokenLogprob,
    Tool,
    ToolCall,
    ToolResult,
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
_ROLES = {"user": "user", "assistant": "model", "tool": "user"}
# Gemini 2 takes a budget in tokens where later models take a level; the numbers are those of
# Google's own OpenAI-compatible endpoint (https://ai.google.dev/gemini-api/docs/openai#thinking).
_BUDGETS = {"none": 0, "minimal": 512, "low": 1_024, "medium": 8_192, "high": 24_576}
# Models that answer either with calls or in a shape: "Function calling with a response mime type:
# 'application/json' is unsupported".
_EITHER_TOOLS_OR_SCHEMA = ("gemini-1", "gemini-2")
# Gemini matches results to calls by name unless it named the calls itself. An id made up here is
# not sent.
_OWN_ID = "unnamed-"


def body(request: Request) -> dict[str, Any]:
    """The request's JSON body as the REST API takes it; a parameter nobody set is not in it.

    An empty ``generationConfig`` is, as the SDK sends one too.

    Raises:
        InvalidParameterError: The model takes no schema beside tools.

    >>> from llm_playground.types import Message, Parameters, TextPart
    >>> body(Request("gemini:m", (Message("user", (TextPart("hi"),)),), Parameters(top_p=0.5)))
    ... # doctest: +NORMALIZE_WHITESPACE
    {'contents': [{'role': 'user', 'parts': [{'text': 'hi'}]}],
     'generationConfig': {'topP': 0.5}}
    """
    name = request.model_name
    if request.tools and request.schema and name.startswith(_EITHER_TOOLS_OR_SCHEMA):
        raise InvalidParameterError(
            f"{name} takes tools or a schema, not both. Leave one out, or choose a later model."
        )
    content: dict[str, Any] = {"contents": _contents(request.messages)}
    if request.system is not None:
        content["systemInstruction"] = {"parts": [{"text": request.system}]}
    if request.tools:
        content["tools"] = [{"functionDeclarations": [_tool(tool) for tool in request.tools]}]
    content["generationConfig"] = _generation_config(request)
    return _merged(content, request.parameters.extra)


def _generation_config(request: Request) -> dict[str, Any]:
    parameters = request.parameters
    settings = {sent: getattr(parameters, name) for name, sent in _CONFIG_NAMES.items()}
    settings["stopSequences"] = None if parameters.stop is None else list(parameters.stop)
    settings["thinkingConfig"] = _thinking(request.model_name, parameters.reasoning_effort)
    settings |= _logprobs(parameters.logprobs) | _shape(request.schema)
    return {name: value for name, value in settings.items() if value is not None}


def _logprobs(wanted: int | None) -> dict[str, Any]:
    if wanted is None:
        return {}
    return {"responseLogprobs": True, "logprobs": wanted or None}


def _shape(schema: Schema | None) -> dict[str, Any]:
    if schema is None:
        return {}
    return {"responseMimeType": "application/json", "responseJsonSchema": schema.json_schema}


def _tool(tool: Tool) -> dict[str, Any]:
    return {
        "name": tool.name,
        "description": tool.description,
        "parametersJsonSchema": tool.parameters,
    }


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


def _contents(messages: tuple[Message, ...]) -> list[dict[str, Any]]:
    """Messages as contents; the results of calls that were made together stand together."""
    contents: list[dict[str, Any]] = []
    together = False
    for message in messages:
        if message.role not in _ROLES:
            continue
        parts, results = _parts(message), message.role == "tool"
        if together and results:
            contents[-1]["parts"] += parts
        else:
            contents.append({"role": _ROLES[message.role], "parts": parts})
        together = results
    return contents


def _parts(message: Message) -> list[dict[str, Any]]:
    if all(isinstance(part, TextPart) for part in message.content):
        return [{"text": message.text}]
    parts = [part for item in message.content if (part := _part(item)) is not None]
    seals = (item.signature for item in message.content if isinstance(item, ReasoningPart))
    seal = next((seal for seal in seals if seal), None)
    texts = [part for part in parts if "text" in part]
    if seal is not None and texts:  # it came with the last of the text
        texts[-1]["thoughtSignature"] = seal
    return parts


def _part(part: object) -> dict[str, Any] | None:
    """A part; None for reasoning, whose words Gemini does not want back."""
    match part:
        case TextPart(text):
            return {"text": text}
        case ImagePart():
            return _picture(part)
        case ToolCall():
            call = {"functionCall": _named(part.id, part.name) | {"args": _arguments(part)}}
            return call | ({"thoughtSignature": part.signature} if part.signature else {})
        case ToolResult():
            said = {"error" if part.is_error else "output": part.text}
            return {"functionResponse": _named(part.id, part.name) | {"response": said}}
    return None


def _picture(part: ImagePart) -> dict[str, Any]:
    held = pictures.inline(part)
    if held is not None:
        return {"inlineData": {"mimeType": held[0], "data": held[1]}}
    kind = pictures.media_type(part)
    return {"fileData": {"fileUri": part.url} | ({"mimeType": kind} if kind else {})}


def _named(call_id: str, name: str) -> dict[str, Any]:
    return {"name": name} if call_id.startswith(_OWN_ID) else {"id": call_id, "name": name}


def _arguments(call: ToolCall) -> dict[str, Any]:
    try:
        return call.arguments
    except ValueError:
        return {"invalid_json": call.arguments_json}


class Reader:
    """See :class:`llm_playground.providers.answer.Reader`."""

    ended = False  # nothing marks the end but the end

    def __init__(self) -> None:
        self.complete = False
        self._finish_reason: FinishReason = "other"
        self._block: Block | None = None
        self._usage: dict[str, Any] = {}
        self._model: str | None = None
        self._calls = 0
        self._signature: str | None = None
        self._logprobs: list[TokenLogprob] = []

    def read(self, event: dict[str, Any]) -> list[ProviderEvent]:
        """What one event's JSON adds."""
        if event.get("error"):
            raise answer.StreamFaultError(
                faults.status_in(event["error"]) or 500, json.dumps(event)
            )
        if not self._model:
            self._model = event.get("modelVersion")
        usage = event.get("usageMetadata")
        if isinstance(usage, dict):  # cumulative: the latest of each count holds
            self._usage |= usage
        if event.get("promptFeedback"):
            self._judge(gemini_safety.prompt_block(event["promptFeedback"]))
        candidates = event.get("candidates")
        if not candidates or candidates[0].get("index"):  # another answer, of candidateCount
            return []
        candidate = candidates[0]
        if candidate.get("finishReason"):
            self.complete = True
            self._finish_reason = gemini_safety.finish_reason(candidate["finishReason"])
            self._judge(gemini_safety.answer_block(candidate))
        if candidate.get("logprobsResult"):
            self._logprobs += _tokens(candidate["logprobsResult"])
        parts = (candidate.get("content") or {}).get("parts") or ()
        return [delta for part in parts if (delta := self._delta(part)) is not None]

    def finish(self, request_id: str | None) -> Finish:
        """The last event."""
        reason = self._finish_reason
        if reason == "stop" and self._calls:
            reason = "tool_call"
        return Finish(
            reason,
            usages.of_generate_content(self._usage),
            self._model if isinstance(self._model, str) else None,
            request_id,
            block=self._block,
            logprobs=tuple(self._logprobs),
            reasoning_signature=self._signature,
        )

    def _judge(self, block: Block | None) -> None:
        if block is not None and self._block is None:
            self.complete = True
            self._finish_reason, self._block = "content_filter", block

    def _delta(self, part: dict[str, Any]) -> ProviderEvent | None:
        call = part.get("functionCall")
        if call:
            return self._call(call, part.get("thoughtSignature"))
        if part.get("thoughtSignature"):
            self._signature = part["thoughtSignature"]
        text = part.get("text")
        if not text or not isinstance(text, str):
            return None
        return ReasoningDelta(text) if part.get("thought") else TextDelta(text)

    def _call(self, call: dict[str, Any], signature: str | None) -> ToolCallDelta:
        """A call, which comes whole."""
        place, self._calls = self._calls, self._calls + 1
        return ToolCallDelta(
            place,
            json.dumps(call.get("args") or {}, ensure_ascii=False),
            call.get("id") or f"{_OWN_ID}{uuid.uuid4().hex}",
            call["name"],
            signature,
        )


def _tokens(result: object) -> Iterator[TokenLogprob]:
    """``logprobsResult``: what was chosen at each step, and what else could have been."""
    if not isinstance(result, Mapping):
        return
    steps = result.get("topCandidates") or ()
    for chosen, step in zip_longest(result.get("chosenCandidates") or (), steps):
        if chosen is None:
            return
        top = (step or {}).get("candidates") or ()
        yield TokenLogprob(*_likely(chosen), tuple(_likely(one) for one in top))


def _likely(token: Mapping[str, Any]) -> tuple[str, float]:
    return token.get("token", ""), token.get("logProbability", 0.0)  # zero is absent
