"""Draft files: the form of each playground as a person left it, and its last answers.

Each playground has one JSON file, ``<home>/drafts/<hashes of its identity>.json``, mode 0600. It is
replaced atomically: if several kernels write it, one whole draft remains, the last. Texts that
privacy settings keep out of the log are not stored in drafts either.

A playground without a name is known by its notebook and cell. Where the notebook has no draft, that
of the same cell in a notebook that no longer exists is taken: the notebook was renamed or moved.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from llm_playground import _files, config
from llm_playground._files import read_regular
from llm_playground.errors import ConfigError
from llm_playground.redaction import redact
from llm_playground.redaction.pii import masked
from llm_playground.request.locations import is_url
from llm_playground.widget.answer_labels import LABEL_FIELDS, NO_LABEL, AnswerLabel
from llm_playground.widget.controls import TRAITS

T = TypeVar("T")

FORMAT = "llm_playground.draft"
VERSION = 1
ATTACHED = ("images", "files")  # the traits, and fields of a turn, that hold entries
MOST_BYTES = 1_000_000
MOST_ANSWERS = 10_000
# What reading a file of any content as JSON of one format raises.
UNREADABLE = (OSError, ValueError, TypeError, KeyError, RecursionError, OverflowError)
_CANNOT_BE_READ = "A draft cannot be read and is left out: {}."
# A preset sets parameters, and another value of one of them ends the preset: they go together.
_RELATED = {"preset": ("preset", *TRAITS), **{name: (name, "preset") for name in TRAITS}}


@dataclass(frozen=True, slots=True)
class Identity:
    """A playground: its name, or its cell and the cell's notebook."""

    own: str  # the name, or the cell with the playground's place among those of the cell
    notebook: str | None = None  # the path; None for a playground with a name

    def __str__(self) -> str:
        return f"name {self.own}" if self.notebook is None else f"cell {self.notebook} {self.own}"

    def file_name(self) -> str:
        """The name of the draft's file; it begins the same in all notebooks."""
        if self.notebook is None:
            return f"{_hash(str(self), 40)}.json"
        return f"{_hash(self.own, 20)}{_hash(self.notebook, 20)}.json"

    def notebook_of(self, written: object) -> str | None:
        """The notebook in the text of an identity of the same cell, None if it is another."""
        begin, end = "cell ", f" {self.own}"
        if not isinstance(written, str) or not written.startswith(begin):
            return None
        return written[len(begin) : -len(end)] if written.endswith(end) else None


def _hash(text: str, length: int) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:length]


@dataclass(frozen=True, slots=True)
class DraftAnswer:
    """One answer of the last Run: the id of its run, and its label."""

    run_id: str
    label: AnswerLabel = NO_LABEL


@dataclass(frozen=True, slots=True)
class Draft:
    """What was typed into one playground."""

    saved_at: datetime  # in UTC
    arguments: Mapping[str, str] = field(default_factory=dict)  # digests of those it had then
    form: Mapping[str, Any] = field(default_factory=dict)  # plain values of the changed traits
    answers: tuple[DraftAnswer, ...] = ()  # of the last Run, in the order of their numbers
    asked_at: datetime | None = None  # when that Run was started

    def restored(self, arguments: Mapping[str, str]) -> dict[str, Any]:
        """The traits to restore in a playground with these arguments.

        Executing the same cell again restores what was typed. An argument that was changed in the
        code since then takes precedence over what was typed.

        >>> draft = Draft(datetime.now(UTC), digests({"prompt": "a"}), {"prompt": "b"})
        >>> draft.restored(digests({"prompt": "a"})), draft.restored(digests({"prompt": "c"}))
        ({'prompt': 'b'}, {})
        """
        return {
            name: value
            for name, value in self.form.items()
            if all(
                self.arguments.get(argument) == arguments.get(argument)
                for argument in _RELATED.get(name, (name,))
            )
        }


def digests(arguments: Mapping[str, object]) -> dict[str, str]:
    """A digest of each argument, by which a change in the code is noticed."""
    return {name: _digest(value) for name, value in arguments.items()}


