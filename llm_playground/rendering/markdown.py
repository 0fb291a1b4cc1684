"""Markdown (CommonMark, tables, strikethrough, formulas) as sanitised HTML.

nh3 keeps only the tags and attributes listed here. Formulas are rebuilt by rules of their own
(``rendering.math``) and are represented by a random placeholder while the HTML is cleaned, so no
answer can forge one. Code is highlighted by Pygments with a few classes named after JupyterLab's
variables, so one rule per class colours them:
``.tok-keyword { color: var(--jp-mirror-editor-keyword-color) }``.

The HTML of an answer is at most 40 times as long as the answer, and 20,000 characters: a short text
can name one long address a thousand times. What exceeds it is shown as plain text, and so is the
nesting of lists and quotations beyond 20 levels.
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from html import escape
from itertools import groupby
from typing import TYPE_CHECKING, Any

from llm_playground.rendering import math

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.renderer import RendererProtocol
    from markdown_it.rules_block import StateBlock
    from markdown_it.rules_core import StateCore
    from markdown_it.token import Token
    from nh3 import Cleaner
    from pygments.lexer import Lexer

# Code and formulas yield up to 35 characters of HTML for each of their characters.
MAX_HTML_PER_CHAR, FREE_HTML_CHARS = 40, 20_000
_MAX_BLOCK_LEVEL = 40  # a list and its item are two levels; markdown-it drops what is deeper
_MAX_PARAGRAPH_CHARS = 20_000  # the search for the ends of links is quadratic; longer is plain text
_FREE_CELLS = 1_000  # empty cells of a table that no character of it stands for
_PLAIN_NOTE = "The rest is shown as plain text: its Markdown would become too large."
_MAX_CODE_CHARS = 50_000  # 50 to 200 ms of work
_MAX_LINE_CHARS = 1_000  # some lexers are quadratic within a line, in one uninterruptible step
_MAX_HIGHLIGHT_S = 0.3  # of this thread's CPU time: crafted input makes some lexers quadratic

# The class of a token by the start of its Pygments type; the first match wins.
_CLASS_BY_TOKEN_TYPE = (
    ("Token.Comment.Preproc", "meta"),
    ("Token.Comment", "comment"),
    ("Token.Keyword.Constant", "atom"),
    ("Token.Keyword", "keyword"),
    ("Token.Literal.String", "string"),
    ("Token.Literal.Number", "number"),
    ("Token.Literal.Date", "number"),
    ("Token.Name.Attribute", "attribute"),
    ("Token.Name.Builtin", "builtin"),
    ("Token.Name.Class", "def"),
    ("Token.Name.Constant", "atom"),
    ("Token.Name.Decorator", "meta"),
    ("Token.Name.Exception", "builtin"),
    ("Token.Name.Function", "def"),
    ("Token.Name.Tag", "tag"),
    ("Token.Name.Variable", "variable"),
    ("Token.Operator.Word", "keyword"),
    ("Token.Operator", "operator"),
    ("Token.Generic.Deleted", "deleted"),
    ("Token.Generic.Inserted", "inserted"),
    ("Token.Generic.Heading", "header"),
    ("Token.Generic.Subheading", "header"),
    ("Token.Generic.Prompt", "meta"),
)
TOKEN_CLASSES = frozenset(name for _, name in _CLASS_BY_TOKEN_TYPE)

# Lexers are regular expressions, and the answer chooses both the lexer and its input. Only lexers
# that stay fast on hostile input of the maximum size are listed, by Pygments' primary alias.
_LEXER_NAMES = """
bash batch c clojure cmake console cpp csharp css dart diff docker elixir erlang fortran fsharp
go graphql groovy haskell html http ini java javascript json julia kotlin lua make markdown
mysql nginx objective-c ocaml octave perl php postgresql powershell protobuf pycon pytb python
restructuredtext ruby rust scss splus sql swift terraform tex toml typescript xml yaml zig
"""
# Aliases that Pygments lacks, and Matlab, whose own lexer is slow on hostile input.
_ALIASES = {
    "jsx": "javascript",
    "tsx": "typescript",
    "jsonc": "json",
    "jsonl": "json",
    "yml": "yaml",
    "matlab": "octave",
}

_TAG_NAMES = """
p br hr h1 h2 h3 h4 h5 h6 blockquote pre code ul ol li strong em s a span
table thead tbody tr th td
"""
_ATTRIBUTES = {"a": {"href", "title"}, "ol": {"start"}, "code": {"class"}, "span": {"class"}}
_SPAN_CLASSES = frozenset(f"tok-{name}" for name in TOKEN_CLASSES)
_LANGUAGE_CLASS = re.compile(r"language-[\w.+#-]{1,40}")


@dataclass(slots=True)
class Answer:
    """What is known of an answer of which blocks were rendered.

    ``references`` are its link definitions by label, as markdown-it keeps them; the sizes are those
    of the rendered blocks. ``plain`` is set once their HTML would have exceeded the limit.
    """

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
            html = _render(block) if _address_chars(block) <= room else ""
            if not html or len(html) > room:
                self.plain, note = True, f"<p>{_PLAIN_NOTE}</p>\n"
        if self.plain:
            html = f"{note}<pre><code>{escape(source, quote=False)}</code></pre>\n"
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


def _render(tokens: Sequence[Token]) -> str:
    formulas: list[str] = []
    mark = secrets.token_hex(16)
    html = parser().renderer.render(tokens, parser().options, {"mark": mark, "formulas": formulas})
    clean = _cleaner().clean(html)
    if not formulas:
        return clean
    return re.sub(rf"{mark}:(\d+);", lambda match: formulas[int(match[1])], clean)


def highlight(code: str, language: str, _attributes: str = "") -> str:
    """Escaped HTML of code, highlighted when its language is known and it is not too long.

    >>> highlight("x = 1", "python")
    'x <span class="tok-operator">=</span> <span class="tok-number">1</span>'
    >>> highlight("x < 1", "")
    'x &lt; 1'
    """
    too_long = len(code) > _MAX_CODE_CHARS or max(map(len, code.split("\n"))) > _MAX_LINE_CHARS
    lexer = None if too_long else _lexer(language[:40].lower())
    if lexer is None:
        return escape(code)
    tokens = _lex(lexer, code)
    if "".join(text for _, text in tokens) != code:  # a lexer may drop what it does not recognise
        return escape(code)
    html = []
    for name, group in groupby(tokens, key=lambda token: token[0]):
        text = escape("".join(text for _, text in group))
        html.append(f'<span class="tok-{name}">{text}</span>' if name else text)
    return "".join(html)


def _lex(lexer: Lexer, code: str) -> list[tuple[str, str]]:
    """Class and text of each token, up to where the time limit was reached."""
    tokens: list[tuple[str, str]] = []
    until_s = time.thread_time() + _MAX_HIGHLIGHT_S
    for token_type, text in lexer.get_tokens(code):
        tokens.append((_token_class(token_type), text))
        if not len(tokens) % 16 and time.thread_time() > until_s:
            break
    return tokens


@lru_cache(maxsize=512)
def _token_class(token_type: Any) -> str:  # noqa: ANN401 - Pygments' token types have no public class
    type_name = str(token_type)
    return next((name for start, name in _CLASS_BY_TOKEN_TYPE if type_name.startswith(start)), "")


@lru_cache(maxsize=1)
def _primary_aliases() -> dict[str, str]:
    """Pygments' primary alias of each lexer, by all its aliases."""
    from pygments.lexers import get_all_lexers  # first use, not import

    lexers = (aliases for _, aliases, _, _ in get_all_lexers(plugins=False) if aliases)
    return {alias: aliases[0] for aliases in lexers for alias in aliases}


