"""LaTeX formulas as presentation MathML, rebuilt element by element.

What the converter gives is taken apart and written anew, and only elements and attributes that are
named here come back: no link, no annotation, no style, no HTML. A formula that is broken, too long
or too deep, or that comes to anything else, is None.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from html import escape
from html.parser import HTMLParser
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from math_core import LatexToMathML

LONGEST = 4_000  # characters of LaTeX
_MOST_COMMANDS = 500  # each may nest the converter once more: 2.5 kB of stack, of 1 MB or more
_DEEPEST = 30  # groups in LaTeX
_DEEPEST_ELEMENT = 120
_LARGEST = 100_000  # characters of MathML

ELEMENTS = frozenset(
    {
        *("math", "mrow", "mi", "mn", "mo", "mtext", "mspace", "mpadded", "mphantom", "mstyle"),
        *("mfrac", "msqrt", "mroot", "msub", "msup", "msubsup", "munder", "mover", "munderover"),
        *("mmultiscripts", "mprescripts", "mtable", "mtr", "mtd", "menclose"),
    }
)
_TRANSPARENT = frozenset({"b", "i", "u", "s", "em", "code", "span"})  # in \text: only its words
_SWITCH = "true|false"
_LENGTH = (
    r"(?:0|-?0?\.\d{1,10}|[1-9]?\d(?:\.\d{1,10})?)(?:em|ex|rem|pt)?"  # no far move to the left
)
ATTRIBUTES = {
    "display": "block",
    "displaystyle": _SWITCH,
    "scriptlevel": r"[+-]?\d",
    "mathvariant": "normal",
    "mathcolor": "#[0-9A-Fa-f]{6}",
    "form": "prefix|infix|postfix",
    **dict.fromkeys(("stretchy", "symmetric", "fence", "separator", "largeop"), _SWITCH),
    **dict.fromkeys(("accent", "accentunder", "movablelimits"), _SWITCH),
    **dict.fromkeys(("lspace", "rspace", "width", "height", "depth", "voffset"), _LENGTH),
    **dict.fromkeys(("minsize", "maxsize", "linethickness"), _LENGTH),
    "notation": r"[a-z]{1,20}(?: [a-z]{1,20}){0,3}",
    "columnspan": r"\d{1,2}",
    "columnalign": "left|center|right",
    "class": r"math-[a-z]+(?: math-[a-z]+){0,4}",
}
_PATTERNS = {name: re.compile(pattern) for name, pattern in ATTRIBUTES.items()}
# What the converter says with a style, and what we say instead.
_STYLES = (
    (re.compile(r"text-align: ?left"), "class", "math-left"),
    (re.compile(r"text-align: ?right"), "class", "math-right"),
    (re.compile("border-top:"), "class", "math-top"),
    (re.compile("border-bottom:"), "class", "math-bottom"),
    (re.compile("border-left:"), "class", "math-before"),
    (re.compile("border-right:"), "class", "math-after"),
    (re.compile("(?<![a-z-])color: ?(#[0-9A-Fa-f]{6});"), "mathcolor", r"\1"),
)

_DEFINITION = re.compile(r"\\(?:[a-z]*command|[egx]?def|let)(?![A-Za-z])")
_COMMAND = re.compile(r"\\[A-Za-z]+")
_GROUPS = re.compile(
    r"\\(?:left|begin)(?![A-Za-z])|\\(?:right|end)(?![A-Za-z])|\\.|[{}]", re.DOTALL
)
# The converter numbers equations, which no answer refers to; without numbers these are the same.
_REWRITTEN = (
    (re.compile(r"\\label\{[^{}]*\}|\\(?:nonumber|notag)(?![A-Za-z])"), ""),
    (re.compile(r"\\tag\*?\{([^{}]*)\}"), r"\\qquad\\text{(\1)}"),
    (re.compile(r"\\(begin|end)\{(?:align|split|eqnarray|flalign)\*?\}"), r"\\\1{aligned}"),
    (re.compile(r"\\(begin|end)\{(?:gather|multline)\*?\}"), r"\\\1{gathered}"),
    (re.compile(r"\\begin\{(?:align(?:ed)?at)\*?\}\{\d\}"), r"\\begin{aligned}"),
    (re.compile(r"\\end\{(?:align(?:ed)?at)\*?\}"), r"\\end{aligned}"),
    (re.compile(r"\\(?:begin|end)\{(?:equation|displaymath|math)\*?\}"), ""),
    (re.compile(r"\\(begin|end)\{smallmatrix\}"), r"\\\1{matrix}"),
)


def of_latex(latex: str, display: str) -> str | None:
    r"""MathML of a formula; None when it is broken, or too much.

    Args:
        latex: Without its delimiters.
        display: ``"block"`` on lines of its own, ``"inline"`` within one.

    >>> of_latex(r"\frac{1}{2}", "inline")
    '<math><mfrac><mn>1</mn><mn>2</mn></mfrac></math>'
    >>> of_latex(r"\href{javascript:alert(1)}{x}", "inline") is None
    True
    """
    if len(latex) > LONGEST or _DEFINITION.search(latex) or _deep(latex):
        return None
    for pattern, replacement in _REWRITTEN:
        latex = pattern.sub(replacement, latex)
    if not latex.strip():
        return None
    try:
        made = _converter().convert_with_local_state(latex, displaystyle=display == "block")
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException:  # a panic of native code is no Exception, and spoils the converter
        _converter.cache_clear()
        return None
    return _rebuilt(made)


def _deep(latex: str) -> bool:
    """Whether the converter, which is recursive and native, might not come back from it."""
    if sum(1 for _ in _COMMAND.finditer(latex)) > _MOST_COMMANDS:
        return True
    depth = 0
    for group in _GROUPS.findall(latex):
        depth += group in ("{", r"\left", r"\begin")
        depth -= group in ("}", r"\right", r"\end")
        if depth > _DEEPEST:
            return True
    return False


@lru_cache(maxsize=1)
def _converter() -> LatexToMathML:
    from math_core import LatexToMathML  # first use, not import

    return LatexToMathML(fancy_error=False, allow_unreliable_rendering=True, max_expansions=200)


def _rebuilt(mathml: str) -> str | None:
    if len(mathml) > _LARGEST:
        return None
    rebuilding = _Rebuilding()
    rebuilding.feed(mathml)
    rebuilding.close()
    return rebuilding.result()


class _Rebuilding(HTMLParser):
    """Writes down what is allowed; another element spoils the whole, a comment is left out."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._written: list[str] = []
        self._open: list[str] = []
        self._spoilt = False

    def result(self) -> str | None:
        """The MathML, None where something appeared that is not allowed."""
        return None if self._spoilt or self._open else "".join(self._written)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        outermost = not self._written
        fits = (tag == "math") == outermost and (outermost or bool(self._open))
        if tag in _TRANSPARENT:
            self._spoilt |= "mtext" not in self._open
        elif tag in ELEMENTS and fits and len(self._open) < _DEEPEST_ELEMENT:
            self._written.append(f"<{tag}{''.join(_attributes(attrs))}>")
        else:
            self._spoilt = True
        self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self._open or self._open.pop() != tag:
            self._spoilt = True
        elif tag not in _TRANSPARENT:
            self._written.append(f"</{tag}>")

    def handle_data(self, data: str) -> None:
        self._spoilt |= not self._open
        self._written.append(escape(data))


def _attributes(given: list[tuple[str, str | None]]) -> Iterator[str]:
    """Allowed attributes; a style as what says the same without one."""
    kept: dict[str, str] = {}
    for name, value in given:
        if name == "style":
            kept |= _said_otherwise(value or "")
        elif name != "class":
            kept[name] = value or ""
    for name, value in kept.items():
        if name in _PATTERNS and _PATTERNS[name].fullmatch(value):
            yield f' {name}="{value}"'


def _said_otherwise(style: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for pattern, attribute, value in _STYLES:
        match = pattern.search(style)
        if match:
            said = match.expand(value)
            found[attribute] = f"{found[attribute]} {said}" if attribute in found else said
    return found
