"""Python through the vendors' SDKs.

Fields that an SDK would change or has no argument for go into its ``extra_body``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from textwrap import indent
from typing import Any

from llm_playground import config
from llm_playground.codegen import answers, gemini, playground
from llm_playground.codegen.answers import AnswerCode
from llm_playground.codegen.literals import LiteralWriter, string_literal
from llm_playground.codegen.python_function import TypedAnswer, function, typed_answer
from llm_playground.codegen.python_layout import STYLE, import_lines
from llm_playground.codegen.request import PreparedRequest


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
    takes: str  # the fields of our bodies that are arguments of the call
    error: str  # the class of its errors


_OPENAI_SDK = _Sdk(
    package="openai",
    import_line="from openai import OpenAI",
    client="OpenAI",
    key_variable="OPENAI_API_KEY",
    base_url="https://api.openai.com/v1",
    call="chat.completions.create",
    plain_call="chat.completions.create",
    takes="model messages temperature top_p seed presence_penalty frequency_penalty "
    "reasoning_effort max_tokens max_completion_tokens stop logprobs top_logprobs tools "
    "response_format stream_options stream",
    error="openai.OpenAIError",
)
_RESPONSES_SDK = replace(
    _OPENAI_SDK,
    call="responses.create",
    plain_call="responses.create",
    takes="model input instructions temperature top_p max_output_tokens top_logprobs reasoning "
    "text tools include store stream background",
)
_ANTHROPIC_SDK = _Sdk(
    package="anthropic",
    import_line="from anthropic import Anthropic",
    client="Anthropic",
    key_variable="ANTHROPIC_API_KEY",
    base_url="https://api.anthropic.com",
    call="messages.create",
    plain_call="messages.create",
    # anthropic 2 takes none for sampling.
    takes="model max_tokens messages system stop_sequences output_config tools stream",
    error="anthropic.AnthropicError",
)
_GEMINI_SDK = _Sdk(
    package="google-genai",
    import_line="from google import genai",
    client="genai.Client",
    key_variable=None,  # the variables that it reads differ from ours
    base_url="https://generativelanguage.googleapis.com",
    call="models.generate_content_stream",
    plain_call="models.generate_content",
    takes="",  # see _gemini_arguments
    error="google.genai.errors.APIError",
)
_SDKS = {
    "openai": _OPENAI_SDK,
    "openai-responses": _RESPONSES_SDK,
    "anthropic": _ANTHROPIC_SDK,
    "gemini": _GEMINI_SDK,
    "gemini-legacy": _GEMINI_SDK,
}
# The SDK refuses to wait for a whole answer that may take longer than 10 minutes, unless a timeout
# is given (``anthropic._base_client._calculate_nonstreaming_timeout``).
LONG_ANSWER_TOKENS = 8_192
LONG_ANSWER_S = 3_600
_STANDARD = ("functools", "typing")  # modules of Python


def code(prepared: PreparedRequest) -> str:
    """A script or function, through the vendor's SDK if there is one for the wire format."""
    sdk = _SDKS.get(prepared.wire_format)  # none for clouds, whose clients differ
    if sdk is None:
        return playground.code(prepared)
    return _function(sdk, prepared) if prepared.as_function else _script(sdk, prepared)


def _script(sdk: _Sdk, prepared: PreparedRequest) -> str:
    answer, client = answers.PYTHON[prepared.wire_format], _client(sdk, prepared)
    imports = "import os\n\n" if "os.environ" in client else ""
    if prepared.streams:
        read = answer.read_stream(f'print({answer.piece}, end="", flush=True)', calls=False)
        read += "print()\n"  # a shell's prompt is on a line of its own
    else:
        read = f"{answer.check}print({answer.text})\n"
    call = _call(sdk, prepared, "client")
    return f"{_head(sdk, prepared, imports, {})}\nclient = {client}\n{call}{read}"


def _function(sdk: _Sdk, prepared: PreparedRequest) -> str:
    """A module with the function ``ask``; the client is made at its first call."""
    answer, client = typed_answer(prepared), _client(sdk, prepared)
    read = _read_answer(answers.PYTHON[prepared.wire_format], answer, prepared)
    raises = f"{sdk.error}: The call failed, also when it was repeated.\n"
    imports = {"functools": ("cache",), **answer.imports}
    if answer.is_repeated:
        imports["pydantic"] = tuple(sorted({*imports["pydantic"], "ValidationError"}))
    standard = "import json\n" if "json." in read else ""
    standard += "import os\n" if "os.environ" in client else ""
    standard += import_lines({name: imports[name] for name in _STANDARD if name in imports})
    others = {name: names for name, names in imports.items() if name not in _STANDARD}
    head = _head(sdk, prepared, f"{standard}\n", others, answer.note)
    lines = answer.repeated(_call(sdk, prepared, "client()") + read)
    return (
        f"{head}\n\n{answer.source}"
        f'@cache\ndef client() -> {sdk.client}:\n    """The client, made once."""\n'
        f"{indent(f'return {client}', '    ')}\n\n\n{function(prepared, answer, lines, raises)}"
    )


