"""JavaScript through the vendors' SDKs, which send a body as it is.

Exceptions: numbers beyond 2^53 are ``JSON.rawJSON``; google-genai takes fields as
arguments or as ``extraBody``, and a body that it would change through its ``fetch``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from textwrap import indent
from typing import Any

from llm_playground import config
from llm_playground.codegen import answers, gemini
from llm_playground.codegen.answers import AnswerCode
from llm_playground.codegen.literals import (
    LiteralWriter,
    Style,
    string_literal,
    surrogate_escape,
)
from llm_playground.codegen.python import LONG_ANSWER_S, LONG_ANSWER_TOKENS
from llm_playground.codegen.request import PreparedRequest

_IDENTIFIER = re.compile(r"[A-Za-z_$][A-Za-z0-9_$]*")
_MAX_SAFE_INTEGER = 2**53 - 1
_IN_TEMPLATE = re.compile(r"[\\`$]")
_NODE = "// Node.js 22 or newer"
_PROTO = "__proto__"


def _key(name: str, literal: str) -> str:
    if name == _PROTO:  # as a plain key it would set the prototype
        return f"[{literal}]"
    return name if _IDENTIFIER.fullmatch(name) else literal


def _number(value: float) -> str:
    return repr(value) if _is_safe(value) else f'JSON.rawJSON("{value!r}")'


def _is_safe(value: Any) -> bool:  # noqa: ANN401 - a JSON value is any of six types
    """Whether a value has no numbers that JavaScript would write in other digits."""
    if isinstance(value, dict):
        return all(map(_is_safe, value.values()))
    if isinstance(value, list):
        return all(map(_is_safe, value))
    return not isinstance(value, (int, float)) or abs(value) <= _MAX_SAFE_INTEGER


STYLE = Style(
    constants=("null", "true", "false"),
    number=_number,
    astral_escape=surrogate_escape,
    key=_key,
    concatenation=" +",
    indent=2,
    padding=" ",
)


@dataclass(frozen=True, slots=True)
class _Sdk:
    """A vendor's SDK."""

    package: str
    import_line: str
    client: str
    key_variable: str | None  # which the client reads by default
    base_url: str  # by default
    call: str  # of the client
    plain_call: str  # for an answer that comes as a whole
    moved: frozenset[str] = frozenset()  # fields of a body that the call sends elsewhere


_OPENAI_SDK = _Sdk(
    package="openai",
    import_line='import OpenAI from "openai";',
    client="OpenAI",
    key_variable="OPENAI_API_KEY",
    base_url="https://api.openai.com/v1",
    call="chat.completions.create",
    plain_call="chat.completions.create",
)
_RESPONSES_SDK = replace(_OPENAI_SDK, call="responses.create", plain_call="responses.create")
_ANTHROPIC_SDK = _Sdk(
    package="@anthropic-ai/sdk",
    import_line='import Anthropic from "@anthropic-ai/sdk";',
    client="Anthropic",
    key_variable="ANTHROPIC_API_KEY",
    base_url="https://api.anthropic.com",
    call="messages.create",
    plain_call="messages.create",
    moved=frozenset({"user_profile_id", "workspace_id"}),
)
_GEMINI_SDK = _Sdk(
    package="@google/genai",
    import_line='import { GoogleGenAI } from "@google/genai";',
    client="GoogleGenAI",
    key_variable=None,  # the variables that it reads differ from ours
    base_url="https://generativelanguage.googleapis.com",
    call="models.generateContentStream",
    plain_call="models.generateContent",
)
_SDKS = {
    "openai": _OPENAI_SDK,
    "openai-responses": _RESPONSES_SDK,
    "anthropic": _ANTHROPIC_SDK,
    "gemini": _GEMINI_SDK,
    "gemini-legacy": _GEMINI_SDK,
}


