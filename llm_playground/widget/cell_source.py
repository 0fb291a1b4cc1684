"""The panel's form as a cell that makes the same calls: ``%%llm`` where possible, else Python.

Whether ``%%llm`` can carry a form is found out by IPython's own transformation of the cell: if that
changes the prompt or the line, the cell is written in Python.
"""

from __future__ import annotations

import ast
import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from IPython.core.inputtransformer2 import TransformerManager

from llm_playground.codegen.literals import LiteralWriter
from llm_playground.codegen.placeholders import Placeholders
from llm_playground.codegen.python_layout import STYLE
from llm_playground.errors import InvalidParameterError
from llm_playground.redaction import redact
from llm_playground.request import templates
from llm_playground.request.parameters import PRESETS, check_iterations
from llm_playground.widget.form import Form, swept_parameters, variations

_FLAGS = {"temperature": "-t", "top_p": "--top-p", "max_tokens": "--max-tokens"}
_IMPORT = "import llm_playground as lp\n\n"
_WIDTH = 88
_MAX_LINE_CHARS = 10_000  # of a magic; the time to split a line is quadratic
_WRITER = LiteralWriter(STYLE, Placeholders())


def as_cell(form: Form) -> str:
    """The cell that makes the same calls as the form.

    ``{{name}}`` stays as it is: the cell takes its value from the notebook, as the panel does.

    Raises:
        InvalidParameterError: The prompt is empty, no model is chosen, there are images or files
            (which a text cannot hold), or more parameters are lists than a sweep can have.

    >>> print(as_cell(Form("Say hello.", models=["local"], parameters={"max_tokens": 8})))
    %%llm -m local --max-tokens 8
    Say hello.
    >>> print(as_cell(Form("Hi", models=["local"], parameters={"seed": [1, 2]})))
    import llm_playground as lp
    <BLANKLINE>
    display(*(
        lp.compare("Hi", "local", seed=seed)
        for seed in [1, 2]
    ))
    """
    _check(form)
    form = _without_keys(_set_values_only(form))
    magic = _as_magic(form)
    return magic if magic is not None else _IMPORT + _as_python(form)


def _check(form: Form) -> None:
    if not form.models:
        raise InvalidParameterError("No model is chosen. Add one.")
    if not form.prompt.strip() and not form.turns:
        raise InvalidParameterError("The prompt is empty. Write what you want to ask.")
    if (
        form.images
        or form.files
        or any(not isinstance(turn["content"], str) for turn in form.turns)
    ):
        raise InvalidParameterError(
            "A cell cannot hold the pictures and files of this prompt. Save them as files and use "
            "%%llm --image PATH or --file PATH."
        )
    variations(form)


def _set_values_only(form: Form) -> Form:
    """The form without parameters that are ``auto`` or that the preset sets anyway."""
    preset = PRESETS.get(form.preset or "")
    of_preset = {} if preset is None else preset.as_dict()
    return replace(
        form,
        parameters={
            name: value
            for name, value in form.parameters.items()
            if value is not None and of_preset.get(name) != value
        },
        system=form.system if form.system.strip() else "",
        iterations=check_iterations(form.iterations),
    )


def _without_keys(form: Form) -> Form:
    """The form without keys, as a cell is saved and shared."""
    texts = [redact(str(turn["content"])) for turn in form.turns]
    # Lone surrogates in turns are replaced, as when they are sent.
    sent = [text.encode("utf-8", "replace").decode("utf-8") for text in texts]
    return replace(
        form,
        prompt=redact(form.prompt),
        system=redact(form.system),
        models=list(map(redact, form.models)),
        preset=redact(str(form.preset)) if form.preset else None,
        parameters=_as_json(form.parameters),
        turns=[{**turn, "content": text} for turn, text in zip(form.turns, sent, strict=True)],
        values=_as_json(form.values),
        cases=_as_json(form.cases),
    )


def _as_magic(form: Form) -> str | None:
    """The form as ``%%llm``; None if that cannot express it."""
    if form.turns or form.cases or form.values or swept_parameters(form.parameters):
        return None
    line = list(_line_words(form))
    words = [word for word in line if word is not None]
    if len(words) < len(line):
        return None
    written = " ".join(map(_quoted, words))
    if len(written) > _MAX_LINE_CHARS:
        return None
    cell = f"%%llm {written}\n{form.prompt}"
    return cell if _is_read_back(cell, words, form.prompt) else None


def _line_words(form: Form) -> Iterator[str | None]:
    """The words of the magic's line; None for a value that it cannot express."""
    for model in form.models:
        yield from _option("-m", "--model", model)
    if form.preset:
        yield from _option("-p", "--preset", form.preset)
    if form.system:
        yield from _option("-s", "--system", form.system)
    for name, value in form.parameters.items():
        if name in _FLAGS:
            yield from (_FLAGS[name], _number(value))
        elif name == "headers":
            for header, text in value.items():
                yield from _option("--header", "--header", f"{header}={text}")
        else:
            yield from ("--param", _pair(name, value))
    if form.iterations != 1:
        yield from ("-n", str(form.iterations))


