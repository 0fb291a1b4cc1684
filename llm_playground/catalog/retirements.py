"""When vendors end their models: by their lists, and by announcements elsewhere.

Lists have the ends of the models that a key can use (OpenAI's ``shutdown_date``, Anthropic's
``retires_at``); Gemini's list has none, so announcements of the vendors are kept here too, as of
November 2026. An end in a list wins.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime

SOON_DAYS = 90
NEAR_DAYS = 30


@dataclass(frozen=True, slots=True)
class _End:
    """The announced end of the models of one provider whose whole name matches."""

    provider: str
    pattern: str
    retires_at: datetime
    source: str


def _day(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


_SDK = "anthropic._data.DEPRECATED_MODELS"
_OPENAI = "https://developers.openai.com/api/docs/deprecations"
_GOOGLE = "https://ai.google.dev/gemini-api/docs/deprecations"
_SNAPSHOT = r"(-\d{4}-\d\d-\d\d)?"
ENDS: tuple[_End, ...] = (
    _End("anthropic", r"claude-mythos-preview", _day("2026-06-30"), _SDK),
    _End("anthropic", r"claude-sonnet-4-5(-20250929)?", _day("2026-11-30"), _SDK),
    _End("anthropic", r"claude-opus-4-5(-20251101)?", _day("2027-01-22"), _SDK),
    _End("openai", rf"gpt-5(-mini|-nano|-pro)?{_SNAPSHOT}", _day("2026-12-11"), _OPENAI),
    _End("openai", rf"o3(-pro)?{_SNAPSHOT}", _day("2026-12-11"), _OPENAI),
    _End("openai", rf"gpt-4(o|\.1)(-mini)?{_SNAPSHOT}", _day("2027-01-14"), _OPENAI),
    _End("openai", rf"gpt-5\.(1|3-codex|4-nano){_SNAPSHOT}", _day("2027-04-01"), _OPENAI),
    _End("gemini", r"gemini-2\.5-(pro|flash)", _day("2026-12-01"), _GOOGLE),
    _End("gemini", r"gemini-3\.1-flash-lite", _day("2027-05-07"), _GOOGLE),
)


def announced(provider: str, name: str) -> datetime | None:
    """When a provider has announced that a model ends; None if no end is known.

    >>> announced("anthropic", "claude-opus-4-5").date().isoformat()
    '2027-01-22'
    >>> announced("gemini", "gemini-2.5-flash-lite") is None
    True
    """
    ends = (end for end in ENDS if end.provider == provider.removesuffix("-legacy"))
    return next((end.retires_at for end in ends if re.fullmatch(end.pattern, name)), None)


def days_left(retires_at: datetime, now: datetime) -> int:
    """The days from today's date to that of an end, in UTC; negative after it.

    >>> days_left(_day("2026-12-11"), _day("2026-12-01").replace(hour=14))
    10
    """
    return (retires_at.astimezone(UTC).date() - now.astimezone(UTC).date()).days


def warning(retires_at: datetime | None, now: datetime) -> str:
    """``ends 14 Jan 2027`` within 90 days, ``ended 30 Nov 2026`` after that day; else empty.

    >>> warning(_day("2027-01-14"), _day("2026-12-01"))
    'ends 14 Jan 2027'
    """
    if retires_at is None or days_left(retires_at, now) > SOON_DAYS:
        return ""
    verb = "ends" if days_left(retires_at, now) >= 0 else "ended"
    day = retires_at.astimezone(UTC)
    return f"{verb} {day.day} {day:%b %Y}"


def is_near(retires_at: datetime | None, now: datetime) -> bool:
    """Whether an end is at most 30 days away, or past.

    >>> is_near(_day("2026-12-31"), _day("2026-12-01")), is_near(None, _day("2026-12-01"))
    (True, False)
    """
    return retires_at is not None and days_left(retires_at, now) <= NEAR_DAYS
