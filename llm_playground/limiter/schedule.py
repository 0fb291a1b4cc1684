"""Who sends next. One per event loop, used on its thread only: no step of it is interrupted."""

from __future__ import annotations

import asyncio
import math
from itertools import count

from llm_playground import config
from llm_playground.events import Responded
from llm_playground.limiter.lane import Lane, Line, Share, Waiter, rank

# How many calls are under way at once. The embedded server answers four at a time, whatever is
# configured; the vendors allow far more than one person needs.
AT_ONCE = 32
AT_ONCE_IN_ALL = 256
AT_MOST = {"local": 4}


class Schedule:
    """The calls under way and the calls waiting.

    A place goes to the lowest rank, which is the priority, lower for who has let many others go
    first: in the same model, or all calls of the priority. Among equals it goes to the provider
    with the fewest calls under way, so that a slow one does not pile up in the places of all, then
    to the one whose last turn is longest ago; within a provider to who came first. A provider that
    is full, and a model whose limits are used up, are passed over until they can send again.

    Nobody who waits could send: every change that may let somebody send is followed by a look at
    the queue in the same round of the loop, and a timer is set for the next change that comes by
    itself.
    """

    def __init__(self) -> None:
        self._shares: dict[str, Share] = {}
        self._queueing: dict[str, Share] = {}
        self._in_flight = 0
        self._waiting = 0
        self._sent = 0
        self._turns: dict[int, int] = {}  # by priority, the number of the last call sent
        self._numbers = count()
        self._looks_soon = False
        self._timer: asyncio.TimerHandle | None = None

    def lane(self, model: str) -> Lane:
        """The model's lane, made when there is none."""
        provider = model.partition(":")[0]
        share = self._shares.get(provider)
        if share is None:
            share = self._shares[provider] = Share(provider)
        lane = share.lanes.get(model)
        if lane is None:
            lane = share.lanes[model] = Lane(model, share)
        return lane

    def try_send(self, lane: Lane, tokens: int, priority: int) -> bool:
        """Take a place when one is free and nobody waits for it."""
        if self._waiting or not self._has_place(lane.share):
            return False
        now = asyncio.get_running_loop().time()
        if lane.ready_at(tokens, at_once(lane.share.provider), now) > now:
            return False
        self._send(lane, tokens, priority, now)
        return True

    async def wait_to_send(self, lane: Lane, tokens: int, priority: int) -> None:
        """Wait for a place, and take it.

        Raises:
            asyncio.CancelledError: The task was cancelled; its place in the queue, or the place it
                was given in the same moment, is somebody else's.
        """
        granted = asyncio.get_running_loop().create_future()
        waiter = Waiter(tokens, next(self._numbers), granted)
        self._queue(lane, waiter, priority)
        try:
            await granted
        except asyncio.CancelledError:
            if granted.done() and not granted.cancelled():
                lane.take_back(tokens, asyncio.get_running_loop().time())
                self.end(lane, tokens)
            else:
                self._leave(lane, waiter, priority)
            raise

    def end(self, lane: Lane, tokens: int) -> None:
        """Give the place back."""
        self._in_flight -= 1
        lane.share.in_flight -= 1
        lane.end(tokens)
        self._forget_if_blank(lane)
        self.look_soon()

    def learn(self, model: str, responded: Responded) -> None:
        """Take in what a provider says of its limits."""
        lane = self.lane(model)
        lane.learn(responded, asyncio.get_running_loop().time())
        self._forget_if_blank(lane)
        self.look_soon()

    def hold(self, model: str, for_s: float) -> None:
        """Let no call of the model start for a while; a longer hold in force stays."""
        lane = self.lane(model)
        lane.held_until = max(lane.held_until, asyncio.get_running_loop().time() + for_s)

    def release(self, model: str) -> None:
        """Forget a model's limits, and that it is held."""
        lane = self.lane(model)
        lane.forget_limits()
        self._forget_if_blank(lane)
        self.look_soon()

    def expected_wait_s(self, model: str, tokens: int, priority: int) -> float | None:
        """As :func:`llm_playground.limiter.expected_wait_s`."""
        now = asyncio.get_running_loop().time()
        lane = self.lane(model)
        wait_s = lane.cleared_at(tokens, priority, now) - now
        full = lane.is_full(at_once(lane.share.provider), now)
        at_the_head = not lane.lines and self._has_place(lane.share) and not full
        self._forget_if_blank(lane)
        return wait_s if wait_s > 0 or at_the_head else None

    def look_soon(self) -> None:
        """See who may send now, once everything of this round of the loop has happened.

        Not at once: whoever frees a place may have to say next that the model is held.
        """
        if self._waiting and not self._looks_soon:
            self._looks_soon = True
            asyncio.get_running_loop().call_soon(self._look)

    def _look(self) -> None:
        self._looks_soon = False
        now = asyncio.get_running_loop().time()
        while self._waiting and self._in_flight < at_once_in_all():
            chosen, next_at = self._next(now)
            if chosen is None:
                self._look_at(next_at)
                return
            self._grant(*chosen, now)
        self._look_at(math.inf)

    def _next(self, now: float) -> tuple[tuple[Lane, Line] | None, float]:
        """Whose turn it is; if nobody's, None, and when time alone will let somebody send."""
        best: tuple[Lane, Line] | None = None
        best_order: tuple[float, ...] = (math.inf,)
        next_at = math.inf
        for share in self._queueing.values():
            most = at_once(share.provider)
            if share.in_flight >= most:
                continue
            for lane in share.queueing.values():
                lane_rank, line = lane.first_line()
                ready_at = lane.ready_at(line.head.tokens, most, now)
                if ready_at > now:
                    next_at = min(next_at, ready_at)
                    continue
                order = self._order(lane_rank, line, share)
                if order < best_order:
                    best, best_order = (lane, line), order
        return best, next_at

    def _order(self, lane_rank: int, line: Line, share: Share) -> tuple[int, ...]:
        passed = self._sent - self._turns.get(line.priority, 0)
        lowest = min(lane_rank, rank(line.priority, passed))
        return lowest, -line.priority, share.in_flight, share.turn, line.head.number

    def _grant(self, lane: Lane, line: Line, now: float) -> None:
        waiter = line.head
        self._leave(lane, waiter, line.priority)
        if waiter.granted.done():  # cancelled in this round of the loop
            return
        self._send(lane, waiter.tokens, line.priority, now)
        line.turn = lane.sent
        waiter.granted.set_result(None)

    def _send(self, lane: Lane, tokens: int, priority: int, now: float) -> None:
        self._sent += 1
        lane.share.turn = self._turns[priority] = self._sent
        self._in_flight += 1
        lane.share.in_flight += 1
        lane.send(tokens, now)

    def _has_place(self, share: Share) -> bool:
        return self._in_flight < at_once_in_all() and share.in_flight < at_once(share.provider)

    def _queue(self, lane: Lane, waiter: Waiter, priority: int) -> None:
        line = lane.lines.get(priority)
        if line is None:
            line = lane.lines[priority] = Line(priority, lane.sent)
        line.waiters[waiter] = None
        line.tokens += waiter.tokens
        lane.share.queueing[lane.model] = lane
        self._queueing[lane.share.provider] = lane.share
        self._waiting += 1
        self.look_soon()

    def _leave(self, lane: Lane, waiter: Waiter, priority: int) -> None:
        """Out of the queue, granted or cancelled; nothing happens to who has left already."""
        line = lane.lines.get(priority)
        if line is None or waiter not in line.waiters:
            return
        del line.waiters[waiter]
        line.tokens -= waiter.tokens
        self._waiting -= 1
        if not line.waiters:
            del lane.lines[priority]
        if not lane.lines:
            del lane.share.queueing[lane.model]
        if not lane.share.queueing:
            del self._queueing[lane.share.provider]
        if not self._waiting:
            self._look_at(math.inf)
        self.look_soon()

    def _look_at(self, at: float) -> None:
        """Look again then. For infinity no timer stays: a loop that ends is then held by nobody."""
        if self._timer is not None:
            if self._timer.when() <= at < math.inf:  # too early is a look more, and harmless
                return
            self._timer.cancel()
            self._timer = None
        if at < math.inf:
            self._timer = asyncio.get_running_loop().call_at(at, self._time_has_come)

    def _time_has_come(self) -> None:
        self._timer = None
        self._look()

    def _forget_if_blank(self, lane: Lane) -> None:
        if lane.is_blank():
            lane.share.lanes.pop(lane.model, None)


def at_once(provider: str) -> int:
    """How many calls may be under way at a provider."""
    figure = config.concurrency() or AT_ONCE
    return min(figure, AT_MOST.get(provider, figure))


def at_once_in_all() -> int:
    """How many calls may be under way at all providers together."""
    return config.concurrency() or AT_ONCE_IN_ALL
