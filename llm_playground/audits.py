"""The audit log: who did what, when, on what. Nothing here changes or removes an entry.

An entry goes into this process's journal with one ``write(2)`` and from there into ``audit_log``,
as runs do: it needs no database at hand, and it is not lost when one is away.
"""

from __future__ import annotations

import json
import logging
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from llm_playground import _ids, misfit, provenance
from llm_playground.deeds import Deed
from llm_playground.errors import InvalidParameterError, LLMError
from llm_playground.reports import When, moments
from llm_playground.reports.filters import bound
from llm_playground.runlog import open_log

if TYPE_CHECKING:
    import pandas as pd

_log = logging.getLogger(__name__)
# Who logs in where, as URLs have it.
_LOGIN = re.compile(r"(?<=://)[^/\s\"]*@|(?<=password=)[^&\s\"]*")
_CONDITIONS = {
    "action": "action = $action",
    "user": "username = $user",
    "since": "created_at >= $since::TIMESTAMPTZ",
    "until": "created_at < $until::TIMESTAMPTZ",
}


def note(deed: Deed) -> None:
    """Write down what was done. Never raises; what cannot be written is said on the logger."""
    row = {
        "id": _ids.new_id(),
        "created_at": datetime.now(UTC),
        "username": provenance.username(),
        "action": deed.action,
        "target": None if deed.target is None else _LOGIN.sub("", deed.target),
        "detail": json.loads(_LOGIN.sub("", json.dumps(dict(deed.detail), default=str))),
        "notebook": provenance.notebook(),
    }
    try:
        open_log().audit(row)
    except LLMError as error:
        _log.warning("%s is not in the audit log: %s", deed.action, error)


def audit(
    *,
    action: str | None = None,
    user: str | None = None,
    since: When | None = None,
    until: When | None = None,
    limit: int | None = None,
) -> pd.DataFrame:
    """What was done that changes what others can see, spend or find, newest first.

    Keys set and forgotten, budgets and their overrides, purges, exports, backups, settings of log,
    privacy, prices, endpoints and secret guard.

    Args:
        action: Such as ``"purge"``, ``"set_budget"``, ``"configure"``.
        user: Who did it.
        since: From here on, as for ``lp.runs``.
        until: Before this moment; a date or month is included to its end.
        limit: The most rows to give.

    Returns:
        ``created_at``, ``username``, ``action``, ``target``, ``detail`` (JSON), ``notebook``,
        ``id``.

    Raises:
        InvalidParameterError: A filter cannot be understood.
        RunLogError: The log cannot be read.

    Example:
        >>> len(audit(action="purge", limit=0))
        0
    """
    values = {
        "action": _text("action", action),
        "user": _text("user", user),
        "since": None if since is None else moments.start("since", since).isoformat(),
        "until": None if until is None else moments.end("until", until).isoformat(),
    }
    given = {name: value for name, value in values.items() if value is not None}
    where = " AND ".join(["true", *(_CONDITIONS[name] for name in given)])
    return open_log().frame(
        "SELECT created_at, username, action, target, detail, notebook, id FROM audit_log "  # noqa: S608 - conditions are constants, values are bound
        f"WHERE {where} ORDER BY created_at DESC, id DESC {bound(limit)}",
        given,
    )


def _text(name: str, value: object) -> str | None:
    if value is not None and not isinstance(value, str):
        raise InvalidParameterError(f"{name} takes text; got {misfit.got(value)}.")
    return value
