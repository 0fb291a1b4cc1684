"""The flight recorder: calls that other libraries make in this process, in the same log.

:func:`record` starts it. :mod:`.clients` sees each request and its response, :mod:`.recognition`
which of them are calls of models, :mod:`.handling` what becomes of a call: rules, budgets, stored
answers, the log. :mod:`.requests` and :mod:`.answers` translate what was sent and received.
"""

from __future__ import annotations

from collections.abc import Iterable
from types import TracebackType

from llm_playground import _validation
from llm_playground._validation import checks_arguments
from llm_playground.capture import clients, handling
from llm_playground.capture.clients import Settings
from llm_playground.errors import InvalidParameterError
from llm_playground.request import secret_guard


class Recording:
    """Calls of other libraries are recorded until :meth:`stop`, or the end of the ``with``."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._is_on = True
        clients.start(settings)
        _recordings.append(self)

    @property
    def is_on(self) -> bool:
        """Whether it still records calls."""
        return self._is_on

    def stop(self) -> None:
        """Stop; returns when the calls that have ended are in the log. A second time is harmless.

        Calls that are under way are recorded to their end.
        """
        if self._is_on:
            self._is_on = False
            _recordings.remove(self)
            clients.stop(self._settings)
        handling.flush()

    def __enter__(self) -> Recording:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def __repr__(self) -> str:
        return f"Recording({'on' if self._is_on else 'stopped'})"


_recordings: list[Recording] = []


@checks_arguments("record")
def record(*, tags: Iterable[str] = (), override: str | None = None) -> Recording:
    """Record the calls that other libraries make in this process, in the same log.

    These are calls of models through httpx or httpx2: by the SDKs of OpenAI, Anthropic and Google,
    and by LiteLLM, LangChain and Pydantic AI, streamed or not. Each HTTP request is one run, also
    those that an SDK repeats, with ``source`` ``"recorded"`` and the library's name as a tag. What
    is sent does not change. Budgets count these calls, and one that blocks answers in place of the
    vendor, with status 402; the administrator's policy and the secret guard do, with status 403. In
    the modes ``reuse`` and ``replay``, stored answers do.

    A run's provider is the one that has the call's base URL. A call to another server, such as a
    proxy, has the provider whose API it uses, and that one's prices.

    Args:
        tags: Labels to find the runs by, beside the name of the library.
        override: Why calls are sent even if they exceed budgets; written to the audit log.

    Returns:
        The recording, which ``stop()`` or the end of a ``with`` block stops.

    Raises:
        InvalidParameterError: ``tags`` is no list of texts, or holds a key; or ``override`` is no
            text.

    Example:
        >>> import llm_playground as lp
        >>> with lp.record():
        ...     pass  # calls of other libraries
    """
    given = (tags,) if isinstance(tags, str) else tuple(tags)
    if not all(isinstance(tag, str) for tag in given):
        raise InvalidParameterError(
            f"tags takes a text or a list of texts; got {_validation.short_repr(tags)}."
        )
    for tag in given:
        secret_guard.refuse_keys(tag=tag)
    if override is not None and not (isinstance(override, str) and override.strip()):
        raise InvalidParameterError(
            f"override takes the reason as text; got {_validation.short_repr(override)}."
        )
    return Recording(Settings(given, override))


def is_recording() -> bool:
    """Whether calls of other libraries are recorded."""
    return clients.is_recording()


def stop_all() -> None:
    """Stop every recording of this process."""
    while _recordings:
        _recordings[-1].stop()
