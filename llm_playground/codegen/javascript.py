"""JavaScript through ``fetch``, and cURL with the JSON body in a here-document.

``fetch`` in place of the vendors' packages: it is part of Node.js, Deno and Bun, posts the body
unchanged, and can be tested without anything from npm.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from textwrap import indent
from typing import Any

from llm_playground.codegen.request import (
    LiteralWriter,
    Placeholder,
    PreparedRequest,
    Style,
    escape_invisible,
    string_literal,
    surrogate_escape,
)

_IDENTIFIER = re.compile(r"[A-Za-z_$][A-Za-z0-9_$]*")
_MAX_SAFE_INTEGER = 2**53 - 1
_IN_TEMPLATE = re.compile(r"[\\`$]")
_GEMINI_TEXT = """(event.candidates?.[0]?.content?.parts ?? [])
      .filter((part) => part.text && !part.thought)
      .map((part) => part.text)
      .join("")"""
# The text of an event of the stream, by wire format.
_EVENT_TEXTS = {
    "openai": 'event.choices?.[0]?.delta?.content ?? ""',
    "openai-responses": 'event.type === "response.output_text.delta" ? event.delta : ""',
    "anthropic": 'event.delta?.text ?? ""',
    "gemini": _GEMINI_TEXT,
    "gemini-legacy": _GEMINI_TEXT,
}
_READ_STREAM = """\
let rest = "";
for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) {{
  const lines = (rest + chunk).split("\\n");
  rest = lines.pop();
  for (const line of lines) {{
    const data = line.startsWith("data:") ? line.slice(5).trim() : "";
    if (!data || data === "[DONE]") continue;
    const event = JSON.parse(data);
    if (event.error || event.type === "error" || event.type === "response.failed") {{
      throw new Error(data);
    }}
    {step};
  }}
}}
"""


def _key(name: str, literal: str) -> str:
    if name == "__proto__":  # as a plain key it would set the prototype
        return f"[{literal}]"
    return name if _IDENTIFIER.fullmatch(name) else literal


STYLE = Style(
    constants=("null", "true", "false"),
    astral_escape=surrogate_escape,
    key=_key,
    concatenation=" +",
    indent=2,
    padding=" ",
)


def code(prepared: PreparedRequest) -> str:
    """A script or function that posts a request of any wire format."""
    text = _EVENT_TEXTS[prepared.wire_format]
    head = "// Node.js 18 or newer: save as ask.mjs, then: node ask.mjs\n"
    if prepared.note:
        head = f"// {prepared.note}\n{head}"
    call = _fetch(prepared)
    if not prepared.as_function:
        return f"{head}\n{call}{_READ_STREAM.format(step=f'process.stdout.write({text})')}"
    parameters = ", ".join(each.parameter for each in prepared.placeholders.items)
    body = f'{call}let text = "";\n{_READ_STREAM.format(step=f"text += {text}")}return text;\n'
    return f"{head}\nasync function ask({parameters}) {{\n{indent(body, '  ')}}}\n"


def _fetch(prepared: PreparedRequest) -> str:
    headers = "".join(f"    {name}: {code},\n" for name, code in _headers(prepared).items())
    return (
        f"const response = await fetch({string_literal(prepared.url)}, {{\n"
        f'  method: "POST",\n'
        f"  headers: {{\n{headers}  }},\n"
        f"  body: {_body(prepared)},\n"
        "});\n"
        "if (!response.ok) throw new Error(`${response.status} ${await response.text()}`);\n"
    )


def _headers(prepared: PreparedRequest) -> dict[str, str]:
    """The code of each header's value, by the code of its name."""
    headers = {'"Content-Type"': '"application/json"'}
    headers |= {
        string_literal(name): _template(pieces) for name, pieces in prepared.header_pieces.items()
    }
    if prepared.key_variable is not None:
        key = f"process.env.{prepared.key_variable}"
        name, value = prepared.authorization(f"${{{key}}}")
        headers[string_literal(name)] = key if value == f"${{{key}}}" else f"`{value}`"
    return headers


def _template(pieces: list[str]) -> str:
    """A header's value, with the variables at odd places of ``pieces``."""
    if len(pieces) == 1:
        return string_literal(pieces[0])
    return "`" + _filled(pieces, _IN_TEMPLATE, "${process.env.%s}") + "`"


