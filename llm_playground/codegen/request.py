"""A request as generated code sends it: without keys, with placeholders for ``{{name}}``.

In the request's body each ``{{name}}`` is a mark, a text that occurs nowhere else in it. Where the
body is written as code, the function's parameter is written in its place. :class:`LiteralWriter`
writes JSON values as literals, which hold visible characters only, whatever a text contains.
"""

from __future__ import annotations

import json
import keyword
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any
from urllib.parse import urlencode

from llm_playground import config
from llm_playground.config import credentials, endpoint_fields
from llm_playground.errors import InvalidParameterError, UnknownModelError
from llm_playground.parts import FilePart, ImagePart, Part, TextPart
from llm_playground.providers.wire_formats import (
    WIRE_FORMATS,
    WireFormat,
    format_name,
    format_of,
)
from llm_playground.redaction import redact
from llm_playground.request import templates
from llm_playground.types import Parameters, Request

Edit = Callable[[str], str]

_MAX_COLUMNS = 88
_AFTER_LINE_BREAK = re.compile(r"(?<=\n)")
_KEY_NOTE = "The request contained a key; [redacted] stands in its place."
# The fields of parts that hold free text. Signatures and names are left as they are.
_TEXT_FIELDS = frozenset({"text", "arguments_json", "url"})
# Names that the generated functions use themselves, in Python and in JavaScript.
_USED_NAMES = """
ask client stream chunk choice event text part response lines line rest data lp os print str
OpenAI Anthropic genai fetch process JSON Error TextDecoderStream
"""
# https://262.ecma-international.org/#prod-ReservedWord, and what strict mode adds
_JAVASCRIPT_KEYWORDS = """
await break case catch class const continue debugger default delete do else enum export extends
false finally for function if import in instanceof new null return super switch this throw true
try typeof var void while with yield let static implements interface package private protected
public arguments eval undefined
"""
_RESERVED = frozenset(
    (*_USED_NAMES.split(), *_JAVASCRIPT_KEYWORDS.split(), *keyword.kwlist, "__debug__")
)


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

    def authorization(self, key: str) -> tuple[str, str]:
        """Name and value of the header that carries ``key``."""
        [pair] = self.format.authorization(key, self.key_header).items()
        return pair

    @property
    def url(self) -> str:
        """The URL that it is posted to."""
        url = self.base_url + self.format.path(self.request)
        return f"{url}?{urlencode(self.query)}" if self.query else url

    def body_without_extra(self) -> dict[str, Any]:
        """The body as it is without the parameter ``extra``."""
        parameters = replace(self.request.parameters, extra=Parameters().extra)
        plain = replace(self.placeholders.mark(self.request), parameters=parameters)
        return dict(json.loads(_to_json(self.format.body(plain))))


def prepare(
    request: Request, *, as_function: bool = False, placeholders: bool = False
) -> PreparedRequest:
    """Everything that code needs to send a request.

    With ``placeholders`` each ``{{name}}`` in its messages is a parameter of the function.

    Raises:
        InvalidParameterError: The request cannot be sent as JSON.
        UnknownModelError: Its provider is unknown.
    """
    row = config.rows().get(request.provider)
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
    return PreparedRequest(
        request=redacted,
        body=json.loads(body_json(found.mark(redacted))),
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
        as_function=as_function,
        note=None if redacted == encodable else _KEY_NOTE,
    )


def _to_json(body: Mapping[str, Any]) -> str:
    try:
        return json.dumps(body, allow_nan=False, default=dict)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidParameterError(f"This request cannot be sent as JSON: {error}.") from None


@dataclass(frozen=True, slots=True)
class Placeholder:
    """A ``{{name}}`` and the parameter that fills it."""

    name: str
    parameter: str


@dataclass(frozen=True, slots=True)
class Placeholders:
    """The placeholders of one request; the mark of the third is ``<{tag}2>``."""

    tag: str = ""
    items: tuple[Placeholder, ...] = ()

    @classmethod
    def of(cls, request: Request, body_json: str) -> Placeholders:
        """The placeholders in a request's messages, each once; no mark occurs in ``body_json``."""
        texts = [part.text for part in request.parts if isinstance(part, TextPart)]
        names = dict.fromkeys(name for text in texts for name in templates.names(text))
        tag = "blank"
        while tag in body_json:
            tag += "x"
        return cls(tag, tuple(map(Placeholder, names, _parameter_names(names))))

    def mark(self, request: Request) -> Request:
        """The request with a mark for each ``{{name}}`` in its messages."""
        if not self.items:
            return request
        marks = {each.name: f"<{self.tag}{number}>" for number, each in enumerate(self.items)}

        def mark_part(part: Part) -> Part:
            return (
                TextPart(templates.fill(part.text, marks)) if isinstance(part, TextPart) else part
            )

        marked = (
            replace(message, content=tuple(map(mark_part, message.content)))
            for message in request.messages
        )
        return replace(request, messages=tuple(marked))

    def split(self, text: str) -> Iterator[str | Placeholder]:
        """The pieces of a marked text, in order; none is an empty text.

        >>> placeholders = Placeholders("blank", (Placeholder("who", "who"),))
        >>> list(placeholders.split("Hello <blank0>!"))
        ['Hello ', Placeholder(name='who', parameter='who'), '!']
        """
        if not self.items:
            yield from [text] if text else []
            return
        for number, piece in enumerate(re.split(rf"<{re.escape(self.tag)}(\d+)>", text)):
            if number % 2:
                yield self.items[int(piece)]
            elif piece:
                yield piece


