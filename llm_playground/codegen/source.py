"""Which request a run was: out of the log, with what the run itself still knows."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from llm_playground import capabilities, config, misfit, provenance
from llm_playground.codegen.wires import sendable
from llm_playground.conversation import conversation
from llm_playground.errors import ConfigError, InvalidParameterError
from llm_playground.parameters import parameters_from
from llm_playground.runlog import open_log, texts
from llm_playground.saved_prompt import Prompt
from llm_playground.types import Message, Request, Run

LAST = "last"

_RUN = """
SELECT r.prompt_hash, r.model, CAST(r.dropped_parameters AS VARCHAR) AS dropped,
       p.system_prompt, p.user_prompt, CAST(p.messages AS VARCHAR) AS messages,
       CAST(p.parameters AS VARCHAR) AS parameters, p.texts_gz
FROM results r
LEFT JOIN executions e ON e.id = r.execution_id LEFT JOIN prompts p ON p.id = e.prompt_id
"""
_BY_ID = f"{_RUN} WHERE r.id = $run"
_NEWEST = f"{_RUN} WHERE e.username = $run ORDER BY r.started_at DESC NULLS LAST, r.id DESC LIMIT 1"
_NOT_WHOLE = (
    "The log holds less than was sent (a schema, tools, texts that privacy masks, another base "
    "URL): this is what it holds."
)


@dataclass(frozen=True, slots=True)
class Found:
    """A request as it is sent.

    Args:
        request: The request.
        unfilled: Whether ``{{name}}`` in it wait for values; those of a run were sent as they are.
        note: What is missing of it, None where it is whole.
    """

    request: Request
    unfilled: bool = False
    note: str | None = None


def find(source: object) -> Found:
    """The request of a run, of a run's id, of a row of ``lp.runs()``; a request or saved prompt.

    Raises:
        InvalidParameterError: It is none of these, or no run of the log has this id.
        ConfigError: What was sent is not stored.
        RunLogError: The log cannot be read.
    """
    if isinstance(source, Request):
        return Found(sendable(source), unfilled=True)
    if isinstance(source, Prompt):
        model = capabilities.resolve_model(source.model or config.default_model())
        endpoint = config.base_url(model.partition(":")[0])
        return Found(sendable(replace(source.request, model=model, endpoint=endpoint)), True)
    if isinstance(source, Run):
        return _with_its_own(source, _row(source.id))
    run_id = source if isinstance(source, str) else _id_in(source)
    return _found(_row(run_id))


def _id_in(source: object) -> str:
    """The run's id in a row, as a mapping or a Series."""
    get = getattr(source, "get", None)
    run_id = get("run_id") if callable(get) else None
    if not isinstance(run_id, str):
        raise InvalidParameterError(
            "Code is written for a run, a run's id, one row of lp.runs(), a request or a saved "
            f"prompt; got {misfit.got(source)}."
        )
    return run_id


def _row(run_id: str) -> dict[str, Any]:
    sql, wanted = (_NEWEST, provenance.username()) if run_id == LAST else (_BY_ID, run_id)
    rows = open_log().frame(sql, {"run": wanted})
    if rows.empty:
        which = "no run of yours" if run_id == LAST else f"no run with the id {misfit.got(run_id)}"
        raise InvalidParameterError(f"The log holds {which}. lp.runs() lists all.")
    row = dict(rows.astype(object).where(rows.notna(), None).iloc[0])
    packed = row.pop("texts_gz")
    return row | (texts.unpack(bytes(packed)) if packed is not None else {})


def _found(row: Mapping[str, Any]) -> Found:
    request = Request(
        model=row["model"],
        messages=_messages(row),
        parameters=parameters_from(json.loads(row["parameters"] or "{}")),
    )
    request, whole = _at_its_address(request, row["prompt_hash"])
    dropped = None if row["dropped"] is None else tuple(json.loads(row["dropped"]))
    return Found(sendable(request, dropped), note=None if whole else _NOT_WHOLE)


def _with_its_own(run: Run, row: Mapping[str, Any]) -> Found:
    """What the log has, with the parameters that the run has: privacy masks none of them."""
    request = Request(run.model, _messages(row), run.parameters)
    request, whole = _at_its_address(request, row["prompt_hash"])
    request = sendable(request, run.dropped_parameters)
    if run.max_tokens_cap is not None:
        parameters = replace(request.parameters, max_tokens=run.max_tokens_cap)
        request = replace(request, parameters=parameters)
    return Found(request, note=None if whole else _NOT_WHOLE)


def _at_its_address(request: Request, prompt_hash: str | None) -> tuple[Request, bool]:
    """The request with the base URL that its hash tells of, and whether the hash is met.

    The log stores neither base URL, schema nor tools, but the hash is over all of them.
    """
    here = config.base_url(request.provider)
    for endpoint in dict.fromkeys([here, None]):
        request = replace(request, endpoint=endpoint)
        if prompt_hash is None or request.prompt_hash() == prompt_hash:
            return request, True
    return replace(request, endpoint=here), False


def _messages(row: Mapping[str, Any]) -> tuple[Message, ...]:
    if row["messages"] is None and row["user_prompt"] is None:
        raise ConfigError(
            "The text of this run's prompt is not stored (privacy, or a purge): there is nothing "
            "to write code for."
        )
    if row["messages"] is None:  # another program's row
        return conversation(row["user_prompt"], system=row["system_prompt"])
    turns = json.loads(row["messages"])
    if any("sha256" in part for turn in turns for part in turn["content"]):
        raise ConfigError(
            "This run's prompt has pictures, which are not stored: no code can send them."
        )
    return conversation(None, messages=turns)
