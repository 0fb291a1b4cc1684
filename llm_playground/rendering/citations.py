"""Markers such as [1] in an answer's HTML that point to its numbered sources.

Providers give places in the text. A mark is put into the Markdown at each place, and the HTML is
compared with that of the text without marks: where a mark would change it, as in code, in an
address or in the row under a table's head, the marker follows at the end of the block. A marker
inside a link or code follows after it.

Where sources have no places, the numbers in brackets that the text has itself become the markers.
"""

from __future__ import annotations

import re
import secrets
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from html import escape
from itertools import accumulate

from llm_playground.parts import Source
from llm_playground.redaction import redact
from llm_playground.rendering import markdown, source_list
from llm_playground.rendering.markdown import Answer, RenderedBlock

_MAX_MARKERS = 500  # of one answer; each is a hundred times as long as a mark of the text
_MAX_TRIED_MARKS = 30  # of one block, which is rendered again for each
_TAG = re.compile(r"(<[^>]*>)")  # in HTML of the sanitizer, whose attributes have no ">"
_CLOSED = re.compile(r"</(a|code|pre|math)>")
_OPENED = re.compile(r"<(a|code|pre|math)\b")
_OWN = re.compile(r"(?<!\w)\[(\d{1,3})\]")
_ENDS = re.compile(r"(?:</(?:p|li|ul|ol|blockquote|h[1-6])>\s*)+\Z")
_ENDS_OF_BLOCKS = ("</pre>", "</table>", "<hr>", "</math>")


@dataclass(slots=True)
class Citations:
    """The sources of one answer with their places in its text, each a number of characters.

    ``anchor`` is the beginning of the ids of the numbered sources in the page, ``places`` pairs of
    a place and the number of a source. ``added_chars`` is the size of the markers made so far.
    """

    sources: Sequence[Source] = ()
    anchor: str = ""
    places: tuple[tuple[int, int], ...] = ()
    added_chars: int = 0
    _left: int = _MAX_MARKERS
    _labels: dict[int, str] = field(default_factory=dict)

    @classmethod
    def of(cls, sources: Sequence[Source], anchor: str) -> Citations:
        """The citations of an answer with these sources."""
        places = {
            (place, number)
            for number, source in enumerate(sources, 1)
            for place in source.cited_at
            if isinstance(place, int)
        }
        return cls(sources, anchor, tuple(sorted(places)[:_MAX_MARKERS]))

    def blocks(self, text: str, answer: Answer, start: int = 0) -> list[str]:
        """Safe HTML of each block of a text that begins at ``start`` in the answer's text."""
        shown = markdown.cleaned(redact(text))
        rendered = markdown.rendered_blocks(shown, answer)
        if not self.sources or answer.plain:
            return [block.html for block in rendered]
        if not self.places:
            return [self._with_own_markers(block.html) for block in rendered]
        moved = _mover(text, shown)
        inside = [
            (moved(place - start), number)
            for place, number in self.places
            if start < place <= start + len(text)
        ]
        return self._with_markers(shown, rendered, inside, answer)

    def moved_by(self, spans: Sequence[tuple[int, int, int]]) -> Citations:
        """These citations in a text in which spans (start, end, new length) were replaced."""

        def moved(place: int) -> int:
            shift = 0
            for start, end, length in spans:
                if start < place < end:
                    return start + shift + length
                if place >= end:
                    shift += length - (end - start)
            return place + shift

        return replace(self, places=tuple((moved(place), n) for place, n in self.places))

    def _with_markers(
        self,
        text: str,
        rendered: Sequence[RenderedBlock],
        places: Sequence[tuple[int, int]],
        answer: Answer,
    ) -> list[str]:
        lines = [0, *accumulate(len(line) + 1 for line in text.split("\n"))]
        starts = [lines[block.first_line] for block in rendered]
        of_block: dict[int, list[tuple[int, int]]] = {}
        for place, number in places:
            place = _before_blanks(text, place)
            index = max(bisect_right(starts, max(place - 1, 0)) - 1, 0)
            at = place - starts[index] if starts else 0
            of_block.setdefault(index, []).append((at, number))
        return [
            self._cited(block, of_block[index], answer) if index in of_block else block.html
            for index, block in enumerate(rendered)
        ]

    def _cited(
        self, block: RenderedBlock, places: Sequence[tuple[int, int]], answer: Answer
    ) -> str:
        """The HTML of a block with its markers, those without a safe place at its end."""
        token = secrets.token_hex(8)
        pattern = re.compile(rf"⸨{token}(\d+)⸩")  # punctuation: emphasis before it ends

        def marked(kept: Sequence[tuple[int, int]]) -> str | None:
            source = block.source
            for at, number in reversed(kept):
                source = f"{source[:at]}⸨{token}{number}⸩{source[at:]}"
            known = Answer(answer.target, references=dict(answer.references))
            html = "".join(markdown.render_blocks(source, known))
            is_same = pattern.sub("", html) == block.html
            return html if is_same and len(pattern.findall(html)) == len(kept) else None

        kept = [(min(at, len(block.source)), number) for at, number in places]
        html = marked(kept)
        if html is None:
            tried = kept if len(kept) <= _MAX_TRIED_MARKS else []
            kept = [one for one in tried if marked([one]) is not None]
            html = marked(kept)
        if html is None:
            html, kept = block.html, []
        rest = [number for _, number in places]
        for _, number in kept:
            rest.remove(number)
        return self._at_end(self._placed(html, pattern), dict.fromkeys(rest))

    def _placed(self, html: str, pattern: re.Pattern[str]) -> str:
        """The HTML with markers for marks; those in a link, code or a tag follow after it."""
        pieces, held, depth = [], [], 0
        for piece in _TAG.split(html):
            is_tag = piece.startswith("<") and piece.endswith(">")
            if is_tag or depth:
                held += [int(mark[1]) for mark in pattern.finditer(piece)]
                pieces.append(pattern.sub("", piece))
            else:
                pieces.append(pattern.sub(lambda mark: self._marker(int(mark[1])), piece))
            if is_tag:
                depth += bool(_OPENED.match(piece)) - bool(_CLOSED.match(piece))
            if held and not depth:
                pieces += map(self._marker, held)
                held = []
        return "".join(pieces)

    def _with_own_markers(self, html: str) -> str:
        def linked(match: re.Match[str]) -> str:
            return self._marker(int(match[1])) or match[0]

        pieces, depth = [], 0
        for piece in _TAG.split(html):
            if piece.startswith("<"):
                depth += bool(_OPENED.match(piece)) - bool(_CLOSED.match(piece))
            pieces.append(piece if depth or piece.startswith("<") else _OWN.sub(linked, piece))
        return "".join(pieces)

    def _at_end(self, html: str, numbers: Iterable[int]) -> str:
        markers = "".join(map(self._marker, numbers))
        if not markers:
            return html
        ends = _ENDS.search(html)
        at = ends.start() if ends else len(html)
        if not ends or html[:at].rstrip().endswith(_ENDS_OF_BLOCKS):
            return f"{html}<p>{markers}</p>\n"
        return f"{html[:at]}{markers}{html[at:]}"

    def _marker(self, number: int) -> str:
        """The marker of a source as HTML, empty if there is none or there are too many."""
        if not 0 < number <= min(len(self.sources), source_list.MAX_SHOWN) or self._left <= 0:
            return ""
        self._left -= 1
        if number not in self._labels:
            label = escape(source_list.label(self.sources[number - 1]))
            self._labels[number] = (
                f'<sup><a href="#{self.anchor}-{number}" title="{label}">[{number}]</a></sup>'
            )
        self.added_chars += len(self._labels[number])
        return self._labels[number]


