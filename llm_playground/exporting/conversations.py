"""The messages of runs in a document to read, which repeats no part of a conversation.

Each run of a chat sends the messages of the runs before again. A run continues another one of the
same export if it sends exactly that run's messages, then its answer, and then others: a document
shows only these. Where the run before is not in the export, or was changed, it shows all.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from llm_playground.exporting.records import Exported, by_id, conversation, parts_of

Messages: TypeAlias = Sequence[Mapping[str, Any]]
_End: TypeAlias = tuple[bytes, str, tuple[str, ...]]  # messages by their hash, and an answer


@dataclass(frozen=True, slots=True)
class Conversation:
    """The messages that a run sent, the first ``start`` of which an earlier run shows.

    ``continues`` is the number of that run in the export, from 1, and ``run_id`` its id.
    """

    messages: Messages
    start: int = 0
    continues: int | None = None
    run_id: str | None = None

    @property
    def new(self) -> Messages:
        """The messages that no earlier run shows."""
        return self.messages[self.start :]


def conversations(runs: Exported) -> list[Conversation]:
    """What each run sent, in the order of the runs, which is from the oldest on.

    Raises:
        RunLogError: The log cannot be read.
    """
    prompts, results = (by_id(runs.records, table) for table in ("prompts", "results"))
    ends: dict[_End, tuple[int, str]] = {}
    found = []
    for number, row in enumerate(runs.rows, 1):
        messages = conversation(row, prompts)
        sent, digest = Conversation(messages), b""
        for at, message in enumerate(messages, 1):
            if earlier := ends.get((digest, *_said(message))):
                sent = Conversation(messages, at, *earlier)
            digest = _digest(digest, message)
        found.append(sent)
        calls = results.get(row["run_id"], {}).get("tool_calls")
        answer = (row["response_text"] or "").strip(), _call_ids(calls or ())
        if messages and any(answer):
            ends[(digest, *answer)] = number, row["run_id"]
    return found


def _said(message: Mapping[str, Any]) -> tuple[str, tuple[str, ...]]:
    """The text and the ids of tool calls in an answer; nothing in other messages."""
    if message.get("role") != "assistant":
        return "", ()
    parts = list(parts_of(message))
    texts = (str(part.get("text", "")) for part in parts if part.get("type") == "text")
    return "".join(texts).strip(), _call_ids(p for p in parts if p.get("type") == "tool_call")


def _call_ids(calls: Iterable[object]) -> tuple[str, ...]:
    return tuple(str(call.get("id")) for call in calls if isinstance(call, Mapping))


def _digest(before: bytes, message: Mapping[str, Any]) -> bytes:
    """The hash of messages from that of those before the last one."""
    content = [message.get("role"), list(parts_of(message))]
    return hashlib.sha256(before + json.dumps(content, sort_keys=True).encode()).digest()
