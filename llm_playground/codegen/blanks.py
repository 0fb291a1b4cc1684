"""``{{name}}`` in a request as the parameters of a function.

In the request's body each stands as a mark, a text that is nowhere else in it; whoever writes the
body as code writes the parameter there.
"""

from __future__ import annotations

import keyword
import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from llm_playground import template
from llm_playground.codegen import texts
from llm_playground.types import Request, TextPart

# What the functions call their own, in Python and in JavaScript.
_OURS = """
ask client stream chunk choice event text part response lines line rest data lp os print str
OpenAI Anthropic genai fetch process JSON Error TextDecoderStream
"""
# https://262.ecma-international.org/#prod-ReservedWord, and what strict mode adds
_OF_JAVASCRIPT = """
await break case catch class const continue debugger default delete do else enum export extends
false finally for function if import in instanceof new null return super switch this throw true
try typeof var void while with yield let static implements interface package private protected
public arguments eval undefined
"""
_RESERVED = frozenset((*_OURS.split(), *_OF_JAVASCRIPT.split(), *keyword.kwlist, "__debug__"))


@dataclass(frozen=True, slots=True)
class Blank:
    """A ``{{name}}`` and the parameter that fills it."""

    name: str
    parameter: str


@dataclass(frozen=True, slots=True)
class Blanks:
    """The blanks of one request, by their number; ``tag`` is what their marks have in common."""

    tag: str = ""
    all: tuple[Blank, ...] = field(default=())

    def marked(self, request: Request) -> Request:
        """The request with a mark for each ``{{name}}`` in its messages."""
        if not self.all:
            return request
        marks = {blank.name: f"<{self.tag}{number}>" for number, blank in enumerate(self.all)}
        return texts.in_messages(request, lambda text: template.fill(text, marks))

    def split(self, text: str) -> Iterator[str | Blank]:
        """What a marked text is made of, in order; no empty texts.

        >>> blanks = Blanks("blank", (Blank("who", "who"),))
        >>> list(blanks.split("Hello <blank0>!"))
        ['Hello ', Blank(name='who', parameter='who'), '!']
        """
        if not self.all:
            yield from [text] if text else []
            return
        for number, piece in enumerate(re.split(rf"<{re.escape(self.tag)}(\d+)>", text)):
            if number % 2:
                yield self.all[int(piece)]
            elif piece:
                yield piece


def blanks_of(request: Request, sent: str) -> Blanks:
    """The blanks of a request's messages, in order, each once.

    Args:
        request: Unfilled.
        sent: All that is sent, in which no mark may be.
    """
    said = [part for message in request.messages for part in message.content]
    names = [
        name for part in said if isinstance(part, TextPart) for name in template.names(part.text)
    ]
    parameters = _parameters(dict.fromkeys(names))
    if not parameters:
        return Blanks()
    blanks = tuple(Blank(name, parameter) for name, parameter in parameters.items())
    return Blanks(_tag(sent), blanks)


def _tag(sent: str) -> str:
    tag = "blank"
    while tag in sent:
        tag += "x"
    return tag


def _parameters(names: Mapping[str, None]) -> dict[str, str]:
    """A different name for each, one that every language takes.

    >>> _parameters(dict.fromkeys(["topic", "class", "x²"]))
    {'topic': 'topic', 'class': 'class_', 'x²': 'value3'}
    """
    chosen: dict[str, str] = {}
    for number, name in enumerate(names, start=1):
        # Python takes letters that look alike for the same one, JavaScript does not.
        plain = name.isidentifier() and unicodedata.normalize("NFKC", name) == name
        wanted = name if plain else f"value{number}"
        while wanted in _RESERVED or wanted in chosen.values():
            wanted += "_"
        chosen[name] = wanted
    return chosen