def marked(text: str, sources: Sequence[Source], start: int = 0) -> str:
    """A text that begins at ``start`` in the answer, with the numbers of its sources as text.

    >>> marked("The moon is far. It is.", [Source("Moon", cited_at=(16,))])
    'The moon is far.[1] It is.'
    """
    inside = [
        (_before_blanks(text, place - start), number)
        for place, number in Citations.of(sources, "").places
        if start < place <= start + len(text)
    ]
    for place, number in sorted(inside, reverse=True):
        text = f"{text[:place]}[{number}]{text[place:]}"
    return text


def _before_blanks(text: str, place: int) -> int:
    """The place before blanks and the bars of a table, and not within a word."""
    place = min(place, len(text))
    while 0 < place < len(text) and text[place - 1].isalnum() and text[place].isalnum():
        place += 1
    while place > 0 and (text[place - 1].isspace() or text[place - 1] == "|"):
        place -= 1
    return place


def _mover(text: str, shown: str) -> Callable[[int], int]:
    """The place in the text that is shown of a place in the text, in which keys may be hidden."""
    if text == shown:
        return lambda place: place
    same = _shared(text, shown)
    same_end = _shared(text[same:][::-1], shown[same:][::-1])

    def moved(place: int) -> int:
        if place <= same:
            return place
        from_end = len(text) - place
        return len(shown) - from_end if from_end <= same_end else same

    return moved


def _shared(one: str, other: str) -> int:
    """The number of characters with which both begin."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((at for at, (a, b) in pairs if a != b), min(len(one), len(other)))
