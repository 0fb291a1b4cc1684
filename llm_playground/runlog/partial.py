"""The text of a running run on its way into the journal, piece by piece and without keys.

A key may arrive cut into deltas, so what could still grow into one is held back until it is known
not to be one, or is one and becomes ``[redacted]``.
"""

from __future__ import annotations

from llm_playground.redact import redact_from, settled

# What stands before a piece decides whether a key starts in it: what `redact_from` looks back at
# is a written escape such as "\\u003d" and the start of a sign such as "github_pat_".
_CONTEXT = 24


class Partial:
    """One run's text so far."""

    def __init__(self) -> None:
        self._written: list[str] = []
        self._new: list[str] = []
        self._context = ""

    def add(self, delta: str) -> None:
        """More of the answer."""
        self._new.append(delta)

    def take(self) -> str:
        """What may be written now, redacted; empty when there is nothing or all is held back."""
        text = self._context + "".join(self._new)
        end = max(settled(text), len(self._context))
        if end == len(self._context):
            return ""
        known, held = text[:end], text[end:]
        piece = redact_from(known, len(self._context))
        self._context = known[-_CONTEXT:]
        self._new = [held] if held else []
        self._written.append(piece)
        return piece

    def so_far(self) -> str:
        """All that was taken, for a journal that starts anew."""
        self._written = ["".join(self._written)]
        return self._written[0]
