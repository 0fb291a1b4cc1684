"""The system's keyring: macOS Keychain, Windows Credential Manager, Secret Service, KWallet.

It is asked on a thread of its own, because a locked one shows a dialog and waits for a person; and
rarely: what it had is remembered, and what it had not is asked for again after half a minute at
the earliest. Where the library or a keyring is absent it has nothing, quietly.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable, Collection
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TypeVar

from llm_playground.errors import ConfigError
from llm_playground.redact import remember

SERVICE = "llm_playground"
WAIT_S = 60.0  # for a person to unlock it
_ASK_AGAIN_S = 30.0

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Look:
    """One visit to the keyring."""

    names: frozenset[str]
    done: Future[None] = field(default_factory=Future)
    started_s: float = field(default_factory=time.monotonic)

    @property
    def age_s(self) -> float:
        """Since when it goes on, or went on."""
        return time.monotonic() - self.started_s

    def answers_for(self, name: str) -> bool:
        """Whether asking again now would be too soon."""
        return name in self.names and (self.age_s < _ASK_AGAIN_S or not self.done.done())

    @property
    def patience_s(self) -> float:
        """How much longer to wait for it."""
        return max(0.0, WAIT_S - self.age_s)


_lock = threading.Lock()
_kept: dict[str, str] = {}
_look: _Look | None = None
_trouble: str | None = None


def kept(name: str) -> str | None:
    """The key under a name, as far as the keyring has been asked."""
    return _kept.get(name)


def trouble() -> str | None:
    """What kept the last visit from an answer, such as that it is locked; None for nothing."""
    return _trouble


def wait(name: str, names: Collection[str]) -> None:
    """Ask for a key unless that was done just now; :func:`kept` knows what came of it.

    Args:
        name: The key that is wanted.
        names: All that may be wanted soon: one visit asks for them together.
    """
    look = _visit(name, names)
    with suppress(TimeoutError):  # nobody unlocked it
        look.done.result(look.patience_s)


async def wait_async(name: str, names: Collection[str]) -> None:
    """As :func:`wait`, without holding up the loop."""
    look = _visit(name, names)
    await asyncio.wait([asyncio.wrap_future(look.done)], timeout=look.patience_s)


def _visit(name: str, names: Collection[str]) -> _Look:
    global _look
    with _lock:
        if _look is None or not _look.answers_for(name):
            _look = _Look(frozenset({name, *names}))
            _in_background(_ask, _look)
        return _look


def save(name: str, secret: str) -> None:
    """Keep a key for later kernels.

    Raises:
        ConfigError: It could not be kept; one line says why.
    """
    try:
        _waited_for(lambda: _write(name, secret))
    except ImportError:
        raise ConfigError(
            "Not saved: the keyring library is not installed. pip install 'llm_playground[keyring]'"
        ) from None
    except Exception as error:  # a keyring may fail in any way, and its words may hold the key
        raise ConfigError(f"Not saved: {_said(error) or 'no keyring works here'}.") from None
    _kept[name] = secret


def forget(name: str) -> bool:
    """Remove a key; whether there was one."""
    _kept.pop(name, None)
    with suppress(Exception):  # what has no keyring has no key in it
        return _waited_for(lambda: _remove(name))
    return False


def _ask(look: _Look) -> None:
    global _trouble
    _trouble = None
    try:
        import keyring  # an extra; loads every backend: 0.1 s

        for name in sorted(look.names - _kept.keys()):
            secret = keyring.get_password(SERVICE, name)
            if secret:
                remember(secret)
                _kept[name] = secret
    except ImportError:
        pass
    except Exception as error:  # a keyring may fail in any way: it is locked, D-Bus is away
        _trouble = _said(error)
    finally:
        look.done.set_result(None)


def _write(name: str, secret: str) -> None:
    import keyring  # an extra

    keyring.set_password(SERVICE, name, secret)
    if keyring.get_password(SERVICE, name) != secret:
        raise LookupError


def _remove(name: str) -> bool:
    import keyring  # an extra

    if keyring.get_password(SERVICE, name) is None:
        return False
    keyring.delete_password(SERVICE, name)
    return True


def _waited_for(act: Callable[[], T]) -> T:
    """What ``act`` gives, made on another thread: the waiting can be interrupted."""
    result: Future[T] = Future()

    def acted() -> None:
        try:
            result.set_result(act())
        except BaseException as error:
            result.set_exception(error)

    _in_background(acted)
    return result.result(WAIT_S)


def _in_background(act: Callable[..., None], *arguments: object) -> None:
    """On a thread that does not keep the process from ending while a dialog waits."""
    threading.Thread(target=act, args=arguments, name=f"{SERVICE}_keyring", daemon=True).start()


def _said(error: Exception) -> str | None:
    """What went wrong with the keyring, without its own words; None where there is no keyring."""
    kind = type(error).__name__
    if isinstance(error, TimeoutError):
        return f"the keyring did not answer within {WAIT_S:.0f} s"
    if isinstance(error, LookupError):
        return "the keyring that is set here keeps nothing"
    if kind == "NoKeyringError":
        return None
    return "the keyring is locked" if kind == "KeyringLocked" else f"the keyring failed ({kind})"


def _forget_threads() -> None:
    """A forked child has no thread that could end a visit under way."""
    global _lock, _look
    _lock, _look = threading.Lock(), None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_threads)
