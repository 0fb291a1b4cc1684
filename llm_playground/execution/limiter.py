"""The limiter: when a call may be sent, and which of the waiting calls goes next.

Concurrency is limited per provider and in total; requests and tokens per minute are limited per
model, as the vendors do it. Rate limits are learned from response headers (``token_bucket``); until
the first response there are none. When less than 20 % of a limit remains, other clients use the
same key: until its reset, or until a header shows more, a model then sends half as many calls at
once and uses half of what remains and is refilled.

Priorities are 0 where a person waits, 1 for a script, 2 for batches; lower goes first. A queue that
has let eight others go first counts as one priority higher until one of its own calls is sent, so
that no call waits for ever: under full load one slot in nine goes to scripts, one in seventeen to
batches. Calls in flight are never interrupted.

Each event loop has its own limiter, used on its thread; only :func:`wake` is thread-safe.
"""

from __future__ import annotations

import asyncio
import math
import threading
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from weakref import WeakKeyDictionary

from llm_playground import _lifecycle, config
from llm_playground.events import Responded
from llm_playground.execution.token_bucket import EASED, Bucket, learned, ready_at, spent

# A queue counts as one priority higher after so many calls of others were sent first.
PATIENCE = 8
# How many calls are in flight at once by default; vendors allow far more than one person needs.
AT_ONCE = 32
AT_ONCE_IN_TOTAL = 256
# The embedded server answers four calls at a time, whatever is configured.
AT_MOST = {"local": 4}


@asynccontextmanager
async def slot(model: str, *, tokens: int, priority: int) -> AsyncIterator[None]:
    """Entered when the call may be sent, left when it has ended.

    Args:
        model: As ``provider:name``.
        tokens: The input and the expected output of the call.
        priority: 0 for a waiting person, 1 for a script, 2 for batches.

    Raises:
        asyncio.CancelledError: On entering, when the task was cancelled; it then holds no slot.

    >>> async def send():
    ...     async with slot("openai:gpt-4o", tokens=100, priority=0):
    ...         return "sent"
    >>> asyncio.run(send())
    'sent'
    """
    tokens, scheduler = max(0, tokens), _of_running_loop()
    lane = scheduler.lane(model)
    if not scheduler.try_send(lane, tokens, priority):
        await scheduler.wait_to_send(lane, tokens, priority)
    try:
        yield
    finally:
        scheduler.end(lane, tokens)


def learn(model: str, responded: Responded) -> None:
    """Update a model's limits from response headers; called once for each answered call."""
    with _of_running_loop().changing(model) as lane:
        lane.learn(responded, asyncio.get_running_loop().time())


def hold(model: str, for_s: float) -> None:
    """Send no call of a model for ``for_s`` seconds, as its provider asked with a 429.

    A longer hold in force remains.
    """
    if for_s > 0:
        lane = _of_running_loop().lane(model)
        lane.held_until = max(lane.held_until, asyncio.get_running_loop().time() + for_s)


def release(model: str) -> None:
    """Forget the limits of a model and end a hold, because a person wants to try at once."""
    with _of_running_loop().changing(model) as lane:
        lane.requests, lane.tokens, lane.held_until = None, None, 0.0


def expected_wait_s(model: str, *, tokens: int = 0, priority: int = 0) -> float | None:
    """How long a call would wait now, in seconds.

    Returns:
        The wait for rate limits and holds, with the calls that go first; 0.0 when it could be sent
        at once; None when it depends on the end of other calls.
    """
    return _of_running_loop().expected_wait_s(model, max(0, tokens), priority)


def wake() -> None:
    """Apply a changed concurrency to waiting calls of all loops. Thread-safe."""
    with _lock:
        schedulers = list(_schedulers.items())
    for loop, scheduler in schedulers:
        with suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(scheduler.schedule_soon)


@dataclass(slots=True, eq=False)
class Waiter:
    """A waiting call. ``number`` counts arrivals; ``granted`` is done when it may be sent."""

    tokens: int
    number: int
    granted: asyncio.Future[None]


@dataclass(slots=True, eq=False)
class Queue:
    """The calls of one model and one priority that wait, in the order of arrival.

    ``turn`` is how many calls the model had sent when the queue was created or last served,
    ``tokens`` the sum over the waiting calls.
    """

    priority: int
    turn: int
    waiters: OrderedDict[Waiter, None] = field(default_factory=OrderedDict)
    tokens: int = 0

    @property
    def head(self) -> Waiter:
        return next(iter(self.waiters))


