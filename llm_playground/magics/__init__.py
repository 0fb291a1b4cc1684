"""``%llm`` and ``%%llm``: ask from a cell, and run commands.

An option or a command is added in one place: :data:`_PROMPT_OPTIONS` or :data:`_COMMANDS`.
"""

from __future__ import annotations

import argparse
import difflib
import json
import keyword
import shlex
import textwrap
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, NoReturn

from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell
from IPython.core.magic import Magics, line_cell_magic, magics_class, no_var_expand

from llm_playground import redaction, rendering
from llm_playground.budgeting import confirm_worst_case
from llm_playground.calls import CallOptions
from llm_playground.comparison import Comparison, compared
from llm_playground.magics import commands
from llm_playground.magics.live_output import watch
from llm_playground.request import prompts
from llm_playground.request.prompts import Prompt
from llm_playground.types import Run

_WARM_UP_S = 1.0

# Types that --schema takes without a variable. Nothing is evaluated: notebooks may be of others.
_SIMPLE = {kind.__name__: kind for kind in (str, int, float, bool)}
_SIMPLE_SCHEMAS: dict[str, object] = (
    _SIMPLE
    | {f"list[{name}]": list[kind] for name, kind in _SIMPLE.items()}  # type: ignore[valid-type]  # made from the table
    | {f"dict[str,{name}]": dict[str, kind] for name, kind in _SIMPLE.items()}  # type: ignore[valid-type]  # as above
)
_HELP_COLUMN, _HELP_WIDTH = 28, 100
_CLOSE = 0.7  # how similar a word must be to a command to be taken for a typo
_SHORT = 2  # words after the first that read like arguments rather than a sentence
_REFUSES_SHORT = ("budget", "use", "export")  # commands whose wrong arguments are no prompt
_INSTEAD = {
    "set": "%llm keys set PROVIDER for a key, or lp.set_budget(...) for a budget",
    "forget": "%llm keys forget PROVIDER",
    "purge": "lp.purge(...)",
    "backup": "lp.backup(...)",
    "restore": "lp.restore(...)",
    "import": "lp.import_runs(...)",
}
_DELETE_KEY = "If there is a key on this line, delete it."
_ASK = "To ask a model that, use %%llm."


@dataclass(frozen=True, slots=True)
class _Option:
    """One option of a prompt: flags, metavar, help, and argparse's other settings."""

    flags: str
    metavar: str
    help: str
    settings: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Command:
    """One subcommand."""

    run: Callable[..., object]  # called with the values of its arguments
    syntax: str  # how its arguments are written
    help: Sequence[tuple[str, str]]  # its lines in ``%llm help``: syntax and text
    arguments: Sequence[tuple[str, dict[str, Any]]] = ()  # names with argparse's settings
    # First words that can only be an argument, so that the line is not a prompt.
    keywords: frozenset[str] = frozenset()


