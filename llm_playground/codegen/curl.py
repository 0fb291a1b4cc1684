"""cURL with the JSON body in a here-document; a function for bash."""

from __future__ import annotations

import json
import re
import shlex

from llm_playground.codegen.literals import escape_invisible
from llm_playground.codegen.placeholders import Placeholder
from llm_playground.codegen.request import PreparedRequest

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


def code(prepared: PreparedRequest) -> str:
    """A script for any shell, or the function ``ask``; they print what the server sends."""
    note = f"# {prepared.note}\n" if prepared.note else ""
    # Line breaks in texts are escaped: no line of the JSON can end the here-document.
    lines = json.dumps(prepared.body, ensure_ascii=False, indent=2).split("\n")
    body = "\n".join(map(escape_invisible, lines))
    if not prepared.as_function:
        return f"{note}{_command(prepared)} <<'EOF'\n{body}\nEOF\n"
    parameters = [each.parameter for each in prepared.placeholders.items]
    shell = "bash" if parameters else "sh"
    note += (
        f"# {shell}; usage: {' '.join(['ask', *parameters])}\n"
        "# Prints what the server sends; a failed call is repeated, then ends with status 22.\n"
    )
    if not parameters:
        return f"{note}ask() {{\n{_command(prepared, '  ')} <<'EOF'\n{body}\nEOF\n}}\n"
    return (
        f"{note}{_ESCAPED.lstrip()}\n"
        f"ask() {{\n{_command(prepared, '  ')} <<EOF\n{_with_arguments(prepared, body)}\nEOF\n}}\n"
    )


def _command(prepared: PreparedRequest, margin: str = "") -> str:
    headers = {"Content-Type": ["application/json"], **prepared.header_pieces}
    flags = "-sS"
    flags += "N" if prepared.streams else ""
    flags += "g" if _URL_PATTERN & set(prepared.url) else ""
    flags += f"f --retry {prepared.attempts - 1}" if prepared.as_function else ""
    lines = [f"curl {flags} {shlex.quote(prepared.url)}"]
    for name, pieces in headers.items():
        first, *others = pieces
        header = "".join(
            f"${{{piece}}}" if number % 2 else _IN_QUOTES.sub(r"\\\g<0>", piece)
            for number, piece in enumerate([f"{name}: {first}", *others])
        )
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
