"""The part of a dashboard that shows figures: HTML from Python, and messages of what is pressed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anywidget
import traitlets as t

_HERE = Path(__file__).parent


def _shown(trait: t.TraitType[Any, Any]) -> t.TraitType[Any, Any]:
    """A trait that views only read."""
    return trait.tag(sync=True)


class Board(anywidget.AnyWidget):
    """The summary, the sections and their cards.

    Views send custom messages: ``section`` (a name), ``press`` (a key), ``step`` (to another page),
    ``other_model`` and ``action`` (a choice), ``demo``.
    """

    _esm = (_HERE / "view.js").read_text("utf-8")
    _css = (_HERE / "view.css").read_text("utf-8")

    saved_id = _shown(t.Unicode())  # of the output that a view hides
    sections = _shown(t.List(t.List(t.Unicode())))  # names and titles
    section = _shown(t.Unicode("overview"))
    notice = _shown(t.Unicode())
    has_demo_button = _shown(t.Bool(False))
    summary = _shown(t.Unicode())
    content = _shown(t.Unicode())
    is_busy = _shown(t.Bool(False))
    problem = _shown(t.Unicode())
