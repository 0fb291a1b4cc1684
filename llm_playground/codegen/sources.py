"""The request behind a run of the log, a row of ``lp.runs()``, or a saved prompt."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from llm_playground import _validation, config, provenance
from llm_playground.catalog import capabilities
from llm_playground.config.endpoints import known_rows
from llm_playground.errors import ConfigError, InvalidParameterError, LLMError, TemplateError
from llm_playground.inputs import inputs_from_json
from llm_playground.parts import Part, TextPart
from llm_playground.providers import wire_formats
from llm_playground.redaction.pii import MASK
from llm_playground.request import templates
from llm_playground.request.messages import stored_conversation
from llm_playground.request.parameters import parameters_from
from llm_playground.request.prompts import Prompt
from llm_playground.request.schemas import restored
from llm_playground.runlog import attachments, definitions, open_log
from llm_playground.runlog.attachments import Attachment
from llm_playground.runlog.reading import messages_of
from llm_playground.runlog.rows import unpacked_row
from llm_playground.types import (
    RECORDED,
    Message,
    Parameters,
    Request,
    Run,
    Schema,
    Tool,
)

LAST = "last"

_RUN = """
SELECT r.id, r.prompt_hash, r.model, e.source, e.wire_format, e.base_url,
       CAST(r.dropped_parameters AS VARCHAR) AS dropped,
       p.system_prompt, p.user_prompt, CAST(p.messages AS VARCHAR) AS messages,
       CAST(p.parameters AS VARCHAR) AS parameters, CAST(p.tools AS VARCHAR) AS tools,
       p.schema_hash, p.texts_gz AS _prompt_gz, CAST(e.inputs AS VARCHAR) AS inputs
