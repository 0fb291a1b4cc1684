"""What ``configure(endpoints=...)`` takes: rows of the user's own, and changes to known ones."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from typing import Any
from urllib.parse import SplitResult, urlsplit

from llm_playground.endpoints.row import EndpointRow
from llm_playground.errors import InvalidParameterError

WIRE_FORMATS = ("openai", "anthropic", "gemini", "gemini-legacy")

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_CLASS = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")
_FIELDS = tuple(field.name for field in fields(EndpointRow) if field.name != "name")
# One name instead of a list of one.
_SINGLE = {"key_variable": "key_variables", "key_prefix": "key_prefixes"}
_SECRETS = frozenset({"key", "api_key", "apikey", "token", "secret", "password"})

Setting = str | Mapping[str, Any] | EndpointRow | None


def changed(
    own: Mapping[str, EndpointRow],
    setting: Mapping[str, Setting],
    known: Mapping[str, EndpointRow],
) -> dict[str, EndpointRow]:
    """The user's own rows with what ``configure(endpoints=...)`` says.

    Args:
        own: The user's rows so far.
        setting: By name, a base URL, a mapping of fields, a whole row, or None to take it back.
            What a mapping does not say stays as it is in ``known``.
        known: Every row there is.

    Raises:
        InvalidParameterError: A name, URL, field or wire format is none; a key stands in a field.

    >>> rows = changed({}, {"mine": "http://127.0.0.1:9/v1/"}, {})
    >>> rows["mine"].base_url, rows["mine"].free
    ('http://127.0.0.1:9/v1', False)
    """
    if not isinstance(setting, Mapping):
        raise InvalidParameterError('endpoints takes {"name": "http://host:port/v1"}.')
    rows = dict(own)
    for name, said in setting.items():
        if said is None:
            rows.pop(name, None)
        else:
            rows[name] = checked(_row(name, said, known))
    return rows


def checked(row: EndpointRow) -> EndpointRow:
    """``row`` in its plain form.

    Raises:
        InvalidParameterError: Its name, base URL or wire format is none.
    """
    if not isinstance(row.name, str) or not _NAME.fullmatch(row.name):
        raise InvalidParameterError(
            f"{row.name!r} cannot name an endpoint; it takes letters, digits, dots, dashes and "
            "underscores."
        )
    if row.name == "local":
        raise InvalidParameterError("local is the embedded model. Choose another name.")
    _check_wire_format(row)
    return replace(row, base_url=_plain_url(row))


def _row(name: str, said: object, known: Mapping[str, EndpointRow]) -> EndpointRow:
    base = known.get(name, EndpointRow(name, str(name), ""))
    if isinstance(said, EndpointRow):
        whole: dict[str, Any] = {one: _value(one, getattr(said, one)) for one in _FIELDS}
        return replace(said, name=name, **whole)
    if isinstance(said, str):
        return replace(base, base_url=said)
    if isinstance(said, Mapping):
        values: dict[str, Any] = {_field(name, key): _value(key, v) for key, v in said.items()}
        return replace(base, **values)
    raise InvalidParameterError(
        f"The endpoint {name} is a base URL or a mapping of its fields, "
        f"not of type {type(said).__name__}."
    )


def _field(endpoint: str, name: str) -> str:
    """The row's field that a mapping's key means."""
    if name in _SECRETS:
        raise InvalidParameterError(
            f"Keys do not belong into code. Put the key of {endpoint} in .env and name its "
            f'variable: "key_variable": "{_variable_for(endpoint)}".'
        )
    if name in _SINGLE or name in _FIELDS:
        return _SINGLE.get(name, name)
    offered = (*_SINGLE, *_FIELDS)
    close = difflib.get_close_matches(str(name), offered, n=1)
    hint = f"Did you mean {close[0]}?" if close else f"There are {', '.join(offered)}."
    raise InvalidParameterError(f"An endpoint has no {name!r}. {hint}")


def _value(name: str, value: object) -> object:
    """A field's value, of the field's kind. A wrong one is never repeated: it may be a key."""
    if value is None and name == "base_url_variable":
        return None
    if name in ("key_variable", "key_variables", "base_url_variable"):
        names = _texts(value)
        if names is None or not all(map(_VARIABLE.fullmatch, names)):
            raise InvalidParameterError(f'{name} names a variable, such as "MINE_API_KEY".')
        return value if name == "base_url_variable" else names
    if name in ("key_prefix", "key_prefixes"):
        names = _texts(value)
        if names is None:
            raise InvalidParameterError(f"{name} takes how a key starts, as text.")
        return names
    kind, words = (bool, "True or False") if name in ("free", "offered") else (str, "text")
    if not isinstance(value, kind) and not (name in ("priced_as", "key_page") and value is None):
        raise InvalidParameterError(f"An endpoint's {name} takes {words}.")
    return value


def _texts(value: object) -> tuple[str, ...] | None:
    items = (value,) if isinstance(value, str) else value
    if not isinstance(items, Iterable) or isinstance(items, Mapping):
        return None
    texts = tuple(items)
    return texts if all(isinstance(text, str) and text for text in texts) else None


def _check_wire_format(row: EndpointRow) -> None:
    if row.wire_format in WIRE_FORMATS or _CLASS.fullmatch(row.wire_format):
        return
    close = difflib.get_close_matches(row.wire_format, WIRE_FORMATS, n=1)
    hint = f"Did you mean {close[0]}?" if close else f"There are {', '.join(WIRE_FORMATS)}."
    raise InvalidParameterError(
        f"The endpoint {row.name} has no known wire format: {row.wire_format!r}. {hint}"
    )


def _plain_url(row: EndpointRow) -> str:
    """The base URL without a slash at its end. A wrong one is not repeated: it may hold a key."""
    try:
        parts = urlsplit(row.base_url)
        fault = _url_fault(row.base_url, parts)
    except ValueError:  # a port that is none, an open bracket
        fault = "is no web address"
    if fault is not None:
        raise InvalidParameterError(
            f"The base URL of {row.name} {fault}. Write it as http://host:port/v1."
        )
    return row.base_url.rstrip("/")


def _url_fault(url: str, parts: SplitResult) -> str | None:
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0:
        return "is no web address"
    if any(c.isspace() or not c.isprintable() for c in url):
        return "is no web address"
    if parts.username is not None or parts.password is not None:
        return "has a user or a password in it; keys go into .env"
    return "ends in a query; keys go into .env" if parts.query or parts.fragment else None


def _variable_for(endpoint: str) -> str:
    """What the variable of an endpoint's key may be called.

    >>> _variable_for("my-own.server")
    'MY_OWN_SERVER_API_KEY'
    """
    return re.sub(r"\W", "_", str(endpoint)).upper() + "_API_KEY"