def _option(short: str, long: str, value: str) -> tuple[str, ...]:
    """An option; a value that looks like another option is joined to its name."""
    return (f"{long}={value}",) if value.startswith("-") else (short, value)


def _quoted(word: str) -> str:
    """A word, quoted for a shell-like line as a person would quote it."""
    if "'" in word and not any(char in word for char in '"\\$`'):
        return f'"{word}"'
    return shlex.quote(word)


def _number(value: object) -> str | None:
    plain = isinstance(value, (int, float)) and not isinstance(value, bool)
    return repr(value) if plain else None


def _pair(name: str, value: Any) -> str | None:  # noqa: ANN401 - a parameter is of one of five types
    if name == "extra":
        return f"extra={json.dumps(value)}"
    if isinstance(value, (list, tuple)):
        [value, *more] = value or [None]
        if more:
            return None
    if isinstance(value, str):
        return None if _reads_as_number(value) else f"{name}={value}"
    written = _number(value)
    return None if written is None else f"{name}={written}"


def _reads_as_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _is_read_back(cell: str, words: Sequence[str], prompt: str) -> bool:
    """Whether ``%%llm`` gets these words and this prompt when the cell is executed."""
    # Editors and notebooks replace other line ends, and UTF-8 cannot encode lone surrogates.
    if any(not (char.isprintable() or char in "\n\t") for char in cell):
        return False
    try:
        call: Any = ast.parse(TransformerManager().transform_cell(cell)).body[0]
        magic, line, body = (argument.value for argument in call.value.args)
        read_words = shlex.split(line)
    except (SyntaxError, ValueError, AttributeError, IndexError):
        return False
    return (magic, read_words, body.strip("\n")) == ("llm", list(words), prompt) and bool(prompt)


def _as_python(form: Form) -> str:
    """``lp.compare``, which can express every form.

    Values that differ from call to call are in a comprehension, whose names do not replace the
    notebook's variables.
    """
    swept = swept_parameters(form.parameters)
    cases = [("case", _as_json(form.cases))] if form.cases else []
    loops = [*cases, *swept.items()]
    if not loops:
        return _call(form, {})
    lines = [f"    for {name} in {_literal(_as_json(values), 4)}\n" for name, values in loops]
    return f"display(*(\n    {_call(form, swept, 4)}\n{''.join(lines)}))"


def _call(form: Form, swept: Mapping[str, object], column: int = 0) -> str:
    inner = column + 4
    models = list(form.models)
    arguments = [_prompt(form, inner), _literal(models[0] if len(models) == 1 else models, inner)]
    if form.system and not form.turns:
        arguments.append(f"system={_literal(form.system, inner)}")
    if form.iterations != 1:
        arguments.append(f"n={form.iterations}")
    if form.preset:
        arguments.append(f"preset={_literal(form.preset)}")
    for name, value in form.parameters.items():
        arguments.append(f"{name}={name if name in swept else _literal(_as_json(value), inner)}")
    if variables := _variables(form):
        arguments.append(f"variables={variables}")
    flat = f"lp.compare({', '.join(arguments)})"
    if column + len(flat) <= _WIDTH and "\n" not in flat:
        return flat
    margin = " " * column
    lines = "".join(f"{margin}    {argument},\n" for argument in arguments)
    return f"lp.compare(\n{lines}{margin})"


def _prompt(form: Form, column: int) -> str:
    """The prompt's text, or a ``Prompt`` if there are earlier turns."""
    if not form.turns:
        return _literal(form.prompt, column)
    turns = [{"role": "system", "content": form.system}] if form.system else []
    turns += [{"role": turn["role"], "content": turn["content"]} for turn in form.turns]
    turns.append({"role": "user", "content": form.prompt})
    margin = " " * column
    messages = "".join(
        f"{margin}    lp.Message({_literal(turn['role'])}, "
        f"(lp.TextPart({_literal(turn['content'], column + 4)}),)),\n"
        for turn in turns
    )
    return f"lp.Prompt((\n{messages}{margin}))"


def _variables(form: Form) -> str | None:
    """The sources of ``{{name}}`` as code; None if filling in would change no text."""
    texts = [form.prompt, form.system, *(str(turn["content"]) for turn in form.turns)]
    if not any(templates.names(text) or templates.unescaped(text) != text for text in texts):
        return None
    sources = ["**globals()"]
    if form.values:
        sources.append(f"**{_literal(dict(form.values))}")
    if form.cases:
        sources.append("**case")
    return f"{{{', '.join(sources)}}}" if len(sources) > 1 else "globals()"


def _as_json(value: Any) -> Any:  # noqa: ANN401 - a JSON value
    if isinstance(value, Mapping):
        return {redact(str(name)): _as_json(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_as_json(item) for item in value]
    return value if isinstance(value, (int, float, bool, type(None))) else redact(str(value))


def _literal(value: Any, column: int = 0) -> str:  # noqa: ANN401 - as above
    return _WRITER.write(value, column)
