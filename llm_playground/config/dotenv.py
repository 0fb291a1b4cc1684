"""``.env`` files: which ones are read, and which of their settings need the user's consent.

A ``.env`` may belong to a folder that another person made. Its keys are used at once. Its settings
(base URLs, ``LLM_PLAYGROUND_*``) decide where keys and texts go: they are used with a key from
elsewhere only after :func:`trust_dotenv`. A log on PostgreSQL always requires it. If a trusted file
is no longer read, as others can write to it now, calls are refused: they would go elsewhere.
"""

from __future__ import annotations

import codecs
import hashlib
import io
import os
import re
import stat
import warnings
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from llm_playground import _files, config, http_headers
from llm_playground._files import read_regular
from llm_playground._validation import checks_arguments, short_repr
from llm_playground.config import credentials, endpoint_fields, log_location, options
from llm_playground.config.endpoint_table import EndpointRow
from llm_playground.errors import ConfigError

MAX_BYTES = 65_536
# dotenv takes a time that is quadratic in the length of a run of spaces.
_LONG_SPACE = re.compile(r"[^\S\r\n]{1000}")
_COMMENT = re.compile(rb"(?:^|\s)#.*")
_PREFIX = "LLM_PLAYGROUND_"
_LOG = "LLM_PLAYGROUND_LOG"


class _Setting(NamedTuple):
    """A setting of the ``.env`` at ``path``; one without a name stands for the whole file."""

    path: str
    variable: str = ""
    value: str = ""

    @property
    def marker(self) -> Path:
        """The file whose existence records the user's consent."""
        digest = hashlib.sha256("\0".join(self).encode("utf-8", "surrogateescape")).hexdigest()
        return config.trusted_home() / "trusted" / digest


@lru_cache(maxsize=32)
def parse(path: str, _version: tuple[int, ...]) -> Mapping[str, str]:
    """The variables of a ``.env``; none with a warning if it is not to be read."""
    values, problem = _read(path)
    if problem:
        warnings.warn_explicit(f"{path} is not read: {problem}.", UserWarning, "llm_playground", 1)
    return values


def _read(path: str) -> tuple[Mapping[str, str], str | None]:
    """The variables of a ``.env``, and why it is not read, as :func:`_problem`."""
    from dotenv.parser import parse_stream

    problem = _problem(path)
    if problem is None:
        try:
            text = _decoded(read_regular(path, MAX_BYTES))
            if _LONG_SPACE.search(text) is None:
                bindings = parse_stream(io.StringIO(text))
                return {b.key: b.value for b in bindings if b.key and b.value is not None}, None
            problem = "a line has 1,000 spaces or more in a row"
        except OSError as error:
            problem = error.strerror
        except UnicodeDecodeError:
            problem = "it is not UTF-8"
    return {}, problem


def _decoded(content: bytes) -> str:
    r"""The text of a ``.env``: UTF-8, UTF-16 as Windows' PowerShell writes it, or ASCII.

    Other characters may stand in comments, whatever their encoding.

    Raises:
        UnicodeDecodeError: It is none of these.

    >>> _decoded("A=1".encode("utf-16")), _decoded(b"# Schl\xfcssel")
    ('A=1', '# Schl�ssel')
    """
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return content.decode("utf-16")
    if b"\0" in content[:2]:
        return content.decode("utf-16-be" if content[:1] == b"\0" else "utf-16-le")
    lines = (_COMMENT.sub(b"", line) for line in content.splitlines())
    comments_only = not content.isascii() and all(line.isascii() for line in lines)
    return content.decode("utf-8-sig", "replace" if comments_only else "strict")


def _problem(path: str) -> str | None:
    """Why a file is not read, as a clause; empty for a folder, which is a virtual environment."""
    try:
        link, target = os.lstat(path), os.stat(path)  # noqa: PTH116 - both at once
    except OSError:
        return ""
    if not stat.S_ISREG(target.st_mode):
        return "" if stat.S_ISDIR(target.st_mode) else "it is not a regular file"
    if hasattr(os, "geteuid") and {link.st_uid, target.st_uid} - {0, os.geteuid()}:
        return "it belongs to another user"
    # A file that everybody can write may have been written by anybody.
    if os.name == "posix" and stat.S_IMODE(target.st_mode) & stat.S_IWOTH:
        return "every user of this machine can write to it; run chmod o-w"
    return None


