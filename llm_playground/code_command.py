"""``%llm code``: a run as code, the newest one unless told otherwise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from llm_playground.errors import InvalidParameterError

_NEWEST = "last"
_LANGUAGE, _FUNCTION = "--language", "--function"


@dataclass(frozen=True, slots=True)
class _Wish:
    run: str
    language: str
    as_function: bool


def is_meant(words: Sequence[str]) -> bool:
    """Whether what follows ``code`` are its arguments: else the line is a prompt.

    >>> is_meant(["last", "--language", "curl"]), is_meant(["review", "is", "hard"])
    (True, False)
    """
    return _wish(words) is not None or words[0] == _NEWEST or words[0].startswith("--")


def code(*words: str) -> None:
    """Print the code of a run.

    Args:
        *words: A run's id, or ``last`` for the newest run; ``--language`` with python, javascript
            or curl; ``--function`` for a function in place of a script.

    Raises:
        InvalidParameterError: The language is not known, or there is no such run.
        ConfigError: See :func:`llm_playground.code`.
        RunLogError: The log cannot be read.
    """
    from llm_playground import codegen  # the body builders: first use, not load

    wish = _wish(words)
    if wish is None:
        raise InvalidParameterError(
            "Write %llm code [RUN_ID|last] [--language python|javascript|curl] [--function]."
        )
    print(codegen.code(wish.run, wish.language, as_function=wish.as_function), end="")


def _wish(words: Sequence[str]) -> _Wish | None:
    rest, language = [word for word in words if word != _FUNCTION], "python"
    for place, word in enumerate(rest):
        option, equals, value = word.partition("=")
        if option == _LANGUAGE:
            taken = 1 if equals else 2
            language = value if equals else "".join(rest[place + 1 : place + 2])
            del rest[place : place + taken]
            break
    if len(rest) > 1 or any(word.startswith("-") for word in rest):
        return None
    return _Wish(rest[0] if rest else _NEWEST, language, _FUNCTION in words)
