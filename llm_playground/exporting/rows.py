"""Runs as plain rows: the columns of the view ``runs`` as JSON-compatible values without keys.

Texts are str, times ISO 8601 in UTC, costs exact Decimals, JSON columns are JSON values, unknown
values are None. Each row has every column, in the order of the view.
"""

from __future__ import annotations

import json
import math
import re
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Literal, TypeVar

from llm_playground import _validation, footer, formatting
from llm_playground.codegen.sources import LAST, newest_run_id
from llm_playground.errors import InvalidParameterError
from llm_playground.inputs import inputs_from_json
from llm_playground.runlog import attachments, open_log
from llm_playground.runlog.attachments import Attachment
from llm_playground.runlog.reading import messages_of, run_of
from llm_playground.runlog.rows import (
    PACKED,
    RUN_TYPES,
    clean_json,
    clean_text,
    result_row,
    row_of,
    selected,
    unpacked_row,
)
from llm_playground.types import Parameters, Run

Row = dict[str, Any]
T = TypeVar("T")
Kind = Literal["text", "time", "json", "count", "number", "usd", "flag"]

_KINDS: dict[str, Kind] = {
    "VARCHAR": "text",
    "TIMESTAMPTZ": "time",
    "JSON": "json",
    "INTEGER": "count",
    "BIGINT": "count",
    "DOUBLE": "number",
    "DECIMAL(18, 12)": "usd",
    "BOOLEAN": "flag",
}
COLUMNS: dict[str, Kind] = {name: _KINDS[sql_type] for name, sql_type in RUN_TYPES.items()}
USD_PLACES = Decimal("1e-12")  # as in the log: DECIMAL(18, 12)
_NAMED_PROBLEMS = 3
_NO_FRACTION = re.compile(r"\.0+(?=Z$)")
# Amounts as text: a driver may give a DECIMAL as a float, which has 15 digits.
_READ = {
    name: f"CAST(v.{name} AS VARCHAR)" if kind == "usd" else f"v.{name}"
    for name, kind in COLUMNS.items()
}
_BY_ID = f"""
SELECT {selected(_READ)}, {selected(PACKED)}
FROM runs v JOIN results r ON r.id = v.run_id LEFT JOIN prompts p ON p.id = v.prompt_id
WHERE v.run_id IN (SELECT unnest(CAST($ids AS VARCHAR[])))
"""  # noqa: S608 - names of columns
_CONVERSATIONS = """
SELECT id, CAST(messages AS VARCHAR) AS messages, system_prompt, user_prompt,
    texts_gz AS _prompt_gz
FROM prompts WHERE id IN (SELECT unnest(CAST($ids AS VARCHAR[])))
"""
_MESSAGES = """
SELECT CAST(messages AS VARCHAR) AS messages, system_prompt, user_prompt, texts_gz AS _prompt_gz
FROM prompts WHERE id IN (SELECT unnest(CAST($ids AS VARCHAR[]))) AND attachments IS NOT NULL
"""


def plain_rows(runs: object) -> list[Row]:
    """Runs as plain rows, in their order.

    Columns that a run object or a narrow frame does not hold, such as the user, come from the log.
    Runs with a value that does not fit its column are left out, and one warning names them.

    Args:
        runs: A run, its id, a list of runs, a frame of runs or a row of it, or an object with
            ``runs`` (a comparison) or ``results`` (a playground, which waits for its answers).

    Raises:
        InvalidParameterError: ``runs`` is none of these, or no run fits.
        RunLogError: The log cannot be read.
    """
    return fitting(complete_rows(runs), plain_row, "exported")


def complete_rows(runs: object) -> list[Row]:
    """Runs as rows in their order, whose values are not converted yet; see :func:`plain_rows`."""
    rows = _rows_of(runs)
    incomplete = [row["run_id"] for row in rows if not COLUMNS.keys() <= row.keys()]
    found = open_log().rows(_BY_ID, {"ids": incomplete}) if incomplete else []
    logged = {row["run_id"]: row for row in map(unpacked_row, found)}
    return [{**logged.get(row["run_id"], {}), **row} for row in rows]


def logged_rows(run_ids: Sequence[str]) -> dict[str, Row]:
    """The runs that the log holds as plain rows by their ids, without those that do not fit.

    Raises:
        RunLogError: The log cannot be read.
    """
    logged = {}
    for row in map(unpacked_row, open_log().rows(_BY_ID, {"ids": list(run_ids)})):
        with suppress(InvalidParameterError):  # another program wrote it
            logged[row["run_id"]] = plain_row(row)
    return logged