def check(path: str, variable: str, value: str) -> None:
    """Check that a variable of the ``.env`` at ``path`` may be used.

    Raises:
        ConfigError: It needs the user's consent; the message says how to give it.
    """
    rows = config.rows()
    if any(variable in row.key_variables or _is_key_of(row, variable) for row in rows.values()):
        return
    setting = _Setting(path, variable, value)
    named = [name for name, row in rows.items() if row.base_url_variable == variable]
    key = credentials.key_from_elsewhere(path, named or list(rows))
    is_remote_log = variable == _LOG and value.startswith("postgres")
    if (key is None and not is_remote_log) or setting.marker.exists():
        return
    use = f"It would be used with {key}." if key else "Prompts and answers would be stored there."
    shown = log_location.log_place(value) if variable == _LOG else short_repr(value)
    raise ConfigError(
        f"{path} sets {variable} to {shown}. {use} "
        "If you trust this file, run lp.trust_dotenv(); otherwise remove the line."
    )


def _is_key_of(row: EndpointRow, variable: str) -> bool:
    """Whether a header of the row takes the variable as a credential."""
    header = endpoint_fields.variables(row.headers).get(variable)
    return header is not None and http_headers.has_secret(header)


def check_settings(provider: str) -> None:
    """Check all settings that a call of a provider uses, once its key is known.

    Raises:
        ConfigError: As :func:`check`, or a trusted file is not read.
    """
    for path, values in config.dotenv_files():
        if not values and _Setting(path).marker.exists() and (problem := _read(path)[1]):
            raise ConfigError(
                f"{path} is not read: {problem}. You trusted it, so nothing is sent without its "
                "settings. Correct or remove it."
            )
    base_url = config.base_url(provider)
    for setting in _settings():
        if setting.variable.startswith(_PREFIX) or setting.value == base_url:
            config.read(setting.variable)


@checks_arguments("trust_dotenv")
def trust_dotenv() -> list[str]:
    """Use the settings of ``.env``, here and above, also with keys from other places.

    The consent is stored in the data folder, for these files and values. If such a file is no
    longer read, as others can write to it now, calls are refused until it is corrected or removed.

    Returns:
        The names of the settings, such as ``OPENAI_BASE_URL``. Without any, one line is printed
        that says why.

    Raises:
        ConfigError: The consent cannot be stored.

    Example:
        >>> trust_dotenv()
        Nothing to trust: there is no .env here or above.
        []
    """
    settings = list(_settings())
    if not settings:
        print(f"Nothing to trust: {_why_no_settings()}.")
    try:
        for setting in (*settings, *map(_Setting, {setting.path for setting in settings})):
            _files.create_folder(setting.marker.parent)
            with suppress(FileExistsError):
                os.close(_files.create(setting.marker))
    except OSError as error:
        raise ConfigError(f"Not stored: {error.filename}: {error.strerror}.") from None
    names = [setting.variable for setting in settings]
    if names:
        options.record("trust_dotenv", settings[0].path, {"settings": names})
    return names


def _why_no_settings() -> str:
    problems = {path: _read(path)[1] for path, _ in config.dotenv_files()}
    read = [path for path, problem in problems.items() if problem is None]
    unread = [f"{path} is not read: {problem}" for path, problem in problems.items() if problem]
    if unread:
        return "; ".join(unread)
    return (
        f"{', '.join(read)} has no settings, and keys need no consent"
        if read
        else "there is no .env here or above"
    )


def _settings() -> Iterator[_Setting]:
    """The settings of all ``.env`` files here and above, the nearest file first."""
    base_urls = {row.base_url_variable for row in config.rows().values()}
    for path, values in config.dotenv_files():
        for variable, value in values.items():
            if value.strip() and (variable.startswith(_PREFIX) or variable in base_urls):
                yield _Setting(path, variable, value.strip())
