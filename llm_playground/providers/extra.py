"""The parameter ``extra``: which fields it may set, how they join a body, and what they may cost.

Policy, estimate, guard and log describe a call by its model, messages, system prompt and number of
answers. ``extra`` sets none of these, so that they are what is sent. Names are compared without
case, ``_`` and ``-``: servers in Go match fields without case, and Gemini takes ``snake_case`` too.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from math import ceil
from typing import Any

from llm_playground import _validation
from llm_playground.errors import InvalidParameterError

_MODEL = "Use model= instead"
_MESSAGES = "Use the prompt or messages= instead"
_SYSTEM = "Use system= instead"
_COUNT = "Use iterations in the panel, -n in a cell, or n= of lp.compare instead"
_ENDPOINT = "Use lp.configure(endpoints=...) instead"
# Fields that make the call what it is, those of OpenRouter, LiteLLM and vLLM among them.
_INSTEAD: dict[str, str] = {
    **dict.fromkeys(("model", "modelid", "fallbacks", "preset"), _MODEL),
    **dict.fromkeys(("contextwindowfallbacks", "contextwindowfallbackdict"), _MODEL),
    **dict.fromkeys(("contentpolicyfallbacks", "routersettingsoverride"), _MODEL),
    **dict.fromkeys(("userconfig", "deploymentid", "routingconfig"), _MODEL),
    **dict.fromkeys(("messages", "contents", "input", "inputs", "prompt", "promptid"), _MESSAGES),
    **dict.fromkeys(("conversation", "previousresponseid"), _MESSAGES),
    **dict.fromkeys(("system", "systeminstruction", "systemprompt", "instructions"), _SYSTEM),
    **dict.fromkeys(("n", "candidatecount", "bestof", "numreturnsequences"), _COUNT),
    **dict.fromkeys(("numcompletions", "numgenerations", "numcandidates", "samplecount"), _COUNT),
    **dict.fromkeys(("apibase", "baseurl", "apikey", "customllmprovider"), _ENDPOINT),
    "stream": "Answers are always streamed; leave it out",
}
# Gemini's object with the settings of the answer.
_GENERATION = frozenset({"generationconfig"})
# Objects whose fields a server reads like those of the body.
_LIKE_THE_BODY = _GENERATION | {"extrabody"}
# Objects of the user's own words, in which no name is a setting.
_CONTENT = frozenset({
    "metadata", "labels", "logitbias", "prediction", "responseformat", "responseschema",
    "responsejsonschema", "schema", "jsonschema", "format", "guidedjson", "structuredoutputs",
    "toolchoice", "toolconfig", "functioncall", "chattemplatekwargs",
})  # fmt: skip
_LIMITS = frozenset({
    "maxtokens", "maxcompletiontokens", "maxoutputtokens", "maxnewtokens", "maxtokenstosample",
    "npredict", "numpredict", "maxlength", "maxgenlen",
})  # fmt: skip
# Tokens of reasoning, which are part of the answer; -1 leaves their number to the model.
_BUDGETS = frozenset({"thinkingbudget", "budgettokens", "thinkingtokenbudget", "reasoningbudget"})
_MOST_TOKENS = 10**9
# What these add to the bill is not known before the call: searches, documents and turns on the
# vendor's side, audio, prices of another tier.
_UNBOUNDED = frozenset({
    "websearchoptions", "searchparameters", "plugins", "mcpservers", "container", "cachedcontent",
    "datasources", "audio", "speechconfig", "imageconfig", "modalities", "responsemodalities",
    "inferencegeo", "contextmanagement", "chattemplate",
})  # fmt: skip
_USUAL = ("auto", "default", "flex", "standard", "standard_only", "batch", ["text"], ["TEXT"])
# Fields that choose a service tier, by which all prices change.
_TIERS = frozenset({"servicetier", "speed"})
# The models to fall back to, in OpenRouter's field; each may answer, at its own price.
_FALLBACKS = "models"
# Types of tools that the caller executes.
_OWN_TOOLS = ("function", "custom")
_DECLARATIONS = frozenset({"functiondeclarations"})


def merged(body: Mapping[str, Any], extra: Mapping[str, Any]) -> dict[str, Any]:
    """The body with the fields of ``extra``, which win.

    Settings are merged field by field at every depth, and ``tools`` are added to those of the body.
    Other lists, and objects of the user's own words such as a schema, replace those of the body.
    None removes a field of the body; where the body has none, it is sent as null.

    Raises:
        InvalidParameterError: ``extra`` sets what an argument sets, a limit that is no number, or
            the object of settings to something else.

    >>> merged({"stream_options": {"include_usage": True}, "top_k": 1}, {"top_k": 2})
    {'stream_options': {'include_usage': True}, 'top_k': 2}
    >>> merged({"stream_options": {}, "tools": [1]}, {"stream_options": None, "tools": [2]})
    {'tools': [1, 2]}
    """
    check(extra)
    return _joined(body, extra)


def _joined(body: Mapping[str, Any], extra: Mapping[str, Any]) -> dict[str, Any]:
    joined = dict(body)
    own_names = {_plain(name): name for name in body}
    for name, value in extra.items():
        plain = _plain(name)
        own = own_names.get(plain, name)  # no field of the body in two spellings
        present = joined.get(own)
        is_setting = plain not in _CONTENT
        if is_setting and isinstance(present, Mapping) and isinstance(value, Mapping):
            value = _joined(present, value)
        elif plain == "tools" and isinstance(present, list) and isinstance(value, list):
            value = [*present, *value]
        elif plain in _GENERATION and isinstance(present, Mapping):  # it may hold the limit
            raise InvalidParameterError(
                f"extra[{name!r}] is {_validation.short_repr(value)}; it takes an object."
            )
        if value is None and own in body:
            del joined[own]
        else:
            joined[own] = value
    return joined


def check(extra: Mapping[str, Any]) -> None:
    """Check that ``extra`` leaves the call what its arguments say.

    Raises:
        InvalidParameterError: It sets what an argument sets, or a limit that is no number.

    >>> check({"Model": "o1-pro"})
    Traceback (most recent call last):
    llm_playground.errors.InvalidParameterError: extra cannot set 'Model'. Use model= instead.
    """
    for where, name, value in _settings(extra):
        plain = _plain(name)
        if plain in _INSTEAD and where <= _LIKE_THE_BODY:
            raise InvalidParameterError(f"extra cannot set {name!r}. {_INSTEAD[plain]}.")
        if plain == "streamoptions":
            _check_stream_options(name, value)
        elif plain in _LIMITS:
            _number(name, value, 1)
        elif plain == _FALLBACKS and where <= _LIKE_THE_BODY and (where or name != _FALLBACKS):
            raise InvalidParameterError(f"extra cannot set {name!r}. {_MODEL}.")
        elif plain in _BUDGETS and value is not None:
            _number(name, value, -1)
    _fallbacks(extra)
    for tool in _tools(extra):
        names = tool if isinstance(tool, Mapping) else ()
        if any(_plain(name) == "model" for name in names):  # it answers, at its own price
            raise InvalidParameterError(f"extra cannot set the model of a tool. {_MODEL}.")


def _fallbacks(extra: Mapping[str, Any]) -> tuple[str, ...]:
    """The names in the field of models to fall back to.

    Raises:
        InvalidParameterError: It is no list of names.
    """
    value = extra.get(_FALLBACKS)
    names = () if value is None else value
    if not isinstance(names, (list, tuple)) or not all(isinstance(one, str) for one in names):
        raise InvalidParameterError(
            f"extra['models'] is {_validation.short_repr(value)}; it takes a list of the names of "
            "models to fall back to."
        )
    return tuple(names)


def _check_stream_options(name: str, value: object) -> None:
    if name == "stream_options" and value is None:
        return
    options = value if isinstance(value, Mapping) else {"include_usage": None}
    usage = {key: on for key, on in options.items() if _plain(key) == "includeusage"}
    if name != "stream_options" or usage not in ({}, {"include_usage": True}):
        raise InvalidParameterError(
            "extra cannot change include_usage of 'stream_options': the token counts that it "
            "requests are the cost of the call. Leave it out, or set stream_options to None for a "
            "server that does not know it."
        )


@dataclass(frozen=True, slots=True)
class Effects:
    """What ``extra`` does to the worst case of a call.

    ``limit`` is the limit of the answer in tokens under a name that the server certainly reads,
    None if there is none; ``most_tokens`` the largest number of tokens in any other setting;
    ``prediction`` a text that may be billed as part of the answer; ``unbounded`` the first field
    whose cost is not known before the call, None if there is none. ``tier`` is the service tier
    asked for, ``fallbacks`` the names of other models that may answer.
    """

    limit: int | None = None
    most_tokens: int = 0
    prediction: object = None
    unbounded: str | None = None
    tier: str | None = None
    fallbacks: tuple[str, ...] = ()


NO_EFFECTS = Effects()


def effects(extra: Mapping[str, Any], limit_names: frozenset[str]) -> Effects:
    """The effects of ``extra``; ``limit_names`` are the dotted names of limits that count.

    >>> effects({"max_tokens": "50", "thinking": {"budget_tokens": 9e3}}, frozenset({"max_tokens"}))
    Effects(limit=50, most_tokens=9000, prediction=None, unbounded=None, tier=None, fallbacks=())
    """
    limits: list[int] = []
    others = [0]
    prediction, unbounded, tier = None, None, None
    for where, name, value in _settings(extra):
        plain = _plain(name)
        if plain in _LIMITS or plain in _BUDGETS:
            number = 0 if value is None else _number(name, value, -1)
            place = f"generationConfig.{name}" if where else name
            is_read = where <= _GENERATION and place in limit_names
            (limits if is_read else others).append(number)
        elif plain == "prediction":
            prediction = value
        elif plain in _TIERS and isinstance(value, str):
            tier = value if tier in (None, *_USUAL) else tier
        elif plain in _UNBOUNDED | _TIERS and value is not None and value not in _USUAL:
            unbounded = unbounded or name
    if unbounded is None and not all(map(_is_own_tool, _tools(extra))):
        unbounded = "tools"
    fallbacks = tuple(extra.get(_FALLBACKS) or ())
    return Effects(max(limits, default=None), max(others), prediction, unbounded, tier, fallbacks)


def _plain(name: str) -> str:
    """A field's name as the least strict server reads it.

    >>> _plain("Candidate_Count"), _plain(" model")
    ('candidatecount', 'model')
    """
    return re.sub(r"[\W_]+", "", unicodedata.normalize("NFKC", name)).casefold()


def _settings(
    extra: Mapping[str, Any], where: frozenset[str] = frozenset()
) -> Iterator[tuple[frozenset[str], str, Any]]:
    """Every setting with the plain names of the objects around it, its name and its value."""
    for name, value in extra.items():
        yield where, name, value
        if isinstance(value, Mapping) and (plain := _plain(name)) not in _CONTENT:
            yield from _settings(value, where | {plain})


def names(extra: Mapping[str, Any]) -> frozenset[str]:
    """The fields of ``extra`` as the least strict server reads their names.

    >>> sorted(names({"logit_bias": {}, "Seed": 1}))
    ['logitbias', 'seed']
    """
    return frozenset(map(_plain, extra))


def sets(extra: Mapping[str, Any], name: str, *inner: str) -> bool:
    """Whether ``extra`` sets the field at a path, in any spelling of its names.

    >>> sets({"generation_config": {"topK": 1}}, "generationConfig", "top_k")
    True
    """
    found = [value for given, value in extra.items() if _plain(given) == _plain(name)]
    if not inner:
        return bool(found)
    return any(isinstance(value, Mapping) and sets(value, *inner) for value in found)


def tools(extra: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The tools that ``extra`` sets and that are objects."""
    return [tool for tool in _tools(extra) if isinstance(tool, Mapping)]


