"""``.prompty`` files in and out: YAML in front, below it the turns as a Jinja template.

Microsoft's format (https://prompty.ai, its schema ``Prompty.yaml``). Of Jinja's language only
``{{ name }}`` and quoted texts, ``{{ 'as they are' }}``, are known here. Of ``${env:NAME}`` nothing
is looked up: no key gets in.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import yaml

from llm_playground import capabilities, config
from llm_playground.errors import ConfigError, UnknownModelError
from llm_playground.parameters import parameters_from
from llm_playground.saved_prompt import Prompt
from llm_playground.template import names
from llm_playground.types import Message, Parameters, Role, TextPart

_FRONT = re.compile(
    r"\A\ufeff?---[ \t]*\r?\n(.*?)^---[ \t]*(?:\r?\n|\Z)(.*)\Z", re.DOTALL | re.MULTILINE
)
_TURN = re.compile(r"(?i)^\s*#?\s*(system|user|assistant|developer)\s*(?:\[[^\]]*\])?\s*:\s*$")
_ROLES: dict[str, Role] = {"developer": "system"}
# What Jinja would not take as text, and how a text is quoted.
_SPECIAL = re.compile(r"\{\{(?!\s*[^\W\d]\w*\s*\}\})|\{%|\{#|[\r\0]")
_QUOTED = re.compile(r"""\{\{\s*('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")\s*\}\}""")
_LOGIC = re.compile(r"\{%.*?%\}|\{#.*?#\}|\{\{(?!\s*[^\W\d]\w*\s*\}\}).*?\}\}", re.DOTALL)
_PARAMETERS = frozenset(Parameters.__slots__) - {"extra"}
# Names of other APIs for what is called otherwise here.
_ALIASES = {"max_completion_tokens": "max_tokens", "max_output_tokens": "max_tokens"}
_QUOTE_FOR_A_WHILE = "\0{}\0"


def prompt_from_file(path: str | Path) -> Prompt:
    """The prompt that a ``.prompty`` file holds.

    ``model.configuration`` names the model by ``type`` and ``name``; of a provider that is not
    known here it stays open. Parameters that have no name here go to ``extra``. Pictures in
    Markdown stay text.

    Raises:
        ConfigError: It cannot be read, is no such file, or uses more of Jinja than names.

    Example::

        prompt = lp.prompt_from_file("summarise.prompty")
        lp.ask(prompt, variables={"article": article})
    """
    place = Path(path).expanduser()
    try:
        return read(place.read_text("utf-8"))
    except OSError as error:
        raise ConfigError(f"{place} cannot be read ({error.strerror}).") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{place} is no text in UTF-8.") from None
    except ConfigError as error:
        raise ConfigError(f"{place}: {error}") from None


def read(text: str) -> Prompt:
    r"""The prompt in the text of a ``.prompty`` file.

    Raises:
        ConfigError: It is none, or uses more of Jinja than names.

    >>> str(read("---\nname: say\n---\nuser:\nSay {{ word }}.\n"))
    'Say {{ word }}.'
    """
    found = _FRONT.match(text)
    if found is None:
        raise ConfigError("This is no .prompty file: it begins with --- and YAML.")
    front = _front(found[1])
    turns = tuple(_turns(found[2]))
    if not any(turn.role == "user" for turn in turns):
        raise ConfigError("There is no user prompt: a line `user:` and the prompt below it.")
    described = _mapping(front.get("model"))
    return Prompt(
        messages=turns,
        parameters=_parameters(described),
        model=_model(front.get("model")),
        name=_text(front.get("name")),
        note=_text(front.get("description")),
    )


def written(prompt: Prompt) -> str:
    """A prompt as the text of a ``.prompty`` file.

    Raises:
        ConfigError: It holds more than texts.
    """
    front: dict[str, Any] = {
        "name": prompt.name,
        "description": prompt.note,
        "version": None if prompt.version is None else str(prompt.version),
        "model": _described(prompt),
    }
    texts = [_only_text(turn) for turn in prompt.messages]
    asked = dict.fromkeys(name for text in texts for name in names(text))
    front["inputs"] = {name: {"type": "string"} for name in asked}
    present = {name: value for name, value in front.items() if value}
    header = yaml.safe_dump(present, sort_keys=False, allow_unicode=True)
    turns = zip(prompt.messages, texts, strict=True)
    body = "\n".join(f"{turn.role}:\n{_escaped(text)}\n" for turn, text in turns)
    return f"---\n{header}---\n{body}"


def _front(text: str) -> Mapping[str, Any]:
    try:
        front = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" in line {mark.line + 2}" if mark else ""
        why = getattr(error, "problem", None) or "it cannot be read"
        raise ConfigError(f"The YAML in front is not right{where}: {why}.") from None
    return _mapping(front)


def _mapping(value: object) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", value) if isinstance(value, dict) else {}


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _model(said: object) -> str | None:
    """``provider:name``, None where it names none that is known here."""
    model = {"id": said} if isinstance(said, str) else _mapping(said)
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


def _described(prompt: Prompt) -> dict[str, Any]:
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
    said = _mapping(model.get("parameters") or model.get("options"))
    named = {_ALIASES.get(str(name), str(name)): value for name, value in said.items()}
    known = {name: value for name, value in named.items() if name in _PARAMETERS}
    extra = {name: value for name, value in named.items() if name not in _PARAMETERS}
    return parameters_from(known | ({"extra": extra} if extra else {}))


def _turns(body: str) -> Iterator[Message]:
    """The turns of a template; what stands before the first role is the system prompt."""
    quoted: list[str] = []

    def put_aside(found: re.Match[str]) -> str:
        try:
            quoted.append(ast.literal_eval(found[1].replace("\n", "\\n")))
        except (ValueError, SyntaxError):
            raise ConfigError(f"{found[1]} is no quoted text.") from None
        return _QUOTE_FOR_A_WHILE.format(len(quoted) - 1)

    held = _QUOTED.sub(put_aside, body.replace("\0", ""))
    logic = _LOGIC.search(held)
    if logic:
        raise ConfigError(
            f"{logic[0].splitlines()[0]!r} is more of Jinja than is known here: {{{{name}}}} only."
        )
    role: Role = "system"
    lines: list[str] = []
    for line in [*re.split("\r?\n", held), "user:"]:
        found = _TURN.match(line)
        if found is None:
            lines.append(line)
            continue
        text = _plain("\n".join(lines), quoted)
        if text:
            yield Message(role, (TextPart(text),))
        lines = []
        role = _ROLES.get(found[1].lower(), cast("Role", found[1].lower()))


def _plain(text: str, quoted: list[str]) -> str:
    """A turn's text without the blanks around it, quoted ones kept."""
    return re.sub("\0(\\d+)\0", lambda found: quoted[int(found[1])], text.strip())


def _only_text(turn: Message) -> str:
    if turn.role == "tool" or not all(isinstance(part, TextPart) for part in turn.content):
        raise ConfigError("A .prompty file holds texts; this prompt has pictures or tools in it.")
    return turn.text


def _escaped(text: str) -> str:
    """A turn's text so that Jinja, and :func:`read`, give it back as it is."""
    start = len(text) - len(text.lstrip())
    end = max(start, len(text.rstrip()))
    lines = [_escaped_line(line) for line in text[start:end].split("\n")]
    return _as_quote(text[:start]) + "\n".join(lines) + _as_quote(text[end:])


def _escaped_line(line: str) -> str:
    if _TURN.match(line):
        return _as_quote(line)
    return _SPECIAL.sub(lambda found: _as_quote(found[0]), line)


def _as_quote(text: str) -> str:
    return f"{{{{ {text!r} }}}}" if text else ""
