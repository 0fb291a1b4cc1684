"""An event loop whose clock jumps to the next timer: hours pass at once, and to the microsecond."""

import asyncio
import functools
import selectors

MOST_ROUNDS = 1_000_000


class _Jumping(selectors.DefaultSelector):
    def __init__(self, loop):
        super().__init__()
        self.loop = loop
        self.rounds = 0

    def select(self, timeout=None):
        self.rounds += 1
        assert timeout is not None, "everybody waits and nothing will ever happen"
        assert self.rounds < MOST_ROUNDS, "it goes round for ever"
        self.loop.now += max(0.0, timeout)
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    """Without anything to do and without a timer it fails instead of hanging."""

    now = 1000.0

    def __init__(self):
        super().__init__(_Jumping(self))

    def time(self):
        return self.now


def in_virtual_time(test):
    """Makes a coroutine a test that runs on such a loop."""

    @functools.wraps(test)
    def run(*args, **kwargs):
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            return runner.run(test(*args, **kwargs))

    return run
