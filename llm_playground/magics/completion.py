"""Tab in ``%llm`` and ``%%llm``: commands, options, their values, and variables after ``{{``.

Nothing is sent. What the log holds (presets, prompts, tags) is offered if it can be read at once.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any, get_args

from IPython.core.completer import CompletionContext, SimpleCompletion, context_matcher
from IPython.core.interactiveshell import InteractiveShell

from llm_playground import config
from llm_playground.config.policy import Action, Period
from llm_playground.export_formats import FORMATS
from llm_playground.magics.command_lines import ASKING, COMMANDS, DOCUMENTED
from llm_playground.magics.options import OPTION_OF_FLAG, Option, first_word
from llm_playground.types import Parameters, Status

IDENTIFIER = "llm_playground"
_PRIORITY = 1_000  # before Jedi, which needs not run then
PATIENCE_S = 0.5
_CELL = re.compile(r"\s*%%llm(?P<line>[^\n]*)(?P<body>\n.*)?\Z", re.DOTALL)
_LINE = re.compile(r"(?:[^%'\"#]*=)?\s*%llm\s(?P<text>.*)\Z")
# A backslash before the braces makes them text.
_VARIABLE = re.compile(r"(?<!\\)(?:\\\\)*\{\{\s*(?P<name>\w*)\Z")
_RAW = re.compile(r"(?<!\S)--raw(?!\S)")
_FLAG_START = re.compile(r"-[A-Za-z-]*\Z")
_FLAG = re.compile(r"(--?[A-Za-z][A-Za-z-]*)(=|\s+)")
_OPEN_QUOTE = re.compile(r"['\"]?")

Names = Mapping[str, object]  # the notebook's variables


@dataclass(frozen=True, slots=True)
class Offer:
    """Texts that may stand in place of ``fragment``, the end of what was typed."""

    fragment: str
    texts: Sequence[str] = ()


_NOTHING = Offer("")


def offer(before: str, names: Names, after: str = "") -> Offer:
    """What may follow a cell's text up to the cursor; ``after`` is the rest of the line.

    >>> offer("%llm mod", {})
    Offer(fragment='mod', texts=['models'])
    >>> offer("x = %llm -m local About {{to", {"topic": "bees"})
    Offer(fragment='to', texts=['topic}}'])
    """
    if cell := _CELL.match(before):
        if cell["body"] is not None:
            return _variables(before.lstrip(), names, after)
        return _after_asking(cell["line"].lstrip(), names, after, ASKING)
    line = _LINE.match(before.rpartition("\n")[2])
    return _after_asking(line["text"].lstrip(), names, after, DOCUMENTED) if line else _NOTHING


def _in_line(text: str, names: Names, after: str, commands: Iterable[str]) -> Offer:
    """What may follow the options, command or prompt of a line."""
    rest = text
    while flag := _FLAG.match(rest):
        option = OPTION_OF_FLAG.get(flag[1])
        if option is None:
            return _NOTHING
        rest = rest[flag.end() :]
        if option.metavar:
            try:
                _, following = first_word(rest)
            except ValueError:  # an open quote
                following = ""
            if not following:
                return _of_value(option, rest, names)
            rest = following
        rest = rest.lstrip()
    if _FLAG_START.match(rest):
        return _beginning(rest, OPTION_OF_FLAG)
    if rest == text and commands and not _VARIABLE.search(rest):
        words = rest.split(" ")
        if len(words) == 1:
            return _beginning(rest, [*commands, *(OPTION_OF_FLAG if not rest else ())])
        if words[0] in commands and (found := _of_command(words)):
            return found
    return _beginning("", OPTION_OF_FLAG) if not rest else _variables(text, names, after)


def _after_asking(text: str, names: Names, after: str, commands: Iterable[str]) -> Offer:
    """What may follow in a line, also after the name of a command that takes a prompt."""
    name, blank, rest = text.partition(" ")
    if not blank or name not in ASKING:
        return _in_line(text, names, after, commands)
    acts = _beginning(rest, ASKING[name].words if rest else ())
    return acts if acts.texts else _in_line(rest.lstrip(), names, after, ())


def _beginning(fragment: str, texts: Iterable[str]) -> Offer:
    return Offer(fragment, [text for text in texts if text.startswith(fragment)])


def _of_command(words: Sequence[str]) -> Offer | None:
    """What may follow the name of a command and its arguments; the last word is unfinished."""
    name, *known, last = words
    flag = known[-1] if known else ""
    if name not in COMMANDS:
        return None
    written = " ".join(argument for argument, _ in COMMANDS[name].arguments).split()
    if flag in written and flag in _FLAG_VALUES:
        return _beginning(last, _FLAG_VALUES[flag]())
    if last.startswith("-"):
        return _beginning(last, [word for word in written if word.startswith("-")])
    match [name, *known]:
        case ["use"]:
            return _beginning(last, _models())
        case ["help"]:
            return _beginning(last, DOCUMENTED)
        case ["keys", "set" | "forget"]:
            return _beginning(last, config.rows())
        case ["preset", "save" | "delete"]:
            return _beginning(last, _saved_presets())
        case [_] if COMMANDS[name].keywords:
            return _beginning(last, COMMANDS[name].keywords)
    return None


def _of_value(option: Option, typed: str, names: Names) -> Offer:
    """The values of an option that begin as it was typed, with or without an open quote."""
    find = _VALUES.get(option.field)
    if find is None:
        return _NOTHING
    fragment = typed[len(_OPEN_QUOTE.match(typed)[0]) :]  # type: ignore[index]  # it matches always
    return _beginning(fragment, find(names))


def _variables(before: str, names: Names, after: str) -> Offer:
    """Variables for an open ``{{``, closed unless the braces are there already.

    ``before`` begins with the line that has the options.
    """
    found = _VARIABLE.search(before)
    if found is None or _RAW.search(before.partition("\n")[0]):
        return _NOTHING
    close = "" if after.lstrip().startswith("}}") else "}}"
    own = [f"{name}{close}" for name in _own(names)]
    return _beginning(found["name"], own)


def _own(names: Names) -> list[str]:
    """Variables with values: no functions, classes and modules, none of IPython's."""
    skipped = (ModuleType, FunctionType, BuiltinFunctionType, type)
    return sorted(
        name
        for name, value in names.items()
        if not name.startswith("_") and not isinstance(value, skipped)
    )


def _models() -> list[str]:
    def read() -> list[str]:
        from llm_playground.catalog import models  # first use, not import

        return [choice.model for choice in models.choices()]

    return _at_once(read)


def _presets() -> list[str]:
    from llm_playground.request import parameters

    return [*parameters.PRESETS, *_saved_presets()]


def _saved_presets() -> list[str]:
    from llm_playground.request import parameters

    return _at_once(lambda: [one.name for one in parameters.saved()])


def _prompts() -> list[str]:
    from llm_playground.request import prompts

    return _at_once(lambda: list(dict.fromkeys(prompts.prompts()["name"])))


def _tags() -> list[str]:
    from llm_playground.reports import spending

    return _at_once(lambda: [str(tag) for tag in spending.costs(by="tag")["tag"].dropna()])


def _schemas(names: Names) -> list[str]:
    return sorted(name for name in names if not name.startswith("_"))


_VALUES: dict[str, Callable[[Names], Iterable[str]]] = {
    "model": lambda _: _models(),
    "preset": lambda _: _presets(),
    "prompt": lambda _: _prompts(),
    "tag": lambda _: _tags(),
    "param": lambda _: sorted(
        f"{one.name}=" for one in fields(Parameters) if one.name != "headers"
    ),
    "output": _own,
    "schema": _schemas,
}


# The values of the flags of commands.
_FLAG_VALUES: dict[str, Callable[[], Iterable[str]]] = {
    "--language": lambda: ("python", "javascript", "curl"),
    "--format": lambda: FORMATS,
    "--period": lambda: get_args(Period),
    "--action": lambda: get_args(Action),
    "--unknown-price": lambda: ("warn", "block"),
    "--model": _models,
    "--provider": config.rows,
    "--status": lambda: get_args(Status),
    "--tag": _tags,
    "--param": lambda: _VALUES["param"]({}),
}


def _at_once(read: Callable[[], list[str]]) -> list[str]:
    """What ``read`` returns; nothing if it fails or takes long, such as a database far away."""
    found: list[str] = []

    def work() -> None:
        try:
            found.extend(read())
        except Exception:  # Tab must not raise; the command itself says what is wrong
            found.clear()

    thread = threading.Thread(target=work, name="llm_playground completion", daemon=True)
    thread.start()
    thread.join(PATIENCE_S)
    return list(found)


def install(shell: InteractiveShell) -> None:
    """Offer completions in a shell; once, however often it is called."""
    remove(shell)

    @context_matcher(identifier=IDENTIFIER, priority=_PRIORITY)  # type: ignore[untyped-decorator]  # IPython's
    def matcher(context: CompletionContext) -> dict[str, Any]:
        lines = context.full_text.split("\n")
        earlier, line = lines[: context.cursor_line], context.line_with_cursor
        before = "\n".join([*earlier, line[: context.cursor_position]])
        found = offer(before, shell.user_ns, line[context.cursor_position :])
        return {
            "completions": [SimpleCompletion(text) for text in found.texts],
            "matched_fragment": found.fragment,
            "suppress": bool(found.texts),
            "ordered": True,
        }

    shell.Completer.custom_matchers.append(matcher)


def remove(shell: InteractiveShell) -> None:
    """Offer nothing any more."""
    matchers = shell.Completer.custom_matchers
    matchers[:] = [one for one in matchers if getattr(one, "matcher_identifier", "") != IDENTIFIER]
