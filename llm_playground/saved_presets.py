"""A person's own presets: parameters under a name, shared by all who share the run log.

The newest word on a name counts, whoever said it. Nothing is deleted: a preset that was taken away
is a newer row without parameters.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from llm_playground import misfit, provenance
from llm_playground.errors import InvalidParameterError
from llm_playground.parameters import PRESETS, parameters_from
from llm_playground.redact import redact
from llm_playground.runlog import Session, open_log
from llm_playground.types import Parameters

if TYPE_CHECKING:
    import pandas as pd

_LONGEST_NAME = 40
_NEWEST = "SELECT max(created_at) FROM presets WHERE name = $name"
_SAVE = """
INSERT INTO presets (username, name, parameters, created_at)
VALUES ($username, $name, CAST($parameters AS JSON), $at)
ON CONFLICT (username, name) DO UPDATE
SET parameters = excluded.parameters, created_at = excluded.created_at
"""
_LIST = """
SELECT name, CAST(parameters AS VARCHAR) AS parameters, username, created_at FROM (
    SELECT DISTINCT ON (name) name, parameters, username, created_at FROM presets
    ORDER BY name, created_at DESC, username
) AS newest WHERE parameters IS NOT NULL ORDER BY name
"""


@dataclass(frozen=True, slots=True)
class SavedPreset:
    """One preset of the log: what it sets, and who said so last."""

    name: str
    parameters: Parameters
    username: str | None
    created_at: datetime


def save_preset(name: str, **parameters: Any) -> None:  # noqa: ANN401 - as in ask
    """Keep parameters under a name, for ``preset=`` everywhere; who shares the log can use it.

    Args:
        name: Any text of up to 40 characters; not one of precise, balanced, creative.
        **parameters: ``temperature``, ``top_p``, ``max_tokens``, ...; at least one.

    Raises:
        InvalidParameterError: The name is none, or a parameter is unknown or of the wrong kind.
        RunLogError: The log cannot be written.

    Example:
        >>> import llm_playground as lp
        >>> lp.save_preset("terse", temperature=0, max_tokens=8)
        >>> lp.ask("Say hello.", preset="terse").parameters.max_tokens
        8
    """
    wanted = _checked(name)
    chosen = parameters_from(_single(parameters)).as_dict()
    if not chosen:
        raise InvalidParameterError("Nothing to save: every parameter is auto. Set one first.")
    try:
        written = json.dumps(chosen, allow_nan=False)
    except ValueError:
        raise InvalidParameterError("A preset's numbers must be finite.") from None
    _say(wanted, redact(written))


def delete_preset(name: str) -> None:
    """Take a saved preset away, for all who share the log.

    Raises:
        InvalidParameterError: None is saved under this name.
        RunLogError: The log cannot be written.
    """
    _say(find(name).name, None)


def presets() -> pd.DataFrame:
    """All presets: precise, balanced and creative, then those saved in the log, by name.

    Returns:
        name, parameters (a dictionary), username and created_at (who saved it and when).

    Raises:
        RunLogError: The log cannot be read.
    """
    import pandas as pd  # first use, not import

    given = [(name, preset.as_dict(), None, pd.NaT) for name, preset in PRESETS.items()]
    own = [(one.name, one.parameters.as_dict(), one.username, one.created_at) for one in saved()]
    frame = pd.DataFrame(
        [*given, *own], columns=["name", "parameters", "username", "created_at"], dtype=object
    )
    return frame.assign(created_at=pd.to_datetime(frame["created_at"], utc=True))


def saved() -> list[SavedPreset]:
    """The presets of the log, by name. Rows that another program wrote wrongly are left out.

    Raises:
        RunLogError: The log cannot be read.
    """
    rows = open_log().frame(_LIST)
    found = (_read(dict(row)) for _, row in rows.iterrows())
    return [one for one in found if one is not None]


def find(name: str) -> SavedPreset:
    """The preset saved under a name.

    Raises:
        InvalidParameterError: There is none; the message names close ones.
        RunLogError: The log cannot be read.
    """
    own = {one.name: one for one in saved()}
    if not isinstance(name, str) or name.strip() not in own:
        raise InvalidParameterError(_none_such(name, [*PRESETS, *own]))
    return own[name.strip()]


def _say(name: str, parameters: str | None) -> None:
    """Write the newest word on a name, newer than every other whatever the clocks say."""
    values = {"name": name, "username": provenance.username(), "parameters": parameters}

    def save(session: Session) -> None:
        session.lock("presets")
        [[newest]] = session.rows(_NEWEST, {"name": name})
        now = datetime.now(UTC)
        at = now if newest is None else max(now, newest + timedelta(microseconds=1))
        session.execute(_SAVE, {**values, "at": at})

    open_log().change(save)


def _checked(name: object) -> str:
    wanted = name.strip() if isinstance(name, str) else ""
    if not wanted or len(wanted) > _LONGEST_NAME or not wanted.isprintable():
        raise InvalidParameterError(
            f"A preset's name is a text of up to {_LONGEST_NAME} characters; "
            f"got {misfit.got(name)}."
        )
    if wanted.lower() in PRESETS:
        raise InvalidParameterError(f"{wanted!r} is a preset of the playground. Take another name.")
    return wanted


def _single(parameters: Mapping[str, Any]) -> Mapping[str, Any]:
    """The parameters, none of them a sweep."""
    for name, value in parameters.items():
        several = isinstance(value, (list, tuple)) and (
            name != "stop" or any(isinstance(one, (list, tuple)) for one in value)
        )
        if several:
            raise InvalidParameterError(
                f"{name} is a list of values; a preset has one value of each parameter."
            )
    return parameters


def _read(row: Mapping[str, Any]) -> SavedPreset | None:
    try:
        parameters = parameters_from(json.loads(row["parameters"]))
        name = _checked(row["name"])
    except (TypeError, ValueError, AttributeError, InvalidParameterError):
        return None
    return SavedPreset(name, parameters, row["username"], row["created_at"].to_pydatetime())


def _none_such(name: object, known: list[str]) -> str:
    close = difflib.get_close_matches(str(name), known, n=1)
    hint = f"Did you mean {close[0]}?" if close else f"There are {', '.join(known)}."
    return f"No preset is called {misfit.got(name)}. {hint}"
