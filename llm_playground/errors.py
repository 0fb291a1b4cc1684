"""The exceptions of this package, as one tree.

::

    LLMError                     .provider .model .run .retryable
      ConfigError                UnknownModelError, MissingKeyError, InvalidParameterError,
                                 TemplateError
      ProviderError              .status_code .request_id
        RequestRejectedError     400, 404, 413, 422     ContextLengthError
        AuthenticationError      401, 403
        RateLimitError           429 .retry_after
        ProviderUnavailableError 5xx, 529, refused, DNS
        ProviderTimeoutError     connect, first delta, between deltas, total
        StreamInterruptedError   broke after the first delta; the partial text is in the run
        ContentBlockedError      .stage .category .reason
      BudgetExceededError        .budget .estimate
      RunLogError

A message is one line: what happened, then what to do. Technical detail goes to ``detail``
(shown by ``%llm doctor`` and stored with the run). Keys are redacted in both, and controls of
a terminal are written visibly.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from llm_playground.redaction import printable, redact

if TYPE_CHECKING:
    from llm_playground.budgeting.budget import Budget
    from llm_playground.catalog.estimates import Estimate
    from llm_playground.types import Run


_MAX_MESSAGE_CHARS = 2_000  # a message may quote a path or a text of any length


def _bounded(message: str) -> str:
    if len(message) <= _MAX_MESSAGE_CHARS:
        return message
    half = _MAX_MESSAGE_CHARS // 2
    return f"{message[:half]} … {message[-half:]}"


class LLMError(Exception):
    """Base class of all errors that this package raises.

    Args:
        message: One line: what happened, then what to do.
        provider: The provider's name, if any.
        model: The model as ``provider:name``, if any.
        detail: Technical detail beyond the message, if any.

    ``retryable`` is whether another attempt may succeed.
    """

    retryable: bool = False

    def __init__(
        self,
        message: str,
        *,
        provider: str | None = None,
        model: str | None = None,
        detail: str | None = None,
    ) -> None:
        # The message may quote user input, such as a key in place of a model.
        super().__init__(_bounded(" ".join(printable(redact(message)).splitlines())))
        self.provider = provider
        self.model = None if model is None else printable(redact(model))
        self.detail = None if detail is None else printable(redact(detail))
        self.run: Run | None = None

    def _render_traceback_(self) -> list[str]:
        """One line for IPython to show instead of a traceback."""
        return [f"{type(self).__name__}: {self}"]


def drop_stacks(error: BaseException) -> None:
    """Remove the frames, and so their local variables, from an error and those behind it."""
    behind: list[BaseException | None] = [error]
    seen: set[int] = set()
    while behind:
        each = behind.pop()
        if each is not None and id(each) not in seen:
            seen.add(id(each))
            each.__traceback__ = None
            behind += [each.__cause__, each.__context__]


class ConfigError(LLMError):
    """A setting or argument must be corrected. Nothing is sent or logged."""


class UnknownModelError(ConfigError):
    """No provider is known for this model name."""


class MissingKeyError(ConfigError):
    """The provider needs a key, which is missing or malformed."""


class InvalidParameterError(ConfigError):
    """A parameter is unknown or out of range."""


class TemplateError(ConfigError):
    """A ``{{name}}`` in the prompt has no value."""


class ProviderError(LLMError):
    """An error of a provider, or of the connection to it.

    Args, beside those of :class:`LLMError`:
        status_code: The HTTP status; None if there was no response.
        request_id: The provider's id of the request, for its support.

    ``reached`` is whether the provider may have received the request, ``answer_goes_on`` whether
    only reading failed: the provider makes the answer in the background.
    """

    reached: bool = True
    answer_goes_on: bool = False

    def __init__(
        self,
        message: str,
        *,
        status_code: int | None = None,
        request_id: str | None = None,
        provider: str | None = None,
        model: str | None = None,
        detail: str | None = None,
    ) -> None:
        super().__init__(message, provider=provider, model=model, detail=detail)
        self.status_code = status_code
        self.request_id = request_id


class RequestRejectedError(ProviderError):
    """The provider rejects the request as invalid (400, 404, 413, 422).

    ``refused_parameter`` is the parameter that the provider does not support, ``refused_value`` the
    one whose value it does not; None if unknown. ``refused_additions`` are what this package may
    have added to the request and the provider refuses, keys of ``providers.additions.ADDITIONS``.
    """

    refused_parameter: str | None = None
    refused_value: str | None = None
    refused_additions: frozenset[str] = frozenset()


class ContextLengthError(RequestRejectedError):
    """The prompt is longer than the model's context window."""


class AuthenticationError(ProviderError):
    """The key is invalid or has no access to the model (401, 403)."""


class RateLimitError(ProviderError):
    """Too many requests or tokens (429). ``retry_after`` is in seconds; None if not given."""

    retryable = True
    retry_after: float | None = None


class ProviderUnavailableError(ProviderError):
    """The provider cannot answer now: 5xx, refused, DNS, TLS.

    ``retry_after`` is in seconds; None if not given.
    """

    retryable = True
    retry_after: float | None = None


class ProviderTimeoutError(ProviderError):
    """The provider did not answer in time."""

    retryable = True


class StreamInterruptedError(ProviderError):
    """The stream broke after the first delta. The text so far is kept in the run."""


class ContentBlockedError(ProviderError):
    """The provider's safety system blocked the prompt or the answer.

    ``stage`` is ``"prompt"`` or ``"answer"``; ``category`` and ``reason`` are the provider's terms.
    """

    stage: str | None = None
    category: str | None = None
    reason: str | None = None


class BudgetExceededError(LLMError):
    """The request was not sent because its worst case exceeds a budget.

    ``budget`` is the exceeded one; None if the limit is ``confirm_above_usd``. ``estimate`` is for
    the request.
    """

    budget: Budget | None = None
    estimate: Estimate | None = None


class RunLogError(LLMError):
    """The run log cannot be read or written. Runs are still recorded in the journal."""