def _read_answer(code: AnswerCode, answer: TypedAnswer, prepared: PreparedRequest) -> str:
    """The statements that return the answer."""
    has_tools = prepared.has_tools
    calls = code.stream_calls
    if prepared.streams:
        lines = "calls: dict[int, dict[str, Any]] = {}\n" if has_tools else ""
        lines += 'reply = ""\n' + code.read_stream(f"reply += {code.piece}", calls=has_tools)
        if has_tools:
            lines += f"if calls:\n{indent(f'return {calls}', '    ')}\n"
    else:
        lines = code.check
        if has_tools:
            lines += f"calls = {code.calls}\nif calls:\n    return calls\n"
        lines += f"reply = {code.text}\n"
    if not answer.is_repeated:
        return f"{lines}return {answer.value}\n"
    return (
        f"{lines}try:\n    return {answer.value}\nexcept ValidationError:\n"
        f"    failures += 1\n    if failures == {answer.attempts}:\n        raise\n"
    )


def _head(
    sdk: _Sdk,
    prepared: PreparedRequest,
    standard: str,
    others: Mapping[str, Sequence[str]],
    comment: str = "",
) -> str:
    note = f"# {prepared.note}\n" if prepared.note else ""
    omit = ", Omit" if _omits_authorization(sdk, prepared) else ""
    models = ' "pydantic>=2"' if "pydantic" in others else ""
    install = f"# pip install {sdk.package}{models}\n"
    return f"{note}{comment}{install}{standard}{sdk.import_line}{omit}\n{import_lines(others)}"


def _omits_authorization(sdk: _Sdk, prepared: PreparedRequest) -> bool:
    """Whether another header has the key; the SDK takes this in the call only."""
    return sdk is not _GEMINI_SDK and bool(prepared.key_header and prepared.key_variable)


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
        options |= {"headers": STYLE.object(own_headers, 8)} if own_headers else {}
        if prepared.as_function:
            options["retry_options"] = writer.write({"attempts": prepared.attempts})
        arguments["http_options"] = STYLE.object(options, 4)
    elif own_url:
        arguments["base_url"] = writer.write(prepared.base_url)
    if sdk is not _GEMINI_SDK and own_headers:
        arguments["default_headers"] = STYLE.object(own_headers, 4)
    if prepared.query:
        arguments["default_query"] = writer.write(dict(prepared.query), 4)
    if sdk is not _GEMINI_SDK and prepared.as_function:
        arguments["max_retries"] = str(prepared.attempts - 1)
    written = [f"{name}={code}" for name, code in arguments.items()]
    line = f"{sdk.client}({', '.join(written)})"
    if len(line) <= 77 and "\n" not in line:
        return line
    lines = "".join(f"    {argument},\n" for argument in written)
    return f"{sdk.client}(\n{lines})"


def _own_headers(prepared: PreparedRequest) -> dict[str, str]:
    """The code of each header of the endpoint's row, with its key where that has another header."""
    headers = {
        name: " + ".join(
            f'os.environ["{piece}"]' if number % 2 else string_literal(piece)
            for number, piece in enumerate(pieces)
            if piece
        )
        for name, pieces in prepared.own_header_pieces.items()
    }
    if prepared.key_header and prepared.key_variable:
        headers[prepared.key_header] = f'os.environ["{prepared.key_variable}"]'
    return headers


def _call(sdk: _Sdk, prepared: PreparedRequest, client: str) -> str:
    """The statement that makes the call."""
    is_gemini = sdk is _GEMINI_SDK
    arguments = _gemini_arguments(prepared) if is_gemini else _arguments(prepared, sdk.takes)
    writer = LiteralWriter(STYLE, prepared.placeholders)
    codes = {name: writer.write(each, 4, len(name) + 1) for name, each in arguments.items()}
    headers = {name: string_literal(each) for name, each in prepared.call_headers.items()}
    if _omits_authorization(sdk, prepared):
        headers[prepared.format.key_header] = "Omit()"
    if headers and not is_gemini:
        codes["extra_headers"] = STYLE.object(headers, 4)
    if sdk is _ANTHROPIC_SDK and prepared.is_long_answer(LONG_ANSWER_TOKENS):
        codes["timeout"] = str(LONG_ANSWER_S)
    written = "".join(f"    {name}={code},\n" for name, code in codes.items())
    name, call = ("stream", sdk.call) if prepared.streams else ("response", sdk.plain_call)
    return f"{name} = {client}.{call}(\n{written})\n"


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
    """The body as arguments of google-genai."""
    parts = gemini.arguments(prepared.body)
    options = {gemini.PYTHON_NAMES[name]: value for name, value in parts.config.items()}
    added = {"headers": prepared.call_headers, "extra_body": parts.rest}
    if any(added.values()):
        options["http_options"] = {name: value for name, value in added.items() if value}
    return {"model": prepared.request.model_name, "contents": parts.contents, "config": options}
