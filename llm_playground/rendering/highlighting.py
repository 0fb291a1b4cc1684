"""Code in an answer as HTML with a few classes named after JupyterLab's variables.

One rule per class colours them: ``.tok-keyword { color: var(--jp-mirror-editor-keyword-color) }``.
"""

from __future__ import annotations

import time
from functools import lru_cache
from html import escape
from itertools import groupby
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pygments.lexer import Lexer

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


def highlight(code: str, language: str) -> str:
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
