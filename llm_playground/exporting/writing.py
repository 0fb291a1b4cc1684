"""A file written whole or not at all."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from llm_playground import _ids, misfit
from llm_playground.errors import InvalidParameterError


def write(path: object, content: str) -> Path:
    """Put a text in a file as UTF-8; the file. One that is there is replaced.

    Whoever reads it meanwhile sees all of the old or all of the new.

    Raises:
        InvalidParameterError: It cannot be written; what was there is as before.
    """
    if not isinstance(path, (str, Path)) or not str(path):
        raise InvalidParameterError(f"path takes the path of a file; got {misfit.got(path)}.")
    try:
        target = Path(path).expanduser().resolve()
        _check(target)
        _replace(target, content.encode("utf-8", "replace"))
    except (OSError, ValueError, RuntimeError) as error:  # a NUL in it; no home; a loop of links
        why = getattr(error, "strerror", None) or error
        raise InvalidParameterError(f"{path} cannot be written ({why}).") from error
    return target


def _check(target: Path) -> None:
    if target.is_dir():
        raise InvalidParameterError(f"{target} is a folder. Give the path of a file in it.")
    if not target.parent.is_dir():
        raise InvalidParameterError(f"There is no folder {target.parent}. Make it first.")


def _replace(target: Path, content: bytes) -> None:
    part = target.with_name(f".{_ids.new_id()}.part")  # beside it: a rename within one file system
    try:
        with part.open("xb") as file:
            file.write(content)
        part.replace(target)
    except BaseException:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise
