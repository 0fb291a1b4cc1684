r"""LaTeX formulas in Markdown (``$…$``, ``$$…$$``, ``\(…\)``, ``\[…\]``) as safe MathML.

Dollars follow pandoc's rules, so that "$5 and $10" are amounts: the next dollar closes the formula,
no blank follows the first or precedes the second, and no digit follows the second. A display
formula contains no empty line. An environment such as ``align`` needs no delimiters; one that is no
formula, such as ``tabular``, is shown as source.

The converter's MathML is parsed and written again with allow-listed elements and attributes only:
no links, annotations, styles or HTML. A formula that is invalid, too long, too deeply nested, or
that yields anything else is shown as source.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from html import escape
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.renderer import RendererProtocol
    from markdown_it.rules_block import StateBlock
    from markdown_it.rules_inline import StateInline
    from markdown_it.token import Token
    from math_core import LatexToMathML

_MAX_LATEX_CHARS = 4_000
_MAX_LINES = 100  # of a display formula
_MAX_COMMANDS = 500  # each may nest the converter once more: 2.5 kB of a stack of 1 MB or more
_MAX_GROUP_DEPTH = 30
_MAX_ELEMENT_DEPTH = 120
_MAX_MATHML_CHARS = 100_000

_ELEMENTS = frozenset(
    {
        *("math", "mrow", "mi", "mn", "mo", "mtext", "mspace", "mpadded", "mphantom", "mstyle"),
        *("mfrac", "msqrt", "mroot", "msub", "msup", "msubsup", "munder", "mover", "munderover"),
        *("mmultiscripts", "mprescripts", "mtable", "mtr", "mtd", "menclose"),
    }
)
_TRANSPARENT = frozenset({"b", "i", "u", "s", "em", "code", "span"})  # in \text: dropped, text kept
_SWITCH = "true|false"
# Nothing moves beyond its line: lengths are small and never negative, boxes keep their place.
_LENGTH = r"0|\d?(?:\.\d{1,10})?(?:em|ex|rem)|\d{1,2}(?:\.\d{1,10})?pt"
_MAX_MARKS = 3  # combining marks on one character; more are stacked over the lines beside it
_ATTRIBUTES = {
    "display": "block",
    "displaystyle": _SWITCH,
    "scriptlevel": r"\+?\d",  # a negative one enlarges
    "mathvariant": "normal",
    "mathcolor": "#[0-9A-Fa-f]{6}",
    "form": "prefix|infix|postfix",
    **dict.fromkeys(("stretchy", "symmetric", "fence", "separator", "largeop"), _SWITCH),
    **dict.fromkeys(("accent", "accentunder", "movablelimits"), _SWITCH),
    **dict.fromkeys(("lspace", "rspace", "width", "height", "depth"), _LENGTH),
    **dict.fromkeys(("minsize", "maxsize"), _LENGTH),
    "linethickness": r"0|0?\.\d{1,10}em|\d(?:\.\d{1,10})?pt",
    "notation": r"[a-z]{1,20}(?: [a-z]{1,20}){0,3}",
    "columnspan": r"\d{1,2}",
    "columnalign": "left|center|right",
    "class": r"math-[a-z]+(?: math-[a-z]+){0,4}",
}
_PATTERNS = {name: re.compile(pattern) for name, pattern in _ATTRIBUTES.items()}
# The converter's inline styles, and the attribute and value that replace each.
_STYLES = (
    (re.compile(r"text-align: ?left"), "class", "math-left"),
    (re.compile(r"text-align: ?right"), "class", "math-right"),
    (re.compile("border-top:"), "class", "math-top"),
    (re.compile("border-bottom:"), "class", "math-bottom"),
    (re.compile("border-left:"), "class", "math-before"),
    (re.compile("border-right:"), "class", "math-after"),
    (re.compile("(?<![a-z-])color: ?(#[0-9A-Fa-f]{6});"), "mathcolor", r"\1"),
)

_MARKS = re.compile(
    rf"[\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]{{{_MAX_MARKS + 1}}}"
)
_DEFINITION = re.compile(r"\\(?:[a-z]*command|[egx]?def|let)(?![A-Za-z])")
_COMMAND = re.compile(r"\\[A-Za-z]+")
_GROUPS = re.compile(
    r"\\(?:left|begin)(?![A-Za-z])|\\(?:right|end)(?![A-Za-z])|\\.|[{}]", re.DOTALL
)
# The converter numbers equations, but answers do not refer to the numbers: rewritten without.
_REWRITES = (
    (re.compile(r"\\label\{[^{}]*\}|\\(?:nonumber|notag)(?![A-Za-z])"), ""),
    (re.compile(r"\\tag\*?\{([^{}]*)\}"), r"\\qquad\\text{(\1)}"),
    (re.compile(r"\\(begin|end)\{(?:align|split|eqnarray|flalign)\*?\}"), r"\\\1{aligned}"),
    (re.compile(r"\\(begin|end)\{(?:gather|multline)\*?\}"), r"\\\1{gathered}"),
    (re.compile(r"\\begin\{(?:align(?:ed)?at)\*?\}\{\d\}"), r"\\begin{aligned}"),
    (re.compile(r"\\end\{(?:align(?:ed)?at)\*?\}"), r"\\end{aligned}"),
    (re.compile(r"\\(?:begin|end)\{(?:equation|displaymath|math|subequations)\*?\}"), ""),
    (re.compile(r"\\(begin|end)\{smallmatrix\}"), r"\\\1{matrix}"),
)


def to_mathml(latex: str, display: str) -> str | None:
    r"""MathML of a formula without its delimiters; None if it is invalid or exceeds a limit.

    >>> to_mathml(r"\frac{1}{2}", "inline")
    '<math><mfrac><mn>1</mn><mn>2</mn></mfrac></math>'
    >>> to_mathml(r"\href{javascript:alert(1)}{x}", "inline") is None
    True
    """
    if len(latex) > _MAX_LATEX_CHARS or _DEFINITION.search(latex) or _too_deep(latex):
        return None
    for pattern, replacement in _REWRITES:
        latex = pattern.sub(replacement, latex)
    if not latex.strip():
        return None
    try:
        mathml = _converter().convert_with_local_state(latex, displaystyle=display == "block")
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException:  # a native panic derives from BaseException and breaks the converter
        _converter.cache_clear()
        return None
    if len(mathml) > _MAX_MATHML_CHARS:
        return None
    sanitiser = _Sanitiser()
    sanitiser.feed(mathml)
    sanitiser.close()
    is_safe = not sanitiser.rejected and not sanitiser.open_tags
    return "".join(sanitiser.written) if is_safe else None


def _too_deep(latex: str) -> bool:
    """Whether the converter, native and recursive, could overflow the stack."""
    if sum(1 for _ in _COMMAND.finditer(latex)) > _MAX_COMMANDS:
        return True
    depth = 0
    for group in _GROUPS.findall(latex):
        depth += group in ("{", r"\left", r"\begin")
        depth -= group in ("}", r"\right", r"\end")
        if depth > _MAX_GROUP_DEPTH:
            return True
    return False


@lru_cache(maxsize=1)
def _converter() -> LatexToMathML:
    from math_core import LatexToMathML  # first use, not import

    return LatexToMathML(fancy_error=False, allow_unreliable_rendering=True, max_expansions=200)


class _Sanitiser(HTMLParser):
    """Writes allow-listed MathML again; any other element is rejected."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.written: list[str] = []
        self.open_tags: list[str] = []
        self.rejected = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        outermost = not self.written
        fits = (tag == "math") == outermost and (outermost or bool(self.open_tags))
        if tag in _TRANSPARENT:
            self.rejected |= "mtext" not in self.open_tags
        elif tag in _ELEMENTS and fits and len(self.open_tags) < _MAX_ELEMENT_DEPTH:
            self.written.append(f"<{tag}{''.join(_sanitised_attributes(attrs))}>")
        else:
            self.rejected = True
        self.open_tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self.open_tags or self.open_tags.pop() != tag:
            self.rejected = True
        elif tag not in _TRANSPARENT:
            self.written.append(f"</{tag}>")

    def handle_data(self, data: str) -> None:
        self.rejected |= not self.open_tags or _MARKS.search(data) is not None
        self.written.append(escape(data))


