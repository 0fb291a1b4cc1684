"""An answer on its way: finished blocks as HTML, each made once, and a tail of plain text.

The price of a delta does not grow with the answer. A delta within a line costs nothing but looking
for keys; a line is looked at when it has ended, and only a line that may end a block makes the
block be parsed.
"""

from __future__ import annotations

import math
import re
from collections import deque
from dataclasses import dataclass

from llm_playground.render.cuts import Span, cut, is_blank, may_end
from llm_playground.render.keyless import Keyless
from llm_playground.render.markdown import References, by_block, tokens
from llm_playground.render.sanitising import sanitised

_GROWN, _MORE = 1.25, 250  # how much more there must be than when a look was in vain
_MOST = 50_000  # characters that are looked at in vain; then an empty line is waited for
_EMPTY_LINES = re.compile(r"\A(?:[ \t]*\n)+")


@dataclass(frozen=True, slots=True)
class Growth:
    """What is new of a growing answer.

    Args:
        first: The index of the first of ``blocks``; blocks are numbered from 0.
        blocks: Safe HTML of the blocks that have ended, in order; none of them changes any more.
            One may be empty: a link definition shows nothing.
        tail: Plain text: the whole tail where there are ``blocks``, otherwise what to append to it.
        whole: At the end, HTML to show instead of all blocks, where a link came before the
            definition that makes it one; otherwise None.
    """

    first: int
    blocks: tuple[str, ...]
    tail: str
    whole: str | None = None


class Growing:
    r"""One answer, from its first delta to its end.

    ``feed`` may be called in another thread than the rest.

    >>> growing = Growing()
    >>> growing.feed("# Title\nIt is ")
    >>> growing.take()
    Growth(first=0, blocks=('<h1>Title</h1>\n',), tail='It is ', whole=None)
    >>> growing.feed("*good*.")
    >>> growing.take()
    Growth(first=1, blocks=(), tail='*good*.', whole=None)
    >>> growing.end()
    Growth(first=1, blocks=('<p>It is <em>good</em>.</p>\n',), tail='', whole=None)
    """

    def __init__(self) -> None:
        self._fed: deque[str] = deque()
        self._keyless = Keyless()
        self._return = ""  # the first half of a line break, perhaps
        self._text: list[str] = []  # all of it, without keys
        self._blocks: list[str] = []
        self._references: References = {}
        self._lines: list[str] = []  # of the tail, whole ones
        self._line: list[str] = []  # its last line, in pieces
        self._size = 0  # characters in the lines
        self._enough = 0.0  # how many there must be for another look
        self._open: Span | None = None
        self._wanted = False  # whether a line has come since that may end a block

    def feed(self, text: str) -> None:
        """More of the answer."""
        self._fed.append(text)

    def take(self) -> Growth:
        """What is new since the last call."""
        first, text = len(self._blocks), self._settled()
        self._add(text)
        blocks = tuple(self._blocks[first:])
        return Growth(first, blocks, self._tail() if blocks else text)

    def end(self) -> Growth:
        """The rest, once nothing more comes; the tail is empty then."""
        first = len(self._blocks)
        self._add(self._settled())
        self._add(_unified(self._return + self._keyless.rest()))
        self._finish(self._tail())
        self._lines, self._line = [], []
        return Growth(first, tuple(self._blocks[first:]), "", self._mended())

    def everything(self) -> Growth:
        """All that was taken so far, for a view that opens."""
        return Growth(0, tuple(self._blocks), self._tail())

    def _settled(self) -> str:
        """What has come and is no part of a key, without line breaks before a block."""
        pieces = []
        while self._fed:
            pieces.append(self._fed.popleft())
        text = self._return + self._keyless.settled("".join(pieces))
        self._return = "\r" if text.endswith("\r") else ""
        text = _unified(text.removesuffix("\r"))
        at_start = not self._lines and not self._line
        return _EMPTY_LINES.sub("", text, count=1) if at_start else text

    def _add(self, text: str) -> None:
        self._text.append(text)
        head, line_break, rest = text.rpartition("\n")
        if line_break:
            for line in "".join([*self._line, head]).split("\n"):
                self._add_line(f"{line}\n")
            self._line = []
            if self._wanted and self._size >= self._enough:
                self._cut()
        if rest:
            self._line.append(rest)

    def _add_line(self, line: str) -> None:
        previous = self._lines[-1] if self._lines else ""
        self._lines.append(line)
        self._size += len(line)
        if may_end(self._open, line, previous):
            self._wanted = True
            if is_blank(line):  # then the look is not in vain
                self._enough = 0

    def _cut(self) -> None:
        found = cut(self._lines)
        vain = not found.line and self._open is not None
        if found.line:
            self._finish("".join(self._lines[: found.line]))
            del self._lines[: found.line]
            self._size = sum(map(len, self._lines))
        self._enough = _enough_after(self._size) if vain else 0
        self._open, self._wanted = found.open, False

    def _finish(self, text: str) -> None:
        blocks = by_block(tokens(text, self._references))
        self._blocks += [sanitised(block) for block in blocks] or [""]

    def _tail(self) -> str:
        return "".join([*self._lines, *self._line])

    def _mended(self) -> str | None:
        """The whole answer's HTML, where its blocks do not make it up."""
        if not self._references:
            return None
        whole = sanitised(tokens("".join(self._text), {}))
        return None if whole == "".join(self._blocks) else whole


def _enough_after(size: int) -> float:
    return size * _GROWN + _MORE if size < _MOST else math.inf


def _unified(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")
