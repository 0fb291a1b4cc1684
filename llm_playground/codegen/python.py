"""Python through the vendors' SDKs, and through this package where a vendor has none.

Fields that an SDK would change or has no argument for go into its ``extra_body``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from textwrap import indent
from typing import Any

from llm_playground import config
from llm_playground.codegen.request import (
    LiteralWriter,
    Placeholders,
    PreparedRequest,
    Style,
    string_literal,
)
from llm_playground.parts import FilePart, ImagePart, Part, TextPart
from llm_playground.request import files, images
from llm_playground.types import Message, Request, messages_as_json

STYLE = Style(
    constants=("None", "True", "False"),
    astral_escape=lambda code: f"\\U{code:08x}",
    key=lambda _, literal: literal,
    concatenation="",
    indent=4,
    padding="",
)

# google-genai's names for the fields that it sends unchanged, and the types for which it does.
# Levels of thinking (it writes them in upper case) and images (other base64 alphabet) are absent.
_GEMINI_CONFIG: dict[str, tuple[str, tuple[type, ...]]] = {
    "temperature": ("temperature", (int, float)),
    "topP": ("top_p", (int, float)),
    "topK": ("top_k", (int, float)),
    "maxOutputTokens": ("max_output_tokens", (int,)),
    "seed": ("seed", (int,)),
    "presencePenalty": ("presence_penalty", (int, float)),
    "frequencyPenalty": ("frequency_penalty", (int, float)),
    "stopSequences": ("stop_sequences", (list,)),
    "responseLogprobs": ("response_logprobs", (bool,)),
    "logprobs": ("logprobs", (int,)),
    "responseMimeType": ("response_mime_type", (str,)),
    "responseJsonSchema": ("response_json_schema", (dict,)),
}


@dataclass(frozen=True, slots=True)
class _Sdk:
    """A vendor's SDK."""

    package: str
    import_line: str
    client: str
    key_variable: str | None  # which the client reads by default
    base_url: str  # by default
    call: str
    takes: str  # the fields of our bodies that are arguments of the call
    loops: tuple[str, ...]  # the `for` and `if` clauses over the stream, to a piece of text
    text: str  # the expression for that piece


_OPENAI_SDK = _Sdk(
    "openai",
    "from openai import OpenAI",
    "OpenAI",
    "OPENAI_API_KEY",
    "https://api.openai.com/v1",
    "client.chat.completions.create",
    "model messages temperature top_p seed presence_penalty frequency_penalty reasoning_effort "
    "max_tokens max_completion_tokens stop logprobs top_logprobs tools response_format "
    "stream_options stream",
    ("for chunk in stream", "for choice in chunk.choices"),
    'choice.delta.content or ""',
)
_RESPONSES_SDK = replace(
    _OPENAI_SDK,
    call="client.responses.create",
    takes="model input instructions temperature top_p max_output_tokens top_logprobs reasoning "
    "text tools include store stream background",
    loops=("for event in stream", 'if event.type == "response.output_text.delta"'),
    text="event.delta",
)
_ANTHROPIC_SDK = _Sdk(
    "anthropic",
    "from anthropic import Anthropic",
    "Anthropic",
    "ANTHROPIC_API_KEY",
    "https://api.anthropic.com",
    "client.messages.create",
    # anthropic 2 takes none for sampling.
    "model max_tokens messages system stop_sequences output_config tools stream",
    (
        "for event in stream",
        'if event.type == "content_block_delta" and event.delta.type == "text_delta"',
    ),
    "event.delta.text",
)
_GEMINI_SDK = _Sdk(
    "google-genai",
    "from google import genai",
    "genai.Client",
    None,  # the variables that it reads differ from ours
    "https://generativelanguage.googleapis.com",
    "client.models.generate_content_stream",
    "",  # see _gemini_arguments
    ("for chunk in stream",),
    'chunk.text or ""',
)


_SDKS = {
    "openai": _OPENAI_SDK,
    "openai-responses": _RESPONSES_SDK,
    "anthropic": _ANTHROPIC_SDK,
    "gemini": _GEMINI_SDK,
    "gemini-legacy": _GEMINI_SDK,
}


def code(prepared: PreparedRequest) -> str:
    """A script or function, through the vendor's SDK if there is one for the wire format."""
    sdk = _SDKS.get(prepared.wire_format)  # none for clouds, whose clients differ
    return _playground(prepared) if sdk is None else _sdk_code(sdk, prepared)


