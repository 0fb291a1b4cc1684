"""The parts of messages and answers, in their order, and their JSON form.

A user's message has text, images and documents; an answer may have all others. What a provider
sends and this package does not know is an :class:`OtherPart`, so that nothing is lost.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, TypeVar

from llm_playground import image_formats

# Media types whose bytes are text.
_TEXT_TYPES = re.compile(
    r"text/.*|image/svg\+xml|application/(.*\+)?(json|jsonl|yaml|xml|toml|javascript|sql|x-sh)"
)
# Byte order marks, the longer ones first.
_MARKS = (
    (b"\xef\xbb\xbf", "utf-8-sig"),
    (b"\xff\xfe\0\0", "utf-32"),
    (b"\0\0\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)

PAUSED = "pause_turn"
"""The kind of the :class:`OtherPart` at the end of an answer that goes on once it is sent back."""
REPEATS = "repeats itself"
"""The kind of the :class:`OtherPart` at the end of an answer that was stopped as it repeated."""
LEFT_OUT = "left out"
"""The kind of the :class:`OtherPart` in place of parts above the limit of their number."""


@dataclass(frozen=True, slots=True)
class Original:
    """A part of an answer as its provider sent it, to be sent back to it in the same form.

    ``json`` is a JSON object of the format ``wire_format``, a name of
    :data:`llm_playground.providers.wire_formats.WIRE_FORMATS`. It may lack what the part itself
    holds, such as its text. ``provider`` is the part of the model before the colon; all other
    providers, and all if it is None, get the part without its original: they may refuse another's
    fields and signatures. A run's parts have it, those of stream events do not.
    """

    wire_format: str
    json: str
    provider: str | None = None


@dataclass(frozen=True, slots=True)
class TextPart:
    """A piece of text."""

    text: str
    original: Original | None = None


class _Bytes:
    """A part that has its bytes in ``data``, or is read from the log without them."""

    __slots__ = ()
    data: bytes | None
    stored_sha256: str | None

    @property
    def sha256(self) -> str | None:
        """The SHA-256 of the bytes in hex; None for a URL."""
        return self.stored_sha256 if self.data is None else hashlib.sha256(self.data).hexdigest()


@dataclass(frozen=True, slots=True)
class ImagePart(_Bytes):
    """An image: its bytes or its URL.

    ``stored_sha256`` is the hash of bytes that are in the log only, in a part that was read from
    there.
    """

    media_type: str | None
    data: bytes | None = field(default=None, repr=False)
    url: str | None = None
    stored_sha256: str | None = None
    original: Original | None = None

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        """The picture in a notebook, if its bytes are of a type that all browsers read.

        >>> sorted(ImagePart("image/gif", b"GIF89a")._repr_mimebundle_())
        ['image/gif', 'text/plain']
        """
        shown = {"text/plain": repr(self)}
        media_type = image_formats.media_type(self.data or b"")  # by the bytes, not by the claim
        if media_type is not None:
            shown[media_type] = base64.b64encode(self.data or b"").decode()
        return shown


@dataclass(frozen=True, slots=True)
class FilePart(_Bytes):
    """A document or a recording in a message: its bytes or its URL, and its name."""

    media_type: str | None
    name: str | None = None
    data: bytes | None = field(default=None, repr=False)
    url: str | None = None
    stored_sha256: str | None = None

    @property
    def text(self) -> str | None:
        """The text of a file of text that has its bytes; None for every other file.

        >>> FilePart("text/plain", "a.txt", "é".encode("cp1252")).text
        'é'
        """
        if self.data is None or not is_text(self.media_type or ""):
            return None
        return decoded(self.data)


@dataclass(frozen=True, slots=True)
class AudioPart(_Bytes):
    """Speech in an answer, and its transcript."""

    media_type: str | None
    data: bytes | None = field(default=None, repr=False)
    transcript: str = ""
    stored_sha256: str | None = None
    original: Original | None = None


@dataclass(frozen=True, slots=True)
class ReasoningPart:
    """Reasoning before an answer, which some providers require along with its tool calls."""

    text: str
    original: Original | None = None


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A tool call by the model. ``arguments_json`` is the JSON object as the model wrote it."""

    id: str
    name: str
    arguments_json: str = "{}"
    original: Original | None = None

    @property
    def arguments(self) -> dict[str, Any]:
        """The parsed arguments.

        Raises:
            ValueError: The arguments are not a JSON object.

        >>> ToolCall("1", "weather", '{"city": "Oslo"}').arguments
        {'city': 'Oslo'}
        """
        value = json.loads(self.arguments_json or "{}")
        if not isinstance(value, dict):
            raise ValueError(f"the arguments are not a JSON object: {self.arguments_json[:80]}")  # noqa: TRY004 - invalid text, not a wrong type
        return value


