r"""How IPython reads ``%llm`` and ``%%llm``, so that their text reaches the magic as it is written.

IPython takes a line that ends in a question mark for a request for help, ``%llm What is 2+2?``
too, removes ``>>>`` and ``In [1]:`` from cells, also where they are part of a prompt, and ends
lines at form feeds and Unicode's line separators, which pasted texts have.
:func:`install` adds transformations that come before those; all other lines stay IPython's.

``x = %llm ...`` gets the run: the line then begins with :data:`AS_VALUE`.
"""

from __future__ import annotations

import re
import tokenize
from collections.abc import Sequence

from IPython.core.inputtransformer2 import (
    TokenTransformBase,
    TransformerManager,
    assemble_continued_line,
    find_end_of_continued_line,
)

AS_VALUE = "--as-value "
_CELL = re.compile(r"%%llm(?:\s+(?P<line>.*?))?\s*$")
_CELL_HELP = re.compile(r"%%llm\s*\?\??\s*$")
_LINE_HELP = re.compile(r"\?\??\s*$")
_LINE_MAGIC = re.compile(r"(?:^|=)\s*%llm(?:\s|$)")
_SKIPPED = {tokenize.INDENT, tokenize.DEDENT}


class PromptLine(TokenTransformBase):
    """A line ``%llm ...`` or ``x = %llm ...``, whatever it ends in."""

    priority = 1  # before IPython's request for help, which begins at the same place

    def __init__(self, start: tuple[int, int], magic_column: int) -> None:
        super().__init__(start)  # type: ignore[no-untyped-call]  # IPython's
        self._magic_column = magic_column

    @classmethod
    def find(cls, tokens_by_line: Sequence[list[tokenize.TokenInfo]]) -> PromptLine | None:
        """The first such line."""
        for tokens in tokens_by_line:
            first = next((i for i, t in enumerate(tokens) if t.type not in _SKIPPED), None)
            if first is None:
                continue
            for at in (first, _after_assignment(tokens)):
                if at is not None and _is_magic(tokens[at : at + 2], may_ask_help=at == first):
                    return cls(tokens[first].start, tokens[at].start[1])
        return None

    def transform(self, lines: list[str]) -> list[str]:
        """The lines with this one as a call."""
        before = lines[self.start_line][: self._magic_column]
        end = find_end_of_continued_line(lines, self.start_line)
        text = assemble_continued_line(lines, (self.start_line, self._magic_column), end)
        rest = text.removeprefix("%llm")
        if _LINE_HELP.match(rest):
            call = _call("pinfo", "%llm")
        else:
            call = _call("llm", (AS_VALUE if before.strip() else "") + rest.lstrip())
        return [*lines[: self.start_line], f"{before}{call}\n", *lines[end + 1 :]]


def _after_assignment(tokens: Sequence[tokenize.TokenInfo]) -> int | None:
    """The place after the first ``=`` outside brackets."""
    depth = 0
    for at, token in enumerate(tokens):
        if token.string in {"(", "[", "{"}:
            depth += 1
        elif token.string in {")", "]", "}"}:
            depth -= 1
        elif token.string == "=" and depth <= 0:
            return at + 1
    return None


def _is_magic(tokens: Sequence[tokenize.TokenInfo], *, may_ask_help: bool) -> bool:
    """Whether two tokens are ``%llm``, with a blank or the line's end after it."""
    if [token.string for token in tokens] != ["%", "llm"] or tokens[0].end != tokens[1].start:
        return False
    rest = tokens[1].line[tokens[1].end[1] :]
    return not rest or rest[0].isspace() or (may_ask_help and _LINE_HELP.match(rest) is not None)


def prompt_cell(lines: list[str]) -> list[str]:
    """A cell ``%%llm`` as a call with its text unchanged; other cells as they are."""
    first = next((i for i, line in enumerate(lines) if line.strip()), None)
    if first is None:
        return lines
    if _CELL_HELP.match(lines[first]):
        return [_call("pinfo", "%%llm") + "\n", *lines[first + 1 :]]
    found = _CELL.match(lines[first])
    if found is None:
        return lines
    body = "".join(lines[first + 1 :])
    return [f"get_ipython().run_cell_magic('llm', {found['line'] or ''!r}, {body!r})\n"]


# IPython then leaves it out where it decides whether an input is complete.
prompt_cell.has_side_effects = True  # type: ignore[attr-defined]  # IPython's protocol


def whole_lines(lines: list[str]) -> list[str]:
    """The lines, with each prompt of a line in one piece: what follows must not run as Python."""
    whole: list[str] = []
    for line in lines:
        if whole and not whole[-1].endswith(("\n", "\r")) and _LINE_MAGIC.search(whole[-1]):
            whole[-1] += line
        else:
            whole.append(line)
    return whole


def _call(magic: str, line: str) -> str:
    return f"get_ipython().run_line_magic({magic!r}, {line!r})"


def install(manager: TransformerManager) -> None:
    """Add the transformations, before IPython's own; once, however often it is called."""
    remove(manager)
    manager.cleanup_transforms.insert(0, prompt_cell)
    manager.line_transforms.append(whole_lines)  # after the cleanup, which splits lines again
    manager.token_transformers.insert(0, PromptLine)


def remove(manager: TransformerManager) -> None:
    """Remove the transformations."""
    manager.cleanup_transforms[:] = [t for t in manager.cleanup_transforms if t is not prompt_cell]
    manager.line_transforms[:] = [t for t in manager.line_transforms if t is not whole_lines]
    manager.token_transformers[:] = [t for t in manager.token_transformers if t is not PromptLine]
