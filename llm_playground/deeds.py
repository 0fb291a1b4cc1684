"""What somebody did that the audit log should know: told from any floor, written further up.

Setting a key, changing a setting, purging texts: who does it tells it here and needs no run log.
:mod:`llm_playground.audits` listens and writes it down.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Deed:
    """Something that was done.

    Args:
        action: What, as a verb and its object: ``set_key``.
        target: On what, None where the action says it.
        detail: What else is to be known, as plain values; never a secret.
    """

    action: str
    target: str | None = None
    detail: Mapping[str, object] = field(default_factory=dict)


_listener: Callable[[Deed], None] | None = None
_untold: list[Deed] = []


def tell(
    action: str, target: str | None = None, detail: Mapping[str, object] | None = None
) -> None:
    """Tell that something was done; what nobody listens to yet waits."""
    deed = Deed(action, target, detail or {})
    if _listener is None:
        _untold.append(deed)
    else:
        _listener(deed)


def listen(listener: Callable[[Deed], None]) -> None:
    """Hear of every deed, of those that wait too. There is one listener; it does not raise."""
    global _listener
    _listener = listener
    while _untold:
        listener(_untold.pop(0))
