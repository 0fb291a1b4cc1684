"""Prompts under names, each in versions: saved, found again, listed."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from llm_playground import _ids, misfit, provenance
from llm_playground.conversation import conversation
from llm_playground.errors import InvalidParameterError
from llm_playground.parameters import parameters_from
from llm_playground.redact import redact
from llm_playground.runlog import Session, open_log, texts
from llm_playground.saved_prompt import Prompt
from llm_playground.types import Message, Run, messages_as_json

if TYPE_CHECKING:
    import pandas as pd

_LONGEST_NAME = 200
_INSERT_PROMPT = """
INSERT INTO prompts (id, created_at, system_prompt, user_prompt, messages, parameters,
    selected_model, prompt_hash)
VALUES ($id, $at, $system, $user, CAST($messages AS JSON), CAST($parameters AS JSON), $model, $hash)
ON CONFLICT (id) DO NOTHING
"""
_INSERT_VERSION = """
INSERT INTO prompt_versions (name, version, prompt_id, note, username, created_at)
VALUES ($name, $version, $prompt_id, $note, $username, $at)
"""
_NEWEST = """
SELECT version, prompt_id FROM prompt_versions WHERE name = $name ORDER BY version DESC LIMIT 1
"""
_SENT = """
SELECT p.id, p.user_prompt IS NOT NULL OR p.texts_gz IS NOT NULL AS has_text,
       coalesce(CAST(p.messages AS VARCHAR), '') LIKE '%"sha256"%' AS has_pictures
FROM results r JOIN executions e ON e.id = r.execution_id JOIN prompts p ON p.id = e.prompt_id
WHERE r.id = $run
"""
_FIND = """
SELECT v.version, v.note, v.username, v.created_at, p.system_prompt, p.user_prompt,
       CAST(p.messages AS VARCHAR) AS messages, CAST(p.parameters AS VARCHAR) AS parameters,
       p.selected_model, p.texts_gz
FROM prompt_versions v LEFT JOIN prompts p ON p.id = v.prompt_id
WHERE v.name = $name AND (v.version = $version OR $version = 0)
ORDER BY v.version DESC LIMIT 1
"""
_LIST = """
SELECT v.name, v.version, p.selected_model AS model, p.system_prompt, p.user_prompt, p.parameters,
       v.note, v.username, v.created_at
