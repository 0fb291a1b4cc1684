"""A client whose time of day is wrong: ``python -m tests.budgeting.wrong_clock SECONDS ROLE``.

Times that C code asks for stay right, as on a server.
"""

import datetime
import runpy
import sys
import time


class _AnyDatetime(type):
    def __instancecheck__(cls, value):
        return isinstance(value, _REAL)


_REAL, _time, _time_ns = datetime.datetime, time.time, time.time_ns


def shift(seconds):
    """Shift the clock of this process, for modules that are imported later."""

    class Shifted(_REAL, metaclass=_AnyDatetime):
        @classmethod
        def now(cls, tz=None):
            return _REAL.now(tz) + datetime.timedelta(seconds=seconds)

    datetime.datetime = Shifted
    time.time = lambda: _time() + seconds
    time.time_ns = lambda: _time_ns() + int(seconds * 1e9)


if __name__ == "__main__":
    shift(float(sys.argv.pop(1)))
    runpy.run_module("tests.budgeting.client", run_name="__main__")
