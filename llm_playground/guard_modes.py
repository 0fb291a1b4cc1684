"""What happens when something that should perhaps stay here is about to be sent."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, get_args

from llm_playground import misfit
from llm_playground.errors import InvalidParameterError

Mode = Literal["off", "warn", "block"]


@dataclass(frozen=True, slots=True)
class GuardModes:
    """What happens by kind. A key that is in use here is refused whatever they say.

    Args:
        keys: What has the shape of a vendor's key, a token or a private key.
        cards: Payment card numbers, by their check digit.
        email: E-mail addresses.
    """

    keys: Mode = "block"
    cards: Mode = "warn"
    email: Mode = "off"


KINDS = tuple(field.name for field in fields(GuardModes))
_MODES = get_args(Mode)


def changed(modes: GuardModes, setting: str | Mapping[str, str]) -> GuardModes:
    """``modes`` with what ``configure(secret_guard=...)`` says.

    Args:
        modes: What holds so far.
        setting: One mode for all kinds, or a mapping from kinds to modes.

    Raises:
        InvalidParameterError: A kind or a mode is none.

    >>> changed(GuardModes(), {"email": "warn"})
    GuardModes(keys='block', cards='warn', email='warn')
    """
    said = setting if isinstance(setting, Mapping) else dict.fromkeys(KINDS, setting)
    for kind, mode in said.items():
        if kind not in KINDS:
            close = difflib.get_close_matches(str(kind), KINDS, n=1)
            hint = f"Did you mean {close[0]}?" if close else f"There are {', '.join(KINDS)}."
            raise InvalidParameterError(f"secret_guard has no {misfit.got(kind)}. {hint}")
        if mode not in _MODES:
            raise InvalidParameterError(
                f"secret_guard takes {', '.join(_MODES)}; got {misfit.got(mode)}."
            )
    known: dict[str, Any] = dict(said)  # checked above
    return replace(modes, **known)
