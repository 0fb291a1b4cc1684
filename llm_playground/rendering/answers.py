"""A complete answer as blocks of safe HTML: its texts, its other parts in their order, its sources.

Blocks of text are strings, cleaned by rules of their own (``rendering.markdown``). A block with a
picture, a folded result or the sources is a :class:`PartBlock`, so that a page can allow in it what
it never allows in text.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TypeAlias

from llm_playground import formatting
from llm_playground.parts import AnswerPart, RefusalPart, Source, TextPart
from llm_playground.rendering import markdown, parts, source_list
from llm_playground.rendering.citations import Citations
from llm_playground.types import Run

_NOT_IN_IDS = re.compile(r"[^0-9A-Za-z-]")

# These limits keep the HTML of one answer small: it is saved with the notebook. ``run.parts`` has
# all parts.
MAX_SHOWN_PARTS = 500
MAX_PARTS_CHARS = 32_000_000


@dataclass(frozen=True, slots=True)
class PartBlock:
    """A block that is no text of the answer."""

    html: str


Block: TypeAlias = str | PartBlock


def items(run: Run) -> list[str | AnswerPart]:
    """The texts of an answer, and between them the parts that are shown there.

    Texts that no such part divides are one: a provider sends a part for each sentence. A refusal
    is a part of the text where the run's text has it.
    """
    for texts in ((TextPart, RefusalPart), (TextPart,)):
        shown = [
            part.text if isinstance(part, texts) else part
            for part in run.parts
            if isinstance(part, texts) or parts.is_shown(part)
        ]
        if "".join(item for item in shown if isinstance(item, str)) == run.text:
            return list(joined(shown))
    # Another program, or a notebook, has kept less of the text.
    return list(joined([run.text, *(item for item in shown if not isinstance(item, str))]))


def joined(pieces: Iterable[str | AnswerPart]) -> Iterator[str | AnswerPart]:
    """The items of an answer with neighbouring texts as one, without empty ones."""
    for is_text, group in groupby(pieces, key=lambda piece: isinstance(piece, str)):
        if not is_text:
            yield from group
        elif text := "".join(str(piece) for piece in group):
            yield text


def blocks(
    pieces: Iterable[str | AnswerPart],
    sources: Sequence[Source],
    anchor: str,
    target: markdown.Target = markdown.PANEL,
) -> list[Block]:
    """The whole answer, with markers of its sources in its text and the sources below."""
    citations, answer, start = Citations.of(sources, anchor), markdown.Answer(target), 0
    shown, shown_parts = list[Block](), ShownParts()
    for item in joined(pieces):
        if isinstance(item, str):
            shown += citations.blocks(item, answer, start)
            start += len(item)
        else:
            shown += shown_parts.blocks(item)
    return shown + shown_parts.rest() + source_blocks(sources, anchor)


@dataclass(slots=True)
class ShownParts:
    r"""The parts of one answer that are shown, up to a number and a size of their HTML.

    >>> parts = ShownParts()
    >>> shown = [parts.blocks(RefusalPart("No.")) for _ in range(502)]
    >>> len(shown[-1]), parts.rest()
    (0, [PartBlock(html='<p class="llm-note">and 2 more parts, in run.parts</p>\n')])
    """

    count: int = 0
    chars: int = 0

    def blocks(self, part: AnswerPart) -> list[Block]:
        """The block of a part: whole, as a line where it is too large, or none."""
        self.count += 1
        if self.count > MAX_SHOWN_PARTS:
            return []
        html = parts.to_html(part)
        if self.chars + len(html) > MAX_PARTS_CHARS:
            html = parts.to_line_html(part)
        self.chars += len(html)
        return [PartBlock(html)]

    def rest(self) -> list[Block]:
        """How many more parts there are."""
        more = self.count - MAX_SHOWN_PARTS
        if more <= 0:
            return []
        line = f"and {formatting.count(more, 'more part')}, in run.parts"
        return [PartBlock(f'<p class="llm-note">{line}</p>\n')]


def source_blocks(sources: Sequence[Source], anchor: str) -> list[Block]:
    """The block below an answer with sources."""
    return [PartBlock(source_list.to_html(sources, anchor))] if sources else []


def anchor(run: Run) -> str:
    """The beginning of the ids of a run's sources in a page; the same each time it is re-used."""
    if run.cached:
        place = f"{run.prompt_id} {run.model} {run.iteration_number} {run.text}"
        return f"llm-{hashlib.sha256(place.encode('utf-8', 'surrogatepass')).hexdigest()[:12]}"
    return f"llm-{_NOT_IN_IDS.sub('', run.id)[-12:]}"


def html(shown: Iterable[Block]) -> str:
    """Blocks as one HTML."""
    return "".join(block if isinstance(block, str) else block.html for block in shown)


def as_lines(run: Run) -> list[str]:
    """The texts and parts of an answer in their order, then its sources, each as one text."""
    lines = [item if isinstance(item, str) else parts.to_line(item) for item in items(run)]
    return [*lines, *source_list.to_lines(run.sources)]
