"""The rules of the project's own calls for those of other libraries: policy and secret guard."""

from __future__ import annotations

from llm_playground import config
from llm_playground.capture.requests import LARGE_BYTES, RecordedCall, Sent
from llm_playground.config.policy import Policy
from llm_playground.request import secret_guard


def are_kept(sent: Sent) -> bool:
    """Whether no rule can stop a call or warn about it, by a quick look; False is unknown.

    Raises:
        ConfigError: The administrator's policy cannot be used.
    """
    if len(sent.body) > LARGE_BYTES or config.policy() != Policy() or b"\0" in sent.body:
        return False
    return not secret_guard.suspects(sent.body.decode("utf-8", "replace"))


def check(call: RecordedCall) -> tuple[str, ...]:
    """The lines to warn the caller with.

    Raises:
        ConfigError: The call must not be sent.
    """
    request = call.request
    policy = config.policy()
    if policy != Policy():
        policy.check(request.model, request.endpoint)
        policy.check_headers(request.parameters.headers)
    return secret_guard.warnings_about(request)
