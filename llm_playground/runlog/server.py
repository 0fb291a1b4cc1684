"""The way to a PostgreSQL server: where it is, how it is opened, and what its failures mean.

A password is in the URL, in ``PGPASSWORD``, in ``~/.pgpass`` or in a service file, as psycopg
finds it. It is in nothing that this module says.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from llm_playground.errors import ConfigError, RunLogError
from llm_playground.runlog.store import Unavailable

if TYPE_CHECKING:
    import psycopg

# Given to libpq where the URL says nothing: a server that is gone is noticed.
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
# Between attempts while all connections are taken, twice as long each time: each attempt costs the
# server a process.
_chance = random.Random()  # noqa: S311 - so that not all processes come at once
_RETRY_S = 0.1
_LONGEST_RETRY_S = 4.0
_UNCLEAR = (
    "The run log's URL cannot be understood. Write it as postgresql://user@host:5432/database, "
    "special characters in a password as in %40 for @."
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


@dataclass(frozen=True, slots=True)
class Server:
    """A PostgreSQL database by its URL. Its ``repr`` and ``place`` are without a password."""

    place: str
    key: str
    _conninfo: str

    def __repr__(self) -> str:
        return f"Server({self.place!r})"

    @classmethod
    def at(cls, url: str) -> Server:
        """The server that a ``postgresql://`` URL names, environment and service file included.

        Raises:
            ConfigError: psycopg is not installed, or the URL cannot be understood.
        """
        try:
            import psycopg
            from psycopg.conninfo import conninfo_to_dict, make_conninfo
        except ImportError as error:
            raise ConfigError(
                "A run log on PostgreSQL needs psycopg: pip install 'llm_playground[postgres]'."
            ) from error
        try:
            given = conninfo_to_dict(url)
        except psycopg.Error:  # its text may hold a part of the password
            raise ConfigError(_UNCLEAR) from None
        known = _defaults() | {name: str(value) for name, value in given.items() if value}
        named = [known.get(name, "") for name in ("host", "port", "dbname", "user", "service")]
        host, port, database, user, service = named
        if "@" in host:
            raise ConfigError(_UNCLEAR)
        place = service or f"{user}@{host or 'localhost'}:{port}/{database or user}"
        key = sha256("\n".join(named).encode()).hexdigest()[:16]
        absent = {name: value for name, value in _DEFAULTS.items() if name not in given}
        return cls(f"postgresql://{place}", key, make_conninfo(url, **absent))

    def connect(self, until: float) -> psycopg.Connection[Any]:
        """A new connection without any state that a pooler between would lose.

        Args:
            until: The ``time.monotonic()`` until which to try again while all connections are
                taken.

        Raises:
            Unavailable: It cannot be had.
        """
        import psycopg

        longest_s = _RETRY_S
        while True:
            try:
                return psycopg.connect(self._conninfo, autocommit=True, prepare_threshold=None)
            except psycopg.OperationalError as error:
                if not _FULL.search(str(error)) or time.monotonic() > until:
                    raise self.unavailable(error) from error
            time.sleep(_chance.uniform(longest_s / 2, longest_s))
            longest_s = min(2 * longest_s, _LONGEST_RETRY_S)

    def unavailable(self, error: BaseException) -> Unavailable:
        """Why the server cannot be used now, without technical words where they are known."""
        text = one_line(error)
        for sign, reason, advice in _REASONS:
            if re.search(sign, text):
                said = reason.format(place=self.place, text=text)
                return Unavailable(said, advice, passes=bool(_FULL.search(text)), detail=text)
        return Unavailable(f"{self.place} does not answer", _SAFE, lasts=True, detail=text)

    @contextmanager
    def refusing(self, what: str) -> Iterator[None]:
        """What the server says to a statement, as an error of this package.

        Raises:
            RunLogError: It refuses the statement.
            Unavailable: It is gone.
        """
        import psycopg

        try:
            yield
        except (psycopg.errors.AdminShutdown, psycopg.errors.CrashShutdown) as error:
            raise self.unavailable(error) from error
        except psycopg.OperationalError as error:
            if error.sqlstate is None:  # the connection broke, the server said nothing
                raise self.unavailable(error) from error
            raise RunLogError(f"The run log cannot {what}: {one_line(error)}") from error
        except (psycopg.Error, UnicodeEncodeError) as error:  # the latter before it is sent
            raise RunLogError(f"The run log cannot {what}: {one_line(error)}") from error


def one_line(error: BaseException) -> str:
    """The message up to where the server starts to quote the statement."""
    primary = getattr(getattr(error, "diag", None), "message_primary", None)
    return re.sub(r"\s+", " ", primary or str(error).split("\nLINE ", 1)[0]).strip()


def _defaults() -> dict[str, str]:
    """What libpq takes where a URL is silent: ``PGHOST`` and the like, a service, the login."""
    from psycopg import pq

    return {
        option.keyword.decode(): option.val.decode()
        for option in pq.Conninfo.get_defaults()
        if option.val
    }
