"""Where the run log and the user's data are: paths, URLs, and groups that share a log."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path

from llm_playground import _files
from llm_playground._validation import shorten, text
from llm_playground.errors import ConfigError

_KEYWORDS = re.compile(r"\s*(?:host|hostaddr|port|dbname|user|password|service|passfile)\s*=")
# A PostgreSQL URL with host, port and database in the group; no @ elsewhere, which would make it
# unclear where a password ends.
_SERVER = re.compile(
    r"postgres(?:ql)?://(?:[^@/?#]*@)?([\w.,:\[\]-]*(?:/[\w.-]*)?)(?:\?[^@]*)?", re.ASCII
)


def as_log_url(location: str) -> str:
    """A path or URL of a run log in the form of :func:`log_url`.

    Raises:
        ConfigError: The database is not supported, or DuckDB cannot open the path.

    >>> as_log_url("/data/runs.duckdb")
    'duckdb:////data/runs.duckdb'
    """
    scheme, separator, rest = location.partition("://")
    if separator and scheme in ("postgresql", "postgres"):
        return location
    if separator and (scheme != "duckdb" or not rest.startswith("/")):
        raise ConfigError(
            f"The run log cannot be {scheme}://. Use a path such as logs/runs.duckdb."
        )
    if "\0" in location:
        raise ConfigError("The run log's path contains a null byte. Remove it.")
    if "?" in location:  # DuckDB would read the rest as options
        raise ConfigError("The run log's path contains a question mark. Use another path.")
    if _KEYWORDS.match(location):
        raise ConfigError(
            "The run log is a connection string. Write it as postgresql://user@host/database."
        )
    try:
        path = Path(rest[1:] if separator else location).expanduser().absolute()
        if path.is_symlink():
            path.resolve()
    except (OSError, RuntimeError) as error:  # a long name, a circle of links, an unknown ~user
        why = getattr(error, "strerror", None) or error
        raise ConfigError(f"The run log cannot be {location} ({why}). Use another path.") from None
    return f"duckdb:///{path}"


def log_place(location: str) -> str:
    """A run log for people: its path, or host, port and database without login and options.

    >>> log_place("postgresql://ada:lovelace@example.org:5433/llm?sslmode=require")
    'postgresql://example.org:5433/llm'
    """
    if not location.startswith(("postgresql:", "postgres:")):
        return location
    found = _SERVER.fullmatch(location)
    return f"postgresql://{found[1]}" if found else "a PostgreSQL database"


def log_setting(log: object) -> str:
    """The path or URL of a run log as text.

    Raises:
        InvalidParameterError: It is neither text nor a path.
    """
    return str(log) if isinstance(log, Path) else text("log", log)


@lru_cache(maxsize=8)
def data_folder(chosen: str | None) -> Path:
    """The folder that the user chose, or the platform's; an existing one is made private, once."""
    if chosen:
        folder = Path(chosen).expanduser()
    else:
        from platformdirs import user_data_path

        folder = user_data_path("llm_playground", appauthor=False)
    _files.make_home_private(folder)
    return folder


def group_for(url: str, name: str, home: Path) -> int:
    """The id of a group that shares the files of a run log.

    Args:
        url: The log, in the form of ``config.log_url``.
        name: The group's name.
        home: The user's data folder, which is private.

    Raises:
        ConfigError: There is no such group, or it cannot share this log.
    """
    text("log_group", name)
    if not url.startswith("duckdb:"):
        raise ConfigError(
            "log_group shares the files of a log. On PostgreSQL, members get a role: "
            "python -m llm_playground admin sql."
        )
    if Path(url.removeprefix("duckdb:///")).parent.resolve() == home.resolve():
        raise ConfigError(
            "The run log is in a private folder, which no group can share. "
            "Set LLM_PLAYGROUND_LOG to a file in a folder of the group's."
        )
    try:
        import grp  # not on Windows

        return grp.getgrnam(name).gr_gid
    except (ImportError, KeyError):
        raise ConfigError(
            f"There is no group {shorten(name, 40)} here to share the run log with. "
            "Check log_group and LLM_PLAYGROUND_LOG_GROUP."
        ) from None
