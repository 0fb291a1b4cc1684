"""The commands of ``%llm``, and which lines are commands.

1. A line that begins with an option or with ``--`` is a prompt.
2. A command with its arguments is that command: ``%llm models``, ``%llm use gpt-4o``.
3. A line that may be a mistyped command, or may hold a key, is refused; nothing is sent.
4. ``%llm chat`` and ``%llm fix`` ask a model: ``chat`` takes any text, ``fix`` options only.
5. Every other line is a prompt: ``%llm models of cars?``.
"""

from __future__ import annotations

import argparse
import difflib
import re
import shlex
import string
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NoReturn

from IPython.core.error import UsageError

from llm_playground._validation import short_repr
from llm_playground.export_formats import FORMATS
from llm_playground.magics import chat, commands, documentation, saved_settings
from llm_playground.magics.options import HELP_FLAGS, usage_error
from llm_playground.types import Run

_ID = re.compile(r"[0-9a-f]{6}[0-9a-f-]*\Z")
_TAKES_IDS = ("show", "code")  # commands whose words may be variables with a run or its id
_VARIABLE = re.compile(r"\{([^{}]+)\}|\{\{([^{}]+)\}\}|\$([A-Za-z_][\w.]*)")
_NOT_FOUND = (KeyError, AttributeError, IndexError, TypeError, ValueError)
_CLOSE = 0.7  # how similar a word must be to a command to be taken for a typo
_SHORT = 2  # words after the first that read like arguments rather than a sentence
_REFUSES_SHORT = ("budget", "use", "export")  # commands whose wrong arguments are no prompt
_INSTEAD = {
    "set": "%llm keys set PROVIDER for a key, or %llm budget set USD for a budget",
    "forget": "%llm keys forget PROVIDER",
    "purge": "lp.purge(...)",
    "backup": "lp.backup(...)",
    "restore": "lp.restore(...)",
    "import": "lp.import_runs(...)",
}
_DELETE_KEY = "If there is a key on this line, delete it."
_ASK = "To ask a model that, write -- before it."


def _run_id(word: str) -> str:
    """A word of ``%llm show``: an id, the beginning of one, or ``last``.

    Raises:
        argparse.ArgumentTypeError: It is none of these.
    """
    if word == "last" or _ID.match(word):
        return word
    if variable := _VARIABLE.fullmatch(word):
        name = variable[variable.lastindex or 0]
        raise argparse.ArgumentTypeError(f"there is no variable {name}")
    raise argparse.ArgumentTypeError(
        f"{short_repr(word)} is not the beginning of a run's id, which has six or more of its "
        "characters; %llm runs lists ids"
    )


@dataclass(frozen=True, slots=True)
class Command:
    """One command."""

    run: Callable[..., object]  # called with the values of its arguments
    syntax: str  # how its arguments are written
    help: Sequence[tuple[str, str]]  # its lines in ``%llm help``: syntax and text
    # Names, or flags with blanks between, with argparse's settings.
    arguments: Sequence[tuple[str, dict[str, Any]]] = ()
    # First words that can only be an argument, so that the line is not a prompt.
    keywords: tuple[str, ...] = ()


# Which runs a command is about, as the filters of `lp.runs`; the first two may be repeated.
_FILTERS: tuple[tuple[str, dict[str, Any]], ...] = (
    *((f"--{name}", {"action": "append"}) for name in ("model", "status")),
    *((f"--{name}", {}) for name in ("provider", "user", "since", "until", "tag", "notebook")),
    ("--search", {}),
)
_LIMIT: tuple[str, dict[str, Any]] = ("--limit", {"type": int})
_FILTERS_HELP = (
    "--model and --status (repeatable), --provider, --user, --tag, --notebook, --since and "
    "--until as 2026-03 or 2026-03-31, --search TEXT"
)
_REPORT = (("--by", {"action": "append"}), ("--tz", {"default": "UTC"}), *_FILTERS)


def _report_help(text: str, default: str) -> Sequence[tuple[str, str]]:
    return [
        (
            "[--by NAME]",
            f"{text} by {default}, or --by month, day, model, provider, user, notebook, tag, tier, "
            "status; repeatable; --tz ZONE for months and days",
        ),
        ("[FILTERS]", "only some runs: those of %llm runs"),
    ]


