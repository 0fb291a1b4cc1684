"""Providers of the user and of installed packages, and model names as ``provider:name``.

``configure(endpoints=...)`` adds providers and changes known ones. A package adds providers with
entry points of ``llm_playground.providers``: an ``EndpointRow``, several, or a callable that
returns either. An invalid one is reported in one line and does not affect the others.
"""

from __future__ import annotations

import difflib
import logging
import os
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import fields, replace
from functools import lru_cache
from typing import Any
from urllib.parse import SplitResult, urlsplit

from llm_playground._validation import closest, short_repr
from llm_playground.config import clouds, colab, endpoint_fields
from llm_playground.config.endpoint_table import BUILT_IN, WIRE_FORMATS, EndpointRow
from llm_playground.errors import InvalidParameterError, UnknownModelError
from llm_playground.redaction import printable

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_HEADER = re.compile(r"[A-Za-z0-9_-]{1,64}")
_CLASS = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")
_FIELDS = tuple(field.name for field in fields(EndpointRow) if field.name != "name")
# Singular names of fields that take several values.
_SINGLE = {"key_variable": "key_variables", "key_prefix": "key_prefixes"}
# The fields of a cloud's row in place of its base URL.
_CLOUD_FIELDS = ("project", "region")
_OPTIONAL = ("priced_as", "key_page", "key_header")
_SECRETS = frozenset({"key", "api_key", "apikey", "token", "secret", "password"})

Setting = str | Mapping[str, Any] | EndpointRow | None


def merge_endpoints(
    own: Mapping[str, EndpointRow],
    setting: Mapping[str, Setting],
    known: Mapping[str, EndpointRow],
) -> dict[str, EndpointRow]:
    """The user's rows, ``own``, changed by ``configure(endpoints=...)``.

    Fields that a mapping leaves out are those of ``known``, which has all rows by name.

    Raises:
        InvalidParameterError: A name, URL, field or wire format is invalid, or a field is a key.

    >>> rows = merge_endpoints({}, {"mine": "http://127.0.0.1:9/v1/"}, {})
    >>> rows["mine"].base_url, rows["mine"].free
    ('http://127.0.0.1:9/v1', False)
    """
    if not isinstance(setting, Mapping):
        raise InvalidParameterError('endpoints takes {"name": "http://host:port/v1"}.')
    rows = dict(own)
    for name, value in setting.items():
        if value is None:
            rows.pop(name, None)
        else:
            rows[name] = _checked(_row(name, value, known))
    return rows


def _checked(row: EndpointRow) -> EndpointRow:
    """The row with a normalized base URL."""
    if not isinstance(row.name, str) or not _NAME.fullmatch(row.name):
        raise InvalidParameterError(
            f"{row.name!r} cannot name an endpoint; it takes letters, digits, dots, dashes and "
            "underscores."
        )
    if row.name == "local":
        raise InvalidParameterError("local is the embedded model. Choose another name.")
    if row.wire_format not in WIRE_FORMATS and not _CLASS.fullmatch(row.wire_format):
        raise InvalidParameterError(
            f"The endpoint {row.name} has an unknown wire format: {row.wire_format!r}. "
            f"{closest(row.wire_format, WIRE_FORMATS)}"
        )
    if "{model}" in row.base_url and row.wire_format != "openai":
        raise InvalidParameterError(
            f"The base URL of {row.name} has {{model}}, which takes the wire format openai."
        )
    if row.query and row.wire_format.startswith("gemini"):  # its SDK has no place for it
        raise InvalidParameterError(f"{row.name} has a query, which Gemini's format does not take.")
    if row.wire_format in clouds.CLOUDS:
        _check_cloud(row)
    return replace(
        row,
        base_url=_plain_url(row),
        headers=endpoint_fields.checked_headers(row.headers),
        query=endpoint_fields.checked_query(row.query),
    )


def _check_cloud(row: EndpointRow) -> None:
    """Check what the row of a cloud cannot have, and the base URL that it needs."""
    if row.key_variables or row.key_header:
        credentials = clouds.CLOUDS[row.wire_format].credentials
        raise InvalidParameterError(
            f"{row.name} takes no key: the wire format {row.wire_format} sends {credentials}."
        )
    if row.wire_format.endswith("-vertex") and not clouds.vertex_address(row.base_url.rstrip("/")):
        raise InvalidParameterError(
            f"The base URL of {row.name} has to end with /projects/PROJECT/locations/REGION. Name "
            "project and region in its place."
        )


