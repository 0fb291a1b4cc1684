"""``lp.resume``: the answer that a provider has made in the background, after an interruption.

A call with ``extra={"background": True}`` goes on at OpenAI when its connection breaks or its
process dies. The log has the id of its response since the moment when OpenAI accepted it, so that
any process can read the answer; the run then takes its place in the log.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from typing import Any, Protocol

from llm_playground import _validation, config, progress, provenance, providers, recording
from llm_playground._validation import checks_arguments
from llm_playground.budgeting.enforcer import BudgetEnforcer, enforcer
from llm_playground.calls import raise_for_error
from llm_playground.codegen import find_request
from llm_playground.config.endpoints import known_rows
from llm_playground.errors import ConfigError, InvalidParameterError
from llm_playground.events import Preparing, ProviderEvent
from llm_playground.execution import Call, Engine, Tally
from llm_playground.providers import Provider
from llm_playground.runlog import open_log
from llm_playground.runlog.reading import json_value, run_of
from llm_playground.runlog.rows import Row
from llm_playground.types import Execution, Request, Run

_RUN = """
SELECT v.*, r.tool_calls, r.error_detail, r.dropped_parameters, e.iterations, e.process
FROM runs v JOIN results r ON r.id = v.run_id LEFT JOIN executions e ON e.id = r.execution_id
"""
_BY_ID = f"{_RUN} WHERE v.run_id = $run"
_NEWEST = f"""
{_RUN} WHERE v.username = $run AND v.status = 'interrupted'
         AND CAST(r.attempts AS VARCHAR) LIKE '%"response_id"%'
ORDER BY v.started_at DESC NULLS LAST, v.run_id DESC LIMIT 1
"""
LAST = "last"


class _Background(Protocol):
    def resume(self, request: Request, response_id: str) -> AsyncGenerator[ProviderEvent, None]: ...


@dataclass(frozen=True, slots=True)
class _Resuming:
    """A provider that reads the answer with an id, and sends nothing."""

    provider: _Background
    response_id: str

    def stream(self, request: Request) -> AsyncGenerator[ProviderEvent, None]:
        return self.provider.resume(request, self.response_id)

    async def aclose(self) -> None:
        """Leave the connections to the provider."""


@dataclass(frozen=True, slots=True)
class _Recount:
    """Nothing is reserved for a run that budgets have counted; its cost takes the place of that.

    It is the ``Budget`` and the ``Reservation`` of the one call.
    """

    enforcer: BudgetEnforcer
    before: Run
    execution: Execution
    max_tokens: int | None = None
    notices: Sequence[str] = ()

    async def reservation_for(
        self, _run: Run, _request: Request, _execution: Execution, _override: str | None
    ) -> _Recount:
        return self

    async def hold(self, _billed_usd: Decimal) -> bool:
        return True

    async def wait(self, _notify: Callable[[str], None]) -> None:
        """Never needed."""

    def settle(self, run: Run) -> None:
        """Count the cost of the run, unless its row stays as it was."""
        if run.status != "interrupted":
            self.enforcer.recount(self.before, run, self.execution)


@checks_arguments("resume")
def resume(run: Run | str | Mapping[str, Any] = LAST) -> Run:
    """Get the answer of a run in the background that was interrupted, and wait for it.

    Nothing is sent again and nothing is paid twice: the log has one run, with the cost that the
    provider states. A run that is complete is returned as it is. The types of a schema and the
    functions of tools are not in the log: ``run.data`` are plain JSON values. Mode ``record`` adds
    the answer to the recording, where it is that of the interrupted call.

    Args:
        run: The run, its id, a row of :func:`llm_playground.runs`, or ``"last"``: the newest of
            yours that was interrupted in the background.

    Raises:
        InvalidParameterError: There is no such run, or it was not made in the background.
        ConfigError: It still runs in another process, is another user's, was sent to another
            base URL, or the mode is ``replay``.
        LLMError: The answer failed, or the provider no longer has it; ``error.run`` is the run.

    Example::

        lp.ask("A hard question.", "gpt-6", extra={"background": True})  # the kernel dies
        lp.resume()  # in a new one
    """
    row = _row(run)
    found = run_of(row)
    if found.status not in ("interrupted", "running"):
        return found
    response_id = next((one.response_id for one in reversed(found.attempts) if one.response_id), "")
    if not response_id:
        raise InvalidParameterError(
            f"The run {found.id} was not made in the background. Only calls with "
            'extra={"background": True} can be resumed.'
        )
    if row["username"] not in (None, "", provenance.username()):
        raise ConfigError(
            f"The run {found.id} is {row['username']}'s, and so is the key that gets its answer. "
            "Let them resume it."
        )
    if found.status == "running":
        raise ConfigError(f"The run {found.id} still runs ({row['process'] or 'another process'}).")
    call = _call(found, row)
    own = config.settings()

    async def connect(model: str, report: Callable[[Preparing], None]) -> Provider:
        provider: Any = await providers.connect(model, report)
        return _Resuming(provider, response_id)

    log = open_log()
    # What the runs of other processes cost is read from the log.
    is_own = row["process"] == provenance.process()
    budget = _Recount(enforcer(log), found, call.execution) if is_own else None
    engine = Engine(connect, log, own.timeouts, own.retry, budget)
    execute = partial(engine.execute, call)
    run = progress.run(
        1,
        lambda take: recording.resumed(call.request, found.id, partial(take, call.run_id), execute),
    )
    return raise_for_error(run)


def _row(run: object) -> Row:
    get = getattr(run, "get", None)  # of a mapping, or of a row of pandas
    run_id = run.id if isinstance(run, Run) else get("run_id") if callable(get) else run
    if not isinstance(run_id, str):
        raise InvalidParameterError(
            f"resume takes a run, its id or a row of lp.runs(); got {_validation.short_repr(run)}."
        )
    sql, value = (_NEWEST, provenance.username()) if run_id == LAST else (_BY_ID, run_id)
    rows = open_log().rows(sql, {"run": value})
    if not rows:
        missing = f"no run with the id {_validation.short_repr(run_id)}"
        which = "no interrupted run in the background of yours" if run_id == LAST else missing
        raise InvalidParameterError(f"The log holds {which}. lp.runs() lists all.")
    return rows[0]


def _call(run: Run, row: Row) -> Call:
    """The call that reads the answer of a run; of its execution only what the engine needs."""
    execution = Execution(
        id=run.execution_id,
        prompt_id=run.prompt_id,
        iterations=int(row["iterations"] or 1),
        source=row["source"] or "",
        username=row["username"] or "",
        tags=tuple(json_value(row["tags"]) or ()),
        started_at=datetime.now(UTC),
    )
    # Of an execution with several runs, the others decide on its status.
    tally = Tally(1 if execution.iterations == 1 else execution.iterations + 1)
    return Call(
        run.id, _request(run), execution, run.iteration_number, tally, fresh=True, resumes=run
    )


def _request(run: Run) -> Request:
    """The request of a run as far as the log has it, at the present base URL of its provider.

    Raises:
        ConfigError: A vendor's run was sent to another base URL. An endpoint of the user's own may
            have moved.
    """
    provider = run.model.partition(":")[0]
    present = config.base_url(provider)
    try:
        request = find_request(run).request
    except ConfigError:  # the text of the prompt is not stored; it only serves estimates
        return Request(run.model, (), run.parameters, endpoint=present)
    if request.endpoint != present and provider in known_rows():
        raise ConfigError(
            f"The run {run.id} was sent to {request.endpoint or config.label(provider)}. "
            "Set the base URL to that again."
        )
    return replace(request, parameters=run.parameters, endpoint=present)