def fitting(rows: Sequence[T], check: Callable[[T], Row], done: str, of: str = "runs") -> list[Row]:
    """What ``check`` makes of rows, without those that it refuses, which one warning names.

    Raises:
        InvalidParameterError: It refuses all rows.
    """
    fit, problems = [], []
    for row in rows:
        try:
            fit.append(check(row))
        except InvalidParameterError as error:
            problems.append(str(error))
    if problems and not fit:
        raise InvalidParameterError(problems[0])
    if problems:
        named = " ".join(problems[:_NAMED_PROBLEMS])
        more = " ..." if len(problems) > _NAMED_PROBLEMS else ""
        message = f"{len(problems):,} of {len(rows):,} {of} are not {done}: {named}{more}"
        warnings.warn_explicit(message, UserWarning, "llm_playground", 1)
    return fit


def stored_attachments(rows: Iterable[Row]) -> dict[Attachment, str | None]:
    """The images and files of the rows' prompts and answers that the log holds, each once.

    Their values are the names of files, which only the messages of their prompts have.

    Raises:
        RunLogError: The log cannot be read.
    """
    with_some = [row for row in rows if hashes_of(row)]
    hashes = [h for row in with_some for h in hashes_of(row)]
    found = attachments.find(open_log(), hashes) if hashes else {}
    names = _file_names({row["prompt_id"] for row in with_some}) if found else {}
    return {one: names.get(sha256) for sha256, one in found.items()}


def _file_names(prompt_ids: Iterable[str]) -> dict[str, str]:
    """The names of the files in prompts, by the hashes of the files."""
    rows = open_log().rows(_MESSAGES, {"ids": sorted(filter(None, prompt_ids))})
    parts = (
        part
        for row in rows
        for message in messages_of(unpacked_row(row)) or ()
        if isinstance(message["content"], list)
        for part in message["content"]
        if isinstance(part, Mapping)
    )
    return {
        part["sha256"]: part["name"]
        for part in parts
        if isinstance(part.get("sha256"), str) and isinstance(part.get("name"), str)
    }


def earlier_turns(rows: Iterable[Row]) -> dict[str, list[Mapping[str, Any]]]:
    """The messages of conversations before their last prompt, by the id of the prompt.

    Raises:
        RunLogError: The log cannot be read.
    """
    ids = sorted({row["prompt_id"] for row in rows if row["prompt_id"]})
    found = open_log().rows(_CONVERSATIONS, {"ids": ids}) if ids else []
    turns = {row["id"]: before_last(messages_of(unpacked_row(row)) or []) for row in found}
    return {prompt_id: clean_json(each) for prompt_id, each in turns.items() if each}


