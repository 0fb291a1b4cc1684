"""Keys never leave: whatever is shown, logged or raised passes through here first."""

from __future__ import annotations

import re

MASK = "[redacted]"

# The shapes vendors document or issue: OpenAI and Anthropic "sk-...", Google "AIza..." and "AQ.",
# Groq "gsk_...", Hugging Face "hf_...", and whatever follows a bearer or key header.
_SHAPES = re.compile(
    r"""\b(?:sk-[A-Za-z0-9_-]{12,}|AIza[A-Za-z0-9_-]{20,}|AQ\.[A-Za-z0-9_-]{20,}
        |gsk_[A-Za-z0-9]{20,}|hf_[A-Za-z0-9]{20,})
      |(?<=Bearer\ )[^\s"']{8,}
      |(?<=x-api-key:\ )[^\s"']{8,}
      |(?<=x-goog-api-key:\ )[^\s"']{8,}
      |(?<=[?&]key=)[^\s"'&]{8,}""",
    re.VERBOSE | re.IGNORECASE,
)
# Searching for shapes costs 90 µs per kB, for these 1 µs: most text has none of them.
_SIGNS = ("sk-", "aiza", "aq.", "gsk_", "hf_", "bearer ", "api-key: ", "key=")
# What could still grow into a key when more text comes.
_OPEN_SHAPE = re.compile(
    r"""(?:\b(?:sk-|AIza|AQ\.|gsk_|hf_)[A-Za-z0-9_-]*
      |Bearer\ [^\s"']*
      |x-(?:goog-)?api-key:\ [^\s"']*
      |[?&]key=[^\s"'&]*)\Z""",
    re.VERBOSE | re.IGNORECASE,
)
_SHORTEST = 8
_FEWEST = 4  # the shortest beginning of a known secret worth holding back
_known: set[str] = set()


def remember(secret: str) -> None:
    """Make ``secret`` a value that :func:`redact` removes wherever it appears.

    Shorter than eight characters it is a placeholder for a server without keys, such as
    ``EMPTY``, and an ordinary word.
    """
    if len(secret) >= _SHORTEST:
        _known.add(secret)


def redact(text: str) -> str:
    """``text`` without known secrets and without anything that has the shape of a key.

    >>> remember("open sesame")
    >>> redact("the word is open sesame, not Bearer abcdefgh1234")
    'the word is [redacted], not Bearer [redacted]'
    """
    for secret in sorted(_known, key=len, reverse=True):
        text = text.replace(secret, MASK)
    lowered = text.lower()
    if not any(sign in lowered for sign in _SIGNS):
        return text
    return _SHAPES.sub(MASK, text)


def settled(text: str) -> int:
    """How many leading characters can no longer become part of a key.

    >>> settled("the key is sk-abc"), settled("no key here")
    (11, 11)
    """
    shape = _OPEN_SHAPE.search(text)
    ends = [len(text) if shape is None else shape.start()]
    # A snapshot, because another thread may remember a key meanwhile.
    ends += [len(text) - _overlap(text, secret) for secret in tuple(_known)]
    return min(ends)


def _overlap(text: str, secret: str) -> int:
    """The longest end of ``text`` that begins ``secret``, 0 when shorter than worth holding."""
    for length in range(min(len(text), len(secret) - 1), _FEWEST - 1, -1):
        if text.endswith(secret[:length]):
            return length
    return 0


def mask(secret: str) -> str:
    """Enough of a key to recognise it: its last three characters.

    >>> mask("correct horse 7Qa")
    '…7Qa'
    """
    return f"…{secret[-3:]}" if len(secret) >= 12 else "…"
