"""``%llm`` and ``%%llm``: ask from a cell, and look things up."""

from __future__ import annotations

import argparse
import difflib
import json
import keyword
import shlex
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell
from IPython.core.magic import Magics, line_cell_magic, magics_class, no_var_expand

from llm_playground import (
    answers,
    code_command,
    config,
    credentials,
    export_command,
    key_commands,
    prompt_versions,
    redact,
)
from llm_playground.budgeting import budgets, check_worst_case
from llm_playground.calls import plan, resolve_model
from llm_playground.comparison import Comparison, compared
from llm_playground.live import watch
from llm_playground.saved_prompt import Prompt
from llm_playground.types import Run

_WARM_UP_S = 1.0

USAGE = """\
%llm [options] PROMPT       ask the default model
%%llm [options]             ask with the cell as the prompt; {{name}} takes a variable's value
   -m, --model MODEL        which model; several -m compare them
   -t, --temperature T      0 to 2 (Anthropic: to 1); what is not set is not sent
   --top-p P                0 to 1
   --max-tokens N           the longest answer, in tokens
   -s, --system TEXT        the system prompt
   -n, --iterations N       ask N times
   -o, --output NAME        keep the run (or the comparison) in a variable
   -p, --preset NAME        precise, balanced, creative or one that was saved
   --image PATH             send a picture too: a file or a web address; several are fine
   --schema NAME            the variable with the shape the answer must have: a pydantic model,
                            a dataclass, a JSON schema; or list[str] and the like as it is; the
                            answer in it is the run's .data
   --prompt NAME            a saved prompt, "name" or "name@3": its system prompt, parameters and
                            model; a text in the cell takes the place of its question
   --param K=V              any other parameter; extra takes JSON: 'extra={"user": "x"}'
   --tag TAG                a label to find the run by
   --override REASON        send it whatever budgets say; the reason is noted in the audit log
%llm models                 models and prices, the usable ones first
%llm keys                   which keys were found, and where
%llm keys set PROVIDER      ask for a key, hidden, for this kernel; --save: for later ones too
%llm keys forget PROVIDER   take that back
%llm use MODEL              the default model of this kernel
%llm preset                 presets: the three, and those saved with lp.save_preset
%llm runs                   the newest runs of the log
%llm cost                   costs by month and model
%llm latency                times by model
%llm budget                 budgets: limit, spent, reserved, left
%llm code [RUN_ID]          the newest run, or that one, as code: --language python, javascript or
                            curl; --function for a function
%llm export [PATH]          all runs into a file: .json, .md or .csv, or --format json, markdown or
                            csv; without a path, the newest 20 are shown
%llm doctor                 what works here and what does not, in ten lines
%llm help                   this text"""


@dataclass(frozen=True, slots=True)
class _Options:
    """What stands in the line of ``%%llm``."""

    models: list[str]
    preset: str | None
    parameters: dict[str, Any]
    system: str | None
    iterations: int
    output: str | None
    tags: list[str]
    override: str | None
    images: list[str]
    schema: str | None
    prompt: str | None


@magics_class
class LLMMagics(Magics):
    """The ``%llm`` line magic and the ``%%llm`` cell magic."""

    @no_var_expand  # IPython would evaluate what stands in single braces
    @line_cell_magic
    def llm(self, line: str, cell: str | None = None) -> object:
        """Ask a model, or look something up. ``%llm help`` lists everything."""
        if cell is not None:
            self._ask(cell, _parse(line))
            return None
        words = line.split()
        if not words or words in (["-h"], ["--help"]):
            print(USAGE)
            return None
        if line.startswith("-"):
            self._ask(*_options_then_prompt(line))
            return None
        look_up = _look_up(words)
        if look_up is not None:
            return look_up(*words[1:])
        self._ask(line, _parse(""))
        return None

    def _ask(self, prompt: str, options: _Options) -> None:
        calls = plan(
            _question(prompt.strip("\n"), options.prompt),
            options.models or [None],
            system=options.system,
            images=options.images,
            schema=self._schema(options.schema),
            preset=options.preset,
            parameters=options.parameters,
            iterations=options.iterations,
            variables=self._variables(),
            override=options.override,
            source="magic",
            tags=options.tags,
        )
        check_worst_case([call.request for call in calls], options.override)
        runs = watch(calls)
        if options.output:
            kept: Run | Comparison = runs[0] if len(calls) == 1 else compared(calls, runs)
            self._shell().user_ns[options.output] = kept

    def _schema(self, name: str | None) -> object:
        if name is None:
            return None
        if name in self._variables():
            return self._variables()[name]
        if name.replace(" ", "") in _SHAPES:
            return _SHAPES[name.replace(" ", "")]
        raise UsageError(
            f"%%llm: --schema takes the name of a variable; there is no {name}. "
            "Put the shape in a variable first."
        )

    def _variables(self) -> Mapping[str, object]:
        names: Mapping[str, object] = self._shell().user_ns
        return names

    def _shell(self) -> InteractiveShell:
        shell = self.shell
        if shell is None:  # cannot be: IPython registers magics on a shell
            raise UsageError("There is no IPython shell here.")
        return shell


