"""Patterns of API keys and of the labels and headers before them.

A single pattern for all shapes takes 60 to 90 µs per kB of text. Looking for the rarest character
of each shape first, and then for the text around it, takes 2 to 6 µs per kB.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple


class Match(NamedTuple):
    """One key in a text, from ``start`` to ``end``; its sign or label starts at ``sign``."""

    sign: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Shape:
    """One kind of key."""

    sign: str  # the prefix of the key, or a label before it such as ``Bearer``
    anchor: str  # the character of the sign that is rarest in ordinary text
    rest: str  # a pattern of the text after the sign; for a label, with the secret in a group
    growing: str  # a pattern of an incomplete ``rest`` at the end of the text
    label: bool = False  # the sign is a label before the secret and not part of it

    def probe(self) -> str:
        """A cheap pattern of the text around the anchor, which matches wherever the sign is."""
        lead, _, after = self.sign.partition(self.anchor)
        return f"(?<={re.escape(lead[-2:] + self.anchor)}){re.escape(after[:3])}"

    def after_anchor(self, rest: str) -> str:
        """A pattern of the text after the anchor; its first group starts where the sign does."""
        lead, anchor, after = map(re.escape, self.sign.partition(self.anchor))
        begin = f"(?<=({lead}){anchor})"
        if not self.sign[0].isalnum():
            return f"{begin}{after}{rest}"
        escaped = "|".join(f"(?<={before}{lead}{anchor})" for before in _ESCAPES)
        return f"{begin}(?:(?<![A-Za-z0-9]{lead}{anchor})|{escaped}){after}{rest}"


# A key may follow a line break or another character that is written as an escape: \n, %20, =.
_ESCAPES = (r"\\[nrt]", r"%[0-9A-Fa-f]{2}", r"\\u[0-9A-Fa-f]{4}", r"\\x[0-9A-Fa-f]{2}")
_START = re.compile("|".join(("(?<![A-Za-z0-9])", *(f"(?<={before})" for before in _ESCAPES))))

_LETTERS, _WORDS = "[A-Za-z0-9]", "[A-Za-z0-9_-]"
# A private key in PEM: headers and lines of base64, with real or written line breaks.
_BREAKS = r"(?:\s|\\[nr])*+"
_PEM_NAME = "(?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----"
_PEM = (
    rf"{_PEM_NAME}(?:{_BREAKS}[A-Za-z-]+: [\w+/=:;,.() -]*+)*+(?:{_BREAKS}[A-Za-z0-9+/=]{{16,}})*+"
    rf"(?:{_BREAKS}[A-Za-z0-9+/=]{{1,15}}(?={_BREAKS}(?:=|-----END))){{0,2}}"
    rf"(?:{_BREAKS}-----END {_PEM_NAME})?"
)
_VALUE, _IN_QUERY = r"""[^\s"'\\]""", r"""[^\s"'&\\]"""


def _key(sign: str, fewest: int, characters: str = _WORDS) -> Shape:
    """A key that starts with ``sign`` and has ``fewest`` characters or more after it."""
    anchor = next(c for c in "_-" if c in sign)
    return Shape(sign, anchor, f"{characters}{{{fewest},}}", f"{characters}*")


# From the vendors' documentation if it has a format, and from keys they issue.
SHAPES: tuple[Shape, ...] = (
    _key("sk-", 12),  # OpenAI, Anthropic sk-ant-, OpenRouter sk-or-, DeepSeek, Moonshot
    _key("xai-", 20),  # xAI
    _key("pplx-", 20, _LETTERS),  # Perplexity
    _key("csk-", 20, _LETTERS),  # Cerebras
    _key("nvapi-", 20),  # NVIDIA
    _key("gsk_", 20, _LETTERS),  # Groq
    _key("hf_", 20, _LETTERS),  # Hugging Face
    _key("fw_", 20, _LETTERS),  # Fireworks
    _key("tgp_v1_", 20),  # Together
    _key("r8_", 20, _LETTERS),  # Replicate
    Shape("AIza", "z", f"{_WORDS}{{20,}}", f"{_WORDS}*"),  # Google
    Shape("AQ.", "Q", f"{_WORDS}{{20,}}", f"{_WORDS}*"),  # Google, keys bound to an account
    Shape("AKIA", "K", "[A-Z0-9]{16,}", "[A-Z0-9]*"),  # AWS
    Shape("ASIA", "S", "[A-Z0-9]{16,}", "[A-Z0-9]*"),  # AWS, for a session
    *(_key(f"gh{kind}_", 20, _LETTERS) for kind in "pousr"),  # GitHub
    _key("github_pat_", 20, "[A-Za-z0-9_]"),
    _key("glpat-", 16),  # GitLab
    *(_key(f"xox{kind}-", 12) for kind in "abeprs"),  # Slack
    _key("xapp-", 12),
    _key("sk_live_", 16, _LETTERS),  # Stripe
    _key("rk_live_", 16, _LETTERS),
    Shape(  # a JSON Web Token: header, claims, signature
        "eyJ",
        "J",
        rf"{_WORDS}{{8,}}\.eyJ{_WORDS}{{8,}}\.{_WORDS}{{8,}}",
        rf"{_WORDS}*(?:\.{_WORDS}*){{0,2}}",
    ),
    Shape("-----BEGIN ", "B", _PEM, r"[\w+/=\s\\:;,.()-]*"),
    *(Shape(f"{b}earer ", b, f"({_VALUE}{{8,}})", f"{_VALUE}*", label=True) for b in "Bb"),
    *(
        Shape(
            f"{api}-{key}",
            "-",
            rf"""["']?\s?[:=]\s?["']?({_VALUE}{{8,}})""",
            rf"""["']?\s?[:=]?\s?["']?{_VALUE}*""",
            label=True,
        )
        for api, key in (("api", "key"), ("Api", "Key"), ("API", "Key"), ("API", "KEY"))
    ),
    *(
        Shape(f"{mark}key=", "=", f"({_IN_QUERY}{{8,}})", f"{_IN_QUERY}*", label=True)
        for mark in "?&"
    ),
)


@dataclass(frozen=True, slots=True)
class _Finder:
    """The patterns of all keys, or all labels, of one anchor."""

    anchor: str
    label: bool
    probe: re.Pattern[str]
    whole: re.Pattern[str]
    open: re.Pattern[str]


def _either(anchor: str, patterns: Iterable[str]) -> str:
    """A pattern of the anchor and one of ``patterns`` after it."""
    return f"{re.escape(anchor)}(?:{'|'.join(dict.fromkeys(patterns))})"


@cache
def _finders() -> list[_Finder]:
    """The finders, compiled on first use, which takes 20 ms."""
    finders = []
    for anchor, label in dict.fromkeys((shape.anchor, shape.label) for shape in SHAPES):
        shapes = [shape for shape in SHAPES if (shape.anchor, shape.label) == (anchor, label)]
        patterns = (
            _either(anchor, (shape.probe() for shape in shapes)),
            _either(anchor, (shape.after_anchor(shape.rest) for shape in shapes)),
            _either(anchor, (shape.after_anchor(shape.growing) for shape in shapes)) + r"\Z",
        )
        finders.append(_Finder(anchor, label, *map(re.compile, patterns)))
    return finders


@cache
def _probes_by_anchor() -> list[tuple[str, Callable[[str], object]]]:
    """A search for each anchor, which rarely matches in ordinary text.

    It needs none of the finders: these are compiled for the first text with a probe.
    """
    probes: dict[str, list[str]] = {}
    for shape in SHAPES:
        probes.setdefault(shape.anchor, []).append(shape.probe())
    return [(anchor, re.compile(_either(anchor, each)).search) for anchor, each in probes.items()]


_BEGINNINGS = frozenset(shape.sign[:n] for shape in SHAPES for n in range(1, len(shape.sign)))
_LONGEST_SIGN = max(len(shape.sign) for shape in SHAPES)
_MAX_KEY_CHARS = 16_384  # of an incomplete key; the longest private keys have half of it


def suspected(text: str) -> bool:
    """Whether a text may contain a key, by a quick search; False is certain."""
    for anchor, search in _probes_by_anchor():  # noqa: SIM110 - any() takes longer than most searches
        if anchor in text and search(text):
            return True
    return False


def found(text: str, start: int = 0) -> Iterator[Match]:
    """All matches of key shapes in ``text`` from ``start`` on, in no order.

    >>> list(found("so: Bearer abcdefgh1234"))
    [Match(sign=4, start=11, end=23)]
    """
    for finder in _finders():
        if finder.anchor not in text:
            continue
        end = start
        for probe in finder.probe.finditer(text, start):
            if probe.start() < end - _LONGEST_SIGN:  # inside the last match
                continue
            match = finder.whole.match(text, probe.start())
            if match:
                last = match.lastindex or 0
                sign = match.start(last - 1 if finder.label else last)
                yield Match(sign, match.start(last), match.end())
                end = match.end()


def growing(text: str) -> int:
    """Start of the text at the end that may become a key when more follows.

    >>> growing("it is sk-abc"), growing("it is g"), growing("it is")
    (6, 6, 5)
    """
    starts, earliest = [len(text)], max(0, len(text) - _MAX_KEY_CHARS)
    # Without a probe no finder matches, and none is compiled.
    for finder in _finders() if suspected(text) else ():
        if finder.anchor in text:
            probes = finder.probe.finditer(text, earliest)
            opened = (finder.open.match(text, probe.start()) for probe in probes)
            first = next(filter(None, opened), None)
            starts += [first.start(first.lastindex or 0)] if first else []
    # The sign itself may be incomplete, even before the anchor.
    for length in range(1, min(_LONGEST_SIGN, len(text)) + 1):
        at = len(text) - length
        if text[at:] in _BEGINNINGS and starts_word(text, at):
            starts.append(at)
    return min(starts)


def starts_word(text: str, at: int) -> bool:
    r"""Whether the character at ``at`` does not continue a word; escapes such as ``\n`` end one.

    >>> starts_word("a b", 2), starts_word(r"a\nb", 3), starts_word("ab", 1)
    (True, True, False)
    """
    return not text[at].isalnum() or _START.match(text, at) is not None
