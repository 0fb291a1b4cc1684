"""A text that comes in pieces, without the keys in it, whether whole or cut into deltas."""

from __future__ import annotations

from llm_playground.redact import redact_from, settled

# What stands before a piece decides whether a key starts in it: a written escape, or a sign.
_CONTEXT = 24


class Keyless:
    """Gives back what can no longer be part of a key, redacted as the whole text would be."""

    def __init__(self) -> None:
        self._context = ""
        self._held = ""

    def settled(self, piece: str) -> str:
        """What may be shown now that ``piece`` has come; the rest is held back."""
        text = self._context + self._held + piece
        return self._given(text, max(settled(text), len(self._context)))

    def rest(self) -> str:
        """What was held back, once nothing more comes."""
        text = self._context + self._held
        return self._given(text, len(text))

    def _given(self, text: str, end: int) -> str:
        given = redact_from(text[:end], len(self._context))
        self._held = text[end:]
        self._context = text[:end][-_CONTEXT:]
        return given
