"""What went over the wire for the answers of one Run, while the panel shows them.

Kept in memory alone, in no log and no notebook, and bounded: a thousand answers share what ten may
have each.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from llm_playground.call import Call
from llm_playground.calls import send
from llm_playground.events import ReasoningDelta, Retrying, StreamEvent, TextDelta, ToolCallDelta
from llm_playground.providers import tape
from llm_playground.providers.tape import Tape
from llm_playground.roles import Emit
from llm_playground.types import Request, Run

MOST_BYTES = 32 << 20
_FEWEST_BYTES = 8_192
_BINS = 256
_FIRST_BIN_S = 0.01
_DELTAS = (TextDelta, ReasoningDelta, ToolCallDelta)


@dataclass(slots=True)
class Pulse:
    """When deltas came, in a fixed number of bins that double their width as time goes on.

    >>> pulse = Pulse()
    >>> for at in (1.0, 1.1, 1.5):
    ...     pulse.beat(at)
    >>> pulse.count, round(pulse.longest_gap_s, 1), sum(pulse.bins)
    (3, 0.4, 3)
    """

    count: int = 0
    first_at: float = 0.0
    last_at: float = 0.0
    longest_gap_s: float = 0.0
    bin_s: float = _FIRST_BIN_S
    bins: list[int] = field(default_factory=lambda: [0] * _BINS)

    def beat(self, at: float) -> None:
        """A delta came at ``at``, in seconds that only grow."""
        if self.count:
            self.longest_gap_s = max(self.longest_gap_s, at - self.last_at)
        else:
            self.first_at = at
        self.count += 1
        self.last_at = at
        place = int((at - self.first_at) / self.bin_s)
        while place >= _BINS:
            self._widen()
            place = int((at - self.first_at) / self.bin_s)
        self.bins[place] += 1

    def filled(self) -> Iterator[tuple[float, int]]:
        """Each bin in which deltas came: seconds after the first one, and how many."""
        return ((place * self.bin_s, n) for place, n in enumerate(self.bins) if n)

    def _widen(self) -> None:
        pairs = zip(self.bins[::2], self.bins[1::2], strict=True)
        self.bins = [a + b for a, b in pairs] + [0] * (_BINS // 2)
        self.bin_s *= 2


@dataclass(slots=True)
class Recording:
    """One answer's: what was asked, what went over the wire, when deltas came."""

    request: Request
    tape: Tape
    pulse: Pulse = field(default_factory=Pulse)

    def note(self, event: StreamEvent) -> None:
        """An event of the answer."""
        if isinstance(event, _DELTAS):
            self.pulse.beat(time.perf_counter())
        elif isinstance(event, Retrying):
            self.tape.attempt = event.number


class Recordings:
    """Those of one Run, by the number of the answer.

    Args:
        answers: How many there are.
    """

    def __init__(self, answers: int) -> None:
        self._most = max(_FEWEST_BYTES, min(tape.MOST_BYTES, MOST_BYTES // max(answers, 1)))
        self._of: dict[int, Recording] = {}

    def of(self, number: int) -> Recording | None:
        """What is kept of an answer, None where nothing was sent."""
        return self._of.get(number)

    async def send(self, number: int, call: Call, emit: Emit) -> Run:
        """Make the run of an answer, as :func:`llm_playground.calls.send`, and keep what is sent.

        A second call for a number takes the place of the first.
        """
        recording = self._of[number] = Recording(call.request, Tape(self._most))

        def note_and_emit(event: StreamEvent) -> None:
            recording.note(event)
            emit(event)

        with tape.recording(recording.tape):
            return await send(call, note_and_emit)
