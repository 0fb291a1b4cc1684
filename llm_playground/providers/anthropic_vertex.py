"""Messages as Vertex AI takes them: :func:`body`; the provider is in :mod:`~.providers.clouds`.

Format: https://cloud.google.com/vertex-ai/generative-ai/docs/partner-models/claude/use-claude
"""

from __future__ import annotations

from typing import Any

from llm_playground.providers import anthropic
from llm_playground.providers.wire_formats import ANTHROPIC_VERSION, WIRE_FORMATS
from llm_playground.types import Request

Reader = anthropic.Reader


def body(request: Request) -> dict[str, Any]:
    """The body of Messages as Vertex takes it: the version in it, the model in the URL.

    >>> from llm_playground.parts import TextPart
    >>> from llm_playground.types import Message
    >>> body(Request("vertex:m", (Message("user", (TextPart("hi"),)),)))
    ... # doctest: +NORMALIZE_WHITESPACE
    {'anthropic_version': '2026-10-21', 'max_tokens': 4096,
     'messages': [{'role': 'user', 'content': 'hi'}], 'stream': True}
    """
    version = WIRE_FORMATS["anthropic-vertex"].older_version(request)
    content = anthropic.body(request)
    content.pop("model", None)
    return {"anthropic_version": version or ANTHROPIC_VERSION} | content
