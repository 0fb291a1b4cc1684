"""Which runs are purged, and with them which executions and prompts that nobody else needs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from llm_playground.reports.filters import Condition, Filters, condition
from llm_playground.runlog import Dialect, Session

Keep = Literal["compressed", "metrics", "nothing"]

_NOT_ELSEWHERE = {
    "duckdb": "NOT list_contains($elsewhere, r.id)",
    "postgres": "r.id <> ALL($elsewhere)",
}
_MAKE = (
    "CREATE TEMP TABLE purge_runs (id VARCHAR, execution_id VARCHAR)",
    "CREATE TEMP TABLE purge_executions (id VARCHAR, prompt_id VARCHAR)",
    "CREATE TEMP TABLE purge_prompts (id VARCHAR)",
)
_DROP = tuple(f"DROP TABLE {name}" for name in ("purge_runs", "purge_executions", "purge_prompts"))
_ALL = (
    "SELECT count(*) FROM results r LEFT JOIN executions e ON e.id = r.execution_id WHERE {where}"
)
_RUNS = """
INSERT INTO purge_runs SELECT r.id, r.execution_id
FROM results r LEFT JOIN executions e ON e.id = r.execution_id
WHERE r.status IS DISTINCT FROM 'running' AND {where}
"""
# Executions of which no run stays.
_EXECUTIONS = """
INSERT INTO purge_executions SELECT e.id, e.prompt_id
FROM executions e JOIN (
    SELECT r.execution_id FROM results r
    LEFT JOIN purge_runs x ON x.id = r.id
    WHERE r.execution_id IN (SELECT execution_id FROM purge_runs)
    GROUP BY r.execution_id HAVING count(*) = count(x.id)
) AS whole ON whole.execution_id = e.id
"""
# Prompts that no other execution sent, and nobody saved under a name.
_PROMPTS = """
INSERT INTO purge_prompts SELECT e.prompt_id
FROM executions e LEFT JOIN purge_executions x ON x.id = e.id
WHERE e.prompt_id IN (SELECT prompt_id FROM purge_executions)
  AND e.prompt_id NOT IN (SELECT prompt_id FROM prompt_versions WHERE prompt_id IS NOT NULL)
GROUP BY e.prompt_id HAVING count(*) = count(x.id)
"""
# Which pictures are shown must stay to be seen, so that no other is taken for one.
_NO_PICTURES = """
DELETE FROM purge_prompts WHERE id IN (
    SELECT id FROM prompts WHERE CAST(messages AS VARCHAR) LIKE '%"sha256"%')
"""


@dataclass(frozen=True, slots=True)
class Choice:
    """Which runs, and what of them is to stay. What is None chooses nothing.

    Args:
        keep: ``compressed`` texts, ``metrics`` or ``nothing``.
        before: Those that began before this moment.
        user: Those of one user.
        tag: Those of executions with a tag.
        run: The one with this id.
        elsewhere: Those that other processes' journals would bring back: left alone.
    """

    keep: Keep
    before: datetime | None
    user: str | None
    tag: str | None
    run: str | None
    elsewhere: Sequence[str] = ()

    def where(self, dialect: Dialect) -> Condition:
        """The condition on ``r`` (results) and ``e`` (executions)."""
        given: Filters = {"user": self.user, "tag": self.tag, "until": self.before}
        found = condition(given, dialect)
        values: dict[str, Any] = dict(found.values)
        if self.run is None:
            return found
        return Condition(f"{found.sql} AND r.id = $run", values | {"run": self.run}, found.tables)


@contextmanager
def chosen(session: Session, choice: Choice, dialect: Dialect) -> Iterator[int]:
    """Temporary tables ``purge_runs``, ``purge_executions`` and ``purge_prompts`` for a ``with``.

    Gives how many runs the choice fits and leaves alone: they are still running, or another
    process's journal would bring them back.
    """
    where = choice.where(dialect)
    for statement in _MAKE:
        session.execute(statement)
    [(fitting,)] = session.rows(_ALL.format(where=where.sql), where.values)
    sql, values = where.sql, dict(where.values)
    if choice.elsewhere:
        sql, values["elsewhere"] = f"{sql} AND {_NOT_ELSEWHERE[dialect]}", list(choice.elsewhere)
    taken = session.execute(_RUNS.format(where=sql), values)
    session.execute(_EXECUTIONS)
    session.execute(_PROMPTS)
    if choice.keep == "compressed":
        session.execute(_NO_PICTURES)
    yield int(fitting) - taken
    for statement in _DROP:
        session.execute(statement)