def _sanitised_attributes(attrs: list[tuple[str, str | None]]) -> Iterator[str]:
    """The allowed attributes; known inline styles are replaced by attributes."""
    kept: dict[str, str] = {}
    for name, value in attrs:
        if name == "style":
            kept |= _style_attributes(value or "")
        elif name != "class":
            kept[name] = value or ""
    for name, value in kept.items():
        if name in _PATTERNS and _PATTERNS[name].fullmatch(value):
            yield f' {name}="{value}"'


def _style_attributes(style: str) -> dict[str, str]:
    attributes: dict[str, str] = {}
    for pattern, name, template in _STYLES:
        if match := pattern.search(style):
            value = match.expand(template)
            attributes[name] = f"{attributes[name]} {value}" if name in attributes else value
    return attributes


@dataclass(frozen=True, slots=True)
class Formula:
    """A formula as MathML and as it was written, with its delimiters."""

    mathml: str
    source: str


@dataclass(frozen=True, slots=True)
class Delimiters:
    """The opening and closing delimiter of a formula; ``end`` matches an unescaped closing one."""

    opening: str
    closing: str
    end: re.Pattern[str]
    display: str


_DELIMITERS = {
    each.opening: each
    for each in (
        Delimiters("$$", "$$", re.compile(r"(?<!\\)\$\$"), "block"),
        Delimiters("$", "$", re.compile(r"(?<!\\)\$"), "inline"),
        Delimiters(r"\(", r"\)", re.compile(r"(?<!\\)\\\)"), "inline"),
        Delimiters(r"\[", r"\]", re.compile(r"(?<!\\)\\\]"), "block"),
    )
}
_BLOCK_DELIMITERS = tuple(each for each in _DELIMITERS.values() if each.display == "block")
_BLOCK_OPENINGS = tuple(each.opening for each in _BLOCK_DELIMITERS)
_BLOCK_CLOSINGS = tuple(each.closing for each in _BLOCK_DELIMITERS)
_BEGIN = re.compile(r"\\begin\{([A-Za-z]{1,20}\*?)\}")
_ENDS_ENVIRONMENT = re.compile(r"\\end\{[A-Za-z]{1,20}\*?\}\s*\Z")
# Environments that are part of a line's formula; the others are formulas on lines of their own.
_WITHIN_LINES = frozenset(
    {f"{kind}matrix{star}" for kind in ("", "p", "b", "B", "v", "V", "small") for star in ("", "*")}
    | {"cases", "dcases", "rcases", "array", "aligned", "gathered", "alignedat", "split", "math"}
)


