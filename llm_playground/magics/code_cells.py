"""``--cell``: the code of an answer as the text of a new cell, which is never executed here."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass

from llm_playground.formatting import count
from llm_playground.redaction import printable, redact
from llm_playground.rendering.markdown import cleaned, parse_blocks

_PYTHON = frozenset({"python", "python3", "py", "ipython", "ipython3", "py3"})
# The magics of IPython that run code of another language.
_MAGICS = {
    **dict.fromkeys(("bash", "zsh", "shell"), "%%bash"),
    "sh": "%%sh",
    **dict.fromkeys(("javascript", "js"), "%%javascript"),
    "html": "%%html",
    "latex": "%%latex",
    "svg": "%%svg",
    "perl": "%%perl",
    "ruby": "%%ruby",
}


@dataclass(frozen=True, slots=True)
class NewCell:
    r"""The text of the cell, None for no cell, and what the reader must know about it, if anything.

    >>> new_cell("Run it:\n```python\nx = 1\n```\nor\n```sh\nls\n```").text
    'x = 1'
    """

    text: str | None
    note: str = ""


@dataclass(frozen=True, slots=True)
class _Fence:
    """One block of code, and its language in lower case; empty if it has none."""

    language: str
    code: str


def new_cell(answer: str) -> NewCell:
    """The cell with the code in an answer: all blocks of Python, else those of one language."""
    found = [fence for fence in _fences(answer) if fence.code.strip()]
    if not found:
        return NewCell(None, "The answer has no code in a fence, so there is no new cell.")
    if python := [fence for fence in found if _is_python(fence)]:
        return _joined(python, "")
    magic = next((_MAGICS[one.language] for one in found if one.language in _MAGICS), None)
    if magic is None:
        names = ", ".join(dict.fromkeys(fence.language or "text" for fence in found))
        note = f"The answer has code in {names}, which no cell runs, so there is no new cell."
        return NewCell(None, printable(note))
    return _joined([one for one in found if _MAGICS.get(one.language) == magic], f"{magic}\n")


def _joined(found: Sequence[_Fence], first_line: str) -> NewCell:
    text = first_line + "\n\n".join(fence.code.strip("\n") for fence in found)
    note = f"The new cell has {count(len(found), 'block')} of code." if len(found) > 1 else ""
    return NewCell(redact(text), note)  # cells are saved with the notebook


def _is_python(fence: _Fence) -> bool:
    """Whether a block is Python by its name, or, without a name, by its syntax."""
    if fence.language:
        return fence.language in _PYTHON
    try:
        ast.parse(fence.code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def _fences(markdown: str) -> list[_Fence]:
    r"""The blocks in their order, in lists and quotes too; one may end with the text.

    >>> _fences("1. a\n\n   ~~~Py\n   x = 1\n   ~~~\n")
    [_Fence(language='py', code='x = 1\n')]
    """
    return [
        _Fence(_language(token.info), token.content)
        for token in parse_blocks(cleaned(markdown))
        if token.type == "fence"
    ]


def _language(info: str) -> str:
    """The first word after a fence: ``python`` of ``{.python title="a.py"}``."""
    [word, *_] = info.strip("{} .").split() or [""]
    return word.partition(":")[0].strip(",.{}").lower()
