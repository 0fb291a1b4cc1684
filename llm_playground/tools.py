"""Tools from Python functions: what a model is told of them, and its arguments checked.

The JSON schema comes from the signature, the annotations and the docstring. Pydantic reads the
annotations, so whatever it knows may stand there: ``Literal``, ``Enum``, ``list[str]``, a
dataclass, a model, ``Annotated[int, "how many"]``, ``Annotated[int, Field(ge=0)]``.
"""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, get_args, get_origin, get_type_hints

from llm_playground import docstrings, misfit, schemas
from llm_playground.errors import InvalidParameterError
from llm_playground.types import Tool

if TYPE_CHECKING:
    from pydantic import BaseModel

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")  # what all vendors take
_BY_NAME = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


def tool(function: Any) -> Tool:  # noqa: ANN401 - what a tool may be is decided here
    """A function as a tool; also a decorator.

    Args:
        function: A function or a coroutine function, whose docstring says what it does; or
            ``{"name": ..., "description": ..., "parameters": JSON schema}`` for a tool that is
            executed elsewhere.

    Returns:
        The tool. Its ``call`` checks and converts the arguments, and then calls the function.

    Raises:
        InvalidParameterError: It has no name, takes arguments that have none, or an annotation
            says nothing that JSON could.

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
            f"got {type(function).__name__} {misfit.got(function)}."
        )
    return _from_function(function)


def tools_from(sources: Any) -> tuple[Tool, ...]:  # noqa: ANN401 - one of what tool() takes, or several
    """What ``tools=`` takes, as tools.

    Raises:
        InvalidParameterError: See :func:`tool`; or two have one name.
    """
    if sources is None:
        return ()
    alone = callable(sources) or isinstance(sources, (Tool, Mapping, str))
    if not alone and not isinstance(sources, Iterable):
        raise InvalidParameterError(f"tools takes a list of functions; got {misfit.got(sources)}.")
    tools = tuple(tool(source) for source in ([sources] if alone else sources))
    names = [one.name for one in tools]
    for name in names:
        if names.count(name) > 1:
            raise InvalidParameterError(f"Two tools are called {name!r}; each needs its own name.")
    return tools


def _from_mapping(given: Mapping[str, Any]) -> Tool:
    name, description = given.get("name"), given.get("description", "")
    parameters = given.get("parameters", {"type": "object", "properties": {}})
    unknown = given.keys() - {"name", "description", "parameters"}
    if unknown or not isinstance(name, str) or not isinstance(description, str):
        raise InvalidParameterError(
            'A tool as a dictionary is {"name": text, "description": text, "parameters": JSON '
            f"schema}}; got {misfit.got(dict(given))}."
        )
    if not isinstance(parameters, Mapping) or parameters.get("type") != "object":
        raise InvalidParameterError(
            f'The parameters of the tool {name!r} are a JSON schema with "type": "object".'
        )
    return Tool(_checked_name(name), description, schemas.schema_from(parameters).json_schema)


def _from_function(function: Callable[..., Any]) -> Tool:
    name = _checked_name(getattr(function, "__name__", "<lambda>"))
    summary, described = docstrings.read(inspect.getdoc(function) or "")
    model = _model(name, function, described)
    try:
        parameters = model.model_json_schema(schema_generator=schemas.generator())
    except Exception as error:  # pydantic's own kinds have no common root
        raise _unusable(name, error) from None

    @functools.wraps(function)
    def call(**arguments: Any) -> Any:  # noqa: ANN401 - the function's own
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
            f"A tool's name is up to 64 of the letters a-z, digits, _ and -; got {name!r}."
        )
    return name


def _model(
    name: str, function: Callable[..., Any], described: Mapping[str, str]
) -> type[BaseModel]:
    """The arguments as a pydantic model.

    Its fields have names of our own and the arguments' as aliases: an argument may be called
    ``json`` or ``_x``, a field may not.
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
    except Exception as error:  # an annotation that leads nowhere is a NameError, and so on
        raise _unusable(name, error) from None


def _field(
    tool_name: str,
    parameter: inspect.Parameter,
    kind: Any,  # noqa: ANN401 - a type, of which there is no type
    described: Mapping[str, str],
) -> tuple[Any, Any]:
    from pydantic import Field  # first use, not import

    if parameter.kind not in _BY_NAME:
        star = {"VAR_POSITIONAL": "*", "VAR_KEYWORD": "**"}.get(parameter.kind.name, "")
        raise InvalidParameterError(
            f"The tool {tool_name!r} takes {star}{parameter.name}, which cannot be given by name; "
            "name each argument."
        )
    default = ... if parameter.default is parameter.empty else parameter.default
    text = _description(parameter.name, kind, described)
    if text is None:  # said in the annotation, which an explicit None would undo
        return kind, Field(default, alias=parameter.name)
    return kind, Field(default, alias=parameter.name, description=text)


def _description(name: str, kind: Any, described: Mapping[str, str]) -> str | None:  # noqa: ANN401 - a type
    """What ``Annotated[str, "text"]`` or the docstring says of an argument."""
    notes = get_args(kind)[1:] if get_origin(kind) is Annotated else ()
    if any(getattr(note, "description", None) for note in notes):
        return None  # pydantic's Field says it
    return next((note for note in notes if isinstance(note, str)), described.get(name))


def _checked(model: type[BaseModel], name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments converted; one that was not given is left to the function's default."""
    from pydantic import ValidationError  # first use, not import

    try:
        checked = model.model_validate(dict(arguments))
    except ValidationError as error:
        line = misfit.of_pydantic(error, arguments, root="")
        raise InvalidParameterError(f"The arguments of {name} do not fit. {line}") from None
    names = {field: str(info.alias) for field, info in model.model_fields.items()}
    return {names[field]: getattr(checked, field) for field in checked.model_fields_set}


def _unusable(name: str, error: Exception) -> InvalidParameterError:
    why = misfit.shown(str(error).partition("\n")[0], 200)
    return InvalidParameterError(f"The tool {name!r} cannot be described to a model: {why}")
