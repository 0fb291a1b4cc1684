"""The ``{{name}}`` of a request as parameters of the generated function.

In the request's body each ``{{name}}`` is a mark, a text that occurs nowhere else in it. Where the
body is written as code, the function's parameter is written in its place.
"""

from __future__ import annotations

import keyword
import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from llm_playground.parts import Part, TextPart
from llm_playground.request import templates
from llm_playground.types import Request

# Names that the generated functions use themselves, in Python and in JavaScript.
_USED_NAMES = """
ask client stream response reply calls run lp os json cache Any Omit OpenAI Anthropic genai
list dict str len RuntimeError ValueError ValidationError ANSWER failures
chunk choice event
fetch process JSON Object Error GoogleGenAI
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
