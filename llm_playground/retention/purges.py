"""``lp.purge``: says what it would do, and on request does it."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, get_args

from llm_playground import deeds, misfit
from llm_playground.errors import InvalidParameterError, RunLogError
from llm_playground.retention.choice import Choice, Keep
from llm_playground.retention.compressing import compress
from llm_playground.retention.removing import remove
from llm_playground.retention.survey import Survey, survey
from llm_playground.runlog import RunLog, open_log
from llm_playground.types import Run

if TYPE_CHECKING:
    import pandas as pd

_OLD = "90d"
_AGE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([hdw])\s*")
_UNITS = {"h": "hours", "d": "days", "w": "weeks"}


def purge(
    older_than: str | timedelta | None = None,
    keep: Keep = "compressed",
    *,
    user: str | None = None,
    tag: str | None = None,
    run: Run | str | None = None,
    dry_run: bool = True,
) -> pd.DataFrame:
    """Compress or remove texts, or remove runs. By default it only says what it would do.

    Prompts that another run sent too, or that were saved under a name, stay for them. The audit
    log stays. With ``user`` and ``keep="nothing"``, and no ``older_than``, that user's ratings and
    presets go too. Space is given back: the database is written anew.

    Args:
        older_than: ``"90d"``, ``"12h"``, ``"2w"``, or a timedelta. None: 90 days where no user, tag
            or run is named, else any age.
        keep: ``compressed`` keeps texts readable for ``lp.runs`` in less room; ``metrics`` keeps
            tokens, costs, times and hashes; ``nothing`` keeps nothing.
        user: Only this user's runs.
        tag: Only runs with this tag.
        run: Only this run, or the one with this id.
        dry_run: False does it.

    Returns:
        One row: ``keep``, ``before`` (the moment), ``runs``, ``texts`` and ``bytes`` that change,
        ``left`` (runs that fit but still run, or wait in another process's journal: purge again
        later), ``given_back_bytes`` (NA where nothing was done), ``copies`` (files beside the log
        that hold an earlier state of it, and are not touched), ``done``.

    Raises:
        InvalidParameterError: An argument cannot be understood.
        RunLogError: The log cannot be read or written, or this user may not.

    Example:
        >>> purge("90d").done.tolist()
        [False]
    """
    import pandas as pd  # first use, not import

    _check(keep, dry_run)
    log = open_log()
    named = any(value is not None for value in (user, tag, run))
    age = _age(older_than if older_than is not None or named else _OLD)
    before = None if age is None else datetime.now(UTC) - age
    run_id = run.id if isinstance(run, Run) else _text("run", run)
    choice = Choice(keep, before, _text("user", user), _text("tag", tag), run_id, log.elsewhere())
    found = log.change(partial(survey, choice=choice, dialect=log.dialect))
    given_back = None if dry_run else _do(log, choice, found)
    row = {
        "keep": keep,
        "before": pd.NaT if before is None else pd.Timestamp(before),
        "runs": found.runs,
        "texts": found.texts,
        "bytes": found.bytes,
        "left": found.left,
        "given_back_bytes": pd.array([given_back], dtype="Int64")[0],
        "copies": ", ".join(_copies(log)),
        "done": not dry_run,
    }
    frame = pd.DataFrame([row])
    return frame.astype({"given_back_bytes": "Int64"})


def _do(log: RunLog, choice: Choice, found: Survey) -> int:
    """Do it, with its entry in the audit log before; how many bytes were given back."""
    target = ", ".join(
        f"{name} {value}"
        for name in ("before", "user", "tag", "run")
        if (value := getattr(choice, name)) is not None
    )
    counts = {"keep": choice.keep, "runs": found.runs, "texts": found.texts, "bytes": found.bytes}
    deeds.tell("purge", target, counts)
    try:
        if choice.keep == "compressed":
            compress(log, choice)
        else:
            log.change(partial(remove, choice=choice, dialect=log.dialect))
    except RunLogError as error:
        deeds.tell("purge_failed", target, {"error": str(error)})
        raise
    try:
        return log.compact()
    except RunLogError as error:
        raise RunLogError(
            f"It is done, but the log could not be written anew ({error}). What was removed may "
            "still be in unused parts of the file; purge again to try again."
        ) from error


def _copies(log: RunLog) -> list[str]:
    """Files beside a DuckDB log that hold it as it was: before a migration, or set aside."""
    if log.path is None:
        return []
    beside = log.path.parent.glob(f"{log.path.name}.*")
    return sorted(
        path.name for path in beside if re.search(r"\.(before-v\d+|aside-\w+)$", path.name)
    )


def _check(keep: object, dry_run: object) -> None:
    if keep not in get_args(Keep):
        raise InvalidParameterError(
            f"keep is {misfit.got(keep)}; it takes {', '.join(get_args(Keep))}."
        )
    if not isinstance(dry_run, bool):
        raise InvalidParameterError(f"dry_run takes True or False; got {misfit.got(dry_run)}.")


def _text(name: str, value: object) -> str | None:
    if value is None:
        return None
    if isinstance(value, str) and value:
        return value
    raise InvalidParameterError(f"{name} takes text; got {misfit.got(value)}.")


def _age(older_than: object) -> timedelta | None:
    if older_than is None:
        return None
    if isinstance(older_than, timedelta) and older_than >= timedelta():
        return older_than
    found = _AGE.fullmatch(older_than) if isinstance(older_than, str) else None
    if found is None:
        raise InvalidParameterError(
            f'older_than is {misfit.got(older_than)}; it takes "90d", "12h", "2w" or a timedelta.'
        )
    try:
        return timedelta(**{_UNITS[found[2]]: float(found[1])})
    except OverflowError:
        raise InvalidParameterError(f"older_than is {misfit.got(older_than)}: too long.") from None