def _client(sdk: _Sdk, prepared: PreparedRequest) -> str:
    """The client, with key and base URL where they are not the defaults."""
    writer = LiteralWriter(STYLE, prepared.placeholders)
    arguments: dict[str, str] = {}
    if prepared.key_variable is None:
        arguments["api_key"] = '"none"'  # required by the SDK, but not by the server
    elif prepared.key_variable != sdk.key_variable:
        arguments["api_key"] = f'os.environ["{prepared.key_variable}"]'
    own_headers = _own_headers(prepared)
    own_url = {} if prepared.base_url == sdk.base_url else {"base_url": prepared.base_url}
    if sdk is _GEMINI_SDK:
        http = {"api_version": config.gemini_api_version(), **own_url}
        options = {name: writer.write(value) for name, value in http.items()}
        options |= {"headers": _object(own_headers, 8)} if own_headers else {}
        arguments["http_options"] = _object(options, 4)
    elif own_url:
        arguments["base_url"] = writer.write(prepared.base_url)
    if sdk is not _GEMINI_SDK and own_headers:
        arguments["default_headers"] = _object(own_headers, 4)
    if prepared.query:
        arguments["default_query"] = writer.write(dict(prepared.query), 4)
    written = [f"{name}={code}" for name, code in arguments.items()]
    line = f"client = {sdk.client}({', '.join(written)})"
    if len(line) <= 88 and "\n" not in line:
        return line
    lines = "".join(f"    {argument},\n" for argument in written)
    return f"client = {sdk.client}(\n{lines})"


def _own_headers(prepared: PreparedRequest) -> dict[str, str]:
    """The code of each header of the endpoint's row, with its key where that has another header."""
    headers = {
        name: " + ".join(
            f'os.environ["{piece}"]' if number % 2 else string_literal(piece)
            for number, piece in enumerate(pieces)
            if piece
        )
        for name, pieces in prepared.header_pieces.items()
        if name in prepared.endpoint_headers and name not in prepared.request.parameters.headers
    }
    if prepared.key_header and prepared.key_variable:
        headers[prepared.key_header] = f'os.environ["{prepared.key_variable}"]'
    return headers


def _object(items: Mapping[str, str], column: int) -> str:
    """The code of a dict from the code of its values; on several lines if one is too long."""
    pairs = [f"{string_literal(name)}: {code}" for name, code in items.items()]
    flat = f"{{{', '.join(pairs)}}}"
    if column + len(flat) <= 70 and "\n" not in flat:
        return flat
    margin = " " * column
    return "{\n" + "".join(f"{margin}    {pair},\n" for pair in pairs) + f"{margin}}}"


def _call_headers(prepared: PreparedRequest) -> dict[str, str]:
    """The headers that are not the client's, with the API version that was used."""
    of_client = _own_headers(prepared)
    return {name: value for name, value in prepared.headers.items() if name not in of_client}


def _arguments(prepared: PreparedRequest, names: str) -> dict[str, Any]:
    """The body as keyword arguments; everything else is in ``extra_body``."""
    plain = prepared.body_without_extra()
    kept = prepared.body.keys() & set(names.split())  # None in extra removes a field
    arguments = {name: value for name, value in plain.items() if name in kept}
    # Compared as JSON: 1 and True are equal in Python only.
    as_json = {name: json.dumps(value, sort_keys=True) for name, value in arguments.items()}
    extra = {
        name: value
        for name, value in prepared.body.items()
        if as_json.get(name) != json.dumps(value, sort_keys=True)
    }
    return arguments | ({"extra_body": extra} if extra else {})


def _gemini_arguments(prepared: PreparedRequest) -> dict[str, Any]:
    """The body as arguments; fields that the SDK would change or refuse are in ``extra_body``.

    Automatic continuation is off: with it, the SDK may send further requests for one answer.
    """
    rest, contents = dict(prepared.body), prepared.body["contents"]
    are_texts = isinstance(contents, list) and all(
        _is_text_turn(turn, {"role", "parts"}) for turn in contents
    )
    if are_texts and contents:
        del rest["contents"]
    else:  # those in extra_body replace the argument, which is required
        contents = "-"
    options: dict[str, Any] = {"automatic_continuation": False}
    if _is_text_turn(rest.get("systemInstruction"), {"parts"}):
        options["system_instruction"] = rest.pop("systemInstruction")
    settings = rest.pop("generationConfig")
    if isinstance(settings, dict):
        plain = {name: value for name, value in settings.items() if _is_sent_as_is(name, value)}
        options |= {_GEMINI_CONFIG[name][0]: value for name, value in plain.items()}
        settings = {name: value for name, value in settings.items() if name not in plain}
    if settings != {}:
        rest["generationConfig"] = settings
    added = {"headers": _call_headers(prepared), "extra_body": rest}
    if any(added.values()):
        options["http_options"] = {name: value for name, value in added.items() if value}
    return {"model": prepared.request.model_name, "contents": contents, "config": options}


def _is_sent_as_is(name: str, value: object) -> bool:
    types = _GEMINI_CONFIG[name][1] if name in _GEMINI_CONFIG else ()
    if isinstance(value, bool) and bool not in types:
        return False
    if isinstance(value, list):
        return list in types and all(isinstance(item, str) for item in value)
    return isinstance(value, types)


def _is_text_turn(turn: object, keys: set[str]) -> bool:
    return (
        isinstance(turn, dict)
        and turn.keys() == keys
        and isinstance(turn["parts"], list)
        and all(
            isinstance(part, dict) and part.keys() == {"text"} and isinstance(part["text"], str)
            for part in turn["parts"]
        )
    )


