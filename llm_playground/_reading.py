"""Reading of files that others may have put in place: no pipe, device or endless file hangs it."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


def open_regular(path: str | Path) -> BinaryIO:
    """Open a regular file for reading, without waiting for another process.

    Raises:
        OSError: The path is missing, a folder, a pipe, a socket or a device.

    >>> open_regular("/dev/null")
    Traceback (most recent call last):
        ...
    OSError: [Errno 22] it is not a regular file: '/dev/null'
    """
    _check_regular(os.stat(path).st_mode, path)  # noqa: PTH116 - on the path of a call; Path is slow
    descriptor = os.open(path, _FLAGS)
    try:  # another file may have been put in its place
        _check_regular(os.fstat(descriptor).st_mode, path)
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def read_regular(path: str | Path, max_bytes: int) -> bytes:
    """The content of a regular file.

    Raises:
        OSError: As :func:`open_regular`, or the file is longer than ``max_bytes``.
    """
    with open_regular(path) as file:
        content = file.read(max_bytes + 1)
    if len(content) > max_bytes:
        raise OSError(errno.EFBIG, f"it is longer than {max_bytes:,} bytes", str(path))
    return content


def _check_regular(mode: int, path: str | Path) -> None:
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "it is not a regular file", str(path))