def _look_up(words: Sequence[str]) -> Callable[..., object] | None:
    """What a line asks to look up, None when it is a prompt.

    Raises:
        UsageError: It is neither clearly: a typo must not be sent to a model and paid for.
    """
    first, more = words[0], len(words) - 1
    if first == "keys" and more and words[1] in key_commands.ACTS:  # with a key in it, perhaps
        return key_commands.keys
    if first == "code" and code_command.is_meant(words[1:]):
        return code_command.code
    if first == "export" and export_command.is_meant(words[1:]):
        return export_command.export
    if first in _LOOK_UPS:
        expected = _ARGUMENTS.get(first, 0)
        if more == expected:
            return _LOOK_UPS[first]
        if more < expected:
            raise UsageError(f"Write %llm {first} MODEL.")
        if more == 1:
            raise UsageError(f"%llm {first} takes nothing after it. To ask that, use %%llm.")
        return None
    close = difflib.get_close_matches(first, _LOOK_UPS, n=1, cutoff=0.7)
    if not more and close:
        raise UsageError(f"Did you mean %llm {close[0]}? To ask {first!r}, use %%llm.")
    return None


def load(shell: InteractiveShell) -> None:
    """Register the magics; in a kernel, load what the first call needs while nobody waits."""
    shell.register_magics(LLMMagics)
    if shell.display_formatter is not None:
        shell.display_formatter.formatters["text/html"].for_type(Run, answers.ended)
    if hasattr(shell, "kernel"):
        timer = threading.Timer(_WARM_UP_S, _warm_up)
        timer.daemon = True
        timer.start()


def _warm_up() -> None:
    import importlib  # only this thread needs it

    from llm_playground import catalog, render

    importlib.import_module("llm_playground.providers.openai")  # its SDK: 0.6 s
    catalog.choices()  # the price list: 0.3 s
    render.to_html("$x$\n\n```python\nx\n```")  # Markdown, formulas, code
    redact.redact("")  # the shapes of keys


