"""The Runs of a playground as a file keeps them: what each was asked with, and its answers.

Beside the draft of each playground is a file of the same name, ``<...>.runs.json``, mode 0600, with
its last Runs and the pinned baseline. The answers themselves are in the log. Forms that privacy
settings keep out of the log are left out.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from llm_playground import _files, config
from llm_playground.errors import ConfigError
from llm_playground.redaction import redact
from llm_playground.widget.answer_labels import AnswerLabel
from llm_playground.widget.drafts import (
    UNREADABLE,
    DraftAnswer,
    Identity,
    check_texts,
    newest_left_behind,
    storable,
)

FORMAT = "llm_playground.runs"
VERSION = 1
MOST_RUNS = 50
MOST_BYTES = 1_000_000


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One Run of a playground.

    ``number`` counts the Runs of the playground from 1. ``form`` has plain values of the form's
    traits; it is empty if they are not known. ``is_opened`` is whether it was asked elsewhere and
    opened here.
    """

    number: int
    asked_at: datetime
    answers: tuple[DraftAnswer, ...]
    form: Mapping[str, Any] = field(default_factory=dict)
    is_opened: bool = False

    @property
    def run_ids(self) -> list[str]:
        """The ids of its answers, in their order."""
        return [answer.run_id for answer in self.answers]


@dataclass(frozen=True, slots=True)
class Pin:
    """The answer that others are compared with, by the number of its Run and its own."""

    run: int
    answer: int


@dataclass(frozen=True, slots=True)
class RunRecords:
    """The last Runs of a playground, the oldest first, and its baseline."""

    runs: tuple[RunRecord, ...] = ()
    baseline: Pin | None = None


def read(identity: Identity) -> RunRecords:
    """The records of a playground; none if there is no file, or one that cannot be read."""
    try:
        return from_json(json.loads(_files.read_regular(path_of(identity), MOST_BYTES)))
    except FileNotFoundError:
        return _moved(identity)
    except UNREADABLE:
        return RunRecords()


def _moved(identity: Identity) -> RunRecords:
    """The newest records of the same cell in a notebook that is gone, moved to this identity."""
    found = newest_left_behind(identity, from_json, _last_asked)
    if found is None:
        return RunRecords()
    records, path = found
    write(identity, records)
    path.unlink(missing_ok=True)
    return records


def _last_asked(records: RunRecords) -> datetime:
    return records.runs[-1].asked_at if records.runs else datetime.fromtimestamp(0, UTC)


def write(identity: Identity, records: RunRecords) -> None:
    """Save records in place of the previous ones; without those that are too many or too long.

    Nothing is saved if privacy settings store no texts, or the file cannot be written: the answers
    are in the log.
    """
    if config.privacy().store != "texts":
        return
    path = path_of(identity)
    try:
        _files.create_folder(path.parent)
        _files.write(path, _fitting(identity, records).encode("ascii"))
    except OSError:
        return


def path_of(identity: Identity) -> Path:
    """The file of a playground, beside its draft."""
    return (config.drafts_folder() / identity.file_name()).with_suffix(".runs.json")


def _fitting(identity: Identity, records: RunRecords) -> str:
    """The document, without the oldest Runs if it would be too long; the baseline's is kept."""
    pinned = records.baseline.run if records.baseline is not None else None
    runs = list(records.runs)
    while True:
        text = redact(json.dumps(as_json(str(identity), replace(records, runs=tuple(runs)))))
        removable = [run for run in runs if run.number != pinned]
        if len(text) <= MOST_BYTES or not removable:
            return text
        runs.remove(removable[0])


def as_json(identity: str, records: RunRecords) -> dict[str, Any]:
    """The JSON document of records."""
    pin = records.baseline
    return {
        "format": FORMAT,
        "version": VERSION,
        "identity": identity,
        "runs": [_run_as_json(run) for run in records.runs],
        "baseline": None if pin is None else [pin.run, pin.answer],
    }


def _run_as_json(run: RunRecord) -> dict[str, Any]:
    return {
        "number": run.number,
        "asked_at": run.asked_at.isoformat(),
        "answers": [[answer.run_id, *answer.label.as_texts()] for answer in run.answers],
        "form": dict(run.form),
        "opened": run.is_opened,
    }


def from_json(document: Any) -> RunRecords:  # noqa: ANN401 - any content of a file
    """The records of a JSON document.

    Raises:
        ValueError, KeyError, TypeError: It has another format.
    """
    if document["format"] != FORMAT or document["version"] != VERSION:
        raise ValueError("another format")
    runs = tuple(map(_run_from_json, document["runs"]))
    numbers = [run.number for run in runs]
    if numbers != sorted(set(numbers)):
        raise ValueError("another order")
    pin = document["baseline"]
    baseline = None if pin is None else Pin(int(pin[0]), int(pin[1]))
    return RunRecords(runs, baseline if baseline and baseline.run in numbers else None)


def _run_from_json(value: Mapping[str, Any]) -> RunRecord:
    asked_at, form = datetime.fromisoformat(value["asked_at"]), value["form"]
    if not isinstance(form, dict):
        raise TypeError("another form")
    return RunRecord(
        number=int(value["number"]),
        asked_at=asked_at if asked_at.tzinfo else asked_at.replace(tzinfo=UTC),
        answers=tuple(
            DraftAnswer(str(run_id), AnswerLabel(*map(str, label)))
            for run_id, *label in value["answers"]
        ),
        form=form,
        is_opened=bool(value["opened"]),
    )


def storable_form(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a form as plain ones; empty if they hold keys or personal data."""
    plain = storable(values)
    try:
        check_texts(plain)
        json.dumps(plain, allow_nan=False)
    except (ConfigError, ValueError, TypeError, RecursionError):
        return {}
    return plain
