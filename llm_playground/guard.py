"""Before anything is sent: does the request hold a key, a card number, an e-mail address?

Searched is what goes out: every text with its ``{{name}}`` filled, tool results, tools, schema,
``extra``; not the bytes of pictures. Findings name the place, never the value.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from llm_playground import config, credentials, key_shapes, personal
from llm_playground.errors import ConfigError
from llm_playground.redact import known, mask
from llm_playground.types import (
    ImagePart,
    Message,
    ReasoningPart,
    Request,
    TextPart,
    ToolCall,
    ToolResult,
)

Kind = Literal["known", "keys", "cards", "email"]

_ROWS = 10_000  # of a frame's column; a frame's text shows fewer
# A key that is all letters and short is a placeholder for a server without keys: "lm-studio".
_PLACEHOLDER = re.compile(r"[A-Za-z _.-]{1,19}")
# What tells a key from words with hyphens: a long unbroken run, or digits.
_RUN, _FEWEST_DIGITS, _FEWEST_CHARACTERS = re.compile("[A-Za-z0-9]{16}"), 3, 16

_WORDS: dict[Kind, tuple[str, str]] = {
    "known": ("a key that is in use here", "keys that are in use here"),
    "keys": ("a value that looks like an API key", "values that look like API keys"),
    "cards": ("a value that looks like a card number", "values that look like card numbers"),
    "email": ("an e-mail address", "e-mail addresses"),
}


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that should perhaps not be sent.

    Args:
        kind: ``known`` is a key that is in use here.
        place: Where it is, as the subject of a sentence.
        values: The distinct values found there; never shown.
    """

    kind: Kind
    place: str
    values: tuple[str, ...] = field(repr=False)

    def __str__(self) -> str:
        """What is where, as a sentence without its full stop."""
        one, several = _WORDS[self.kind]
        if len(self.values) > 1:
            return f"{self.place} holds {len(self.values)} {several}"
        shown = "" if self.kind == "email" else f" ({mask(self.values[0])})"
        return f"{self.place} holds {one}{shown}"


class Written(str):
    """A value's text that was made beforehand, with the value, to say where in it a finding is.

    >>> text = Written("1, 2", [1, 2])
    >>> text, text.value
    ('1, 2', [1, 2])
    """

    value: object

    def __new__(cls, text: str, value: object) -> Written:
        """``text``, and what it is the text of."""
        written = super().__new__(cls, text)
        written.value = value
        return written


def check(request: Request, variables: Mapping[str, object] | None = None) -> None:
    """Refuse a request, or warn of it, as ``configure(secret_guard=...)`` says.

    Args:
        request: What is about to be sent.
        variables: What was filled in for ``{{name}}``, to say where a finding came from.

    Raises:
        ConfigError: It is not sent: it holds a key that is in use here, or what is to be blocked.
    """
    credentials.remember_all()
    modes: dict[str, str] = {"known": "block", **asdict(config.secret_guard())}
    kinds = [kind for kind in _SEARCHES if modes[kind] != "off"]
    found = findings(request, variables or {}, kinds)
    for finding in found:
        if modes[finding.kind] == "block":
            raise ConfigError(f"Not sent: {finding}. {_advice(finding)}")
    first_of_kind = {finding.kind: finding for finding in reversed(found)}
    for finding in first_of_kind.values():
        said = str(finding)
        # No file and line: the prompt is the place, and every prompt is warned of.
        line = f"{said[0].upper()}{said[1:]}. It is sent all the same."
        warnings.warn_explicit(line, UserWarning, "llm_playground", 1)


def findings(
    request: Request, variables: Mapping[str, object], kinds: Iterable[Kind]
) -> list[Finding]:
    """What a request holds of some kinds, by kind and place.

    >>> key = "hf" + "_" + "a1" * 12
    >>> prompt = Request("local:m", (Message("user", (TextPart(f"use {key}"),)),))
    >>> [str(finding) for finding in findings(prompt, {}, ["keys", "email"])]
    ['the prompt holds a value that looks like an API key (…1a1)']
    """
    texts = [(place, text) for place, text in _texts(request) if text]
    found: dict[tuple[Kind, str], Finding] = {}
    for kind in kinds:
        for place, text in texts:
            values = _distinct(_SEARCHES[kind](text))
            if values:
                finding = _named(Finding(kind, place, values), variables)
                found.setdefault((kind, finding.place), finding)
    return list(found.values())