def before_last(messages: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """All messages but the system prompt and the last user prompt."""
    asked = [at for at, message in enumerate(messages) if message.get("role") == "user"]
    last = asked[-1] if asked else None
    return [
        message
        for at, message in enumerate(messages)
        if at != last and message.get("role") != "system"
    ]


def hashes_of(row: Row) -> list[str]:
    """The hashes of the images and files of a row's prompt and answer.

    >>> hashes_of({"attachments": ["ab"], "parts": [{"type": "image", "sha256": "cd"}]})
    ['ab', 'cd']
    """
    asked, parts = row["attachments"], row["parts"]
    known = asked if isinstance(asked, list) else []
    answered = [part.get("sha256") for part in parts or () if isinstance(part, Mapping)]
    return [one for one in (*known, *answered) if isinstance(one, str)]


def plain_row(run: Run | Mapping[str, object]) -> Row:
    """A run, or a row of the view, as a plain row; the log is not read.

    Raises:
        InvalidParameterError: A value does not fit its column.

    >>> plain_row({"run_id": "r1", "cost_usd": 1.5e-06})["cost_usd"]
    Decimal('0.000001500000')
    """
    row = row_of(run) if isinstance(run, Run) else run
    plain: Row = {}
    for name, kind in COLUMNS.items():
        value = row.get(name)
        is_unknown = value is None or (isinstance(value, float) and math.isnan(value))
        try:
            plain[name] = None if is_unknown else _CONVERTERS[kind](value)
        except (ValueError, TypeError, ArithmeticError, RecursionError):
            raise InvalidParameterError(
                f"The run {row.get('run_id')} has {_validation.short_repr(value)} as its {name}."
            ) from None
    return plain


def converted_or_none(value: object, sql_type: str) -> Any:  # noqa: ANN401 - a JSON value
    """A value of a column of the log as a plain value; None if it does not fit its type.

    >>> converted_or_none("5", "DOUBLE"), converted_or_none("x", "DOUBLE")
    (5.0, None)
    """
    if value is None:
        return None
    try:
        return _CONVERTERS[_KINDS[sql_type]](value)
    except (ValueError, TypeError, ArithmeticError, RecursionError):
        return None


def utc_text(value: datetime) -> str:
    """A time in ISO 8601, in UTC; a time without a zone is taken as UTC.

    >>> utc_text(datetime(2026, 3, 31, 12))
    '2026-03-31T12:00:00Z'
    """
    utc = value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    text = utc.replace(tzinfo=None).isoformat(timespec="microseconds")
    return _NO_FRACTION.sub("", f"{text}Z")


def _usd(value: object) -> Decimal:
    amount = Decimal(str(value))
    if isinstance(value, bool) or not amount.is_finite():
        raise ValueError(value)
    return amount.quantize(USD_PLACES)


def _time(value: object) -> str:
    return utc_text(value if isinstance(value, datetime) else datetime.fromisoformat(str(value)))


def _json(value: object) -> Any:  # noqa: ANN401 - a JSON value is any of six types
    """JSON columns are text in frames."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            return clean_text(str(value))
    return clean_json(value)


def _count(value: Any) -> int:  # noqa: ANN401 - whatever stands in a frame
    count = int(value)
    if count != value or isinstance(value, str):
        raise ValueError(value)
    return count


def _number(value: Any) -> float:  # noqa: ANN401 - as above
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(value)
    return number


def _flag(value: Any) -> bool:  # noqa: ANN401 - as above
    if value not in (True, False):
        raise ValueError(value)
    return bool(value)


_CONVERTERS: dict[Kind, Callable[[Any], Any]] = {
    "text": lambda value: clean_text(str(value)),
    "time": _time,
    "json": _json,
    "count": _count,
    "number": _number,
    "usd": _usd,
    "flag": _flag,
}


def _rows_of(runs: Any) -> list[Row]:  # noqa: ANN401 - recognised by its attributes
    if isinstance(runs, Run) or _is_series(runs):
        return [_known_columns(runs)]
    if hasattr(runs, "columns") and hasattr(runs, "iloc"):
        return _frame_rows(runs)
    if hasattr(runs, "results"):
        return _rows_of(runs.results)
    if hasattr(runs, "runs"):
        rows = list(map(_known_columns, runs.runs))
        prompts = getattr(runs, "prompts", ())
        if len(prompts) == len(rows):
            pairs = zip(rows, prompts, strict=True)
            rows = [{**row, "user_prompt": prompt} for row, prompt in pairs]
        return rows
    if isinstance(runs, str):
        runs = newest_run_id() if runs == LAST else runs
        if found := open_log().rows(_BY_ID, {"ids": [runs]}):
            return [unpacked_row(found[0])]
        raise InvalidParameterError(
            f"The log holds no run with the id {_validation.short_repr(runs)}. lp.runs() lists all."
        )
    if isinstance(runs, Iterable) and not isinstance(runs, (bytes, Mapping)):
        return list(map(_known_columns, runs))
    raise _not_runs(runs)


def as_frame(value: Any) -> Any:  # noqa: ANN401 - pandas is not imported for its name
    """A row of a frame as a frame of one row; everything else as it is."""
    return value.to_frame().T if _is_series(value) else value


def _is_series(value: object) -> bool:
    return hasattr(value, "iloc") and hasattr(value, "to_frame")


def _known_columns(run: object) -> Row:
    """The columns that a run, or a row of a frame of runs, holds."""
    if _is_series(run):
        frame = as_frame(run)
        if "run_id" not in set(frame.columns):
            raise InvalidParameterError(
                "The Series has no value run_id, which identifies a run: pass a row such as "
                "lp.runs().iloc[0], or a frame such as lp.runs() gives."
            )
        return _frame_rows(frame)[0]
    if not isinstance(run, Run):
        raise _not_runs(run)
    known = {name: value for name, value in row_of(run).items() if value is not None}
    media = [part for part in run.parts if isinstance(part, attachments.Attached)]
    held = {part.sha256: part for part in media if part.data is not None}
    known |= {"_held": held} if held else {}
    return {
        name: value for name, value in result_row(run, None).items() if name not in COLUMNS
    } | known


def _frame_rows(frame: Any) -> list[Row]:  # noqa: ANN401 - pandas is not imported for its name
    if not len(frame):
        return []
    names = [name for name in COLUMNS if name in set(frame.columns)]
    if "run_id" not in names:
        raise InvalidParameterError(
            "The frame has no column run_id, which identifies runs: pass a frame such as "
            "lp.runs() gives."
        )
    narrow = frame.loc[:, ~frame.columns.duplicated()][names]
    rows = [dict(zip(names, row, strict=True)) for row in frame_values(narrow)]
    if any(row["run_id"] is None for row in rows):
        raise InvalidParameterError("A row of the frame has no run_id, which identifies runs.")
    return [{**row, "run_id": str(row["run_id"])} for row in rows]


def frame_values(frame: Any) -> Any:  # noqa: ANN401 - as above
    """The rows of a frame as arrays of objects, None in place of every missing value."""
    return frame.astype(object).where(frame.notna(), None).to_numpy()


def _not_runs(value: object) -> InvalidParameterError:
    return InvalidParameterError(
        "What can be exported is a run, its id, a comparison, a playground, a list of runs, a "
        f"frame such as lp.runs() gives or a row of it; got {_validation.short_repr(value)}."
    )


def figures(row: Row, run: Run) -> tuple[str, str, str, str]:
    """How a run ended, its cost, time and output tokens; empty where unknown.

    ``run`` is :func:`as_run` of the row.
    """
    ms, tokens = row["response_time_ms"], row["output_tokens"]
    cut_off = row["status"] == "completed" and row["finish_reason"] == "length"
    return (
        "cut off" if cut_off else (row["status"] or "").replace("_", " "),
        footer.cost(run),
        "" if ms is None else formatting.duration(ms),
        "" if tokens is None else f"{tokens:,}",
    )


def start_time(row: Row) -> str | None:
    """When the run began, to the second."""
    started = row["started_at"]
    return None if started is None else f"{started[:19].replace('T', ' ')} UTC"


def parameter_items(parameters: object) -> list[tuple[str, str]]:
    """Names and values of parameters, for display.

    >>> parameter_items({"temperature": 0.2, "stop": ["END"]})
    [('temperature', '0.2'), ('stop', "['END']")]
    """
    if not isinstance(parameters, Mapping):
        return []
    return [(str(name), str(value)) for name, value in parameters.items()]


def input_items(row: Row) -> list[tuple[str, str]]:
    """The case of a run and what was filled into its prompt, for display."""
    found = inputs_from_json(row["inputs"])
    if found is None:
        return []
    label = [] if found.case is None else [("case", found.case.label)]
    columns = ((name, "" if value is None else str(value)) for name, value in found.columns.items())
    return [*label, *((name, _validation.shorten(text, 300)) for name, text in columns)]


def as_run(row: Row) -> Run:
    """The row as a run, with its answer and what the footer and the notices need."""
    parameters, attempts = row["parameters"], row["attempts"]
    max_tokens = parameters.get("max_tokens") if isinstance(parameters, Mapping) else None
    if not isinstance(max_tokens, int) or isinstance(max_tokens, bool):
        max_tokens = None
    known_attempts = []
    for number, attempt in enumerate(attempts if isinstance(attempts, list) else (), 1):
        skipped = attempt.get("skipped_events") if isinstance(attempt, Mapping) else None
        skipped_events = skipped if isinstance(skipped, int) else 0
        times = {"number": number, "wait_ms": 0.0, "duration_ms": 0.0}
        known_attempts.append({**times, "skipped_events": skipped_events})
    known = {"status": row["status"] or "running", "attempts": known_attempts}
    known |= {name: _objects(row[name]) for name in ("parts", "sources")}
    return run_of(row | known, Parameters(max_tokens=max_tokens))


def _objects(value: object) -> list[Mapping[str, Any]] | None:
    """The objects in a list, None without a list: another program may have written the value."""
    if not isinstance(value, list):
        return None
    return [item for item in value if isinstance(item, Mapping)]
