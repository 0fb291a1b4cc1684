"""``lp.purge``: compress or remove texts of old runs, or remove runs. Metrics may stay.

The runs to purge, and the executions and prompts that only they use, are selected into temporary
tables. The effect is counted first; unless it is a dry run, the texts are then compressed in
batches, or texts or rows are deleted in one transaction. Saved prompts and the audit log stay.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Literal, get_args

from llm_playground import _validation, config
from llm_playground.budgeting.carrying import keeping_spent
from llm_playground.config import options
from llm_playground.errors import InvalidParameterError, RunLogError
from llm_playground.reports.query import Condition, Filters, condition
from llm_playground.runlog import copies, definitions, open_log
from llm_playground.runlog.log import RunLog
from llm_playground.runlog.rows import pack, unpack
from llm_playground.runlog.store import Dialect, Session
from llm_playground.types import Run

if TYPE_CHECKING:
    import pandas as pd

Keep = Literal["compressed", "metrics", "nothing"]

_DEFAULT_AGE = "90d"
_AGE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([hdw])\s*")
_HOURS = {"h": 1, "d": 24, "w": 168}
_MAX_AGE = timedelta(days=365_000)
# The largest batch that is compressed in one transaction; other processes write in between.
_BATCH_ROWS, _BATCH_BYTES = 1_000, 8 << 20
_RUN = "SELECT id FROM results WHERE id = $run"


def purge(
    older_than: str | timedelta | None = None,
    keep: Keep = "compressed",
    *,
    user: str | None = None,
    tag: str | None = None,
    run: Run | str | None = None,
    dry_run: bool = True,
) -> pd.DataFrame:
    """Compress or remove texts, or remove runs. By default it only reports what it would do.

    Prompts that other runs use, or that are saved under a name, stay. The audit log stays. With
    ``user`` and ``keep="nothing"``, and no ``older_than``, that user's ratings and presets are
    removed too. Afterwards the database is compacted.

    Args:
        older_than: ``"90d"``, ``"12h"``, ``"2w"``, or a timedelta. None means 90 days, or any age
            if a user, tag or run is given.
        keep: ``compressed`` compresses texts, which ``lp.runs`` still shows; ``metrics`` keeps
            tokens, costs, times and hashes; ``nothing`` removes the runs.
        user: Only this user's runs.
        tag: Only runs with this tag.
        run: Only this run, or the run with this id.
        dry_run: False makes the changes.

    Returns:
        One row: ``keep``, ``before`` (the moment), ``runs``, ``texts`` and ``bytes`` that change,
        ``left`` (matching runs that are still running, or are in another process's journal: purge
        again later), ``given_back_bytes`` (freed disk space, NA for a dry run), ``copies`` (files
        with texts, which are not changed: backups, files set aside or copied before a migration,
        what killed processes left, rows and attachments that the database refused, and saved forms
        of panels), ``done``.

    Raises:
        InvalidParameterError: An argument is invalid, or there is no such run.
        RunLogError: The log cannot be read or written, or this user lacks the permission.

    Example:
        >>> purge("90d").done.tolist()
        [False]
    """
    import pandas as pd  # first use, not import

    _validation.one_of("keep", keep, get_args(Keep))
    if not isinstance(dry_run, bool):
        raise InvalidParameterError(
            f"dry_run takes True or False; got {_validation.short_repr(dry_run)}."
        )
    log = open_log()
    has_filter = any(value is not None for value in (user, tag, run))
    age = _age(older_than if older_than is not None or has_filter else _DEFAULT_AGE)
    selection = Selection(
        log.dialect,
        keep,
        before=None if age is None else datetime.now(UTC) - age,
        user=_text("user", user),
        tag=_text("tag", tag),
        run=run.id if isinstance(run, Run) else _text("run", run),
        elsewhere=log.elsewhere(),
    )
    if selection.run is not None and not log.rows(_RUN, {"run": selection.run}):
        raise InvalidParameterError(f"There is no run {selection.run}. lp.runs() lists all.")
    survey = log.change(partial(_survey, selection=selection))
    drafts = map(str, config.drafts_folder().resolve().glob("*.json"))
    freed_bytes = None if dry_run else _apply(log, selection, survey)
    row = {
        "keep": keep,
        "before": pd.NaT if selection.before is None else pd.Timestamp(selection.before),
        "runs": survey.runs,
        "texts": survey.texts,
        "bytes": survey.bytes,
        "left": survey.left,
        "given_back_bytes": pd.array([freed_bytes], dtype="Int64")[0],
        "copies": ", ".join(sorted({*copies(log), *drafts})),
        "done": not dry_run,
    }
    return pd.DataFrame([row]).astype({"given_back_bytes": "Int64"})


def _text(name: str, value: object) -> str | None:
    return None if value is None else _validation.text(name, value)


def _age(older_than: object) -> timedelta | None:
    if older_than is None:
        return None
    if isinstance(older_than, timedelta) and timedelta() <= older_than <= _MAX_AGE:
        return older_than
    match = _AGE.fullmatch(older_than) if isinstance(older_than, str) else None
    if match is None:
        raise InvalidParameterError(
            f"older_than is {_validation.short_repr(older_than)}; "
            'it takes "90d", "12h", "2w" or a timedelta.'
        )
    hours = float(match[1]) * _HOURS[match[2]]
    if not hours <= _MAX_AGE / timedelta(hours=1):
        shown = _validation.short_repr(older_than)
        raise InvalidParameterError(f"older_than is {shown}: too long.")
    return timedelta(hours=hours)


def _apply(log: RunLog, selection: Selection, survey: Survey) -> int:
    """Write an audit entry, make the changes, compact the log; the freed disk space in bytes."""
    filters = {name: getattr(selection, name) for name in ("before", "user", "tag", "run")}
    target = ", ".join(f"{name} {value}" for name, value in filters.items() if value is not None)
    detail = {"keep": selection.keep, "runs": survey.runs}
    options.record("purge", target, detail | {"texts": survey.texts, "bytes": survey.bytes})
    try:
        if selection.keep == "compressed":
            _compress(log, selection)
        else:
            log.change(partial(_delete, selection=selection))
    except RunLogError as error:
        options.record("purge_failed", target, {"error": str(error)})
        raise
    try:
        if selection.keep != "compressed":
            log.change(partial(definitions.remove_unused, dialect=log.dialect))
        return log.compact()
    except RunLogError as error:
        raise RunLogError(
            f"Purged, but the log could not be compacted ({error}). Removed data, and unused tools "
            "and schemas, may remain in its file; call lp.purge again to retry."
        ) from error


_NOT_ELSEWHERE = {
    "duckdb": "NOT list_contains($elsewhere, r.id)",
    "postgres": "r.id <> ALL($elsewhere)",
}
_TEMPORARY = {
    "purge_runs": "id VARCHAR, execution_id VARCHAR",
    "purge_executions": "id VARCHAR, prompt_id VARCHAR",
    "purge_prompts": "id VARCHAR",
}
_COUNT_MATCHING = (
    "SELECT count(*) FROM results r LEFT JOIN executions e ON e.id = r.execution_id WHERE {where}"
)
_SELECT_RUNS = """
INSERT INTO purge_runs SELECT r.id, r.execution_id
FROM results r LEFT JOIN executions e ON e.id = r.execution_id
WHERE r.status IS DISTINCT FROM 'running' AND {where}
"""
# Executions all of whose runs are selected.
_SELECT_EXECUTIONS = """
INSERT INTO purge_executions SELECT e.id, e.prompt_id
FROM executions e JOIN (
    SELECT r.execution_id FROM results r LEFT JOIN purge_runs x ON x.id = r.id
    WHERE r.execution_id IN (SELECT execution_id FROM purge_runs)
    GROUP BY r.execution_id HAVING count(*) = count(x.id)
) AS whole ON whole.execution_id = e.id
"""
# Prompts all of whose executions are selected, and that are not saved under a name.
_SELECT_PROMPTS = """
INSERT INTO purge_prompts SELECT e.prompt_id
FROM executions e LEFT JOIN purge_executions x ON x.id = e.id
WHERE e.prompt_id IN (SELECT prompt_id FROM purge_executions)
  AND e.prompt_id NOT IN (SELECT prompt_id FROM prompt_versions WHERE prompt_id IS NOT NULL)
