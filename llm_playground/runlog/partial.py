"""The text of a running run on its way into the journal, piece by piece and without keys.

A key may arrive cut into deltas, so what could still grow into one is held back until it is known
not to be one, or is one and becomes ``[redacted]``.
"""

from __future__ import annotations

from llm_playground.redact import redact, settled

# What stands before a piece decides whether its start belongs to a key: the longest look-behind
# in `redact` is "x-goog-api-key: ".
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
        clean = redact(known)
        piece = clean[_common(self._context, clean) :]
        self._context = known[-_CONTEXT:]
        self._new = [held] if held else []
        self._written.append(piece)
        return piece

    def so_far(self) -> str:
        """All that was taken, for a journal that starts anew."""
        self._written = ["".join(self._written)]
        return self._written[0]


def _common(a: str, b: str) -> int:
    """How many leading characters are the same."""
    pairs = zip(a, b, strict=False)
    return next((i for i, (x, y) in enumerate(pairs) if x != y), min(len(a), len(b)))
