"""Everything that can go wrong, as one tree.

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
(shown by ``%llm doctor`` and stored with the run), never a key in either.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from llm_playground.redact import redact

if TYPE_CHECKING:
    from llm_playground.budgeting.budget import Budget
    from llm_playground.estimates import Estimate
    from llm_playground.types import Run


class LLMError(Exception):
    """Base of every error this package raises.

    Args:
        message: One line: what happened, then what to do.
        provider: The provider's name, where one was involved.
        model: The model as ``provider:name``, where one was involved.
        detail: What the technical reader needs; None when the message says it all.

    ``retryable`` is whether another attempt may mend it.
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
        super().__init__(redact(message))  # it may quote what was given, such as a key for a model
        self.provider = provider
        self.model = None if model is None else redact(model)
        self.detail = None if detail is None else redact(detail)
        self.run: Run | None = None

    def _render_traceback_(self) -> list[str]:
        """What IPython prints in a cell: one line instead of a stack."""
        return [f"{type(self).__name__}: {self}"]


class ConfigError(LLMError):
    """Something must be set or corrected before anything can be sent. Leaves no row."""


class UnknownModelError(ConfigError):
    """No provider is known for this model name."""


class MissingKeyError(ConfigError):
    """The provider needs a key, and none was found or the one found is malformed."""


class InvalidParameterError(ConfigError):
    """A parameter is unknown or out of range."""


class TemplateError(ConfigError):
    """A ``{{name}}`` in the prompt has no value."""


class ProviderError(LLMError):
    """The provider was reached, or should have been.

    Args:
        message: One line: what happened, then what to do.
        status_code: The HTTP status, None when there was no response.
        request_id: What the provider calls this request; quote it to its support.
        provider: The provider's name.
        model: The model as ``provider:name``.
        detail: The redacted response body or exception.
    """

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
    """The provider refuses this request as it stands (400, 404, 413, 422).

    ``refused_parameter`` names the one of our parameters that it does not take, None where it
    says of none.
    """

    refused_parameter: str | None = None


class ContextLengthError(RequestRejectedError):
    """The prompt is longer than the model's context window."""


class AuthenticationError(ProviderError):
    """The key is not accepted, or not for this model (401, 403)."""


class RateLimitError(ProviderError):
    """Too many requests or tokens (429). ``retry_after`` is in seconds, None when not told."""

    retryable = True
    retry_after: float | None = None


class ProviderUnavailableError(ProviderError):
    """The provider cannot answer now: 5xx, refused, DNS, TLS.

    ``retry_after`` is in seconds, None when not told.
    """

    retryable = True
    retry_after: float | None = None


class ProviderTimeoutError(ProviderError):
    """The provider did not answer in time."""

    retryable = True


class StreamInterruptedError(ProviderError):
    """The stream broke after the first delta. The text so far is kept in the run."""


class ContentBlockedError(ProviderError):
    """The provider's safety system refused the prompt or the answer.

    ``stage`` is ``"prompt"`` or ``"answer"``; ``category`` and ``reason`` are the provider's words.
    """

    stage: str | None = None
    category: str | None = None
    reason: str | None = None


class BudgetExceededError(LLMError):
    """Not sent: it could cost more than may be spent.

    ``budget`` is the one that is in the way, None where ``confirm_above_usd`` is; ``estimate``
    is what was about to be sent.
    """

    budget: Budget | None = None
    estimate: Estimate | None = None


class RunLogError(LLMError):
    """The run log cannot be read or written. Runs go on into the journal."""