COMMANDS: dict[str, Command] = {
    "models": Command(
        commands.models,
        "[TEXT]",
        [("[TEXT]", "models and prices, the usable ones first; all, or those with TEXT in them")],
        [("text", {"nargs": "?"})],
    ),
    "keys": Command(
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
        commands.KEY_ACTS,
    ),
    "use": Command(
        commands.use, "MODEL", [("MODEL", "the default model of this kernel")], [("model", {})]
    ),
    "preset": Command(
        saved_settings.preset,
        "[save NAME OPTIONS | delete NAME]",
        [
            ("", "presets: the three, and those that were saved"),
            ("save NAME", "save the parameters that follow: -t, --top-p, --max-tokens, --param"),
            ("delete NAME", "delete it, for all users of the log; a line says how to undo that"),
        ],
        [
            ("act", {"nargs": "?", "choices": saved_settings.PRESET_ACTS}),
            ("name", {"nargs": "?"}),
            ("-t --temperature", {"type": float}),
            ("--top-p", {"type": float}),
            ("--max-tokens", {"type": int}),
            ("--param", {"action": "append", "default": []}),
            ("--header", {"action": "append", "default": []}),
        ],
        saved_settings.PRESET_ACTS,
    ),
    "runs": Command(
        commands.runs,
        "[FILTERS]",
        [
            (
                "[FILTERS]",
                f"the newest 20 runs of the log, or those of: {_FILTERS_HELP}, --limit N for the "
                "newest N",
            )
        ],
        (*_FILTERS, _LIMIT),
    ),
    "show": Command(
        commands.show,
        "[RUN_ID ...]",
        [
            (
                "[RUN_ID ...]",
                "answers of the log in this cell: the newest, or these; {name} or $name is a "
                "variable with a run or its id",
            )
        ],
        [("ids", {"nargs": "*", "type": _run_id})],
        ("last",),
    ),
    "cost": Command(
        commands.cost,
        "[--by NAME] [FILTERS]",
        _report_help("costs", "month and model"),
        _REPORT,
        ("by",),
    ),
    "latency": Command(
        commands.latency, "[--by NAME] [FILTERS]", _report_help("times", "model"), _REPORT, ("by",)
    ),
    "budget": Command(
        saved_settings.budget,
        "[set USD [OPTIONS] | remove [OPTIONS]]",
        [
            ("", "budgets: limit, spent, reserved, left"),
            (
                "set USD",
                "limit what calls may cost, for all users of the log: --period day, month or "
                "total; --model, --user, --tag; --action block or warn; --unknown-price warn, "
                "block or USD",
            ),
            ("remove", "remove it; --period, --model, --user and --tag as it was set"),
        ],
        [
            ("act", {"nargs": "?", "choices": saved_settings.BUDGET_ACTS}),
            ("limit", {"nargs": "?"}),
            *((f"--{name}", {}) for name in ("period", "model", "user", "tag", "action")),
            ("--unknown-price", {}),
        ],
        saved_settings.BUDGET_ACTS,
    ),
    "code": Command(
        commands.code,
        "[RUN_ID|last] [--language python|javascript|curl] [--function] [--no-stream]",
        [
            (
                "[RUN_ID]",
                "the newest run, or that one, as code (variables as in show): --language python, "
                "javascript or curl; --function for a function, --no-stream for the whole answer "
                "at once",
            )
        ],
        [
            ("run", {"nargs": "?", "default": "last"}),
            ("--language", {"default": "python"}),
            ("--function", {"action": "store_true"}),
            ("--no-stream", {"action": "store_true"}),
        ],
        ("last",),
    ),
    "export": Command(
        commands.export,
        "[--format NAME] [FILTERS] [PATH]",
        [
            (
                "[PATH]",
                "all runs into a file in the format of its suffix, or --format NAME: "
                f"{', '.join(FORMATS)}; without a path, the newest 20 are shown",
            ),
            ("[FILTERS]", "only some runs: those of %llm runs, and --min-rating NUMBER"),
        ],
        [
            ("path", {"nargs": "?"}),
            ("--format", {}),
            ("--min-rating", {"type": float}),
            *_FILTERS,
            _LIMIT,
        ],
    ),
    "record": Command(
        commands.record,
        "[on|off]",
        [
            ("on", "record the calls that other libraries make in this kernel in the log"),
            ("off", "stop, as %unload_ext does; without a word: whether it is on"),
        ],
        [("state", {"nargs": "?", "choices": commands.RECORD_STATES})],
        commands.RECORD_STATES,
    ),
    "replay": Command(
        commands.replay,
        "[on|off|record|prune]",
        [
            ("", "which recording is used, and how often"),
            ("on", "answers from the recording or the log, without sending; off: send"),
            ("record", "send, and write the answers to the recording"),
            ("prune", "remove answers from the recording that this kernel has not used"),
        ],
        [("act", {"nargs": "?", "choices": commands.REPLAY_ACTS})],
        commands.REPLAY_ACTS,
    ),
    "doctor": Command(
        commands.doctor, "", [("", "what works here and what does not, in ten lines")]
    ),
    "help": Command(
        lambda topic: print(help_text(topic)),
        "[COMMAND]",
        [("[COMMAND]", "this text, or that of one command; %llm? shows it beside the notebook")],
        [("topic", {"nargs": "?"})],
    ),
}


