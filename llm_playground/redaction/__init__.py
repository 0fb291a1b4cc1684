"""Redaction of API keys in all text that is shown, logged or raised.

:func:`redact` removes the keys in use, which :func:`remember` registers, in all their
:func:`~llm_playground.redaction.secrets.spellings`, and all text that looks like a key of a vendor
(:mod:`~llm_playground.redaction.key_patterns`). :class:`StreamRedactor` does the same for text that
arrives in pieces.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import unquote

from llm_playground import _lifecycle
from llm_playground.redaction import key_patterns, pii
from llm_playground.redaction.controls import printable as printable
from llm_playground.redaction.key_patterns import Match
from llm_playground.redaction.pii import MASK as MASK
from llm_playground.redaction.secrets import spellings

_MIN_SECRET_CHARS = 8
_WORDS = frozenset({"postgres", "postgresql", "password"})
_MIN_HELD_CHARS = 4  # the shortest prefix of a known secret that is held back inside a word
# Text before a piece that decides whether a key starts in it: a written escape such as "\\u003d",
# or the start of a sign such as "github_pat_".
_CONTEXT_CHARS = 24
# Text held back beyond this length, which few keys have, is searched again only once new text of
# an eighth of its length has arrived, so that the cost of a delta stays constant.
_LONG_HELD_CHARS, _NEW_SHARE = 1_000, 8


@dataclass(frozen=True, slots=True)
class _Known:
    """The secrets in use, and what is searched for them."""

    secrets: tuple[str, ...] = ()
    spellings: tuple[str, ...] = ()
    beginnings: frozenset[str] = frozenset()  # of spellings, shorter than _MIN_HELD_CHARS


_known = _Known()
_lifecycle.register_state(globals(), "_known", _Known)


def remember(secret: str) -> None:
    """Register ``secret``, so that :func:`redact` removes it.

    Values of fewer than eight characters are ignored: they are placeholders such as ``EMPTY`` for a
    server without keys, or ordinary words. So are names of databases that are often passwords.
    """
    global _known
    is_word = len(secret) < _MIN_SECRET_CHARS or secret.lower() in _WORDS
    if not is_word and secret not in _known.secrets:
        forms = tuple(dict.fromkeys((*_known.spellings, *spellings(secret))))
        short = frozenset(form[:n] for form in forms for n in range(1, _MIN_HELD_CHARS))
        # A new value, since other threads may be reading the old one.
        _known = _Known((*_known.secrets, secret), forms, short)


def known() -> tuple[str, ...]:
    """All secrets registered with :func:`remember`."""
    return _known.secrets


def known_in(text: str) -> list[str]:
    """The registered secrets that a text contains, in any of their spellings."""
    if "%" in text:  # any character may be percent-encoded
        text = f"{text}\n{unquote(text)}"
    if not any(spelling in text for spelling in _known.spellings):
        return []
    return [
        secret
        for secret in _known.secrets
        if any(spelling in text for spelling in spellings(secret))
    ]


def redact(text: str) -> str:
    """Replace known secrets and text that looks like a key with ``[redacted]``.

    >>> remember("open sesame")
    >>> redact("the word is open sesame, not Bearer abcdefgh1234")
    'the word is [redacted], not Bearer [redacted]'
    """
    if key_patterns.suspected(text) or any(spelling in text for spelling in _known.spellings):
        return redact_from(text, 0)
    return text


def redact_from(text: str, start: int) -> str:
    """Redact ``text[start:]`` as in the whole text; :func:`settled` gives possible starts.

    >>> redact_from("so: Bearer abcdefgh1234", 4)
    'Bearer [redacted]'
    """
    pieces, end = [], start
    for secret_start, secret_end in _merged(_secrets(text, start)):
        pieces += [text[end:secret_start], MASK]
        end = secret_end
    return "".join([*pieces, text[end:]])


def settled(text: str) -> int:
    """Number of leading characters that cannot become part of a key, whatever follows.

    >>> settled("the key is sk-abc"), settled("no key here")
    (11, 11)
    """
    end = min(key_patterns.growing(text), _growing(text))
    return end if end == len(text) else _before_secrets(_secrets(text, 0), end)


def _before_secrets(secrets: list[Match], end: int) -> int:
    """``end``, or the start of the secret that a cut there would split."""
    for secret in sorted(secrets, reverse=True):
        if secret.sign < end < secret.end:
            end = secret.sign
    return end


def _secrets(text: str, start: int) -> list[Match]:
    keys = key_patterns.found(text, start) if key_patterns.suspected(text) else ()
    return [*_known_in(text, start), *keys]


def _known_in(text: str, start: int) -> Iterator[Match]:
    for spelling in _known.spellings:
        # It may start up to three characters before `start`, since so few are not held back.
        at = text.find(spelling, max(0, start - _MIN_HELD_CHARS + 1))
        while at >= 0:
            yield Match(at, max(at, start), at + len(spelling))
            at = text.find(spelling, at + 1)


def _merged(secrets: list[Match]) -> list[tuple[int, int]]:
    """Start and end of each secret, in order; overlapping ones are joined."""
    merged: list[tuple[int, int]] = []
    for start, end in sorted((secret.start, secret.end) for secret in secrets):
        if merged and start < merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((start, end))
    return merged


def _growing(text: str) -> int:
    """Start of the text at the end that may become a known secret when more follows."""
    starts = [len(text)]
    for spelling in _known.spellings:
        head = spelling[:_MIN_HELD_CHARS]
        at = text.find(head, max(0, len(text) - len(spelling) + 1))
        while at >= 0 and not spelling.startswith(text[at:]):
            at = text.find(head, at + 1)
        starts += [at] if at >= 0 else []
    for length in range(1, min(_MIN_HELD_CHARS, len(text) + 1)):
        at = len(text) - length
        if text[at:] in _known.beginnings and key_patterns.starts_word(text, at):
            starts.append(at)
    return min(starts)


class Secret(str):
    """A key whose ``repr``, as in a traceback with local variables, is masked.

    >>> Secret("correct horse 7Qa"), str(Secret("correct horse")) == "correct horse"
    (Secret(…7Qa), True)
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return f"Secret({mask(self)})"


