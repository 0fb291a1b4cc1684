"""Code in colours: Pygments' tokens as spans of a few classes, without a style of their own.

The classes are named after JupyterLab's variables, so that one rule per class colours them:
``.tok-keyword { color: var(--jp-mirror-editor-keyword-color) }``.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from functools import lru_cache
from html import escape
from itertools import groupby
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pygments.lexer import Lexer

_LONGEST = 50_000  # characters: 50 to 200 ms of work
_LONGEST_LINE = 1_000  # some lexers are quadratic within a line, in one step that none can stop
_MOST_S = 0.3  # of this thread's time: a lexer may be quadratic on what somebody thought out for it

# A class for each kind of token, by the start of Pygments' name for it; the first that fits.
_KINDS_OF_TOKENS = (
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
KINDS = frozenset(kind for _, kind in _KINDS_OF_TOKENS)

# Lexers are regular expressions, and an answer chooses both which and on what: only those that
# stay quick on hostile text of the longest size are here, by the first of Pygments' names.
_LEXERS = frozenset(
    {
        *("bash", "batch", "c", "clojure", "cmake", "console", "cpp", "csharp", "css", "dart"),
        *("diff", "docker", "elixir", "erlang", "fortran", "fsharp", "go", "graphql", "groovy"),
        *("haskell", "html", "http", "ini", "java", "javascript", "json", "julia", "kotlin"),
        *("lua", "make", "markdown", "mysql", "nginx", "objective-c", "ocaml", "octave", "perl"),
        *(
            "php",
            "postgresql",
            "powershell",
            "protobuf",
            "pycon",
            "pytb",
            "python",
            "restructuredtext",
            "ruby",
        ),
        *("rust", "scss", "splus", "sql", "swift", "terraform", "tex", "toml"),
        *("typescript", "xml", "yaml", "zig"),
    }
)
# Other names; Pygments' own lexer of Matlab is one that does not stay quick.
_ALSO = {
    "jsx": "javascript",
    "tsx": "typescript",
    "jsonc": "json",
    "jsonl": "json",
    "yml": "yaml",
    "matlab": "octave",
}


def highlighted(code: str, language: str, _attributes: str = "") -> str:
    """HTML of ``code``, without colours where the language is not known or it is very long.

    >>> highlighted("x = 1", "python")
    'x <span class="tok-operator">=</span> <span class="tok-number">1</span>'
    >>> highlighted("x < 1", "")
    'x &lt; 1'
    """
    lexer = None if _too_long(code) else _lexer(language[:40].lower())
    if lexer is None:
        return escape(code)
    pieces = _pieces(lexer, code)
    if "".join(text for _, text in pieces) != code:  # a lexer may drop what it does not know
        return escape(code)
    return "".join(_span(kind, text) for kind, text in _joined(pieces))


def _too_long(code: str) -> bool:
    return len(code) > _LONGEST or max(map(len, code.split("\n"))) > _LONGEST_LINE


def _pieces(lexer: Lexer, code: str) -> list[tuple[str, str]]:
    """Kind and text of each token; of less than the code when it takes too long."""
    pieces: list[tuple[str, str]] = []
    until_s = time.thread_time() + _MOST_S
    for token, text in lexer.get_tokens(code):
        pieces.append((_kind(token), text))
        if not len(pieces) % 16 and time.thread_time() > until_s:
            break
    return pieces


def _joined(pieces: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    for kind, group in groupby(pieces, key=lambda piece: piece[0]):
        yield kind, "".join(text for _, text in group)


def _span(kind: str, text: str) -> str:
    return f'<span class="tok-{kind}">{escape(text)}</span>' if kind else escape(text)


@lru_cache(maxsize=512)
def _kind(token: Any) -> str:  # noqa: ANN401 - Pygments' token types have no public class
    name = str(token)
    return next((kind for start, kind in _KINDS_OF_TOKENS if name.startswith(start)), "")


@lru_cache(maxsize=1)
def _names() -> dict[str, str]:
    """Pygments' first name of a lexer, by all its names."""
    from pygments.lexers import get_all_lexers  # first use, not import

    rows = (aliases for _, aliases, _, _ in get_all_lexers(plugins=False) if aliases)
    return {alias: aliases[0] for aliases in rows for alias in aliases}


@lru_cache(maxsize=64)
def _lexer(language: str) -> Lexer | None:
    from pygments.lexers import get_lexer_by_name  # first use, not import

    name = _names().get(_ALSO.get(language, language), "")
    if name not in _LEXERS:
        return None
    lexer: Lexer = get_lexer_by_name(name, stripnl=False, ensurenl=False)
    return lexer
