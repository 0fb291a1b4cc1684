"""One name for a model, whoever writes it: an API, a bill, a product page."""

from __future__ import annotations

import re

# Versions that a name carries and a bill leaves out, or the other way round.
_DATED = re.compile(r"[-@](\d{8}|\d{4}-\d{2}-\d{2}|\d{2}-\d{4}|latest|00\d)$")
_GEMINI = re.compile(r"gemini[ -_](\d+(?:[.-]\d+)?)[ -_](pro|flash)([ -_]lite)?", re.IGNORECASE)


def comparable(name: str) -> str:
    """The words of a name in alphabetical order, then its numbers; without a date.

    >>> comparable("claude-haiku-4-5-20251001") == comparable("Claude Haiku 4.5")
    True
    >>> comparable("Claude Haiku 3.5") == comparable("claude-3-5-haiku-latest")
    True
    >>> comparable("gpt-4o-2024-08-06")
    '4o gpt'
    """
    bare = _DATED.sub("", name.strip().lower().rpartition("/")[2])
    parts = re.findall(r"[a-z0-9]+", bare)
    words = sorted(part for part in parts if not part.isdigit())
    return " ".join([*words, *(part for part in parts if part.isdigit())])


def gemini_name(text: str) -> str | None:
    """The Gemini model within a longer name or a bill's text.

    >>> gemini_name("Generate content output token count gemini 2.5 flash short input text")
    'gemini-2.5-flash'
    >>> gemini_name("gemini-2.5-flash-lite-preview-09-2025")
    'gemini-2.5-flash-lite'
    """
    found = _GEMINI.search(text)
    return re.sub(r"[ _]", "-", found[0].lower()) if found else None
