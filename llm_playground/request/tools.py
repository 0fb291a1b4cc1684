"""Tools from Python functions: JSON schema for models, and validation of arguments.

The JSON schema comes from the signature, the annotations and the docstring (Google style). Pydantic
reads the annotations, so all that it supports can be used: ``Literal``, ``Enum``, ``list[str]``, a
dataclass, a model, ``Annotated[int, "how many"]``, ``Annotated[int, Field(ge=0)]``.
"""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, get_args, get_origin, get_type_hints

from llm_playground import _validation
from llm_playground._validation import checks_arguments
from llm_playground.errors import InvalidParameterError
from llm_playground.request import schemas
from llm_playground.types import Tool

if TYPE_CHECKING:
    from pydantic import BaseModel


_SECTION = re.compile(r"(Args|Arguments|Parameters|Returns|Yields|Raises|Examples?|Notes?):\s*")
_ARGUMENT = re.compile(r"(\w+)(?:\s*\([^)]*\))?:\s*(.*)")


def read(docstring: str) -> tuple[str, dict[str, str]]:
    r"""The text before the first section, one line per paragraph, and each argument's description.

    Args:
        docstring: As :func:`inspect.getdoc` returns it, without the indentation of the code.

    >>> read("The weather\nto come.\n\nArgs:\n  city (str): Where,\n    by name.\n  days: n.")
    ('The weather to come.', {'city': 'Where, by name.', 'days': 'n.'})
    """
    sections: dict[str, list[str]] = {"": []}
    name = ""
    for line in docstring.splitlines():
        if match := _SECTION.fullmatch(line):
            name = match[1]
        else:
            sections.setdefault(name, []).append(line)
    lines = next((sections[n] for n in ("Args", "Arguments", "Parameters") if n in sections), [])
    paragraphs = "\n".join(sections[""]).strip().split("\n\n")
    return "\n\n".join(" ".join(text.split()) for text in paragraphs), _arguments(lines)


def _arguments(lines: list[str]) -> dict[str, str]:
    """Descriptions by argument; deeper lines continue the argument above them."""
    indented = [(len(line) - len(line.lstrip()), line.strip()) for line in lines if line.strip()]
    least = min((depth for depth, _ in indented), default=0)
    descriptions: dict[str, str] = {}
    name = ""
    for depth, text in indented:
        if depth == least:
            match = _ARGUMENT.fullmatch(text)
            name, text = (match[1], match[2]) if match else ("", "")
        if name:
            descriptions[name] = f"{descriptions.get(name, '')} {text}".strip()
    return descriptions


_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")  # accepted by all vendors
_BY_NAME = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


@checks_arguments("tool")
def tool(function: Any) -> Tool:  # noqa: ANN401 - types are checked here
    """A function as a tool; also a decorator.

    Args:
        function: A function or coroutine function with a docstring that describes it; or
            ``{"name": ..., "description": ..., "parameters": JSON schema}`` for a tool that is
            executed elsewhere.

    Returns:
        The tool. Its ``call`` validates and converts the arguments, then calls the function.

    Raises:
        InvalidParameterError: The function has no name or takes positional-only or variadic
            arguments, or an annotation has no JSON schema.

    >>> def weather(city: str, days: int = 1) -> str:
    ...     '''The weather forecast.
    ...
    ...     Args:
    ...         city: Where.
    ...     '''
    ...     return f"{days} days of sun in {city}"
    >>> made = tool(weather)
    >>> made.description, made.parameters["properties"]["city"]
    ('The weather forecast.', {'description': 'Where.', 'type': 'string'})
    >>> made.call(city="Oslo", days="2")
    '2 days of sun in Oslo'
    """
    if isinstance(function, Tool):
        return function
    if isinstance(function, Mapping):
        return _from_mapping(function)
    if not callable(function):
        raise InvalidParameterError(
            'A tool is a function or {"name": ..., "description": ..., "parameters": ...}; '
            f"got {type(function).__name__} {_validation.short_repr(function)}."
        )
    return _from_function(function)


def tools_from(sources: Any) -> tuple[Tool, ...]:  # noqa: ANN401 - as tool(), or several
    """The tools for a value of ``tools=``: one source of :func:`tool`, or a list of them.

    Raises:
        InvalidParameterError: A source is invalid, or two tools have the same name.
    """
    if sources is None:
        return ()
    is_single = callable(sources) or isinstance(sources, (Tool, Mapping, str))
    if not is_single and not isinstance(sources, Iterable):
        raise InvalidParameterError(
            f"tools takes a list of functions; got {_validation.short_repr(sources)}."
        )
    tools = tuple(tool(source) for source in ([sources] if is_single else sources))
    names = [one.name for one in tools]
    for name in names:
        if names.count(name) > 1:
            raise InvalidParameterError(f"Two tools are called {name!r}; each needs its own name.")
    return tools


