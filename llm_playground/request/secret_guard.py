"""Search of a request for keys, card numbers and e-mail addresses before it is sent.

All text that is sent is searched: messages with ``{{name}}`` filled, files of text, tool results,
tools, schema and ``extra``, then whatever else the body holds, but not the bytes of images, PDFs
and recordings. Findings name the place, never the value.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from llm_playground import config
from llm_playground.config import credentials
from llm_playground.errors import ConfigError, InvalidParameterError
from llm_playground.parts import FilePart, ImagePart, ReasoningPart, TextPart, ToolCall, ToolResult
from llm_playground.providers.wire_formats import readable_body
from llm_playground.redaction import key_patterns, known_in, mask, pii, printable
from llm_playground.request.files import with_heading
from llm_playground.types import Message, Request

Kind = Literal["known", "keys", "cards", "email"]

_MAX_ROWS = 10_000  # searched in a column of a data frame, whose text shows fewer
# A short key of letters only is a placeholder for a server without keys, such as "lm-studio".
_PLACEHOLDER = re.compile(r"[A-Za-z _.-]{1,19}")
# Keys, unlike words with hyphens, have a long alphanumeric run or several digits.
_RUN, _MIN_DIGITS, _MIN_CHARS = re.compile("[A-Za-z0-9]{16}"), 3, 16

_DESCRIPTIONS: dict[Kind, tuple[str, str]] = {
    "known": ("a key that is in use here", "keys that are in use here"),
    "keys": ("a value that looks like an API key", "values that look like API keys"),
    "cards": ("a value that looks like a card number", "values that look like card numbers"),
    "email": ("an e-mail address", "e-mail addresses"),
}


@dataclass(frozen=True, slots=True)
class Finding:
    """Distinct values of one kind in one place that should perhaps not be sent."""

    kind: Kind  # ``known`` is a key in use in this process
    place: str  # as the subject of a sentence
    values: tuple[str, ...] = field(repr=False)

    def __str__(self) -> str:
        """The place and kind of the values, as a sentence without its full stop."""
        one, several = _DESCRIPTIONS[self.kind]
        if len(self.values) > 1:
            return f"{self.place} contains {len(self.values)} {several}"
        shown = "" if self.kind == "email" else f" ({mask(self.values[0])})"
        return f"{self.place} contains {one}{shown}"


class Written(str):
    """The text of a value with the value itself, so that a finding can be located in it.

    >>> text = Written("1, 2", [1, 2])
    >>> text, text.value
    ('1, 2', [1, 2])
    """

    value: object

    def __new__(cls, text: str, value: object) -> Written:
        """Create the text of ``value``."""
        written = super().__new__(cls, text)
        written.value = value
        return written


def check(request: Request, variables: Mapping[str, object] | None = None) -> None:
    """Block a request or warn about it, as set by ``configure(secret_guard=...)``.

    Args:
        request: The request to be sent.
        variables: The values of each ``{{name}}``, used to name the source of a finding.

    Raises:
        ConfigError: The request has a key that is in use here, or a value of a blocked kind.
    """
    for line in warnings_about(request, variables):
        warn(line)


def warn(line: str) -> None:
    """Show a line of :func:`warnings_about`."""
    # A constant file and line: the source is the prompt, not the caller's code.
    warnings.warn_explicit(line, UserWarning, "llm_playground", 1)


def warnings_about(
    request: Request, variables: Mapping[str, object] | None = None
) -> tuple[str, ...]:
    """Block a request like :func:`check`; the lines to warn with if it is sent.

    Raises:
        ConfigError: The request has a key that is in use here, or a value of a blocked kind.
    """
    credentials.remember_all()
    modes = _modes()
    kinds = [kind for kind in _SEARCHES if modes[kind] != "off"]
    present = findings(request, variables or {}, kinds)
    for finding in present:
        if modes[finding.kind] == "block":
            it = "it" if len(finding.values) == 1 else "them"
            way = "" if finding.kind == "known" else ', or lp.configure(secret_guard="warn")'
            raise ConfigError(f"Not sent: {finding}. Remove {it}{way}.")
    first_of_kind = {finding.kind: finding for finding in reversed(present)}
    sentences = (printable(str(finding)) for finding in first_of_kind.values())
    return tuple(f"{one[0].upper()}{one[1:]}. It is sent anyway." for one in sentences)


def _modes() -> dict[Kind, str]:
    own = config.secret_guard()
    return {"known": "block", "keys": own.keys, "cards": own.cards, "email": own.email}


def suspects(body: str) -> bool:
    r"""Whether the JSON text of a body may hold what :func:`check` looks for; False is certain.

    It is a hundredth of the work of :func:`check`, and reads no JSON.

    >>> suspects('{"content": "Say hello."}'), suspects(r'{"content": "\u0073k-"}')
    (False, True)
    """
    credentials.remember_all()
    searches = (_SUSPICIONS[kind] for kind, mode in _modes().items() if mode != "off")
    return _ESCAPED.search(body) is not None or any(search(body) for search in searches)


def holds_key(text: str) -> bool:
    """Whether a text contains a key in use, or what looks like a key."""
    return any(_SEARCHES[kind](text) for kind in _KEY_KINDS)


def refuse_keys(**texts: str | None) -> None:
    """Check texts that are stored as they are, because they are compared, such as a budget's tag.

    Raises:
        InvalidParameterError: One contains a key. The message names it without its value.

    >>> refuse_keys(tag="draft", user=None)
    """
    credentials.remember_all()
    for name, text in texts.items():
        if text is not None and holds_key(text):
            raise InvalidParameterError(f"{name} contains a key; nothing was saved. Remove it.")


def findings(
    request: Request, variables: Mapping[str, object], kinds: Iterable[Kind]
) -> list[Finding]:
    """The values of some kinds in a request, by kind and place.

    >>> key = "hf" + "_" + "a1" * 12
    >>> prompt = Request("local:m", (Message("user", (TextPart(f"use {key}"),)),))
    >>> [str(finding) for finding in findings(prompt, {}, ["keys", "email"])]
    ['the prompt contains a value that looks like an API key (…1a1)']
    """
    texts = [(place, text) for place, text in _texts(request) if text]
    seen = {text for _, text in texts}
    # Files of text as some wire formats send them: below their names.
    files = ((part, part.text) for part in request.files)
    seen |= {with_heading(part, text) for part, text in files if text is not None}
    others = (text for text in _strings(readable_body(request)) if text not in seen)
    texts.append(("the request", "\n".join([request.model_name, *others])))
    by_place: dict[tuple[Kind, str], Finding] = {}
    for kind in kinds:
        for place, text in texts:
            values = _distinct(_SEARCHES[kind](text))
            if values:
                finding = _with_source(Finding(kind, place, values), variables)
                by_place.setdefault((kind, finding.place), finding)
    return list(by_place.values())


def _texts(request: Request) -> Iterator[tuple[str, str]]:
    """Each text that is sent, after the description of its place."""
    last = max((i for i, m in enumerate(request.messages) if m.role == "user"), default=-1)
    for number, message in enumerate(request.messages):
        user_place = "the prompt" if number == last else "an earlier message"
        yield from _texts_of(message, _PLACES.get(message.role, user_place))
    for tool in request.tools:
        place = f"the tool `{tool.name}`"
        yield place, tool.description
        yield from ((place, text) for text in _strings(tool.parameters))
    if request.schema is not None:
        yield from (("the schema", text) for text in _strings(request.schema.json_schema))
    yield from (("`stop`", text) for text in request.parameters.stop or ())
    yield from (("`extra`", text) for text in _strings(request.parameters.extra))
    yield from (("`headers`", text) for text in _strings(request.parameters.headers))


_PLACES = {"system": "the system prompt", "assistant": "an earlier answer"}


def _texts_of(message: Message, place: str) -> Iterator[tuple[str, str]]:
    texts = [part.text for part in message.content if isinstance(part, TextPart)]
    if len(texts) > 1:
        yield place, "".join(texts)  # the model reads them as one
    for part in message.content:
        match part:
            case TextPart(text) | ReasoningPart(text):
                yield place, text
            case ToolCall():
                yield f"a call of `{part.name}`", part.arguments_json
            case ToolResult():
                yield f"the result of `{part.name}`", part.text
            case FilePart():
                yield f"the file `{part.name}`", part.text or ""
                yield "the name of a file", part.name or ""
                yield "the URL of a file", part.url or ""
            case ImagePart():
                url = part.url or ""
                yield "the URL of an image", "" if url.startswith("data:") else url


def _strings(value: object) -> Iterator[str]:
    """All strings inside JSON-like values."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for name, item in value.items():
            yield str(name)
            yield from _strings(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _strings(item)
    elif isinstance(value, int):  # possibly a card number
        yield str(value)


def _keys_in(text: str) -> list[str]:
    if not key_patterns.suspected(text):
        return []
    keys = (text[match.start : match.end] for match in key_patterns.found(text))
    return [key for key in keys if _is_dense(key)]


def _is_dense(key: str) -> bool:
    """Whether a match looks like a key, not like hyphenated words such as a package name."""
    if _RUN.search(key):
        return True
    return len(key) >= _MIN_CHARS and sum(map(str.isdigit, key)) >= _MIN_DIGITS


_SEARCHES: dict[Kind, Callable[[str], list[str]]] = {
    "known": lambda text: [key for key in known_in(text) if not _PLACEHOLDER.fullmatch(key)],
    "keys": _keys_in,
    "cards": lambda text: [text[start:end] for start, end in pii.cards(text)],
    "email": lambda text: [text[start:end] for start, end in pii.emails(text)],
}


_KEY_KINDS: tuple[Kind, ...] = ("known", "keys")
# Characters of keys and addresses that JSON spells as codes.
_ESCAPED = re.compile(r"\\u00[2-7]")
_SUSPICIONS: dict[Kind, Callable[[str], object]] = {
    "known": known_in,
    "keys": key_patterns.suspected,
    "cards": pii.may_have_card,
    "email": lambda text: "@" in text,
}


def _with_source(finding: Finding, variables: Mapping[str, object]) -> Finding:
    """The finding with the variable, and the data frame column, that its values come from."""
    for name, value in variables.items():
        for place, text in _texts_of_variable(name, value):
            values = _distinct(_SEARCHES[finding.kind](text))
            # The text of a data frame may truncate values.
            if any(whole.startswith(finding.values) for whole in values):
                return Finding(finding.kind, place, values)
    return finding


def _texts_of_variable(name: str, value: Any) -> Iterator[tuple[str, str]]:  # noqa: ANN401 - a data frame of any library
    """The texts of a variable with their places: data frame columns, then the text as filled in."""
    table: Any = value.value if isinstance(value, Written) else value
    try:
        for column in list(getattr(table, "columns", ())):
            cells = table[column].head(_MAX_ROWS)
            yield f"column `{column}` of {name}", "\n".join(map(str, cells))
    except Exception:  # noqa: S110 - any object may imitate a data frame; its name is enough
        pass
    yield f"{{{{{name}}}}}", str(value)


def _distinct(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(values))