def mask(secret: str) -> str:
    """The last three characters of a key, for recognition; only ``…`` for a short key.

    >>> mask("correct horse 7Qa")
    '…7Qa'
    """
    return f"…{secret[-3:]}" if len(secret) >= 12 else "…"


class StreamRedactor:
    """Redacts text that arrives in pieces exactly as the whole text would be redacted.

    A key may be cut anywhere, so text that could still become part of one is held back. Personal
    data of ``kinds`` is redacted after keys.

    >>> redactor = StreamRedactor()
    >>> redactor.add("it is Bearer abcd")
    >>> redactor.take(), redactor.flush()
    ('it is ', 'Bearer abcd')
    """

    def __init__(self, kinds: Sequence[pii.Kind] = ()) -> None:
        self._kinds = kinds
        self._context = ""  # the end of the taken text
        self._held = ""  # searched, and may still become part of a key
        self._new: list[str] = []  # not yet searched
        self._new_chars = 0

    def add(self, piece: str) -> None:
        """Append ``piece``."""
        self._new.append(piece)
        self._new_chars += len(piece)

    def take(self) -> str:
        """Remove and return, redacted, the text that following text cannot change."""
        if len(self._held) > _LONG_HELD_CHARS and self._new_chars * _NEW_SHARE < len(self._held):
            return ""
        text = self._text()
        return self._release(text, self._end(text))

    def flush(self) -> str:
        """Remove and return, redacted, all remaining text at the end of the stream."""
        text = self._text()
        return self._release(text, len(text))

    def _end(self, text: str) -> int:
        """Where ``text`` may be cut; at the earliest where it was cut before."""
        start, end = len(self._context), settled(text)
        inside_secret = bool(self._kinds)
        secrets = _secrets(text, 0) if inside_secret else []
        while inside_secret and end > start:
            cut = pii.settled(text[:end])
            end = _before_secrets(secrets, cut) if cut > start else cut
            inside_secret = end < cut
        return max(start, end)

    def _text(self) -> str:
        return "".join([self._context, self._held, *self._new])

    def _release(self, text: str, end: int) -> str:
        released = ""
        if end > len(self._context):
            released = pii.masked(redact_from(text[:end], len(self._context)), self._kinds)
        self._context, self._held = text[:end][-_CONTEXT_CHARS:], text[end:]
        self._new, self._new_chars = [], 0
        return released
