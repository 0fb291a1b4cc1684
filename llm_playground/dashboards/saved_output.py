"""The second output of a dashboard's cell: what a saved notebook shows without a kernel.

It is HTML of tables and pictures, without scripts and styles, for GitHub, nbconvert and readers of
the file. An open view hides it.
"""

from __future__ import annotations

import contextvars
from collections.abc import Sequence
from html import escape
from typing import Any

from IPython.display import DisplayHandle

from llm_playground.dashboards.cards import Card, Tile, saved_tiles


def saved_html(identity: str, about: str, summary: Sequence[Tile], cards: Sequence[Card]) -> str:
    """The HTML of a summary and of cards; ``about`` says which runs they are of."""
    parts = [f"<h3>Dashboard</h3>\n<p>{escape(about)}</p>", saved_tiles(summary)]
    parts += [card.saved() for card in cards]
    return f'<div data-llm-dashboard="{escape(identity)}">\n' + "\n".join(parts) + "\n</div>"


def saved_text(about: str, summary: Sequence[Tile]) -> str:
    """The summary as text, for terminals."""
    lines = [f"{tile.name}: {tile.text} ({tile.about})" for tile in summary]
    return "\n".join((f"Dashboard. {about}", *lines))


class SavedOutput:
    """The output in all cells that show one dashboard."""

    def __init__(self) -> None:
        self._handle = DisplayHandle()
        self._cell: contextvars.Context | None = None
        self._data: dict[str, Any] = {}

    @property
    def identity(self) -> str:
        """The id by which a view finds it."""
        return str(self._handle.display_id)

    @property
    def data(self) -> dict[str, Any]:
        """The MIME bundle as it is now."""
        return dict(self._data)

    def replace(self, html: str, text: str) -> None:
        """Show other figures, wherever it is displayed already."""
        self._data = {"text/html": html, "text/plain": text}
        if self._cell is not None:  # the context has the cell whose output it is
            self._cell.copy().run(self._handle.update, self._data, raw=True)

    def display(self) -> None:
        """Display it below the output that came before."""
        self._cell = contextvars.copy_context()
        self._handle.display(self._data, raw=True)