def _row(name: str, setting: object, known: Mapping[str, EndpointRow]) -> EndpointRow:
    base = known.get(name, EndpointRow(name, str(name), ""))
    if isinstance(setting, str):
        return replace(base, base_url=setting)
    if isinstance(setting, EndpointRow):
        base, setting = setting, {field: getattr(setting, field) for field in _FIELDS}
    if not isinstance(setting, Mapping):
        raise InvalidParameterError(
            f"The endpoint {name} is a base URL or a mapping of its fields, "
            f"not of type {type(setting).__name__}."
        )
    place = {key: value for key, value in setting.items() if key in _CLOUD_FIELDS}
    wire_format = setting.get("wire_format", base.wire_format)
    cloud = clouds.CLOUDS.get(wire_format) if isinstance(wire_format, str) else None
    if place:
        if "base_url" in setting:
            raise InvalidParameterError(f"{name} has {' and '.join(place)} beside a base_url.")
        base = replace(base, base_url=clouds.base_url(name, wire_format, place))
    values: dict[str, Any] = {
        _field(name, key): _value(key, v) for key, v in setting.items() if key not in place
    }
    if cloud is not None and (place or "base_url" in values):
        url = values.get("base_url", base.base_url).rstrip("/")
        # Not offered: the names of the price list are not those of the cloud.
        base = replace(base, priced_as=cloud.priced_as(url), offered=False)
    return replace(base, name=name, **values)


def _field(endpoint: str, name: str) -> str:
    """The field of a row for a name in a mapping."""
    if name in _SECRETS:
        variable = re.sub(r"\W", "_", str(endpoint)).upper() + "_API_KEY"
        raise InvalidParameterError(
            f"Keys do not belong in code. Put the key of {endpoint} in .env and name its "
            f'variable: "key_variable": "{variable}".'
        )
    if name in _SINGLE or name in _FIELDS:
        return _SINGLE.get(name, name)
    hint = closest(name, (*_SINGLE, *_FIELDS, *_CLOUD_FIELDS))
    raise InvalidParameterError(f"An endpoint has no {name!r}. {hint}")


def _value(name: str, value: object) -> object:
    """The checked value of a field. Errors do not repeat a wrong value, which may be a key."""
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
            raise InvalidParameterError(f"{name} takes the first characters of a key as text.")
        return names
    if name == "key_header" and not (
        value is None or (isinstance(value, str) and _HEADER.fullmatch(value))
    ):
        raise InvalidParameterError('key_header names a header, such as "X-Api-Key".')
    if name in ("headers", "query"):
        return value or {}  # checked with the whole row
    kind, expected = (bool, "True or False") if name in ("free", "offered") else (str, "text")
    if not isinstance(value, kind) and not (value is None and name in _OPTIONAL):
        raise InvalidParameterError(f"An endpoint's {name} takes {expected}.")
    return value


def _texts(value: object) -> tuple[str, ...] | None:
    items = (value,) if isinstance(value, str) else value
    if not isinstance(items, Iterable) or isinstance(items, Mapping):
        return None
    texts = tuple(items)
    return texts if all(isinstance(text, str) and text for text in texts) else None


def _plain_url(row: EndpointRow) -> str:
    """The base URL without a final slash. Errors do not repeat it, since it may contain a key."""
    try:
        parts = urlsplit(row.base_url)
        problem = _url_problem(row.base_url, parts)
    except ValueError:  # an invalid port or an unclosed bracket
        problem = "is not a web address"
    if problem is not None:
        raise InvalidParameterError(
            f"The base URL of {row.name} {problem}. Write it as http://host:port/v1."
        )
    return row.base_url.rstrip("/")


def _url_problem(url: str, parts: SplitResult) -> str | None:
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0:
        return "is not a web address"
    if any(c.isspace() or not c.isprintable() for c in url):
        return "is not a web address"
    if parts.username is not None or parts.password is not None:
        return "contains a user name or password; keys go into .env"
    return "ends with a query; keys go into .env" if parts.query or parts.fragment else None


def known_rows() -> dict[str, EndpointRow]:
    """The providers before ``configure``, by name: built in, Colab's, from packages."""
    # Only the environment of the process counts: a .env cannot add the proxy.
    host = os.environ.get(colab.HOST_VARIABLE, "")
    return {**BUILT_IN, **colab.rows(host), **from_packages()}


GROUP = "llm_playground.providers"


