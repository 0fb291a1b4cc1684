"""Chat Completions: :func:`body`, :class:`Reader`, and the provider over the openai SDK.

Format: https://platform.openai.com/docs/api-reference/chat-streaming. It is used by OpenAI, the
embedded server and all OpenAI-compatible endpoints. The SDK builds and sends the HTTP request; the
response is read as bytes, at a sixth of the cost of the SDK's parsed stream.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any

from llm_playground.config import endpoint_fields
from llm_playground.events import Block, Finish, PartAdded, ProviderEvent
from llm_playground.parts import FilePart, ImagePart, TextPart, ToolResult
from llm_playground.providers import (
    Endpoint,
    RequestContext,
    documents,
    endings,
    error_bodies,
    openai_deltas,
    openai_responses_stream,
    openai_turns,
    streaming,
    strict_schema,
    usage,
)
from llm_playground.providers.contents import (
    ANY_ID,
    fields,
    read_each,
    records,
    sendable,
    token_logprobs,
)
from llm_playground.providers.extra import merged
from llm_playground.providers.http import client_for
from llm_playground.providers.wire_formats import WIRE_FORMATS, format_name
from llm_playground.request import images
from llm_playground.types import FinishReason, Message, Request, Tool

if TYPE_CHECKING:
    import openai

# Parameters with the same name in the body.
_SAME_NAME = (
    "temperature",
    "top_p",
    "top_k",
    "seed",
    "presence_penalty",
    "frequency_penalty",
    "reasoning_effort",
)
# The ids of calls that providers take; all others take any. Sources: the refusals "string too long.
# Expected a string with maximum length 40" and "must be a-z, A-Z, 0-9, with a length of 9".
_CALL_IDS = {
    **dict.fromkeys(("openai", "azure"), re.compile(r".{1,40}")),
    "mistral": re.compile(r"[A-Za-z0-9]{9}"),
}
# llama.cpp sends no log probabilities at all for top_logprobs=0.
_LLAMA_CPP = frozenset({"local", "llama.cpp"})


def body(request: Request) -> dict[str, Any]:
    """The request's JSON body; parameters that are not set are left out.

    ``openai`` gets ``max_completion_tokens``; all others ``max_tokens``, which compatible servers
    understand. Raises InvalidParameterError as :func:`~.extra.merged` does.

    >>> from llm_playground.parts import TextPart
    >>> from llm_playground.types import Message, Parameters
    >>> body(Request("local:m", (Message("user", (TextPart("hi"),)),), Parameters(max_tokens=5)))
    ... # doctest: +NORMALIZE_WHITESPACE
    {'model': 'm', 'messages': [{'role': 'user', 'content': 'hi'}], 'max_tokens': 5,
     'stream_options': {'include_usage': True}, 'stream': True}
    """
    parameters = request.parameters
    limit = "max_completion_tokens" if request.provider == "openai" else "max_tokens"
    settings = {name: getattr(parameters, name) for name in _SAME_NAME}
    settings |= {
        limit: parameters.max_tokens,
        "stop": None if parameters.stop is None else list(parameters.stop),
        **_logprobs(request),
        "tools": [_tool(tool, request.provider) for tool in request.tools] or None,
        "response_format": None
        if request.schema is None
        else {"type": "json_schema", "json_schema": strict_schema.openai_format(request.schema)},
    }
    content = {
        "model": request.model_name,
        "messages": [
            turn
            for message in sendable(request, _CALL_IDS.get(request.provider, ANY_ID))
            for turn in _turns(message, request.provider)
        ],
        **{name: value for name, value in settings.items() if value is not None},
        "stream_options": {"include_usage": True},
        "stream": True,
    }
    return merged(content, parameters.extra) if parameters.extra else content


def _logprobs(request: Request) -> dict[str, Any]:
    wanted = request.parameters.logprobs
    if wanted is None:
        return {}
    return {
        "logprobs": True,
        "top_logprobs": max(wanted, 1) if request.provider in _LLAMA_CPP else wanted,
    }


def _tool(tool: Tool, provider: str) -> dict[str, Any]:
    """A tool; OpenAI enforces its schema where that has a strict form."""
    function: dict[str, Any] = {"name": tool.name, "description": tool.description}
    rewritten = strict_schema.strict(tool.parameters, strict_schema.OPENAI)
    if provider == "openai" and rewritten is not None:
        function |= {"parameters": rewritten, "strict": True}
    else:  # a compatible server may reject "strict"
        function["parameters"] = tool.parameters
    return {"type": "function", "function": function}


def _turns(message: Message, provider: str) -> Iterator[dict[str, Any]]:
    """The turns of one message: each tool result is its own turn, an empty answer is none."""
    results = [part for part in message.content if isinstance(part, ToolResult)]
    for result in results:
        yield {"role": "tool", "tool_call_id": result.id, "content": result.text}
    if message.role == "assistant":
        turn = openai_turns.sent_back(message)
        if turn is not None:
            yield turn
        return
    content = [
        part for part in message.content if isinstance(part, (TextPart, ImagePart, FilePart))
    ]
    if len(content) > 1 or not all(isinstance(part, TextPart) for part in content):
        yield {"role": message.role, "content": [_part(part, provider) for part in content]}
    elif message.role != "tool" and (message.text or not results):
        yield {"role": message.role, "content": message.text}


def _part(part: TextPart | ImagePart | FilePart, provider: str) -> dict[str, Any]:
    if isinstance(part, TextPart):
        return {"type": "text", "text": part.text}
    if isinstance(part, FilePart):
        return documents.for_chat(part, provider)
    return {"type": "image_url", "image_url": {"url": images.data_url(part)}}


class Reader:
    """Reads a stream of Chat Completions; see :class:`llm_playground.providers.streaming.Reader`.

    Sources: the format's documentation, and recorded streams of compatible servers.
    """

    def __init__(self) -> None:
        self.complete = False
        self.ended = False
        self.bad_end: endings.BadEnd | None = None
        self._choices = endings.ChoiceFilter()
        self._finish_reason: FinishReason = "other"
        self._stop_sequence: str | None = None
        self._usage: dict[str, Any] = {}
        self._model: str | None = None
        self._filtered: str | None = None
        self._deltas = openai_deltas.DeltaReader()
        self._read_delta = self._deltas.read
        self._citations: object = None
        self._search_results: object = None
        self._logprobs: list[dict[str, Any]] = []

    def read(self, event: dict[str, Any]) -> list[ProviderEvent]:
        if event.get("error"):
            raise streaming.stream_error(event)
        if not self._model:
            self._model = event.get("model")
            self._count({"service_tier": event.get("service_tier")})
        if event.get("citations") or event.get("search_results"):  # Perplexity's, also cumulative
            self._citations = event.get("citations") or self._citations
            self._search_results = event.get("search_results") or self._search_results
        if event.get("usage"):
            self._count(event["usage"])
            self._count({"service_tier": event.get("service_tier")})
        choices = event.get("choices")
        if not choices:
            return self._without_choice(event)
        choice = choices[0]
        if choice.get("index") != self._choices.index or len(choices) > 1:
            return self._of_another_index(choices, event)
        if choice.get("logprobs"):
            self._logprobs += records(fields(choice["logprobs"]).get("content"))
        deltas = self._read_delta(choice.get("delta") or _message(choice))
        error = choice.get("error")
        if choice.get("finish_reason") or self.complete or (deltas and error):
            return deltas + self._end(choice, event)
        if error:
            raise streaming.stream_error(choice)
        return deltas

    def finish(self, request_id: str | None) -> Finish:
        reason, block = self._finish_reason, None
        if self._deltas.refusal:
            refusal = "".join(self._deltas.refusal)
            reason, block = "content_filter", Block("answer", reason=refusal)
        elif reason == "content_filter":
            block = Block("answer", self._filtered)
        elif reason == "stop" and self._deltas.calls.ids:  # so do some compatible servers
            reason = "tool_call"
        return Finish(
            reason,
            usage.of_chat_completions(self._usage),
            self._model if isinstance(self._model, str) else None,
            request_id,
            block=block,
            logprobs=token_logprobs(self._logprobs),
            sources=self._deltas.sources(self._citations, self._search_results),
            stop_sequence=self._stop_sequence,
        )

    def _end(self, choice: dict[str, Any], event: dict[str, Any]) -> list[ProviderEvent]:
        """The events of the end; of what comes after it too."""
        reason, error = choice.get("finish_reason"), choice.get("error")
        reason = None if reason == "null" else reason  # of servers that write it as text
        if reason or (error and not self.complete):
            self._set_end(reason, error, choice, event)
        return self._deltas.ended() if self.complete else []

    def _set_end(
        self, reason: object, error: object, choice: dict[str, Any], event: dict[str, Any]
    ) -> None:
        self.complete = True
        self._finish_reason = endings.finish_reason(reason)
        message = error_bodies.message_in(error) if error else ""
        self.bad_end = endings.bad_end("error" if error else reason, message)
        if self._finish_reason == "stop":  # vLLM's name, SGLang's; a token's number is no text
            ended_at = choice.get("stop_reason") or choice.get("matched_stop")
            self._stop_sequence = ended_at if isinstance(ended_at, str) else None
        # Moonshot AI sends the usage in the choice, Groq in an object of its own; Vercel's
        # gateway says what it charged in the metadata.
        self._count(choice.get("usage"))
        self._count(fields(event.get("x_groq")).get("usage"))
        for place in (event, choice, choice.get("delta")):
            metadata = fields(fields(place).get("provider_metadata"))
            self._count({"gateway": metadata.get("gateway")})
        if choice.get("content_filter_results"):  # Azure's
            self._filtered = _filtered(choice["content_filter_results"])

    def _count(self, counts: object) -> None:
        if isinstance(counts, dict):
            self._usage = usage.merged(self._usage, counts)

    def _without_choice(self, event: dict[str, Any]) -> list[ProviderEvent]:
        """The usage chunk, for which some send null, or an error."""
        if event.get("choices") is None and error_bodies.error_in(event):
            raise streaming.stream_error(event)
        # After the usage comes no text.
        return self._read_choices(self._choices.release(), {}) if event.get("usage") else []

    def _of_another_index(
        self, choices: list[dict[str, Any]], event: dict[str, Any]
    ) -> list[ProviderEvent]:
        """The events of choices whose index is not that of the answer so far."""
        if self.complete and choices[0].get("index") != self._choices.index:
            self._choices.leave_out(choices)
            return []
        return self._read_choices(self._choices.take(choices), event)

    def rest(self) -> list[ProviderEvent]:
        held = self._choices.release()
        left = read_each("choice", held, lambda choice: self._read_choices([choice], {}))
        return [*left, *map(PartAdded, self._choices.left_out())]

    def _read_choices(
        self, choices: Iterable[Mapping[str, Any]], event: dict[str, Any]
    ) -> list[ProviderEvent]:
        index = self._choices.index
        alike = ({**event, "choices": [{**choice, "index": index}]} for choice in choices)
        return [read for one in alike for read in self.read(one)]


def _message(choice: dict[str, Any]) -> dict[str, Any]:
    """The delta of a choice without one: of an answer that came whole, the message."""
    message = choice.get("message")
    if "delta" in choice or not isinstance(message, dict):
        return {}
    calls = message.get("tool_calls") or ()
    numbered = [{**call, "index": number} for number, call in enumerate(calls)]
    return {**message, "tool_calls": numbered}


def _filtered(results: object) -> str | None:
    """The category for which Azure's content filter withheld the answer."""
    for name, result in fields(results).items():
        if fields(result).get("filtered") is True:
            return name
    return None


