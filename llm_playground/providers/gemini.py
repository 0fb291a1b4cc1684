"""Gemini's generateContent: :func:`body`, :class:`Reader`, and the provider over google-genai.

Format: https://ai.google.dev/api/generate-content, streamed with ``alt=sse``. The SDK gives no
access to the bytes of a response and takes ten times as long to parse them, but it accepts an HTTP
client: the one used here keeps the response and returns an empty one to the SDK.
"""

from __future__ import annotations

import base64
import re
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, ClassVar

import httpx2

from llm_playground import config
from llm_playground._validation import shorten
from llm_playground.errors import InvalidParameterError
from llm_playground.events import Block, Finish, PartAdded, ProviderEvent
from llm_playground.parts import (
    AudioPart,
    FilePart,
    ImagePart,
    RefusalPart,
    TextPart,
    ToolCall,
    ToolResult,
    original_for,
)
from llm_playground.providers import (
    Endpoint,
    RequestContext,
    documents,
    endings,
    error_bodies,
    errors,
    gemini_endings,
    gemini_parts,
    streaming,
    usage,
)
from llm_playground.providers.contents import UNREADABLE, arguments, fields, read_each, sendable
from llm_playground.providers.extra import merged
from llm_playground.providers.http import client_for
from llm_playground.providers.wire_formats import WIRE_FORMATS
from llm_playground.request import images
from llm_playground.types import FinishReason, Message, Request, TokenLogprob

if TYPE_CHECKING:
    from google.genai import Client

# Fields of an event that is no error.
_FIELDS = frozenset({"candidates", "promptFeedback", "usageMetadata", "modelVersion", "responseId"})
# Fields of generationConfig by parameter.
CONFIG_NAMES = {
    "temperature": "temperature",
    "top_p": "topP",
    "top_k": "topK",
    "max_tokens": "maxOutputTokens",
    "seed": "seed",
    "presence_penalty": "presencePenalty",
    "frequency_penalty": "frequencyPenalty",
}
# Hosts of videos and of uploaded files of any kind.
_OTHER_MEDIA = re.compile(
    r"(?:gs|https?)://(?:[^/?#]*@)?(?:[\w.-]*\.)?"
    r"(?:youtube\.com|youtube-nocookie\.com|youtu\.be|generativelanguage\.googleapis\.com)(?![\w-])",
    re.IGNORECASE,
)
_ROLES = {"user": "user", "assistant": "model", "tool": "user"}
# Gemini 2 takes a budget in tokens where later models take a level; the numbers are those of
# Google's own OpenAI-compatible endpoint (https://ai.google.dev/gemini-api/docs/openai#thinking).
_BUDGETS = {"none": 0, "minimal": 512, "low": 1_024, "medium": 8_192, "high": 24_576}
# These refuse tools together with a schema: "Function calling with a response mime type:
# 'application/json' is unsupported".
_EITHER_TOOLS_OR_SCHEMA = ("gemini-1", "gemini-2")


