"""Where a growing Markdown text can be cut, so that what stands before never changes again.

A top-level block of Markdown is final when the next one has begun, and some are sooner: a heading
or a closed fence at once, a paragraph with the empty line after it. Two things reach further back:
the title of a link definition, and a formula that begins on a line of its own, which may take in
what looked like other blocks until an empty line.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llm_playground.render import markdown
from llm_playground.render.formulas import closes_block, opens_block

if TYPE_CHECKING:
    from markdown_it.token import Token

_BLANKS = " \t\n"
_MARKER = re.compile(r"([-+*]|\d{1,9}[.)])\s")
# Lines that begin a block even directly below a paragraph, or make a heading of it.
_STARTS = re.compile(
    r" {0,3}(?:#{1,6}\s|```|~~~|>|[-+*][ \t]+\S|1[.)][ \t]+\S|(?:=+|-+)\s*$"
    r"|([-_*])(?:[ \t]*\1){2,}\s*$)"
)
_WHOLE = ("heading_open", "hr", "formula_block")  # final with their last line
_VERBATIM = ("fence", "code_block", "formula_block")
_UNTIL_THE_NEXT = ("bullet_list_open", "ordered_list_open", "code_block")


@dataclass(frozen=True, slots=True)
class Span:
    """Lines ``start`` to ``end`` of a top-level block; ``markup`` is what opened it."""

    kind: str
    markup: str
    start: int
    end: int

    def closing(self) -> re.Pattern[str]:
        """Of a fence: the line that ends it."""
        return re.compile(rf" {{0,3}}{re.escape(self.markup[0])}{{{len(self.markup)},}}[ \t]*\n?")


@dataclass(frozen=True, slots=True)
class Cut:
    """Lines before ``line`` are final; ``open`` is the block that goes on there, None if none."""

    line: int
    open: Span | None


def cut(lines: Sequence[str]) -> Cut:
    """The last place at which whole ``lines``, which begin with a block, can be cut."""
    spans = [_span(token) for token in markdown.block_tokens("".join(lines)) if _is_top(token)]
    unsettled = [span for span in (_going_on(spans, lines), _unsure(spans, lines)) if span]
    if not unsettled:
        return Cut(len(lines), None)
    first = _with_definitions(min(unsettled, key=lambda span: span.start), spans, lines)
    return Cut(first.start, first)


def may_end(open_block: Span | None, line: str, previous: str) -> bool:
    """Whether it is worth looking for a cut now that ``line`` has come below ``previous``.

    Args:
        open_block: What the last cut left open; None when that is not known.
        line: The new line, with its line break.
        previous: The line before it, empty when there is none.
    """
    ends = _ENDS.get(open_block.kind, _ends_text) if open_block else _always
    return ends(open_block, line, previous)


def _always(_block: Span | None, _line: str, _previous: str) -> bool:
    return True


def _ends_fence(block: Span | None, line: str, _previous: str) -> bool:
    return block is None or block.closing().fullmatch(line) is not None


def _ends_code(_block: Span | None, line: str, _previous: str) -> bool:
    return not is_blank(line) and not line.startswith(("    ", "\t"))


def _ends_list(block: Span | None, line: str, previous: str) -> bool:
    if is_blank(line) or line[0] in " \t":
        return False
    marker = _MARKER.match(line)
    if marker:
        return block is None or marker[1][-1] != block.markup
    return is_blank(previous) or _STARTS.match(line) is not None


def _ends_quote(_block: Span | None, line: str, previous: str) -> bool:
    return not line.lstrip(_BLANKS).startswith(">") and _ends_text(_block, line, previous)


def _ends_text(_block: Span | None, line: str, _previous: str) -> bool:
    return is_blank(line) or closes_block(line) or _STARTS.match(line) is not None


_ENDS = {
    "fence": _ends_fence,
    "code_block": _ends_code,
    "bullet_list_open": _ends_list,
    "ordered_list_open": _ends_list,
    "blockquote_open": _ends_quote,
}


def _is_top(token: Token) -> bool:
    return token.level == 0 and token.map is not None


def _span(token: Token) -> Span:
    start, end = token.map or (0, 0)
    return Span(token.type, token.markup, start, end)


def _going_on(spans: Sequence[Span], lines: Sequence[str]) -> Span | None:
    """The last block, where more lines may change it."""
    last = spans[-1] if spans else None
    if last is not None and _grows(last, lines):
        return last
    if is_blank(lines[-1]) or (last is not None and last.end == len(lines)):
        return None
    return Span("reference", "", len(lines) - 1, len(lines))  # a definition, which makes no token


def _grows(last: Span, lines: Sequence[str]) -> bool:
    if last.kind in _UNTIL_THE_NEXT:
        return True
    if last.kind == "fence":
        closed = last.end - last.start > 1 and last.closing().fullmatch(lines[last.end - 1])
        return not closed
    return last.kind not in _WHOLE and last.end == len(lines) and not is_blank(lines[-1])


def _with_definitions(span: Span, spans: Sequence[Span], lines: Sequence[str]) -> Span:
    """``span``, beginning with the link definitions above: what follows may be one's title."""
    before = max((each.end for each in spans if each.end <= span.start), default=0)
    start = span.start
    while start > before and not is_blank(lines[start - 1]):
        start -= 1
    return span if start == span.start else Span("reference", "", start, span.end)


def _unsure(spans: Sequence[Span], lines: Sequence[str]) -> Span | None:
    """The block in which a formula has begun that may take in what follows it."""
    begin = len(lines)
    while begin and not is_blank(lines[begin - 1]):
        begin -= 1
    for span in spans:
        if span.kind not in _VERBATIM and any(
            opens_block(line) for line in lines[max(begin, span.start) : span.end]
        ):
            return span
    return None


def is_blank(line: str) -> bool:
    """Whether Markdown takes a line for an empty one."""
    return not line.strip(_BLANKS)
