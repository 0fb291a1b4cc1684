"""How much a purge would change: runs, texts, bytes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from llm_playground.retention.choice import Choice, Keep, chosen
from llm_playground.runlog import Dialect, Session

# What holds texts, by table and by what is to stay; what is compressed already counts as one.
COMPRESSED = {
    "r": ("response_text", "reasoning_text", "tool_calls", "error_detail"),
    "p": ("system_prompt", "user_prompt", "messages"),
}
_REMOVED = {
    "r": (*COMPRESSED["r"], "error_message", "texts_gz"),
    "p": (*COMPRESSED["p"], "texts_gz"),
}
_TEXTS = {"compressed": COMPRESSED, "metrics": _REMOVED, "nothing": _REMOVED}
_BYTES = {
    "duckdb": "coalesce(strlen(CAST({} AS VARCHAR)), 0)",
    "postgres": "coalesce(octet_length(CAST({} AS TEXT)), 0)",
}
_PACKED_BYTES = "coalesce(octet_length({}), 0)"
# Of which runs the prompt's text goes too.
_PROMPT_GOES = {
    "compressed": "e.prompt_id IN (SELECT id FROM purge_prompts)",
    "metrics": "e.id IN (SELECT id FROM purge_executions)",
    "nothing": "true",
}
_RUNS = """
SELECT count(*) FILTER (WHERE {every} OR texts > 0 OR prompt), sum(texts), sum(bytes) FROM (
    SELECT {texts} AS texts, {bytes} AS bytes, coalesce({goes} AND {prompt_texts} > 0, false)
        AS prompt
    FROM purge_runs x JOIN results r ON r.id = x.id
    LEFT JOIN executions e ON e.id = r.execution_id LEFT JOIN prompts p ON p.id = e.prompt_id
) AS found
"""
_PROMPTS = """
SELECT sum({texts}), sum({bytes}) FROM prompts p WHERE p.id IN (SELECT id FROM purge_prompts)
"""


@dataclass(frozen=True, slots=True)
class Survey:
    """What a purge changes.

    Args:
        runs: Runs that lose something.
        texts: Answers, prompts, tool calls, errors among it.
        bytes: How long these texts are.
        left: Runs that fit and are left alone for now.
    """

    runs: int
    texts: int
    bytes: int
    left: int


def survey(session: Session, choice: Choice, dialect: Dialect) -> Survey:
    """Count it; nothing is changed."""
    with chosen(session, choice, dialect) as left:
        return counted(session, choice.keep, dialect, left)


def counted(session: Session, keep: Keep, dialect: Dialect, left: int) -> Survey:
    """Count what the tables of :func:`chosen` name."""
    columns = _TEXTS[keep]
    sql = _RUNS.format(
        every="true" if keep == "nothing" else "false",
        goes=_PROMPT_GOES[keep],
        prompt_texts=number("p", columns["p"], dialect),
        texts=number("r", columns["r"], dialect),
        bytes=size("r", columns["r"], dialect),
    )
    prompts = _PROMPTS.format(
        texts=number("p", columns["p"], dialect), bytes=size("p", columns["p"], dialect)
    )
    [(runs, *of_runs)] = session.rows(sql)
    [of_prompts] = session.rows(prompts)
    texts, length = (int(a or 0) + int(b or 0) for a, b in zip(of_runs, of_prompts, strict=True))
    return Survey(int(runs), texts, length, left)


def number(table: str, columns: Sequence[str], dialect: Dialect) -> str:
    """SQL for how many of some columns hold a text that is not empty."""
    lengths = [_length(f"{table}.{column}", dialect) for column in columns]
    return "(" + " + ".join(f"CASE WHEN {length} > 0 THEN 1 ELSE 0 END" for length in lengths) + ")"


def size(table: str, columns: Sequence[str], dialect: Dialect) -> str:
    """SQL for how many bytes the texts in some columns have."""
    return "(" + " + ".join(_length(f"{table}.{column}", dialect) for column in columns) + ")"


def _length(column: str, dialect: Dialect) -> str:
    return (_PACKED_BYTES if column.endswith("_gz") else _BYTES[dialect]).format(column)
