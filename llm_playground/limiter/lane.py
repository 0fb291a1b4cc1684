"""One model's place in the queue: who waits for it, and what its provider's limits allow."""

from __future__ import annotations

import asyncio
import math
from collections import OrderedDict
from dataclasses import dataclass, field

from llm_playground.events import Responded
from llm_playground.limiter.bucket import EASED, Bucket, learned, ready_at, spent

# Who has let so many others go first counts as one priority higher.
PATIENCE = 8


def rank(priority: int, passed: int) -> int:
    """The priority of who has let ``passed`` others go first.

    >>> rank(2, passed=7), rank(2, passed=8), rank(2, passed=100)
    (2, 1, 0)
    """
    return max(0, priority - passed // PATIENCE)


@dataclass(slots=True, eq=False)
class Waiter:
    """A call that waits. ``number`` counts arrivals; ``granted`` is done when it may be sent."""

    tokens: int
    number: int
    granted: asyncio.Future[None]


@dataclass(slots=True, eq=False)
class Line:
    """Who waits for one model with one priority, in the order of arrival.

    Args:
        priority: Lower goes first.
        turn: How many calls its model had sent when the line formed or was last served.
        tokens: The sum over those who wait.
    """

    priority: int
    turn: int
    waiters: OrderedDict[Waiter, None] = field(default_factory=OrderedDict)
    tokens: int = 0

    @property
    def head(self) -> Waiter:
        """Who is next."""
        return next(iter(self.waiters))


@dataclass(slots=True, eq=False)
class Share:
    """What one provider has under way, and its models with calls waiting."""

    provider: str
    in_flight: int = 0
    turn: int = 0
    lanes: dict[str, Lane] = field(default_factory=dict)
    queueing: dict[str, Lane] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class Lane:
    """One model. Providers count requests and tokens per model."""

    model: str
    share: Share
    requests: Bucket | None = None
    tokens: Bucket | None = None
    held_until: float = 0.0
    sent: int = 0
    in_flight: int = 0
    in_flight_tokens: int = 0
    unheard: int = 0
    lines: dict[int, Line] = field(default_factory=dict)

    def first_line(self) -> tuple[int, Line]:
        """The line whose head is next, with its rank in this lane. Somebody must wait.

        Of one rank the lower priority is first: it has waited for that.
        """
        ranked = (
            (rank(line.priority, self.sent - line.turn), line) for line in self.lines.values()
        )
        return min(ranked, key=lambda pair: (pair[0], -pair[1].priority))

    def ready_at(self, tokens: int, at_once: int, now: float) -> float:
        """When a call may be sent: ``now``, a later time, or infinity while others must end first.

        Args:
            tokens: What the call takes. More than the limit is sent when the bucket is full: what
                then happens is the provider's to say.
            at_once: How many may be under way at its provider.
            now: The time.
        """
        at = max(now, self.held_until)
        if self.requests is not None:
            at = max(at, ready_at(self.requests, 1, now))
        if self.tokens is not None:
            at = max(at, ready_at(self.tokens, min(tokens, self.tokens.limit), now))
        return max(at, self._low_until()) if self.is_full(at_once, now) else at

    def is_full(self, at_once: int, now: float) -> bool:
        """Whether it has all the calls under way that it may while little remains."""
        return self.in_flight >= max(1, int(at_once * EASED)) and self._low_until() > now

    def send(self, tokens: int, now: float) -> None:
        """A call goes out."""
        self.sent += 1
        self.in_flight += 1
        self.in_flight_tokens += tokens
        self.unheard += 1
        self._spend(1, tokens, now)

    def end(self, tokens: int) -> None:
        """A call has ended."""
        self.in_flight -= 1
        self.in_flight_tokens -= tokens
        self.unheard = min(self.unheard, self.in_flight)

    def take_back(self, tokens: int, now: float) -> None:
        """A call that might have gone out never did."""
        self._spend(-1, -tokens, now)

    def learn(self, responded: Responded, now: float) -> None:
        """The provider has begun to answer a call, and said what remains."""
        self.unheard = max(0, self.unheard - 1)
        unheard_tokens = self.in_flight_tokens * self.unheard / max(1, self.in_flight)
        self.requests = learned(self.requests, responded.requests, self.unheard, now)
        self.tokens = learned(self.tokens, responded.tokens, unheard_tokens, now)

    def forget_limits(self) -> None:
        """As if its provider had said nothing yet."""
        self.requests, self.tokens, self.held_until = None, None, 0.0

    def is_blank(self) -> bool:
        """Whether it could as well be made anew: no call, nothing learned, never held."""
        return not (
            self.in_flight or self.lines or self.requests or self.tokens or self.held_until > 0
        )

    def cleared_at(self, tokens: int, priority: int, now: float) -> float:
        """When rate limits let a new call go, after those who wait and are not behind it."""
        ahead = [line for line in self.lines.values() if line.priority <= priority]
        costs = (
            (self.requests, 1 + sum(len(line.waiters) for line in ahead)),
            (self.tokens, tokens + sum(line.tokens for line in ahead)),
        )
        ready = (ready_at(bucket, cost, now) for bucket, cost in costs if bucket is not None)
        return max(now, self.held_until, *ready)

    def _low_until(self) -> float:
        buckets = (self.requests, self.tokens)
        return max((bucket.low_until for bucket in buckets if bucket), default=-math.inf)

    def _spend(self, requests: int, tokens: int, now: float) -> None:
        if self.requests is not None:
            self.requests = spent(self.requests, requests, now)
        if self.tokens is not None:
            self.tokens = spent(self.tokens, tokens, now)
