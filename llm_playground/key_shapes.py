"""What keys look like: how each vendor's start, and which headers carry one.

One pattern for all shapes costs 60 to 90 µs per kB of text. So each shape is found by its rarest
character, which costs next to nothing to look for, and by what stands around it: 2 to 6 µs per kB.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple


class Match(NamedTuple):
    """One key in a text: ``start`` to ``end``, with its label from ``sign``."""

    sign: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Shape:
    r"""One kind of key.

    Args:
        sign: What it starts with; or, of a label such as ``Bearer``, what stands before it.
        anchor: The character of the sign that is rarest in ordinary text.
        rest: A pattern of what follows the sign; of a label, with the secret in a group.
        growing: A pattern of what may follow the sign while more of it is still to come: whatever
            begins ``rest``, up to the end of the text.
        label: Whether the sign only says that a secret follows.
    """

    sign: str
    anchor: str
    rest: str
    growing: str
    label: bool = False

    @property
    def lead(self) -> str:
        """The sign before its anchor."""
        return self.sign[: self.sign.index(self.anchor)]

    @property
    def after(self) -> str:
        """The sign after its anchor."""
        return self.sign[len(self.lead) + 1 :]

    def probe(self) -> str:
        """A cheap pattern of what is around the anchor: fits wherever the sign is, and rarely."""
        near = re.escape(self.lead[-2:] + self.anchor)
        return f"(?<={near}){re.escape(self.after[:3])}"

    def whole(self) -> str:
        """A pattern from behind the anchor on; its groups start where sign and secret do."""
        return self._sign() + self.rest

    def open(self) -> str:
        """As :meth:`whole`, for what has come so far; its group starts where the sign does."""
        return self._sign() + self.growing

    def _sign(self) -> str:
        lead, anchor = re.escape(self.lead), re.escape(self.anchor)
        begin = f"(?<=({lead}){anchor})"
        after = re.escape(self.after)
        if not self.sign[0].isalnum():
            return f"{begin}{after}"
        escaped = "|".join(f"(?<={before}{lead}{anchor})" for before in _ESCAPES)
        return f"{begin}(?:(?<![A-Za-z0-9]{lead}{anchor})|{escaped}){after}"


# A key may follow a line break or another character that is written as an escape: \n, %20, =.
_ESCAPES = (r"\\[nrt]", r"%[0-9A-Fa-f]{2}", r"\\u[0-9A-Fa-f]{4}", r"\\x[0-9A-Fa-f]{2}")
_START = re.compile("|".join(("(?<![A-Za-z0-9])", *(f"(?<={before})" for before in _ESCAPES))))

_LETTERS, _WORDS = "[A-Za-z0-9]", "[A-Za-z0-9_-]"
# A private key in PEM: the lines of base64, real line breaks or written ones, and its headers.
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


# From the vendors' own pages, where they say, and from keys they issue.
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
    """All keys, or all labels, of one anchor."""

    anchor: str
    label: bool
    probe: re.Pattern[str]
    whole: re.Pattern[str]
    open: re.Pattern[str]


def _finder(anchor: str, *, label: bool) -> _Finder:
    shapes = [shape for shape in SHAPES if (shape.anchor, shape.label) == (anchor, label)]
    probes = "|".join(dict.fromkeys(shape.probe() for shape in shapes))
    wholes = "|".join(shape.whole() for shape in shapes)
    opens = "|".join(shape.open() for shape in shapes)
    here = re.escape(anchor)
    return _Finder(
        anchor,
        label,
        re.compile(f"{here}(?:{probes})"),
        re.compile(f"{here}(?:{wholes})"),
        re.compile(f"{here}(?:{opens})\\Z"),
    )


@cache
def _finders() -> list[_Finder]:
    """Compiled at the first use: it takes 20 ms."""
    kinds = dict.fromkeys((shape.anchor, shape.label) for shape in SHAPES)
    return [_finder(anchor, label=label) for anchor, label in kinds]


@cache
def _sights() -> list[tuple[str, Callable[[str], object]]]:
    """One search for each anchor, which finds nothing in ordinary text."""
    anchors = dict.fromkeys(shape.anchor for shape in SHAPES)
    probes = {a: [f.probe.pattern for f in _finders() if f.anchor == a] for a in anchors}
    return [(anchor, re.compile("|".join(probes[anchor])).search) for anchor in anchors]


_BEGINNINGS = frozenset(shape.sign[:n] for shape in SHAPES for n in range(1, len(shape.sign)))
_LONGEST_SIGN = max(len(shape.sign) for shape in SHAPES)
_LONGEST = 16_384  # what more text may still make a key; the longest private keys have half of it


def suspected(text: str) -> bool:
    """Whether it is worth looking closer: False is certain, and quick."""
    for anchor, search in _sights():  # noqa: SIM110 - any() costs more than most searches
        if anchor in text and search(text):
            return True
    return False


def found(text: str, start: int = 0) -> Iterator[Match]:
    """Where in ``text``, from ``start`` on, something has the shape of a key; in no order.

    >>> list(found("so: Bearer abcdefgh1234"))
    [Match(sign=4, start=11, end=23)]
    """
    for finder in _finders():
        if finder.anchor not in text:
            continue
        end = start
        for probe in finder.probe.finditer(text, start):
            if probe.start() < end - _LONGEST_SIGN:  # inside another, and would end where that does
                continue
            match = finder.whole.match(text, probe.start())
            if match:
                last = match.lastindex or 0
                sign = match.start(last - 1 if finder.label else last)
                yield Match(sign, match.start(last), match.end())
                end = match.end()


def growing(text: str) -> int:
    """Where at the end of ``text`` something begins that more text may make a key.

    >>> growing("it is sk-abc"), growing("it is g"), growing("it is")
    (6, 6, 5)
    """
    starts, far = [len(text)], max(0, len(text) - _LONGEST)
    for finder in _finders():
        if finder.anchor in text:
            probes = finder.probe.finditer(text, far)
            opened = (finder.open.match(text, probe.start()) for probe in probes)
            first = next(filter(None, opened), None)
            starts += [first.start(first.lastindex or 0)] if first else []
    # The sign itself may be cut, even before the anchor.
    for length in range(1, min(_LONGEST_SIGN, len(text)) + 1):
        at = len(text) - length
        if text[at:] in _BEGINNINGS and starts_word(text, at):
            starts.append(at)
    return min(starts)


def starts_word(text: str, at: int) -> bool:
    r"""Whether what stands at ``at`` goes on no word, in plain text or behind an escape.

    >>> starts_word("a b", 2), starts_word(r"a\nb", 3), starts_word("ab", 1)
    (True, True, False)
    """
    return not text[at].isalnum() or _START.match(text, at) is not None
