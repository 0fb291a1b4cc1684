"""What one of a provider's limits leaves to send, as a token bucket learned from its headers.

OpenAI and Anthropic refill all the time and say when the bucket will be full again
(https://platform.openai.com/docs/guides/rate-limits,
https://docs.anthropic.com/en/api/rate-limits). Times are in seconds of one clock, which the caller
reads; nothing here reads one.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from llm_playground.events import RateLimit

# Below this part of the limit others are using the key too, or we are too fast: both ease off.
LOW = 0.2
# What then is taken of what remains and of what is refilled.
EASED = 0.5
# Limits are per minute where nothing else follows from the headers.
WINDOW_S = 60.0
# An empty bucket is waited for until its reset, but for no longer than this: limits per day are
# refilled all the time, and the refill says how soon one more may be sent.
LONGEST_CLOSED_S = 60.0
# No vendor's limit is longer than a day: a reset beyond is a date misread, or nonsense.
LONGEST_RESET_S = 86_400.0
_ROUNDING = 1e-3  # a thousandth of a request or of a token is nobody's


class Bucket(NamedTuple):
    """What may be sent, and how fast it is refilled. A tuple: two are made for each call.

    Args:
        limit: How much it holds; infinite where nobody said.
        level: What was in it at ``at``; below 0 when more was sent than it held.
        at: When that was. In the future while the bucket is empty: nothing is sent before.
        per_s: What is refilled in a second.
        low_until: Until then only half of the refill is ours; minus infinity when all of it is.
    """

    limit: float
    level: float
    at: float
    per_s: float
    low_until: float = -math.inf


def learned(
    known: Bucket | None, said: RateLimit | None, unheard: float, now: float
) -> Bucket | None:
    """The bucket after a header.

    Args:
        known: What was known before.
        said: The header; one that tells too little changes nothing.
        unheard: What was sent and not answered yet: the provider may not have counted it.
        now: The time.

    >>> half_used = RateLimit(limit=60, remaining=30, resets_in_s=30.0)
    >>> learned(None, half_used, unheard=1, now=0.0)
    Bucket(limit=60, level=29.0, at=0.0, per_s=1.0, low_until=-inf)
    """
    if said is None or said.remaining is None:
        return known
    resets_in_s = _finite(said.resets_in_s)
    limit = said.limit or (known.limit if known else math.inf)
    remaining = max(0, said.remaining)
    if limit == math.inf and remaining == 0 and resets_in_s is not None:
        return Bucket(limit, math.inf, now + min(resets_in_s, LONGEST_CLOSED_S), per_s=0.0)
    if not 0 < limit < math.inf:
        return known
    per_s = _refill_per_s(limit, remaining, resets_in_s)
    low_until = now + (resets_in_s or math.inf) if remaining < LOW * limit else -math.inf
    if remaining == 0 and resets_in_s is not None:
        closed_s = min(resets_in_s, LONGEST_CLOSED_S)
        return Bucket(limit, min(limit, per_s * closed_s), now + closed_s, per_s, low_until)
    ours = remaining * EASED if low_until > now else remaining
    return Bucket(limit, float(ours - unheard), now, per_s, low_until)


def spent(bucket: Bucket, cost: float, now: float) -> Bucket:
    """The bucket after sending something; a negative cost puts back what was not sent."""
    at = max(now, bucket.at)
    return Bucket(bucket.limit, level(bucket, at) - cost, at, bucket.per_s, bucket.low_until)


def level(bucket: Bucket, now: float) -> float:
    """What is in it.

    >>> level(Bucket(limit=60, level=10, at=0.0, per_s=1.0, low_until=20.0), now=30.0)
    30.0
    """
    refilling_s = now - bucket.at
    if refilling_s <= 0:
        return bucket.level
    if bucket.low_until > bucket.at:
        refilling_s -= (1 - EASED) * (min(now, bucket.low_until) - bucket.at)
    return min(bucket.limit, bucket.level + bucket.per_s * refilling_s)


def ready_at(bucket: Bucket, cost: float, now: float) -> float:
    """When there is enough in it, ``now`` at the earliest.

    ``cost`` may be above the limit: then it is the time until so much has been sent in turn.

    >>> ready_at(Bucket(limit=60, level=0, at=0.0, per_s=1.0, low_until=20.0), cost=15, now=0.0)
    25.0
    """
    start = max(now, bucket.at)
    missing = cost - level(bucket, start)
    if missing <= _ROUNDING:
        return start
    slow_s = max(0.0, bucket.low_until - start)
    refilled_slowly = bucket.per_s * EASED * slow_s
    if missing <= refilled_slowly:
        return start + missing / (bucket.per_s * EASED)
    return start + slow_s + (missing - refilled_slowly) / bucket.per_s


def _refill_per_s(limit: float, remaining: int, resets_in_s: float | None) -> float:
    """What is used up is refilled by the reset; that also tells a limit per day from one a minute.

    The little that is known of a nearly full bucket makes no difference: nothing waits for it.
    """
    used = limit - remaining
    if resets_in_s is None or used <= 0:
        return limit / WINDOW_S
    return used / resets_in_s


def _finite(seconds: float | None) -> float | None:
    """Seconds above 0, None where a header says nothing that can be waited for."""
    return seconds if seconds is not None and 0 < seconds <= LONGEST_RESET_S else None
