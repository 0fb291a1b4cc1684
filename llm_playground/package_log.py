"""The package's own log file: ``llm_playground.log`` in the user's data folder.

It keeps what a user needs after a failure and no message shows: the stack of a failed call, at
debug level and without configuration. The file is opened for each record only, so that nothing is
open before the first failure, and is rotated under a lock that all processes of the user share.
Loggers are not configured: a handler on one would hide the warnings that Python prints by itself.
"""

from __future__ import annotations

import logging
import os
import time
import traceback
from collections.abc import Iterator
from io import TextIOWrapper
from logging.handlers import RotatingFileHandler
from pathlib import Path

from llm_playground import _files, config
from llm_playground.config.options import Privacy
from llm_playground.redaction import printable, redact
from llm_playground.redaction.pii import masked

_MAX_BYTES, _BACKUPS = 1_000_000, 2
_MAX_RECORD_CHARS = 40_000
_MAX_ERRORS = 10  # of a chain of causes
_LOCK_WAIT_S = 0.2

_log = logging.getLogger("llm_playground")


def path() -> Path:
    """The log file; it exists once something was written."""
    return config.home() / "llm_playground.log"


def call_failed(run_id: str, model: str, error: BaseException, privacy: Privacy) -> None:
    """Write the stack of a failed call; never raises.

    Messages of errors may quote a prompt: where privacy stores no texts, only the errors' types
    are written.
    """
    try:
        stack = "".join(_frames(error, privacy))
        write(logging.DEBUG, f"run {run_id} of {model} failed\n{stack}")
    except Exception:  # an error of another package whose text raises, a handler of the user's
        _log.debug("The stack of run %s cannot be written.", run_id)


def write(level: int, text: str) -> None:
    """Write one record to the file, and to the logger for those who have set its level."""
    clean = printable(redact(text))
    if len(clean) > _MAX_RECORD_CHARS:
        half = _MAX_RECORD_CHARS // 2
        clean = f"{clean[:half]}\n[...]\n{clean[-half:]}"
    record = _log.makeRecord(_log.name, level, "", 0, clean.rstrip(), (), None)
    _File(path()).handle(record)
    if _log.isEnabledFor(level):
        _log.handle(record)


def _frames(error: BaseException, privacy: Privacy) -> Iterator[str]:
    """The errors of a chain, the first cause first, each with its stack."""
    for each in reversed(list(_chain(error))):
        yield "".join(traceback.format_tb(each.__traceback__))
        name = f"{type(each).__module__}.{type(each).__qualname__}"
        yield f"{name}: {masked(str(each), privacy.redact)}\n" if privacy.store == "texts" else name
        yield "\n"


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error and its causes; also those that ``from None`` hides from users."""
    seen: list[BaseException] = []
    each: BaseException | None = error
    while each is not None and each not in seen and len(seen) < _MAX_ERRORS:
        seen.append(each)
        yield each
        each = each.__cause__ or each.__context__


class _File(RotatingFileHandler):
    """Appends one record to the file, readable by its owner only."""

    def __init__(self, file: Path) -> None:
        super().__init__(
            file,
            maxBytes=_MAX_BYTES,
            backupCount=_BACKUPS,
            encoding="utf-8",
            delay=True,
            errors="replace",
        )
        line = logging.Formatter("{asctime}Z {levelname} {process} {message}", style="{")
        line.converter = time.gmtime
        line.default_msec_format = "%s.%03d"
        self.setFormatter(line)

    def emit(self, record: logging.LogRecord) -> None:
        from filelock import FileLock  # first use, not import

        file = Path(self.baseFilename)
        try:
            _files.create_folder(file.parent)
            with FileLock(f"{file}.lock", timeout=_LOCK_WAIT_S, mode=0o600):
                super().emit(record)
        except OSError:  # a full disk, a folder that cannot be written, or the lock is taken
            pass
        finally:
            self.close()

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the name of logging
        """Nothing: a call must not fail, or print anything, because its stack cannot be kept."""

    def _open(self) -> TextIOWrapper:
        def private(name: str, flags: int) -> int:
            flags &= ~os.O_CREAT
            try:
                return _files.open_existing(Path(name), flags)
            except FileNotFoundError:
                return _files.create(Path(name), flags)

        return open(self.baseFilename, "a", encoding="utf-8", errors="replace", opener=private)