@lru_cache(maxsize=64)
def _lexer(language: str) -> Lexer | None:
    from pygments.lexers import get_lexer_by_name  # first use, not import

    name = _primary_aliases().get(_ALIASES.get(language, language), "")
    if name not in _LEXER_NAMES.split():
        return None
    lexer: Lexer = get_lexer_by_name(name, stripnl=False, ensurenl=False)
    return lexer


@lru_cache(maxsize=1)
def parser() -> MarkdownIt:
    """The shared parser, created at first use."""
    from markdown_it import MarkdownIt  # first use, not import

    options = {"html": False, "highlight": highlight, "maxNesting": _MAX_BLOCK_LEVEL + 2}
    markdown = MarkdownIt("commonmark", options)
    markdown.enable(["table", "strikethrough"])
    markdown.add_render_rule("image", _image_as_link)
    interrupts = ["paragraph", "reference"]
    markdown.block.ruler.at("table", _table, {"alt": interrupts})
    markdown.block.ruler.at("list", _list, {"alt": [*interrupts, "blockquote"]})
    markdown.block.ruler.at("blockquote", _quote, {"alt": [*interrupts, "blockquote", "list"]})
    markdown.core.ruler.at("inline", _inline)
    return markdown.use(math.plugin)


def _inline(state: StateCore) -> None:
    from markdown_it.token import Token

    for token in state.tokens:
        if token.type != "inline":
            continue
        if len(token.content) > _MAX_PARAGRAPH_CHARS:
            token.children = [Token("text", "", 0, content=token.content)]
        else:
            token.children = []
            state.md.inline.parse(token.content, state.md, state.env, token.children)


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
    return silent or table(state, start, end, silent)


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
    """Keep a class only if it names a code block's language or a token class."""
    if attribute != "class":
        return value
    allowed = value in _SPAN_CLASSES if tag == "span" else _LANGUAGE_CLASS.fullmatch(value)
    return value if allowed else None
