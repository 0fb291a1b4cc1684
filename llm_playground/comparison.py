"""``compare``: several prompts and models, ``n`` answers each."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar, cast

from llm_playground import footer, progress, rendering
from llm_playground._validation import checks_arguments, shorten
from llm_playground.budgeting import confirm_worst_case
from llm_playground.calls import CallOptions, send, started_together
from llm_playground.errors import InvalidParameterError
from llm_playground.events import StreamEvent
from llm_playground.execution import Call
from llm_playground.formatting import count
from llm_playground.inputs import Case, Inputs
from llm_playground.redaction import printable
from llm_playground.request.parameters import iterations_from, set_parameters, unknown_name
from llm_playground.request.prompts import Prompt
from llm_playground.request.tables import TableRows, case_label, cases_of, table_of_cases
from llm_playground.request.templates import names
from llm_playground.runlog.input_columns import LABEL, TEMPLATE, input_columns, parameter_names
from llm_playground.runlog.rows import row_of
from llm_playground.types import Run

if TYPE_CHECKING:
    import pandas as pd


# The columns of each run after what varies, in the order of the frame; ids come last.
_COLUMNS = (
    *("response_text", "status", "finish_reason", "cost_usd", "response_time_ms", "ttft_ms"),
    *("input_tokens", "output_tokens", "error_type", "error_message"),
)
_IDS = ("run_id", "execution_id", "prompt_id")

Watch = Callable[[Call, StreamEvent], None]
T = TypeVar("T")
_MOST_REASONS = 3  # of failures that a repr names
_REASON_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class Comparison:
    """The runs of one comparison, by case, prompt, model and iteration.

    ``prompts`` holds the user prompt of each run, ``system_prompts`` and ``inputs`` the system
    prompt and what was filled in; the last two are empty if they are not known.
    """

    runs: tuple[Run, ...]
    prompts: tuple[str, ...]
    system_prompts: tuple[str | None, ...] = ()
    inputs: tuple[Inputs | None, ...] = ()

    @property
    def df(self) -> pd.DataFrame:
        """One row per run; cost in US dollars, times in ms. See :func:`frame` for the columns."""
        unknown = (None,) * len(self.runs)
        return frame(
            self.runs, self.prompts, self.system_prompts or unknown, self.inputs or unknown
        )

    def _repr_html_(self) -> str:
        alone = len(set(self.prompts)) == 1
        columns = rendering.side_by_side(
            (rendering.heading(run.model, prompt, alone=alone), rendering.answer_to_html(run))
            for run, prompt in zip(self.runs, self.prompts, strict=True)
        )
        return columns + rendering.notes_to_html(self.runs)

    def __repr__(self) -> str:
        completed = sum(run.status == "completed" for run in self.runs)
        models = printable(", ".join(dict.fromkeys(run.model for run in self.runs)))
        total = f"{completed} of {len(self.runs)} answers from {models}"
        parts = [total, footer.reused(self.runs), *self._reasons()]
        return f"Comparison({'; '.join(filter(None, parts))})"

    def _reasons(self) -> list[str]:
        """Why answers failed, the most frequent reasons first, each with how often if several."""
        counts = Counter(str(run.error) for run in self.runs if run.error is not None)
        reasons = [
            shorten(text, _REASON_CHARACTERS) + (f" ({number:,} times)" if number > 1 else "")
            for text, number in counts.most_common(_MOST_REASONS)
        ]
        more = len(counts) - len(reasons)
        return [*reasons, *([f"and {count(more, 'other reason')}"] if more else [])]


@checks_arguments("compare", unknown_name)
def compare(
    prompt_or_prompts: str | Prompt | Sequence[str | Prompt],
    models: str | Sequence[str],
    *,
    n: int = 1,
    system: str | None = None,
    images: Any = None,  # noqa: ANN401 - the accepted types are listed in images
    files: Any = None,  # noqa: ANN401 - the accepted types are listed in files
    preset: str | None = None,
    variables: Mapping[str, object] | None = None,
    cases: Any = None,  # noqa: ANN401 - the accepted types are listed in tables
    headers: Mapping[str, str] | None = None,
    override: str | None = None,
    tags: Iterable[str] = (),
    iterations: int | None = None,
    temperature: float | None = None,
    top_p: float | None = None,
    top_k: int | None = None,
    max_tokens: int | None = None,
    stop: str | Sequence[str] | None = None,
    seed: int | None = None,
    presence_penalty: float | None = None,
    frequency_penalty: float | None = None,
    reasoning_effort: str | None = None,
    logprobs: int | None = None,
    extra: Mapping[str, Any] | None = None,
) -> Comparison:
    """Send each prompt to each model ``n`` times, all in parallel, and wait for all answers.

    With ``cases``, each prompt is sent once for each row of a table. A failed call does not raise:
    see its run.

    Args:
        prompt_or_prompts: One prompt or several.
        models: One model or several.
        n: Iterations of each; ``iterations`` is an alias.
        system: The system prompt of all calls.
        images: Images of all calls, as for :func:`llm_playground.ask`.
        files: Documents and recordings of all calls.
        preset: ``precise``, ``balanced`` or ``creative``.
        variables: Values for ``{{name}}`` in the prompts.
        cases: A DataFrame, or a list of dicts; ``{{name}}`` takes the value of its column, before
            ``variables``. All its columns are in ``.df``, so ``.df.merge(table, on="id")`` works.
        headers: HTTP headers of all calls, as for :func:`llm_playground.ask`.
        override: Why the calls are made even if they exceed budgets or ``confirm_above_usd``.
        tags: Labels to find the runs by.
        iterations: An alias of ``n``.
        temperature: How varied the answers are; parameters that are not set are not sent.
        top_p: The share of likely tokens to choose from.
        top_k: The number of likely tokens to choose from.
        max_tokens: The longest answer, in tokens.
        stop: Texts that end the answer.
        seed: For answers that can be repeated, where the model supports it.
        presence_penalty: Against repeated subjects.
        frequency_penalty: Against repeated words.
        reasoning_effort: A word such as ``low``.
        logprobs: Alternatives per token in ``run.logprobs``; 0 for the token alone.
        extra: Further fields of the request's body.

    Raises:
        ConfigError: A call cannot be sent; nothing was sent.
        BudgetExceededError: It could cost more than ``confirm_above_usd``; nothing was sent.

    Example:
        >>> import llm_playground as lp
        >>> lp.compare("Name a colour.", ["local"], n=2, max_tokens=4).df.status.tolist()
        ['completed', 'completed']
    """
    parameters = set_parameters(dict(locals()))
    n = iterations_from(n, iterations)
    if isinstance(prompt_or_prompts, Mapping):
        raise InvalidParameterError(
            "compare takes a prompt or a list of prompts; got a dict. Pass list(prompts.values())."
        )
    prompts: list[str | Prompt] = _as_list(prompt_or_prompts)
    model_names: list[str] = _as_list(models)
    if not prompts or not model_names:
        raise InvalidParameterError("A comparison needs at least one prompt and one model.")
    options = CallOptions(
        None,
        model_names,
        system=system,
        images=images,
        files=files,
        preset=preset,
        parameters=parameters,
        iterations=n,
        variables=variables,
        headers=headers,
        override=override,
        tags=tags,
    )
    rows = [options] if cases is None else _for_each_case(options, prompts, cases)
    plans = [replace(one, prompt=prompt).plan() for one in rows for prompt in prompts]
    calls = started_together(itertools.chain.from_iterable(plans))
    confirm_worst_case([call.request for call in calls], override)
    runs = progress.run(
        len(calls), lambda take: run_all(calls, lambda call, event: take(call.run_id, event))
    )
    return compared(calls, runs)


async def run_all(calls: Sequence[Call], watch: Watch) -> tuple[Run, ...]:
    """Make all calls in parallel, on the background loop; ``watch`` gets every event."""

    async def one(call: Call) -> Run:
        return await send(call, lambda event: watch(call, event))

    return tuple(await asyncio.gather(*map(one, calls)))


def _for_each_case(
    options: CallOptions, prompts: Sequence[str | Prompt], cases: object
) -> list[CallOptions]:
    """The options for each row of a table, whose columns fill ``{{name}}``.

    Raises:
        InvalidParameterError: It is no table, no prompt names a column, or a value is missing.
    """
    table = table_of_cases(cases)
    texts = [text for prompt in prompts for text in _texts_of(prompt)] + [options.system or ""]
    used = cases_of(table, [name for text in texts for name in names(text)])
    return [
        replace(
            options,
            variables={**(options.variables or {}), **case},
            case=Case(case_label(number, case), row),
        )
        for number, (case, row) in enumerate(zip(used, TableRows(table), strict=True), 1)
    ]


def _texts_of(prompt: str | Prompt) -> Iterable[str]:
    if isinstance(prompt, Prompt):
        return [message.text for message in prompt.messages]
    return [prompt] if isinstance(prompt, str) else []


def _as_list(one_or_more: T | Sequence[T]) -> list[T]:
    if isinstance(one_or_more, (str, Prompt)):
        return [cast("T", one_or_more)]
    return list(one_or_more) if isinstance(one_or_more, Iterable) else []


def compared(calls: Sequence[Call], runs: tuple[Run, ...]) -> Comparison:
    """The comparison of finished calls."""
    return Comparison(
        runs,
        tuple(call.request.user_prompt for call in calls),
        tuple(call.request.system for call in calls),
        tuple(call.execution.inputs for call in calls),
    )


def frame(
    runs: Sequence[Run],
    prompts: Sequence[str | None],
    system_prompts: Sequence[str | None],
    inputs: Sequence[Inputs | None],
) -> pd.DataFrame:
    """One row per run, to be joined with other tables: cost in US dollars, times in ms.

    Columns: ``case`` (its label, if there are cases), ``prompt_template`` (the prompt with
    ``{{name}}`` as written) if it varies, ``model``, each parameter that a run sets,
    ``iteration_number`` if it varies, the figures under their names in the run log, each column of
    the cases and each value of ``{{name}}``, what did not vary, ``user_prompt``,
    ``system_prompt``, and the ids. A column of the cases, or a value, that has the name of another
    column, or of one of ``lp.runs()``, gets the prefix ``input_``.
    """
    from llm_playground.frames import Frame, column  # pandas is imported on first use

    rows = list(map(row_of, runs))
    parameters = [run.parameters.as_dict() for run in runs]
    filled = input_columns(inputs)
    labels, templates = filled.pop(LABEL, None), filled.pop(TEMPLATE, prompts)
    written = [
        sent if template is None else template
        for template, sent in zip(templates, prompts, strict=True)
    ]
    iterations = [row["iteration_number"] for row in rows]
    values: dict[str, list[Any]] = {
        **({} if labels is None else {LABEL: labels}),
        **_if_it_varies(TEMPLATE, written),
        "model": [run.model for run in runs],
        **{name: [own.get(name) for own in parameters] for name in parameter_names(parameters)},
        **_if_it_varies("iteration_number", iterations),
        **{name: [row[name] for row in rows] for name in _COLUMNS},
        **filled,
        "iteration_number": iterations,
        TEMPLATE: written,
        "user_prompt": list(prompts),
        "system_prompt": list(system_prompts),
        **{name: [row[name] for row in rows] for name in _IDS},
    }
    values["cost_usd"] = [None if usd is None else float(usd) for usd in values["cost_usd"]]
    return Frame({name: column(each) for name, each in values.items()})


def _if_it_varies(name: str, values: list[Any]) -> dict[str, list[Any]]:
    """A column for the beginning of a frame; none if it is constant."""
    return {name: values} if len(set(values)) > 1 else {}
