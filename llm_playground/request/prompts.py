"""Prompts that are saved in the run log under a name, in versions."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from llm_playground import _validation, ids, provenance
from llm_playground._validation import checks_arguments
from llm_playground.errors import InvalidParameterError
from llm_playground.formatting import Sentence
from llm_playground.parts import TextPart
from llm_playground.redaction import printable, redact
from llm_playground.request import secret_guard
from llm_playground.request.messages import stored_conversation
from llm_playground.request.parameters import parameters_from, preset
from llm_playground.request.templates import edited_message, escaped
from llm_playground.runlog import attachments, open_log
from llm_playground.runlog.attachments import Attached, Attachment
from llm_playground.runlog.reading import json_value, messages_of
from llm_playground.runlog.rows import unpacked_row
from llm_playground.runlog.store import Session
from llm_playground.types import Message, Parameters, Request, Run, messages_as_json

if TYPE_CHECKING:
    import pandas as pd


_LONGEST_NUMBER = 9  # digits of a version
_NOTHING_SET = Parameters()


@dataclass(frozen=True, slots=True, repr=False)
class Prompt(Sentence):
    """A saved prompt, or the prompt of a ``.prompty`` file. ``str()`` is the user prompt.

    ``lp.ask(prompt)``, ``lp.complete``, ``lp.stream``, ``lp.compare`` and ``%%llm --prompt`` take
    it; other arguments take precedence. ``{{name}}`` in it is filled as in any prompt.

    Args:
        messages: All turns, the system prompt first, the question last.
        parameters: Its parameters.
        model: The model it was saved with, as ``provider:name``; None if unknown.
        name: The name under which it was saved.
        version: From 1; None if it was not saved.
        note: The author's note on this version.
        username: The user who saved it.
        created_at: Time of saving, in UTC.
    """

    messages: tuple[Message, ...]
    parameters: Parameters = _NOTHING_SET
    model: str | None = None
    name: str | None = None
    version: int | None = None
    note: str | None = None
    username: str | None = None
    created_at: datetime | None = None

    def __repr__(self) -> str:
        version = "" if self.version is None else f"@{self.version}"
        named = "Prompt" if self.name is None else f"Prompt {self.name}{version}"
        set_values = ", ".join(f"{n} {value}" for n, value in self.parameters.as_dict().items())
        details = ", ".join(filter(None, (self.model, set_values)))
        start = _validation.shorten(redact(str(self)[:1_000]))
        return printable(f"{named}: {start!r}{f' ({details})' if details else ''}")

    def __str__(self) -> str:
        """The user prompt.

        >>> str(Prompt((Message("user", (TextPart("Say {{word}}."),)),)))
        'Say {{word}}.'
        """
        return printable(self.request.user_prompt)

    @property
    def request(self) -> Request:
        """The request with its variables unfilled; without a model if none is known."""
        return Request(self.model or "", self.messages, self.parameters)

    @property
    def system(self) -> str | None:
        """The system prompt, if any."""
        return self.request.system

    @property
    def question(self) -> str | None:
        """The text of the last turn if it is a user turn of text only, else None."""
        last = self.messages[-1]
        plain = all(isinstance(part, TextPart) for part in last.content)
        return last.text if last.role == "user" and plain else None

    @property
    def earlier(self) -> tuple[Message, ...]:
        """All turns except the system prompt and the question."""
        turns = self.messages if self.question is None else self.messages[:-1]
        return tuple(turn for turn in turns if turn.role != "system")

    def with_question(self, question: str) -> Prompt:
        """A copy of the prompt with another question.

        >>> str(Prompt((Message("user", (TextPart("Why?"),)),)).with_question("How?"))
        'How?'
        """
        turns = self.messages if self.question is None else self.messages[:-1]
        return replace(self, messages=(*turns, Message("user", (TextPart(question),))))

    def parameters_beside(
        self, preset_name: str | None, arguments: Mapping[str, Any] | None
    ) -> dict[str, Any]:
        """Its parameters, overridden by those of a preset, then by ``arguments``.

        Raises:
            InvalidParameterError: No preset has this name.
        """
        preset_values = preset(preset_name).as_dict() if preset_name else {}
        return {**self.parameters.as_dict(), **preset_values, **(arguments or {})}

    def to_prompty(self) -> str:
        r"""The text of a ``.prompty`` file, see :func:`llm_playground.prompt_from_file`.

        Raises:
            ConfigError: The prompt has images, files or tool calls.

        >>> prompt = Prompt((Message("user", (TextPart("Say {{word}}."),)),), name="say")
        >>> print(prompt.to_prompty())
        ---
        name: say
        model:
          api: chat
        inputs:
          word:
            type: string
        ---
        user:
        Say {{word}}.
        <BLANKLINE>
        """
        from llm_playground.request import prompty  # not at the top: prompty imports this module

        return prompty.to_text(self)


_LONGEST_NAME = 200
_INSERT_PROMPT = """
INSERT INTO prompts (id, created_at, system_prompt, user_prompt, messages, parameters,
    selected_model, prompt_hash, attachments)