@lru_cache(maxsize=1)
def from_packages() -> dict[str, EndpointRow]:
    """The rows of all installed packages by name; read once, on first use."""
    from importlib.metadata import entry_points  # first use, not import

    rows: dict[str, EndpointRow] = {}
    for entry in entry_points(group=GROUP):
        try:
            loaded = entry.load()
            added = loaded() if callable(loaded) else loaded
            for row in added if isinstance(added, Iterable) else (added,):
                if not isinstance(row, EndpointRow):
                    raise TypeError(f"{entry.name} is not an EndpointRow")  # noqa: TRY301 - reported like all errors of a package
                valid_row = _checked(row)
                if row.name in BUILT_IN or row.name in rows:
                    raise ValueError(f"the provider {row.name} already exists")  # noqa: TRY301 - as above
                rows[row.name] = valid_row
        except Exception as error:
            logging.getLogger(__name__).warning(
                "The package %s adds a provider that cannot be used: %s: %s",
                entry.value if entry.dist is None else entry.dist.name,
                type(error).__name__,
                printable(str(error).partition("\n")[0]),
            )
    return rows


LOCAL_MODEL = "local:smollm2-135m-instruct"

# Providers of bare model names, by prefix.
PREFIXES: dict[str, str] = {
    "gpt-": "openai",
    "chatgpt-": "openai",
    "o1": "openai",
    "o3": "openai",
    "o4": "openai",
    "claude-": "anthropic",
    "gemini-": "gemini",
}


def resolve_model(typed: str, providers: Collection[str], known: Sequence[str] = ()) -> str:
    """The full name, ``provider:name``, of a model.

    Args:
        typed: ``local``, a name such as ``gpt-6``, or ``provider:anything``.
        providers: The names of all providers.
        known: Full names for suggestions, the newest first.

    Raises:
        InvalidParameterError: ``typed`` is not a name.
        UnknownModelError: The provider is unknown, or no provider has such bare names; the message
            has suggestions.

    >>> resolve_model("claude-x", ["anthropic"])
    'anthropic:claude-x'
    """
    if not isinstance(typed, str):
        raise InvalidParameterError(_invalid_name(typed))
    name = ":".join(part.strip() for part in typed.split(":"))
    if not name.isprintable():
        raise InvalidParameterError(_invalid_name(typed))
    provider, colon, model = name.partition(":")
    if provider == "local" and not model:
        return LOCAL_MODEL
    if colon and model and provider in providers:
        return name
    owners = (owner for prefix, owner in PREFIXES.items() if name.startswith(prefix))
    owner = None if colon else next(owners, None)
    if owner is None:
        raise UnknownModelError(_unknown(name, providers, known))
    return f"{owner}:{name}"


def _invalid_name(value: object) -> str:
    if isinstance(value, (list, tuple, set, frozenset)):
        return "model takes one name; for several use lp.compare."
    return f'model is {short_repr(value)}; it takes a name such as "local" or "provider:name".'


def _unknown(name: str, providers: Collection[str], known: Sequence[str]) -> str:
    """The message for an unknown model, with suggestions."""
    if not name:
        return _invalid_name(name)
    provider, colon, model = name.partition(":")
    if provider in providers:
        return (
            f"The model's name is missing after {name!r}. %llm models lists all."
            if colon
            else f"Write {name}:NAME with the name of a model. %llm models lists all."
        )
    near = difflib.get_close_matches(provider.lower(), providers, n=1, cutoff=0.75)
    close = near if model else []
    hint = f"Did you mean {close[0]}:{model}?" if close else _closest_model(name, known)
    if difflib.get_close_matches(name.lower(), ["local"], cutoff=0.75):
        hint = "Did you mean local?"
    if colon and not hint:
        way = f'lp.configure(endpoints={{"{provider}": "http://host:port/v1"}}) adds it.'
        hint = f"No endpoint is called {provider}: {way}"
    start = f"No provider is known for the model {name!r}."
    return " ".join(filter(None, [start, hint, "%llm models lists all."]))


def _closest_model(name: str, known: Sequence[str]) -> str:
    """A hint with models that contain the name, newest first, or with similar names."""
    bare = {full.partition(":")[2]: full for full in reversed(known)}
    newest_first = list(reversed(bare))
    close = [other for other in newest_first if name.lower() in other][:3]
    least = 0.6 if ":" in name else 0.4  # with a prefix, it may be of an endpoint that is not set
    close = close or difflib.get_close_matches(name, bare, n=3, cutoff=least)
    return f"Closest: {', '.join(bare[other] for other in close)}." if close else ""