def plugin(markdown: MarkdownIt) -> None:
    """A markdown-it plugin that parses and renders formulas."""
    markdown.inline.ruler.before("escape", "formula", _parse_inline)
    interrupts = ["paragraph", "reference", "blockquote", "list"]
    markdown.block.ruler.before("fence", "formula", _parse_block, {"alt": interrupts})
    markdown.add_render_rule("formula", _render)
    markdown.add_render_rule("formula_block", _render)


def opens_block(line: str) -> bool:
    r"""Whether a display formula may begin on this line.

    >>> opens_block("  $$"), opens_block(r"\[ x"), opens_block("$x$")
    (True, True, False)
    """
    return line.lstrip().startswith((*_BLOCK_OPENINGS, r"\begin{"))


def closes_block(line: str) -> bool:
    r"""Whether a display formula may end on this line.

    >>> closes_block("x $$"), closes_block(r"\]"), closes_block("$x$")
    (True, True, False)
    """
    return line.rstrip().endswith(_BLOCK_CLOSINGS) or bool(_ENDS_ENVIRONMENT.search(line))


def _parse_inline(state: StateInline, silent: bool) -> bool:
    text, start = state.src, state.pos
    if text[start] not in "$\\":
        return False
    found = _environment(state) or _delimited(state)
    if found is None:
        return False
    if not silent:
        token = state.push("formula", "math", 0)
        token.content, token.markup = found.latex, text[start : found.end]
        token.meta = {"display": found.display}
    state.pos = found.end
    return True


@dataclass(frozen=True, slots=True)
class _Found:
    """A formula in a text, which ends at ``end``."""

    latex: str
    end: int
    display: str


def _delimited(state: StateInline) -> _Found | None:
    """The formula between delimiters that begins at the state's position."""
    text, start = state.src, state.pos
    delimiters = _DELIMITERS.get(text[start : start + 2]) or _DELIMITERS.get(text[start])
    if delimiters is None:
        return None
    begin = start + len(delimiters.opening)
    end = _find_end(state, delimiters, begin)
    after = end + len(delimiters.closing)
    if after > state.posMax:
        return None
    if delimiters.opening == "$":
        if text[begin].isspace() or text[end - 1].isspace() or text[after : after + 1].isdigit():
            return None
    elif not text[begin:end].strip():
        return None
    return _Found(text[begin:end], after, delimiters.display)


def _environment(state: StateInline) -> _Found | None:
    """The environment that begins at the state's position."""
    begin = _BEGIN.match(state.src, state.pos, state.posMax)
    if begin is None:
        return None
    most = min(state.posMax, state.pos + _MAX_LATEX_CHARS)
    end = _end_of_environment(state.src, state.pos, most, begin[1])
    if end is None:
        return None
    display = "inline" if begin[1] in _WITHIN_LINES else "block"
    return _Found(state.src[state.pos : end], end, display)


