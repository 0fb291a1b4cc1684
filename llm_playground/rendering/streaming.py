"""Streaming answers: finished blocks as HTML, each rendered once, and a tail of plain text.

The cost of a delta does not grow with the answer. Within a line, a delta is only searched for
keys; a block is parsed only when a complete line may end it.

A top-level Markdown block is final when the next one has begun; some are final sooner: a heading
or a closed fence at once, a paragraph at the empty line after it. Two constructs depend on later
lines: a link definition, whose title may follow, and a display formula, which may contain lines
that look like other blocks until an empty line.
"""

from __future__ import annotations

import math
import re
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from llm_playground.parts import AnswerPart, Source
from llm_playground.redaction import StreamRedactor
from llm_playground.rendering import answers, json_blocks, markdown
from llm_playground.rendering.math import closes_block, opens_block

_BLANKS = " \t\n"
_MARKER = re.compile(r"([-+*]|\d{1,9}[.)])\s")
# Lines that begin a block even directly below a paragraph, or turn it into a heading.
_INTERRUPTS = re.compile(
    r" {0,3}(?:#{1,6}\s|```|~~~|>|[-+*][ \t]+\S|1[.)][ \t]+\S|(?:=+|-+)\s*$"
    r"|([-_*])(?:[ \t]*\1){2,}\s*$)"
)
_EMPTY_LINES = re.compile(r"\A(?:[ \t]*\n)+")
_FINAL_AT_ONCE = ("heading_open", "hr", "formula_block")  # final with their last line
_VERBATIM = ("fence", "code_block", "formula_block", "json_block")
_FINAL_AT_NEXT_BLOCK = ("bullet_list_open", "ordered_list_open", "code_block")
# After a search without a result, the next one waits for more text, so that the cost stays linear.
_GROWTH, _MORE_CHARS = 1.25, 250
_MAX_SEARCHED_CHARS = 50_000  # beyond this, only an empty line starts a search


@dataclass(frozen=True, slots=True)
class Block:
    """Lines ``start`` to ``end`` (exclusive) of a top-level block; ``markup`` is its opening."""

    kind: str
    markup: str
    start: int
    end: int

    def closing_fence(self) -> re.Pattern[str]:
        """The line that closes a fence."""
        return re.compile(rf" {{0,3}}{re.escape(self.markup[0])}{{{len(self.markup)},}}[ \t]*\n?")


def find_boundary(lines: Sequence[str]) -> tuple[int, Block | None]:
    """The number of final lines, whatever follows, and the block that may continue after them.

    The lines are complete and start with a block.
    """
    blocks = [
        Block(token.type, token.markup, *token.map)
        for token in markdown.parse_blocks("".join(lines))
        if token.level == 0 and token.map is not None
    ]
    open_blocks = list(filter(None, (_unfinished(blocks, lines), _open_formula(blocks, lines))))
    if not open_blocks:
        return len(lines), None
    first = min(open_blocks, key=lambda block: block.start)
    first = _with_definitions(first, blocks, lines)
    return first.start, first


def may_end_block(block: Block | None, line: str, previous: str) -> bool:
    """Whether a new line may end the open block, so that searching for a boundary is worthwhile.

    The block is the one that the last search left open, None if unknown. ``line`` has its line
    break; ``previous``, the line before it, is empty if there is none.
    """
    if block is None:
        return True
    match block.kind:
        case "fence":
            return block.closing_fence().fullmatch(line) is not None
        case "code_block":
            return not is_blank(line) and not line.startswith(("    ", "\t"))
        case "bullet_list_open" | "ordered_list_open":
            if is_blank(line) or line[0] in " \t":
                return False
            if marker := _MARKER.match(line):
                return marker[1][-1] != block.markup
            return is_blank(previous) or _INTERRUPTS.match(line) is not None
        case "json_block" if block.markup == "open":
            return json_blocks.may_close(line)
        case "blockquote_open" if line.lstrip(_BLANKS).startswith(">"):
            return False
    return is_blank(line) or closes_block(line) or _INTERRUPTS.match(line) is not None