def code(prepared: PreparedRequest) -> str:
    """A script, or a module that exports the function ``ask``."""
    sdk, answer = _SDKS[prepared.wire_format], answers.JAVASCRIPT[prepared.wire_format]
    note = f"// {prepared.note}\n" if prepared.note else ""
    client = f"new {sdk.client}({_client(sdk, prepared)})"
    call = _call(sdk, prepared)
    if prepared.as_function:
        head = f"{note}{_NODE}, npm install {sdk.package}\n{sdk.import_line}\n"
        body = f"client ??= {client};\n{call}{_read_answer(answer, prepared)}"
        return f"{head}\nlet client; // made at the first call\n\n{_function(prepared, body)}"
    if prepared.streams:
        read = answer.read_stream(f"process.stdout.write({answer.piece});", calls=False)
        read += "console.log();\n"  # a shell's prompt is on a line of its own
    else:
        read = f"{answer.check}console.log({_nested(answer.text)});\n"
    run = f"{_NODE}: save as ask.mjs, npm install {sdk.package}, then: node ask.mjs\n"
    return f"{note}{run}{sdk.import_line}\n\nconst client = {client};\n{call}{read}"


def _function(prepared: PreparedRequest, body: str) -> str:
    items = prepared.placeholders.items
    lines = ["Send the prompt and return the answer."]
    lines += [
        f"@param {{string}} {each.parameter} takes the place of {{{{{each.name}}}}}"
        for each in items
    ]
    kind = "any" if prepared.request.schema is not None else "string"
    if prepared.has_tools and kind == "string":
        kind = "string | { id: string, name: string, arguments: object }[]"
    returned = prepared.returned("the answer's JSON, parsed")
    lines.append(f"@returns {{Promise<{kind}>}} {returned[0].lower()}{returned[1:-1]}")
    comment = "".join(f" * {line}\n" for line in lines)
    parameters = ", ".join(each.parameter for each in items)
    return (
        f"/**\n{comment} */\nexport async function ask({parameters}) {{\n{indent(body, '  ')}}}\n"
    )


def _read_answer(answer: AnswerCode, prepared: PreparedRequest) -> str:
    """The statements that return the answer."""
    has_tools = prepared.has_tools
    if prepared.streams:
        lines = "const calls = {};\n" if has_tools else ""
        step = f"reply += {answer.piece};"
        lines += 'let reply = "";\n' + answer.read_stream(step, calls=has_tools)
        if has_tools:
            calls = _nested(answer.stream_calls)
            lines += f"if (Object.keys(calls).length > 0) {{\n  return {calls};\n}}\n"
    else:
        lines = answer.check
        if has_tools:
            lines += f"const calls = {answer.calls};\nif (calls.length > 0) return calls;\n"
        lines += f"const reply = {answer.text};\n"
    schema = prepared.request.schema
    data = "reply" if schema is None else "JSON.parse(reply)"
    if schema is not None and schema.is_wrapped:
        data += ".value"
    return f"{lines}return {data};\n"


def _nested(expression: str) -> str:
    """An expression with its further lines indented."""
    first, *others = expression.split("\n")
    return "\n".join([first, *(f"  {line}" for line in others)])


def _client(sdk: _Sdk, prepared: PreparedRequest) -> str:
    """The client's options, without those that are the defaults; empty for none."""
    options: dict[str, str] = {}
    if prepared.key_variable is None:
        options["apiKey"] = '"none"'  # required by the SDK, but not by the server
    elif prepared.key_variable != sdk.key_variable:
        options["apiKey"] = f"process.env.{prepared.key_variable}"
    own_url = {}
    if prepared.base_url != sdk.base_url:
        own_url = {
            "baseUrl" if sdk is _GEMINI_SDK else "baseURL": string_literal(prepared.base_url)
        }
    headers = {name: _template(pieces) for name, pieces in prepared.own_header_pieces.items()}
    if prepared.key_header and prepared.key_variable:
        headers[prepared.key_header] = f"process.env.{prepared.key_variable}"
    if sdk is _GEMINI_SDK:
        http = {"apiVersion": string_literal(config.gemini_api_version()), **own_url}
        http |= {"headers": STYLE.object(headers, 4)} if headers else {}
        if prepared.as_function:
            http["retryOptions"] = f"{{ attempts: {prepared.attempts} }}"
        return STYLE.object({**options, "httpOptions": STYLE.object(http, 2)})
    options |= own_url
    options |= {"defaultHeaders": STYLE.object(headers, 2)} if headers else {}
    if prepared.query:
        query = {name: string_literal(value) for name, value in prepared.query.items()}
        options["defaultQuery"] = STYLE.object(query, 2)
    if prepared.as_function:
        options["maxRetries"] = str(prepared.attempts - 1)
    return STYLE.object(options) if options else ""


