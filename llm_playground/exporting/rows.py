"""Runs in whatever form a person has them, as plain rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from llm_playground import misfit
from llm_playground.errors import InvalidParameterError
from llm_playground.exporting.columns import COLUMNS, Row, plain
from llm_playground.runlog import open_log, records, texts
from llm_playground.types import Run

_EXACT = {name for name, kind in COLUMNS.items() if kind == "usd"}
_SELECTED = ", ".join(
    f"CAST(v.{name} AS VARCHAR) AS {name}" if name in _EXACT else f"v.{name}" for name in COLUMNS
)
_PACKED = ", ".join(f"{column} AS {name}" for name, column in texts.PACKED.items())
_BY_ID = f"""
SELECT {_SELECTED}, {_PACKED}
FROM runs v JOIN results r ON r.id = v.run_id LEFT JOIN prompts p ON p.id = v.prompt_id
WHERE v.run_id IN (SELECT unnest(CAST($ids AS VARCHAR[])))
"""  # noqa: S608 - names of columns


def rows_of(runs: object) -> list[Row]:
    """Runs as plain rows, in their order, each with every column.

    What a run object or a narrow frame does not hold, such as who ran it, comes from the log; what
    neither knows is None.

    Args:
        runs: A run, a list of runs, a frame of runs, or what has them as ``runs`` (a comparison)
            or ``results`` (a playground, which waits for its answers).

    Raises:
        InvalidParameterError: It is none of these.
        RunLogError: The log cannot be read.
    """
    given = _given(runs)
    incomplete = [row["run_id"] for row in given if len(row) < len(COLUMNS)]
    stored = _stored(incomplete) if incomplete else {}
    return [plain({**stored.get(row["run_id"], {}), **row}) for row in given]


def of_run(run: Run) -> Row:
    """What a run itself holds, as a row with every column."""
    return plain(_of_run(run))


def _given(runs: Any) -> list[Row]:  # noqa: ANN401 - told apart by what it has
    if isinstance(runs, Run):
        return [_of_run(runs)]
    if hasattr(runs, "columns") and hasattr(runs, "iloc"):
        return _of_frame(runs)
    if hasattr(runs, "results"):
        return _given(runs.results)
    if hasattr(runs, "runs"):
        return _of_comparison(runs.runs, getattr(runs, "prompts", ()))
    if isinstance(runs, Iterable) and not isinstance(runs, (str, bytes, Mapping)):
        return [_of_run(run) for run in runs]
    raise _no_runs(runs)


def _of_run(run: object) -> Row:
    if not isinstance(run, Run):
        raise _no_runs(run)
    result = records.result_row(run, None)
    own = {
        "run_id": run.id,
        "prompt_id": run.prompt_id,
        "parameters": run.parameters.as_dict(),
    }
    known = {**{name: result[name] for name in COLUMNS if name in result}, **own}
    return {name: value for name, value in known.items() if value is not None}


def _of_comparison(runs: Iterable[Run], prompts: Sequence[str]) -> list[Row]:
    rows = [_of_run(run) for run in runs]
    asked = prompts if len(prompts) == len(rows) else [None] * len(rows)
    return [
        row if prompt is None else {**row, "user_prompt": prompt}
        for row, prompt in zip(rows, asked, strict=True)
    ]


def _of_frame(frame: Any) -> list[Row]:  # noqa: ANN401 - pandas is not imported for its name
    if not len(frame):
        return []
    names = [name for name in COLUMNS if name in set(frame.columns)]
    if "run_id" not in names:
        raise InvalidParameterError(
            "The frame has no column run_id, by which runs are known: pass a frame such as "
            "lp.runs() gives."
        )
    narrow = frame.loc[:, ~frame.columns.duplicated()][names]
    known = narrow.astype(object).where(narrow.notna(), None)
    rows = [dict(zip(names, values, strict=True)) for values in known.to_numpy()]
    if any(row["run_id"] is None for row in rows):
        raise InvalidParameterError("A row of the frame has no run_id, by which runs are known.")
    return [{**row, "run_id": str(row["run_id"])} for row in rows]


def _stored(ids: Sequence[str]) -> dict[str, Row]:
    """What the log knows of runs, by id."""
    found = texts.unpacked(open_log().frame(_BY_ID, {"ids": list(ids)}))
    return {row["run_id"]: row for row in _of_frame(found)}


def _no_runs(value: object) -> InvalidParameterError:
    return InvalidParameterError(
        "What is exported is a run, a comparison, a playground, a list of runs or a frame such as "
        f"lp.runs() gives; got {misfit.got(value)}."
    )
