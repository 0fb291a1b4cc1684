"""Python, through the vendors' SDKs.

What an SDK would not send as it is, or knows no argument for, goes into its ``extra_body``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from textwrap import indent
from typing import Any

from llm_playground import config
from llm_playground.codegen.literal import Style, Writer
from llm_playground.codegen.wires import Sending, without_extra

STYLE = Style(
    words=("None", "True", "False"),
    far=lambda code: f"\\U{code:08x}",
    key=lambda _, literal: literal,
    between="",
    indent=4,
    pad="",
)

# Arguments of the SDKs' create() among what our bodies hold; anthropic 2 has none for sampling.
_OPENAI = """
model messages temperature top_p seed presence_penalty frequency_penalty reasoning_effort max_tokens
max_completion_tokens stop logprobs top_logprobs tools response_format stream_options stream
"""
_ANTHROPIC = "model max_tokens messages system stop_sequences output_config tools stream"


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_list_of_text(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


# google-genai's names for what it sends as it is, where the value is of its kind. What it would
# rewrite is not among them: it writes levels of thinking in upper case, and pictures in another
# alphabet of base64.
_GEMINI: dict[str, tuple[str, Callable[[object], bool]]] = {
    "temperature": ("temperature", _is_number),
    "topP": ("top_p", _is_number),
    "topK": ("top_k", _is_number),
    "maxOutputTokens": ("max_output_tokens", _is_whole),
    "seed": ("seed", _is_whole),
    "presencePenalty": ("presence_penalty", _is_number),
    "frequencyPenalty": ("frequency_penalty", _is_number),
    "stopSequences": ("stop_sequences", _is_list_of_text),
    "responseLogprobs": ("response_logprobs", lambda value: isinstance(value, bool)),
    "logprobs": ("logprobs", _is_whole),
    "responseMimeType": ("response_mime_type", lambda value: isinstance(value, str)),
    "responseJsonSchema": ("response_json_schema", lambda value: isinstance(value, dict)),
}


@dataclass(frozen=True, slots=True)
class _Sdk:
    """A vendor's SDK.

    Args:
        package: What pip installs.
        imported: Its line of import.
        client: Its class of clients.
        variable: The variable that it takes the key from unless told otherwise.
        base_url: Where it sends to unless told otherwise.
        reading: The loops over a stream that end at a piece of text, as ``for`` and ``if``.
        text: That piece of text.
    """

    package: str
    imported: str
    client: str
    variable: str | None
    base_url: str
    reading: tuple[str, ...]
    text: str


_OPENAI_SDK = _Sdk(
    "openai",
    "from openai import OpenAI",
    "OpenAI",
    "OPENAI_API_KEY",
    "https://api.openai.com/v1",
    ("for chunk in stream", "for choice in chunk.choices"),
    'choice.delta.content or ""',
)
_ANTHROPIC_SDK = _Sdk(
    "anthropic",
    "from anthropic import Anthropic",
    "Anthropic",
    "ANTHROPIC_API_KEY",
    "https://api.anthropic.com",
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
    None,  # it knows other variables than we do
    "https://generativelanguage.googleapis.com",
    ("for chunk in stream",),
    'chunk.text or ""',
)


def chat_completions(sent: Sending) -> str:
    """Chat Completions through openai."""
    client = _client(_OPENAI_SDK, _access(_OPENAI_SDK, sent))
    arguments = _flat_arguments(sent, _OPENAI)
    return _code(_OPENAI_SDK, sent, client, "client.chat.completions.create", arguments)


def messages(sent: Sending) -> str:
    """Messages through anthropic."""
    client = _client(_ANTHROPIC_SDK, _access(_ANTHROPIC_SDK, sent))
    arguments = _flat_arguments(sent, _ANTHROPIC)
    return _code(_ANTHROPIC_SDK, sent, client, "client.messages.create", arguments)


def generate_content(sent: Sending) -> str:
    """``generateContent`` through google-genai."""
    access = _access(_GEMINI_SDK, sent)
    http = {"api_version": config.gemini_api_version()}
    if "base_url" in access:
        http["base_url"] = json.loads(access.pop("base_url"))
    access["http_options"] = Writer(STYLE, sent.blanks).value(http, column=4)
    arguments = _gemini_arguments(sent)
    call = "client.models.generate_content_stream"
    return _code(_GEMINI_SDK, sent, _client(_GEMINI_SDK, access), call, arguments)


def _access(sdk: _Sdk, sent: Sending) -> dict[str, str]:
    """What the client must be told of key and address, as code by argument."""
    access: dict[str, str] = {}
    if sent.key_variable is None:
        access["api_key"] = '"none"'  # which the SDK wants where the server does not
    elif sent.key_variable != sdk.variable:
        access["api_key"] = f'os.environ["{sent.key_variable}"]'
    if sent.base_url != sdk.base_url:
        access["base_url"] = Writer(STYLE, sent.blanks).value(sent.base_url)
    return access


def _client(sdk: _Sdk, access: Mapping[str, str]) -> str:
    written = [f"{name}={code}" for name, code in access.items()]
    line = f"client = {sdk.client}({', '.join(written)})"
    if len(line) <= 88 and "\n" not in line:
        return line
    lines = "".join(f"    {one},\n" for one in written)
    return f"client = {sdk.client}(\n{lines})"


def _flat_arguments(sent: Sending, names: str) -> dict[str, Any]:
    """The body as arguments of a call that takes its fields by name."""
    plain = without_extra(sent)
    arguments = {name: value for name, value in plain.items() if name in names.split()}
    extra = {
        name: value
        for name, value in sent.body.items()
        if name not in arguments or not _same(arguments[name], value)
    }
    return arguments | ({"extra_body": extra} if extra else {})


def _same(one: object, other: object) -> bool:
    """Whether two values are the same JSON; 1 and True are not."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def _gemini_arguments(sent: Sending) -> dict[str, Any]:
    """The body as arguments; what the SDK would change or refuse is in ``extra_body``.

    One request is one request: on its own the SDK sends more where an answer is to go on.
    """
    rest = dict(sent.body)
    contents = rest.pop("contents") if _is_text(rest["contents"]) else "-"  # extra_body replaces it
    options: dict[str, Any] = {"automatic_continuation": False}
    if _is_instruction(rest.get("systemInstruction")):
        options["system_instruction"] = rest.pop("systemInstruction")
    settings = rest.pop("generationConfig")
    if isinstance(settings, dict):
        known = {name: value for name, value in settings.items() if _is_plain(name, value)}
        options |= {_GEMINI[name][0]: value for name, value in known.items()}
        settings = {name: value for name, value in settings.items() if name not in known}
    if settings != {}:
        rest["generationConfig"] = settings
    if rest:
        options["http_options"] = {"extra_body": rest}
    model = sent.request.model_name
    return {"model": model, "contents": contents, "config": options}


