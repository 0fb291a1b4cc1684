"""The file of a recording: its format, and reading and writing by several kernels at once.

The file is YAML, readable and with one line per line of an answer, so that a diff shows what has
changed. Its last line is ``complete: true``, since a file that was cut off can still be YAML. It is
written whole, in place of the one before, when a call ends: a killed kernel leaves every ended call
in it. Who writes reads what others have written since, and adds to it.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from llm_playground import _files, config
from llm_playground._validation import shorten
from llm_playground.errors import ConfigError
from llm_playground.recording import answers, yaml_text
from llm_playground.recording.entries import Entry, Recording, media_in

FORMAT = 1
MAX_BYTES = 256 << 20
_LOCK_WAIT_S, _LOCK_POLL_S = 20.0, 0.01
_HEAD = """\
# Answers of models, recorded by llm_playground (mode "record"). Mode "replay" gives them again,
# without a key or the network. Changes by hand are kept.
"""
_END = "complete"
_NAMES = frozenset({"format", "entries", "media", _END})
_CONFLICT = re.compile(r"^(?:<{7}|>{7}|={7}|\|{7})(?: |$)", re.MULTILINE)

Change = Callable[[Recording], Recording]


def as_text(recording: Recording, written: Mapping[int, str] | None = None) -> str:
    """The text of a file. ``written`` has texts of entries by their ``id()``, to be used again."""
    known = written or {}
    entries = (known.get(id(one)) or entry_text(one) for one in recording.entries)
    media = {sha256: answers.encoded(data) for sha256, data in sorted(recording.media.items())}
    parts = [_HEAD, f"format: {FORMAT}\nentries:{'' if recording.entries else ' []'}\n", *entries]
    parts += [f"\n{yaml_text.written({'media': media})}"] if media else []
    return "".join([*parts, f"\n{_END}: true\n"])


def entry_text(entry: Entry) -> str:
    """The lines of an entry."""
    values = {
        "kind": entry.kind,
        "key": entry.key,
        "request": entry.request,
        "answers": entry.answers,
    }
    return f"\n{yaml_text.written([values], 1)}"


def of_text(text: str) -> Recording:
    """The recording that a text holds.

    Raises:
        ValueError: It is none; the message is a part of a line.
    """
    if found := _CONFLICT.search(text):
        line = text.count("\n", 0, found.start()) + 1
        raise ValueError(f"line {line}: it has marks of a conflict of git; resolve it")
    document = yaml_text.read(text)
    if not isinstance(document, dict) or "format" not in document:
        raise ValueError("it is no recording of llm_playground")
    if document["format"] != FORMAT:
        raise ValueError(
            f"it has format {str(document['format'])[:20]}, and this version of llm_playground "
            f"reads {FORMAT}; update it"
        )
    if document.get(_END) is not True:
        raise ValueError(f'it is cut off: its last line, "{_END}: true", is missing')
    if unknown := [shorten(str(name), 40) for name in document if name not in _NAMES]:
        raise ValueError(f"it has {unknown[0]!r}, which a recording has not; remove it")
    match document.get("entries") or [], document.get("media") or {}:
        case list(values), dict(media):
            entries = [_entry(value) for value in values]
        case _:
            raise ValueError("its entries are no list, or its media have no names")
    seen: set[tuple[str, str]] = set()
    for one in entries:
        if one.id in seen:
            raise ValueError(f"two of its entries have the key {shorten(one.key, 40)}; remove one")
        seen.add(one.id)
    read = {str(sha256): answers.decoded(data) for sha256, data in media.items()}
    wrong = [one for one, data in read.items() if hashlib.sha256(data).hexdigest() != one]
    if wrong:
        raise ValueError("the bytes of one of its media are damaged")
    return Recording(tuple(entries), read)


def _entry(value: Any) -> Entry:  # noqa: ANN401 - a JSON value is any of six types
    match value:
        case {"kind": str(kind), "key": str() | int() as key, "request": dict(request)}:
            given = value.get("answers") or {}
        case _:
            raise ValueError("one of its entries lacks its kind, key or request")
    of_entry = f"of the entry {shorten(str(key), 40)}"
    if not isinstance(given, dict):
        raise ValueError(f"the answers {of_entry} have no numbers")  # noqa: TRY004 - invalid text, not a wrong type
    for number, answer in given.items():
        if not (isinstance(number, int) and isinstance(answer, dict)):
            raise ValueError(f"an answer {of_entry} has no number, or no values by name")  # noqa: TRY004 - as above
        try:
            answers.check(answer)
        except ValueError as error:
            raise ValueError(f"answer {number} {of_entry}: {error}") from None
    return Entry(kind, str(key), request, given)


@dataclass(slots=True)
class _State:
    stamp: object = None
    recording: Recording = field(default_factory=Recording)
    texts: Mapping[int, str] = field(default_factory=dict)  # of its entries, by their id()


class RecordingFile:
    """One file, safe to use from any thread and with other processes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._state = _State()
        self._waiting: list[Change] = []
        self._adding, self._writing = threading.Lock(), threading.Lock()

    def read(self) -> Recording:
        """What the file holds now; an empty recording if there is none.

        Raises:
            ConfigError: It cannot be read.
        """
        state, stamp = self._state, self._stamp()
        if stamp == state.stamp:
            return state.recording
        if stamp is None:
            recording = Recording()
        else:
            try:
                text = _files.read_regular(self.path, MAX_BYTES).decode("utf-8-sig")
                recording = of_text(text.replace("\r\n", "\n"))
            except (OSError, ValueError) as error:
                why = getattr(error, "strerror", None) or error
                raise ConfigError(
                    f"The recording {self.path} cannot be read ({why}). Correct or restore it, or "
                    "remove it and record again."
                ) from None
        self._state = _State(stamp, recording)
        return recording

    def change(self, change: Change) -> None:
        """Apply a change to what the file holds now; it is in the file when this returns.

        Changes of several threads that come while one is written are written together.

        Raises:
            ConfigError: The file cannot be read.
            OSError: It cannot be written.
        """
        with self._adding:
            self._waiting.append(change)
        with self._writing:
            with self._adding:
                changes, self._waiting = self._waiting, []
            if not changes:  # another thread has written it
                return
            try:
                self._write(changes)
            except BaseException:
                with self._adding:
                    self._waiting = changes + self._waiting
                raise

    def check_writable(self) -> None:
        """Check before a call is paid that its answer can be recorded.

        Raises:
            ConfigError: It cannot.
        """
        self.read()
        try:
            folder = self.path.resolve().parent  # where a link leads to
            folder.mkdir(parents=True, exist_ok=True)
            if self.path.is_dir() or not os.access(folder, os.W_OK):
                raise PermissionError(errno.EACCES, "there is no right to write there")
        except OSError as error:
            raise ConfigError(
                f"Nothing was sent: {self.path} cannot be written ({error.strerror}). Set another "
                'file with lp.configure(recording="PATH").'
            ) from None

    def _write(self, changes: Sequence[Change]) -> None:
        with self._locked():
            before = recording = self.read()
            known = self._state.texts
            for change in changes:
                recording = change(recording)
            if recording == before:
                return
            recording = replace(recording, media=_needed(recording))
            texts = {id(one): known.get(id(one)) or entry_text(one) for one in recording.entries}
            content = as_text(recording, texts).encode()
            if len(content) > MAX_BYTES:  # it could not be read again
                raise OSError(errno.EFBIG, f"it would be longer than {MAX_BYTES:,} bytes")
            _files.write_document(self.path, content)
            self._state = _State(self._stamp(), recording, texts)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Exclude other processes, also those with another data folder, such as another user's.

        Two locks, as folders cannot be locked on every file system; no file is left beside this.
        """
        from filelock import FileLock  # first use, not import

        name = hashlib.sha256(str(self.path.resolve()).encode("utf-8", "surrogatepass")).hexdigest()
        folder = config.trusted_home() / "recordings"
        _files.create_folder(folder)
        lock = FileLock(folder / f"{name[:32]}.lock", timeout=_LOCK_WAIT_S, mode=0o600)
        with lock, _folder_locked(self.path.resolve().parent):
            yield

    def _stamp(self) -> object:
        try:
            status = self.path.stat()
        except OSError:
            return None
        return status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino


@contextmanager
def _folder_locked(folder: Path) -> Iterator[None]:
    """Lock a folder itself, where the platform and the file system can.

    Raises:
        TimeoutError: Another process keeps it locked.
    """
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        yield
        return
    try:
        deadline = time.monotonic() + _LOCK_WAIT_S
        while not _try_lock(descriptor):
            if time.monotonic() >= deadline:
                raise TimeoutError(f"another process has locked its folder for {_LOCK_WAIT_S:g} s")
            time.sleep(_LOCK_POLL_S)
        yield
    finally:
        os.close(descriptor)


def _try_lock(descriptor: int) -> bool:
    from filelock import lock_descriptor  # first use, not import

    try:
        return lock_descriptor(descriptor, blocking=False)
    except OSError:  # a file system without locks on folders
        return True


def _needed(recording: Recording) -> dict[str, bytes]:
    """The media that the entries use."""
    used = {sha256 for one in recording.entries for sha256 in media_in(one.answers.values())}
    return {sha256: data for sha256, data in recording.media.items() if sha256 in used}


def found_in(folder: Path) -> list[Path]:
    """The recordings in a folder, by name."""
    try:
        return sorted(path for path in folder.glob("*.yaml") if path.is_file())
    except OSError:
        return []


def counted(entries: Iterable[Entry]) -> tuple[int, int]:
    """How many entries there are, and how many answers they have."""
    answers_each = [len(one.answers) for one in entries]
    return len(answers_each), sum(answers_each)