@dataclass(slots=True, eq=False)
class ProviderLoad:
    """The calls of one provider in flight, its models, and those with waiting calls."""

    provider: str
    in_flight: int = 0
    turn: int = 0
    lanes: dict[str, Lane] = field(default_factory=dict)
    waiting: dict[str, Lane] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class Lane:
    """One model: its limits, its calls in flight, and its queues by priority."""

    model: str
    load: ProviderLoad
    requests: Bucket | None = None
    tokens: Bucket | None = None
    held_until: float = 0.0
    sent: int = 0
    in_flight: int = 0
    in_flight_tokens: int = 0
    unanswered: int = 0
    queues: dict[int, Queue] = field(default_factory=dict)

    def first_queue(self) -> tuple[int, Queue]:
        """The queue that goes next, with its rank in this lane; requires a waiting call.

        Of equal ranks the lower priority goes first: it has waited for its rank.
        """
        ranked = (
            (rank(queue.priority, self.sent - queue.turn), queue) for queue in self.queues.values()
        )
        return min(ranked, key=lambda pair: (pair[0], -pair[1].priority))

    def ready_at(self, tokens: int, at_once: int, now: float) -> float:
        """When a call may be sent: ``now``, later, or infinity while other calls must end first.

        A call above the limit of tokens is sent when the bucket is full, and the provider decides
        about it. ``at_once`` is how many calls may be in flight at its provider.
        """
        at = max(now, self.held_until)
        if self.requests is not None:
            at = max(at, ready_at(self.requests, 1, now))
        if self.tokens is not None:
            at = max(at, ready_at(self.tokens, min(tokens, self.tokens.limit), now))
        return max(at, self._low_until()) if self.is_full(at_once, now) else at

    def is_full(self, at_once: int, now: float) -> bool:
        """Whether it has as many calls in flight as are allowed while a limit is low."""
        return self.in_flight >= max(1, int(at_once * EASED)) and self._low_until() > now

    def send(self, tokens: int, now: float) -> None:
        self.sent += 1
        self.in_flight += 1
        self.in_flight_tokens += tokens
        self.unanswered += 1
        self.spend(1, tokens, now)

    def end(self, tokens: int) -> None:
        self.in_flight -= 1
        self.in_flight_tokens -= tokens
        self.unanswered = min(self.unanswered, self.in_flight)

    def spend(self, requests: int, tokens: int, now: float) -> None:
        """Take from the buckets; negative numbers return what was not sent."""
        if self.requests is not None:
            self.requests = spent(self.requests, requests, now)
        if self.tokens is not None:
            self.tokens = spent(self.tokens, tokens, now)

    def learn(self, responded: Responded, now: float) -> None:
        self.unanswered = max(0, self.unanswered - 1)
        unanswered_tokens = self.in_flight_tokens * self.unanswered / max(1, self.in_flight)
        if responded.requests is not None:
            self.requests = learned(self.requests, responded.requests, self.unanswered, now)
        if responded.tokens is not None:
            self.tokens = learned(self.tokens, responded.tokens, unanswered_tokens, now)

    def is_unused(self) -> bool:
        """Whether it equals a new one: no calls, no limits, never held."""
        return not (
            self.in_flight or self.queues or self.requests or self.tokens or self.held_until > 0
        )

    def cleared_at(self, tokens: int, priority: int, now: float) -> float:
        """When rate limits allow a new call, after the calls that go first."""
        ahead = [queue for queue in self.queues.values() if queue.priority <= priority]
        costs = (
            (self.requests, 1 + sum(len(queue.waiters) for queue in ahead)),
            (self.tokens, tokens + sum(queue.tokens for queue in ahead)),
        )
        ready = (ready_at(bucket, cost, now) for bucket, cost in costs if bucket is not None)
        return max(now, self.held_until, *ready)

    def _low_until(self) -> float:
        buckets = (self.requests, self.tokens)
        return max((bucket.low_until for bucket in buckets if bucket), default=-math.inf)


