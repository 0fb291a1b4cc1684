"""Taking texts, or whole runs, away for good. Saved prompts and the audit log stay."""

from __future__ import annotations

from llm_playground.retention.choice import Choice, chosen
from llm_playground.retention.survey import Survey, counted
from llm_playground.runlog import Dialect, Session

# As `runlog.discretion.id_without_text` makes it.
_TEXTLESS = (
    "left({0}, length({0}) - 1) || translate(right({0}, 1), '0123456789abcdef', '123456789abcdef0')"
)
_HAS_TEXT = (
    "(p.system_prompt IS NOT NULL OR p.user_prompt IS NOT NULL OR p.messages IS NOT NULL"
    " OR p.texts_gz IS NOT NULL)"
)
_OF_CHOSEN = "IN (SELECT prompt_id FROM purge_executions)"
_NO_REASONS = {
    "duckdb": "to_json(list_transform(CAST(attempts AS JSON[]),"
    " lambda a: json_merge_patch(a, '{\"reason\": null}')))",
    "postgres": "(SELECT jsonb_agg(a - 'reason') FROM jsonb_array_elements("
    "CASE jsonb_typeof(attempts) WHEN 'array' THEN attempts END) AS t (a))",
}
_NO_WORDS = {
    "duckdb": 'json_merge_patch(parameters, \'{"stop": null, "extra": null}\')',
    "postgres": "CASE jsonb_typeof(parameters) WHEN 'object'"
    " THEN parameters - 'stop' - 'extra' END",
}
# Prompts that nobody sent any more, and nobody saved.
_UNUSED_PROMPTS = f"""
DELETE FROM prompts WHERE id {_OF_CHOSEN}
  AND NOT EXISTS (SELECT 1 FROM executions e WHERE e.prompt_id = prompts.id)
  AND NOT EXISTS (SELECT 1 FROM prompt_versions v WHERE v.prompt_id = prompts.id)
"""  # noqa: S608 - constants of this module

_METRICS = (
    """
UPDATE results SET response_text = NULL, reasoning_text = NULL, tool_calls = NULL,
    error_message = NULL, error_detail = NULL, texts_gz = NULL, attempts = {no_reasons}
WHERE id IN (SELECT id FROM purge_runs)
""",
    # A row of the same prompt without its text: who else sent it keeps theirs.
    f"""
INSERT INTO prompts (id, created_at, parameters, selected_model, prompt_hash)
SELECT {_TEXTLESS.format("p.id")}, created_at, {{no_words}}, selected_model, prompt_hash
FROM prompts p WHERE p.id {_OF_CHOSEN} AND {_HAS_TEXT}
ON CONFLICT (id) DO NOTHING
""",  # noqa: S608 - constants of this module
    f"""
UPDATE executions SET variables = NULL, prompt_id = {_TEXTLESS.format("prompt_id")}
WHERE id IN (SELECT id FROM purge_executions)
  AND prompt_id IN (SELECT p.id FROM prompts p WHERE {_HAS_TEXT})
""",  # noqa: S608 - as above
    # Where another program's ids leave no room for a second row.
    f"""
UPDATE prompts SET system_prompt = NULL, user_prompt = NULL, messages = NULL, texts_gz = NULL
WHERE id IN (SELECT id FROM purge_prompts) AND id = {_TEXTLESS.format("id")}
""",  # noqa: S608 - as above
    _UNUSED_PROMPTS,
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
# What else has a person's name on it and is of no use without them.
_OF_PERSON = (
    "DELETE FROM ratings WHERE username = $user",
    "DELETE FROM presets WHERE username = $user",
)
# Pictures that no prompt shows any more. One that has just come may be ahead of its prompt.
_SHOWN = {
    "duckdb": "SELECT unnest(regexp_extract_all(CAST(messages AS VARCHAR),"
    ' \'"sha256": ?"([0-9a-f]+)"\', 1)) FROM prompts',
    "postgres": "SELECT (regexp_matches(CAST(messages AS TEXT),"
    " '\"sha256\": ?\"([0-9a-f]+)\"', 'g'))[1] FROM prompts",
}
_PICTURES = """
DELETE FROM attachments WHERE created_at < now() - INTERVAL '1 hour' AND sha256 NOT IN ({shown})
"""


def remove(session: Session, choice: Choice, dialect: Dialect) -> Survey:
    """Do it, in the session's transaction; what was done.

    Args:
        session: The transaction.
        choice: Which runs; ``metrics`` takes their texts away, ``nothing`` the runs.
        dialect: The engine.
    """
    with chosen(session, choice, dialect) as left:
        found = counted(session, choice.keep, dialect, left)
        for statement in _METRICS if choice.keep == "metrics" else _NOTHING:
            session.execute(
                statement.replace("{no_reasons}", _NO_REASONS[dialect]).replace(
                    "{no_words}", _NO_WORDS[dialect]
                )
            )
        if choice.keep == "nothing" and choice.user is not None and choice.before is None:
            for statement in _OF_PERSON:
                session.execute(statement, {"user": choice.user})
        session.execute(_PICTURES.format(shown=_SHOWN[dialect]))
    return found
