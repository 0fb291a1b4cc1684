r"""The options of ``%llm`` and ``%%llm``, and how a line is read: options first, then the prompt.

Values of options are quoted as in a shell. The prompt is the rest of the line, byte for byte:

>>> line = read_line("-t 0.2 -s 'Be brief.' Don't say -n \"C:\\new\"")
>>> line.prompt
'Don\'t say -n "C:\\new"'
>>> line.options.temperature, line.options.system
(0.2, 'Be brief.')
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from IPython.core.error import UsageError

from llm_playground import redaction
from llm_playground._validation import short_repr, shorten
from llm_playground.errors import LLMError

HELP_FLAGS = ("-h", "--help")
# An option is a hyphen and a letter: "-5 + 3?", "-> x" and "- item" are prompts.
_FLAG = re.compile(r"--?[A-Za-z][A-Za-z-]*(?![A-Za-z-])")
_JOINED_NUMBER = re.compile(r"(-[a-z])([0-9.]+)(?!\S)")  # -t0.2, -n3
_ENDS_OPTIONS = re.compile(r"--(?:\s|$)")
# Word processors and phones replace hyphens and quotes.
_DASHES = "\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe58\ufe63\uff0d"
_DASHED = re.compile(f"([-{_DASHES}]*[{_DASHES}][-{_DASHES}]*)([A-Za-z][A-Za-z-]*)")
_TYPOGRAPHIC_QUOTES = "\u2018\u2019\u201a\u201c\u201d\u201e\u00ab\u00bb"
# A backslash outside quotes escapes a quote or a blank only: paths of Windows stay whole.
_PIECE = re.compile(
    r"'(?P<single>[^']*)'"
    r'|"(?P<double>(?:\\.|[^"\\])*)"'
    r"""|\\(?P<escaped>['"\s])"""
    r"""|(?P<plain>[^\s'"])""",
    re.DOTALL,
)
_ESCAPED_IN_DOUBLE = re.compile(r'\\(["\\])')


@dataclass(frozen=True, slots=True)
class PromptOptions:
    """The values of the options of one line; None where an option is not set."""

    model: tuple[str, ...] = ()
    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    system: str | None = None
    iterations: int = 1
    output: str | None = None
    preset: str | None = None
    image: tuple[str, ...] = ()
    file: tuple[str, ...] = ()
    schema: str | None = None
    prompt: str | None = None
    param: tuple[str, ...] = ()
    header: tuple[str, ...] = ()
    tag: tuple[str, ...] = ()
    raw: bool = False
    fresh: bool = False
    override: str | None = None
    dry_run: bool = False
    cell: bool = False


@dataclass(frozen=True, slots=True)
class Option:
    """One option: flags, the name of its value, help. A metavar of "" means that it has none."""

    flags: tuple[str, ...]
    metavar: str
    help: str
    read: Callable[[str], object] = str
    repeatable: bool = False

    @property
    def field(self) -> str:
        """Its field in :class:`PromptOptions`: the long flag."""
        return self.flags[-1].removeprefix("--").replace("-", "_")


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a magic: its options, and the prompt after them."""

    options: PromptOptions
    prompt: str
    wants_help: bool = False


OPTIONS = (
    Option(("-m", "--model"), "MODEL", "which model; several -m compare them", repeatable=True),
    Option(
        ("-t", "--temperature"),
        "T",
        "0 to 2 (Anthropic: to 1); what is not set is not sent",
        float,
    ),
    Option(("--top-p",), "P", "0 to 1", float),
    Option(("--max-tokens",), "N", "the longest answer, in tokens", int),
    Option(("-s", "--system"), "TEXT", "the system prompt"),
    Option(("-n", "--iterations"), "N", "ask N times", int),
    Option(("-o", "--output"), "NAME", "keep the run (or the comparison) in a variable"),
    Option(("-p", "--preset"), "NAME", "precise, balanced, creative or one that was saved"),
    Option(
        ("--image",),
        "PATH",
        "send an image: a file or a web address; may be repeated",
        repeatable=True,
    ),
    Option(
        ("--file",),
        "PATH",
        "send a document or recording (PDF, text, audio): a file or a web address; may be repeated",
        repeatable=True,
    ),
    Option(
        ("--schema",),
        "NAME",
        "the variable with the schema of the answer: a pydantic model, a dataclass, a JSON schema; "
        "or a JSON schema, quoted, or a simple type such as list[str]; the parsed answer is the "
        "run's .data",
    ),
    Option(
        ("--prompt",),
        "NAME",
        'a saved prompt, "name" or "name@3": its system prompt, parameters and model; text in the '
        "cell replaces its question",
    ),
    Option(
        ("--param",),
        "K=V",
        'any other parameter; extra takes JSON: \'extra={"user": "x"}\'',
        repeatable=True,
    ),
    Option(
        ("--header",),
        "K=V",
        "an HTTP header, such as a beta flag; may be repeated",
        repeatable=True,
    ),
    Option(("--tag",), "TAG", "a label to find the run by", repeatable=True),
    Option(("--raw",), "", "send double braces as they are: no variable is filled in", bool),
    Option(("--fresh",), "", "send it even if an answer to it is stored", bool),
    Option(("--override",), "REASON", "send it despite budgets; the reason goes to the audit log"),
    Option(("--cell",), "", "put the code of the answer into a new cell below; not executed", bool),
    Option(("--dry-run",), "", "show the request, its tokens and cost; send and log nothing", bool),
)
OPTION_OF_FLAG = {flag: option for option in OPTIONS for flag in option.flags}
# How messages name arguments of functions, and the options that set the same.
_ARGUMENT = re.compile(r'(?<![\w.(])(?:override="reason"|(images|files|system|model)=(?=[ .,;]))')
_OPTION_OF_ARGUMENT = {
    "images": "--image",
    "files": "--file",
    "system": "-s",
    "model": "-m",
    None: "--override REASON",
}
_KIND_NAMES = {float: "a number", int: "a whole number"}


def usage_error(message: str) -> UsageError:
    """An error that repeats a part of the line, without keys."""
    return UsageError(redaction.printable(redaction.redact(message)))


def with_options(message: str) -> str:
    """A message of a function, with options of magics in place of the function's arguments.

    >>> with_options('Pass it as images=. Lower max_tokens, or pass override="reason".')
    'Pass it as --image. Lower max_tokens, or pass --override REASON.'
    """
    return _ARGUMENT.sub(lambda found: _OPTION_OF_ARGUMENT[found[1]], message)


@contextmanager
def naming_options() -> Iterator[None]:
    """Have errors that are raised inside name options; see :func:`with_options`."""
    try:
        yield
    except LLMError as error:
        error.args = (with_options(str(error)),)
        raise


def read_line(line: str, magic: str = "%llm") -> Line:
    """The leading options of a line and its prompt; ``--`` ends the options.

    Raises:
        UsageError: An option is unknown or lacks its value, in one line; nothing is sent.
    """
    values: dict[str, Any] = {}
    rest = line.lstrip()
    try:
        while rest:
            if _ENDS_OPTIONS.match(rest):
                return Line(PromptOptions(**values), rest[3:])
            flag, text = _leading_flag(rest)
            if flag is None:
                break
            if flag in HELP_FLAGS:
                return Line(PromptOptions(), "", wants_help=True)
            option = OPTION_OF_FLAG.get(flag)
            if option is None:
                raise _unknown(flag)
            value, rest = _value(option, flag, text)
            values[option.field] = (
                (*values.get(option.field, ()), value) if option.repeatable else value
            )
            rest = rest.lstrip()
    except ValueError as error:
        raise usage_error(f"{magic}: {error} Nothing was sent; %llm help shows all options.") from (
            None
        )
    return Line(PromptOptions(**values), rest)


def read_cell_line(line: str) -> Line:
    """The options of the first line of ``%%llm``, whose prompt is below it.

    Raises:
        UsageError: As for :func:`read_line`, and if the line has something else.
    """
    found = read_line(line, "%%llm")
    if found.prompt.strip():
        [word, *_] = found.prompt.split()
        raise usage_error(
            f"%%llm: the first line takes options only, and {short_repr(word)} is none: put the "
            "prompt on the next line, and quote a value with blanks: -s 'Be brief.' Nothing was "
            "sent."
        )
    return found


def _leading_flag(text: str) -> tuple[str | None, str]:
    """The option that a text begins with, as it is written, and what follows it.

    Raises:
        ValueError: It begins with an option whose hyphen is another dash.
    """
    if (joined := _JOINED_NUMBER.match(text)) and joined[1] in OPTION_OF_FLAG:
        return joined[1], "=" + text[joined.start(2) :]
    if found := _FLAG.match(text):
        return found[0], text[found.end() :]
    if dashed := _DASHED.match(text):
        for flag in (f"-{dashed[2]}", f"--{dashed[2]}"):
            if flag in OPTION_OF_FLAG:
                raise ValueError(
                    f"{dashed[0]} has a dash where a hyphen belongs: write {flag}, or -- before a "
                    "prompt that begins so."
                )
    return None, text


def _unknown(flag: str) -> ValueError:
    close = difflib.get_close_matches(flag, OPTION_OF_FLAG, n=1, cutoff=0.5)
    closest = f"; the closest is {close[0]}" if close else ""
    return ValueError(
        f"there is no option {shorten(flag)}{closest}. To send it as text, write -- before it."
    )


def _value(option: Option, flag: str, text: str) -> tuple[object, str]:
    """The value of an option at the start of a text, and what follows it.

    Raises:
        ValueError: The value is missing, of another kind, or has an open quote.
    """
    is_joined = text.startswith("=")
    if not option.metavar:
        if is_joined:
            raise ValueError(f"{flag} takes no value.")
        return True, text
    text = text[1:] if is_joined else text.lstrip()
    next_flag = None if is_joined else _FLAG.match(text)
    if not text or (next_flag is not None and next_flag[0] in OPTION_OF_FLAG):
        raise ValueError(f"{flag} takes a value: {flag} {option.metavar}.")
    if text[0] in _TYPOGRAPHIC_QUOTES:
        raise ValueError(f"quote the value of {flag} with ' or \", since {text[0]} is no quote.")
    word, rest = first_word(text)
    try:
        return option.read(word), rest
    except ValueError:
        kind = _KIND_NAMES.get(option.read, "another value")  # type: ignore[call-overload]  # any callable is a key
        raise ValueError(f"{flag} takes {kind}, not {short_repr(word)}.") from None


def first_word(text: str) -> tuple[str, str]:
    r"""The first word of a text, without its quotes, and what follows it.

    >>> first_word("'two words' and more")
    ('two words', ' and more')
    >>> first_word(r"C:\new\x.png rest")
    ('C:\\new\\x.png', ' rest')

    Raises:
        ValueError: A quote is not closed.
    """
    pieces, at = [], 0
    while at < len(text) and not text[at].isspace():
        piece = _PIECE.match(text, at)
        if piece is None:
            raise ValueError(
                f"the quote {text[at]} is not closed; quote values with blanks: -s 'Be brief.'"
            )
        if piece["double"] is not None:
            pieces.append(_ESCAPED_IN_DOUBLE.sub(r"\1", piece["double"]))
        else:
            pieces.append(piece[piece.lastgroup or 0])
        at = piece.end()
    return "".join(pieces), text[at:]