@dataclass(frozen=True, slots=True)
class Asking:
    """A command that asks a model: options and a prompt follow it."""

    syntax: str
    help: Sequence[tuple[str, str]]
    words: tuple[str, ...] = ()  # that are no prompt when they stand alone
    takes_prompts: bool = False  # without an option before; else such a line is a plain prompt


ASKING: dict[str, Asking] = {
    "chat": Asking(
        "[OPTIONS] PROMPT | undo | reset",
        [
            ("PROMPT", "one more turn of a conversation, also %%llm chat; its options stay"),
            ("", "its turns, model, tokens and cost"),
            ("undo", "take the last turn, or reset, back"),
            ("reset", "begin a new conversation"),
        ],
        chat.ACTS,
        takes_prompts=True,
    ),
    "fix": Asking(
        "[OPTIONS] [-- NOTE]",
        [
            (
                "",
                "ask why the newest cell with an error failed, and for its corrected code: its "
                "code and traceback are sent, without keys; --cell puts the code into a new cell",
            )
        ],
    ),
}
# Everything that `%llm help` explains.
DOCUMENTED: dict[str, Command | Asking] = {**COMMANDS, **ASKING}


def asking(line: str) -> tuple[str | None, str]:
    """The command of :data:`ASKING` that a line begins with, None for another line, and the rest.

    >>> asking("chat -t 0 Hello"), asking("fix this text: he go"), asking("fix --cell")
    (('chat', '-t 0 Hello'), (None, 'fix this text: he go'), ('fix', '--cell'))
    """
    name, rest = [*line.split(None, 1), "", ""][:2]
    known = ASKING.get(name)
    if known is None or not (known.takes_prompts or not rest or rest.startswith("-")):
        return None, line
    return name, rest


class _Parser(argparse.ArgumentParser):
    """A parser that raises a one-line error and never ends the process."""

    def error(self, message: str) -> NoReturn:
        raise usage_error(message.removeprefix("argument ids: "))