def _sdk_code(sdk: _Sdk, prepared: PreparedRequest) -> str:
    """The whole script or function: imports, client, call, and the loop over the stream."""
    is_gemini = sdk is _GEMINI_SDK
    arguments = _gemini_arguments(prepared) if is_gemini else _arguments(prepared, sdk.takes)
    writer = LiteralWriter(STYLE, prepared.placeholders)
    codes = {name: writer.write(each, 4, len(name) + 1) for name, each in arguments.items()}
    headers = {name: string_literal(each) for name, each in _call_headers(prepared).items()}
    if prepared.key_header and prepared.key_variable:  # openai takes it in the call only
        headers[prepared.format.key_header] = "Omit()"
    if headers and not is_gemini:
        codes["extra_headers"] = _object(headers, 4)
    written = "".join(f"    {name}={code},\n" for name, code in codes.items())
    client = _client(sdk, prepared)
    body = f"{client}\nstream = {sdk.call}(\n{written})\n"
    imports = ("import os\n\n" if "os.environ" in client else "") + sdk.import_line
    imports += ", Omit" if "Omit()" in codes.get("extra_headers", "") else ""
    head = f"# pip install {sdk.package}\n{imports}\n"
    if prepared.note:
        head = f"# {prepared.note}\n{head}"
    if not prepared.as_function:
        steps = [*(f"{clause}:" for clause in sdk.loops), f'print({sdk.text}, end="", flush=True)']
        loop = "".join(f"{'    ' * depth}{step}\n" for depth, step in enumerate(steps))
        return f"{head}\n{body}{loop}"
    clauses = "".join(f"    {clause}\n" for clause in (sdk.text, *sdk.loops))
    return f"{head}\n\n" + _function(prepared, f'{body}return "".join(\n{clauses})\n')


def _function(prepared: PreparedRequest, body: str) -> str:
    parameters = ", ".join(f"{each.parameter}: str" for each in prepared.placeholders.items)
    return f"def ask({parameters}) -> str:\n{indent(body, '    ')}"


def _playground(prepared: PreparedRequest) -> str:
    """``lp.ask(...)``: for the embedded model and for providers of other packages."""
    writer = LiteralWriter(STYLE, Placeholders())
    imports = "import llm_playground as lp\n"
    request, last = prepared.request, prepared.request.messages[-1]
    question = last.text if last.role == "user" and _is_single_text(last) else None
    arguments = [writer.write(argument, 4) for argument in (question, request.model)]
    arguments += [
        f"{name}={writer.write(value, 4, len(name) + 1)}"
        for name, value in _named_arguments(request, question).items()
    ]
    if request.schema is not None:
        imports = f"import json\n\n{imports}"
        shape = writer.write(request.schema.json_schema, 4)
        schema = [string_literal(request.schema.name), shape]
        if request.schema.is_wrapped:
            schema += ['lambda text: json.loads(text)["value"]', "is_wrapped=True"]
        else:
            schema.append("json.loads")
        arguments.append(f"schema=lp.Schema({', '.join(schema)})")
    if prepared.placeholders.items:
        items = prepared.placeholders.items
        values = (f"{string_literal(each.name)}: {each.parameter}" for each in items)
        arguments.append(f"variables={{{', '.join(values)}}}")
    call = "lp.ask(\n" + "".join(f"    {argument},\n" for argument in arguments) + ")"
    head = f"# {prepared.note}\n{imports}" if prepared.note else imports
    if not prepared.as_function:
        return f"{head}\nprint({call})\n"
    return f"{head}\n\n" + _function(prepared, f"return {call}.text\n")


def _named_arguments(request: Request, question: str | None) -> dict[str, Any]:
    """The keyword arguments of ``lp.ask``, except the schema."""
    named: dict[str, Any] = {}
    messages = list(request.messages if question is None else request.messages[:-1])
    first = messages[0] if messages else None
    if first and first.role == "system" and _is_single_text(first) and first.text.strip():
        named["system"] = messages.pop(0).text
    if messages:
        named["messages"] = [_message_json(message) for message in messages]
    if request.tools:
        named["tools"] = [
            {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
            for tool in request.tools
        ]
    parameters = request.parameters.as_dict().items()
    return named | {
        name: list(value) if isinstance(value, tuple) else value for name, value in parameters
    }


def _is_single_text(message: Message) -> bool:
    return len(message.content) == 1 and isinstance(message.content[0], TextPart)


def _message_json(message: Message) -> dict[str, Any]:
    """A message as JSON, with its images and files as data URLs."""
    [as_json] = messages_as_json((message,))
    content = [
        _attached_json(part) or item
        for part, item in zip(message.content, as_json["content"], strict=True)
    ]
    return as_json | {"content": content}


def _attached_json(part: Part) -> dict[str, Any] | None:
    """An image or file in the form that ``messages=`` takes; None for other parts."""
    match part:
        case ImagePart():
            return {"type": "image", "image": images.data_url(part)}
        case FilePart():
            return {"type": "file", "file": files.data_url(part), "name": part.name}
    return None
