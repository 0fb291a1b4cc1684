"""Drafts: what a person typed into a playground, on disk until they come back to it.

One JSON file a playground, ``<home>/drafts/<hash of its identity>.json``, mode 0600, replaced in
one step: kernels that write the same one at once leave one whole draft, the last. What privacy
keeps from being stored stands in no draft either.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from llm_playground import _ids, config
from llm_playground.errors import ConfigError
from llm_playground.personal import masked
from llm_playground.redact import redact
from llm_playground.widgets.dials import TRAITS

FORMAT = "llm_playground.draft"
VERSION = 1
MOST_BYTES = 1_000_000
MOST_ANSWERS = 10_000
_PART_OLD_S = 60.0
_UNREADABLE = "A draft cannot be read and is left out: {}."
_NUMBERS = (int, float, str, type(None))  # a wrong number is kept as it was typed
# A preset sets parameters, and another value of one of them ends the preset: they go together.
_TOGETHER = {"preset": ("preset", *TRAITS), **{name: (name, "preset") for name in TRAITS}}


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer of the last Run: its run's id, and what was special about it."""

    run_id: str
    label: str = ""


@dataclass(frozen=True, slots=True)
class Draft:
    """What was typed into one playground.

    Args:
        saved_at: When, with its zone.
        given: A digest of each argument that the playground had then.
        form: The traits that were changed since, by name: plain values.
        answers: The last Run's, in the order of their numbers.
        asked_at: When that Run began, None when there was none.
    """

    saved_at: datetime
    given: Mapping[str, str] = field(default_factory=dict)
    form: Mapping[str, Any] = field(default_factory=dict)
    answers: tuple[Answer, ...] = ()
    asked_at: datetime | None = None

    def restored(self, given: Mapping[str, str]) -> dict[str, Any]:
        """What is put back into a playground with these arguments.

        What was typed comes back as long as the code stays as it was: executing the same cell again
        restores it. An argument that was changed in the code since wins over what was typed
        there before.

        >>> draft = Draft(datetime.now(UTC), digests({"prompt": "a"}), {"prompt": "b"})
        >>> draft.restored(digests({"prompt": "a"})), draft.restored(digests({"prompt": "c"}))
        ({'prompt': 'b'}, {})
        """
        return {
            name: value
            for name, value in self.form.items()
            if all(
                self.given.get(argument) == given.get(argument)
                for argument in _TOGETHER.get(name, (name,))
            )
        }


def digests(given: Mapping[str, object]) -> dict[str, str]:
    """A digest of each argument: enough to see which of them the code has changed."""
    return {name: _digest(value) for name, value in given.items()}


def read(identity: str) -> Draft | None:
    """The draft of a playground, None when there is none.

    Raises:
        ConfigError: There is one that cannot be read; one line names its file.
    """
    path = _path(identity)
    _clear_up(path)
    try:
        with open(path, "rb", opener=_at_once) as file:
            content = file.read(MOST_BYTES + 1)
        return of_document(json.loads(content))  # a longer one ends in the middle
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError, RecursionError, OverflowError):
        raise ConfigError(_UNREADABLE.format(path)) from None


def write(identity: str, draft: Draft) -> None:
    """Keep a draft in the place of the one that was there.

    Raises:
        ConfigError: It cannot be kept; one line says why.
    """
    try:
        text = json.dumps(document(identity, draft), allow_nan=False)
    except (ValueError, TypeError, RecursionError):  # no number, or something that holds itself
        raise ConfigError("something in it is no JSON") from None
    if len(text) > MOST_BYTES:
        raise ConfigError(f"it is longer than {MOST_BYTES:,} bytes")
    path = _path(identity)
    part = path.with_name(f"{path.stem}.{_ids.new_id()}.part")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(text)
        part.replace(path)
    except OSError as error:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise ConfigError(f"the file cannot be written ({error.strerror})") from None


def forget(identity: str) -> None:
    """Delete the draft of a playground, if there is one."""
    with suppress(OSError):
        _path(identity).unlink(missing_ok=True)


def document(identity: str, draft: Draft) -> dict[str, Any]:
    """A draft as JSON."""
    asked_at = draft.asked_at
    return {
        "format": FORMAT,
        "version": VERSION,
        "identity": identity,
        "saved_at": draft.saved_at.isoformat(),
        "given": dict(draft.given),
        "form": dict(draft.form),
        "answers": [[answer.run_id, answer.label] for answer in draft.answers],
        "asked_at": None if asked_at is None else asked_at.isoformat(),
    }