def _template(pieces: list[str]) -> str:
    """A header's value, with the variables at odd places of ``pieces``."""
    if len(pieces) == 1:
        return string_literal(pieces[0])
    written = (
        f"${{process.env.{piece}}}" if number % 2 else _IN_TEMPLATE.sub(r"\\\g<0>", piece)
        for number, piece in enumerate(pieces)
    )
    return f"`{''.join(written)}`"


def _call(sdk: _Sdk, prepared: PreparedRequest) -> str:
    """The statement that makes the call."""
    name, call = ("stream", sdk.call) if prepared.streams else ("response", sdk.plain_call)
    start = f"const {name} = await client."
    if sdk is _GEMINI_SDK:
        return f"{start}{call}({_gemini_arguments(prepared)});\n"
    writer, options = LiteralWriter(STYLE, prepared.placeholders), _options(sdk, prepared)
    if not sdk.moved.isdisjoint(prepared.body):
        stream = {"stream": "true"} if prepared.streams else {}
        options = {"body": writer.write(prepared.body, 2), **stream, **options}
        path = string_literal(prepared.format.path(prepared.request))
        return f"{start}post({path}, {STYLE.object(options)});\n"
    if not options:
        start += f"{call}("
        return f"{start}{writer.write(prepared.body, 0, len(start))});\n"
    body = writer.write(prepared.body, 2)
    return f"{start}{call}(\n  {body},\n  {STYLE.object(options, 2)},\n);\n"


def _options(sdk: _Sdk, prepared: PreparedRequest) -> dict[str, str]:
    """The code of the options of the call."""
    headers = {name: string_literal(value) for name, value in prepared.call_headers.items()}
    if prepared.key_header and prepared.key_variable:
        headers[prepared.format.key_header] = "null"
    options = {"headers": STYLE.object(headers, 4)} if headers else {}
    if sdk is _ANTHROPIC_SDK and prepared.is_long_answer(LONG_ANSWER_TOKENS):
        options["timeout"] = f"{LONG_ANSWER_S}_000"
    return options


def _gemini_arguments(prepared: PreparedRequest) -> str:
    """The argument of google-genai's call."""
    writer = LiteralWriter(STYLE, prepared.placeholders)
    parts = gemini.arguments(prepared.body, _is_safe)
    http: dict[str, str] = {}
    if prepared.call_headers:
        headers = {name: string_literal(value) for name, value in prepared.call_headers.items()}
        http["headers"] = STYLE.object(headers, 6)
    if _would_lose(parts.rest):
        parts = replace(parts, contents="-", config={"automaticContinuation": False})
        body = f"JSON.stringify({writer.write(prepared.body, 6)})"
        http["fetch"] = f"($url, $init) => fetch($url, {{ ...$init, body: {body} }})"
    elif parts.rest:
        http["extraBody"] = writer.write(parts.rest, 6)
    options = {name: writer.write(value, 4) for name, value in parts.config.items()}
    if http:
        options["httpOptions"] = STYLE.object(http, 4)
    return STYLE.object(
        {
            "model": string_literal(prepared.request.model_name),
            "contents": writer.write(parts.contents, 2),
            "config": STYLE.object(options, 2),
        }
    )


def _would_lose(extra_body: Mapping[str, Any]) -> bool:
    """Whether google-genai, which assigns the keys of these objects, would lose one."""
    return any(_PROTO in level for level in (extra_body, extra_body.get("generationConfig") or ()))