def _filled(pieces: list[str], special: re.Pattern[str], variable: str) -> str:
    """A header's pieces with ``special`` characters of texts escaped, and variables as written."""
    return "".join(
        variable % piece if number % 2 else special.sub(r"\\\g<0>", piece)
        for number, piece in enumerate(pieces)
    )


def _body(prepared: PreparedRequest) -> str:
    if all(abs(number) <= _MAX_SAFE_INTEGER for number in _numbers(prepared.body)):
        value = LiteralWriter(STYLE, prepared.placeholders).write(prepared.body, 2)
        return f"JSON.stringify({value})"
    # JavaScript would round such numbers: the JSON is written as text.
    return " + ".join(
        f"JSON.stringify({piece.parameter}).slice(1, -1)"
        if isinstance(piece, Placeholder)
        else string_literal(piece)
        for piece in prepared.placeholders.split(json.dumps(prepared.body, ensure_ascii=False))
    )


def _numbers(value: Any) -> Iterator[float]:  # noqa: ANN401 - a JSON value is any of six types
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from _numbers(item)
    elif isinstance(value, (int, float)):
        yield value


_IN_QUOTES = re.compile(r'[\\"$`]')  # in double quotes of a shell
_EXPANDED = re.compile(r"[\\$`]")  # in a here-document that is expanded
_URL_PATTERN = frozenset("[]{}")  # cURL expands these to several URLs unless -g is given
# Bash: the JSON escapes of a text.
_ESCAPED = r"""
escaped() {
  local text=${1//\\/\\\\} code char
  text=${text//\"/\\\"}
  for code in 0{1..9} 0{a..f} 1{0..9} 1{a..f}; do
    printf -v char "\\x$code"
    text=${text//"$char"/\\u00$code}
  done
  printf '%s' "$text"
}
"""


def curl(prepared: PreparedRequest) -> str:
    """A request of any wire format; prints the stream as it arrives."""
    note = f"# {prepared.note}\n" if prepared.note else ""
    # Line breaks in texts are escaped: no line of the JSON can end the here-document.
    lines = json.dumps(prepared.body, ensure_ascii=False, indent=2).split("\n")
    body = "\n".join(map(escape_invisible, lines))
    if not prepared.as_function:
        return f"{note}{_command(prepared)} <<'EOF'\n{body}\nEOF\n"
    parameters = [each.parameter for each in prepared.placeholders.items]
    if not parameters:
        return f"{note}ask() {{\n{_command(prepared, '  ')} <<'EOF'\n{body}\nEOF\n}}\n"
    return (
        f"{note}# bash; usage: ask {' '.join(parameters)}{_ESCAPED}\n"
        f"ask() {{\n{_command(prepared, '  ')} <<EOF\n{_with_arguments(prepared, body)}\nEOF\n}}\n"
    )


def _command(prepared: PreparedRequest, margin: str = "") -> str:
    headers = {"Content-Type": ["application/json"], **prepared.header_pieces}
    flags = "-sSNg" if _URL_PATTERN & set(prepared.url) else "-sSN"
    lines = [f"curl {flags} {shlex.quote(prepared.url)}"]
    for name, pieces in headers.items():
        first, *others = pieces
        header = _filled([f"{name}: {first}", *others], _IN_QUOTES, "${%s}")
        lines.append(f'-H "{header}"')
    if prepared.key_variable is not None:
        name, value = prepared.authorization(f"${prepared.key_variable}")
        lines.append(f'-H "{name}: {value}"')
    lines.append("--data-binary @-")
    return f" \\\n{margin}  ".join([f"{margin}{lines[0]}", *lines[1:]])


def _with_arguments(prepared: PreparedRequest, body: str) -> str:
    """The body with the function's arguments in place of the marks."""
    numbers = {each: number for number, each in enumerate(prepared.placeholders.items, start=1)}
    pieces = []
    for piece in prepared.placeholders.split(body):
        if isinstance(piece, Placeholder):
            number = numbers[piece]
            pieces.append(f'$(escaped "${number if number < 10 else f"{{{number}}}"}")')
        else:
            pieces.append(_EXPANDED.sub(r"\\\g<0>", piece))
    return "".join(pieces)