GROUP BY e.prompt_id HAVING count(*) = count(x.id)
"""
# Not compressed, so that SQL finds the hashes of used attachments: prompts with these in the text
# only, as of another program or an earlier version, and answers with pictures.
_UNSELECT = (
    "DELETE FROM purge_prompts WHERE id IN (SELECT id FROM prompts"
    " WHERE attachments IS NULL AND CAST(messages AS VARCHAR) LIKE '%\"sha256\"%')",
    "DELETE FROM purge_runs WHERE id IN"
    " (SELECT id FROM results WHERE CAST(parts AS VARCHAR) LIKE '%\"sha256\"%')",
)


@dataclass(frozen=True, slots=True)
class Selection:
    """Which runs are purged, and what of them stays. A filter of None matches all runs."""

    dialect: Dialect
    keep: Keep
    before: datetime | None  # runs that began before this moment
    user: str | None
    tag: str | None  # of the execution
    run: str | None  # its id
    # Runs in the journals of other processes, which would restore them: not purged.
    elsewhere: Sequence[str] = ()

    def where(self) -> Condition:
        """The condition on ``r`` (results) and ``e`` (executions)."""
        filters: Filters = {"user": self.user, "tag": self.tag, "until": self.before}
        found = condition(filters, self.dialect)
        if self.run is None:
            return found
        values = {**found.values, "run": self.run}
        return Condition(f"{found.sql} AND r.id = $run", values, found.tables)


@contextmanager
def _selected(session: Session, selection: Selection) -> Iterator[int]:
    """Fill the tables ``purge_runs``, ``purge_executions`` and ``purge_prompts`` for a block.

    Yields how many matching runs are left out: they are still running, or another process's journal
    would restore them.
    """
    where = selection.where()
    for table, columns in _TEMPORARY.items():
        session.execute(f"CREATE TEMP TABLE {table} ({columns})")
    [(matching,)] = session.rows(_COUNT_MATCHING.format(where=where.sql), where.values)
    sql, values = where.sql, dict(where.values)
    if selection.elsewhere:
        sql = f"{sql} AND {_NOT_ELSEWHERE[selection.dialect]}"
        values["elsewhere"] = list(selection.elsewhere)
    selected = session.execute(_SELECT_RUNS.format(where=sql), values)
    session.execute(_SELECT_EXECUTIONS)
    session.execute(_SELECT_PROMPTS)
    for statement in _UNSELECT if selection.keep == "compressed" else ():
        session.execute(statement)
    yield int(matching) - selected
    for table in _TEMPORARY:
        session.execute(f"DROP TABLE {table}")


# The columns with texts, by table alias. A text that is compressed already counts when removed.
_COMPRESSED = {
    "r": ("response_text", "reasoning_text", "tool_calls", "parts", "sources", "error_detail"),
    "p": ("system_prompt", "user_prompt", "messages"),
}
_REMOVED = {
    "r": (*_COMPRESSED["r"], "stop_sequence", "error_message", "texts_gz"),
    "p": (*_COMPRESSED["p"], "texts_gz"),
}
_TEXT_BYTES = {
    "duckdb": "coalesce(strlen(CAST({} AS VARCHAR)), 0)",
    "postgres": "coalesce(octet_length(CAST({} AS TEXT)), 0)",
}
_PACKED_BYTES = "coalesce(octet_length({}), 0)"
# The runs that lose the text of their prompt.
_PROMPT_GOES = {
    "compressed": "e.prompt_id IN (SELECT id FROM purge_prompts)",
    "metrics": "e.id IN (SELECT id FROM purge_executions)",
    "nothing": "true",
}
_COUNT_RUNS = """
SELECT count(*) FILTER (WHERE {every} OR texts > 0 OR prompt), sum(texts), sum(bytes) FROM (
    SELECT {texts} AS texts, {bytes} AS bytes, coalesce({goes} AND {prompt_texts} > 0, false)
        AS prompt
    FROM purge_runs x JOIN results r ON r.id = x.id
    LEFT JOIN executions e ON e.id = r.execution_id LEFT JOIN prompts p ON p.id = e.prompt_id
) AS found
"""
_COUNT_PROMPTS = """
SELECT sum({texts}), sum({bytes}) FROM prompts p WHERE p.id IN (SELECT id FROM purge_prompts)
"""


@dataclass(frozen=True, slots=True)
class Survey:
    """What a purge changes."""

    runs: int  # that lose something
    texts: int  # the number of their answers, prompts, tool calls and errors
    bytes: int  # the size of these texts
    left: int  # matching runs that are not purged now


def _survey(session: Session, selection: Selection) -> Survey:
    """Count what a purge would change; nothing is changed."""
    keep, dialect = selection.keep, selection.dialect
    columns = _COMPRESSED if keep == "compressed" else _REMOVED
    texts, size = _count_and_size("r", columns["r"], dialect)
    prompt_texts, prompt_size = _count_and_size("p", columns["p"], dialect)
    count_runs = _COUNT_RUNS.format(
        every="true" if keep == "nothing" else "false",
        goes=_PROMPT_GOES[keep],
        prompt_texts=prompt_texts,
        texts=texts,
        bytes=size,
    )
    count_prompts = _COUNT_PROMPTS.format(texts=prompt_texts, bytes=prompt_size)
    with _selected(session, selection) as left:
        [(runs, *of_runs)] = session.rows(count_runs)
        [of_prompts] = session.rows(count_prompts)
    total, total_bytes = (
        int(a or 0) + int(b or 0) for a, b in zip(of_runs, of_prompts, strict=True)
    )
    return Survey(int(runs), total, total_bytes, left)


def _count_and_size(table: str, columns: Sequence[str], dialect: Dialect) -> tuple[str, str]:
    """SQL for the number of texts in some columns that are not empty, and their size in bytes."""
    forms = [_PACKED_BYTES if name.endswith("_gz") else _TEXT_BYTES[dialect] for name in columns]
    sizes = [form.format(f"{table}.{name}") for form, name in zip(forms, columns, strict=True)]
    counts = [f"CASE WHEN {size} > 0 THEN 1 ELSE 0 END" for size in sizes]
    return f"({' + '.join(counts)})", f"({' + '.join(sizes)})"


# As in `runlog.recorder.id_without_text`.
_TEXTLESS = (
    "left({0}, length({0}) - 1) || translate(right({0}, 1), '0123456789abcdef', '123456789abcdef0')"
)
_HAS_TEXT = (
    "(p.system_prompt IS NOT NULL OR p.user_prompt IS NOT NULL OR p.messages IS NOT NULL"
    " OR p.texts_gz IS NOT NULL)"
)
_OF_SELECTED = "IN (SELECT prompt_id FROM purge_executions)"
_NO_REASONS = {
    "duckdb": "to_json(list_transform(CAST(attempts AS JSON[]),"
    " lambda a: json_merge_patch(a, '{\"reason\": null}')))",
    "postgres": "(SELECT jsonb_agg(a - 'reason') FROM jsonb_array_elements("
    "CASE jsonb_typeof(attempts) WHEN 'array' THEN attempts END) AS t (a))",
}
_NO_TEXT_PARAMETERS = {
    "duckdb": 'json_merge_patch(parameters, \'{"stop": null, "extra": null, "headers": null}\')',
    "postgres": "CASE jsonb_typeof(parameters) WHEN 'object'"
    " THEN parameters - 'stop' - 'extra' - 'headers' END",
}
# Prompts that no execution uses and that are not saved under a name.
_UNUSED_PROMPTS = f"""
DELETE FROM prompts WHERE id {_OF_SELECTED}
  AND NOT EXISTS (SELECT 1 FROM executions e WHERE e.prompt_id = prompts.id)
  AND NOT EXISTS (SELECT 1 FROM prompt_versions v WHERE v.prompt_id = prompts.id)
