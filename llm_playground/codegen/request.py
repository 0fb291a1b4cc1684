"""A request as generated code sends it: without keys, with marks for ``{{name}}``."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any
from urllib.parse import urlencode

from llm_playground import config
from llm_playground.codegen.placeholders import Placeholders
from llm_playground.config import credentials, endpoint_fields
from llm_playground.config.endpoint_table import EndpointRow
from llm_playground.errors import InvalidParameterError, UnknownModelError
from llm_playground.parts import FilePart, ImagePart, Part
from llm_playground.providers.wire_formats import (
    WIRE_FORMATS,
    WireFormat,
    format_name,
    format_of,
)
from llm_playground.redaction import redact
from llm_playground.types import Parameters, Request

Edit = Callable[[str], str]

_KEY_NOTE = "The request contained a key; [redacted] stands in its place."
# The fields of parts that hold free text. Signatures and names are left as they are.
_TEXT_FIELDS = frozenset({"text", "arguments_json", "url"})
# Fields of a body that ask for a stream.
_STREAM_FIELDS = frozenset({"stream", "stream_options"})
_GEMINI_STREAM, _GEMINI_PLAIN = ":streamGenerateContent?alt=sse", ":generateContent"


@dataclass(frozen=True, slots=True)
class PreparedRequest:
    """One request as code sends it."""

    request: Request  # without parameters that its model does not take
    body: dict[str, Any]  # JSON, with marks for the parameters of a function
    wire_format: str  # `local` for the embedded model
    base_url: str  # without a slash at its end
    key_variable: str | None  # the environment variable that holds the key
    key_header: str | None  # the header for it, None for that of the wire format
    endpoint_headers: Mapping[str, str]  # of its row; `${NAME}` in a value is a variable
    query: Mapping[str, str]  # of its row
    placeholders: Placeholders  # the parameters of the function
    streams: bool = True  # whether the answer comes as a stream
    attempts: int = 1  # of a function's call
    as_function: bool = False  # instead of a script
    note: str | None = None  # what the reader of the code must know

    @property
    def format(self) -> WireFormat:
        """The row of its wire format."""
        return WIRE_FORMATS[self.wire_format]

    @property
    def headers(self) -> dict[str, str]:
        """The headers beside key and content type."""
        return self.format.headers_of(self.request, self.endpoint_headers)

    @property
    def header_pieces(self) -> dict[str, list[str]]:
        """Each of ``headers`` as texts, at even places, and names of variables, at odd ones."""
        of_row = self.endpoint_headers.keys() - self.request.parameters.headers.keys()
        return {
            name: endpoint_fields.pieces(value) if name in of_row else [value]
            for name, value in self.headers.items()
        }

    @property
    def own_header_pieces(self) -> dict[str, list[str]]:
        """Those of the endpoint's row, which every request to it has."""
        return {
            name: pieces
            for name, pieces in self.header_pieces.items()
            if name in self.endpoint_headers and name not in self.request.parameters.headers
        }

    @property
    def call_headers(self) -> dict[str, str]:
        """The headers of this call, with the API version that was used."""
        of_row = self.own_header_pieces.keys() | {self.key_header}
        return {name: value for name, value in self.headers.items() if name not in of_row}

    @property
    def has_tools(self) -> bool:
        """Whether the answer may be calls of tools."""
        return bool(self.request.tools or self.body.get("tools"))

    def is_long_answer(self, tokens: int) -> bool:
        """Whether a whole answer of more than ``tokens`` tokens is asked for."""
        limit = self.body.get("max_tokens")
        return not self.streams and isinstance(limit, (int, float)) and limit > tokens

    def returned(self, data: str) -> str:
        """What the function returns, as a sentence; ``data`` names the data of a schema."""
        answer = "the answer's text" if self.request.schema is None else data
        if self.has_tools:
            return f"Tool calls (id, name, arguments) if the model makes some, else {answer}."
        return f"{answer[0].upper()}{answer[1:]}."

    def authorization(self, key: str) -> tuple[str, str]:
        """Name and value of the header that carries ``key``."""
        [pair] = self.format.authorization(key, self.key_header).items()
        return pair

    @property
    def url(self) -> str:
        """The URL that it is posted to."""
        path = self.format.path(self.request)
        if not self.streams:
            path = path.replace(_GEMINI_STREAM, _GEMINI_PLAIN)
        url = self.base_url + path
        return f"{url}?{urlencode(self.query)}" if self.query else url

    @property
    def shown_line(self) -> str:
        """Method and URL; the embedded server has no address to show."""
        is_local = self.request.provider == "local"
        return f"POST {'the server in this kernel' if is_local else self.url}"

    @property
    def shown_headers(self) -> list[tuple[str, str]]:
        """All headers that say something, with ``…`` in place of the key."""
        if self.request.provider == "local":
            return []
        key = [self.authorization("…")] if self.key_variable else []
        return [("content-type", "application/json"), *key, *self.headers.items()]

    def body_without_extra(self) -> dict[str, Any]:
        """The body as it is without the parameter ``extra``."""
        parameters = replace(self.request.parameters, extra=Parameters().extra)
        plain = replace(self.placeholders.mark(self.request), parameters=parameters)
        return dict(json.loads(_to_json(self.format.body(plain))))


