"""What a provider's response headers say of its rate limits.

OpenAI and most of its imitations (https://platform.openai.com/docs/guides/rate-limits) send
``x-ratelimit-remaining-tokens: 149984`` and ``x-ratelimit-reset-tokens: 6m0s``; Anthropic
(https://docs.claude.com/en/api/rate-limits) sends ``anthropic-ratelimit-tokens-remaining`` and, as
the reset, a time of RFC 3339. Gemini sends none. What cannot be read counts as not said.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Mapping
from datetime import UTC, datetime

from llm_playground.events import RateLimit

_MOST = 2**53
_UNIT_S = {"d": 86_400.0, "h": 3_600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6}
_PIECE = re.compile(r"(\d+(?:\.\d+)?)(d|h|ms|us|µs|m|s)")
_DURATION = re.compile(rf"(?:{_PIECE.pattern})+")
# Anthropic counts all tokens, or input and output apart; what is fewest holds first.
_ANTHROPIC_TOKENS = ("tokens", "input-tokens", "output-tokens")


def requests_limit(headers: Mapping[str, str], now: float | None = None) -> RateLimit | None:
    """The limit of requests; None where nothing is said.

    Args:
        headers: The response's, lower case.
        now: Seconds since 1970, for resets that are told as a time; by default the present.

    >>> requests_limit({"anthropic-ratelimit-requests-remaining": "9"})
    RateLimit(limit=None, remaining=9, resets_in_s=None)
    """
    return _limit(headers, "requests", time.time() if now is None else now)


def tokens_limit(headers: Mapping[str, str], now: float | None = None) -> RateLimit | None:
    """The limit of tokens, the tightest where there are several; None where nothing is said.

    The arguments are those of :func:`requests_limit`.
    """
    now = time.time() if now is None else now
    said = [limit for kind in _ANTHROPIC_TOKENS if (limit := _limit(headers, kind, now))]
    return min(said, key=_left, default=None)


def _left(limit: RateLimit) -> float:
    return math.inf if limit.remaining is None else limit.remaining


def _limit(headers: Mapping[str, str], kind: str, now: float) -> RateLimit | None:
    def said(field: str) -> str:
        openai, anthropic = f"x-ratelimit-{field}-{kind}", f"anthropic-ratelimit-{kind}-{field}"
        return headers.get(openai) or headers.get(anthropic) or ""

    limit = RateLimit(_count(said("limit")), _count(said("remaining")), _wait_s(said("reset"), now))
    return None if limit == RateLimit() else limit


def _count(text: str) -> int | None:
    text = text.strip()
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        return None
    return min(int(text), _MOST)


def _wait_s(text: str, now: float) -> float | None:
    """Seconds until a reset that is told as a duration (Go's way), as seconds, or as a time."""
    text = text.strip()
    if _DURATION.fullmatch(text):
        return sum(float(number) * _UNIT_S[unit] for number, unit in _PIECE.findall(text))
    try:
        seconds = float(text)
    except ValueError:
        return _until(text, now)
    return seconds if math.isfinite(seconds) and seconds >= 0 else None


def _until(text: str, now: float) -> float | None:
    try:
        time_told = datetime.fromisoformat(text)
    except ValueError:
        return None
    if time_told.tzinfo is None:
        time_told = time_told.replace(tzinfo=UTC)
    return max(0.0, time_told.timestamp() - now)