_SEVERAL = {"action": "append", "default": []}
_PROMPT_OPTIONS = (
    _Option("-m --model", "MODEL", "which model; several -m compare them", _SEVERAL),
    _Option(
        "-t --temperature",
        "T",
        "0 to 2 (Anthropic: to 1); what is not set is not sent",
        {"type": float},
    ),
    _Option("--top-p", "P", "0 to 1", {"type": float}),
    _Option("--max-tokens", "N", "the longest answer, in tokens", {"type": int}),
    _Option("-s --system", "TEXT", "the system prompt"),
    _Option("-n --iterations", "N", "ask N times", {"type": int, "default": 1}),
    _Option("-o --output", "NAME", "keep the run (or the comparison) in a variable"),
    _Option("-p --preset", "NAME", "precise, balanced, creative or one that was saved"),
    _Option("--image", "PATH", "send an image: a file or a web address; may be repeated", _SEVERAL),
    _Option(
        "--file",
        "PATH",
        "send a document or recording (PDF, text, audio): a file or a web address; may be repeated",
        _SEVERAL,
    ),
    _Option(
        "--schema",
        "NAME",
        "the variable with the schema of the answer: a pydantic model, a dataclass, a JSON schema; "
        "or a simple type such as list[str]; the parsed answer is the run's .data",
    ),
    _Option(
        "--prompt",
        "NAME",
        'a saved prompt, "name" or "name@3": its system prompt, parameters and model; text in the '
        "cell replaces its question",
    ),
    _Option(
        "--param",
        "K=V",
        'any other parameter; extra takes JSON: \'extra={"user": "x"}\'',
        _SEVERAL,
    ),
    _Option("--header", "K=V", "an HTTP header, such as a beta flag; may be repeated", _SEVERAL),
    _Option("--tag", "TAG", "a label to find the run by", _SEVERAL),
    _Option("--override", "REASON", "send it despite budgets; the reason goes to the audit log"),
)
_COMMANDS: dict[str, _Command] = {
    "models": _Command(commands.models, "", [("", "models and prices, the usable ones first")]),
    "keys": _Command(
        commands.keys,
        "[set PROVIDER [--save] | forget PROVIDER]",
        [
            ("", "which keys were found, and where"),
            ("set PROVIDER", "ask for a key, hidden, for this kernel; --save: for later ones too"),
            ("forget PROVIDER", "remove that key"),
        ],
        [
            ("act", {"nargs": "?", "choices": commands.KEY_ACTS}),
            ("providers", {"nargs": "*"}),
            ("--save", {"action": "store_true"}),
        ],
        frozenset(commands.KEY_ACTS),
    ),
    "use": _Command(
        commands.use, "MODEL", [("MODEL", "the default model of this kernel")], [("model", {})]
    ),
    "preset": _Command(
        commands.presets, "", [("", "presets: the three, and those saved with lp.save_preset")]
    ),
    "runs": _Command(commands.runs, "", [("", "the newest runs of the log")]),
    "cost": _Command(commands.cost, "", [("", "costs by month and model")]),
    "latency": _Command(commands.latency, "", [("", "times by model")]),
    "budget": _Command(commands.budget, "", [("", "budgets: limit, spent, reserved, left")]),
    "code": _Command(
        commands.code,
        "[RUN_ID|last] [--language python|javascript|curl] [--function]",
        [
            (
                "[RUN_ID]",
                "the newest run, or that one, as code: --language python, javascript or curl; "
                "--function for a function",
            )
        ],
        [
            ("run", {"nargs": "?", "default": "last"}),
            ("--language", {"default": "python"}),
            ("--function", {"action": "store_true"}),
        ],
        frozenset({"last"}),
    ),
    "export": _Command(
        commands.export,
        "[--format json|markdown|csv] [PATH]",
        [
            (
                "[PATH]",
                "all runs into a file: .json, .md or .csv, or --format json, markdown or csv; "
                "without a path, the newest 20 are shown",
            )
        ],
        [("path", {"nargs": "?"}), ("--format", {})],
    ),
    "doctor": _Command(
        commands.doctor, "", [("", "what works here and what does not, in ten lines")]
    ),
    "help": _Command(lambda: print(_usage()), "", [("", "this text")]),
}


def _usage_error(message: str) -> UsageError:
    """An error that repeats a part of the line, without keys."""
    return UsageError(redaction.printable(redaction.redact(message)))


class _Parser(argparse.ArgumentParser):
    """A parser that raises a one-line error and never ends the process."""

    def error(self, message: str) -> NoReturn:
        raise _usage_error(f"{self.prog}: {message}. %llm help shows all options.")


def _prompt_parser() -> _Parser:
    parser = _Parser(prog="%%llm", add_help=False, allow_abbrev=False)
    for option in _PROMPT_OPTIONS:
        parser.add_argument(*option.flags.split(), **option.settings)
    return parser


def _prompt_options(line: str) -> argparse.Namespace:
    """The options in the line of a ``%%llm`` cell."""
    try:
        return _prompt_parser().parse_args(shlex.split(line))
    except ValueError as error:  # an open quote
        raise _usage_error(f"%%llm: {error}. Quote texts with spaces: -s 'Be brief.'") from None


def _options_and_prompt(line: str) -> tuple[argparse.Namespace, str]:
    """The options and the prompt of a line such as ``-m local -t 0.5 Say hello``."""
    try:
        options, rest = _prompt_parser().parse_known_args(shlex.split(line))
    except ValueError as error:  # an open quote
        raise _usage_error(f"%llm: {error}. Ask longer texts with %%llm.") from None
    unknown = next((word for word in rest if len(word) > 1 and word[0] == "-"), None)
    if unknown is not None:
        raise _usage_error(f"%llm: there is no option {unknown}. %llm help shows all options.")
    return options, " ".join(rest)


