r"""JSON values as YAML that reads and diffs well, and back.

Texts of several lines are blocks, so that a changed line of an answer is a changed line of the
file. A text that a block cannot hold, or whose spaces at line ends an editor would remove, is
quoted, a line of the file for each of its lines. Reading takes any YAML of plain values, such as a
formatter writes; plain words are texts, numbers, ``true``, ``false`` and ``null`` only.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, ClassVar

_INDENT = "  "
# Unquoted texts: words that begin with a letter, and no word of YAML 1.1.
_PLAIN = re.compile(r"[A-Za-z][\w./@+%()-]*(?:(?:,? |:)[\w.$/@+%(][\w./@+%()'-]*)*[.!?]?", re.ASCII)
_RESERVED = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n"})
_MOST_PLAIN_CHARS = 2_000
_BLANK_AT_END = re.compile(r"[ \t]$", re.MULTILINE)
# Characters that YAML takes for ends of lines or refuses, apart from "\n" and "\t".
_NO_BLOCK = re.compile(
    "[^\n\t\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
)
_RESOLVED = (
    ("tag:yaml.org,2002:null", r"(?:null|~|)", ["n", "~", ""]),
    ("tag:yaml.org,2002:bool", r"(?:true|false)", list("tf")),
    ("tag:yaml.org,2002:int", r"-?(?:0|[1-9][0-9]*)", list("-0123456789")),
    (
        "tag:yaml.org,2002:float",
        r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?",
        list("-0123456789"),
    ),
)
MAX_DEPTH = 100


def written(value: object, depth: int = 0) -> str:
    r"""A value as the lines of YAML that stand at a depth, with the end of the last line.

    >>> written({"text": "One.\nTwo.", "number": 1, "of": []})
    'text: |-\n  One.\n  Two.\nnumber: 1\nof: []\n'

    Raises:
        TypeError: It is no JSON value.
    """
    return "".join(f"{line}\n" for line in _lines(value, _INDENT * depth))


def _lines(value: object, indent: str) -> Iterator[str]:
    if isinstance(value, Mapping) and value:
        for name, item in value.items():
            key = str(name) if isinstance(name, int) else _scalar(str(name), "", is_key=True)
            yield from _item(f"{indent}{key}:", item, indent + _INDENT)
    elif isinstance(value, (list, tuple)) and value:
        for item in value:
            first, *rest = _lines(item, indent + _INDENT)
            if isinstance(item, (Mapping, list, tuple)) and item:
                first = first[len(indent) + len(_INDENT) :]
            yield f"{indent}- {first.lstrip() if first.startswith(' ') else first}"
            yield from rest
    else:
        yield from _scalar(value, indent).split("\n")


def _item(head: str, value: object, indent: str) -> Iterator[str]:
    if isinstance(value, (Mapping, list, tuple)) and value:
        yield head
        yield from _lines(value, indent)
    else:
        first, *rest = _scalar(value, indent).split("\n")
        yield f"{head} {first}"
        yield from rest


def _scalar(value: object, indent: str, *, is_key: bool = False) -> str:
    match value:
        case None | bool():
            return json.dumps(value)
        case int():
            return str(value)
        case float():
            return _number(value)
        case str():
            return _text(value, indent, is_key=is_key)
        case Mapping():
            return "{}"
        case list() | tuple():
            return "[]"
    raise TypeError(f"{type(value).__name__} is no JSON value")


def _number(value: float) -> str:
    if not math.isfinite(value):
        return "null"
    mantissa, e, exponent = repr(value).partition("e")
    return f"{mantissa}.0e{exponent}" if e and "." not in mantissa else repr(value)


def _text(text: str, indent: str, *, is_key: bool) -> str:
    if is_key or "\n" not in text:
        is_short = len(text) <= _MOST_PLAIN_CHARS
        is_plain = is_short and _PLAIN.fullmatch(text) and text.lower() not in _RESERVED
        return text if is_plain else _quoted(text)
    body = text.rstrip("\n")
    if not body or text[0] in " \n\t" or _BLANK_AT_END.search(text) or _NO_BLOCK.search(text):
        return f"\\\n{indent}".join(_quoted_lines(text))
    ends = len(text) - len(body)
    chomping = "-" if not ends else "" if ends == 1 else "+"
    lines = (
        f"{indent}{line}" if line else "" for line in text[: len(text) - bool(ends)].split("\n")
    )
    return "\n".join([f"|{chomping}", *lines])


def _quoted_lines(text: str) -> Iterator[str]:
    """The lines of a quoted text; each but the last ends where YAML folds it into the next."""
    lines = text.splitlines(keepends=True)
    for number, line in enumerate(lines):
        quoted = _quoted(line)[1:-1]
        if number and quoted.startswith(" "):
            quoted = f"\\{quoted}"
        yield f"{'' if number else chr(34)}{quoted}{'' if number < len(lines) - 1 else chr(34)}"


def _quoted(text: str) -> str:
    """The text in double quotes, with what YAML cannot hold escaped."""
    quoted = json.dumps(text, ensure_ascii=False).replace("\x7f", "\\x7f")
    return _NO_BLOCK.sub(lambda found: _escape(found[0]), quoted)


def _escape(char: str) -> str:
    code = ord(char)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


@lru_cache(maxsize=1)
def _loader() -> Any:  # noqa: ANN401 - a class of PyYAML, which has no types for it
    import yaml  # first use, not import

    class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]  # one of two
        """Reads plain values, with the words of JSON only."""

        yaml_implicit_resolvers: ClassVar[dict[str, list[tuple[str, re.Pattern[str]]]]] = {}

        def construct_object(self, node: Any, deep: bool = False) -> Any:  # noqa: ANN401 - as in PyYAML
            if node in self.constructed_objects:  # before an alias of an alias is expanded
                raise yaml.constructor.ConstructorError(
                    problem="anchors and aliases are not supported", problem_mark=node.start_mark
                )
            return super().construct_object(node, deep)

        def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:  # noqa: ANN401 - as in PyYAML
            """Refuses a second value of a name, which would replace the first; merges none."""
            mapping: dict[Any, Any] = {}
            for name_node, value_node in node.value:
                name, mark = self.construct_object(name_node, True), name_node.start_mark
                if not isinstance(name, (str, int)):
                    problem = "a name is neither a text nor a whole number"
                    raise yaml.constructor.ConstructorError(problem=problem, problem_mark=mark)
                if name in mapping:
                    problem = f"the name {str(name)[:60]!r} is there twice; remove one"
                    raise yaml.constructor.ConstructorError(problem=problem, problem_mark=mark)
                mapping[name] = self.construct_object(value_node, deep)
            return mapping

    for tag, pattern, starts in _RESOLVED:
        Loader.add_implicit_resolver(tag, re.compile(f"(?:{pattern})$"), starts)
    return Loader


def read(text: str) -> Any:  # noqa: ANN401 - a JSON value is any of six types
    """The value that a text of YAML holds.

    Raises:
        ValueError: It is no YAML, has a name twice in one mapping, or has aliases, dates or other
            values that JSON does not have; the message is one line.
    """
    import yaml  # first use, not import

    try:
        value = yaml.load(text, _loader())  # noqa: S506 - a safe loader
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}: " if mark else ""
        why = " ".join(str(getattr(error, "problem", None) or error).split())
        raise ValueError(f"{where}{why}") from None
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except (ArithmeticError, AttributeError, LookupError, TypeError) as error:
        raise ValueError(f"it has a value that cannot be read: {error}") from None
    _check(value)
    return value


def _check(value: object) -> None:
    """Check that a value is JSON of a depth that can be written again.

    Raises:
        ValueError: It is not.
    """
    waiting: list[tuple[object, int]] = [(value, 0)]
    while waiting:
        one, depth = waiting.pop()
        if isinstance(one, float) and not math.isfinite(one):
            raise ValueError("a number is too large")
        if one is None or isinstance(one, (str, bool, int, float)):
            continue
        if not isinstance(one, (dict, list)):
            raise ValueError(f"a {type(one).__name__} is not a value of this format")  # noqa: TRY004 - invalid text, not a wrong type
        if depth > MAX_DEPTH:
            raise ValueError("it is nested too deeply")
        inner: Sequence[object] = list(one.values()) if isinstance(one, dict) else one
        waiting += [(item, depth + 1) for item in inner]
