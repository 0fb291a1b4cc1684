"""``{{name}}`` in a prompt: names only, no attributes, no calls; single braces stay."""

from __future__ import annotations

import re
from collections.abc import Mapping

from llm_playground.errors import TemplateError

_SHOWN = 100  # characters of a name
_SLOT = re.compile(r"\{\{\s*([^\W\d]\w*)\s*\}\}")


def names(text: str) -> list[str]:
    """The variables a text asks for, in order, each once.

    >>> names("{{a}} and {{ b }} and {{a}} but not {c}")
    ['a', 'b']
    """
    return list(dict.fromkeys(_SLOT.findall(text)))


def fill(text: str, variables: Mapping[str, object]) -> str:
    """``text`` with every ``{{name}}`` replaced by ``str`` of its value, once, not again inside.

    Raises:
        TemplateError: A name has no value; the message names it.

    >>> fill("{{n}} points, {not this}", {"n": 3})
    '3 points, {not this}'
    """
    missing = [name for name in names(text) if name not in variables]
    if missing:
        name = missing[0] if len(missing[0]) <= _SHOWN else f"{missing[0][:_SHOWN]}…"
        raise TemplateError(
            f"{{{{{name}}}}} is not defined. Run the cell that defines it, or type a value."
        )
    return _SLOT.sub(lambda match: str(variables[match[1]]), text)
