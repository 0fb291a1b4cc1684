"""A provider's rate limit as a token bucket, learned from response headers.

OpenAI and Anthropic refill continuously and say when the bucket will be full again
(https://platform.openai.com/docs/guides/rate-limits,
https://docs.anthropic.com/en/api/rate-limits). Times are in seconds of one clock, which the caller
reads; all functions are pure.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from llm_playground.events import RateLimit

# Below this part of the limit, either other clients use the key too or calls are sent too fast.
LOW = 0.2
# The part of the remainder and of the refill that is used then.
EASED = 0.5
# Limits are per minute unless the headers imply something else.
WINDOW_S = 60.0
# How long an empty bucket is waited for at most: limits per day are refilled continuously, and the
# refill rate says how soon another request may be sent.
LONGEST_CLOSED_S = 60.0
# No vendor's limit is longer than a day; a later reset is invalid.
LONGEST_RESET_S = 86_400.0
_ROUNDING = 1e-3  # in requests or tokens


class Bucket(NamedTuple):
    """What may be sent, and how fast that is refilled. A tuple, since each call makes two.

    Args:
        limit: How much it holds; infinite where unknown.
        level: How much was in it at ``at``; below 0 when more was sent than it held.
        at: The time of ``level``. In the future while the bucket is empty: nothing is sent before.
        per_s: The refill per second.
        low_until: Until then only half of the refill is used; minus infinity for all of it.
    """

    limit: float
    level: float
    at: float
    per_s: float
    low_until: float = -math.inf


def learned(
    previous: Bucket | None, header: RateLimit, unanswered: float, now: float
) -> Bucket | None:
    """The bucket after a response; a ``header`` without enough data changes nothing.

    ``unanswered`` was sent and not answered yet: the provider may not have counted it.

    >>> half_used = RateLimit(limit=60, remaining=30, resets_in_s=30.0)
    >>> learned(None, half_used, unanswered=1, now=0.0)
    Bucket(limit=60, level=29.0, at=0.0, per_s=1.0, low_until=-inf)
    """
    if header.remaining is None:
        return previous
    resets_in_s = header.resets_in_s
    if resets_in_s is not None and not 0 < resets_in_s <= LONGEST_RESET_S:
        resets_in_s = None
    limit = header.limit or (previous.limit if previous else math.inf)
    remaining = max(0, header.remaining)
    if limit == math.inf and remaining == 0 and resets_in_s is not None:
        return Bucket(limit, math.inf, now + min(resets_in_s, LONGEST_CLOSED_S), per_s=0.0)
    if not 0 < limit < math.inf:
        return previous
    per_s = _refill_per_s(limit, remaining, resets_in_s)
    low_until = now + (resets_in_s or math.inf) if remaining < LOW * limit else -math.inf
    if remaining == 0 and resets_in_s is not None:
        closed_s = min(resets_in_s, LONGEST_CLOSED_S)
        return Bucket(limit, min(limit, per_s * closed_s), now + closed_s, per_s, low_until)
    available = remaining * EASED if low_until > now else remaining
    return Bucket(limit, float(available - unanswered), now, per_s, low_until)


def spent(bucket: Bucket, cost: float, now: float) -> Bucket:
    """The bucket after sending something; a negative cost returns what was not sent."""
    at = max(now, bucket.at)
    return Bucket(bucket.limit, level(bucket, at) - cost, at, bucket.per_s, bucket.low_until)


def level(bucket: Bucket, now: float) -> float:
    """How much is in the bucket.

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
    """When the bucket has enough for ``cost``, ``now`` at the earliest.

    For a ``cost`` above the limit, the time until that much has been refilled in total.

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
    """The refill rate: what is used up is refilled by the reset.

    This also distinguishes limits per day from those per minute. It is inaccurate for a nearly full
    bucket, for which nothing waits.
    """
    used = limit - remaining
    if resets_in_s is None or used <= 0:
        return limit / WINDOW_S
    return used / resets_in_s