def command(line: str) -> Callable[[], object] | None:
    """The call of the command in a line, None when the line is a prompt.

    A line whose first word is a command but whose other words are not its arguments is a prompt,
    such as ``runs are fun``, unless that could be a typo: a single word or an option follows, or
    two words of :data:`_REFUSES_SHORT`. A line that begins with ``keys`` is never a prompt.

    A word close to a command is a typo of it if nothing, an option or the command's one argument
    follows; one close to ``keys`` also if two words follow, of which one may be a key.

    Raises:
        UsageError: It could be either; a mistyped command is not sent to a model and paid for.

    >>> command("review is hard"), command("code review is hard"), command("export my old notes")
    (None, None, None)
    """
    name, *words = line.split()
    with suppress(ValueError):  # an apostrophe
        words = shlex.split(line)[1:]
    if name.lower() in _INSTEAD and _reads_like_command(words):
        raise _usage_error(f"Nothing was sent. Use {_INSTEAD[name.lower()]}. {_DELETE_KEY} {_ASK}")
    if name not in _COMMANDS:
        for close in difflib.get_close_matches(name.lower(), _COMMANDS, n=1, cutoff=_CLOSE):
            may_have_key = close == "keys" and _reads_like_command(words)
            if not words or words[0].startswith("-") or may_have_key or _is_argument(close, words):
                raise _usage_error(f"Did you mean %llm {close}? To ask {name!r}, use %%llm.")
        return None
    known = _COMMANDS[name]
    try:
        values = _arguments(name, words)
    except UsageError:
        if name == "keys":
            raise _usage_error(
                f"Nothing was sent. Write %llm keys {known.syntax}. {_DELETE_KEY} {_ASK}"
            ) from None
        is_short = name in _REFUSES_SHORT and _reads_like_command(words)
        is_argument = words[:1] and (words[0] in known.keywords or words[0].startswith("-"))
        if len(words) > 1 and not is_argument and not is_short:
            return None
        expected = f"Write %llm {name} {known.syntax}"
        if not known.syntax:
            expected = f"%llm {name} takes nothing after it"
        if name == "budget":
            expected += "; lp.set_budget(...) sets a budget"
        raise _usage_error(f"{expected}. {_ASK}") from None
    return lambda: known.run(**values)


def _arguments(name: str, words: Sequence[str]) -> dict[str, Any]:
    """The values of a command's arguments.

    Raises:
        UsageError: The command does not take these words.
    """
    parser = _Parser(prog=f"%llm {name}", add_help=False, allow_abbrev=False)
    for argument, settings in _COMMANDS[name].arguments:
        parser.add_argument(argument, **settings)
    return vars(parser.parse_intermixed_args(list(words)))


def _reads_like_command(words: Sequence[str]) -> bool:
    """Whether the words after the first are few, or have an option, and end no sentence.

    >>> _reads_like_command(["budget", "5"]), _reads_like_command(["it", "all!"])
    (True, False)
    """
    has_option = any(len(word) > 2 and word.startswith("--") for word in words)
    is_sentence = bool(words) and words[-1].endswith((".", "?", "!", "…"))
    return (len(words) <= _SHORT or has_option) and not is_sentence


def _is_argument(name: str, words: Sequence[str]) -> bool:
    """Whether a command takes these words: one word, or those after one of its keywords."""
    with suppress(UsageError):
        _arguments(name, words)
        return len(words) == 1 or words[0] in _COMMANDS[name].keywords
    return False


def _usage() -> str:
    """The text of ``%llm help``."""
    lines = [
        "%llm [options] PROMPT       ask the default model",
        "%%llm [options]             ask with the cell as the prompt; {{name}} takes a variable's "
        "value",
    ]
    for option in _PROMPT_OPTIONS:
        lines += _help_lines(f"   {option.flags.replace(' ', ', ')} {option.metavar}", option.help)
    for name, known in _COMMANDS.items():
        for syntax, text in known.help:
            lines += _help_lines(f"%llm {name} {syntax}".rstrip(), text)
    return "\n".join(lines)


def _help_lines(left: str, text: str) -> list[str]:
    first, *others = textwrap.wrap(text, _HELP_WIDTH - _HELP_COLUMN)
    return [f"{left:<{_HELP_COLUMN}}{first}", *(" " * _HELP_COLUMN + other for other in others)]


