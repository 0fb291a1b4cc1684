"""The text of a running run on its way into the journal, piece by piece and without keys.

A key may arrive cut into deltas, so what could still grow into one is held back until it is known
not to be one, or is one and becomes ``[redacted]``.
"""

from __future__ import annotations

import re

from llm_playground import redact as _redact

# What stands before a piece decides whether its start belongs to a key: the longest look-behind
# in `redact` is "x-goog-api-key: ".
_CONTEXT = 24
_FEWEST = 4  # the shortest beginning of a known secret worth holding back
_OPEN_SHAPE = re.compile(
    r"""(?:\b(?:sk-|AIza|AQ\.|gsk_|hf_)[A-Za-z0-9_-]*
      |Bearer\ [^\s"']*
      |x-(?:goog-)?api-key:\ [^\s"']*
      |[?&]key=[^\s"'&]*)\Z""",
    re.VERBOSE | re.IGNORECASE,
)


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
        clean = _redact.redact(known)
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


def settled(text: str) -> int:
    """How many leading characters can no longer become part of a key.

    >>> settled("the key is sk-abc"), settled("no key here")
    (11, 11)
    """
    shape = _OPEN_SHAPE.search(text)
    ends = [len(text) if shape is None else shape.start()]
    # The set belongs to `redact`; a snapshot, because another thread may remember a key meanwhile.
    ends += [len(text) - _overlap(text, secret) for secret in tuple(_redact._known)]
    return min(ends)


def _overlap(text: str, secret: str) -> int:
    """The longest end of ``text`` that begins ``secret``, 0 when shorter than worth holding."""
    for length in range(min(len(text), len(secret) - 1), _FEWEST - 1, -1):
        if text.endswith(secret[:length]):
            return length
    return 0
