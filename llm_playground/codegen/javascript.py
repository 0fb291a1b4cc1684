"""JavaScript, through ``fetch``.

Not through the vendors' packages: fetch is part of Node.js, Deno and Bun, posts the body as it is,
and so can be shown to send the same without anything from npm.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from textwrap import indent
from typing import Any

from llm_playground.codegen.blanks import Blank
from llm_playground.codegen.literal import Style, Writer, quoted, surrogates
from llm_playground.codegen.wires import Sending

_IDENTIFIER = re.compile(r"[A-Za-z_$][A-Za-z0-9_$]*")
_LARGEST = 2**53 - 1  # Number.MAX_SAFE_INTEGER
_TEXTS = {
    "openai": 'event.choices?.[0]?.delta?.content ?? ""',
    "anthropic": 'event.delta?.text ?? ""',
    "gemini": """(event.candidates?.[0]?.content?.parts ?? [])
      .filter((part) => part.text && !part.thought)
      .map((part) => part.text)
      .join("")""",
}
_READING = """\
let rest = "";
for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) {{
  const lines = (rest + chunk).split("\\n");
  rest = lines.pop();
  for (const line of lines) {{
    const data = line.startsWith("data:") ? line.slice(5).trim() : "";
    if (!data || data === "[DONE]") continue;
    const event = JSON.parse(data);
    if (event.error) throw new Error(data);
    {step};
  }}
}}
"""


def _key(name: str, literal: str) -> str:
    if name == "__proto__":  # which else is no key
        return f"[{literal}]"
    return name if _IDENTIFIER.fullmatch(name) else literal


STYLE = Style(
    words=("null", "true", "false"), far=surrogates, key=_key, between=" +", indent=2, pad=" "
)


def chat_completions(sent: Sending) -> str:
    """Chat Completions."""
    return _code(sent, _TEXTS["openai"])


def messages(sent: Sending) -> str:
    """Messages."""
    return _code(sent, _TEXTS["anthropic"])


def generate_content(sent: Sending) -> str:
    """``generateContent``."""
    return _code(sent, _TEXTS["gemini"])


def _code(sent: Sending, text: str) -> str:
    head = "// Node.js 18 or newer: save as ask.mjs, then: node ask.mjs\n"
    if sent.note:
        head = f"// {sent.note}\n{head}"
    if not sent.as_function:
        return f"{head}\n{_asking(sent)}{_READING.format(step=f'process.stdout.write({text})')}"
    parameters = ", ".join(blank.parameter for blank in sent.blanks.all)
    reading = _READING.format(step=f"text += {text}")
    body = f'{_asking(sent)}let text = "";\n{reading}return text;\n'
    return f"{head}\nasync function ask({parameters}) {{\n{indent(body, '  ')}}}\n"


def _asking(sent: Sending) -> str:
    headers = "".join(f"    {name}: {code},\n" for name, code in _headers(sent).items())
    return (
        f"const response = await fetch({quoted(sent.url)}, {{\n"
        f'  method: "POST",\n'
        f"  headers: {{\n{headers}  }},\n"
        f"  body: {_body(sent)},\n"
        "});\n"
        "if (!response.ok) throw new Error(`${response.status} ${await response.text()}`);\n"
    )


def _headers(sent: Sending) -> Mapping[str, str]:
    """The headers' values as code, by their names as code."""
    wire = sent.wire
    headers = {'"Content-Type"': '"application/json"'}
    headers |= {quoted(name): quoted(value) for name, value in wire.headers.items()}
    if sent.key_variable is not None:
        key = f"process.env.{sent.key_variable}"
        scheme = wire.key_scheme
        headers[quoted(wire.key_header)] = f"`{scheme}${{{key}}}`" if scheme else key
    return headers


def _body(sent: Sending) -> str:
    if all(abs(number) <= _LARGEST for number in _numbers(sent.body)):
        return f"JSON.stringify({Writer(STYLE, sent.blanks).value(sent.body, 2)})"
    # JavaScript would write other last digits: the JSON stands as it is.
    text = json.dumps(sent.body, ensure_ascii=False)
    return " + ".join(map(_of_json, sent.blanks.split(text)))


def _of_json(piece: str | Blank) -> str:
    if isinstance(piece, Blank):
        return f"JSON.stringify({piece.parameter}).slice(1, -1)"
    return quoted(piece)


def _numbers(value: Any) -> Iterator[float]:  # noqa: ANN401 - a JSON value is any of six types
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from _numbers(item)
    elif isinstance(value, (int, float)):
        yield value