class OpenAIProvider:
    """Sends requests of Chat Completions or Responses to one endpoint.

    ``wire_formats.format_name`` chooses the format.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        import openai  # takes 0.6 s; code generation uses this module without it

        self._endpoint = endpoint
        self._errors = (openai.APIStatusError, openai.APIConnectionError)
        http_client = client_for(endpoint, openai.DefaultAioHttpClient)
        self._client = openai.AsyncOpenAI(
            api_key=endpoint.api_key,
            admin_api_key="",  # None would be read from the environment
            base_url=endpoint.address,
            default_query=dict(endpoint.query),
            timeout=http_client.timeout,
            max_retries=0,
            http_client=http_client,
        )
        if endpoint.provider != "openai":  # OPENAI_ORG_ID and OPENAI_PROJECT_ID are OpenAI's only
            self._client.organization = self._client.project = None

    def stream(self, request: Request) -> AsyncGenerator[ProviderEvent, None]:
        call = RequestContext(self._endpoint, request.model, request.parameters)
        if format_name(request, self._endpoint.address) == "openai-responses":
            return openai_responses_stream.answer(
                call, self._client_for(request).responses, request, self._errors
            )
        return streaming.sdk_events(call, lambda: self._send(request), Reader(), *self._errors)

    def resume(self, request: Request, response_id: str) -> AsyncGenerator[ProviderEvent, None]:
        """The events of an answer in the background, as ``stream``; nothing is sent again."""
        call = RequestContext(self._endpoint, request.model, request.parameters)
        return openai_responses_stream.resumed(
            call, self._client_for(request).responses, request, response_id, self._errors
        )

    def _send(self, request: Request) -> AbstractAsyncContextManager[streaming.Response]:
        # extra_body replaces the placeholders that the SDK requires.
        wire_format = WIRE_FORMATS["openai"]
        return self._client_for(request).chat.completions.with_streaming_response.create(
            model="",
            messages=[],
            stream=True,
            extra_headers=wire_format.headers_of(request, dict(self._endpoint.headers)),
            extra_body=wire_format.body(request),
        )

    def _client_for(self, request: Request) -> openai.AsyncOpenAI:
        address = self._endpoint.address
        if "{model}" not in address:
            return self._client
        own = endpoint_fields.url_for(address, request.model_name)
        return self._client.with_options(base_url=own)

    async def aclose(self) -> None:
        await self._client.close()
