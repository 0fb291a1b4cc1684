"""The passwords that libpq would use for a run log, registered as secrets.

Sources: https://www.postgresql.org/docs/current/libpq-connect.html (parameters and their
environment variables), ``libpq-pgpass.html`` (password file), ``libpq-pgservice.html`` (services).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from llm_playground import config
from llm_playground._reading import read_regular
from llm_playground.redaction import remember
from llm_playground.redaction.url_passwords import url_passwords

_MAX_BYTES = 1_000_000
_HIDDEN = b"*"  # how libpq marks parameters whose values are not shown
_FURTHER = ("scram_client_key", "scram_server_key")
# The fifth field of a line; a colon or backslash in a field has a backslash before it.
_PASSFILE_LINE = re.compile(r"^(?:(?:[^:\\\n]|\\.)*:){4}(.+)$", re.MULTILINE)
_SERVICE_LINE = re.compile(r"^\s*(?:ssl)?password\s*=\s*(.+?)\s*$", re.MULTILINE)


def remember_passwords(url: str, parameters: Mapping[str, str], shown: str) -> None:
    """Register the passwords of a log.

    Args:
        url: The log's URL.
        parameters: All parameters of its connection by their names in libpq.
        shown: The text that names the log; a password in it, such as ``postgres``, stays a word.
    """
    for password in (*url_passwords(url), *_of_parameters(parameters), *_of_files(parameters)):
        if password not in shown:
            remember(password)


def _of_parameters(parameters: Mapping[str, str]) -> Iterator[str]:
    from psycopg import pq

    hidden = [each.keyword.decode() for each in pq.Conninfo.get_defaults() if _is_hidden(each)]
    yield from (parameters[name] for name in (*hidden, *_FURTHER) if parameters.get(name))


def _is_hidden(option: object) -> bool:
    return getattr(option, "dispchar", b"") == _HIDDEN


def _of_files(parameters: Mapping[str, str]) -> Iterator[str]:
    passfile = parameters.get("passfile") or config.read("PGPASSFILE") or "~/.pgpass"
    for match in _PASSFILE_LINE.finditer(_text(passfile)):
        yield re.sub(r"\\(.)", r"\1", match[1].rstrip("\r"))
    if parameters.get("service"):
        for match in _SERVICE_LINE.finditer(
            _text(config.read("PGSERVICEFILE") or "~/.pg_service.conf")
        ):
            yield match[1]


def _text(path: str) -> str:
    try:
        return read_regular(Path(path).expanduser(), _MAX_BYTES).decode("utf-8", "replace")
    except (OSError, ValueError, RuntimeError):  # none; a null byte; no home folder
        return ""
