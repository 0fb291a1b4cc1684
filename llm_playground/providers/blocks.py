"""A safety system's no, as our error: where it said it, to what, and what a person can do."""

from __future__ import annotations

from llm_playground.errors import ContentBlockedError
from llm_playground.types import Finish


def blocked_error(finish: Finish, *, provider: str, model: str, label: str) -> ContentBlockedError:
    """The error for an answer that ended with ``content_filter``."""
    error = ContentBlockedError(
        f"{label} stopped the answer for safety. Reword the prompt and try again.",
        request_id=finish.request_id,
        provider=provider,
        model=model,
    )
    block = finish.block
    error.stage = block.stage if block else "answer"
    error.category, error.reason = (block.category, block.reason) if block else (None, None)
    return error