def _end_of_environment(text: str, start: int, most: int, name: str) -> int | None:
    """Where the environment ``name`` ends that begins at ``start``, with others of it inside."""
    depth = 0
    for match in re.compile(rf"\\(begin|end)\{{{re.escape(name)}\}}").finditer(text, start, most):
        depth += 1 if match[1] == "begin" else -1
        if depth == 0:
            return match.end()
    return None


def _find_end(state: StateInline, delimiters: Delimiters, begin: int) -> int:
    """The position of the next closing delimiter, the text's length if there is none.

    It is cached in the state's environment, which keeps a text of many opening delimiters linear.
    """
    cache: dict[str, Any] = state.env.setdefault("endings", {})
    if cache.get("text") is not state.src:
        cache.clear()
        cache["text"] = state.src
    searched_from, end = cache.get(delimiters.opening, (0, -1))
    if not searched_from <= begin <= end:
        match = delimiters.end.search(state.src, begin)
        end = match.start() if match else len(state.src)
        cache[delimiters.opening] = (begin, end)
    return int(end)


def _parse_block(state: StateBlock, start_line: int, end_line: int, silent: bool) -> bool:
    if state.sCount[start_line] - state.blkIndent >= 4:  # an indented code block
        return False
    first, most = _line(state, start_line), min(end_line, start_line + _MAX_LINES)
    if begin := _BEGIN.match(first):
        last = _last_line_of_environment(state, begin[1], start_line, most)
        opening = closing = 0
    else:
        delimiters = next((d for d in _BLOCK_DELIMITERS if first.startswith(d.opening)), None)
        if delimiters is None:
            return False
        last = _find_last_line(state, delimiters, start_line, most)
        opening, closing = len(delimiters.opening), len(delimiters.closing)
    if last is None:
        return False
    if not silent:
        text = "\n".join(_line(state, line) for line in range(start_line, last + 1)).rstrip()
        token = state.push("formula_block", "math", 0)
        token.content, token.markup = text[opening : len(text) - closing], text
        token.meta, token.map = {"display": "block"}, [start_line, last + 1]
        state.line = last + 1
    return True


def _last_line_of_environment(state: StateBlock, name: str, first: int, end: int) -> int | None:
    """The line at whose end an environment ends; None if it does not, or before an empty line."""
    if state.src.find(rf"\end{{{name}}}", state.bMarks[first], state.eMarks[end - 1]) < 0:
        return None
    lines = list[str]()
    for line in range(first, end):
        text = _line(state, line).rstrip()
        if not text or (line > first and state.sCount[line] < state.blkIndent):
            return None
        lines.append(text)
        if rf"\end{{{name}}}" in text:
            whole = "\n".join(lines)
            if ends := _end_of_environment(whole, 0, len(whole), name):
                return line if ends == len(whole) else None
    return None


def _find_last_line(state: StateBlock, delimiters: Delimiters, first: int, end: int) -> int | None:
    """The line that ends with the closing delimiter, None if the formula is not closed."""
    skipped = len(delimiters.opening)
    begin = state.bMarks[first] + state.tShift[first] + skipped
    if state.src.find(delimiters.closing, begin, state.eMarks[end - 1]) < 0:
        return None  # quickly: every line of an answer may open a formula
    for line in range(first, end):
        text = _line(state, line)
        if not text or (line > first and state.sCount[line] < state.blkIndent):
            return None
        if match := delimiters.end.search(text, skipped):
            empty = line == first and not text[skipped : match.start()].strip()
            return None if empty or text[match.end() :].strip() else line
        skipped = 0
    return None


def _line(state: StateBlock, line: int) -> str:
    return state.src[state.bMarks[line] + state.tShift[line] : state.eMarks[line]]


def _render(
    _renderer: RendererProtocol,
    tokens: Sequence[Token],
    index: int,
    _options: Any,  # noqa: ANN401 - markdown-it's own signature
    env: Any,  # noqa: ANN401 - as above
) -> str:
    """The placeholder of a formula's MathML; its escaped source if it has none."""
    token = tokens[index]
    is_block = token.type == "formula_block"
    mathml = to_mathml(token.content, token.meta["display"])
    if mathml is None:
        source = escape(token.markup)
        in_block = f'<pre><code class="language-latex">{source}</code></pre>\n'
        return in_block if is_block else f"<code>{source}</code>"
    env["formulas"].append(Formula(mathml, token.markup))
    placeholder = f"{env['mark']}:{len(env['formulas']) - 1};"
    return f"<p>{placeholder}</p>\n" if is_block else placeholder