VALUES ($id, $at, $system, $user, CAST($messages AS JSON), CAST($parameters AS JSON), $model, $hash,
    CAST($attachments AS JSON))
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
       CAST(p.attachments AS VARCHAR) AS attachments, p.system_prompt, p.user_prompt,
       CAST(p.messages AS VARCHAR) AS messages, CAST(p.parameters AS VARCHAR) AS parameters,
       p.selected_model, p.texts_gz AS _prompt_gz
FROM results r JOIN executions e ON e.id = r.execution_id JOIN prompts p ON p.id = e.prompt_id
WHERE r.id = $run
"""
_FIND = """
SELECT v.version, v.note, v.username, v.created_at, p.system_prompt, p.user_prompt,
       CAST(p.messages AS VARCHAR) AS messages, CAST(p.parameters AS VARCHAR) AS parameters,
       p.selected_model, p.texts_gz AS _prompt_gz
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
    """A playground, as :func:`save_prompt` uses it."""

    def as_prompt(self) -> Prompt:
        """The form as a prompt with its variables unfilled."""
        ...


@checks_arguments("save_prompt")
def save_prompt(
    name: str, run_or_playground: Run | Form | Prompt | str, note: str | None = None
) -> int:
    """Save a prompt under a name for all users of the run log.

    A playground's prompt is saved with its ``{{name}}`` unfilled, a run's as it was sent. Text,
    images and files are stored whatever the privacy setting is; keys are redacted.

    Args:
        name: Any text without ``@``.
        run_or_playground: A run or its id, a playground, or a :class:`Prompt`, for
            example from :func:`llm_playground.prompt_from_file`.
        note: What this version is about.

    Returns:
        Its version, from 1; the newest version's if the prompt has not changed since.

    Raises:
        InvalidParameterError: The name is invalid, the run does not exist, or its text is not
            stored.
        ConfigError: The playground's form is incomplete or invalid.
        RunLogError: The log cannot be written.

    Example:
        >>> import llm_playground as lp
        >>> lp.save_prompt("greet", lp.Playground(prompt="Say hello to {{who}}.", models="local"))
        1
        >>> lp.ask(lp.prompt("greet"), variables={"who": "Ada"}, max_tokens=8).status
        'completed'
    """
    _check_name(name)
    secret_guard.refuse_keys(name=name)
    if note is not None and not isinstance(note, str):
        raise InvalidParameterError(f"note takes text; got {_validation.short_repr(note)}.")
    row, attached = _row_and_attachments(run_or_playground)
    values = {
        "name": name.strip(),
        "prompt_id": row["id"],
        "note": None if note is None else redact(note),
        "username": provenance.username(),
        "at": datetime.now(UTC),
    }

    def save(session: Session) -> int:
        if "hash" in row:
            session.execute(_INSERT_PROMPT, row)
        for attachment in attached:
            attachments.insert(session, attachment)
        session.lock("prompt_versions")
        newest = session.rows(_NEWEST, {"name": values["name"]})
        version, prompt_id = newest[0] if newest else (0, None)
        if prompt_id == row["id"]:
            return int(version)
        session.execute(_INSERT_VERSION, values | {"version": version + 1})
        return int(version) + 1

    return open_log().change(save)


@checks_arguments("prompt")
def prompt(name: str) -> Prompt:
    """A saved prompt: the newest version of ``"name"``, or ``"name@3"``.

    Raises:
        InvalidParameterError: No such prompt is saved; the message suggests similar names.
        RunLogError: The log cannot be read.
    """
    base, at, number = name.strip().rpartition("@") if isinstance(name, str) else ("", "", "")
    if not at:
        base, number = number, "0"
    if not base or not number.isdecimal() or len(number) > _LONGEST_NUMBER:
        raise InvalidParameterError(
            f'A saved prompt is called "name" or "name@3"; got {_validation.short_repr(name)}.'
        )
    rows = open_log().rows(_FIND, {"name": base, "version": int(number)})
    if not rows:
        raise InvalidParameterError(_not_found(base, int(number) if at else None))
    return _as_prompt(base, unpacked_row(rows[0]))


@checks_arguments("prompts")
def prompts() -> pd.DataFrame:
    """All saved prompts and their versions: by name, the newest version first.

    Raises:
        RunLogError: The log cannot be read.
    """
    from llm_playground.frames import Frame  # pandas is imported on first use

    return Frame(open_log().frame(_LIST))


def is_name(name: object) -> bool:
    """Whether a prompt can be saved under a name.

    >>> is_name("greet"), is_name("greet@2")
    (True, False)
    """
    is_valid = isinstance(name, str) and bool(name.strip()) and "@" not in name
    return is_valid and len(str(name)) <= _LONGEST_NAME and str(name).isprintable()


