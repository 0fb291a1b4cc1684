"""Markdown (CommonMark, tables, strikethrough, formulas, JSON) as sanitised HTML.

nh3 keeps only the tags and attributes listed here. Formulas are rebuilt by rules of their own
(``rendering.math``) and are represented by a random placeholder while the HTML is cleaned, so no
answer can forge one. A few harmless tags of HTML have an effect (``rendering.inline``), all other
HTML is text. A line break of an answer is a line break: poems, addresses and dialogues have lines.

The HTML of an answer is at most 40 times as long as the answer, and 20,000 characters: a short text
can name one long address a thousand times. What exceeds it is shown as plain text, and so is the
nesting of lists and quotations beyond 20 levels.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from html import escape
from typing import TYPE_CHECKING, Any

from llm_playground.rendering import direction, json_blocks, math
from llm_playground.rendering.highlighting import TOKEN_CLASSES, highlight

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.renderer import RendererProtocol
    from markdown_it.rules_block import StateBlock
    from markdown_it.token import Token
    from nh3 import Cleaner

# Code and formulas yield up to 35 characters of HTML for each of their characters.
MAX_HTML_PER_CHAR, FREE_HTML_CHARS = 40, 20_000
_MAX_BLOCK_LEVEL = 40  # a list and its item are two levels; markdown-it drops what is deeper
_FREE_CELLS = 1_000  # empty cells of a table that no character of it stands for
_PLAIN_NOTE = "The rest is shown as plain text: its Markdown would become too large."

_TAG_NAMES = """
p br hr h1 h2 h3 h4 h5 h6 blockquote pre code ul ol li strong em s a span
table thead tbody tr th td u sub sup kbd mark small
"""
_WITH_DIRECTION = "p h1 h2 h3 h4 h5 h6 blockquote ul ol li table th td"
_ATTRIBUTES = {
    **{tag: {"dir"} for tag in _WITH_DIRECTION.split()},
    "a": {"href", "title"},
    "ol": {"start", "dir"},
    "code": {"class"},
    "span": {"class"},
    "th": {"align", "dir"},
    "td": {"align", "dir"},
}
_KNOWN_VALUES = {"align": {"left", "center", "right"}, "dir": {"auto", "ltr", "rtl"}}
_SPAN_CLASSES = frozenset(f"tok-{name}" for name in TOKEN_CLASSES)
_LANGUAGE_CLASS = re.compile(r"language-[\w.+#-]{1,40}")


@dataclass(frozen=True, slots=True)
class Target:
    """Where HTML is shown.

    ``formula`` is the HTML of a formula from its MathML and its escaped source, ``finish`` changes
    the sanitised HTML of a block in which formulas are still to be placed.
    """

    formula: Callable[[str, str], str]
    finish: Callable[[str], str]


PANEL = Target(formula=lambda mathml, _source: mathml, finish=str)


@dataclass(slots=True)
class Answer:
    """What is known of an answer of which blocks were rendered.

    ``references`` are its link definitions by label, as markdown-it keeps them; the sizes are those
    of the rendered blocks. ``plain`` is set once their HTML would have exceeded the limit.
    """

    target: Target = PANEL

    references: dict[str, Any] = field(default_factory=dict)
    source_chars: int = 0
    html_chars: int = 0
    plain: bool = False

    def html_of(self, block: Sequence[Token], source: str) -> str:
        """Sanitised HTML of one top-level block, plain text if the limit is reached."""
        self.source_chars += len(source)
        room = MAX_HTML_PER_CHAR * self.source_chars + FREE_HTML_CHARS - self.html_chars
        html, note = "", ""
        if not self.plain:
            html = _render(block, self.target) if _address_chars(block) <= room else ""
            if not html or len(html) > room:
                self.plain, note = True, f"<p>{_PLAIN_NOTE}</p>\n"
        if self.plain:
            html = f"{note}<pre><code>{escape(source, quote=False)}</code></pre>\n"
            html = self.target.finish(html)
        self.html_chars += len(html)
        return html


@dataclass(frozen=True, slots=True)
class RenderedBlock:
    """The HTML of a top-level block and the number of its first line."""

    html: str
    source: str
    first_line: int


def render_blocks(text: str, answer: Answer) -> list[str]:
    """Sanitised HTML of each top-level block of a text, the next part of ``answer``."""
    return [block.html for block in rendered_blocks(cleaned(text), answer)]


def cleaned(text: str) -> str:
    """The text as HTML can hold it, without lone surrogates and NUL, with Unix line breaks."""
    text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "\ufffd")


def rendered_blocks(text: str, answer: Answer) -> list[RenderedBlock]:
    """The top-level blocks of a cleaned text, the next part of ``answer``."""
    lines = text.split("\n")
    rendered = []
    for block in _split_blocks(parser().parse(text, {"references": answer.references})):
        start, end = block[0].map or (0, 0)
        source = "\n".join(lines[start:end])
        rendered.append(RenderedBlock(answer.html_of(block, source), source, start))
    return rendered


def parse_blocks(text: str) -> list[Token]:
    """The block tokens of a text without their inline content: a third of the cost of parsing."""
    tokens: list[Token] = []
    parser().block.parse(text, parser(), {}, tokens)
    return tokens


def _split_blocks(tokens: Sequence[Token]) -> Iterator[list[Token]]:
    """The tokens of each top-level block."""
    block: list[Token] = []
    for token in tokens:
        block.append(token)
        if token.level == 0 and token.nesting <= 0:
            yield block
            block = []


def _address_chars(block: Sequence[Token]) -> int:
    """The size of all addresses and titles of links in a block."""
    links = (link for token in block for link in token.children or () if link.attrs)
    return sum(len(str(value)) for link in links for value in link.attrs.values())


def _render(tokens: Sequence[Token], target: Target) -> str:
    formulas: list[math.Formula] = []
    mark, has_directions = secrets.token_hex(16), direction.mark(tokens)
    html = parser().renderer.render(tokens, parser().options, {"mark": mark, "formulas": formulas})
    clean = target.finish(_cleaner().clean(html))
    if formulas:
        written = [target.formula(each.mathml, escape(each.source)) for each in formulas]
        clean = re.sub(rf"{mark}:(\d+);", lambda match: written[int(match[1])], clean)
    return direction.keep_code(clean) if has_directions else clean


@lru_cache(maxsize=1)
def parser() -> MarkdownIt:
    """The shared parser, created at first use."""
    from llm_playground.rendering import inline  # loads markdown-it

    options = {"html": False, "breaks": True, "highlight": _highlighted}
    markdown = inline.Parser("commonmark", options | {"maxNesting": _MAX_BLOCK_LEVEL + 2})
    markdown.enable(["table", "strikethrough"])
    markdown.add_render_rule("image", _image_as_link)
    interrupts = ["paragraph", "reference"]
    markdown.block.ruler.at("table", _table, {"alt": interrupts})
    markdown.block.ruler.at("list", _list, {"alt": [*interrupts, "blockquote"]})
    markdown.block.ruler.at("blockquote", _quote, {"alt": [*interrupts, "blockquote", "list"]})
    for plugin in (inline.use, math.plugin, json_blocks.plugin):
        plugin(markdown)
    return markdown


def _highlighted(code: str, language: str, _attributes: str) -> str:
    """The HTML of code in a fence. JSON on one line is indented."""
    if language[:5].lower() == "json" and "\n" not in code.strip() and json_blocks.begins(code):
        return json_blocks.to_html(json_blocks.indented(code)) + "\n"
    return highlight(code, language)


def _list(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    from markdown_it.rules_block import list_block

    return state.level < _MAX_BLOCK_LEVEL and list_block(state, start, end, silent)


def _quote(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    from markdown_it.rules_block import blockquote

    return state.level < _MAX_BLOCK_LEVEL and blockquote(state, start, end, silent)


def _table(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    """A table, unless most of its cells would be empty: short rows are filled up."""
    from markdown_it.rules_block import table

    if not table(state, start, end, True):
        return False
    columns = state.src.count("|", state.bMarks[start], state.eMarks[start])
    for row in range(start, end):
        if state.isEmpty(row):
            break
        chars = state.eMarks[row] - state.bMarks[start]
        if columns * (row - start) > chars + _FREE_CELLS:
            return False
    if silent:
        return True
    first = len(state.tokens)
    table(state, start, end, False)
    for token in state.tokens[first:]:
        if style := token.attrs.pop("style", ""):
            token.attrs["align"] = str(style).rpartition(":")[2]
    return True


def _image_as_link(
    _renderer: RendererProtocol,
    tokens: Sequence[Token],
    index: int,
    _options: Any,  # noqa: ANN401 - markdown-it's own signature
    _env: Any,  # noqa: ANN401 - as above
) -> str:
    token = tokens[index]
    address = str(token.attrGet("src") or "")
    return f'<a href="{escape(address)}">{escape(token.content or address)}</a>'


@lru_cache(maxsize=1)
def _cleaner() -> Cleaner:
    from nh3 import Cleaner  # first use, not import

    return Cleaner(
        tags=frozenset(_TAG_NAMES.split()),
        attributes=_ATTRIBUTES,
        url_schemes=frozenset({"http", "https", "mailto"}),
        url_relative="deny",
        link_rel="noopener noreferrer nofollow",
        attribute_filter=_filter_attribute,
    )


def _filter_attribute(tag: str, attribute: str, value: str) -> str | None:
    """Keep known values only: a class names a code block's language or a token class."""
    if attribute in _KNOWN_VALUES:
        return value if value in _KNOWN_VALUES[attribute] else None
    if attribute != "class":
        return value
    allowed = value in _SPAN_CLASSES if tag == "span" else _LANGUAGE_CLASS.fullmatch(value)
    return value if allowed else None