@dataclass(frozen=True, slots=True)
class ToolResult:
    """The result of the tool call with the same ``id``."""

    id: str
    name: str
    text: str
    is_error: bool = False


@dataclass(frozen=True, slots=True)
class ServerToolCall:
    """A call of a tool that the provider runs itself: a search, a fetch, code.

    ``name`` is the provider's, such as ``web_search``. ``arguments_json`` is the JSON object of its
    arguments; that of a call that runs code has ``code`` and, if known, ``language``.
    """

    id: str
    name: str
    arguments_json: str = "{}"
    original: Original | None = None


@dataclass(frozen=True, slots=True)
class ServerToolResult:
    """What a tool of the provider returned for the call with the same ``id``, as text."""

    id: str
    name: str
    text: str
    is_error: bool = False
    original: Original | None = None


@dataclass(frozen=True, slots=True)
class RefusalPart:
    """The reason that the model gives for not answering."""

    text: str
    original: Original | None = None


@dataclass(frozen=True, slots=True)
class OtherPart:
    """What a provider sent and this package does not know. ``json`` is a JSON value."""

    kind: str
    json: str
    original: Original | None = None


AnswerPart = (
    TextPart
    | ImagePart
    | AudioPart
    | ReasoningPart
    | ToolCall
    | ServerToolCall
    | ServerToolResult
    | RefusalPart
    | OtherPart
)
Part = AnswerPart | FilePart | ToolResult
Answered = TypeVar("Answered", bound=AnswerPart)


@dataclass(frozen=True, slots=True)
class Source:
    """A page or document that an answer cites; what the provider does not report is None.

    ``quote`` is the cited text of the source. ``cited_at`` are the places in ``run.text`` that it
    supports, each the number of characters before it; empty where the text has its own markers.
    """

    title: str | None = None
    url: str | None = None
    quote: str | None = None
    cited_at: tuple[int, ...] = ()


def decoded(data: bytes) -> str:
    r"""The text of bytes: by their mark, as UTF-8, else as Windows-1252, which Excel writes.

    >>> decoded("aé".encode("utf-16")), decoded(b"a\xe9")
    ('aé', 'aé')
    """
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return data.decode(encoding, "replace")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace")


def is_text(media_type: str) -> bool:
    """Whether the bytes of files of a media type are text.

    >>> is_text("application/ld+json"), is_text("application/pdf")
    (True, False)
    """
    return _TEXT_TYPES.fullmatch(media_type) is not None


def text_of(part: Part) -> str:
    """All that a model reads in a part, apart from images, recordings and documents in bytes.

    >>> text_of(ToolResult("1", "weather", "rain"))
    'weatherrain'
    """
    match part:
        case TextPart(text) | ReasoningPart(text) | RefusalPart(text):
            return text
        case ToolCall() | ServerToolCall():
            return part.name + part.arguments_json
        case ToolResult() | ServerToolResult():
            return part.name + part.text
        case FilePart():
            return (part.name or "") + (part.text or "")
        case AudioPart():
            return part.transcript
        case OtherPart():
            return part.json
    return ""


def original_for(part: Part, wire_format: str) -> dict[str, Any] | None:
    """The JSON object of a part's original in a wire format; None where it has none.

    >>> original_for(TextPart("Hi.", Original("gemini", '{"thoughtSignature": "c2k="}')), "gemini")
    {'thoughtSignature': 'c2k='}
    """
    original: Original | None = getattr(part, "original", None)
    if original is None or original.wire_format != wire_format:
        return None
    try:
        value = json.loads(original.json)
    except (ValueError, RecursionError):  # another program wrote it
        return None
    return value if isinstance(value, dict) else None


def for_provider(part: Part, provider: str) -> Part:
    """The part as it goes to a provider: with its original only where that came from there.

    >>> for_provider(TextPart("Hi.", Original("openai", "{}", "groq")), "mistral")
    TextPart(text='Hi.', original=None)
    """
    original: Original | None = getattr(part, "original", None)
    if original is None or original.provider == provider:
        return part
    return replace(part, original=None)  # type: ignore[arg-type]  # one of those that have it


