r"""The numbers of a text, however they are written: ``1,200``, ``1200``, ``1 200.0``, ``4 %``.

Digits of all scripts count. A run of digits and separators is read as follows: groups of three
digits after the first are thousands, and the last separator is that of the decimals if it differs
from those before. A single point is that of the decimals, a single comma before three digits
separates thousands. Where a number of the same text shows that decimals follow a comma (``3,5``,
``1.204,50``), a single point before three digits separates thousands. All other runs are several
numbers: dates, versions, lists without spaces such as ``1,2,3`` and ``[1,200]``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

_POINTS, _COMMAS = ".\u066b", ","
_THOUSANDS = "'\u2019\u00a0\u202f\u2009_\u066c"  # never before decimals
_MARK = f"[{_POINTS}{_COMMAS}{_THOUSANDS}]"
_SEPARATOR = re.compile(_MARK)
# A run begins with its sign, which letters, digits and closing brackets make a hyphen.
_RUN = re.compile(
    r"(?P<sign>(?<![\w)\]}%.])[-+\u2212\uff0d](?:(?=[$€£¥]?\.?\d)[$€£¥]?))?"
    rf"(?P<digits>(?:(?<![\w.])\.(?=\d+(?!{_MARK}\d)))?\d+(?:{_MARK}\d+)*)"
    r"(?P<exponent>[eE][-+\u2212]?\d{1,3}(?!\w))?"
    r"(?P<percent>[ \u00a0\u202f]?(?:[%\uff05\u066a]|per ?cent\b))?"
)
_MINUS = frozenset("-\u2212\uff0d")


@dataclass(frozen=True, slots=True)
class Number:
    """A number of a text.

    Attributes:
        start: Where it begins in the text, with its sign.
        end: Where it ends, with its percent sign.
        plain: As Python writes it, without thousands separators: ``-1200.50``.
        is_percent: Whether it is followed by a percent sign or "percent".
    """

    start: int
    end: int
    plain: str
    is_percent: bool

    @property
    def value(self) -> Decimal:
        """The number; that before the percent sign."""
        return Decimal(self.plain)


def numbers_in(text: str) -> list[Number]:
    """The numbers of a text, in its order.

    >>> [one.plain for one in numbers_in("1,204 of 3.5, -$4 and 1 204 on 2026-03-31")]
    ['1204', '3.5', '-4', '1', '204', '2026', '03', '31']
    >>> [one.plain for one in numbers_in("1.204 and 3,5")], numbers_in("rose 4 %")[0].is_percent
    (['1204', '3.5'], True)
    """
    runs = list(_RUN.finditer(text))
    comma_first = any(_shows_decimal_comma(run["digits"]) for run in runs if not _is_list(run))
    return [number for run in runs for number in _numbers_of(run, comma_first)]


def number_key(numbers: Sequence[Number]) -> tuple[tuple[Decimal, bool], ...]:
    """What is equal for the same numbers: their values, and which are percentages.

    >>> number_key(numbers_in("1,200 of 4 %")) == number_key(numbers_in("1200.0 (4%)"))
    True
    """
    return tuple((number.value, number.is_percent) for number in numbers)


def _numbers_of(run: re.Match[str], comma_first: bool) -> Iterator[Number]:
    """The numbers of a run; its sign belongs to the first, exponent and percent to the last."""
    at = run.start("digits")
    lists = run["digits"].split(",") if _is_list(run) else [run["digits"]]
    pieces = [piece for part in lists for piece in _pieces(part, comma_first)]
    for number, (length, plain) in enumerate(pieces):
        is_first, is_last = number == 0, number == len(pieces) - 1
        start, end = at, at + length
        if is_first:
            start = run.start()
            plain = f"-{plain}" if (run["sign"] or "+")[0] in _MINUS else plain
        if is_last:
            end = run.end()
            plain += (run["exponent"] or "").replace("\u2212", "-").lower()
        yield Number(start, end, plain, is_last and run["percent"] is not None)
        at += length + 1


def _is_list(run: re.Match[str]) -> bool:
    """Whether a run is all of a list without spaces, such as ``[1,2]``, as in compact JSON."""
    return run.string[run.start() - 1 : run.start()] == "[" and run.string.startswith(
        "]", run.end()
    )


def _pieces(digits: str, comma_first: bool) -> list[tuple[int, str]]:
    """The numbers of a run of digits and separators: the length of each, and it as Python does."""
    plain = _plain(digits, comma_first)
    if plain is not None:
        return [(len(digits), plain)]
    marks = set(_SEPARATOR.findall(digits))
    apart = next((mark for mark in _COMMAS if mark in marks and len(marks) > 1), None)
    if apart is not None:  # "1.5,2.5"
        return [piece for part in digits.split(apart) for piece in _pieces(part, comma_first)]
    return [(len(part), _ascii(part)) for part in _SEPARATOR.split(digits)]


def _plain(digits: str, comma_first: bool) -> str | None:
    """One number of a run of digits and separators; None if it is no single number."""
    groups, marks = _SEPARATOR.split(digits), _SEPARATOR.findall(digits)
    if not marks:
        return _ascii(digits)
    whole, decimals = groups, ""
    if _decimals_follow(groups, marks, comma_first):
        whole, decimals, marks = groups[:-1], f".{_ascii(groups[-1])}", marks[:-1]
    if marks and not _are_thousands(whole, marks):
        return None
    return (_ascii("".join(whole)) or "0") + decimals


def _decimals_follow(groups: list[str], marks: list[str], comma_first: bool) -> bool:
    """Whether the last separator is that of the decimals."""
    if marks[-1] in _THOUSANDS:
        return False
    if len(marks) > 1:
        return marks[-1] not in marks[:-1]
    if not _are_thousands(groups, marks):
        return True
    return marks[0] in _POINTS and not comma_first


def _are_thousands(groups: list[str], marks: list[str]) -> bool:
    is_first = 0 < len(groups[0]) <= 3 and _ascii(groups[0])[0] != "0"
    return is_first and len({*marks}) == 1 and all(len(group) == 3 for group in groups[1:])


def _shows_decimal_comma(digits: str) -> bool:
    """Whether a run can only be read with a decimal comma, such as ``3,5`` and ``1.204,50``."""
    groups, marks = _SEPARATOR.split(digits), _SEPARATOR.findall(digits)
    if not marks:
        return False
    if len(marks) > 1 and marks[-1] not in marks[:-1]:
        return marks[-1] == "," and _are_thousands(groups[:-1], marks[:-1])
    if len(marks) > 1:
        return marks[0] == "." and _are_thousands(groups, marks)
    return marks[0] == "," and not _are_thousands(groups, marks)


def _ascii(digits: str) -> str:
    """Digits of any script as 0 to 9."""
    return digits if digits.isascii() else "".join(str(int(digit)) for digit in digits)
