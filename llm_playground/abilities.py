"""What a model can do beside writing text, by its family, where its vendor documents it.

Live lists say it of some models; this table fills in for the vendors whose lists are silent. None
is unknown, never "no".

Sources: https://developers.openai.com/api/docs/models, with a page per model;
https://docs.claude.com/en/docs/about-claude/models; https://ai.google.dev/gemini-api/docs/models;
each as of November 2026.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from llm_playground import capabilities


@dataclass(frozen=True, slots=True)
class Abilities:
    """``vision``: takes pictures. ``tools``: asks for functions. ``reasoning``: thinks first."""

    vision: bool | None = None
    tools: bool | None = None
    reasoning: bool | None = None


# The first row of its provider whose pattern begins the model's name: pictures, tools.
_FAMILIES: dict[str, tuple[tuple[str, bool | None, bool | None], ...]] = {
    "openai": (
        (r"o1-(mini|preview)", False, False),
        (r"o3-mini", False, True),
        (r"gpt-4(-0|-1|-32k|-turbo-preview|$)", False, None),
        (r"chatgpt|gpt-[\w.]+-chat|gpt-chat|gpt-5\.3", True, None),
        (r"gpt-(4o|4\.1|4\.5|4-turbo|5($|-|\.[12]))|o[134]", True, True),
        # Newer ones take some or all tools over the Responses API only, which is not used here.
        (r"gpt-\d", True, None),
    ),
    "anthropic": ((r"claude-(v?[12]|instant)", False, False), (r"claude-", True, True)),
    "gemini": (
        (r"gemini-(pro|1\.0)|gemma", None, None),
        (r"gemini-", True, True),
    ),
}


def of(model: str) -> Abilities:
    """What is known of a model.

    Args:
        model: ``provider:name``.

    >>> of("openai:gpt-4o")
    Abilities(vision=True, tools=True, reasoning=False)
    >>> of("ollama:anything")
    Abilities(vision=None, tools=None, reasoning=None)
    """
    provider, _, name = model.partition(":")
    for pattern, vision, tools in _FAMILIES.get(provider, ()):
        if re.match(pattern, name):
            return Abilities(vision, tools, _reasons(model))
    return Abilities(reasoning=_reasons(model) if _is_named(provider, name) else None)


def _reasons(model: str) -> bool:
    """Whether it can be told how much to think; the models that think take this parameter."""
    return bool(capabilities.of(model).efforts)


def _is_named(provider: str, name: str) -> bool:
    """Whether the name is a vendor's own and not, say, a fine-tuned model's."""
    return provider == "openai" and re.match(r"gpt-\d|o\d", name) is not None