def from_provider(part: Answered, provider: str) -> Answered:
    """The part with its provider in its original.

    >>> from_provider(TextPart("Hi.", Original("openai", "{}")), "groq").original
    Original(wire_format='openai', json='{}', provider='groq')
    """
    if part.original is None:
        return part
    return replace(part, original=replace(part.original, provider=provider))


# The type in JSON of each part, and its attributes.
_AS_JSON: dict[type[Part], tuple[str, tuple[str, ...]]] = {
    TextPart: ("text", ("text",)),
    ImagePart: ("image", ("media_type", "sha256", "url")),
    FilePart: ("file", ("media_type", "name", "sha256", "url")),
    AudioPart: ("audio", ("media_type", "sha256", "transcript")),
    ReasoningPart: ("reasoning", ("text",)),
    ToolCall: ("tool_call", ("id", "name", "arguments_json")),
    ToolResult: ("tool_result", ("id", "name", "text")),
    ServerToolCall: ("server_tool_call", ("id", "name", "arguments_json")),
    ServerToolResult: ("server_tool_result", ("id", "name", "text")),
    RefusalPart: ("refusal", ("text",)),
    OtherPart: ("other", ("kind", "json")),
}
_FAILED = {"tool_result": "tool_error", "server_tool_result": "server_tool_error"}


def part_as_json(part: Part) -> dict[str, Any]:
    """A part as plain values, for the log and the hash; bytes by their SHA-256.

    >>> part_as_json(TextPart("hi"))
    {'type': 'text', 'text': 'hi'}
    """
    kind, names = next(row for of, row in _AS_JSON.items() if isinstance(part, of))
    if getattr(part, "is_error", False):
        kind = _FAILED[kind]
    values = {name.removesuffix("_json"): getattr(part, name) for name in names}
    original: Original | None = getattr(part, "original", None)
    if original is not None:
        values["original"] = {
            name: value for name, value in asdict(original).items() if value is not None
        }
    return {"type": kind} | {name: value for name, value in values.items() if value is not None}


def texts_in(part: Part) -> tuple[object, ...]:
    """The values of a part that must be texts.

    >>> texts_in(ImagePart("image/png", b"abc"))
    ('image/png',)
    """
    names = next(row[1] for of, row in _AS_JSON.items() if isinstance(part, of))
    values = (getattr(part, name) for name in names if name != "sha256")
    return tuple(value for value in values if value is not None)


def part_of_json(value: Mapping[str, Any]) -> AnswerPart:
    """The part of an answer that :func:`part_as_json` wrote; of bytes only their hash.

    A value of another shape becomes an :class:`OtherPart`.

    >>> part_of_json({"type": "refusal", "text": "No."})
    RefusalPart(text='No.', original=None)
    """
    kind = str(value.get("type"))
    read = _OF_JSON.get(kind)
    try:
        if read is not None:
            return read(value)
    except (AttributeError, LookupError, TypeError):
        pass  # another program wrote it
    return OtherPart(kind, json.dumps(value, ensure_ascii=False))


def _original(value: Mapping[str, Any]) -> Original | None:
    given = value.get("original")
    if given is None:
        return None
    provider = given.get("provider")
    return Original(
        str(given["wire_format"]), str(given["json"]), None if provider is None else str(provider)
    )


def _result(value: Mapping[str, Any]) -> ServerToolResult:
    is_error = value["type"] == "server_tool_error"
    return ServerToolResult(value["id"], value["name"], value["text"], is_error, _original(value))


_OF_JSON: dict[str, Callable[[Mapping[str, Any]], AnswerPart]] = {
    "text": lambda value: TextPart(value["text"], _original(value)),
    "image": lambda value: ImagePart(
        value.get("media_type"),
        url=value.get("url"),
        stored_sha256=value.get("sha256"),
        original=_original(value),
    ),
    "audio": lambda value: AudioPart(
        value.get("media_type"),
        transcript=value.get("transcript", ""),
        stored_sha256=value.get("sha256"),
        original=_original(value),
    ),
    "reasoning": lambda value: ReasoningPart(value["text"], _original(value)),
    "tool_call": lambda value: ToolCall(
        value["id"], value["name"], value["arguments"], _original(value)
    ),
    "server_tool_call": lambda value: ServerToolCall(
        value["id"], value["name"], value["arguments"], _original(value)
    ),
    "server_tool_result": _result,
    "server_tool_error": _result,
    "refusal": lambda value: RefusalPart(value["text"], _original(value)),
    "other": lambda value: OtherPart(value["kind"], value["json"], _original(value)),
}
