"""Recognises an answer that only repeats itself, as small models do until their limit of tokens."""

from __future__ import annotations

from collections import deque

_FEWEST_CHARS = 600  # that repeat
_FEWEST_TIMES = 20
_LONGEST_PERIOD = 400
_WINDOW_CHARS = _LONGEST_PERIOD * _FEWEST_TIMES
_CHECK_EVERY_CHARS = 256
_SIGN_CHARS = 32  # at the end, whose last occurrence gives the period


class Repetition:
    """Watches the text of one answer.

    >>> watch = Repetition()
    >>> watch.add("The answer is yes. " * 100)
    True
    """

    def __init__(self) -> None:
        self._pieces: deque[str] = deque()
        self._kept_chars = self._unchecked_chars = 0

    def add(self, text: str) -> bool:
        """Add a delta; whether the text has come to repeat itself."""
        self._pieces.append(text)
        self._kept_chars += len(text)
        self._unchecked_chars += len(text)
        if self._unchecked_chars < _CHECK_EVERY_CHARS:
            return False
        self._unchecked_chars = 0
        while self._kept_chars - len(self._pieces[0]) >= _WINDOW_CHARS:
            self._kept_chars -= len(self._pieces.popleft())
        return ends_in_a_loop("".join(self._pieces))


def ends_in_a_loop(text: str) -> bool:
    """Whether a text ends in the same words 20 times or more, in 600 characters or more.

    Rules, rows of a table and columns of numbers differ from line to line, or hold no words.

    >>> ends_in_a_loop("Yes, it is. " * 60), ends_in_a_loop("-" * 1_000)
    (True, False)
    """
    sign = text[-_SIGN_CHARS:]
    before = text.rfind(sign, 0, len(text) - 1)
    period = len(text) - len(sign) - before
    if before < 0 or period > _LONGEST_PERIOD:
        return False
    length = max(_FEWEST_CHARS, _FEWEST_TIMES * period)
    end = text[-length - period :]
    if len(end) < length + period or end[period:] != end[:-period]:
        return False
    return any(char.isalpha() for char in end[:period])