def _digest(value: object) -> str:
    plain = list(value) if isinstance(value, (tuple, set)) else value
    text = json.dumps(plain, sort_keys=True, default=repr)
    return _hash(text, 16)


def read_draft(identity: Identity) -> Draft | None:
    """The draft of a playground, None if there is none.

    Raises:
        ConfigError: The file cannot be read; the message names it.
    """
    path = _path(identity)
    _files.remove_leftovers(path.parent)  # they hold typed text
    try:
        return from_json(json.loads(read_regular(path, MOST_BYTES)))
    except FileNotFoundError:
        return _move_draft(identity)
    except UNREADABLE:
        raise ConfigError(_CANNOT_BE_READ.format(path)) from None


def _move_draft(identity: Identity) -> Draft | None:
    """The newest draft of the same cell in a notebook that is gone, moved to this identity."""
    found = newest_left_behind(identity, from_json, lambda draft: draft.saved_at)
    if found is None:
        return None
    draft, path = found
    write_draft(identity, draft)
    path.unlink(missing_ok=True)
    return draft


def newest_left_behind(
    identity: Identity, read: Callable[[Any], T], time_of: Callable[[T], datetime]
) -> tuple[T, Path] | None:
    """The newest content of the files of the same cell in a notebook that is gone, and its path.

    ``read`` makes the content of a JSON document, or raises one of :data:`UNREADABLE`.
    """
    if identity.notebook is None or not Path(identity.notebook).is_file():
        return None
    newest: tuple[T, Path] | None = None
    for path in config.drafts_folder().glob(f"{_hash(identity.own, 20)}*.json"):
        with suppress(*UNREADABLE):
            document = json.loads(read_regular(path, MOST_BYTES))
            notebook = identity.notebook_of(document["identity"])
            if notebook is None or Path(notebook).exists():  # then this is a copy of it
                continue
            content = read(document)
            if newest is None or time_of(content) > time_of(newest[0]):
                newest = content, path
    return newest


def write_draft(identity: Identity, draft: Draft) -> None:
    """Save a draft in place of the previous one.

    Raises:
        ConfigError: It cannot be saved; the message is the reason.
    """
    try:
        text = redact(json.dumps(as_json(str(identity), draft), allow_nan=False))  # in its identity
    except (ValueError, TypeError, RecursionError):  # NaN, or a value that contains itself
        raise ConfigError("a value in it is not JSON") from None
    if len(text) > MOST_BYTES:
        raise ConfigError(f"it is longer than {MOST_BYTES:,} bytes")
    path = _path(identity)
    try:
        _files.create_folder(path.parent)
        _files.write(path, text.encode("ascii"))
    except OSError as error:
        raise ConfigError(f"the file cannot be written ({error.strerror})") from None


def _path(identity: Identity) -> Path:
    return config.drafts_folder() / identity.file_name()


def as_json(identity: str, draft: Draft) -> dict[str, Any]:
    """The JSON document of a draft."""
    asked_at = draft.asked_at
    return {
        "format": FORMAT,
        "version": VERSION,
        "identity": identity,
        "saved_at": draft.saved_at.isoformat(),
        "given": dict(draft.arguments),
        "form": dict(draft.form),
        "answers": [[answer.run_id, *answer.label.as_texts()] for answer in draft.answers],
        "asked_at": None if asked_at is None else asked_at.isoformat(),
    }


def from_json(document: Any) -> Draft:  # noqa: ANN401 - any content of a file
    """The draft of a JSON document.

    Raises:
        ValueError, KeyError, TypeError, OverflowError: It is not a draft.
    """
    if document["format"] != FORMAT or document["version"] != VERSION:
        raise ValueError("another format")
    arguments, form, answers = document["given"], document["form"], document["answers"]
    is_draft = isinstance(arguments, dict) and isinstance(form, dict)
    if not is_draft or not _is_texts([*arguments.values()]) or len(answers) > MOST_ANSWERS:
        raise ValueError("another shape")
    if not all(_is_texts(answer) and len(answer) == 1 + LABEL_FIELDS for answer in answers):
        raise ValueError("another kind of answers")
    if not all(_CHECKS[name](value) for name, value in form.items() if name in _CHECKS):
        raise ValueError("a value of another kind")
    asked_at = document["asked_at"]
    return Draft(
        saved_at=_time(document["saved_at"]),
        arguments=arguments,
        form=form,
        answers=tuple(DraftAnswer(run_id, AnswerLabel(*label)) for run_id, *label in answers),
        asked_at=None if asked_at is None else _time(asked_at),
    )


