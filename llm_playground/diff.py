"""What differs between two texts, word by word."""

from __future__ import annotations

import re
from collections.abc import Iterator
from difflib import SequenceMatcher
from typing import Literal, TypeAlias

Piece: TypeAlias = tuple[Literal["=", "-", "+"], str]

_WORDS = re.compile(r"\w+|\s+|[^\w\s]")
_LINES = re.compile(r".*\n|.+")
# Comparing takes time in the product of both counts; past this a long answer goes line by line.
MOST_WORDS = 4_000


def words(before: str, after: str) -> list[Piece]:
    """The two texts as one list: ``=`` is in both, ``-`` only in the first, ``+`` in the second.

    Without the ``+`` pieces the list joins to ``before``, without the ``-`` to ``after``. Texts of
    more than :data:`MOST_WORDS` words and signs are compared line by line.

    >>> words("Sales rose 4 %", "Sales grew 4 %")
    [('=', 'Sales '), ('-', 'rose'), ('+', 'grew'), ('=', ' 4 %')]
    """
    first, second = _WORDS.findall(before), _WORDS.findall(after)
    if max(len(first), len(second)) > MOST_WORDS:
        first, second = _LINES.findall(before), _LINES.findall(after)
    return [piece for piece in _pieces(first, second) if piece[1]]


def _pieces(first: list[str], second: list[str]) -> Iterator[Piece]:
    for tag, i, j, k, m in SequenceMatcher(None, first, second, autojunk=False).get_opcodes():
        if tag == "equal":
            yield "=", "".join(first[i:j])
        else:
            yield "-", "".join(first[i:j])
            yield "+", "".join(second[k:m])
