"""``lp.code``: Python, JavaScript or cURL code that sends what a run sent."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from llm_playground import _validation, config
from llm_playground._validation import checks_arguments
from llm_playground.codegen import curl, javascript, python
from llm_playground.codegen.request import PreparedRequest, prepare
from llm_playground.codegen.sources import SentRequest, find_request
from llm_playground.config.clouds import CLOUDS
from llm_playground.errors import ConfigError, InvalidParameterError
from llm_playground.providers.wire_formats import WIRE_FORMATS
from llm_playground.request.prompts import Prompt
from llm_playground.request.templates import edited_message, names, unescaped
from llm_playground.types import Request, Run

if TYPE_CHECKING:
    import pandas as pd

    Source = Run | Request | Prompt | str | Mapping[str, Any] | pd.Series[Any]

__all__ = ["LANGUAGES", "SentRequest", "code", "find_request"]

_WRITERS: dict[str, Callable[[PreparedRequest], str]] = {
    "python": python.code,
    "javascript": javascript.code,
    "curl": curl.code,
}
LANGUAGES = tuple(_WRITERS)


@checks_arguments("code")
def code(
    run: Source, language: str = "python", *, as_function: bool = False, stream: bool = True
) -> str:
    """Code that sends the same request: same model, messages, images, files and parameters.

    It reads the key from the environment variable and prints the answer. Python and JavaScript use
    the vendors' SDKs, cURL a here-document with the JSON body. The local model is called through
    this package, in Python only.

    Args:
        run: A run, a run's id, ``"last"``, a row of :func:`llm_playground.runs`, a request, or a
            saved prompt. If the log holds less than a run sent, the first line of its code says so.
        language: ``python``, ``javascript`` or ``curl``.
        as_function: Return a module with a function ``ask`` in place of a script. Each ``{{name}}``
            is a parameter of it: of a request, of a saved prompt, and of a run whose prompt was
            filled with ``variables`` or a case. In any other run it is text, which was sent
            unchanged. ``ask`` returns the answer's text; with tools a list of calls (``id``,
            ``name``, ``arguments``) if the model makes some; with a schema the answer's data. In
            Python, pydantic models in the module validate the data; where no models can express
            the schema, a comment names the reason, and the JSON is only parsed. JavaScript only
            parses it. A call makes as many attempts as ``configure(retry=...)`` says, and ``ask``
            as many calls for a valid answer. In a shell, ``ask`` prints what the server sends.
        stream: Ask for a stream, as the run did, and print it as it arrives; False asks for the
            whole answer at once.

    Raises:
        InvalidParameterError: The language is unknown, there is no such run, or ``stream`` is False
            for an answer in the background.
        ConfigError: The prompt is not stored, or the language cannot reach the model.
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
    if not isinstance(language, str) or language not in LANGUAGES:
        hint = _validation.closest(language, LANGUAGES)
        raise InvalidParameterError(f"There is no code in {_validation.repr_of(language)}. {hint}")
    source = find_request(run)
    request, has_parameters = _chosen(source, as_function=as_function)
    prepared = prepare(request, as_function=as_function, placeholders=has_parameters, stream=stream)
    _check_reach(prepared, language)
    notes = " ".join(note for note in (source.note, prepared.note) if note)
    return _WRITERS[language](replace(prepared, note=notes or None))


def _chosen(source: SentRequest, *, as_function: bool) -> tuple[Request, bool]:
    """The request that code sends, and whether its ``{{name}}`` are parameters of a function."""
    request = source.request
    if as_function and source.template is not None:
        return replace(request, messages=source.template), True
    has_names = any(names(message.text) for message in request.messages)
    has_parameters = as_function and source.has_placeholders and has_names
    if source.is_template and not has_parameters:
        messages = tuple(edited_message(message, unescaped) for message in request.messages)
        request = replace(request, messages=messages)
    return request, has_parameters


def _check_reach(prepared: PreparedRequest, language: str) -> None:
    provider, cloud = prepared.request.provider, CLOUDS.get(prepared.wire_format)
    if language != "python" and (cloud or prepared.wire_format not in WIRE_FORMATS):
        reason = (
            "The local model has no address outside this kernel"
            if provider == "local"
            else f"{config.label(provider)} takes {cloud.credentials}"
            if cloud
            else f"{config.label(provider)} is reached through a package of its own"
        )
        raise ConfigError(f'{reason}. Use language="python", or another model.')
