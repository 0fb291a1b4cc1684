"""A text that comes in pieces, without the keys in it, whether whole or cut into deltas."""

from __future__ import annotations

from llm_playground.redact import redact_from, settled

# What stands before a piece decides whether a key starts in it: a written escape, or a sign.
_CONTEXT = 24
# Longer than most keys: what is held back then is not looked through again for every delta.
_MUCH, _SHARE = 1_000, 8


class Keyless:
    """Gives back what can no longer be part of a key, redacted as the whole text would be."""

    def __init__(self) -> None:
        self._context = ""
        self._held = ""
        self._new: list[str] = []  # since `_held` was looked through
        self._new_size = 0

    def settled(self, piece: str) -> str:
        """What may be shown now that ``piece`` has come; the rest is held back."""
        self._new.append(piece)
        self._new_size += len(piece)
        if len(self._held) > _MUCH and self._new_size * _SHARE < len(self._held):
            return ""
        text = self._text()
        return self._given(text, max(settled(text), len(self._context)))

    def rest(self) -> str:
        """What was held back, once nothing more comes."""
        text = self._text()
        return self._given(text, len(text))

    def _text(self) -> str:
        return "".join([self._context, self._held, *self._new])

    def _given(self, text: str, end: int) -> str:
        given = redact_from(text[:end], len(self._context))
        self._context, self._held = text[:end][-_CONTEXT:], text[end:]
        self._new, self._new_size = [], 0
        return given
