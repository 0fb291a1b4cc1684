"""The fenced code of an answer, as Markdown reads it: in lists and quotes too."""

from __future__ import annotations

from dataclasses import dataclass

from llm_playground.rendering.markdown import cleaned, parse_blocks


@dataclass(frozen=True, slots=True)
class Fence:
    """One block of code, and its language in lower case; empty if it has none."""

    language: str
    code: str


def fences(markdown: str) -> list[Fence]:
    r"""The blocks in their order; one that is not closed ends with the text.

    >>> fences("1. a\n\n   ~~~Py\n   x = 1\n   ~~~\n")
    [Fence(language='py', code='x = 1\n')]
    """
    return [
        Fence(_language(token.info), token.content)
        for token in parse_blocks(cleaned(markdown))
        if token.type == "fence"
    ]


def _language(info: str) -> str:
    """The first word after a fence: ``python`` of ``{.python title="a.py"}``."""
    [word, *_] = info.strip("{} .").split() or [""]
    return word.partition(":")[0].strip(",.{}").lower()
