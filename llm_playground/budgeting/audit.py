"""Who set, changed, removed or overrode a budget, and when: rows of ``audit_log``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime

from llm_playground import _ids, provenance
from llm_playground.redact import redact
from llm_playground.runlog import Session

_NOTE = """
INSERT INTO audit_log (id, created_at, username, action, target, detail, notebook)
VALUES ($id, $at, $username, $action, $target, CAST($detail AS JSON), $notebook)
"""


def note(session: Session, action: str, target: str | None, detail: Mapping[str, object]) -> None:
    """Add a row, within a change.

    Args:
        session: The change.
        action: What was done, as a verb and its object: ``set_budget``.
        target: The id of what it was done to, None where that has none.
        detail: What else is to be known; no key gets in.
    """
    values = {
        "id": _ids.new_id(),
        "at": datetime.now(UTC),
        "username": provenance.username(),
        "action": action,
        "target": target,
        "detail": redact(json.dumps(detail, default=str)),
        "notebook": provenance.notebook(),
    }
    session.execute(_NOTE, values)
