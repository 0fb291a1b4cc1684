"""What servers have refused of requests, kept beside the run log for later processes.

``wire_formats.refused_additions`` has those of this process. A file in the log's folder of journals
keeps them for 30 days, so that requests of a new kernel are not refused again. Servers are updated:
after that time a request is sent as a whole again.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from llm_playground import _files, _lifecycle
from llm_playground.providers import wire_formats
from llm_playground.providers.additions import ADDITIONS
from llm_playground.types import Request

# Of each user: members of a group may share the folder, and each reads only files of their own.
_FILE = f"refused-{os.geteuid()}.json" if hasattr(os, "geteuid") else "refused.json"
_MAX_FILE_BYTES = 1 << 20
_KEPT = timedelta(days=30)
_PLACE = ("wire_format", "provider", "base_url", "model")

read_folders: set[Path] = set()
"""The folders that were read in this process."""
_lifecycle.register_state(globals(), "read_folders", set)


def read(folder: Path) -> None:
    """Leave out of requests what is known to be refused; once for each folder."""
    read_folders.add(folder)
    for entry in _entries(folder / _FILE):
        wire_formats.refused_additions.setdefault(_place(entry), tuple(entry["left_out"]))


def write(folder: Path, request: Request) -> None:
    """Keep what is left out of requests like this one, which its server has accepted.

    A folder that cannot be written is left as it is.
    """
    place = wire_formats.place_of(request)
    if place is None:
        return
    left_out = list(wire_formats.additions_left_out(request))
    known = [entry for entry in _entries(folder / _FILE) if _place(entry) != place]
    new = {**dict(zip(_PLACE, place, strict=True)), "left_out": left_out}
    new["refused_at"] = datetime.now(UTC).isoformat()
    with suppress(OSError):  # the recorder warns of a folder that cannot be written
        _files.write_beside(folder / _FILE, json.dumps([*known, new], indent=1).encode())


def _place(entry: dict[str, Any]) -> wire_formats.Place:
    wire_format, provider, base_url, model = (entry[name] for name in _PLACE)
    return wire_format, provider, base_url, model


def _entries(file: Path) -> list[dict[str, Any]]:
    """The entries of the last 30 days; those of another form are left out."""
    try:
        found = json.loads(_files.read_own(file, _MAX_FILE_BYTES))
    except (OSError, ValueError, RecursionError):
        return []
    return [entry for entry in found if _is_valid(entry)] if isinstance(found, list) else []


def _is_valid(entry: object) -> bool:
    if not isinstance(entry, dict):
        return False
    try:
        age = datetime.now(UTC) - datetime.fromisoformat(entry["refused_at"])
        texts = [entry[name] for name in _PLACE if name != "base_url" or entry[name] is not None]
        return (
            timedelta(0) <= age < _KEPT
            and all(isinstance(one, str) for one in texts)
            and isinstance(entry["left_out"], list)
            and all(one in ADDITIONS for one in entry["left_out"])
        )
    except (LookupError, TypeError, ValueError):
        return False
