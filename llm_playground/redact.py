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
_known: set[str] = set()


def remember(secret: str) -> None:
    """Make ``secret`` a value that :func:`redact` removes wherever it appears."""
    if secret:
        _known.add(secret)


def redact(text: str) -> str:
    """``text`` without known secrets and without anything that has the shape of a key.

    >>> remember("open sesame")
    >>> redact("the word is open sesame, not Bearer abcdefgh1234")
    'the word is [redacted], not Bearer [redacted]'
    """
    for secret in sorted(_known, key=len, reverse=True):
        text = text.replace(secret, MASK)
    return _SHAPES.sub(MASK, text)


def mask(secret: str) -> str:
    """Enough of a key to recognise it: its last three characters.

    >>> mask("correct horse 7Qa")
    '…7Qa'
    """
    return f"…{secret[-3:]}" if len(secret) >= 12 else "…"
