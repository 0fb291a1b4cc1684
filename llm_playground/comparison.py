"""Several models, several prompts, several iterations: one table of runs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar, cast

from llm_playground import _loop, answers
from llm_playground.budgeting import check_worst_case
from llm_playground.call import Call
from llm_playground.calls import plan, send
from llm_playground.errors import InvalidParameterError
from llm_playground.events import StreamEvent
from llm_playground.parameters import check_names, iterations_from
from llm_playground.saved_prompt import Prompt
from llm_playground.types import Run

if TYPE_CHECKING:
    import pandas as pd

Watch = Callable[[Call, StreamEvent], None]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Comparison:
    """The runs of one comparison, in the order they were asked for: by prompt, model, iteration.

    ``prompts`` holds the user prompt of each run.
    """

    runs: tuple[Run, ...]
    prompts: tuple[str, ...]

    @property
    def df(self) -> pd.DataFrame:
        """One row a run, with the run log's column names; cost in US dollars, times in ms."""
        table = frame(self.runs)
        table.insert(2, "user_prompt", list(self.prompts))
        return table

    def _repr_html_(self) -> str:
        alone = len(set(self.prompts)) == 1
        return answers.side_by_side(
            (answers.heading(run.model, prompt, alone=alone), answers.ended(run))
            for run, prompt in zip(self.runs, self.prompts, strict=True)
        )

    def __repr__(self) -> str:
        done = sum(run.status == "completed" for run in self.runs)
        models = ", ".join(dict.fromkeys(run.model for run in self.runs))
        return f"Comparison({done} of {len(self.runs)} answers from {models})"


def compare(
    prompt_or_prompts: str | Prompt | Sequence[str | Prompt],
    models: str | Sequence[str],
    *,
    n: int = 1,
    system: str | None = None,
    preset: str | None = None,
    variables: Mapping[str, object] | None = None,
    override: str | None = None,
    tags: Iterable[str] = (),
    **parameters: Any,  # noqa: ANN401 - checked by name and range in capabilities
) -> Comparison:
    """Send each prompt to each model ``n`` times, all in parallel, and wait for all.

    Never raises for a failed answer: its run says what happened.

    Args:
        prompt_or_prompts: One prompt or several.
        models: One model or several.
        n: Iterations of each; also spelled ``iterations``.
        system: The system prompt of all.
        preset: ``precise``, ``balanced`` or ``creative``.
        variables: Values for ``{{name}}`` in the prompts.
        override: Why it is to be sent whatever budgets and ``confirm_above_usd`` say.
        tags: Labels to find the runs by.
        **parameters: ``temperature``, ``top_p``, ``max_tokens``, ...

    Raises:
        ConfigError: The comparison cannot be sent as it stands; nothing was sent.
        BudgetExceededError: It could cost more than ``confirm_above_usd``; nothing was sent.

    Example:
        >>> import llm_playground as lp
        >>> lp.compare("Name a colour.", ["local"], n=2, max_tokens=4).df.status.tolist()
        ['completed', 'completed']
    """
    n = iterations_from(n, parameters)
    check_names(parameters, compare)
    prompts: list[str | Prompt] = _several(prompt_or_prompts)
    names: list[str] = _several(models)
    if not prompts or not names:
        raise InvalidParameterError("A comparison needs at least one prompt and one model.")
    calls = [
        call
        for prompt in prompts
        for call in plan(
            prompt,
            names,
            system=system,
            preset=preset,
            parameters=parameters,
            iterations=n,
            variables=variables,
            override=override,
            tags=tags,
        )
    ]
    check_worst_case([call.request for call in calls], override)
    return compared(calls, _loop.run(run_all(calls, _unwatched)))


async def run_all(calls: Sequence[Call], watch: Watch) -> tuple[Run, ...]:
    """Make all runs in parallel, on the background loop; ``watch`` gets every event."""

    async def one(call: Call) -> Run:
        return await send(call, lambda event: watch(call, event))

    return tuple(await asyncio.gather(*map(one, calls)))


def _several(one_or_more: T | Sequence[T]) -> list[T]:
    if isinstance(one_or_more, (str, Prompt)):
        return [cast("T", one_or_more)]
    return list(one_or_more) if isinstance(one_or_more, Iterable) else []


def compared(calls: Sequence[Call], runs: tuple[Run, ...]) -> Comparison:
    """What was asked and what came of it, together."""
    return Comparison(runs, tuple(call.request.user_prompt for call in calls))


def frame(runs: Iterable[Run]) -> pd.DataFrame:
    """One row a run, with the run log's column names; cost in US dollars, times in ms."""
    import pandas as pd  # first use, not import

    return pd.DataFrame([_row(run) for run in runs])


def _unwatched(_call: Call, _event: StreamEvent) -> None:
    """Nobody looks while it runs; the runs come back at the end."""


def _row(run: Run) -> dict[str, Any]:
    usage = run.usage
    return {
        "run_id": run.id,
        "execution_id": run.execution_id,
        "prompt_id": run.prompt_id,
        "model": run.model,
        "iteration_number": run.iteration_number,
        "status": run.status,
        "response_text": run.text,
        "finish_reason": run.finish_reason,
        "input_tokens": usage.input_tokens if usage else None,
        "output_tokens": usage.output_tokens if usage else None,
        "cost_usd": None if run.cost_usd is None else float(run.cost_usd),
        "ttft_ms": run.ttft_ms,
        "response_time_ms": run.response_time_ms,
        "error_type": type(run.error).__name__ if run.error else None,
        "error_message": str(run.error) if run.error else None,
    }
