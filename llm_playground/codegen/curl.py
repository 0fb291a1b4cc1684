"""cURL in a shell: the body as JSON in a here-document."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator

from llm_playground.codegen.blanks import Blank
from llm_playground.codegen.literal import visible
from llm_playground.codegen.wires import Sending

_SPECIAL = re.compile(r"[\\$`]")  # in a here-document that is expanded
_PATTERN = frozenset("[]{}")  # from which cURL makes several addresses unless told not to
# Bash: a text as JSON has it between quotes.
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


def request(sent: Sending) -> str:
    """A request of any wire format; what it prints is the stream as it comes."""
    note = f"# {sent.note}\n" if sent.note else ""
    body = "\n".join(visible(line) for line in _json(sent).split("\n"))
    if not sent.as_function:
        return f"{note}{_command(sent)} <<'EOF'\n{body}\nEOF\n"
    if not sent.blanks.all:
        return f"{note}ask() {{\n{_command(sent, '  ')} <<'EOF'\n{body}\nEOF\n}}\n"
    filled = "".join(_filled(sent, body))
    usage = " ".join(blank.parameter for blank in sent.blanks.all)
    return (
        f"{note}# bash; usage: ask {usage}{_ESCAPED}\n"
        f"ask() {{\n{_command(sent, '  ')} <<EOF\n{filled}\nEOF\n}}\n"
    )


def _json(sent: Sending) -> str:
    """Pretty JSON: no line of it is the here-document's last, for texts have no lines there."""
    return json.dumps(sent.body, ensure_ascii=False, indent=2)


def _command(sent: Sending, margin: str = "") -> str:
    wire = sent.wire
    headers = {"Content-Type": "application/json", **wire.headers}
    flags = "-sSNg" if _PATTERN & set(sent.url) else "-sSN"
    lines = [f"curl {flags} {shlex.quote(sent.url)}"]
    lines += [f'-H "{name}: {value}"' for name, value in headers.items()]
    if sent.key_variable is not None:
        lines.append(f'-H "{wire.key_header}: {wire.key_scheme}${sent.key_variable}"')
    lines.append("--data-binary @-")
    return f" \\\n{margin}  ".join([f"{margin}{lines[0]}", *lines[1:]])


def _filled(sent: Sending, body: str) -> Iterator[str]:
    """The body with the function's arguments in it."""
    places = {blank: number for number, blank in enumerate(sent.blanks.all, start=1)}
    for piece in sent.blanks.split(body):
        if isinstance(piece, Blank):
            number = places[piece]
            yield f'$(escaped "${number if number < 10 else f"{{{number}}}"}")'
        else:
            yield _SPECIAL.sub(r"\\\g<0>", piece)
