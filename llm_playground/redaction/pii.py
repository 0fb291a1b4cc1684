"""Personal data in text: e-mail addresses, phone numbers and payment card numbers."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal

MASK = "[redacted]"
Kind = Literal["email", "phone", "card"]
Span = tuple[int, int]

# 13 to 19 digits (ISO/IEC 7812), plain or in the groups printed on cards; not inside a word or a
# longer number.
_CARD = re.compile(
    r"[2-6](?<![A-Za-z0-9_][2-6])(?<!\d[.,-][2-6])\d{3}"
    r"(?:([ -])\d{4}\1\d{4}\1\d{4}(?:\1\d{3})?|([ -])\d{6}\2\d{4,5}|\d{9,15})"
    r"(?![A-Za-z0-9_]|[.,-]\d)"
)
_MANY_DIGITS = re.compile(r"\d(?:[ -]?\d){12}")
_DIGITS_ONLY = bytes(ord("0") if chr(byte).isdigit() and byte < 128 else 32 for byte in range(256))
# Issuers' first digits with the lengths of their numbers: Visa; Mastercard; American Express;
# Diners Club; Discover; JCB; UnionPay.
_ISSUERS = re.compile(
    r"4(?:\d{12}|\d{15}|\d{18})|5[1-5]\d{14}|2(?:22[1-9]|2[3-9]\d|[3-6]\d\d|7[01]\d|720)\d{12}"
    r"|3[47]\d{13}|3(?:0[0-5]|[689]\d)\d{11}|6(?:011|4[4-9]\d|5\d\d)\d{12,15}"
    r"|35(?:2[89]|[3-8]\d)\d{12}|62\d{14,17}"
)
_AT = re.compile(r"@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}\b")
_LOCAL_PART = re.compile(r"[A-Za-z0-9._%+-]{1,64}\Z")
_LONGEST_LOCAL_PART = 64
# With a country code (ITU-T E.164: up to 15 digits), as in North America, or with a leading 0 as
# in most other countries, in groups or with at least eight digits. Dates such as 01.02.2026 are
# excluded.
_PHONE = re.compile(
    r"(?<![\w+.,/-])(?:"
    r"(?:\+|00)[1-9](?:[ ().\-/]{0,2}\d){6,14}"
    r"|\(?[2-9]\d{2}\)?[ .-]\d{3}[ .-]\d{4}"
    r"|(?!\d{1,2}([./-])\d{1,2}\1\d{2,4}(?!\d))"
    r"\(?0[1-9]\d{0,4}\)?(?:[ ./-]{1,2}\d{2,8}){1,5}(?:-\d)?"
    r"|0[1-9]\d{7,10}"
    r")(?![\w]|[.,]\d)"
)
# Text up to the last space that cannot be inside an address or a number, since no digit is next to
# it.
_TO_LAST_BREAK = re.compile(r".*[^\s\d().+/-](?=\s+[^\s\d(+])", re.DOTALL)


def emails(text: str) -> Iterator[Span]:
    """Start and end of each e-mail address.

    >>> list(emails("to ada@example.org."))
    [(3, 18)]
    """
    if "@" not in text:
        return
    for match in _AT.finditer(text):
        start = max(0, match.start() - _LONGEST_LOCAL_PART)
        local = _LOCAL_PART.search(text[start : match.start()])
        if local:
            yield start + local.start(), match.end()


def phones(text: str) -> Iterator[Span]:
    """Start and end of each phone number with separators, a country code or a leading 0.

    >>> list(phones("call +49 30 901820 by 01.02.2026"))
    [(5, 18)]
    """
    return (match.span() for match in _PHONE.finditer(text))


def may_have_card(text: str) -> bool:
    r"""Whether a text may have a card number, also right after a character; False is certain.

    >>> may_have_card(r"\n4111 1111 1111 1111"), may_have_card("since 20250929")
    (True, False)
    """
    digits = text.encode("utf-8", "replace").translate(_DIGITS_ONLY)
    return b"0000" in digits and _MANY_DIGITS.search(text) is not None


def cards(text: str) -> Iterator[Span]:
    """Start and end of each payment card number, checked by issuer and check digit.

    >>> list(cards("it is 4111 1111 1111 1111."))
    [(6, 25)]
    """
    # Every card number has four consecutive digits; this check costs a sixth of the search.
    if b"0000" not in text.encode("utf-8", "replace").translate(_DIGITS_ONLY):
        return
    match = _CARD.search(text)
    while match:
        digits = re.sub(r"\D", "", match[0])
        is_card = _ISSUERS.fullmatch(digits) is not None and _luhn(digits) % 10 == 0
        if is_card:
            yield match.span()
        # The first digits of a false match may belong to another number before the card number.
        match = _CARD.search(text, match.end() if is_card else match.start() + 1)


SEARCHES: dict[Kind, Callable[[str], Iterator[Span]]] = {
    "email": emails,
    "phone": phones,
    "card": cards,
}


def masked(text: str, kinds: Iterable[Kind]) -> str:
    """Replace personal data of some kinds with ``[redacted]``.

    >>> masked("ada@example.org or 202-555-0143", ["email", "phone"])
    '[redacted] or [redacted]'
    """
    spans = sorted(span for kind in kinds for span in SEARCHES[kind](text))
    pieces, end = [], 0
    for start, stop in spans:
        if start >= end:
            pieces += [text[end:start], MASK]
        end = max(end, stop)
    return "".join([*pieces, text[end:]])


def masked_json(value: object, kinds: Sequence[Kind]) -> Any:  # noqa: ANN401 - a JSON value is any of six types
    """A JSON value with personal data masked in its texts and names.

    >>> masked_json({"ask": ["ada@example.org", 1]}, ["email"])
    {'ask': ['[redacted]', 1]}
    """
    if isinstance(value, str):
        return masked(value, kinds)
    if isinstance(value, Mapping):
        return {masked(str(name), kinds): masked_json(item, kinds) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [masked_json(item, kinds) for item in value]
    return value


def settled(text: str) -> int:
    """Number of leading characters that cannot become part of personal data, whatever follows.

    >>> settled("write to ada"), settled("call 4111 1111 ")
    (8, 0)
    """
    match = _TO_LAST_BREAK.match(text)
    return match.end() if match else 0


def _luhn(digits: str) -> int:
    """The sum that is a multiple of ten for a valid number (ISO/IEC 7812-1, annex B).

    >>> _luhn("4111111111111111") % 10
    0
    """
    numbers = [int(digit) for digit in reversed(digits)]
    doubled = (sum(divmod(2 * number, 10)) for number in numbers[1::2])
    return sum(numbers[::2]) + sum(doubled)