FROM results r
LEFT JOIN executions e ON e.id = r.execution_id LEFT JOIN prompts p ON p.id = e.prompt_id
"""
_BY_ID = f"{_RUN} WHERE r.id = $run"
_BY_IDS = f"{_RUN} WHERE r.id IN (SELECT unnest(CAST($ids AS VARCHAR[])))"
_NEWEST = f"{_RUN} WHERE e.username = $run ORDER BY r.started_at DESC NULLS LAST, r.id DESC LIMIT 1"
_LESS = "The log holds less than was sent: {what}."
_UNKNOWN = "tools and schema (of an import), or headers and base URL of the endpoint, may differ"
_NO_ADDRESS = (
    "This call of another library is in the log without its address and API (it was imported from "
    "a table, or logged by an older version): no code can send it to the same server."
)
_NO_KEY = (
    "{provider} is no provider of this kernel, so no key is sent. This names it and its key: "
    "lp.configure(endpoints={endpoints})."
)


@dataclass(frozen=True, slots=True)
class SentRequest:
    """A request as it is sent."""

    request: Request
    has_placeholders: bool = False  # whether `{{name}}` in it is to be filled; in a run it is text
    note: str | None = None  # which parts are missing
    is_template: bool = False  # whether a backslash in it keeps braces from being filled
    template: tuple[Message, ...] | None = None  # of a run: filled, these gave its messages


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
        row = _row(source.id)
        stored = _Stored.of([row])
        request, note = _logged_request(row, stored, source.model, source.parameters)
        request = request.as_sent(source.dropped_parameters, source.max_tokens_cap)
        return SentRequest(request, note=note, template=_template(row, request.messages))
    row = _row(source if isinstance(source, str) else _run_id(source))
    return _of_row(row, _Stored.of([row]))


def newest_run_id() -> str:
    """The id of the newest run of this user.

    Raises:
        InvalidParameterError: The log has none.
        RunLogError: The log cannot be read.
    """
    return str(_row(LAST)["id"])


def find_requests(run_ids: Iterable[str]) -> dict[str, SentRequest | LLMError]:
    """The requests of runs that the log holds, by their ids, in few queries.

    A run without a stored prompt has the error that :func:`find_request` raises.

    Raises:
        RunLogError: The log cannot be read.
    """
    ids = list(run_ids)
    rows = [unpacked_row(row) for row in open_log().rows(_BY_IDS, {"ids": ids})] if ids else []
    stored = _Stored.of(rows)
    found: dict[str, SentRequest | LLMError] = {}
    for row in rows:
        try:
            found[row["id"]] = _of_row(row, stored)
        except LLMError as error:
            found[row["id"]] = error
    return found


@dataclass(frozen=True, slots=True)
class _Stored:
    """What the prompts of some rows name: tools, schemas, images and files."""

    definitions: Mapping[str, Tool | Schema]
    attachments: Mapping[str, Attachment]

    @classmethod
    def of(cls, rows: Sequence[Mapping[str, Any]]) -> _Stored:
        log = open_log()
        named = (one for row in rows for one in definitions.hashes_in(row))
        hashes = (one for row in rows for one in attachments.hashes_in(messages_of(row) or ()))
        return cls(definitions.find(log, named), attachments.find(log, hashes))


def _of_row(row: Mapping[str, Any], stored: _Stored) -> SentRequest:
    try:
        parameters = parameters_from(json.loads(row["parameters"] or "{}"))
        request, note = _logged_request(row, stored, row["model"], parameters)
        dropped = None if row["dropped"] is None else tuple(json.loads(row["dropped"]))
        template = _template(row, request.messages)
        return SentRequest(_as_sent(request, dropped), note=note, template=template)
    except (ValueError, TypeError, AttributeError):  # another program wrote the row
        raise ConfigError("This run's prompt cannot be read.") from None


def _as_sent(request: Request, dropped: tuple[str, ...] | None = None) -> Request:
    """The request as the engine sends it; ``dropped`` is None where no run has recorded it."""
    if dropped is None:
        dropped = wire_formats.dropped_in(request)
    return request.as_sent(dropped)


def _run_id(row: object) -> str:
    get = getattr(row, "get", None)
    run_id = get("run_id") if callable(get) else None
    if not isinstance(run_id, str):
        is_frame = hasattr(row, "columns") and hasattr(row, "iloc")
        frame = "a frame: take a row of it, such as lp.runs().iloc[0]"
        shown = frame if is_frame else _validation.short_repr(row)
        raise InvalidParameterError(
            "Code is written for a run, a run's id, one row of lp.runs(), a request or a saved "
            f"prompt; got {shown}."
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
    row: Mapping[str, Any], stored: _Stored, model: str, parameters: Parameters
) -> tuple[Request, str | None]:
    """The request of a logged run, and a note if the log holds less than was sent.

    The prompt's hash covers all that was sent: if it matches with the base URL that the log has, or
    with one of those known here, the request is complete.

    Raises:
        ConfigError: The prompt is not stored, or not where it was sent.
    """
    if row["source"] == RECORDED and row["wire_format"] is None:
        raise ConfigError(_NO_ADDRESS)
    found = stored.definitions
    tools, schema = definitions.tools_of(row, found), definitions.schema_of(row, found)
    schema = None if schema is None else restored(schema)
    plain = Request(model, _messages(row, stored), parameters, tools, schema, row["base_url"])
    if row["source"] == RECORDED:
        requests = [replace(plain, wire_format=row["wire_format"])]
    else:
        current = wire_formats.at_endpoint(plain)
        requests = [replace(current, endpoint=row["base_url"] or current.endpoint), plain]
    hashes = [request.prompt_hash() for request in requests]
    if row["prompt_hash"] is None or row["prompt_hash"] in hashes:
        number = 0 if row["prompt_hash"] is None else hashes.index(row["prompt_hash"])
        return _at_address(requests[number], None)
    return _at_address(requests[0], _difference(row, stored))


def _at_address(request: Request, note: str | None) -> tuple[Request, str | None]:
    """The request of another program with the base URL of its vendor, if it went there."""
    if request.wire_format is None:
        return request, note
    if request.provider not in config.rows():
        row = {"base_url": request.endpoint, "wire_format": request.wire_format}
        endpoints = json.dumps({request.provider: {**row, "key_variable": "NAME"}})
        no_key = _NO_KEY.format(provider=request.provider, endpoints=endpoints)
        note = " ".join(filter(None, [note, no_key]))
    known = known_rows().get(request.provider)
    if request.endpoint is None and known is not None:
        request = replace(request, endpoint=known.base_url)
    return request, note


def _difference(row: Mapping[str, Any], stored: _Stored) -> str:
    """What of a request differs from what was sent, as far as it is known."""
    if any(one not in stored.definitions for one in definitions.hashes_in(row)):
        return _LESS.format(what="tools or the schema are missing")
    texts = json.dumps(messages_of(row), ensure_ascii=False), row["parameters"] or ""
    if any(MASK in text for text in texts):
        return _LESS.format(what=f"{MASK} stands for personal data or keys in its texts")
    return _LESS.format(what=_UNKNOWN)


def _messages(row: Mapping[str, Any], stored: _Stored) -> tuple[Message, ...]:
    messages = messages_of(row)
    if messages is None:
        raise ConfigError(
            "The text of this run's prompt is not stored (privacy, or a purge): there is nothing "
            "to write code for."
        )
    messages = attachments.with_bytes(messages, stored.attachments)
    if attachments.hashes_in(messages):
        raise ConfigError(
            "This run's prompt has images or files that are not stored (privacy, a purge, or "
            "larger than image_mb): no code can send them."
        )
    return stored_conversation(messages)


def _template(row: Mapping[str, Any], messages: tuple[Message, ...]) -> tuple[Message, ...] | None:
    """The messages of a run as templates; None if it had none, or the log has another text.

    The log has the templates of the prompt and of the system prompt, and the values of all names.
    """
    inputs = inputs_from_json(row.get("inputs"))
    if inputs is None:
        return None
    written = {"system": inputs.system, "user": inputs.prompt}
    last = max((at for at, one in enumerate(messages) if one.role == "user"), default=-1)
    found = []
    for at, message in enumerate(messages):
        template = written.get(message.role) if at in (0, last) else None
        texts = [part.text for part in message.content if isinstance(part, TextPart)]
        is_filled = template is not None and texts[-1:] == [_filled(template, inputs.values)]
        found.append(_as_template(message, template if is_filled else None))
    is_template = any(templates.names(message.text) for message in found)
    return tuple(found) if is_template else None


def _filled(template: str, values: Mapping[str, str]) -> str | None:
    try:
        return templates.fill(template, values)
    except TemplateError:
        return None


def _as_template(message: Message, template: str | None) -> Message:
    """A message with ``template`` as its last text; all other braces are text."""

    def escape(part: Part) -> Part:
        return TextPart(templates.escaped(part.text)) if isinstance(part, TextPart) else part

    parts = list(map(escape, message.content))
    if template is not None:
        last = max(at for at, part in enumerate(parts) if isinstance(part, TextPart))
        parts[last] = TextPart(template)
    return replace(message, content=tuple(parts))