def _tools(extra: Mapping[str, Any]) -> Iterator[object]:
    for where, name, value in _settings(extra):
        if where <= _LIKE_THE_BODY and _plain(name) in ("tools", "functions"):
            yield from value if isinstance(value, (list, tuple)) else [value]


def _is_own_tool(tool: object) -> bool:
    """Whether a tool is executed by the caller, and so costs only what its description does."""
    if not isinstance(tool, Mapping):
        return tool is None
    if "type" in tool or "name" in tool:
        return tool.get("type", "custom") in _OWN_TOOLS
    return {_plain(name) for name in tool} <= _DECLARATIONS


def _number(name: str, value: object, least: int) -> int:
    """A number of tokens as the server may read it, rounded up.

    Raises:
        InvalidParameterError: It is not a number, or out of range.
    """
    is_number = isinstance(value, (int, float, str)) and not isinstance(value, bool)
    try:
        number = Decimal(str(value).strip()) if is_number else Decimal("nan")
    except InvalidOperation:
        number = Decimal("nan")
    if number.is_nan() or not least <= number <= _MOST_TOKENS:
        raise InvalidParameterError(
            f"extra[{name!r}] is {_validation.short_repr(value)}; it takes a whole number from "
            f"{least} to {_MOST_TOKENS:,}."
        )
    return ceil(number)