def _advice(finding: Finding) -> str:
    it = "it" if len(finding.values) == 1 else "them"
    if finding.kind == "known":
        return f"Remove {it}."
    return f'Remove {it}, or lp.configure(secret_guard="warn").'


def _texts(request: Request) -> Iterator[tuple[str, str]]:
    """Every text that goes out, with what it is."""
    last = max((i for i, m in enumerate(request.messages) if m.role == "user"), default=-1)
    for number, message in enumerate(request.messages):
        yield from _texts_of(message, _PLACES.get(message.role) or _turn(number == last))
    for tool in request.tools:
        place = f"the tool `{tool.name}`"
        yield place, tool.description
        yield from ((place, text) for text in _strings(tool.parameters))
    if request.schema is not None:
        yield from (("the schema", text) for text in _strings(request.schema.json_schema))
    yield from (("`stop`", text) for text in request.parameters.stop or ())
    yield from (("`extra`", text) for text in _strings(request.parameters.extra))


_PLACES = {"system": "the system prompt", "assistant": "an earlier answer"}


def _turn(is_last: bool) -> str:
    return "the prompt" if is_last else "an earlier message"


def _texts_of(message: Message, place: str) -> Iterator[tuple[str, str]]:
    for part in message.content:
        match part:
            case TextPart(text) | ReasoningPart(text):
                yield place, text
            case ToolCall():
                yield f"a call of `{part.name}`", part.arguments_json
            case ToolResult():
                yield f"the result of `{part.name}`", part.text
            case ImagePart():
                address = part.url or ""
                yield "the address of a picture", "" if address[:5] == "data:" else address


def _strings(value: object) -> Iterator[str]:
    """Every text inside plain values."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for name, item in value.items():
            yield str(name)
            yield from _strings(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _strings(item)
    elif isinstance(value, int):  # a card number may be one
        yield str(value)


def _known_in(text: str) -> list[str]:
    return [key for key in known() if key in text and not _PLACEHOLDER.fullmatch(key)]


def _keys_in(text: str) -> list[str]:
    if not key_shapes.suspected(text):
        return []
    found = (text[match.start : match.end] for match in key_shapes.found(text))
    return [key for key in found if _is_dense(key)]


def _is_dense(key: str) -> bool:
    """Whether it is rather a key than words with hyphens, such as the name of a package."""
    if _RUN.search(key):
        return True
    return len(key) >= _FEWEST_CHARACTERS and sum(map(str.isdigit, key)) >= _FEWEST_DIGITS


def _cards_in(text: str) -> list[str]:
    return [text[start:end] for start, end in personal.cards(text)]


def _emails_in(text: str) -> list[str]:
    return [text[start:end] for start, end in personal.emails(text)]


_SEARCHES: dict[Kind, Callable[[str], list[str]]] = {
    "known": _known_in,
    "keys": _keys_in,
    "cards": _cards_in,
    "email": _emails_in,
}


def _named(finding: Finding, variables: Mapping[str, object]) -> Finding:
    """The finding with the variable, and the frame's column, that it came from."""
    for name, value in variables.items():
        for place, text in _held(name, value):
            values = _distinct(_SEARCHES[finding.kind](text))
            # A frame's text may show the start of a value only.
            if any(whole.startswith(finding.values) for whole in values):
                return Finding(finding.kind, place, values)
    return finding


def _held(name: str, value: Any) -> Iterator[tuple[str, str]]:  # noqa: ANN401 - a frame of any library
    """The texts of a variable: of a frame column by column, then as it was filled in."""
    table: Any = value.value if isinstance(value, Written) else value
    try:
        for column in list(getattr(table, "columns", ())):
            cells = table[column].head(_ROWS)
            yield f"column `{column}` of {name}", "\n".join(map(str, cells))
    except Exception:  # noqa: S110 - a foreign object; its name will do
        pass
    yield f"{{{{{name}}}}}", str(value)


def _distinct(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(values))
