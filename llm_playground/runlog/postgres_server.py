"""A PostgreSQL server by its URL: its connections, its errors in plain words, its passwords.

libpq finds the password in the URL, in ``PGPASSWORD``, in ``~/.pgpass`` or in a service file
(https://www.postgresql.org/docs/current/libpq-connect.html, ``libpq-pgpass.html``,
``libpq-pgservice.html``). All of these are registered as secrets.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llm_playground import config
from llm_playground._files import read_regular
from llm_playground.errors import ConfigError, RunLogError, drop_stacks
from llm_playground.installation import INSTALL
from llm_playground.redaction import remember
from llm_playground.redaction.secrets import url_passwords
from llm_playground.runlog import postgres_admin
from llm_playground.runlog.store import LockedError, Unavailable

if TYPE_CHECKING:
    import psycopg

# Defaults for libpq, unless the URL has others. They detect a server that is gone.
_DEFAULTS = {
    "application_name": "llm_playground",
    "connect_timeout": "10",
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
}
_FULL = re.compile(
    r"too many clients|remaining connection slots|too many connections|"
    r"no more connections allowed|query_wait_timeout|server_login_retry|"
    r"Resource temporarily unavailable|the database system is starting up"
)
# Between attempts while all connections are in use, twice as long each time: each attempt costs
# the server a process.
_random = random.Random()  # noqa: S311 - spreads load, guards nothing
_RETRY_S = 0.1
_LONGEST_RETRY_S = 4.0
_UNCLEAR = (
    "The run log's URL is invalid. Write it as postgresql://user@host:5432/database, with special "
    "characters of a password encoded, such as %40 for @."
)

_SAFE = "They are safe on this machine."
_REASONS = (
    (
        r"password authentication failed|no password supplied|empty password",
        "{place} does not accept the password",
        "Correct it in LLM_PLAYGROUND_LOG, PGPASSWORD or ~/.pgpass.",
    ),
    (_FULL.pattern, "{place} takes no more connections now", _SAFE),
    (
        r"role \"?.*\"? does not exist|no pg_hba.conf entry|authentication failed",
        "{place} does not let this user in",
        "Correct the user in LLM_PLAYGROUND_LOG, or ask its owner.",
    ),
    (
        r"database \"?.*\"? does not exist",
        "there is no such database at {place}",
        "Correct its name in LLM_PLAYGROUND_LOG, or ask its owner.",
    ),
    (
        r"could not translate host name|Name or service not known|nodename nor servname|"
        r"failed to resolve host|No address associated",
        "the host of {place} is not known",
        "Correct it in LLM_PLAYGROUND_LOG, or look at the network.",
    ),
    (
        r"SSL|certificate",
        "TLS to {place} fails: {text}",
        "See sslmode and sslrootcert in LLM_PLAYGROUND_LOG.",
    ),
)
_MAX_PASSFILE_BYTES = 1_000_000
_HIDDEN = b"*"  # how libpq marks parameters whose values are not shown
_FURTHER = ("scram_client_key", "scram_server_key")
# The fifth field of a line; a colon or backslash in a field has a backslash before it.
_PASSFILE_LINE = re.compile(r"^(?:(?:[^:\\\n]|\\.)*:){4}(.+)$", re.MULTILINE)
_SERVICE_LINE = re.compile(r"^\s*(?:ssl)?password\s*=\s*(.+?)\s*$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Server:
    """A PostgreSQL database by its URL. Its ``repr`` and ``place`` contain no login."""

    place: str
    key: str
    _conninfo: str = field(repr=False)

    @classmethod
    def at(cls, url: str) -> Server:
        """The server of a ``postgresql://`` URL, completed by environment and service file.

        Raises:
            ConfigError: psycopg is not installed, or the URL is invalid.
        """
        try:
            import psycopg
            from psycopg import pq
            from psycopg.conninfo import conninfo_to_dict, make_conninfo
        except ImportError as error:
            raise ConfigError(
                f"A run log on PostgreSQL needs psycopg: {INSTALL['postgres']}."
            ) from error
        try:
            given = conninfo_to_dict(url)
        except psycopg.Error:  # its message may contain a part of the password
            raise ConfigError(_UNCLEAR) from None
        # The variables of libpq, a service and the login name are among its defaults.
        defaults = {each.keyword.decode(): each.val for each in pq.Conninfo.get_defaults()}
        known = {name: value.decode() for name, value in defaults.items() if value}
        known |= {name: str(value) for name, value in given.items() if value}
        named = [known.get(name, "") for name in ("host", "port", "dbname", "user", "service")]
        host, port, database, user, service = named
        if "@" in host:
            given, known, named, host = {}, {}, [], ""  # not in a traceback
            raise ConfigError(_UNCLEAR)
        place = service or f"{host or 'localhost'}:{port}/{database or user}"
        _remember_passwords(url, known, f"postgresql://{user}@{place}")
        key = sha256("\n".join(named).encode()).hexdigest()[:16]
        absent = {name: value for name, value in _DEFAULTS.items() if name not in given}
        return cls(f"postgresql://{place}", key, make_conninfo(url, **absent))

    def connect(self, until: float) -> psycopg.Connection[Any]:
        """Open a connection, without state that a pooler would lose.

        While all connections are in use, try again until ``time.monotonic()`` is ``until``.

        Raises:
            Unavailable: It cannot be opened.
        """
        import psycopg

        longest_s = _RETRY_S
        while True:
            try:
                return psycopg.connect(self._conninfo, autocommit=True, prepare_threshold=None)
            except psycopg.OperationalError as error:
                drop_stacks(error)  # psycopg's frames have the password
                if not _FULL.search(str(error)) or time.monotonic() > until:
                    raise self.unavailable(error) from error
            time.sleep(_random.uniform(longest_s / 2, longest_s))
            longest_s = min(2 * longest_s, _LONGEST_RETRY_S)

    def connect_reading(self) -> psycopg.Connection[Any]:
        """Open a connection whose transactions are read-only; the caller closes it.

        Raises:
            RunLogError: It cannot be opened.
        """
        try:
            connection = self.connect(time.monotonic() + _LONGEST_RETRY_S)
        except Unavailable as error:
            raise RunLogError(
                f"The run log cannot be read: {error.reason}. {error.advice}", detail=error.detail
            ) from error
        # Both: a pooler may lose the setting, and autocommit has no transaction to be read-only.
        connection.execute(
            "SET default_transaction_read_only = on; SET TimeZone = 'UTC'; "
            f"SET lock_timeout = {postgres_admin.LOCK_WAIT_MS}".encode()
        )
        connection.autocommit = False
        connection.read_only = True
        return connection

    def _holder(self) -> str:
        """Which session holds a lock that this process waited for."""
        import psycopg

        with suppress(psycopg.Error, Unavailable), self.connect(time.monotonic()) as connection:
            return postgres_admin.holder(connection)
        return "another session holds a lock"

    def unavailable(self, error: BaseException) -> Unavailable:
        """Why the server cannot be used now, in plain words where the reason is known."""
        text = one_line(error)
        for pattern, message, advice in _REASONS:
            if re.search(pattern, text):
                reason = message.format(place=self.place, text=text)
                return Unavailable(reason, advice, passes=bool(_FULL.search(text)), detail=text)
        return Unavailable(f"{self.place} does not answer", _SAFE, lasts=True, detail=text)

    @contextmanager
    def refusing(self, what: str) -> Iterator[None]:
        """Turn the server's errors about a statement into those of this package.

        Raises:
            RunLogError: The server refused the statement: the run log cannot do ``what``.
            Unavailable: The server is gone.
        """
        import psycopg

        gone = (psycopg.errors.AdminShutdown, psycopg.errors.CrashShutdown)
        try:
            yield
        except (psycopg.Error, UnicodeEncodeError) as error:  # a lone surrogate, before it is sent
            is_broken = isinstance(error, psycopg.OperationalError) and error.sqlstate is None
            if is_broken or isinstance(error, gone):
                raise self.unavailable(error) from error
            if isinstance(error, psycopg.errors.LockNotAvailable):
                raise LockedError(
                    f"The run log cannot {what}: {self._holder()}. Try again when its transaction "
                    "has ended; new runs are kept on this machine."
                ) from error
            raise RunLogError(f"The run log cannot {what}: {one_line(error)}") from error


def one_line(error: BaseException) -> str:
    """The message without the server's quotation of the statement."""
    primary = getattr(getattr(error, "diag", None), "message_primary", None)
    return re.sub(r"\s+", " ", primary or str(error).split("\nLINE ", 1)[0]).strip()


def _remember_passwords(url: str, parameters: Mapping[str, str], shown: str) -> None:
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

    options = pq.Conninfo.get_defaults()
    hidden = [each.keyword.decode() for each in options if each.dispchar == _HIDDEN]
    yield from (parameters[name] for name in (*hidden, *_FURTHER) if parameters.get(name))


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
        return read_regular(Path(path).expanduser(), _MAX_PASSFILE_BYTES).decode("utf-8", "replace")
    except (OSError, ValueError, RuntimeError):  # none; a null byte; no home folder
        return ""