def is_blank(line: str) -> bool:
    """Whether a line is empty to Markdown."""
    return not line.strip(_BLANKS)


def _unfinished(blocks: Sequence[Block], lines: Sequence[str]) -> Block | None:
    """The last block, if more lines may change it."""
    last = blocks[-1] if blocks else None
    if last is not None and _may_continue(last, lines):
        return last
    if is_blank(lines[-1]) or (last is not None and last.end == len(lines)):
        return None
    return Block("reference", "", len(lines) - 1, len(lines))  # a definition, which has no token


def _may_continue(last: Block, lines: Sequence[str]) -> bool:
    if last.kind in _FINAL_AT_NEXT_BLOCK or (last.kind, last.markup) == ("json_block", "open"):
        return True
    if last.kind == "fence":
        one_line = last.end - last.start <= 1
        return one_line or not last.closing_fence().fullmatch(lines[last.end - 1])
    return last.kind not in _FINAL_AT_ONCE and last.end == len(lines) and not is_blank(lines[-1])


def _open_formula(blocks: Sequence[Block], lines: Sequence[str]) -> Block | None:
    """The block in which a display formula has begun that may include the following lines."""
    begin = len(lines)
    while begin and not is_blank(lines[begin - 1]):
        begin -= 1
    for block in blocks:
        if block.kind not in _VERBATIM and any(
            opens_block(line) for line in lines[max(begin, block.start) : block.end]
        ):
            return block
    return None


def _with_definitions(block: Block, blocks: Sequence[Block], lines: Sequence[str]) -> Block:
    """The block with the link definitions above it: what follows may be the title of one."""
    before = max((each.end for each in blocks if each.end <= block.start), default=0)
    start = block.start
    while start > before and not is_blank(lines[start - 1]):
        start -= 1
    return block if start == block.start else Block("reference", "", start, block.end)


@dataclass(frozen=True, slots=True)
class GrowingUpdate:
    """What changed in a growing answer."""

    first: int  # the index of the first of ``blocks``; blocks are numbered from 0
    # Safe HTML of the newly finished blocks. One may be empty: a link definition shows nothing.
    blocks: tuple[answers.Block, ...]
    tail: str  # plain text: the whole tail if there are ``blocks``, otherwise what to append to it
    # At the end, what replaces all blocks, if a link came before its definition or sources are
    # cited.
    whole: tuple[answers.Block, ...] | None = None