@magics_class
class LLMMagics(Magics):
    """The ``%llm`` line magic and the ``%%llm`` cell magic."""

    @no_var_expand  # IPython would evaluate what stands in single braces
    @line_cell_magic
    def llm(self, line: str, cell: str | None = None) -> object:
        """Ask a model, or run a command. ``%llm help`` lists everything."""
        if cell is not None:
            self._ask(cell, _prompt_options(line))
            return None
        if not line.strip() or line.split() in (["-h"], ["--help"]):
            line = "help"
        if line.startswith("-"):
            options, prompt = _options_and_prompt(line)
            self._ask(prompt, options)
            return None
        run_command = command(line)
        if run_command is not None:
            return run_command()
        self._ask(line, _prompt_options(""))
        return None

    def _ask(self, prompt: str, options: argparse.Namespace) -> None:
        if options.output is not None and not (
            options.output.isidentifier() and not keyword.iskeyword(options.output)
        ):
            raise _usage_error(f"%%llm: -o takes the name of a variable, not {options.output!r}.")
        calls = CallOptions(
            _question(prompt.strip("\n"), options.prompt),
            options.model or [None],
            system=options.system,
            images=options.image,
            files=options.file,
            schema=self._schema(options.schema),
            preset=options.preset,
            parameters=_parameters(options),
            iterations=options.iterations,
            variables=self._variables(),
            override=options.override,
            source="magic",
            tags=options.tag,
        ).plan()
        confirm_worst_case([call.request for call in calls], options.override)
        runs = watch(calls)
        if options.output:
            result: Run | Comparison = runs[0] if len(calls) == 1 else compared(calls, runs)
            self._variables()[options.output] = result

    def _schema(self, name: str | None) -> object:
        if name is None:
            return None
        if name in self._variables():
            return self._variables()[name]
        if (simple := name.replace(" ", "")) in _SIMPLE_SCHEMAS:
            return _SIMPLE_SCHEMAS[simple]
        raise _usage_error(
            f"%%llm: --schema takes the name of a variable; there is no {name}. "
            "Put the schema in a variable first."
        )

    def _variables(self) -> dict[str, object]:
        if self.shell is None:  # IPython always registers magics on a shell
            raise _usage_error("There is no IPython shell here.")
        names: dict[str, object] = self.shell.user_ns
        return names


def load(shell: InteractiveShell) -> None:
    """Register the magics; in a kernel, import in the background what the first call needs."""
    shell.register_magics(LLMMagics)
    if shell.display_formatter is not None:
        shell.display_formatter.formatters["text/html"].for_type(Run, rendering.run_to_html)
    if hasattr(shell, "kernel"):
        timer = threading.Timer(_WARM_UP_S, _warm_up)
        timer.daemon = True
        timer.start()


def _warm_up() -> None:
    from llm_playground import providers, rendering
    from llm_playground.catalog import models

    providers.provider_class("openai", "openai")  # its SDK: 0.6 s
    models.choices()  # the price list: 0.3 s
    rendering.to_html("$x$\n\n```python\nx\n```")  # Markdown, formulas, code
    redaction.redact("")  # the shapes of keys


def _question(text: str, saved: str | None) -> str | Prompt:
    """The cell's text, a saved prompt, or a saved prompt with the cell's text as its question."""
    if saved is None:
        return text
    found = prompts.prompt(saved)
    return found.with_question(text) if text.strip() else found


def _parameters(options: argparse.Namespace) -> dict[str, Any]:
    """The parameters of the options, those of ``--param`` included; numbers become numbers."""
    parameters: dict[str, Any] = {}
    for name, value in _pairs("--param", options.param):
        read = _json_object if name == "extra" else _number_or_text
        parameters[name.replace("-", "_")] = read(value)
    if options.header:
        parameters["headers"] = dict(_pairs("--header", options.header))
    for name in ("temperature", "top_p", "max_tokens"):
        if getattr(options, name) is not None:
            parameters[name] = getattr(options, name)
    return parameters


def _pairs(option: str, pairs: Sequence[str]) -> Iterator[tuple[str, str]]:
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise _usage_error(f"%%llm: {option} takes NAME=VALUE, not {pair!r}.")
        yield name, value


def _json_object(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _usage_error(
            """%%llm: extra takes a JSON object, quoted: --param 'extra={"user": "x"}'. """
            f"The JSON is invalid: {error}."
        ) from None


def _number_or_text(value: str) -> int | float | str:
    for kind in (int, float):
        try:
            return kind(value)
        except ValueError:
            continue
    return value