def _parameter_names(names: Iterable[str]) -> list[str]:
    """A distinct parameter name for each name, valid in every language.

    >>> _parameter_names(["topic", "class", "x²"])
    ['topic', 'class_', 'value3']
    """
    chosen: list[str] = []
    for number, name in enumerate(names, start=1):
        # Python normalises identifiers (NFKC), JavaScript does not.
        is_valid = name.isidentifier() and unicodedata.normalize("NFKC", name) == name
        parameter = name if is_valid else f"value{number}"
        while parameter in _RESERVED or parameter in chosen:
            parameter += "_"
        chosen.append(parameter)
    return chosen


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


def surrogate_escape(code: int) -> str:
    r"""The escape of a character beyond U+FFFF in JSON and JavaScript.

    >>> surrogate_escape(0x1F600)
    '\\ud83d\\ude00'
    """
    return "".join(f"\\u{half:04x}" for half in (0xD7C0 + (code >> 10), 0xDC00 + (code & 0x3FF)))


def string_literal(text: str, astral_escape: Callable[[int], str] = surrogate_escape) -> str:
    r"""A text as a literal in double quotes, of visible characters only.

    Invisible characters, line separators and bidirectional marks among them, are escaped.

    >>> print(string_literal('say "hi"\n\x00\u2028'))
    "say \"hi\"\n\u0000\u2028"
    """
    return escape_invisible(json.dumps(text, ensure_ascii=False), astral_escape)


def escape_invisible(json_text: str, astral_escape: Callable[[int], str] = surrogate_escape) -> str:
    """One line of JSON with every invisible character escaped."""
    if json_text.isprintable():
        return json_text

    def escape(char: str) -> str:
        if char.isprintable():
            return char
        return astral_escape(ord(char)) if ord(char) > 0xFFFF else f"\\u{ord(char):04x}"

    return "".join(map(escape, json_text))


@dataclass(frozen=True, slots=True)
class Style:
    """How a language writes values."""

    constants: tuple[str, str, str]  # null, true and false
    astral_escape: Callable[[int], str]  # of a character beyond U+FFFF, by its number
    key: Callable[[str, str], str]  # of an object, from its text and that text as a literal
    concatenation: str  # between two adjacent text literals
    indent: int  # the number of spaces
    padding: str  # inside the braces of an object on one line


@dataclass(frozen=True, slots=True)
class LiteralWriter:
    """Writes values in one style; marks become the parameters of a function."""

    style: Style
    placeholders: Placeholders

    def write(self, value: Any, column: int = 0, taken: int = 0) -> str:  # noqa: ANN401 - a JSON value is any of six types
        """The code of a value, on several lines if it is too long for one.

        ``column`` is the indent of the line on which it begins, ``taken`` the number of characters
        before it on that line; the first line is not indented.
        """
        available = _MAX_COLUMNS - column - taken
        if not value or not isinstance(value, (str, dict, list)):
            return self._flat(value)
        if _may_fit(value, available) and len(flat := self._flat(value)) <= available:
            return flat
        if isinstance(value, str):
            lines = list(self._text_lines(value))
            return lines[0] if len(lines) == 1 else self._enclosed("()", lines, column)
        inner = column + self.style.indent
        items = [f"{item}," for item in self._items(value, inner)]
        return self._enclosed("{}" if isinstance(value, dict) else "[]", items, column)

    def _enclosed(self, brackets: str, lines: Iterable[str], column: int) -> str:
        margin = " " * column
        inner = "".join(f"{margin}{' ' * self.style.indent}{line}\n" for line in lines)
        return f"{brackets[0]}\n{inner}{margin}{brackets[1]}"

    def _key(self, name: str) -> str:
        return self.style.key(name, string_literal(name, self.style.astral_escape))

    def _items(self, value: dict[str, Any] | list[Any], column: int) -> Iterator[str]:
        if isinstance(value, list):
            yield from (self.write(item, column) for item in value)
            return
        for name, item in value.items():
            start = f"{self._key(name)}: "
            yield start + self.write(item, column, len(start))

    def _flat(self, value: Any) -> str:  # noqa: ANN401 - as above
        match value:
            case str():
                return " + ".join(map(self._piece, self.placeholders.split(value))) or '""'
            case dict():
                items = (f"{self._key(name)}: {self._flat(item)}" for name, item in value.items())
                padding = self.style.padding if value else ""
                return f"{{{padding}{', '.join(items)}{padding}}}"
            case list():
                return f"[{', '.join(map(self._flat, value))}]"
            case None | bool():
                null, true, false = self.style.constants
                return null if value is None else true if value else false
        return repr(value)

    def _piece(self, piece: str | Placeholder) -> str:
        if isinstance(piece, Placeholder):
            return piece.parameter
        return string_literal(piece, self.style.astral_escape)

    def _text_lines(self, text: str) -> Iterator[str]:
        """One line of code for each line of a text."""
        lines: list[list[str | Placeholder]] = [[]]
        for piece in self.placeholders.split(text):
            if isinstance(piece, Placeholder):
                lines[-1].append(piece)
                continue
            first, *others = _AFTER_LINE_BREAK.split(piece)
            lines[-1] += [first] if first else []
            lines += [[other] if other else [] for other in others]
        lines = [line for line in lines if line]
        for line, following in zip(lines, [*lines[1:], []], strict=True):
            code = " + ".join(map(self._piece, line))
            if following:
                at_parameter = any(isinstance(x, Placeholder) for x in (line[-1], following[0]))
                code += " +" if at_parameter else self.style.concatenation
            yield code


def _may_fit(value: Any, available: int) -> bool:  # noqa: ANN401 - as above
    """Whether a value can fit at all; avoids writing an image just to find out."""
    if isinstance(value, dict):
        return len(value) <= available and all(_may_fit(item, available) for item in value.values())
    if isinstance(value, list):
        return len(value) <= available and all(_may_fit(item, available) for item in value)
    return not isinstance(value, str) or len(value) <= available