def _check_name(name: object) -> None:
    if not is_name(name):
        raise InvalidParameterError(
            f"A prompt name is text without @, of up to {_LONGEST_NAME} characters; "
            f"got {_validation.short_repr(name)}."
        )


def _row_and_attachments(source: object) -> tuple[dict[str, Any], list[Attachment]]:
    """The row of ``prompts`` to save, with its attachments; only its id if the log has it."""
    if isinstance(source, (Run, str)):
        return _prompt_of_run(source.id if isinstance(source, Run) else source)
    if isinstance(source, (Prompt, Form)):
        prompt = source if isinstance(source, Prompt) else source.as_prompt()
        return _new_row(prompt), list(_attachments_of(prompt))
    raise InvalidParameterError(
        f"A run, a playground or a prompt can be saved; got {_validation.short_repr(source)}."
    )


def _prompt_of_run(run_id: str) -> tuple[dict[str, Any], list[Attachment]]:
    """The row that was sent, or a new one if its text has braces, which a template escapes."""
    rows = open_log().rows(_SENT, {"run": run_id})
    if not rows:
        shown = _validation.short_repr(run_id)
        raise InvalidParameterError(
            f"No run in the log has the id {shown}. To save text, pass lp.Playground(prompt=...)."
        )
    [row] = rows
    if not row["has_text"]:
        raise InvalidParameterError(
            "The text of this run's prompt is not stored (privacy or a purge): it cannot be saved."
        )
    hashes = json_value(row["attachments"]) or []
    found = attachments.find(open_log(), hashes).values()
    if len([one for one in found if one.data is not None]) < len(set(hashes)):
        raise InvalidParameterError(
            "This run's prompt has images or files that are not stored (privacy, or larger than "
            "image_mb), so it cannot be saved."
        )
    sent = _messages_of(f"run {run_id}", unpacked_row(row))
    template = tuple(edited_message(message, escaped) for message in sent)
    if template == sent:
        return {"id": str(row["id"])}, []
    parameters = parameters_from(json.loads(row["parameters"] or "{}"))
    prompt = Prompt(template, parameters, row["selected_model"])
    return _new_row(prompt), list(_attachments_of(prompt))


def _attachments_of(prompt: Prompt) -> Iterator[Attachment]:
    for part in (part for message in prompt.messages for part in message.content):
        if isinstance(part, Attached) and part.data is not None and part.sha256 is not None:
            attachment = Attachment.of(part.sha256, part, math.inf)
            if attachment.data is None:
                raise InvalidParameterError(
                    "A file of this prompt holds a key, so it cannot be saved. Remove the key."
                )
            yield attachment


def _new_row(prompt: Prompt) -> dict[str, Any]:
    request = prompt.request
    prompt_hash = request.prompt_hash()
    messages = messages_as_json(request.messages)
    hashes = attachments.hashes_in(messages)
    return {
        "id": ids.id_from_hash(prompt_hash),
        "at": datetime.now(UTC),
        "system": None if request.system is None else redact(request.system),
        "user": redact(request.user_prompt),
        "messages": redact(json.dumps(messages)),
        "parameters": redact(json.dumps(request.parameters.as_dict())),
        "model": prompt.model,
        "hash": prompt_hash,
        "attachments": json.dumps(hashes) if hashes else None,
    }


def _as_prompt(name: str, row: dict[str, Any]) -> Prompt:
    return Prompt(
        messages=_messages_of(f"saved prompt {name!r}", row),
        parameters=parameters_from(json.loads(row["parameters"] or "{}")),
        model=row["selected_model"],
        name=name,
        version=int(row["version"]),
        note=row["note"],
        username=row["username"],
        created_at=row["created_at"],
    )


def _messages_of(owner: str, row: dict[str, Any]) -> tuple[Message, ...]:
    """The messages in a row of ``prompts``, with their images and files."""
    messages = messages_of(row)
    if messages is None:
        raise InvalidParameterError(f"The text of the {owner} was removed.")
    found = attachments.find(open_log(), attachments.hashes_in(messages))
    messages = attachments.with_bytes(messages, found)
    if attachments.hashes_in(messages):
        raise InvalidParameterError(f"The images or files of the {owner} are not stored.")
    return stored_conversation(messages)


def _not_found(name: str, version: int | None) -> str:
    known = prompts()
    if version is not None and name in set(known["name"]):
        newest = int(known.loc[known["name"] == name, "version"].max())
        return (
            f"The saved prompt {name!r} has versions 1 to {newest}; there is no version {version}."
        )
    hint = _validation.closest(
        name, sorted(set(known["name"])), otherwise="lp.prompts() lists all."
    )
    return f"No prompt is saved as {name!r}. {hint}"
