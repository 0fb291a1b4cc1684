"""The user's names at JupyterHub and in the system."""

from __future__ import annotations

import getpass
import os
from functools import lru_cache

from llm_playground._files import read_regular

_MAX_ENVIRONMENT_BYTES = 16_777_216


@lru_cache(maxsize=1)
def hub_user_at_start() -> str | None:
    """The hub's user in the environment with which this process started, where Linux shows it."""
    try:
        start = read_regular("/proc/self/environ", _MAX_ENVIRONMENT_BYTES)
    except OSError:  # another system than Linux
        return os.environ.get("JUPYTERHUB_USER", "").strip() or None
    sign = b"JUPYTERHUB_USER="
    found = [entry for entry in start.split(b"\0") if entry.startswith(sign)]
    return os.fsdecode(found[0].removeprefix(sign)).strip() if found else None


@lru_cache(maxsize=1)
def login_name() -> str:
    """The system's name of the user."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # no login name in a bare container
        return "unknown"