def prepare(
    request: Request,
    *,
    as_function: bool = False,
    placeholders: bool = False,
    stream: bool = True,
) -> PreparedRequest:
    """Everything that code needs to send a request.

    With ``placeholders`` each ``{{name}}`` in its messages is a parameter of the function. Without
    ``stream`` the answer is asked for as a whole.

    Raises:
        InvalidParameterError: The request cannot be sent as JSON, or its answer, which comes in
            the background, can be read as a stream only.
        UnknownModelError: Its provider is unknown.
    """
    row = _row_of(request)
    if row is None:
        raise UnknownModelError(
            f"No provider is known for {request.model}. configure(endpoints=...) adds one."
        )
    wire_format = format_of(request)

    def body_json(request: Request) -> str:
        return _to_json({} if wire_format is None else wire_format.body(request))

    # As `ask` sends it: UTF-8 has no lone surrogates.
    encodable = _edit_texts(request, lambda text: text.encode("utf-8", "replace").decode())
    credentials.remember_all()
    redacted = _edit_texts(encodable, redact)
    found = Placeholders.of(redacted, body_json(redacted)) if placeholders else Placeholders()
    variables = row.key_variables
    body = json.loads(body_json(found.mark(redacted)))
    if not stream:
        body = _without_stream(body)
    is_gemini = wire_format is not None and wire_format.name == "gemini"
    return PreparedRequest(
        request=redacted,
        body=body,
        wire_format="local" if request.provider == "local" else format_name(request) or "",
        base_url=endpoint_fields.url_for(
            (request.endpoint or row.base_url).rstrip("/"), request.model_name
        ),
        key_variable=next(
            (name for name in variables if config.read(name)), next(iter(variables), None)
        ),
        key_header=row.key_header,
        endpoint_headers=row.headers,
        query=row.query,
        placeholders=found,
        streams=stream if is_gemini else body.get("stream") is True,
        as_function=as_function,
        attempts=config.settings().retry.attempts,
        note=None if redacted == encodable else _KEY_NOTE,
    )


def _row_of(request: Request) -> EndpointRow | None:
    """The row of the provider, or of the server to which another program sent the request."""
    row = config.rows().get(request.provider)
    if row is None and request.endpoint is not None and request.wire_format is not None:
        return EndpointRow(
            request.provider, request.provider, request.endpoint, request.wire_format
        )
    return row


def _without_stream(body: dict[str, Any]) -> dict[str, Any]:
    if body.get("background"):
        raise InvalidParameterError(
            "This answer comes in the background, which only a stream reads: leave stream=True."
        )
    return {name: value for name, value in body.items() if name not in _STREAM_FIELDS}


def _to_json(body: Mapping[str, Any]) -> str:
    try:
        return json.dumps(body, allow_nan=False, default=dict)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidParameterError(f"This request cannot be sent as JSON: {error}.") from None


def _edit_texts(request: Request, edit: Edit) -> Request:
    """The request with every free text of it edited."""
    schema, stop = request.schema, request.parameters.stop
    if schema is not None:
        schema = replace(schema, json_schema=_edit_value(schema.json_schema, edit))
    return replace(
        request,
        messages=tuple(
            replace(message, content=tuple(_edit_part(part, edit) for part in message.content))
            for message in request.messages
        ),
        parameters=replace(
            request.parameters,
            stop=None if stop is None else tuple(map(edit, stop)),
            extra=_edit_value(request.parameters.extra, edit),
            headers=_edit_value(request.parameters.headers, edit),
        ),
        tools=tuple(
            replace(
                tool,
                description=edit(tool.description),
                parameters=_edit_value(tool.parameters, edit),
            )
            for tool in request.tools
        ),
        schema=schema,
    )


def _edit_part(part: Part, edit: Edit) -> Part:
    if isinstance(part, ImagePart) and (part.url or "").startswith("data:"):
        return part  # base64 data may contain anything that looks like a key
    if isinstance(part, FilePart) and part.text is not None:
        edited = edit(part.text)
        return part if edited == part.text else replace(part, data=edited.encode())
    texts: dict[str, Any] = {
        field.name: edit(value)
        for field in fields(part)
        if field.name in _TEXT_FIELDS and isinstance(value := getattr(part, field.name), str)
    }
    return replace(part, **texts)


def _edit_value(value: Any, edit: Edit) -> Any:  # noqa: ANN401 - a JSON value is any of six types
    if isinstance(value, str):
        return edit(value)
    if isinstance(value, Mapping):
        return {edit(str(name)): _edit_value(item, edit) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_edit_value(item, edit) for item in value]
    return value
