"""JSON in an answer outside of a fence, whole, broken or cut, as indented code.

A block of JSON begins with a line such as ``{"name": "value",`` and ends with the line of its last
bracket, or with the answer. Only its first line decides, so that a growing answer and the whole one
have the same blocks.

Indenting copies each name and value character by character.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.renderer import RendererProtocol
    from markdown_it.rules_block import StateBlock
    from markdown_it.token import Token

_MAX_INDENTED_CHARS = 200_000
_MAX_COLOURED_CHARS = 50_000
_MAX_GROWTH, _FREE_CHARS = 4, 2_000  # what is nested deeply would be mostly blanks
_INDENT = "  "

_TOKEN = re.compile(r"""\s+|"(?:[^"\\\n]|\\.)*"?|[{}\[\],:]|[^\s"{}\[\],:]+""")
_OBJECT = re.compile(r"""\{\s*(?:"(?:[^"\\]|\\.)*"\s*(?::|$)|'[^']*'\s*:|\}?\s*$)""")
_ARRAY = re.compile(r"""\[\s*(?:$|[\[{"tfn\d-])""")
_ITEM = re.compile(r"""[{}\[\],:]|"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*|true|false|null""")
_FOOTNOTE = re.compile(r"\[\d{0,3}\]\s*$")
_OPENINGS, _CLOSINGS, _SEPARATORS = {"{": "}", "[": "]"}, frozenset("}]"), frozenset(",:")


def begins(line: str) -> bool:
    r"""Whether a line begins a block of JSON.

    >>> [begins(line) for line in ('{"a": 1}', "{", '[{"a": 1},', "[1, 2, 3]", "[]")]
    [True, True, True, True, False]
    >>> [begins(line) for line in ("[1] Smith", "[a](b)", '["a" b](c)', "[x]: y", "{{name}}")]
    [False, False, False, False, False]
    """
    line = line.strip()
    if _OBJECT.match(line):
        return True
    if not _ARRAY.match(line) or _FOOTNOTE.match(line):
        return False
    return not _ITEM.sub("", line).strip() and not _closes_early(line)


def _closes_early(line: str) -> bool:
    depth = 0
    for at, token in enumerate(_ITEM.findall(line)):
        if at and depth == 0:
            return True
        depth += (token in _OPENINGS) - (token in _CLOSINGS)
    return False


def may_close(line: str) -> bool:
    """Whether JSON may end with a line."""
    return line.rstrip()[-1:] in _CLOSINGS


def plugin(markdown: MarkdownIt) -> None:
    """A markdown-it plugin that parses and renders JSON."""
    markdown.block.ruler.before("table", "json", _parse)
    markdown.add_render_rule("json_block", _render)


def _parse(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    if state.level > 0 or state.sCount[start] >= 4 or not begins(_line(state, start)):
        return False
    if silent:
        return True
    last, is_closed = _last_line(state, start, end)
    token = state.push("json_block", "code", 0)
    token.content = "\n".join(_line(state, line) for line in range(start, last + 1))
    token.map, token.markup = [start, last + 1], "" if is_closed else "open"
    state.line = last + 1
    return True


def _last_line(state: StateBlock, start: int, end: int) -> tuple[int, bool]:
    """The last line of the JSON, and of the JSON in the lines below it; whether it is closed."""
    brackets: list[str] = []
    filled = start
    for line in range(start, end):
        text = _line(state, line)
        filled = line if text.strip() else filled
        _follow(text, brackets)
        if not brackets and not (line + 1 < end and begins(_line(state, line + 1))):
            return line, True
    return filled, False


def _follow(text: str, brackets: list[str]) -> None:
    """The brackets that are open after a line; a closing one also closes those that lack theirs."""
    for match in _TOKEN.finditer(text):
        token = match[0]
        if token in _OPENINGS:
            brackets.append(_OPENINGS[token])
        elif token in _CLOSINGS and brackets and (brackets[-1] == token or token in brackets):
            while brackets.pop() != token:
                pass


def _line(state: StateBlock, line: int) -> str:
    return state.src[state.bMarks[line] : state.eMarks[line]]


def _render(
    _renderer: RendererProtocol,
    tokens: Sequence[Token],
    index: int,
    _options: Any,  # noqa: ANN401 - markdown-it's own signature
    _env: Any,  # noqa: ANN401 - as above
) -> str:
    code = to_html(indented(tokens[index].content))
    return f'<pre><code class="language-json">{code}\n</code></pre>\n'


def indented(text: str) -> str:
    r"""JSON with a line for each value; as it is where it is no JSON and has lines already.

    >>> print(indented('{"a":1.10,"a":[],"b":[1e400]}'))
    {
      "a": 1.10,
      "a": [],
      "b": [
        1e400
      ]
    }
    >>> indented('{"a":\n oops}')
    '{"a":\n oops}'
    """
    text = text.strip()
    if len(text) > _MAX_INDENTED_CHARS or ("\n" in text and not _is_json(text)):
        return text
    pieces, chars, most = list[str](), 0, _MAX_GROWTH * len(text) + _FREE_CHARS
    for piece in _indented_pieces([m[0] for m in _TOKEN.finditer(text) if not m[0].isspace()]):
        pieces.append(piece)
        chars += len(piece)
        if chars > most:
            return text
    return "".join(pieces).lstrip()


def _is_json(text: str) -> bool:
    try:
        json.loads(text, parse_int=str, parse_float=str)
    except (ValueError, RecursionError):
        return False
    return True


def _indented_pieces(tokens: Sequence[str]) -> Iterator[str]:
    depth, before = 0, ":"
    for token in tokens:
        is_empty = token in _CLOSINGS and before in _OPENINGS
        depth -= token in _CLOSINGS and depth > 0
        if is_empty or token in _SEPARATORS:
            yield token
        elif token in _CLOSINGS or before in _OPENINGS or before == ",":
            yield f"\n{_INDENT * depth}{token}"
        else:
            yield f" {token}"
        depth += token in _OPENINGS
        before = token


def to_html(text: str) -> str:
    """Escaped HTML of JSON with the classes of :mod:`llm_playground.rendering.highlighting`.

    >>> to_html('{"a": null}')
    '{<span class="tok-tag">"a"</span>: <span class="tok-atom">null</span>}'
    """
    if len(text) > _MAX_COLOURED_CHARS:
        return escape(text, quote=False)
    tokens = _TOKEN.findall(text)
    html, following = list[str](), ""
    for token in reversed(tokens):
        name = _class(token, following)
        shown = escape(token, quote=False)
        html.append(f'<span class="tok-{name}">{shown}</span>' if name else shown)
        following = following if token.isspace() else token
    return "".join(reversed(html))


def _class(token: str, following: str) -> str:
    if token.startswith('"'):
        return "tag" if following == ":" else "string"
    if token in {"true", "false", "null"}:
        return "atom"
    return "number" if token[0].isdigit() or token[0] == "-" else ""