FROM prompt_versions v LEFT JOIN prompts p ON p.id = v.prompt_id ORDER BY v.name, v.version DESC
"""


@runtime_checkable
class Form(Protocol):
    """What a playground has to be saved."""

    def as_prompt(self) -> Prompt:
        """Its form as a prompt, ``{{name}}`` unfilled."""
        ...


def save_prompt(
    name: str, run_or_playground: Run | Form | Prompt | str, note: str | None = None
) -> int:
    """Save a prompt under a name; who shares the run log can use it.

    A playground's prompt is saved with its ``{{name}}`` unfilled, a run's as it was sent. Whatever
    privacy says, a saved prompt's text is stored; keys are not.

    Args:
        name: Any text without ``@``.
        run_or_playground: A run or its id, a playground, or a :class:`Prompt` such as
            :func:`llm_playground.prompt_from_file` gives.
        note: What this version is about.

    Returns:
        Its version, from 1. Where nothing changed since the newest version, that one's.

    Raises:
        InvalidParameterError: The name is none, there is no such run, or its text is not stored.
        ConfigError: The playground's form cannot be sent as it stands.
        RunLogError: The log cannot be written.

    Example:
        >>> import llm_playground as lp
        >>> lp.save_prompt("greet", lp.Playground(prompt="Say hello to {{who}}.", models="local"))
        1
        >>> lp.ask(lp.prompt("greet"), variables={"who": "Ada"}, max_tokens=8).status
        'completed'
    """
    _check_name(name)
    if note is not None and not isinstance(note, str):
        raise InvalidParameterError(f"note takes text; got {misfit.got(note)}.")
    row = _row(run_or_playground)
    version = {
        "name": name.strip(),
        "note": None if note is None else redact(note),
        "username": provenance.username(),
        "at": datetime.now(UTC),
    }

    def save(session: Session) -> int:
        if "hash" in row:
            session.execute(_INSERT_PROMPT, row)
        return _next_version(session, version | {"prompt_id": row["id"]})

    return open_log().change(save)


def prompt(name: str) -> Prompt:
    """A saved prompt: the newest version of ``"name"``, or ``"name@3"``.

    Raises:
        InvalidParameterError: There is none; the message names close ones.
        RunLogError: The log cannot be read.
    """
    wanted, at, number = name.strip().rpartition("@") if isinstance(name, str) else ("", "", "")
    if not at:
        wanted, number = number, "0"
    if not wanted or not number.isdecimal():
        raise InvalidParameterError(
            f'A saved prompt is called "name" or "name@3"; got {misfit.got(name)}.'
        )
    rows = open_log().frame(_FIND, {"name": wanted, "version": int(number)})
    if rows.empty:
        raise InvalidParameterError(_none_such(wanted, int(number) if at else None))
    return _as_prompt(wanted, dict(rows.astype(object).where(rows.notna(), None).iloc[0]))


def prompts() -> pd.DataFrame:
    """All saved prompts and their versions: by name, the newest version first.

    Raises:
        RunLogError: The log cannot be read.
    """
    return open_log().frame(_LIST)


def _check_name(name: object) -> None:
    fits = isinstance(name, str) and name.strip() and "@" not in name
    if not fits or len(str(name)) > _LONGEST_NAME or not str(name).isprintable():
        raise InvalidParameterError(
            f"A prompt's name is a text without @, of up to {_LONGEST_NAME} characters; "
            f"got {misfit.got(name)}."
        )


def _next_version(session: Session, values: Mapping[str, Any]) -> int:
    session.lock("prompt_versions")
    newest = session.rows(_NEWEST, {"name": values["name"]})
    version, prompt_id = newest[0] if newest else (0, None)
    if prompt_id == values["prompt_id"]:
        return int(version)
    session.execute(_INSERT_VERSION, {**values, "version": version + 1})
    return int(version) + 1


def _row(source: object) -> dict[str, Any]:
    """The row of ``prompts`` to be saved; only its id where the log has it."""
    if isinstance(source, (Run, str)):
        return {"id": _sent(source.id if isinstance(source, Run) else source)}
    if isinstance(source, Prompt):
        return _new_row(source)
    if isinstance(source, Form):
        return _new_row(source.as_prompt())
    raise InvalidParameterError(
        f"A run, a playground or a prompt can be saved; got {misfit.got(source)}."
    )


def _sent(run_id: str) -> str:
    rows = open_log().frame(_SENT, {"run": run_id})
    if rows.empty:
        raise InvalidParameterError(f"No run in the log has the id {run_id!r}.")
    found = rows.iloc[0]
    if not found.has_text:
        raise InvalidParameterError(
            "The text of this run's prompt is not stored (privacy, or a purge): nothing to save."
        )
    if found.has_pictures:
        raise InvalidParameterError(
            "This run's prompt has pictures, which are not stored: it cannot be saved."
        )
    return str(found.id)


def _new_row(prompt: Prompt) -> dict[str, Any]:
    request = prompt.request
    prompt_hash = request.prompt_hash()
    return {
        "id": _ids.id_from_hash(prompt_hash),
        "at": datetime.now(UTC),
        "system": None if request.system is None else redact(request.system),
        "user": redact(request.user_prompt),
        "messages": redact(json.dumps(messages_as_json(request.messages))),
        "parameters": redact(json.dumps(request.parameters.as_dict())),
        "model": prompt.model,
        "hash": prompt_hash,
    }


def _as_prompt(name: str, row: dict[str, Any]) -> Prompt:
    packed = row.pop("texts_gz")
    row |= texts.unpack(bytes(packed)) if packed is not None else {}
    if row["messages"] is None and row["user_prompt"] is None:
        raise InvalidParameterError(f"The text of the saved prompt {name!r} was removed.")
    parameters = json.loads(row["parameters"] or "{}")
    return Prompt(
        messages=_messages(row),
        parameters=parameters_from(parameters),
        model=row["selected_model"],
        name=name,
        version=int(row["version"]),
        note=row["note"],
        username=row["username"],
        created_at=row["created_at"].to_pydatetime(),
    )


def _messages(row: Mapping[str, Any]) -> tuple[Message, ...]:
    if row["messages"] is None:  # another program's row
        return conversation(row["user_prompt"], system=row["system_prompt"])
    return conversation(None, messages=json.loads(row["messages"]))


def _none_such(name: str, version: int | None) -> str:
    known = prompts()
    if version is not None and name in set(known["name"]):
        newest = int(known.loc[known["name"] == name, "version"].max())
        return f"The saved prompt {name!r} has versions 1 to {newest}; there is no {version}."
    close = difflib.get_close_matches(name, sorted(set(known["name"])), n=1)
    hint = f"Did you mean {close[0]}?" if close else "lp.prompts() lists all."
    return f"No prompt is saved as {name!r}. {hint}"
