"""What a view asks about answers: their text, and how they differ."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llm_playground import diff

if TYPE_CHECKING:
    from llm_playground.widgets.playground import Playground
    from llm_playground.widgets.replies import Given


def text(panel: Playground, given: Given) -> str:
    """The text of ``answer`` as the model wrote it."""
    return panel.sheet.text(given["answer"])


def difference(panel: Playground, given: Given) -> list[diff.Piece]:
    """How ``answer`` differs from ``baseline``, word by word."""
    sheet = panel.sheet
    return diff.words(sheet.text(given["baseline"]), sheet.text(given["answer"]))