"""  # noqa: S608 - names of columns

_METRICS = (
    """
UPDATE results SET response_text = NULL, reasoning_text = NULL, tool_calls = NULL,
    parts = NULL, sources = NULL, stop_sequence = NULL, error_message = NULL, error_detail = NULL,
    texts_gz = NULL, attempts = {no_reasons}
WHERE id IN (SELECT id FROM purge_runs)
""",
    # A copy of the prompt without its text; other executions keep the original.
    f"""
INSERT INTO prompts (id, created_at, parameters, selected_model, prompt_hash)
SELECT {_TEXTLESS.format("p.id")}, created_at, {{no_text_parameters}}, selected_model, prompt_hash
FROM prompts p WHERE p.id {_OF_SELECTED} AND {_HAS_TEXT}
ON CONFLICT (id) DO NOTHING
""",  # noqa: S608 - constants of this module
    f"""
UPDATE executions SET variables = NULL, prompt_id = {_TEXTLESS.format("prompt_id")}
WHERE id IN (SELECT id FROM purge_executions)
  AND prompt_id IN (SELECT p.id FROM prompts p WHERE {_HAS_TEXT})
""",  # noqa: S608 - constants of this module
    # Ids of other programs may have no second form; the text is then removed from the row itself.
    f"""
UPDATE prompts SET system_prompt = NULL, user_prompt = NULL, messages = NULL, texts_gz = NULL,
    attachments = NULL, tools = NULL, schema_hash = NULL
