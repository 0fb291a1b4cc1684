r"""Characters that control a terminal or hide text, written visibly.

An answer, a provider's error or the name of a file may contain escape sequences that clear the
screen or write to the clipboard, a carriage return that overwrites a line, or marks that reverse
the order of letters (https://trojansource.codes). :func:`printable` is for what this package
prints, raises and shows as plain text; the run and its log keep the text as it is.
"""

from __future__ import annotations

import re

_ZERO_WIDTH = "\u200b\u2060-\u2064\ufeff"
# Zero-width characters separate words in Khmer and Thai; within a name in ASCII they deceive.
_CONTROLS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
    f"|(?<=[!-~])[{_ZERO_WIDTH}]|[{_ZERO_WIDTH}](?=[!-~])"
)


def printable(text: str) -> str:
    r"""The text with its control characters as visible ones; tabs and line breaks stay.

    >>> printable("\x1b[31mred\x07\r\nabc\u202ecba")
    '␛[31mred␇\nabc\\u202ecba'
    """
    if text.isascii() and text.isprintable():
        return text
    return _CONTROLS.sub(_visible, text.replace("\r\n", "\n"))


def _visible(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code < 0x20:
        return chr(0x2400 + code)  # its picture, such as ␛
    if code == 0x7F:
        return "\N{SYMBOL FOR DELETE}"
    is_surrogate = 0xD800 <= code <= 0xDFFF
    return "\N{REPLACEMENT CHARACTER}" if is_surrogate else f"\\u{code:04x}"