def _from_mapping(source: Mapping[str, Any]) -> Tool:
    name, description = source.get("name"), source.get("description", "")
    parameters = source.get("parameters", {"type": "object", "properties": {}})
    unknown = source.keys() - {"name", "description", "parameters"}
    if unknown or not isinstance(name, str) or not isinstance(description, str):
        raise InvalidParameterError(
            'A tool as a dictionary is {"name": text, "description": text, "parameters": JSON '
            f"schema}}; got {_validation.short_repr(dict(source))}."
        )
    if not isinstance(parameters, Mapping) or parameters.get("type") != "object":
        raise InvalidParameterError(
            f'The parameters of the tool {name!r} are a JSON schema with "type": "object".'
        )
    return Tool(_checked_name(name), description, schemas.schema_from(parameters).json_schema)


def _from_function(function: Callable[..., Any]) -> Tool:
    name = _checked_name(getattr(function, "__name__", "<lambda>"))
    summary, described = read(inspect.getdoc(function) or "")
    model = _model(name, function, described)
    try:
        parameters = model.model_json_schema(schema_generator=schemas.generator())
    except Exception as error:  # pydantic's errors have no common base
        raise _unusable(name, error) from None

    @functools.wraps(function)
    def call(**arguments: Any) -> Any:  # noqa: ANN401 - as the function
        return function(**_checked(model, name, arguments))

    parameters.pop("title", None)
    return Tool(name, summary, parameters, call)


def _checked_name(name: str) -> str:
    if name == "<lambda>":
        raise InvalidParameterError(
            "A tool needs a name for the model to call: write the function with def."
        )
    if not _NAME.fullmatch(name):
        raise InvalidParameterError(
            f"A tool name has up to 64 letters a-z, digits, _ or -; got {name!r}."
        )
    return name


def _model(
    name: str, function: Callable[..., Any], described: Mapping[str, str]
) -> type[BaseModel]:
    """The arguments as a pydantic model.

    Fields are numbered and have the arguments' names as aliases, since an argument may be called
    ``json`` or ``_x``, but a field may not.
    """
    from pydantic import ConfigDict, create_model  # first use, not import

    fields: dict[str, Any] = {}
    try:
        parameters = inspect.signature(function).parameters.values()
        hints = get_type_hints(function, include_extras=True)
        for number, parameter in enumerate(parameters):
            kind = hints.get(parameter.name, Any)
            fields[f"argument_{number}"] = _field(name, parameter, kind, described)
        config = ConfigDict(extra="forbid", arbitrary_types_allowed=False)
        return create_model(name, __config__=config, **fields)
    except InvalidParameterError:
        raise
    except Exception as error:  # an unresolved annotation raises NameError, for example
        raise _unusable(name, error) from None


def _field(
    tool_name: str,
    parameter: inspect.Parameter,
    kind: Any,  # noqa: ANN401 - any type expression
    described: Mapping[str, str],
) -> tuple[Any, Any]:
    from pydantic import Field  # first use, not import

    if parameter.kind not in _BY_NAME:
        star = {"VAR_POSITIONAL": "*", "VAR_KEYWORD": "**"}.get(parameter.kind.name, "")
        raise InvalidParameterError(
            f"The tool {tool_name!r} takes {star}{parameter.name}, which cannot be passed by name; "
            "name each argument."
        )
    default = ... if parameter.default is parameter.empty else parameter.default
    notes = get_args(kind)[1:] if get_origin(kind) is Annotated else ()
    text = next((note for note in notes if isinstance(note, str)), described.get(parameter.name))
    # An explicit description, even None, would override that of a pydantic Field in the annotation.
    if text is None or any(getattr(note, "description", None) for note in notes):
        return kind, Field(default, alias=parameter.name)
    return kind, Field(default, alias=parameter.name, description=text)


def _checked(model: type[BaseModel], name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The converted arguments, without omitted ones, so that the function's defaults apply."""
    from pydantic import ValidationError  # first use, not import

    try:
        checked = model.model_validate(dict(arguments))
    except ValidationError as error:
        line = _validation.describe_pydantic_error(error, arguments, root="")
        raise InvalidParameterError(f"The arguments of {name} are invalid. {line}") from None
    names = {field: str(info.alias) for field, info in model.model_fields.items()}
    return {names[field]: getattr(checked, field) for field in checked.model_fields_set}


def _unusable(name: str, error: Exception) -> InvalidParameterError:
    why = _validation.shorten(str(error).partition("\n")[0], 200)
    return InvalidParameterError(f"The tool {name!r} cannot be described to a model: {why}")
