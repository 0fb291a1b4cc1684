"""Markdown (CommonMark, tables, strikethrough, formulas) as sanitised HTML.

nh3 keeps only the tags and attributes listed here. Formulas are rebuilt by rules of their own
(``rendering.math``) and are represented by a random placeholder while the HTML is cleaned, so no
answer can forge one. Code is highlighted by Pygments with a few classes named after JupyterLab's
variables, so one rule per class colours them:
``.tok-keyword { color: var(--jp-mirror-editor-keyword-color) }``.
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Iterator, Sequence
from functools import lru_cache
from html import escape
from itertools import groupby
from typing import TYPE_CHECKING, Any, TypeAlias

from llm_playground.rendering import math

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.renderer import RendererProtocol
    from markdown_it.token import Token
    from nh3 import Cleaner
    from pygments.lexer import Lexer

References: TypeAlias = dict[str, Any]  # link definitions by label, as markdown-it keeps them

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


def parse(text: str, references: References) -> list[Token]:
    """The tokens of a text; its link definitions are added to ``references``."""
    # Lone surrogates are replaced: HTML cannot hold them.
    text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return parser().parse(text, {"references": references})


def parse_blocks(text: str) -> list[Token]:
    """The block tokens of a text without their inline content: a third of the cost of parsing."""
    tokens: list[Token] = []
    parser().block.parse(text, parser(), {}, tokens)
    return tokens


def split_blocks(tokens: Sequence[Token]) -> Iterator[list[Token]]:
    """The tokens of each top-level block."""
    block: list[Token] = []
    for token in tokens:
        block.append(token)
        if token.level == 0 and token.nesting <= 0:
            yield block
            block = []


def render(tokens: Sequence[Token]) -> str:
    """Sanitised HTML of tokens, whatever text they come from."""
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

    markdown = MarkdownIt("commonmark", {"html": False, "highlight": highlight})
    markdown.enable(["table", "strikethrough"])
    markdown.add_render_rule("image", _image_as_link)
    return markdown.use(math.plugin)


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
