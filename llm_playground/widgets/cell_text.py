"""The panel's form as the cell that does the same: ``%%llm`` where that can say it, else Python.

What a cell magic can carry is not guessed: the cell goes through IPython's own transformation, and
where another prompt or another line would come out of it, Python says it.
"""

from __future__ import annotations

import ast
import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from IPython.core.inputtransformer2 import TransformerManager

from llm_playground import template
from llm_playground.codegen.blanks import Blanks
from llm_playground.codegen.literal import Writer
from llm_playground.codegen.python import STYLE
from llm_playground.errors import InvalidParameterError
from llm_playground.parameters import PRESETS, check_iterations
from llm_playground.redact import redact
from llm_playground.widgets.form import Form, variations
from llm_playground.widgets.sweep import swept

_FLAGS = {"temperature": "-t", "top_p": "--top-p", "max_tokens": "--max-tokens"}
_IMPORT = "import llm_playground as lp\n\n"
_WIDTH = 88
_WRITER = Writer(STYLE, Blanks())


def as_cell(form: Form) -> str:
    """The cell that asks the same of the same models.

    ``{{name}}`` stays: the cell takes its value from the notebook, as the panel does.

    Raises:
        InvalidParameterError: Nothing is asked, no model is chosen, there are pictures (which no
            text can hold), or more parameters are lists than a sweep goes over.

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
    form = _keyless(_set_only(form))
    magic = _magic(form)
    return magic if magic is not None else _IMPORT + _python(form)


def _check(form: Form) -> None:
    if not form.models:
        raise InvalidParameterError("No model is chosen. Add one.")
    if not form.prompt.strip() and not form.turns:
        raise InvalidParameterError("The prompt is empty. Write what you want to ask.")
    if form.images:
        raise InvalidParameterError(
            "A cell cannot hold the pictures of this prompt. Save them as files and use "
            "%%llm --image PATH."
        )
    variations(form)


def _set_only(form: Form) -> Form:
    """Without what is ``auto``, and without a temperature that the preset sets anyway."""
    chosen = {name: value for name, value in form.parameters.items() if value is not None}
    preset = PRESETS.get(form.preset or "")
    if preset is not None:
        said = preset.as_dict()
        chosen = {name: v for name, v in chosen.items() if said.get(name) != v}
    system = form.system if form.system.strip() else ""
    iterations = check_iterations(form.iterations)
    return replace(form, parameters=chosen, system=system, iterations=iterations)


def _keyless(form: Form) -> Form:
    """Without keys: a cell is saved and passed on."""
    return replace(
        form,
        prompt=redact(form.prompt),
        system=redact(form.system),
        parameters=_plain(form.parameters),
        turns=[{**turn, "content": _turn(str(turn["content"]))} for turn in form.turns],
        values=_plain(form.values),
        cases=_plain(form.cases),
    )


def _turn(text: str) -> str:
    """A turn's text as it is sent; a prompt that is no part of a ready message is mended there."""
    return redact(text).encode("utf-8", "replace").decode("utf-8")


def _magic(form: Form) -> str | None:
    """The form as ``%%llm``; None where that cannot say it."""
    if form.turns or form.cases or form.values or swept(form.parameters):
        return None
    words = list(_words(form))
    if any(word is None for word in words):
        return None
    said = [word for word in words if word is not None]
    line = " ".join(map(_quoted, said))
    cell = f"%%llm {line}\n{form.prompt}"
    return cell if _means(cell, said, form.prompt) else None


def _words(form: Form) -> Iterator[str | None]:
    """The words of the line; None for what has no place in it."""
    for model in form.models:
        yield from _option("-m", "--model", model)
    if form.preset:
        yield from _option("-p", "--preset", form.preset)
    if form.system:
        yield from _option("-s", "--system", form.system)
    for name, value in form.parameters.items():
        if name in _FLAGS:
            yield from (_FLAGS[name], _number(value))
        else:
            yield from ("--param", _pair(name, value))
    if form.iterations != 1:
        yield from ("-n", str(form.iterations))


def _option(short: str, long: str, value: str) -> tuple[str, ...]:
    """One option; a value that looks like another option is tied to its name."""
    return (f"{long}={value}",) if value.startswith("-") else (short, value)


def _quoted(word: str) -> str:
    """A word for a shell-like line, as a person would write it."""
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


def _means(cell: str, words: Sequence[str], prompt: str) -> bool:
    """Whether IPython hands ``%%llm`` these words and this prompt when the cell is executed."""
    # Editors and notebooks make other line ends of these, and UTF-8 has no lone surrogates.
    if any(not (char.isprintable() or char in "\n\t") for char in cell):
        return False
    try:
        call: Any = ast.parse(TransformerManager().transform_cell(cell)).body[0]
        magic, line, body = (argument.value for argument in call.value.args)
        said = shlex.split(line)
    except (SyntaxError, ValueError, AttributeError, IndexError):
        return False
    return (magic, said, body.strip("\n")) == ("llm", list(words), prompt) and bool(prompt)


def _python(form: Form) -> str:
    """``lp.compare``, with everything that a magic's line cannot say.

    What differs from call to call is in a comprehension, whose names are not the notebook's.
    """
    listed = swept(form.parameters)
    cases = [("case", _plain(form.cases))] if form.cases else []
    loops = [*cases, *listed.items()]
    if not loops:
        return _call(form, {})
    each = [f"    for {name} in {_literal(_plain(values), 4)}\n" for name, values in loops]
    return f"display(*(\n    {_call(form, listed, 4)}\n{''.join(each)}))"


def _call(form: Form, listed: Mapping[str, object], column: int = 0) -> str:
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
        arguments.append(f"{name}={name if name in listed else _literal(_plain(value), inner)}")
    variables = _variables(form)
    arguments += [f"variables={variables}"] if variables else []
    flat = f"lp.compare({', '.join(arguments)})"
    if column + len(flat) <= _WIDTH and "\n" not in flat:
        return flat
    margin = " " * column
    lines = "".join(f"{margin}    {argument},\n" for argument in arguments)
    return f"lp.compare(\n{lines}{margin})"


def _prompt(form: Form, column: int) -> str:
    """The prompt; with earlier turns, as a prompt that has them."""
    if not form.turns:
        return _literal(form.prompt, column)
    turns = [{"role": "system", "content": form.system}] if form.system else []
    turns += [{"role": turn["role"], "content": turn["content"]} for turn in form.turns]
    turns.append({"role": "user", "content": form.prompt})
    margin = " " * column
    messages = "".join(
        f'{margin}    lp.Message("{turn["role"]}", '
        f"(lp.TextPart({_literal(turn['content'], column + 4)}),)),\n"
        for turn in turns
    )
    return f"lp.Prompt((\n{messages}{margin}))"


def _variables(form: Form) -> str | None:
    """Where ``{{name}}`` takes its values from, as code; None where there is no name."""
    texts = [form.prompt, form.system, *(str(turn["content"]) for turn in form.turns)]
    if not any(template.names(text) for text in texts):
        return None
    typed = [f"**{_literal(dict(form.values))}"] if form.values else []
    row = ["**case"] if form.cases else []
    others = [*typed, *row]
    return f"{{{', '.join(['**globals()', *others])}}}" if others else "globals()"


def _plain(value: Any) -> Any:  # noqa: ANN401 - what JSON can say, or its text
    if isinstance(value, Mapping):
        return {redact(str(name)): _plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value if isinstance(value, (int, float, bool, type(None))) else redact(str(value))


def _literal(value: Any, column: int = 0) -> str:  # noqa: ANN401 - as above
    return _WRITER.value(value, column)
