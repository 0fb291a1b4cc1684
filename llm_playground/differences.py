r"""In what two values differ, in words: ``temperature 0.2 → 0.9``, ``in [-Oslo-]{+Bergen+}``.

:func:`diff` is the word diff of two texts, :func:`change` the line about two values of one name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Literal, TypeAlias

from llm_playground._validation import shorten
from llm_playground.redaction import redact

# Chinese and Japanese have no spaces between words.
_UNSPACED = r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]"
_WORDS = re.compile(rf"{_UNSPACED}|(?:(?!{_UNSPACED})\w)+|\s+|[^\w\s]")
_LINES = re.compile(r".*\n|.+")
# The time of a comparison grows with the product of both counts; longer texts are compared by line.
MAX_WORDS = 4_000

_ARROW = " \N{RIGHTWARDS ARROW} "
_SHORT = 28  # characters of a value that is written in the line
_START = 80  # characters of a long value
_MOST_COMPARED = 2_000  # characters that are compared word by word, which takes their square
_MOST_READ = 20_000
_CONTEXT = 24  # characters around a word that differs

DiffPiece: TypeAlias = tuple[Literal["=", "-", "+"], str]


@dataclass(frozen=True, slots=True)
class Change:
    """A value that differs.

    Attributes:
        words: ``temperature 0.2 \N{RIGHTWARDS ARROW} 0.9``; only the name of a long value.
        in_full: The same, and of a long value how it differs.
    """

    words: str
    in_full: str


def change(name: str, before: str, after: str, short: tuple[str, str] | None = None) -> Change:
    r"""The change of one value. ``short`` are its two texts for the line, if it may have them.

    >>> change("temperature", "0.2", "", ("0.2", "auto")).words
    'temperature 0.2 \u2192 auto'
    >>> change("prompt", "Rain in Oslo?", "Rain in Bergen?").in_full
    'prompt: Rain in [-Oslo-]{+Bergen+}?'
    """
    if short is not None and short[0] != short[1] and max(map(len, short)) <= _SHORT:
        words = f"{name} {_ARROW.join(short)}"
        return Change(words, words)
    difference = text_difference(before, after)
    return Change(name, f"{name}: {difference}" if difference else name)


def diff(before: str, after: str) -> list[DiffPiece]:
    """The word diff of two texts: ``=`` is in both, ``-`` only in the first, ``+`` in the second.

    Joined without the ``+`` pieces it is ``before``, without the ``-`` pieces ``after``. Texts of
    more than :data:`MAX_WORDS` words and punctuation marks are compared line by line.

    >>> diff("Sales rose 4 %", "Sales grew 4 %")
    [('=', 'Sales '), ('-', 'rose'), ('+', 'grew'), ('=', ' 4 %')]
    """
    first, second = _WORDS.findall(before), _WORDS.findall(after)
    if max(len(first), len(second)) > MAX_WORDS:
        first, second = _LINES.findall(before), _LINES.findall(after)
    return [piece for piece in _pieces(first, second) if piece[1]]


def _pieces(first: list[str], second: list[str]) -> Iterator[DiffPiece]:
    """The pieces, some of them empty. A space between two changed words is part of the change."""
    opcodes = SequenceMatcher(None, first, second, autojunk=False).get_opcodes()
    removed = added = ""
    for number, (tag, i, j, k, m) in enumerate(opcodes, 1):
        before, after = "".join(first[i:j]), "".join(second[k:m])
        is_between = bool(removed or added) and number < len(opcodes)
        if tag != "equal" or (is_between and before.isspace() and "\n" not in before):
            removed, added = removed + before, added + after
            continue
        yield from (("-", removed), ("+", added), ("=", before))
        removed = added = ""
    yield from (("-", removed), ("+", added))


def words_in(text: str) -> list[str]:
    """The words of a text, as :func:`diff` counts them; a Chinese or Japanese character is one.

    >>> words_in("It's 4 %.")
    ['It', 's', '4']
    """
    return [word for word in _WORDS.findall(text) if word[0] == "_" or word[0].isalnum()]


def text_difference(before: str, after: str) -> str:
    r"""How two texts differ: the words if there are few, else the starts of what differs.

    >>> text_difference("Sales rose 4 % in May.", "Sales grew 4 % in May.")
    'Sales [-rose-]{+grew+} 4 % in May.'
    >>> text_difference("", "Be brief.")
    '(empty) \u2192 “Be brief.”'
    """
    before, after = redact(before[:_MOST_READ]), redact(after[:_MOST_READ])
    if before == after:
        return ""
    if max(len(before), len(after)) <= _MOST_COMPARED:
        pieces = diff(before, after)
        shared = sum(len(text) for kind, text in pieces if kind == "=")
        if 2 * shared >= max(len(before), len(after)):
            return shorten("".join(_marked(pieces)), 2 * _START)
    pairs = enumerate(zip(before, after, strict=False))
    same = next((at for at, (one, other) in pairs if one != other), min(len(before), len(after)))
    from_word = before.rfind(" ", 0, same) + 1 if same > _START // 2 else 0
    return _ARROW.join(_start(text, from_word) for text in (before, after))


def _marked(pieces: Sequence[DiffPiece]) -> Iterator[str]:
    """Pieces with marks, those that are in both texts without what is far from a difference."""
    for number, (kind, text) in enumerate(pieces):
        if kind != "=":
            yield f"[-{text}-]" if kind == "-" else f"{{+{text}+}}"
            continue
        from_end = text[-_CONTEXT:] if number < len(pieces) - 1 else ""
        from_start = text[:_CONTEXT] if number else ""
        if len(from_start) + len(from_end) >= len(text):
            yield text
        else:
            yield f"{from_start}…{from_end}"


def _start(text: str, at: int) -> str:
    if not text.strip():
        return "(empty)"
    return f"“{'…' if at else ''}{shorten(text[at:], _START)}”"
