"""Code that sends what a run sent: Python, JavaScript and cURL."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from llm_playground import config
from llm_playground.codegen import curl, javascript, playground, python
from llm_playground.codegen.source import find
from llm_playground.codegen.wires import Sending, sending
from llm_playground.errors import ConfigError, InvalidParameterError
from llm_playground.saved_prompt import Prompt
from llm_playground.types import Request, Run

if TYPE_CHECKING:
    import pandas as pd

    Source = Run | Request | Prompt | str | Mapping[str, Any] | pd.Series[Any]

__all__ = ["LANGUAGES", "code"]

LANGUAGES = ("python", "javascript", "curl")

# By language and wire format.
_TEMPLATES: dict[tuple[str, str], Callable[[Sending], str]] = {
    ("python", "openai"): python.chat_completions,
    ("python", "anthropic"): python.messages,
    ("python", "gemini"): python.generate_content,
    ("python", "gemini-legacy"): python.generate_content,
    ("javascript", "openai"): javascript.chat_completions,
    ("javascript", "anthropic"): javascript.messages,
    ("javascript", "gemini"): javascript.generate_content,
    ("javascript", "gemini-legacy"): javascript.generate_content,
    ("curl", "openai"): curl.request,
    ("curl", "anthropic"): curl.request,
    ("curl", "gemini"): curl.request,
    ("curl", "gemini-legacy"): curl.request,
}


def code(run: Source, language: str = "python", *, as_function: bool = False) -> str:
    """Code that sends the same request: same model, messages, pictures and parameters.

    It takes the key from the environment's variable and prints the answer as it comes. Python uses
    the vendors' SDKs, JavaScript ``fetch``, cURL a here-document of the JSON body. The local model
    is asked through this package, in Python only.

    Args:
        run: A run, a run's id, ``"last"``, a row of :func:`llm_playground.runs`, a request, or a
            saved prompt. The log holds neither schemas nor tools: where a run had some, or anything
            else is missing, the first line of its code says so.
        language: ``python``, ``javascript`` or ``curl``.
        as_function: A function ``ask`` that gives the answer's text (in a shell, that prints the
            stream) in place of a script. Each ``{{name}}`` of a request or saved prompt is a
            parameter; a run was sent as it stands.

    Raises:
        InvalidParameterError: The language is unknown, or there is no such run.
        ConfigError: What was sent is not stored, or the language cannot reach the model.
        RunLogError: The log cannot be read.

    Example:
        >>> import llm_playground as lp
        >>> print(lp.code(lp.ask("Say hello.", "local", max_tokens=8)))
        import llm_playground as lp
        <BLANKLINE>
        print(lp.ask(
            "Say hello.",
            "local:smollm2-135m-instruct",
            max_tokens=8,
        ))
        <BLANKLINE>
    """
    if language not in LANGUAGES:
        close = difflib.get_close_matches(str(language), LANGUAGES, n=1)
        hint = f"Did you mean {close[0]}?" if close else f"There are {', '.join(LANGUAGES)}."
        raise InvalidParameterError(f"There is no code in {language!r}. {hint}")
    found = find(run)
    sent = sending(found.request, as_function=as_function, blanks=as_function and found.unfilled)
    noted = replace(sent, note=" ".join(filter(None, [found.note, sent.note])) or None)
    return _template(language, sent)(noted)


def _template(language: str, sent: Sending) -> Callable[[Sending], str]:
    template = _TEMPLATES.get((language, sent.wire_format))
    if template is not None:
        return template
    if language == "python":
        return playground.ask
    provider = sent.request.provider
    reason = (
        "The local model has no address outside this kernel"
        if provider == "local"
        else f"{config.label(provider)} is reached through a package of its own"
    )
    raise ConfigError(f'{reason}. Take language="python", or ask another model.')
