"""Runs as Markdown for people: by prompt, each answer in a fence that it cannot break out of."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import groupby

from llm_playground.exporting import said
from llm_playground.exporting.columns import Row

_SPECIAL = re.compile(r"[\\`*_\[\]<>#|~&$@!{}]")
_LONGEST_HEADING = 80


def text(rows: Iterable[Row]) -> str:
    """A part for each prompt: its texts, its parameters as a table, its answers."""
    parts = [_part(list(group)) for _, group in groupby(rows, _asked)]
    return "\n".join(parts) if parts else "No runs.\n"


def fenced(content: str) -> str:
    """Text in a fence longer than any in it.

    >>> print(fenced("```"))
    ````text
    ```
    ````
    """
    longest = max((len(run) for run in re.findall("`+", content)), default=0)
    fence = "`" * max(longest + 1, 3)
    return f"{fence}text\n{content.rstrip()}\n{fence}"


def escaped(content: object) -> str:
    r"""Text on one line in which nothing is Markdown.

    >>> print(escaped("a <b> | *c*"))
    a \<b\> \| \*c\*
    """
    return _SPECIAL.sub(r"\\\g<0>", " ".join(str(content).split()))


def table(head: Sequence[str], lines: Iterable[Sequence[object]]) -> str:
    """A table of texts."""
    rows = [head, ["---"] * len(head)]
    cells = [*(rows), *([escaped(cell) for cell in line] for line in lines)]
    return "\n".join(f"| {' | '.join(line)} |" for line in cells)


def answer(row: Row, level: int, number: int | None = None) -> str:
    """An answer with what is said of it, under a heading of ``level`` signs."""
    place = row["iteration_number"] if number is None else number
    name = f"{escaped(row['model'] or 'model unknown')} · answer {place or 1}"
    origin = " · ".join(escaped(part) for part in _origin(row))
    parts = [
        f"{'#' * level} {name}",
        fenced(row["response_text"]) if row["response_text"] else "",
        "\n".join(f"- {escaped(notice)}" for notice in said.notices(row)),
        escaped(said.footnote(row)),
        origin,
    ]
    return "\n\n".join(part for part in parts if part)


def question(system: str | None, user: str | None) -> list[str]:
    """The prompt's texts, each in a fence."""
    named = (("System prompt", system), ("User prompt", user))
    return [f"**{name}**\n\n{fenced(content)}" for name, content in named if content]


def heading(content: str | None) -> str:
    """The start of a prompt, on one line."""
    line = " ".join((content or "").split())
    cut = line if len(line) <= _LONGEST_HEADING else f"{line[: _LONGEST_HEADING - 1]}…"
    return escaped(cut) or "A run without its prompt"


def _asked(row: Row) -> tuple[object, ...]:
    return row["system_prompt"], row["user_prompt"], row["parameters"]


def _part(rows: Sequence[Row]) -> str:
    first = rows[0]
    settings = said.settings(first["parameters"])
    parts = [
        f"# {heading(first['user_prompt'])}",
        *question(first["system_prompt"], first["user_prompt"]),
        table(("parameter", "value"), settings) if settings else "No parameter was set.",
        *(answer(row, 2) for row in rows),
    ]
    return "\n\n".join(parts) + "\n"


def _origin(row: Row) -> list[str]:
    known = (said.when(row), row["username"], row["notebook"], f"run {row['run_id']}")
    return [part for part in known if part]
