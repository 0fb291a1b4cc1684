"""``lp.code``: Python, JavaScript or cURL code that sends what a run sent."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from llm_playground import _validation, config, provenance
from llm_playground._validation import checks_arguments
from llm_playground.catalog import capabilities
from llm_playground.codegen import javascript, python
from llm_playground.codegen.request import PreparedRequest, prepare
from llm_playground.config.clouds import CLOUDS
from llm_playground.errors import ConfigError, InvalidParameterError
from llm_playground.providers import wire_formats
from llm_playground.providers.wire_formats import WIRE_FORMATS
from llm_playground.request.messages import stored_conversation
from llm_playground.request.parameters import parameters_from
from llm_playground.request.prompts import Prompt
from llm_playground.request.schemas import restored
from llm_playground.request.templates import edited_message, names, unescaped
from llm_playground.runlog import attachments, definitions, open_log
from llm_playground.runlog.reading import messages_of
from llm_playground.runlog.rows import unpacked_row
from llm_playground.types import Message, Parameters, Request, Run

if TYPE_CHECKING:
    import pandas as pd

    Source = Run | Request | Prompt | str | Mapping[str, Any] | pd.Series[Any]

_WRITERS: dict[str, Callable[[PreparedRequest], str]] = {
    "python": python.code,
    "javascript": javascript.code,
    "curl": javascript.curl,
}
LANGUAGES = tuple(_WRITERS)
LAST = "last"

_RUN = """
SELECT r.prompt_hash, r.model, CAST(r.dropped_parameters AS VARCHAR) AS dropped,
       p.system_prompt, p.user_prompt, CAST(p.messages AS VARCHAR) AS messages,
       CAST(p.parameters AS VARCHAR) AS parameters, CAST(p.tools AS VARCHAR) AS tools,
       p.schema_hash, p.texts_gz AS _prompt_gz
FROM results r
LEFT JOIN executions e ON e.id = r.execution_id LEFT JOIN prompts p ON p.id = e.prompt_id
"""
_BY_ID = f"{_RUN} WHERE r.id = $run"
_NEWEST = f"{_RUN} WHERE e.username = $run ORDER BY r.started_at DESC NULLS LAST, r.id DESC LIMIT 1"
_INCOMPLETE = (
    "The log holds less than was sent (tools and schema of an imported run, texts that privacy "
    "masks, another base URL): this is what it holds."
)


@checks_arguments("code")
def code(run: Source, language: str = "python", *, as_function: bool = False) -> str:
    """Code that sends the same request: same model, messages, images, files and parameters.

    It reads the key from the environment variable and prints the answer as it arrives. Python uses
    the vendors' SDKs, JavaScript ``fetch``, cURL a here-document with the JSON body. The local
    model is called through this package, in Python only.

    Args:
        run: A run, a run's id, ``"last"``, a row of :func:`llm_playground.runs`, a request, or a
            saved prompt. If the log holds less than a run sent, the first line of its code says so.
        language: ``python``, ``javascript`` or ``curl``.
        as_function: Return a function ``ask`` that returns the answer's text (in a shell, that
            prints the stream) in place of a script. Each ``{{name}}`` of a request or saved prompt
            is a parameter of it; in a run it is text, which was sent unchanged.

    Raises:
        InvalidParameterError: The language is unknown, or there is no such run.
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
    request = source.request
    has_parameters = as_function and source.has_placeholders and bool(_names(request))
    if source.is_template and not has_parameters:
        messages = tuple(edited_message(message, unescaped) for message in request.messages)
        request = replace(request, messages=messages)
    prepared = prepare(request, as_function=as_function, placeholders=has_parameters)
    provider = prepared.request.provider
    cloud = CLOUDS.get(prepared.wire_format)
    if language != "python" and (cloud or prepared.wire_format not in WIRE_FORMATS):
        reason = (
            "The local model has no address outside this kernel"
            if provider == "local"
            else f"{config.label(provider)} takes {cloud.credentials}"
            if cloud
            else f"{config.label(provider)} is reached through a package of its own"
        )
        raise ConfigError(f'{reason}. Use language="python", or another model.')
    notes = " ".join(note for note in (source.note, prepared.note) if note)
    return _WRITERS[language](replace(prepared, note=notes or None))


