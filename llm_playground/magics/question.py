"""From the options and the prompt of a magic to calls, and from their answers to its result."""

from __future__ import annotations

import builtins
import keyword
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from IPython.core.interactiveshell import InteractiveShell
from IPython.display import display

from llm_playground._validation import short_repr, shorten
from llm_playground.budgeting import confirm_worst_case
from llm_playground.calls import CallOptions
from llm_playground.catalog import estimates
from llm_playground.comparison import Comparison, compared
from llm_playground.execution import Call
from llm_playground.magics.live_output import watch
from llm_playground.magics.options import PromptOptions, usage_error, with_options
from llm_playground.magics.parameter_options import json_value, parameters_of
from llm_playground.request import prompts
from llm_playground.request.messages import Turn
from llm_playground.request.prompts import Prompt
from llm_playground.types import Run

if TYPE_CHECKING:
    from llm_playground.dry_runs import DryRun

    Result = Run | Comparison | DryRun | tuple[DryRun, ...]

# What IPython calls in each cell and after it; Python's own names are those of `builtins`.
_TAKEN = frozenset(("get_ipython", "In", "Out", "exit", "quit"))

# Types that --schema takes without a variable. Nothing is evaluated: notebooks may be of others.
_SIMPLE = {kind.__name__: kind for kind in (str, int, float, bool)}
_SIMPLE_SCHEMAS: dict[str, object] = (
    _SIMPLE
    | {f"list[{name}]": list[kind] for name, kind in _SIMPLE.items()}  # type: ignore[valid-type]  # made from the table
    | {f"dict[str,{name}]": dict[str, kind] for name, kind in _SIMPLE.items()}  # type: ignore[valid-type]  # as above
)
_QUOTED_SCHEMA = """--schema '{"type": "object", ...}'"""


@dataclass(frozen=True, slots=True)
class Question:
    """What a magic asks: its text, its options, the variables, and the turns before it."""

    text: str
    options: PromptOptions
    variables: Mapping[str, object]  # of the notebook, and of the function with the magic
    earlier: Sequence[Turn] = ()

    def plan(self) -> tuple[Call, ...]:
        """Check everything and plan the calls; nothing is sent.

        Raises:
            ConfigError: Something cannot be sent.
            UsageError: An option is invalid.
        """
        options = self.options
        if options.output is not None:
            _check_free(options.output)
        if options.cell and (options.iterations != 1 or len(options.model) > 1):
            raise usage_error(
                "--cell takes the code of one answer: leave -n and further -m out. Nothing "
                "was sent."
            )
        if options.raw and options.prompt is not None:
            raise usage_error(
                "--raw sends text as it is, and the prompt that --prompt names is a "
                "template. Leave one of them out. Nothing was sent."
            )
        return CallOptions(
            _prompt(self.text.strip("\n"), options.prompt),
            options.model or [None],
            system=options.system,
            messages=self.earlier,
            images=options.image,
            files=options.file,
            schema=_schema(options.schema, self.variables),
            preset=options.preset,
            parameters=parameters_of(
                {
                    "temperature": options.temperature,
                    "top_p": options.top_p,
                    "max_tokens": options.max_tokens,
                },
                options.param,
                options.header,
            ),
            iterations=options.iterations,
            variables=None if options.raw else self.variables,
            fresh=options.fresh,
            override=options.override,
            source="magic",
            tags=options.tag,
        ).plan()


def answered(calls: Sequence[Call], options: PromptOptions, shell: InteractiveShell) -> Result:
    """Make the calls and show their answers while they come, or show what would be sent.

    Raises:
        LLMError: All runs failed, or they must not be made.
        Interrupted: The kernel was interrupted.
    """
    if options.dry_run:
        return _shown_dry_runs(calls)
    confirm_worst_case([call.request for call in calls], options.override, fresh=options.fresh)
    runs = watch(calls)
    if options.cell:
        _add_cell(runs[0], shell)
    return runs[0] if len(calls) == 1 else compared(calls, runs)


def _add_cell(run: Run, shell: InteractiveShell) -> None:
    """Put the code of an answer into a new cell, or print why there is none."""
    from llm_playground.magics.code_cells import new_cell  # seldom needed

    cell = new_cell(run.text)
    if cell.text is not None:
        shell.set_next_input(cell.text, replace=False)
    if cell.note:
        print(cell.note)


def _shown_dry_runs(calls: Sequence[Call]) -> DryRun | tuple[DryRun, ...]:
    from llm_playground import dry_runs  # seldom needed

    found = tuple(
        replace(one, problems=tuple(map(with_options, one.problems)))
        for one in dry_runs.of_calls(calls)
    )
    if len(found) > 1:
        display(estimates.together([one.estimate for one in found]))
    for one in found:
        display(one)
    return found[0] if len(found) == 1 else found


def _check_free(name: str) -> None:
    """Check that ``-o`` can set a variable, and hides no function that cells call.

    Raises:
        UsageError: It is no name, or one of Python or IPython.
    """
    if not name.isidentifier() or keyword.iskeyword(name):
        raise usage_error(f"-o takes the name of a variable, not {short_repr(name)}.")
    if name in _TAKEN or hasattr(builtins, name):
        raise usage_error(
            f"-o {name} would hide what Python or IPython calls {name}; take another name. "
            "Nothing was sent."
        )


def _schema(name: str | None, variables: Mapping[str, object]) -> object:
    if name is None:
        return None
    if name in variables:
        return variables[name]
    if (simple := name.replace(" ", "")) in _SIMPLE_SCHEMAS:
        return _SIMPLE_SCHEMAS[simple]
    if simple.startswith("{"):
        return json_value(f"--schema takes a JSON schema as {_QUOTED_SCHEMA}", name)
    raise usage_error(
        f"There is no variable {shorten(name)}. --schema takes the name of a variable, a simple "
        f"type such as list[str], or a JSON schema, quoted: {_QUOTED_SCHEMA}. Nothing was sent."
    )


def _prompt(text: str, saved: str | None) -> str | Prompt:
    """The cell's text, a saved prompt, or a saved prompt with the cell's text as its question."""
    if saved is None:
        return text
    found = prompts.prompt(saved)
    return found.with_question(text) if text.strip() else found
