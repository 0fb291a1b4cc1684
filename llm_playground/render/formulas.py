r"""Where in Markdown a formula is: ``$…$``, ``$$…$$``, ``\(…\)`` and ``\[…\]``.

For dollars the rules of pandoc hold, so that "$5 and $10" are amounts: the next dollar ends the
formula, nothing blank is after the first, nothing blank before the second and no digit after it. A
formula on lines of its own has no empty line in it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

from llm_playground.render import mathml

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.renderer import RendererProtocol
    from markdown_it.rules_block import StateBlock
    from markdown_it.rules_inline import StateInline
    from markdown_it.token import Token

_MOST_LINES = 100  # of a formula


@dataclass(frozen=True, slots=True)
class Delimiters:
    """What begins and ends a formula; ``ending`` is a pattern."""

    opening: str
    closing: str
    ending: re.Pattern[str]
    display: str


DELIMITERS = (
    Delimiters("$$", "$$", re.compile(r"(?<!\\)\$\$"), "block"),
    Delimiters("$", "$", re.compile(r"(?<!\\)\$"), "inline"),
    Delimiters(r"\(", r"\)", re.compile(r"(?<!\\)\\\)"), "inline"),
    Delimiters(r"\[", r"\]", re.compile(r"(?<!\\)\\\]"), "block"),
)
_BY_OPENING = {delimiters.opening: delimiters for delimiters in DELIMITERS}
_OF_BLOCKS = tuple(delimiters for delimiters in DELIMITERS if delimiters.display == "block")


def add_to(markdown: MarkdownIt) -> None:
    """Make a parser know formulas."""
    markdown.inline.ruler.before("escape", "formula", _in_line)
    ended_by_it = ["paragraph", "reference", "blockquote", "list"]
    markdown.block.ruler.before("fence", "formula", _on_lines, {"alt": ended_by_it})
    markdown.add_render_rule("formula", _rendered)
    markdown.add_render_rule("formula_block", _rendered_block)


def opens_block(line: str) -> bool:
    r"""Whether a formula on lines of its own may begin here.

    >>> opens_block("  $$"), opens_block(r"\[ x"), opens_block("$x$")
    (True, True, False)
    """
    return line.lstrip().startswith(tuple(each.opening for each in _OF_BLOCKS))


def closes_block(line: str) -> bool:
    r"""Whether a formula on lines of its own may end here.

    >>> closes_block("x $$"), closes_block(r"\]"), closes_block("$x$")
    (True, True, False)
    """
    return line.rstrip().endswith(tuple(each.closing for each in _OF_BLOCKS))


def _in_line(state: StateInline, silent: bool) -> bool:
    start = state.pos
    if state.src[start] not in "$\\":
        return False
    delimiters = _BY_OPENING.get(state.src[start : start + 2]) or _BY_OPENING.get(state.src[start])
    if delimiters is None:
        return False
    begin = start + len(delimiters.opening)
    end = _end(state, delimiters, begin)
    after = end + len(delimiters.closing)
    if after > state.posMax or not _plausible(delimiters, state.src, begin, end):
        return False
    if not silent:
        _fill(state.push("formula", "math", 0), delimiters, state.src[begin:end])
    state.pos = after
    return True


def _plausible(delimiters: Delimiters, text: str, begin: int, end: int) -> bool:
    if delimiters.opening != "$":
        return not text[begin:end].isspace() and begin < end
    blank = text[begin].isspace() or text[end - 1].isspace()
    return not blank and not text[end + 1 : end + 2].isdigit()


def _end(state: StateInline, delimiters: Delimiters, begin: int) -> int:
    """Where the next closing delimiter is, past the text when there is none.

    It is remembered: a text of nothing but opening delimiters is not searched for each of them.
    """
    known: dict[str, Any] = state.env.setdefault("endings", {})
    if known.get("text") is not state.src:
        known.clear()
        known["text"] = state.src
    since, end = known.get(delimiters.opening, (0, -1))
    if not since <= begin <= end:
        found = delimiters.ending.search(state.src, begin)
        end = found.start() if found else len(state.src)
        known[delimiters.opening] = (begin, end)
    return int(end)


def _on_lines(state: StateBlock, start_line: int, end_line: int, silent: bool) -> bool:
    if state.sCount[start_line] - state.blkIndent >= 4:  # code
        return False
    first = _line(state, start_line)
    delimiters = next((each for each in _OF_BLOCKS if first.startswith(each.opening)), None)
    if delimiters is None:
        return False
    last = _last_line(state, delimiters, start_line, min(end_line, start_line + _MOST_LINES))
    if last is None:
        return False
    if not silent:
        lines = [_line(state, line) for line in range(start_line, last + 1)]
        text = "\n".join(lines).rstrip()
        token = state.push("formula_block", "math", 0)
        latex = text[len(delimiters.opening) : -len(delimiters.closing)]
        _fill(token, delimiters, latex)
        token.map = [start_line, last + 1]
        state.line = last + 1
    return True


def _last_line(state: StateBlock, delimiters: Delimiters, first: int, end: int) -> int | None:
    """The line on which the formula ends and nothing follows; None when there is none."""
    skipped = len(delimiters.opening)
    for line in range(first, end):
        text = _line(state, line)
        if not text or (line > first and state.sCount[line] < state.blkIndent):
            return None
        found = delimiters.ending.search(text, skipped)
        if found:
            empty = line == first and not text[skipped : found.start()].strip()
            return None if empty or text[found.end() :].strip() else line
        skipped = 0
    return None


def _line(state: StateBlock, line: int) -> str:
    return state.src[state.bMarks[line] + state.tShift[line] : state.eMarks[line]]


def _fill(token: Token, delimiters: Delimiters, latex: str) -> None:
    token.markup = delimiters.opening
    token.content = latex


def _mathml(token: Token) -> str | None:
    return mathml.of_latex(token.content, _BY_OPENING[token.markup].display)


def _source(token: Token) -> str:
    return f"{token.markup}{token.content}{_BY_OPENING[token.markup].closing}"


def _placed(formula: str, env: Any) -> str:  # noqa: ANN401 - markdown-it's own signature
    env["formulas"].append(formula)
    return f"{env['mark']}:{len(env['formulas']) - 1};"


def _rendered(
    _renderer: RendererProtocol,
    tokens: Sequence[Token],
    index: int,
    _options: Any,  # noqa: ANN401 - markdown-it's own signature
    env: Any,  # noqa: ANN401 - as above
) -> str:
    formula = _mathml(tokens[index])
    return (
        f"<code>{escape(_source(tokens[index]))}</code>"
        if formula is None
        else _placed(formula, env)
    )


def _rendered_block(
    _renderer: RendererProtocol,
    tokens: Sequence[Token],
    index: int,
    _options: Any,  # noqa: ANN401 - markdown-it's own signature
    env: Any,  # noqa: ANN401 - as above
) -> str:
    formula = _mathml(tokens[index])
    if formula is None:
        return f'<pre><code class="language-latex">{escape(_source(tokens[index]))}</code></pre>\n'
    return f"<p>{_placed(formula, env)}</p>\n"
