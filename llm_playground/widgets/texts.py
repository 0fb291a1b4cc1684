"""Notebook variables as texts for a prompt, where making the text may raise or never end."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as TooLate
from dataclasses import dataclass

from llm_playground.errors import TemplateError
from llm_playground.guard import Written
from llm_playground.widgets.previews import is_plain

WAIT_S = 5.0
_MOST_ITEMS = 1_000_000
_SIZED = frozenset((list, tuple, dict, set, frozenset, bytes, bytearray))


@dataclass(frozen=True, slots=True)
class _Begun:
    """A text that is being made, in a thread of its own."""

    value: object
    text: Future[str]


class Writer:
    """Makes texts of values, each for at most so long; remembers those that do not end."""

    def __init__(self, wait_s: float = WAIT_S) -> None:
        self._wait_s = wait_s
        self._late: dict[str, _Begun] = {}

    def text(self, name: str, value: object) -> str:
        """``str(value)``.

        Args:
            name: What the value is called in the prompt, for the message.
            value: Anything.

        Raises:
            TemplateError: It has none, it is far too long, or it takes too long to make.
        """
        if is_plain(value):
            return str(value)
        count = len(value) if type(value) in _SIZED else 0  # type: ignore[arg-type] # these have a length
        if count > _MOST_ITEMS:
            raise TemplateError(
                f"{{{{{name}}}}} has {count:,} items, too many for a prompt. "
                "Name the part you mean."
            )
        return self._ended(name, value)

    def _ended(self, name: str, value: object) -> str:
        late = self._late.pop(name, None)
        known = late is not None and late.value is value  # is not begun a second time
        begun = late if late is not None and known else _begin(value)
        kind = type(value).__name__
        try:
            error = begun.text.exception(0 if known else self._wait_s)
        except TooLate:
            self._late[name] = begun
            problem = f"takes longer than {self._wait_s:g} s to become text"
        else:
            if error is None:
                return begun.text.result()
            problem = f"has no text ({type(error).__name__})"
        raise TemplateError(
            f"{{{{{name}}}}} is a {kind} that {problem}. Make its text in a cell and name that."
        )


class Notebook(Mapping[str, object]):
    """The notebook's variables at one moment, by name only; what is not plain as its text.

    Args:
        variables: The namespace.
        writer: Makes the texts, each once.
    """

    def __init__(self, variables: Mapping[str, object], writer: Writer) -> None:
        self._variables = variables
        self._writer = writer
        self._texts: dict[str, Written] = {}

    def __getitem__(self, name: str) -> object:
        value = self._variables[name]
        if is_plain(value):
            return value
        if name not in self._texts:
            self._texts[name] = Written(self._writer.text(name, value), value)
        return self._texts[name]

    def __contains__(self, name: object) -> bool:
        return name in self._variables

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._variables))

    def __len__(self) -> int:
        return len(self._variables)


def _begin(value: object) -> _Begun:
    begun = _Begun(value, Future())
    # A daemon: Python must be able to leave while it hangs.
    threading.Thread(target=_write, args=[begun], daemon=True).start()
    return begun


def _write(begun: _Begun) -> None:
    try:
        begun.text.set_result(str(begun.value))
    except BaseException as error:  # whatever it raises, who waits is told
        begun.text.set_exception(error)