WHERE id IN (SELECT id FROM purge_prompts) AND id = {_TEXTLESS.format("id")}
""",  # noqa: S608 - constants of this module
    _UNUSED_PROMPTS,
    "UPDATE executions SET inputs = NULL WHERE id IN (SELECT id FROM purge_executions)",
    "UPDATE ratings SET note = NULL WHERE result_id IN (SELECT id FROM purge_runs)",
)
_NOTHING = (
    """
DELETE FROM ratings WHERE result_id IN (SELECT id FROM purge_runs)
    OR against_result_id IN (SELECT id FROM purge_runs)
""",
    "DELETE FROM results WHERE id IN (SELECT id FROM purge_runs)",
    "DELETE FROM executions WHERE id IN (SELECT id FROM purge_executions)",
    _UNUSED_PROMPTS,
)
# Other rows of a user that are of no use without the runs.
_OF_USER = (
    "DELETE FROM ratings WHERE username = $user",
    "DELETE FROM presets WHERE username = $user",
)
# Attachments that no prompt or answer uses. These are in the log before them.
_USED_ATTACHMENTS = {
    "duckdb": "SELECT unnest(regexp_extract_all(CAST(messages AS VARCHAR),"
    ' \'"sha256": ?"([0-9a-f]+)"\', 1)) FROM prompts'
    " UNION ALL SELECT unnest(regexp_extract_all(CAST(parts AS VARCHAR),"
    ' \'"sha256": ?"([0-9a-f]+)"\', 1)) FROM results WHERE parts IS NOT NULL'
    " UNION ALL SELECT unnest(CAST(attachments AS VARCHAR[])) FROM prompts"
    " WHERE json_type(attachments) = 'ARRAY'",
    "postgres": "SELECT (regexp_matches(CAST(messages AS TEXT),"
    " '\"sha256\": ?\"([0-9a-f]+)\"', 'g'))[1] FROM prompts"
    " UNION ALL SELECT (regexp_matches(CAST(parts AS TEXT),"
    " '\"sha256\": ?\"([0-9a-f]+)\"', 'g'))[1] FROM results WHERE parts IS NOT NULL"
    " UNION ALL SELECT jsonb_array_elements_text("
    "CASE jsonb_typeof(attachments) WHEN 'array' THEN attachments END) FROM prompts",
}
_DELETE_UNUSED_ATTACHMENTS = "DELETE FROM attachments WHERE sha256 NOT IN ({used})"


def _delete(session: Session, selection: Selection) -> None:
    """Delete the texts (``metrics``) or rows (``nothing``) of the selected runs."""
    dialect = selection.dialect
    with _selected(session, selection), keeping_spent(session, dialect):
        for statement in _METRICS if selection.keep == "metrics" else _NOTHING:
            reasons, parameters = _NO_REASONS[dialect], _NO_TEXT_PARAMETERS[dialect]
            sql = statement.format(no_reasons=reasons, no_text_parameters=parameters)
            session.execute(sql)
        if selection.keep == "nothing" and selection.user is not None and selection.before is None:
            for statement in _OF_USER:
                session.execute(statement, {"user": selection.user})
        session.lock("attachments")  # against one that is stored again at this moment
        session.execute(_DELETE_UNUSED_ATTACHMENTS.format(used=_USED_ATTACHMENTS[dialect]))


# By table alias: the table, and the temporary table with the ids of its selected rows.
_TABLES = {"r": ("results", "purge_runs"), "p": ("prompts", "purge_prompts")}
_IN_IDS = {"duckdb": "id IN (SELECT unnest($ids))", "postgres": "id = ANY($ids)"}
_BYTES_TYPE = {"duckdb": "BLOB", "postgres": "BYTEA"}
_FIND_UNCOMPRESSED = """
SELECT t.id, {size} FROM {table} t
WHERE t.id IN (SELECT id FROM {selected}) AND {count} > 0 ORDER BY t.id
"""
_READ_TEXTS = "SELECT id, texts_gz, {columns} FROM {table} WHERE {in_ids}"
_WRITE_PACKED = """
UPDATE {table} SET texts_gz = packed.gz, {emptied}
FROM (SELECT unnest($ids::VARCHAR[]) AS id, unnest($packed::{bytes}[]) AS gz) AS packed
WHERE {table}.id = packed.id
"""


def _compress(log: RunLog, selection: Selection) -> None:
    """Compress the texts of the selected runs, and of prompts that only they use."""
    uncompressed = log.change(partial(_find_uncompressed, selection=selection))
    for alias, sizes in uncompressed.items():
        for ids in _batches(sizes):
            log.change(partial(_compress_rows, alias=alias, ids=ids, dialect=log.dialect))


def _find_uncompressed(session: Session, selection: Selection) -> dict[str, list[tuple[str, int]]]:
    """The ids of rows with uncompressed texts, and the size of the texts, by table alias."""
    found: dict[str, list[tuple[str, int]]] = {}
    with _selected(session, selection):
        for alias, (table, selected) in _TABLES.items():
            count, size = _count_and_size("t", _COMPRESSED[alias], selection.dialect)
            sql = _FIND_UNCOMPRESSED.format(table=table, selected=selected, size=size, count=count)
            found[alias] = [(str(id_), int(size)) for id_, size in session.rows(sql)]
    return found


def _batches(sizes: Iterable[tuple[str, int]]) -> Iterator[list[str]]:
    batch: list[str] = []
    total = 0
    for id_, size in sizes:
        if batch and (len(batch) == _BATCH_ROWS or total + size > _BATCH_BYTES):
            yield batch
            batch, total = [], 0
        batch.append(id_)
        total += size
    if batch:
        yield batch


def _compress_rows(session: Session, alias: str, ids: Sequence[str], dialect: Dialect) -> None:
    table, columns = _TABLES[alias][0], _COMPRESSED[alias]
    as_text = ", ".join(f"CAST({name} AS VARCHAR)" for name in columns)
    read = _READ_TEXTS.format(columns=as_text, table=table, in_ids=_IN_IDS[dialect])
    rows = session.rows(read, {"ids": list(ids)})
    packed = []
    for _, before, *texts in rows:
        known = unpack(bytes(before)) if before is not None else {}  # packed before, not replaced
        new = {name: text for name, text in zip(columns, texts, strict=True) if text is not None}
        packed.append(pack(known | new))
    emptied = ", ".join(f"{name} = NULL" for name in columns)
    session.execute(
        _WRITE_PACKED.format(table=table, emptied=emptied, bytes=_BYTES_TYPE[dialect]),
        {"ids": [row[0] for row in rows], "packed": packed},
    )