def _names(request: Request) -> list[str]:
    return [name for message in request.messages for name in names(message.text)]


@dataclass(frozen=True, slots=True)
class SentRequest:
    """A request as it is sent."""

    request: Request
    has_placeholders: bool = False  # whether `{{name}}` in it is to be filled; in a run it is text
    note: str | None = None  # which parts are missing
    is_template: bool = False  # whether a backslash in it keeps braces from being filled


def find_request(source: object) -> SentRequest:
    """The request of a run, a run's id, a row of ``lp.runs()``, a request or a saved prompt.

    Raises:
        InvalidParameterError: The source is none of these, or the log has no run with this id.
        ConfigError: The prompt is not stored.
        RunLogError: The log cannot be read.
    """
    if isinstance(source, Request):
        return SentRequest(_as_sent(source), has_placeholders=True)
    if isinstance(source, Prompt):
        model = capabilities.resolve_model(source.model or config.default_model())
        request = wire_formats.at_endpoint(replace(source.request, model=model))
        return SentRequest(_as_sent(request), has_placeholders=True, is_template=True)
    if isinstance(source, Run):  # its own parameters: privacy masks those of the log
        request, note = _logged_request(_row(source.id), source.model, source.parameters)
        return SentRequest(
            request.as_sent(source.dropped_parameters, source.max_tokens_cap), note=note
        )
    row = _row(source if isinstance(source, str) else _run_id(source))
    parameters = parameters_from(json.loads(row["parameters"] or "{}"))
    request, note = _logged_request(row, row["model"], parameters)
    dropped = None if row["dropped"] is None else tuple(json.loads(row["dropped"]))
    return SentRequest(_as_sent(request, dropped), note=note)


def _as_sent(request: Request, dropped: tuple[str, ...] | None = None) -> Request:
    """The request as the engine sends it; ``dropped`` is None where no run has recorded it."""
    if dropped is None:
        dropped = wire_formats.dropped_in(request)
    return request.as_sent(dropped)


def _run_id(row: object) -> str:
    get = getattr(row, "get", None)
    run_id = get("run_id") if callable(get) else None
    if not isinstance(run_id, str):
        raise InvalidParameterError(
            "Code is written for a run, a run's id, one row of lp.runs(), a request or a saved "
            f"prompt; got {_validation.short_repr(row)}."
        )
    return run_id


def _row(run_id: str) -> dict[str, Any]:
    sql, value = (_NEWEST, provenance.username()) if run_id == LAST else (_BY_ID, run_id)
    rows = open_log().rows(sql, {"run": value})
    if not rows:
        missing = f"no run with the id {_validation.short_repr(run_id)}"
        which = "no run of yours" if run_id == LAST else missing
        raise InvalidParameterError(f"The log holds {which}. lp.runs() lists all.")
    return unpacked_row(rows[0])


def _logged_request(
    row: Mapping[str, Any], model: str, parameters: Parameters
) -> tuple[Request, str | None]:
    """The request of a logged run, and a note if the log holds less than was sent.

    The log does not store the base URL, but the prompt's hash covers all that was sent: if the hash
    matches with one of the known base URLs, the request is complete.
    """
    found = definitions.find(open_log(), definitions.hashes_in(row))
    tools, schema = definitions.tools_of(row, found), definitions.schema_of(row, found)
    schema = None if schema is None else restored(schema)
    default = Request(model, _messages(row), parameters, tools, schema)
    current = wire_formats.at_endpoint(default)
    for request in (current, default):
        if row["prompt_hash"] is None or request.prompt_hash() == row["prompt_hash"]:
            return request, None
    return current, _INCOMPLETE


def _messages(row: Mapping[str, Any]) -> tuple[Message, ...]:
    messages = messages_of(row)
    if messages is None:
        raise ConfigError(
            "The text of this run's prompt is not stored (privacy, or a purge): there is nothing "
            "to write code for."
        )
    found = attachments.find(open_log(), attachments.hashes_in(messages))
    messages = attachments.with_bytes(messages, found)
    if attachments.hashes_in(messages):
        raise ConfigError(
            "This run's prompt has images or files that are not stored (privacy, a purge, or "
            "larger than image_mb): no code can send them."
        )
    return stored_conversation(messages)