def _is_plain(name: str, value: object) -> bool:
    return name in _GEMINI and _GEMINI[name][1](value)


def _is_text(contents: object) -> bool:
    """Whether these are turns of texts, and some."""
    return bool(contents) and isinstance(contents, list) and all(map(_is_turn, contents))


def _is_turn(turn: object) -> bool:
    return isinstance(turn, dict) and turn.keys() == {"role", "parts"} and _are_texts(turn["parts"])


def _is_instruction(turn: object) -> bool:
    return isinstance(turn, dict) and turn.keys() == {"parts"} and _are_texts(turn["parts"])


def _are_texts(parts: object) -> bool:
    return isinstance(parts, list) and all(
        isinstance(part, dict) and part.keys() == {"text"} and isinstance(part["text"], str)
        for part in parts
    )


def _code(sdk: _Sdk, sent: Sending, client: str, call: str, arguments: Mapping[str, Any]) -> str:
    """The whole of it: imports, client, call, and what is done with the stream."""
    writer = Writer(STYLE, sent.blanks)
    written = "".join(
        f"    {name}={writer.value(v, 4, len(name) + 1)},\n" for name, v in arguments.items()
    )
    body = f"{client}\nstream = {call}(\n{written})\n"
    imports = ("import os\n\n" if "os.environ" in client else "") + sdk.imported
    head = f"# pip install {sdk.package}\n{imports}\n"
    if sent.note:
        head = f"# {sent.note}\n{head}"
    if not sent.as_function:
        return f"{head}\n{body}{_printing(sdk)}"
    parameters = ", ".join(f"{blank.parameter}: str" for blank in sent.blanks.all)
    steps = "".join(f"    {step}\n" for step in (sdk.text, *sdk.reading))
    joined = f'return "".join(\n{steps})\n'
    return f"{head}\n\ndef ask({parameters}) -> str:\n{indent(body + joined, '    ')}"


def _printing(sdk: _Sdk) -> str:
    steps = (*(f"{step}:" for step in sdk.reading), f'print({sdk.text}, end="", flush=True)')
    return "".join(f"{'    ' * depth}{step}\n" for depth, step in enumerate(steps))
