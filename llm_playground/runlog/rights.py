"""Who may do what in a run log that many share: SQL for its owner to read, change and run."""

from __future__ import annotations

_HEAD = """\
-- Rights in a run log that many people share. Run it as the owner of the tables, after
--     python -m llm_playground migrate
-- and again after each upgrade; it may be run as often as you like:
--     python -m llm_playground admin sql | psql "$LLM_PLAYGROUND_LOG"
--
-- llm_playground_member   writes runs and reads their own: row-level security by database role
-- llm_playground_reader   reads everybody's, for dashboards and accounting
--
-- Give each person a role of their own, for example
--     CREATE ROLE ada LOGIN PASSWORD '...' IN ROLE llm_playground_member;
"""

_ROLES = ("llm_playground_member", "llm_playground_reader")

# What members may do. Where rows are people's own, row-level security narrows it further down.
_GRANTS: dict[str, tuple[str, ...]] = {
    "SELECT, INSERT, UPDATE": ("executions", "results", "presets", "budget_reservations"),
    "SELECT, INSERT": ("prompts", "ratings", "prompt_versions", "attachments"),
    "SELECT": ("budgets", "runs", "schema_migrations"),
    "INSERT": ("audit_log",),
}
_ALL_READ = (
    *("prompts", "executions", "results", "ratings", "prompt_versions", "presets", "attachments"),
    *("budgets", "budget_reservations", "audit_log", "runs", "schema_migrations"),
    *("monthly_costs", "monthly_costs_state"),
)
_OWN = "db_role = current_user"
_PERSONAL: dict[str, str] = {
    "executions": _OWN,
    "results": _OWN,
    "ratings": _OWN,
    "attachments": _OWN,
    # A prompt is one row for everybody who sends it: seen by who sent it or where it has a name.
    "prompts": " OR ".join(
        [
            _OWN,
            "EXISTS (SELECT FROM executions e WHERE e.prompt_id = prompts.id)",
            "EXISTS (SELECT FROM prompt_versions v WHERE v.prompt_id = prompts.id)",
        ]
    ),
}


_ROLE = "DO $$ BEGIN CREATE ROLE {role} NOLOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$;"
_USAGE = (
    "DO $$ BEGIN EXECUTE format('GRANT USAGE ON SCHEMA %I TO {role}', current_schema()); END $$;"
)


def sql() -> str:
    """Roles, grants and row-level security as one script."""
    return "\n".join([_HEAD, *_roles(), "", *_grants(), "", *_policies()]) + "\n"


def _roles() -> list[str]:
    return [line.format(role=role) for line in (_ROLE, _USAGE) for role in _ROLES]


def _grants() -> list[str]:
    member, reader = _ROLES
    revoked = [f"REVOKE ALL ON {', '.join(_ALL_READ)} FROM {member}, {reader};"]
    granted = [f"GRANT {what} ON {', '.join(on)} TO {member};" for what, on in _GRANTS.items()]
    return [*revoked, *granted, f"GRANT SELECT ON {', '.join(_ALL_READ)} TO {reader};"]


def _policies() -> list[str]:
    member, reader = _ROLES
    lines = []
    for table, seen in _PERSONAL.items():
        lines += [
            f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY;",
            *_policy(table, "read_own", f"FOR SELECT TO {member} USING ({seen})"),
            *_policy(table, "write_own", f"FOR INSERT TO {member} WITH CHECK ({_OWN})"),
            *_policy(table, "read_all", f"FOR SELECT TO {reader} USING (true)"),
        ]
    for table in ("executions", "results"):
        rule = f"FOR UPDATE TO {member} USING ({_OWN}) WITH CHECK ({_OWN})"
        lines += _policy(table, "update_own", rule)
    return lines


def _policy(table: str, name: str, rule: str) -> list[str]:
    return [
        f"DROP POLICY IF EXISTS {name} ON {table};",
        f"CREATE POLICY {name} ON {table} {rule};",
    ]
