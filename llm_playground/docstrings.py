"""What a docstring says of a function and of its arguments, in Google's style."""

from __future__ import annotations

import re

_SECTION = re.compile(r"(Args|Arguments|Parameters|Returns|Yields|Raises|Examples?|Notes?):\s*")
_ARGUMENT = re.compile(r"(\w+)(?:\s*\([^)]*\))?:\s*(.*)")


def read(docstring: str) -> tuple[str, dict[str, str]]:
    r"""The text before the first section on one line a paragraph, and the arguments' descriptions.

    Args:
        docstring: As :func:`inspect.getdoc` gives it, without the indentation of the code.

    >>> read("The weather\nto come.\n\nArgs:\n  city (str): Where,\n    by name.\n  days: n.")
    ('The weather to come.', {'city': 'Where, by name.', 'days': 'n.'})
    """
    sections: dict[str, list[str]] = {"": []}
    name = ""
    for line in docstring.splitlines():
        if found := _SECTION.fullmatch(line):
            name = found[1]
        else:
            sections.setdefault(name, []).append(line)
    lines = next((sections[n] for n in ("Args", "Arguments", "Parameters") if n in sections), [])
    paragraphs = "\n".join(sections[""]).strip().split("\n\n")
    return "\n\n".join(" ".join(text.split()) for text in paragraphs), _arguments(lines)


def _arguments(lines: list[str]) -> dict[str, str]:
    """The first line of each argument is indented least; what is deeper belongs to it."""
    indented = [(len(line) - len(line.lstrip()), line.strip()) for line in lines if line.strip()]
    least = min((depth for depth, _ in indented), default=0)
    found: dict[str, str] = {}
    name = ""
    for depth, text in indented:
        if depth == least:
            match = _ARGUMENT.fullmatch(text)
            name, text = (match[1], match[2]) if match else ("", "")
        if name:
            found[name] = f"{found.get(name, '')} {text}".strip()
    return found
