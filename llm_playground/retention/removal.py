"""Compression and removal of the texts of selected runs, and removal of the runs.

Texts are compressed in batches, as other processes write in between; texts and rows are removed in
one transaction.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial

from llm_playground.budgeting.carrying import keeping_spent
from llm_playground.retention.selection import COMPRESSED, Selection, count_and_size, selected
from llm_playground.runlog.log import RunLog
from llm_playground.runlog.rows import pack, unpack
from llm_playground.runlog.store import Dialect, Session

# The largest batch that is compressed in one transaction.
_BATCH_ROWS, _BATCH_BYTES = 1_000, 8 << 20

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
    "UPDATE executions SET inputs = NULL, tool_use = NULL "
    "WHERE id IN (SELECT id FROM purge_executions)",
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


def delete(session: Session, selection: Selection) -> None:
    """Delete the texts (``metrics``) or rows (``nothing``) of the selected runs."""
    dialect = selection.dialect
    with selected(session, selection), keeping_spent(session, dialect):
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
WHERE t.id IN (SELECT id FROM {temporary}) AND {count} > 0 ORDER BY t.id
"""
_READ_TEXTS = "SELECT id, texts_gz, {columns} FROM {table} WHERE {in_ids}"
_WRITE_PACKED = """
UPDATE {table} SET texts_gz = packed.gz, {emptied}
FROM (SELECT unnest($ids::VARCHAR[]) AS id, unnest($packed::{bytes}[]) AS gz) AS packed
WHERE {table}.id = packed.id
"""


def compress(log: RunLog, selection: Selection) -> None:
    """Compress the texts of the selected runs, and of prompts that only they use."""
    uncompressed = log.change(partial(_find_uncompressed, selection=selection))
    for alias, sizes in uncompressed.items():
        for ids in _batches(sizes):
            log.change(partial(_compress_rows, alias=alias, ids=ids, dialect=log.dialect))


def _find_uncompressed(session: Session, selection: Selection) -> dict[str, list[tuple[str, int]]]:
    """The ids of rows with uncompressed texts, and the size of the texts, by table alias."""
    found: dict[str, list[tuple[str, int]]] = {}
    with selected(session, selection):
        for alias, (table, temporary) in _TABLES.items():
            count, size = count_and_size("t", COMPRESSED[alias], selection.dialect)
            sql = _FIND_UNCOMPRESSED.format(
                table=table, temporary=temporary, size=size, count=count
            )
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
    table, columns = _TABLES[alias][0], COMPRESSED[alias]
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