class _Parser(argparse.ArgumentParser):
    """A parser that says what is wrong in one line, and never ends the process."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"%%llm: {message}. %llm help shows all options.")


def _parser() -> _Parser:
    parser = _Parser(prog="%%llm", add_help=False, allow_abbrev=False)
    parser.add_argument("-m", "--model", action="append", default=[])
    parser.add_argument("-p", "--preset")
    parser.add_argument("-t", "--temperature", type=float)
    parser.add_argument("--top-p", type=float)
    parser.add_argument("--max-tokens", type=int)
    parser.add_argument("--param", action="append", default=[])
    parser.add_argument("-s", "--system")
    parser.add_argument("-n", "--iterations", type=int, default=1)
    parser.add_argument("-o", "--output")
    parser.add_argument("--tag", action="append", default=[])
    parser.add_argument("--override")
    parser.add_argument("--image", action="append", default=[])
    parser.add_argument("--schema")
    parser.add_argument("--prompt")
    return parser


def _parse(line: str) -> _Options:
    try:
        given = _parser().parse_args(shlex.split(line))
    except ValueError as error:  # an open quote
        raise UsageError(f"%%llm: {error}. Quote texts with spaces: -s 'Be brief.'") from None
    return _options(given)


def _options(given: argparse.Namespace) -> _Options:
    if given.output is not None and not _is_name(given.output):
        raise UsageError(f"%%llm: -o takes the name of a variable, not {given.output!r}.")
    named = {
        "temperature": given.temperature,
        "top_p": given.top_p,
        "max_tokens": given.max_tokens,
    }
    parameters = _more_parameters(given.param) | {k: v for k, v in named.items() if v is not None}
    return _Options(
        given.model,
        given.preset,
        parameters,
        given.system,
        given.iterations,
        given.output,
        given.tag,
        given.override,
        given.image,
        given.schema,
        given.prompt,
    )


def _question(text: str, saved: str | None) -> str | Prompt:
    """What is asked: the cell's text, a saved prompt, or a saved prompt with the cell's text."""
    if saved is None:
        return text
    found = prompt_versions.prompt(saved)
    return found.asking(text) if text.strip() else found


def _is_name(word: str) -> bool:
    return word.isidentifier() and not keyword.iskeyword(word)


def _options_then_prompt(line: str) -> tuple[str, _Options]:
    """A line of options with a prompt behind them: ``-m local -t 0.5 Say hello``."""
    try:
        given, rest = _parser().parse_known_args(shlex.split(line))
    except ValueError as error:  # an open quote
        raise UsageError(f"%llm: {error}. Ask longer texts with %%llm.") from None
    unknown = next((word for word in rest if len(word) > 1 and word[0] == "-"), None)
    if unknown is not None:
        raise UsageError(f"%llm: there is no option {unknown}. %llm help shows all options.")
    return " ".join(rest), _options(given)


def _more_parameters(pairs: list[str]) -> dict[str, Any]:
    """``K=V`` pairs; numbers become numbers."""
    parameters: dict[str, Any] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise UsageError(f"%%llm: --param takes NAME=VALUE, not {pair!r}.")
        read = _json_object if name == "extra" else _number_or_text
        parameters[name.replace("-", "_")] = read(value)
    return parameters


def _json_object(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError as error:
        raise UsageError(
            """%%llm: extra takes a JSON object, quoted: --param 'extra={"user": "x"}'; """
            f"this is none: {error}."
        ) from None


def _number_or_text(value: str) -> int | float | str:
    for kind in (int, float):
        try:
            return kind(value)
        except ValueError:
            continue
    return value


def _use(model: str) -> None:
    resolved = resolve_model(model)
    provider = resolved.partition(":")[0]
    config.configure(model=resolved)
    print(f"The default model is now {resolved}.")
    if provider in credentials.with_key() and credentials.key_status(provider).status != "present":
        variable = config.rows()[provider].key_variables[0]
        print(
            f"It needs a key: put {variable} in .env or the environment, or run %llm keys set "
            f"{provider}."
        )


def _models() -> object:
    from llm_playground import catalog  # pandas: first use, not load

    return catalog.models()


def _presets() -> object:
    from llm_playground import saved_presets  # pandas: first use, not load

    return saved_presets.presets()


def _runs() -> object:
    from llm_playground import reports  # pandas: first use, not load

    columns = ["started_at", "model", "user_prompt", "response_text", "status", "cost_usd"]
    return reports.runs(limit=20)[[*columns, "response_time_ms", "run_id"]]


def _cost() -> object:
    from llm_playground import reports  # pandas: first use, not load

    return reports.costs()


def _latency() -> object:
    from llm_playground import reports  # pandas: first use, not load

    return reports.latency()


def _budget() -> object:
    return budgets().drop(columns=["id", "created_at"])


def _doctor() -> None:
    from llm_playground import doctor  # first use, not load

    print("\n".join(doctor.report()))


def _help() -> None:
    print(USAGE)


_LOOK_UPS: dict[str, Callable[..., object]] = {
    "models": _models,
    "keys": key_commands.keys,
    "use": _use,
    "preset": _presets,
    "runs": _runs,
    "cost": _cost,
    "latency": _latency,
    "budget": _budget,
    "code": code_command.code,
    "export": export_command.export,
    "doctor": _doctor,
    "help": _help,
}
# Shapes that need no variable. Nothing is evaluated: a notebook may be another person's.
_SIMPLE = {kind.__name__: kind for kind in (str, int, float, bool)}
_SHAPES: dict[str, object] = (
    _SIMPLE
    | {f"list[{name}]": list[kind] for name, kind in _SIMPLE.items()}  # type: ignore[valid-type]  # made from the table
    | {f"dict[str,{name}]": dict[str, kind] for name, kind in _SIMPLE.items()}  # type: ignore[valid-type]  # as above
)
# How many words follow; with any other number the line is a prompt ("runs are fun, aren't they").
_ARGUMENTS = {"use": 1}
