"""What a person types for a model, as ``provider:name``."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Sequence

from llm_playground.errors import InvalidParameterError, UnknownModelError
from llm_playground.misfit import got

LOCAL_MODEL = "local:smollm2-135m-instruct"

# A bare name is resolved by how it starts.
PREFIXES: dict[str, str] = {
    "gpt-": "openai",
    "chatgpt-": "openai",
    "o1": "openai",
    "o3": "openai",
    "o4": "openai",
    "claude-": "anthropic",
    "gemini-": "gemini",
}
_MOST_HINTS = 3


def resolved(typed: str, providers: Collection[str], known: Sequence[str] = ()) -> str:
    """``provider:name`` for what a person typed.

    Args:
        typed: ``"local"``, a bare name such as ``"gpt-6"``, or ``"provider:anything"``.
        providers: The names of those there are.
        known: Full names to suggest from, the newest first.

    Raises:
        InvalidParameterError: It is no name at all.
        UnknownModelError: Unknown prefix, or a bare name that none resolves; with close matches.

    >>> resolved("claude-x", ["anthropic"])
    'anthropic:claude-x'
    """
    if not isinstance(typed, str):
        raise InvalidParameterError(_no_name(typed))
    name = typed.strip()
    provider, colon, model = name.partition(":")
    if provider == "local" and not model:
        return LOCAL_MODEL
    if colon and model and provider in providers:
        return name
    owners = (owner for prefix, owner in PREFIXES.items() if name.startswith(prefix))
    owner = None if colon else next(owners, None)
    if owner is None:
        raise UnknownModelError(_unknown(name, providers, known))
    return f"{owner}:{name}"


def _no_name(value: object) -> str:
    if isinstance(value, (list, tuple, set, frozenset)):
        return "model takes one name; for several use lp.compare."
    return f'model is {got(value)}; it takes a name such as "local" or "provider:name".'


def _unknown(name: str, providers: Collection[str], known: Sequence[str]) -> str:
    """What is wrong with a name, and what may have been meant."""
    if not name:
        return _no_name(name)
    provider, colon, model = name.partition(":")
    if provider in providers:
        return (
            f"The model's name is missing after {name!r}. %llm models lists them."
            if colon
            else f"Write {name}:NAME, with a model of it. %llm models lists them."
        )
    hint = _closest_provider(provider, model, providers) if model else ""
    hint = hint or _closest_model(name, known) or (_OWN_ENDPOINT if colon else "")
    return " ".join(filter(None, [f"No provider is known for the model {name!r}.", hint, _ALL]))


_ALL = "%llm models lists all."
_OWN_ENDPOINT = 'lp.configure(endpoints={"mine": "http://host:port/v1"}) adds a provider.'


def _closest_provider(provider: str, model: str, providers: Collection[str]) -> str:
    close = difflib.get_close_matches(provider.lower(), providers, n=1)
    return f"Did you mean {close[0]}:{model}?" if close else ""


def _closest_model(name: str, known: Sequence[str]) -> str:
    """Those that have the name in theirs, the newest first; else those that read like it."""
    bare = {full.partition(":")[2]: full for full in reversed(known)}
    newest_first = list(reversed(bare))
    close = [other for other in newest_first if name.lower() in other][:_MOST_HINTS]
    close = close or difflib.get_close_matches(name, bare, n=_MOST_HINTS, cutoff=0.4)
    return f"Closest: {', '.join(bare[other] for other in close)}." if close else ""
