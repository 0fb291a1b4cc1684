"""Several models, several prompts, several iterations: one table of runs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import groupby
from typing import TYPE_CHECKING, Any

from llm_playground import _loop, footer, render
from llm_playground.calls import plan, send
from llm_playground.engine import Call
from llm_playground.errors import InvalidParameterError
from llm_playground.types import Run, StreamEvent

if TYPE_CHECKING:
    import pandas as pd

Watch = Callable[[Call, StreamEvent], None]


@dataclass(frozen=True, slots=True)
class Comparison:
    """The runs of one comparison, in the order they were asked for: by prompt, model, iteration."""

    runs: tuple[Run, ...]

    @property
    def df(self) -> pd.DataFrame:
        """One row a run, with the run log's column names; cost in US dollars, times in ms."""
        import pandas as pd  # first use, not import

        return pd.DataFrame([_row(run) for run in self.runs])

    def _repr_html_(self) -> str:
        return side_by_side([(run.model, ended_html(run)) for run in self.runs])

    def __repr__(self) -> str:
        done = sum(run.status == "completed" for run in self.runs)
        models = ", ".join(dict.fromkeys(run.model for run in self.runs))
        return f"Comparison({done} of {len(self.runs)} answers from {models})"


def compare(
    prompt_or_prompts: str | Sequence[str],
    models: str | Sequence[str],
    *,
    n: int = 1,
    system: str | None = None,
    preset: str | None = None,
    variables: Mapping[str, object] | None = None,
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
        tags: Labels to find the runs by.
        **parameters: ``temperature``, ``top_p``, ``max_tokens``, ...

    Raises:
        ConfigError: The comparison cannot be sent as it stands; nothing was sent.

    Example:
        >>> import llm_playground as lp
        >>> lp.compare("Name a colour.", ["local"], n=2, max_tokens=4).df.status.tolist()
        ['completed', 'completed']
    """
    n = parameters.pop("iterations", n)
    prompts = [prompt_or_prompts] if isinstance(prompt_or_prompts, str) else list(prompt_or_prompts)
    names = [models] if isinstance(models, str) else list(models)
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
            tags=tags,
        )
    ]
    return Comparison(_loop.run(run_all(calls, _unwatched)))


async def run_all(calls: Sequence[Call], watch: Watch) -> tuple[Run, ...]:
    """Make all runs in parallel, on the background loop; ``watch`` gets every event."""

    async def one(call: Call) -> Run:
        return await send(call, lambda event: watch(call, event))

    return tuple(await asyncio.gather(*map(one, calls)))


def side_by_side(answers: Iterable[tuple[str, str]]) -> str:
    """A column per model with its answers below each other, as HTML without script or style tags.

    Args:
        answers: Model and safe HTML, in order; equal models that follow each other share a column.
    """
    columns = [
        f'<div style="flex:1 1 18em;min-width:0"><div style="{_HEAD}">{escape(model)}</div>'
        f"{''.join(html for _, html in group)}</div>"
        for model, group in groupby(answers, key=lambda answer: answer[0])
    ]
    return f'<div style="display:flex;flex-wrap:wrap;gap:24px">{"".join(columns)}</div>'


def answer_html(body: str, line: str) -> str:
    """One answer with its footer; ``body`` is safe HTML already, ``line`` is text."""
    return (
        f'<div style="padding:8px 0;border-bottom:{_HAIRLINE};overflow-wrap:anywhere">{body}'
        f'<div style="{FOOTER_STYLE}">{escape(line)}</div></div>'
    )


def ended_html(run: Run) -> str:
    """An ended run: its answer as Markdown, what has to be said of it, its footer."""
    said = "".join(
        f'<div style="padding:4px 0">{escape(notice)}</div>' for notice in footer.notices(run)
    )
    return answer_html(render.to_html(run.text) + said, footer.text(run))


_HAIRLINE = "1px solid var(--jp-border-color2,#e0e0e0)"
_HEAD = f"font-weight:600;padding-bottom:4px;border-bottom:{_HAIRLINE};overflow-wrap:anywhere"
FOOTER_STYLE = (
    "color:var(--jp-ui-font-color2,#616161);font-size:12px;font-variant-numeric:tabular-nums"
)


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
