"""Texts of the form that are typed into several windows at once.

A window sends its whole text after each short pause, perhaps before it has the letters that were
typed into another one. What it typed since its last message is then put into the present text.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

TEXTS = ("prompt", "system")
_MOST_REVISIONS = 100


@dataclass(frozen=True, slots=True)
class _Sent:
    """What a window sent last, and the revision that it had received before."""

    text: str
    seen: object


class SharedTexts:
    """The texts that windows have sent and received, by names of :data:`TEXTS`."""

    def __init__(self) -> None:
        self.revision = 0
        self._revisions: dict[tuple[str, object], str] = {}
        self._sent: dict[tuple[str, object], _Sent] = {}
        self._latest: dict[str, str] = {}
        self._written: dict[tuple[str, object], int] = {}  # by a window: its last revision

    def merged(self, seen: Mapping[str, Any], name: str, local: str, current: str) -> str:
        """The text to set when a window sends ``local`` and the form has ``current``.

        ``seen`` has the window as ``view`` and the ``revision`` that it received last. Unless
        another window has written since then, the text is what this one sends, also if code has
        changed it meanwhile.
        """
        view, revision = seen.get("view"), seen.get("revision")
        before = self._sent.get((name, view))
        self._sent[name, view] = _Sent(local, revision)
        others = [at for (of, by), at in self._written.items() if of == name and by != view]
        is_newest = not isinstance(revision, int) or max(others, default=0) <= revision
        is_by_code = self._latest.get(name) != current
        if is_by_code:
            self._revisions[name, self.revision] = current
        if is_newest or is_by_code:
            return local
        is_same = before is not None and before.seen == revision
        base = before.text if before and is_same else self._revisions.get((name, revision))
        return local if base is None else merged_text(base, local, current)

    def record(self, view: object, texts: Mapping[str, str]) -> None:
        """Texts as they are now, which all windows receive as a new revision."""
        self.revision += 1
        for name, text in texts.items():
            self._latest[name] = text
            self._written[name, view] = self.revision
            self._revisions[name, self.revision] = text
        for key in list(self._revisions)[:-_MOST_REVISIONS]:
            del self._revisions[key]


def merged_text(base: str, local: str, remote: str) -> str:
    """Both changes of a text; what ``remote`` has already is not added again.

    >>> merged_text("sea", "the sea", "sea!")
    'the sea!'
    """
    start, end = _same_ends(base, local)
    typed = local[start : len(local) - end]
    their_start, their_end = _same_ends(base, remote)
    if typed and their_start == start and typed in remote[their_start : len(remote) - their_end]:
        return remote
    first = _moved(base, remote, start)
    last = _moved(base, remote, len(base) - end)
    return remote[:first] + typed + remote[last:]


def _same_ends(before: str, after: str) -> tuple[int, int]:
    """How many characters of two texts are the same at their beginning, and at their end."""
    most = min(len(before), len(after))
    start = next((at for at in range(most) if before[at] != after[at]), most)
    left = most - start
    end = next((at for at in range(left) if before[-1 - at] != after[-1 - at]), left)
    return start, end


def _moved(before: str, after: str, position: int) -> int:
    """Where a position in a text is after the text was changed."""
    start, end = _same_ends(before, after)
    if position <= start:
        return position
    if position >= len(before) - end:
        return position + len(after) - len(before)
    return min(position, len(after) - end)