class GrowingAnswer:
    r"""One answer, from its first delta to its end.

    ``feed`` and ``feed_part`` may be called from another thread than the other methods.

    >>> growing = GrowingAnswer()
    >>> growing.feed("# Title\nIt is ")
    >>> growing.update()
    GrowingUpdate(first=0, blocks=('<h1>Title</h1>\n',), tail='It is ', whole=None)
    >>> growing.feed("*good*.")
    >>> growing.update()
    GrowingUpdate(first=1, blocks=(), tail='*good*.', whole=None)
    >>> growing.finish()
    GrowingUpdate(first=1, blocks=('<p>It is <em>good</em>.</p>\n',), tail='', whole=None)
    """

    def __init__(self) -> None:
        self._fed: deque[str | AnswerPart] = deque()
        self._items: list[str | AnswerPart] = []  # the whole answer
        self._blocks: list[answers.Block] = []
        self._shown_parts = answers.ShownParts()
        self._answer = markdown.Answer()
        self._begin_text()

    def feed(self, text: str) -> None:
        """Add a delta."""
        self._fed.append(text)

    def feed_part(self, part: AnswerPart) -> None:
        """Add a whole part that is shown between texts."""
        self._fed.append(part)

    def update(self) -> GrowingUpdate:
        """What is new since the last call."""
        first, text = len(self._blocks), self._take()
        self._add(text)
        while self._fed and not isinstance(part := self._fed.popleft(), str):
            self._end_text()
            self._items.append(part)
            self._blocks += self._shown_parts.blocks(part)
            text = self._take()
            self._add(text)
        blocks = tuple(self._blocks[first:])
        return GrowingUpdate(first, blocks, self._tail() if blocks else text)

    def finish(self, sources: Sequence[Source] = (), anchor: str = "") -> GrowingUpdate:
        """The last update, once the answer is complete; its tail is empty.

        ``sources`` are shown below, with ids that begin with ``anchor``.
        """
        first = len(self._blocks)
        self.update()
        self._end_text()
        self._blocks += [*self._shown_parts.rest(), *answers.source_blocks(sources, anchor)]
        whole = None
        if self._answer.references or sources:
            whole = tuple(answers.blocks(self._items, sources, anchor))
            whole = None if answers.html(whole) == answers.html(self._blocks) else whole
        return GrowingUpdate(first, tuple(self._blocks[first:]), "", whole)

    def snapshot(self) -> GrowingUpdate:
        """Everything so far, for a view that opens."""
        return GrowingUpdate(0, tuple(self._blocks), self._tail())

    def _begin_text(self) -> None:
        self._redactor = StreamRedactor()
        self._carriage_return = ""  # held back: it may be the first half of a line break
        self._lines: list[str] = []  # complete lines of the tail
        self._line: list[str] = []  # pieces of its last, incomplete line
        self._chars = 0  # in the complete lines
        self._search_from_chars = 0.0  # no search for a boundary before the tail has this size
        self._open: Block | None = None
        self._may_have_ended = False  # whether a line since the last search may end a block

    def _end_text(self) -> None:
        """Render the rest of a text that has ended."""
        self._add(_with_unix_line_breaks(self._carriage_return + self._redactor.flush()))
        if tail := self._tail():
            self._render_blocks(tail)
        self._begin_text()

    def _take(self) -> str:
        """Fed text that cannot be part of a key, without line breaks before the first block."""
        while self._fed and isinstance(text := self._fed[0], str):
            self._fed.popleft()
            self._items.append(text)
            self._redactor.add(text)
        text = self._carriage_return + self._redactor.take()
        self._carriage_return = "\r" if text.endswith("\r") else ""
        text = _with_unix_line_breaks(text.removesuffix("\r"))
        at_start = not self._lines and not self._line
        return _EMPTY_LINES.sub("", text, count=1) if at_start else text

    def _add(self, text: str) -> None:
        head, line_break, rest = text.rpartition("\n")
        if line_break:
            for line in "".join([*self._line, head]).split("\n"):
                self._add_line(f"{line}\n")
            self._line = []
            if self._may_have_ended and self._chars >= self._search_from_chars:
                self._render_final_lines()
        if rest:
            self._line.append(rest)

    def _add_line(self, line: str) -> None:
        previous = self._lines[-1] if self._lines else ""
        self._lines.append(line)
        self._chars += len(line)
        if may_end_block(self._open, line, previous):
            self._may_have_ended = True
            if is_blank(line):  # a search will find a boundary
                self._search_from_chars = 0

    def _render_final_lines(self) -> None:
        final, block = find_boundary(self._lines)
        found_nothing = not final and self._open is not None
        if final:
            self._render_blocks("".join(self._lines[:final]))
            del self._lines[:final]
            self._chars = sum(map(len, self._lines))
        self._search_from_chars = 0
        if found_nothing:
            more = self._chars * _GROWTH + _MORE_CHARS
            self._search_from_chars = more if self._chars < _MAX_SEARCHED_CHARS else math.inf
        self._open, self._may_have_ended = block, False

    def _render_blocks(self, text: str) -> None:
        self._blocks += markdown.render_blocks(text, self._answer) or [""]

    def _tail(self) -> str:
        return "".join([*self._lines, *self._line])


def _with_unix_line_breaks(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")