def _time(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_texts(value: object) -> bool:
    return isinstance(value, list) and all(map(_is_text, value))


def _is_entries(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(entry, dict) for entry in value)


def _is_turns(value: object) -> bool:
    return _is_entries(value) and all(
        _is_text(turn.get("role"))
        and _is_text(turn.get("content"))
        and all(_is_entries(turn.get(kind, [])) for kind in ATTACHED)
        for turn in value  # type: ignore[attr-defined]  # a list of dictionaries by now
    )


def _is_number(value: object) -> bool:
    """Whether it is a number, the text of an invalid one, or a list of them, which is a sweep."""
    values = value if isinstance(value, list) else [value]
    return all(one is None or isinstance(one, (int, float, str)) for one in values)


_CHECKS: Mapping[str, Callable[[object], bool]] = {
    "prompt": _is_text,
    "system": _is_text,
    "models": _is_texts,
    "preset": lambda value: value is None or isinstance(value, str),
    "iterations": _is_number,
    "turns": _is_turns,
    **dict.fromkeys(ATTACHED, _is_entries),
    **dict.fromkeys(TRAITS, _is_number),
}


def storable(form: Mapping[str, Any]) -> dict[str, Any]:
    """A form as plain values: images and files without their bytes, a frame of cases as its type.

    >>> storable({"images": [{"name": "a.png", "thumbnail": "data:..."}]})
    {'images': [{'name': 'a.png'}]}
    """
    plain = {name: _plain(value) for name, value in form.items() if name != "cases"}
    cases = form.get("cases")
    if "cases" in form:  # the rows of a frame are the notebook's
        is_plain = cases is None or isinstance(cases, (str, list, tuple))
        plain["cases"] = _plain(cases) if is_plain else f"a {type(cases).__name__}"
    return plain


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items() if name != "thumbnail"}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, (bytes, bytearray, memoryview)):
        return None
    return value if value is None or isinstance(value, (str, int, float)) else repr(value)


def without_files(form: Mapping[str, Any]) -> dict[str, Any]:
    """A form from a notebook, perhaps of another person, without files of this machine.

    Run would read and send such a file; in its place is an entry with the reason.

    >>> without_files({"images": [{"id": "1", "name": "a.png", "path": "/home/ada/a.png"}]})
    {'images': [{'name': 'a.png', 'problem': 'a.png is a file. Add it again to send it.'}]}
    """
    changed: dict[str, Any] = {
        name: [_without_file(entry) for entry in value] if name in ATTACHED else value
        for name, value in form.items()
    }
    if "turns" in form:
        changed["turns"] = [
            turn
            | {
                kind: [_without_file(one) for one in turn[kind]]
                for kind in ATTACHED
                if kind in turn
            }
            for turn in form["turns"]
        ]
    return changed


def _without_file(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    url = str(entry.get("url") or "")
    if is_url(url) and "path" not in entry:
        return entry
    name = str(entry.get("name") or "an attachment")
    return {"name": name, "problem": f"{name} is a file. Add it again to send it."}


def check_texts(form: Mapping[str, Any]) -> None:
    """Refuse a form with keys or personal data: masked, it would be restored as another form.

    Raises:
        ConfigError: It must not be stored; the message is the reason.
    """
    kinds = config.privacy().redact
    for text in _texts(form):
        if redact(text) != text:
            raise ConfigError("it holds a key")
        if kinds and masked(text, kinds) != text:
            raise ConfigError("it holds personal data")


def _texts(value: object) -> Iterator[str]:
    """All texts in a plain value, including names."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for name, item in value.items():
            yield str(name)
            yield from _texts(item)
    elif isinstance(value, Sequence):
        for item in value:
            yield from _texts(item)