def body(request: Request) -> dict[str, Any]:
    """The request's JSON body for the REST API; parameters that are not set are left out.

    ``generationConfig`` is present even if empty, as in the SDK's own requests.

    Raises:
        InvalidParameterError: The model does not take a schema together with tools, or ``extra``
            holds what it must not, see :func:`~.extra.merged`.

    >>> from llm_playground.parts import TextPart
    >>> from llm_playground.types import Message, Parameters
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
    contents = gemini_parts.with_signed_calls(name, _contents(sendable(request)))
    content: dict[str, Any] = {"contents": contents}
    if request.system is not None:
        content["systemInstruction"] = {"parts": [{"text": request.system}]}
    if request.tools:
        declarations = [
            {
                "name": tool.name,
                "description": tool.description,
                "parametersJsonSchema": tool.parameters,
            }
            for tool in request.tools
        ]
        content["tools"] = [{"functionDeclarations": declarations}]
    content["generationConfig"] = _generation_config(request)
    extra = request.parameters.extra
    return merged(content, extra) if extra else content


def _generation_config(request: Request) -> dict[str, Any]:
    parameters = request.parameters
    settings = {sent: getattr(parameters, name) for name, sent in CONFIG_NAMES.items()}
    settings["stopSequences"] = None if parameters.stop is None else list(parameters.stop)
    settings["thinkingConfig"] = _thinking(request.model_name, parameters.reasoning_effort)
    if parameters.logprobs is not None:
        settings |= {"responseLogprobs": True, "logprobs": parameters.logprobs or None}
    if request.schema is not None:
        settings["responseMimeType"] = "application/json"
        settings["responseJsonSchema"] = request.schema.json_schema
    return {name: value for name, value in settings.items() if value is not None}


def _thinking(model_name: str, effort: str | None) -> dict[str, Any] | None:
    if effort is None:
        return None
    if model_name.startswith("gemini-2") and effort in _BUDGETS:
        return {"thinkingBudget": _BUDGETS[effort], "includeThoughts": True}
    return {"thinkingLevel": effort, "includeThoughts": True}


def _contents(messages: tuple[Message, ...]) -> list[dict[str, Any]]:
    """Messages as contents; consecutive tool results share one content."""
    contents: list[dict[str, Any]] = []
    previous_role = ""
    for message in messages:
        parts = _parts(message) if message.role in _ROLES else []
        if not parts:  # an empty answer, such as of a stopped run: Gemini would refuse it
            continue
        if message.role == previous_role == "tool":
            contents[-1]["parts"] += parts
        else:
            contents.append({"role": _ROLES[message.role], "parts": parts})
        previous_role = message.role
    return contents


def _parts(message: Message) -> list[dict[str, Any]]:
    """The parts in their order: with their originals, else in their plain form."""
    if message.is_one_text:
        return [{"text": message.text}] if message.text or message.role == "user" else []
    is_answer = message.role == "assistant"  # else a picture without bytes is an error
    content = (part for part in message.content if not (is_answer and images.is_gone(part)))
    sent = (gemini_parts.sent_back(part) or _part(part) for part in content)
    return [part for part in sent if part is not None]


def _part(part: object) -> dict[str, Any] | None:
    """A part in its plain form; None for reasoning, and for what Gemini has no place for."""
    match part:
        case TextPart(text) | RefusalPart(text) if text:
            return {"text": text}
        case ImagePart():
            return _image(part) | (original_for(part, gemini_parts.NAME) or {})
        case AudioPart() if part.transcript or (part.data is not None and part.media_type):
            return _audio(part) | (original_for(part, gemini_parts.NAME) or {})
        case FilePart():
            return documents.for_gemini(part)
        case ToolCall():
            call = {"functionCall": _call_name(part.id, part.name) | {"args": _arguments(part)}}
            return call | (original_for(part, gemini_parts.NAME) or {})
        case ToolResult():
            response = {"error" if part.is_error else "output": part.text}
            return {"functionResponse": _call_name(part.id, part.name) | {"response": response}}
    return None


def _audio(part: AudioPart) -> dict[str, Any]:
    """Speech of an earlier answer: its bytes, or its transcript."""
    if part.data is None or part.media_type is None:
        return {"text": part.transcript}
    data = base64.b64encode(part.data).decode()
    return {"inlineData": {"mimeType": part.media_type, "data": data}}


def _image(part: ImagePart) -> dict[str, Any]:
    inline = images.inline(part)
    if inline is not None:
        return {"inlineData": {"mimeType": inline[0], "data": inline[1]}}
    media_type = images.media_type(part)
    # Gemini reads videos and documents at a URL too, whose tokens are not known before the call.
    is_image = media_type is None or media_type.startswith("image/")
    if not (is_image and part.url) or _OTHER_MEDIA.match(part.url):
        name = shorten(part.url or "An empty address", 60)
        raise InvalidParameterError(f"{name} is no image. Pass its bytes.")
    return {"fileData": {"fileUri": part.url} | ({"mimeType": media_type} if media_type else {})}


def _call_name(call_id: str, name: str) -> dict[str, Any]:
    return (
        {"name": name} if call_id.startswith(gemini_parts.OWN_ID) else {"id": call_id, "name": name}
    )


def _arguments(call: ToolCall) -> dict[str, Any]:
    try:
        return arguments(call)
    except ValueError:
        return {"invalid_json": call.arguments_json}


class Reader:
    """Reads a stream of Gemini; see :class:`llm_playground.providers.streaming.Reader`."""

    ended = False  # the format has no mark for the end of a stream

    def __init__(self) -> None:
        self.complete = False
        self.bad_end: endings.BadEnd | None = None
        self._choices = endings.ChoiceFilter()
        self._finish_reason: FinishReason = "other"
        self._block: Block | None = None
        self._usage: dict[str, Any] = {}
        self._model: str | None = None
        self._parts = gemini_parts.PartReader()
        self._read_part = self._parts.read
        self._logprobs: list[TokenLogprob] = []
        self._searches: set[str] = set()

    def read(self, event: dict[str, Any]) -> list[ProviderEvent]:
        if event.get("error"):
            raise streaming.stream_error(event)
        if not self._model:
            self._model = event.get("modelVersion")
        counts = event.get("usageMetadata")
        if isinstance(counts, dict):
            # Nearly always without placeholders; it holds numbers, words and lists.
            join = dict.__or__ if all(counts.values()) else usage.merged
            self._usage = join(self._usage, counts)
        if event.get("promptFeedback"):
            self._set_block(gemini_endings.prompt_block(event["promptFeedback"]))
        candidates = event.get("candidates")
        if not candidates:
            if not event.keys() & _FIELDS and error_bodies.error_in(event):
                raise streaming.stream_error(event)
            return []
        candidate = candidates[0]
        if candidate.get("index") != self._choices.index or len(candidates) > 1:
            return self._of_another_index(candidates)
        if candidate.get("finishReason"):
            self._end(candidate)
        if candidate.get("logprobsResult"):
            with suppress(*UNREADABLE):  # of another shape
                self._logprobs += gemini_parts.tokens(candidate["logprobsResult"])
        parts = (candidate.get("content") or {}).get("parts") or []
        read = self._read_part
        events = read(parts[0]) if len(parts) == 1 else list(read_each("part", parts, read))
        return [*events, *self._about(candidate)] if len(candidate) > 2 else events

    def finish(self, request_id: str | None) -> Finish:
        reason = self._finish_reason
        if reason == "stop" and self._parts.ids:
            reason = "tool_call"
        return Finish(
            reason,
            usage.of_generate_content(self._usage, self._searches, self._model),
            self._model if isinstance(self._model, str) else None,
            request_id,
            block=self._block,
            logprobs=tuple(self._logprobs),
            sources=self._parts.sources(),
        )

    def _of_another_index(self, candidates: list[dict[str, Any]]) -> list[ProviderEvent]:
        """The events of candidates whose index is not that of the answer so far."""
        if self.complete and candidates[0].get("index") != self._choices.index:
            self._choices.leave_out(candidates)
            return []
        return self._read_candidates(self._choices.take(candidates))

    def rest(self) -> list[ProviderEvent]:
        held = self._choices.release()
        left = read_each("choice", held, lambda choice: self._read_candidates([choice]))
        return [*left, *map(PartAdded, self._choices.left_out())]

    def _read_candidates(self, candidates: Iterable[Mapping[str, Any]]) -> list[ProviderEvent]:
        index = self._choices.index
        alike = ({"candidates": [{**candidate, "index": index}]} for candidate in candidates)
        return [read for event in alike for read in self.read(event)]

    def _about(self, candidate: dict[str, Any]) -> list[ProviderEvent]:
        self._searches |= _searches(candidate.get("groundingMetadata"))
        return list(self._parts.about(candidate))

    def _end(self, candidate: dict[str, Any]) -> None:
        self.complete = True
        self._finish_reason = gemini_endings.finish_reason(candidate["finishReason"])
        self._set_block(gemini_endings.answer_block(candidate))
        name = gemini_endings.reason_name(candidate)
        if name is not None:
            self.bad_end = endings.bad_end(name, candidate.get("finishMessage"))

    def _set_block(self, block: Block | None) -> None:
        if block is not None and self._block is None:
            self.complete = True
            self._finish_reason, self._block = "content_filter", block


def _searches(grounding: object) -> set[str]:
    """The searches whose results an answer rests on, each of which is billed."""
    given = fields(grounding)
    names = ("webSearchQueries", "imageSearchQueries")
    lists = (given.get(name) for name in names)
    queries = (query for one in lists if isinstance(one, list) for query in one)
    return {query for query in queries if query and isinstance(query, str)}


_responses: ContextVar[list[httpx2.Response] | None] = ContextVar("_responses", default=None)


class _CapturingClient(httpx2.AsyncClient):
    """Keeps each response in ``_responses`` and returns an empty, successful one to the SDK."""

    async def send(self, request: httpx2.Request, **options: Any) -> httpx2.Response:  # noqa: ANN401 - the parent's options, passed on unread
        request.extensions["timeout"] = self.timeout.as_dict()  # the SDK turns timeouts off
        response = await super().send(request, **options)
        responses = _responses.get()
        if responses is None:
            return response
        responses.append(response)
        return httpx2.Response(200, request=request, content=b"")


class GeminiProvider:
    """Sends streamGenerateContent requests to one endpoint."""

    wire_format: ClassVar[str] = "gemini"

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._http_client = client_for(endpoint, _CapturingClient)
        self._client = self._connected(self._http_client)

    def _connected(self, http_client: httpx2.AsyncClient) -> Client:
        """The SDK's client, which sends through ``http_client``."""
        from google import genai  # takes long; code generation uses this module without it
        from google.genai import types as sdk

        unused = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # else the SDK loads certificates, twice
        return genai.Client(
            vertexai=False,
            api_key=self._endpoint.api_key,
            http_options=sdk.HttpOptions(
                base_url=self._endpoint.address,
                api_version=config.gemini_api_version(),
                httpx_async_client=http_client,
                async_client_args={"verify": unused, "ssl": unused},
            ),
        )

    def _credential_errors(self) -> tuple[type[Exception], ...]:
        """Errors of ``_response`` that are not of the request, though they are ValueErrors."""
        return ()

    def stream(self, request: Request) -> AsyncGenerator[ProviderEvent, None]:
        call = RequestContext(self._endpoint, request.model, request.parameters)
        return streaming.sdk_events(call, lambda: self._response(call, request), Reader())

    async def aclose(self) -> None:
        await self._http_client.aclose()

    @asynccontextmanager
    async def _response(
        self, call: RequestContext, request: Request
    ) -> AsyncIterator[streaming.Received]:
        """Send the request; the response is closed on leaving."""
        from google.genai import types as sdk

        wire_format = WIRE_FORMATS[self.wire_format]
        wire_format.path(request)  # refuses names that would change the URL
        responses = list[httpx2.Response]()
        options = sdk.GenerateContentConfig(
            automatic_function_calling=sdk.AutomaticFunctionCallingConfig(disable=True),
            automatic_continuation=False,  # it would send further requests
            # This replaces the body that the SDK builds.
            http_options=sdk.HttpOptions(
                extra_body=wire_format.body(request),
                headers=wire_format.headers_of(request, dict(self._endpoint.headers)),
            ),
        )
        try:
            token = _responses.set(responses)
            try:
                sending = await self._client.aio.models.generate_content_stream(
                    model=request.model_name, contents="-", config=options
                )
                async for _ in sending:  # the first step sends; the response is empty
                    pass
            except self._credential_errors():
                raise
            except ValueError as error:  # a model name that would change the URL's path
                raise errors.unsendable(call, error) from None
            finally:
                _responses.reset(token)
            response, status = responses[0], responses[0].status_code
            if status != httpx2.codes.OK:
                await response.aread()
                raise errors.status_error(call, status, response.text, response.headers)
            yield streaming.Received(status, response.headers, response.aiter_bytes)
        finally:
            for response in responses:
                await response.aclose()