def command(
    line: str, variables: Mapping[str, object] = MappingProxyType({})
) -> Callable[[], object] | None:
    """The call of the command in a line, None when the line is a prompt.

    A line whose first word is a command but whose other words are not its arguments is a prompt,
    such as ``runs are fun``, unless that could be a typo: a single word or an option follows, or
    two words of :data:`_REFUSES_SHORT`. A line that begins with ``keys`` is never a prompt.

    A word close to a command is a typo of it if nothing, an option or the command's one argument
    follows; one close to ``keys`` also if two words follow, of which one may be a key. A command
    with a question mark, such as ``models?``, or with ``--help``, is its help. Words of
    :data:`_TAKES_IDS` may name one of the variables.

    Raises:
        UsageError: It could be either; a mistyped command is not sent to a model and paid for.

    >>> command("review is hard"), command("code review is hard"), command("export my old notes")
    (None, None, None)
    """
    name, *words = line.split()
    if (topic := _topic(name, words)) is not None:
        return lambda: print(help_text(topic))
    with suppress(ValueError):  # an apostrophe
        words = shlex.split(line)[1:]
    if name.lower() in _INSTEAD and _reads_like_command(words):
        raise usage_error(f"Nothing was sent. Use {_INSTEAD[name.lower()]}. {_DELETE_KEY} {_ASK}")
    if name not in COMMANDS:
        _check_is_no_typo(name, words)
        return None
    known = COMMANDS[name]
    if name in _TAKES_IDS:
        words = [_value_of(word, variables) for word in words]
    try:
        values = _arguments(name, words)
    except UsageError as error:
        if name == "keys":
            raise usage_error(
                f"Nothing was sent. Write %llm keys {known.syntax}. {_DELETE_KEY} {_ASK}"
            ) from None
        is_short = name in _REFUSES_SHORT and _reads_like_command(words)
        is_argument = words[:1] and (words[0] in known.keywords or words[0].startswith("-"))
        are_ids = name in _TAKES_IDS and all(
            _ID.match(word) or _VARIABLE.fullmatch(word) for word in words
        )
        if len(words) > 1 and not is_argument and not is_short and not are_ids:
            return None
        expected = f"Write %llm {name} {known.syntax}"
        has_option = any(word.startswith("--") for word in words)
        if words and (words[0] in known.keywords or has_option or name == "show"):
            expected += f" ({error})"
        if not known.syntax:
            expected = f"%llm {name} takes nothing after it"
        raise usage_error(f"{expected}. {_ASK}") from None
    return lambda: known.run(**values)


def _topic(name: str, words: Sequence[str]) -> str | None:
    """The command that a line asks the help of; None for another line."""
    if name in COMMANDS and {*words[:1], *words[-1:]} & {*HELP_FLAGS}:
        return name
    asked = name.rstrip("?")
    return asked if not words and asked != name and asked in DOCUMENTED else None


def help_text(topic: str | None = None) -> str:
    """The text of ``%llm help``, or of one command.

    Raises:
        UsageError: There is no such command.
    """
    if topic is None:
        return documentation.usage(DOCUMENTED)
    name = topic.removeprefix("%llm").strip()
    if name not in DOCUMENTED:
        names = ", ".join(DOCUMENTED)
        raise usage_error(f"%llm help: there is no command {topic!r}; there are {names}. {_ASK}")
    return documentation.of_command(name, DOCUMENTED[name])


def _check_is_no_typo(name: str, words: Sequence[str]) -> None:
    """Check that the words do not look like a mistyped command.

    Raises:
        UsageError: They do.
    """
    for close in difflib.get_close_matches(name.lower(), DOCUMENTED, n=1, cutoff=_CLOSE):
        may_have_key = close == "keys" and _reads_like_command(words)
        if not words or words[0].startswith("-") or may_have_key or _is_argument(close, words):
            raise usage_error(f"Did you mean %llm {close}? To ask {name!r}, write -- before it.")


def _arguments(name: str, words: Sequence[str]) -> dict[str, Any]:
    """The values of a command's arguments.

    Raises:
        UsageError: The command does not take these words.
    """
    parser = _Parser(prog=f"%llm {name}", add_help=False, allow_abbrev=False)
    for argument, settings in COMMANDS[name].arguments:
        parser.add_argument(*argument.split(), **settings)
    return vars(parser.parse_intermixed_args(list(words)))


def _value_of(word: str, variables: Mapping[str, object]) -> str:
    """The value of a word ``{name}``, ``{{name}}`` or ``$name``; of a run, its id.

    Attributes and items are read, and nothing is called. Other words stay as they are.

    >>> _value_of("{ids[0]}", {"ids": ["019abc"]}), _value_of("$other", {})
    ('019abc', '$other')
    """
    found = _VARIABLE.fullmatch(word)
    if found is None:
        return word
    with suppress(*_NOT_FOUND):
        value, _ = string.Formatter().get_field(found[found.lastindex or 0], (), variables)
        return value.id if isinstance(value, Run) else str(value)
    return word


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
    if name in ASKING:
        return len(words) == 1 and words[0] in ASKING[name].words
    with suppress(UsageError):
        _arguments(name, words)
        return len(words) == 1 or words[0] in COMMANDS[name].keywords
    return False
