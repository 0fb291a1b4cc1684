"""Keys never leave: whatever is shown, logged or raised passes through here first."""

from __future__ import annotations

from collections.abc import Iterator

from llm_playground import key_shapes
from llm_playground.key_shapes import Match

MASK = "[redacted]"

_SHORTEST = 8
_FEWEST = 4  # the shortest beginning of a known secret worth holding back inside a word
_known: tuple[str, ...] = ()


def remember(secret: str) -> None:
    """Make ``secret`` a value that :func:`redact` removes wherever it appears.

    Shorter than eight characters it is a placeholder for a server without keys, such as
    ``EMPTY``, and an ordinary word.
    """
    global _known
    if len(secret) >= _SHORTEST and secret not in _known:
        _known = (*_known, secret)  # a new tuple: other threads read the old one meanwhile


def known() -> tuple[str, ...]:
    """Every secret that :func:`remember` was told of."""
    return _known


def redact(text: str) -> str:
    """``text`` without known secrets and without anything that has the shape of a key.

    >>> remember("open sesame")
    >>> redact("the word is open sesame, not Bearer abcdefgh1234")
    'the word is [redacted], not Bearer [redacted]'
    """
    if not key_shapes.suspected(text) and not any(secret in text for secret in _known):
        return text
    return redact_from(text, 0)


def redact_from(text: str, start: int) -> str:
    """``text[start:]``, redacted as the whole text would be; ``start`` is :func:`settled`.

    >>> redact_from("so: Bearer abcdefgh1234", 4)
    'Bearer [redacted]'
    """
    pieces, end = [], start
    for secret_start, secret_end in _merged(_secrets(text, start)):
        pieces += [text[end:secret_start], MASK]
        end = secret_end
    return "".join([*pieces, text[end:]])


def settled(text: str) -> int:
    """How many leading characters can no longer become part of a key.

    >>> settled("the key is sk-abc"), settled("no key here")
    (11, 11)
    """
    ends = [len(text) - _overlap(text, secret) for secret in _known]
    end = min([key_shapes.growing(text), *ends])
    if end == len(text):
        return end
    for secret in sorted(_secrets(text, 0), reverse=True):
        if secret.sign < end < secret.end:
            end = secret.sign
    return end


def _secrets(text: str, start: int) -> list[Match]:
    return [*_known_in(text, start), *key_shapes.found(text, start)]


def _known_in(text: str, start: int) -> Iterator[Match]:
    for secret in _known:
        # It may begin before `start`: three characters are too few to be held back.
        at = text.find(secret, max(0, start - _FEWEST + 1))
        while at >= 0:
            yield Match(at, max(at, start), at + len(secret))
            at = text.find(secret, at + 1)


def _merged(secrets: list[Match]) -> list[tuple[int, int]]:
    """Where the secrets are, in order; those that overlap are one."""
    merged: list[tuple[int, int]] = []
    for start, end in sorted((secret.start, secret.end) for secret in secrets):
        if merged and start < merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((start, end))
    return merged


def _overlap(text: str, secret: str) -> int:
    """The longest end of ``text`` that begins ``secret``, 0 when shorter than worth holding."""
    for length in range(min(len(text), len(secret) - 1), 0, -1):
        if text.endswith(secret[:length]) and (
            length >= _FEWEST or key_shapes.starts_word(text, len(text) - length)
        ):
            return length
    return 0


def mask(secret: str) -> str:
    """Enough of a key to recognise it: its last three characters.

    >>> mask("correct horse 7Qa")
    '…7Qa'
    """
    return f"…{secret[-3:]}" if len(secret) >= 12 else "…"