def of_document(document: Any) -> Draft:  # noqa: ANN401 - whatever stands in the file
    """A draft of its JSON.

    Raises:
        ValueError: It is none. KeyError, TypeError and OverflowError say the same.
    """
    if document["format"] != FORMAT or document["version"] != VERSION:
        raise ValueError("another format")
    given, form, answers = document["given"], document["form"], document["answers"]
    if not (_is_texts(given) and isinstance(form, dict) and len(answers) <= MOST_ANSWERS):
        raise ValueError("another shape")
    if not all(_FITS.get(name, _is_anything)(value) for name, value in form.items()):
        raise ValueError("a value of another kind")
    asked_at = document["asked_at"]
    return Draft(
        saved_at=_moment(document["saved_at"]),
        given=given,
        form=form,
        answers=tuple(Answer(_text(run_id), _text(label)) for run_id, label in answers),
        asked_at=None if asked_at is None else _moment(asked_at),
    )


def storable(form: Mapping[str, Any]) -> dict[str, Any]:
    """A form of plain values: of a picture the name stays, of a table given from Python its kind.

    >>> storable({"images": [{"name": "a.png", "thumbnail": "data:..."}]})
    {'images': [{'name': 'a.png'}]}
    """
    kept = {name: _plain(value) for name, value in form.items() if name != "cases"}
    return kept | ({"cases": _table(form["cases"])} if "cases" in form else {})


def check_allowed() -> None:
    """Let drafts be kept where texts are stored.

    Raises:
        ConfigError: They are not; one line says why.
    """
    if config.privacy().store != "texts":
        raise ConfigError("privacy stores no texts")


def check_texts(form: Mapping[str, Any]) -> None:
    """Let a form pass that may be stored as it is: masked it would come back as another.

    Raises:
        ConfigError: It may not; one line says why.
    """
    kinds = config.privacy().redact
    for text in _texts(form):
        if redact(text) != text:
            raise ConfigError("it holds a key")
        if kinds and masked(text, kinds) != text:
            raise ConfigError("it holds personal data")


def _clear_up(path: Path) -> None:
    """Delete what processes left that were killed while they wrote: it holds what was typed."""
    for part in path.parent.glob(f"{path.stem}.*.part"):
        with suppress(OSError):
            if time.time() - part.stat().st_mtime > _PART_OLD_S:
                part.unlink()


def _at_once(path: str, flags: int) -> int:
    """Open without waiting for somebody at the other end: it may be a pipe."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _path(identity: str) -> Path:
    named = hashlib.sha256(identity.encode("utf-8", "surrogatepass")).hexdigest()
    return config.home() / "drafts" / f"{named[:40]}.json"


def _digest(value: object) -> str:
    plain = list(value) if isinstance(value, (tuple, set)) else value
    text = json.dumps(plain, sort_keys=True, default=repr)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return value


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        kept = {name: item for name, item in value.items() if name != "thumbnail"}
        return {str(name): _plain(item) for name, item in kept.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, (bytes, bytearray, memoryview)):
        return None
    return value if value is None or isinstance(value, (str, int, float)) else repr(value)


def _table(cases: object) -> object:
    """A table's name or its rows; of a frame not the rows, which are the notebook's."""
    plain = cases is None or isinstance(cases, (str, list, tuple))
    return _plain(cases) if plain else f"a {type(cases).__name__}"


def _texts(value: object) -> Iterator[str]:
    """Every text in a plain value, names included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for name, item in value.items():
            yield str(name)
            yield from _texts(item)
    elif isinstance(value, Sequence):
        for item in value:
            yield from _texts(item)


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_anything(_value: object) -> bool:
    return True


def _is_texts(value: object) -> bool:
    return isinstance(value, dict) and all(isinstance(item, str) for item in value.values())


def _is_list_of_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _is_entries(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(entry, dict) for entry in value)


def _is_turns(value: object) -> bool:
    return _is_entries(value) and all(
        _is_text(turn.get("role"))
        and _is_text(turn.get("content"))
        and _is_entries(turn.get("images", []))
        for turn in value  # type: ignore[attr-defined]  # a list of dictionaries by now
    )


def _is_word(value: object) -> bool:
    return value is None or isinstance(value, str)


def _is_number(value: object) -> bool:
    """One number as it was typed, or a list of them, which is a sweep."""
    values = value if isinstance(value, list) else [value]
    return all(isinstance(one, _NUMBERS) for one in values)


_FITS: Mapping[str, Callable[[object], bool]] = {
    "prompt": _is_text,
    "system": _is_text,
    "models": _is_list_of_texts,
    "preset": _is_word,
    "iterations": _is_number,
    "turns": _is_turns,
    "images": _is_entries,
    **dict.fromkeys(TRAITS, _is_number),
}
