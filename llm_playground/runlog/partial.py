"""The text of a running run on its way into the journal, piece by piece and without keys.

A key may arrive cut into deltas, so what could still grow into one is held back until it is known
not to be one, or is one and becomes ``[redacted]``.
"""

from __future__ import annotations

from collections.abc import Sequence

from llm_playground import personal
from llm_playground.redact import redact_from, settled

# What stands before a piece decides whether a key starts in it: what `redact_from` looks back at
# is a written escape such as "\\u003d" and the start of a sign such as "github_pat_".
_CONTEXT = 24


class Partial:
    """One run's text so far; personal data of some kinds is taken out of it too."""

    def __init__(self, kinds: Sequence[personal.Kind] = ()) -> None:
        self._kinds = kinds
        self._written: list[str] = []
        self._new: list[str] = []
        self._context = ""

    def add(self, delta: str) -> None:
        """More of the answer."""
        self._new.append(delta)

    def take(self) -> str:
        """What may be written now, redacted; empty when there is nothing or all is held back."""
        text = self._context + "".join(self._new)
        known_from = settled(text)
        if self._kinds:  # only where nothing personal goes on over the cut
            known_from = personal.settled(text[:known_from])
        end = max(known_from, len(self._context))
        if end == len(self._context):
            return ""
        known, held = text[:end], text[end:]
        piece = personal.masked(redact_from(known, len(self._context)), self._kinds)
        self._context = known[-_CONTEXT:]
        self._new = [held] if held else []
        self._written.append(piece)
        return piece

    def so_far(self) -> str:
        """All that was taken, for a journal that starts anew."""
        self._written = ["".join(self._written)]
        return self._written[0]
