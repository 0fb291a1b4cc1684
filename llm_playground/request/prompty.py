"""``.prompty`` files.

A ``.prompty`` file (https://prompty.ai, schema ``Prompty.yaml``) is YAML followed by the turns as a
Jinja template. Of Jinja only ``{{ name }}`` and quoted text, ``{{ 'verbatim' }}``, are supported.
``${env:NAME}`` is not replaced, so that no key gets into a prompt.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

from llm_playground import _validation, config
from llm_playground._files import read_regular
from llm_playground._validation import checks_arguments
from llm_playground.catalog import capabilities
from llm_playground.errors import ConfigError, UnknownModelError
from llm_playground.parts import TextPart
from llm_playground.request.parameters import parameters_from
from llm_playground.request.prompts import Prompt
from llm_playground.request.templates import escaped, names, unescaped
from llm_playground.types import Message, Parameters, Role

_FRONT = re.compile(
    r"\A\ufeff?---[ \t]*\r?\n(.*?)^---[ \t]*(?:\r?\n|\Z)(.*)\Z", re.DOTALL | re.MULTILINE
)
_TURN = re.compile(r"(?i)#?+\s*+(system|user|assistant|developer)\s*+(?:\[[^\]]*+\]\s*+)?+:")
_ROLES: dict[str, Role] = {"developer": "system"}
_TEXT_BRACE = "\ufdd0"  # an opening brace that is text; Unicode has no such character
# Text that Jinja would interpret, and quoted text.
_SPECIAL = re.compile(
    _TEXT_BRACE + r"\{|\{(?=\{\{\s*[^\W\d]\w*\s*\}\})|\{\{(?!\s*[^\W\d]\w*\s*\}\})|\{%|\{#|[\r\0]"
)
_QUOTED = re.compile(r"""\{\{\s*+('(?:[^'\\]|\\.)*+'|"(?:[^"\\]|\\.)*+")\s*+\}\}""")
# Where Jinja's logic begins and ends, apart from `{{ name }}`.
_LOGIC = (
    (re.compile(r"\{%"), "%}"),
    (re.compile(r"\{#"), "#}"),
    (re.compile(r"\{\{(?!\s*+[^\W\d]\w*+\s*+\}\})"), "}}"),
)
_PARAMETERS = frozenset(Parameters.__slots__) - {"extra"}
# Other names of parameters.
_ALIASES = {"max_completion_tokens": "max_tokens", "max_output_tokens": "max_tokens"}
_PLACEHOLDER = "\0{}\0"
MAX_BYTES = 1_000_000
_MAX_FRONT_CHARS = 64_000  # YAML is read at about 50,000 characters a second
_MAX_FRONT_DEPTH = 50


@checks_arguments("prompt_from_file")
def prompt_from_file(path: str | Path) -> Prompt:
    """The prompt of a ``.prompty`` file.

    ``model.configuration`` names the model by ``type`` and ``name``; without a known provider,
    ``model`` is None. Unknown parameters go to ``extra``. Images in Markdown stay text.

    Raises:
        ConfigError: The file cannot be read, is not a ``.prompty`` file, or uses more of Jinja than
            names.

    Example::

        prompt = lp.prompt_from_file("summarise.prompty")
        lp.ask(prompt, variables={"article": article})
    """
    try:
        file = Path(path).expanduser()
    except (TypeError, RuntimeError) as error:  # no path, or no such user's home
        raise ConfigError(f"{_validation.repr_of(path)} is no path ({error}).") from None
    try:
        return from_text(read_regular(file, MAX_BYTES).decode())
    except OSError as error:
        raise ConfigError(f"{file} cannot be read ({error.strerror}).") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{file} is not UTF-8 text.") from None
    except ValueError as error:  # NUL in the path
        raise ConfigError(f"{file} cannot be read ({error}).") from None
    except ConfigError as error:
        raise ConfigError(f"{file}: {error}") from None


def from_text(text: str) -> Prompt:
    r"""The prompt in the text of a ``.prompty`` file.

    Raises:
        ConfigError: The text is not a ``.prompty`` file, or uses more of Jinja than names.

    >>> str(from_text("---\nname: say\n---\nuser:\nSay {{ word }}.\n"))
    'Say {{ word }}.'
    """
    match = _FRONT.match(text)
    if match is None:
        raise ConfigError("This is not a .prompty file, which begins with --- and YAML.")
    front = _front(match[1])
    turns = tuple(_turns(match[2]))
    if not any(turn.role == "user" for turn in turns):
        raise ConfigError(
            "The file has no user prompt. Add a line `user:` and the prompt below it."
        )
    model = _mapping(front.get("model"))
    return Prompt(
        messages=turns,
        parameters=_parameters(model),
        model=_model(front.get("model")),
        name=_text(front.get("name")),
        note=_text(front.get("description")),
    )


def to_text(prompt: Prompt) -> str:
    """The text of a ``.prompty`` file for a prompt.

    Raises:
        ConfigError: The prompt has images, files or tool calls.
    """
    import yaml  # slow to import

    front: dict[str, Any] = {
        "name": prompt.name,
        "description": prompt.note,
        "version": None if prompt.version is None else str(prompt.version),
        "model": _model_mapping(prompt),
    }
    texts = [_only_text(turn) for turn in prompt.messages]
    variables = dict.fromkeys(name for text in texts for name in names(text))
    front["inputs"] = {name: {"type": "string"} for name in variables}
    present = {name: value for name, value in front.items() if value}
    separate = json.loads(json.dumps(present))  # a value that occurs twice would become an alias
    header = yaml.safe_dump(separate, sort_keys=False, allow_unicode=True)
    turns = zip(prompt.messages, texts, strict=True)
    body = "\n".join(f"{turn.role}:\n{_escaped(text)}\n" for turn, text in turns)
    return f"---\n{header}---\n{body}"


def _front(text: str) -> Mapping[str, Any]:
    import yaml

    if len(text) > _MAX_FRONT_CHARS:
        raise ConfigError(f"The YAML has more than {_MAX_FRONT_CHARS:,} characters.")
    try:
        _check_events(text)
        front = yaml.safe_load(text)
        json.dumps(front, default=str)  # raises for an integer that is too long to be written
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" in line {mark.line + 2}" if mark else ""
        why = getattr(error, "problem", None) or "it cannot be read"
        raise ConfigError(f"The YAML is invalid{where}: {why}.") from None
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        # PyYAML raises these for values such as 2020-13-45 or !!int x.
        why = _validation.shorten(str(error), 120)
        raise ConfigError(f"The YAML has a value that cannot be read: {why}.") from None
    return _mapping(front)


def _check_events(text: str) -> None:
    """Refuse aliases, which multiply a text, and nesting that no header has."""
    import yaml

    depth = 0
    for event in yaml.parse(text, yaml.SafeLoader):
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        why = ""
        if isinstance(event, yaml.AliasEvent):
            why = "aliases are not supported"
        elif depth > _MAX_FRONT_DEPTH:
            why = f"it is nested more than {_MAX_FRONT_DEPTH} levels deep"
        if why:
            line = event.start_mark.line + 2 if event.start_mark else 2
            raise ConfigError(f"The YAML is invalid in line {line}: {why}.")


def _mapping(value: object) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", value) if isinstance(value, dict) else {}


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _model(value: object) -> str | None:
    """``provider:name``; None if the provider is unknown."""
    model = {"id": value} if isinstance(value, str) else _mapping(value)
    settings = _mapping(model.get("configuration"))
    provider = settings.get("type") or model.get("provider")
    name = settings.get("name") or model.get("id")
    if not isinstance(name, str) or "${" in name:
        return None
    if isinstance(provider, str):
        return f"{provider}:{name}" if provider in config.rows() else None
    try:
        return capabilities.resolve_model(name)
    except UnknownModelError:
        return None


def _model_mapping(prompt: Prompt) -> dict[str, Any]:
    provider, _, name = (prompt.model or "").partition(":")
    parameters = prompt.parameters.as_dict()
    parameters |= parameters.pop("extra", {})
    if "stop" in parameters:
        parameters["stop"] = list(parameters["stop"])
    model: dict[str, Any] = {"api": "chat"}
    if name:
        model["configuration"] = {"type": provider, "name": name}
    return model | ({"parameters": parameters} if parameters else {})


def _parameters(model: Mapping[str, Any]) -> Parameters:
    values = _mapping(model.get("parameters") or model.get("options"))
    named = {_ALIASES.get(str(name), str(name)): value for name, value in values.items()}
    known = {name: value for name, value in named.items() if name in _PARAMETERS}
    extra = {name: value for name, value in named.items() if name not in _PARAMETERS}
    return parameters_from(known | ({"extra": extra} if extra else {}))


def _turns(body: str) -> Iterator[Message]:
    """The turns of a template; text before the first role is the system prompt."""
    quoted: list[str] = []

    def replace_quoted(match: re.Match[str]) -> str:
        try:
            text = ast.literal_eval(match[1].replace("\n", "\\n"))
            quoted.append(text.replace("{", _TEXT_BRACE))
        except (ValueError, SyntaxError):
            raise ConfigError(f"{match[1]} is not quoted text.") from None
        return _PLACEHOLDER.format(len(quoted) - 1)

    template = _QUOTED.sub(replace_quoted, body.replace("\0", ""))
    _refuse_logic(template)
    role: Role = "system"
    lines: list[str] = []
    for line in [*re.split("\r?\n", template), "user:"]:
        header = _TURN.fullmatch(line.strip())
        if header is None:
            lines.append(line)
            continue
        # Space around a turn is removed before quoted space is inserted.
        text = re.sub("\0(\\d+)\0", lambda mark: quoted[int(mark[1])], "\n".join(lines).strip())
        if text:
            yield Message(role, (TextPart(_as_template(text)),))
        lines = []
        role = _ROLES.get(header[1].lower(), cast("Role", header[1].lower()))


def _as_template(text: str) -> str:
    """A template for a turn in which quoted braces are marked."""
    return escaped(text.replace(_TEXT_BRACE, "{"), lambda at: _TEXT_BRACE not in text[at : at + 2])


def _refuse_logic(template: str) -> None:
    """Raise ConfigError for the first of Jinja's logic; only the ends are searched, once each."""
    found: list[tuple[int, int]] = []
    for opening, closing in _LOGIC:
        if (begin := opening.search(template)) is None:
            continue
        end = template.find(closing, begin.end())
        if end >= 0:
            found.append((begin.start(), end + len(closing)))
    if found:
        start, end = min(found)
        first_line = template[start:end].splitlines()[0]
        shown = _validation.short_repr(first_line)
        raise ConfigError(f"{shown} is not supported. Of Jinja, use only {{{{name}}}}.")


def _only_text(turn: Message) -> str:
    if turn.role == "tool" or not all(isinstance(part, TextPart) for part in turn.content):
        raise ConfigError(
            "A .prompty file contains text only; this prompt has images, files or tool calls."
        )
    return turn.text


def _escaped(text: str) -> str:
    """The text of a turn, escaped so that Jinja and :func:`from_text` return it unchanged."""
    text = unescaped(text, f"{_TEXT_BRACE}{{")
    start = len(text) - len(text.lstrip())
    end = max(start, len(text.rstrip()))
    lines = [_escaped_line(line) for line in text[start:end].split("\n")]
    return _as_quote(text[:start]) + "\n".join(lines) + _as_quote(text[end:])


def _escaped_line(line: str) -> str:
    if _TURN.fullmatch(line.strip()):
        return _as_quote(line)
    return _SPECIAL.sub(lambda match: _as_quote(match[0]), line)


def _as_quote(text: str) -> str:
    return f"{{{{ {text.replace(_TEXT_BRACE, '{')!r} }}}}" if text else ""
