"""``lp.purge``: compress or remove texts of old runs, or remove runs. Metrics may stay.

The runs to purge, and the executions and prompts that only they use, are selected into temporary
tables. The effect is counted first; unless it is a dry run, the texts are then compressed in
batches, or texts or rows are deleted in one transaction. Saved prompts and the audit log stay.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, get_args

from llm_playground import _validation, config
from llm_playground._validation import checks_arguments
from llm_playground.config import options
from llm_playground.errors import InvalidParameterError, RunLogError
from llm_playground.retention import removal
from llm_playground.retention.selection import Keep, Selection, Survey, survey
from llm_playground.runlog import copies, definitions, open_log
from llm_playground.runlog.log import RunLog
from llm_playground.types import Run

if TYPE_CHECKING:
    import pandas as pd

_DEFAULT_AGE = "90d"
_AGE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([hdw])\s*")
_HOURS = {"h": 1, "d": 24, "w": 168}
_MAX_AGE = timedelta(days=365_000)
_RUN = "SELECT id FROM results WHERE id = $run"


@checks_arguments("purge")
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

    from llm_playground.frames import Frame

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
    found = log.change(partial(survey, selection=selection))
    drafts = map(str, config.drafts_folder().resolve().glob("*.json"))
    freed_bytes = None if dry_run else _apply(log, selection, found)
    row = {
        "keep": keep,
        "before": pd.NaT if selection.before is None else pd.Timestamp(selection.before),
        "runs": found.runs,
        "texts": found.texts,
        "bytes": found.bytes,
        "left": found.left,
        "given_back_bytes": pd.array([freed_bytes], dtype="Int64")[0],
        "copies": ", ".join(sorted({*copies(log), *drafts})),
        "done": not dry_run,
    }
    return Frame([row]).astype({"given_back_bytes": "Int64"})


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


def _apply(log: RunLog, selection: Selection, found: Survey) -> int:
    """Write an audit entry, make the changes, compact the log; the freed disk space in bytes."""
    filters = {name: getattr(selection, name) for name in ("before", "user", "tag", "run")}
    target = ", ".join(f"{name} {value}" for name, value in filters.items() if value is not None)
    detail = {"keep": selection.keep, "runs": found.runs}
    options.record("purge", target, detail | {"texts": found.texts, "bytes": found.bytes})
    try:
        if selection.keep == "compressed":
            removal.compress(log, selection)
        else:
            log.change(partial(removal.delete, selection=selection))
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