class Scheduler:
    """The calls in flight and the waiting calls of one event loop.

    A slot goes to the lowest rank, which is the priority, lowered for queues that have let many
    others go first: within their model, or all queues of that priority together. Among equals it
    goes to the provider with the fewest calls in flight, so that a slow one does not occupy all
    slots, then to the provider served longest ago; within a provider to the earliest arrival. Full
    providers and models without remaining limit are skipped until they can send again.

    Waiting calls that could be sent are sent: every change that may allow one calls
    :meth:`schedule_soon`, and a timer is set for the next change that comes with time alone.
    """

    def __init__(self) -> None:
        self._loads: dict[str, ProviderLoad] = {}
        self._queueing: dict[str, ProviderLoad] = {}
        self._in_flight = 0
        self._waiting = 0
        self._sent = 0
        self._turns: dict[int, int] = {}  # by priority, the number of the last call sent
        self._numbers = count()
        self._scheduled = False
        self._timer: asyncio.TimerHandle | None = None

    def lane(self, model: str) -> Lane:
        """The lane of a model, created on first use."""
        provider = model.partition(":")[0]
        load = self._loads.get(provider)
        if load is None:
            load = self._loads[provider] = ProviderLoad(provider)
        lane = load.lanes.get(model)
        if lane is None:
            lane = load.lanes[model] = Lane(model, load)
        return lane

    def try_send(self, lane: Lane, tokens: int, priority: int) -> bool:
        """Take a slot if one is free and no call waits."""
        if self._waiting or not self._has_slot(lane.load):
            return False
        now = asyncio.get_running_loop().time()
        if lane.ready_at(tokens, at_once(lane.load.provider), now) > now:
            return False
        self._send(lane, tokens, priority, now)
        return True

    async def wait_to_send(self, lane: Lane, tokens: int, priority: int) -> None:
        """Wait for a slot, and take it.

        Raises:
            asyncio.CancelledError: The task was cancelled. Its place in the queue, or the slot that
                was granted in the same moment, goes to another call.
        """
        granted = asyncio.get_running_loop().create_future()
        waiter = Waiter(tokens, next(self._numbers), granted)
        self._enqueue(lane, waiter, priority)
        try:
            await granted
        except asyncio.CancelledError:
            if granted.done() and not granted.cancelled():
                lane.spend(-1, -tokens, asyncio.get_running_loop().time())
                self.end(lane, tokens)
            else:
                self._dequeue(lane, waiter, priority)
            raise

    def end(self, lane: Lane, tokens: int) -> None:
        """Return a slot."""
        self._in_flight -= 1
        lane.load.in_flight -= 1
        lane.end(tokens)
        self._remove_if_unused(lane)
        self.schedule_soon()

    @contextmanager
    def changing(self, model: str) -> Iterator[Lane]:
        """A model's lane, of which the block changes the limits."""
        lane = self.lane(model)
        yield lane
        self._remove_if_unused(lane)
        self.schedule_soon()

    def expected_wait_s(self, model: str, tokens: int, priority: int) -> float | None:
        """As :func:`expected_wait_s`."""
        now = asyncio.get_running_loop().time()
        lane = self.lane(model)
        wait_s = lane.cleared_at(tokens, priority, now) - now
        full = lane.is_full(at_once(lane.load.provider), now)
        is_next = not lane.queues and self._has_slot(lane.load) and not full
        self._remove_if_unused(lane)
        return wait_s if wait_s > 0 or is_next else None

    def schedule_soon(self) -> None:
        """Send waiting calls at the end of this iteration of the loop.

        Not at once: the caller that returns a slot may be about to hold the model.
        """
        if self._waiting and not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._schedule)

    def _schedule(self) -> None:
        self._scheduled = False
        now = asyncio.get_running_loop().time()
        while self._waiting and self._in_flight < at_once_in_total():
            chosen, next_at = self._next(now)
            if chosen is None:
                self._set_timer(next_at)
                return
            self._grant(*chosen, now)
        self._set_timer(math.inf)

    def _next(self, now: float) -> tuple[tuple[Lane, Queue] | None, float]:
        """The queue to serve next; if there is none, None and when time alone will allow one."""
        best: tuple[Lane, Queue] | None = None
        best_order: tuple[float, ...] = (math.inf,)
        next_at = math.inf
        for load in self._queueing.values():
            most = at_once(load.provider)
            if load.in_flight >= most:
                continue
            for lane in load.waiting.values():
                lane_rank, queue = lane.first_queue()
                ready_at = lane.ready_at(queue.head.tokens, most, now)
                if ready_at > now:
                    next_at = min(next_at, ready_at)
                    continue
                order = self._order(lane_rank, queue, load)
                if order < best_order:
                    best, best_order = (lane, queue), order
        return best, next_at

    def _order(self, lane_rank: int, queue: Queue, load: ProviderLoad) -> tuple[int, ...]:
        passed = self._sent - self._turns.get(queue.priority, 0)
        lowest = min(lane_rank, rank(queue.priority, passed))
        return lowest, -queue.priority, load.in_flight, load.turn, queue.head.number

    def _grant(self, lane: Lane, queue: Queue, now: float) -> None:
        waiter = queue.head
        self._dequeue(lane, waiter, queue.priority)
        if waiter.granted.done():  # cancelled in this iteration of the loop
            return
        self._send(lane, waiter.tokens, queue.priority, now)
        queue.turn = lane.sent
        waiter.granted.set_result(None)

    def _send(self, lane: Lane, tokens: int, priority: int, now: float) -> None:
        self._sent += 1
        lane.load.turn = self._turns[priority] = self._sent
        self._in_flight += 1
        lane.load.in_flight += 1
        lane.send(tokens, now)

    def _has_slot(self, load: ProviderLoad) -> bool:
        return self._in_flight < at_once_in_total() and load.in_flight < at_once(load.provider)

    def _enqueue(self, lane: Lane, waiter: Waiter, priority: int) -> None:
        queue = lane.queues.get(priority)
        if queue is None:
            queue = lane.queues[priority] = Queue(priority, lane.sent)
        queue.waiters[waiter] = None
        queue.tokens += waiter.tokens
        lane.load.waiting[lane.model] = lane
        self._queueing[lane.load.provider] = lane.load
        self._waiting += 1
        self.schedule_soon()

    def _dequeue(self, lane: Lane, waiter: Waiter, priority: int) -> None:
        """Remove a granted or cancelled call; without effect if it was removed before."""
        queue = lane.queues.get(priority)
        if queue is None or waiter not in queue.waiters:
            return
        del queue.waiters[waiter]
        queue.tokens -= waiter.tokens
        self._waiting -= 1
        if not queue.waiters:
            del lane.queues[priority]
        if not lane.queues:
            del lane.load.waiting[lane.model]
        if not lane.load.waiting:
            del self._queueing[lane.load.provider]
        if not self._waiting:
            self._set_timer(math.inf)
        self.schedule_soon()

    def _set_timer(self, at: float) -> None:
        """Schedule again at a time. Infinity leaves no timer, so a closed loop can be collected."""
        if self._timer is not None:
            if self._timer.when() <= at < math.inf:  # firing early is harmless
                return
            self._timer.cancel()
            self._timer = None
        if at < math.inf:
            self._timer = asyncio.get_running_loop().call_at(at, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self._schedule()

    def _remove_if_unused(self, lane: Lane) -> None:
        if lane.is_unused():
            lane.load.lanes.pop(lane.model, None)


def rank(priority: int, passed: int) -> int:
    """The effective priority of a queue that has let ``passed`` calls of others go first.

    >>> rank(2, passed=7), rank(2, passed=8), rank(2, passed=100)
    (2, 1, 0)
    """
    return max(0, priority - passed // PATIENCE)


def at_once(provider: str) -> int:
    """How many calls may be in flight at a provider."""
    limit = config.settings().concurrency or AT_ONCE
    return min(limit, AT_MOST.get(provider, limit))


def at_once_in_total() -> int:
    """How many calls may be in flight at all providers together."""
    return config.settings().concurrency or AT_ONCE_IN_TOTAL


_schedulers: WeakKeyDictionary[asyncio.AbstractEventLoop, Scheduler] = WeakKeyDictionary()
_lock = threading.Lock()  # loops of several threads are registered here


def _of_running_loop() -> Scheduler:
    loop = asyncio.get_running_loop()
    scheduler = _schedulers.get(loop)
    if scheduler is None:
        with _lock:
            scheduler = _schedulers[loop] = Scheduler()
    return scheduler


def _forget() -> None:
    """A forked child has none of its parent's loops, and no thread that could release the lock."""
    global _schedulers, _lock
    _schedulers, _lock = WeakKeyDictionary(), threading.Lock()


config.on_change("concurrency", wake)
_lifecycle.register(after_fork_in_child=_forget)
