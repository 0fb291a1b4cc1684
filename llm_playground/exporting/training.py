"""Runs as training files: examples for supervised fine-tuning, and pairs of preferences (DPO).

``openai-tuning`` has a line for each run, ``{"messages": [...], "tools": [...]}``. The answer is
the last message, which a model is to learn; earlier answers have ``"weight": 0``, since they are
the last message of a line of their own. An answer can be corrected in the column ``response_text``
of a frame before it is exported.

``openai-preferences`` has a line for each pair of answers, ``{"input": {"messages": [...]},
"preferred_output": [...], "non_preferred_output": [...]}``, ``trl-preferences`` the same as
``{"prompt": [...], "chosen": [...], "rejected": [...]}`` for Hugging Face's TRL. The pairs are made
by :mod:`llm_playground.exporting.preferences`. Both hold texts and tool calls, no pictures.

A run that a format cannot hold is left out, and one warning counts them by their reasons. OpenAI
takes files of up to 512 MB with 10 lines or more.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence

from llm_playground.errors import InvalidParameterError
from llm_playground.exporting.chat_messages import (
    ChatFormat,
    ChatRuns,
    Json,
    LeftOut,
    counted,
    json_line,
)
from llm_playground.exporting.preferences import Pair, pairs_of
from llm_playground.exporting.records import Exported
from llm_playground.exporting.rows import Row

MAX_FILE_BYTES = 512 << 20  # of OpenAI
_TUNING = ChatFormat(pictures=True, arguments=str)
_OPENAI_PAIRS = ChatFormat(pictures=False, arguments=str)
_TRL_PAIRS = ChatFormat(pictures=False, arguments=dict)


def to_openai_tuning(runs: Exported) -> str:
    """A line for each run that ended well; equal lines once.

    Raises:
        InvalidParameterError: No run can be exported, or the file would be too large.
    """
    chat, lines, reasons = ChatRuns(runs, _TUNING), dict[str, None](), list[str]()
    for row in runs.rows:
        try:
            line = json_line(_example(chat, row))
        except LeftOut as reason:
            reasons.append(str(reason))
            continue
        if line in lines:
            reasons.append("equal to another")
        lines[line] = None
    return _file(lines, reasons, len(runs.rows), "openai-tuning")


def _example(chat: ChatRuns, row: Row) -> Json:
    answer, tools = chat.answer(row), chat.tools(row)
    earlier = [
        {**message, "weight": 0} if message["role"] == "assistant" else message
        for message in chat.prompt(row)
    ]
    return {"messages": [*earlier, answer], **({"tools": tools} if tools else {})}


def to_openai_preferences(runs: Exported) -> str:
    """A line for each pair of answers to the same prompt, in OpenAI's form.

    Raises:
        InvalidParameterError: There is no pair, or the file would be too large.
    """
    found, reasons = pairs_of(ChatRuns(runs, _OPENAI_PAIRS))
    lines = map(json_line, map(_openai_pair, found))
    return _file(lines, reasons, len(runs.rows), "openai-preferences")


def _openai_pair(pair: Pair) -> Json:
    tools = {"tools": pair.tools} if pair.tools else {}
    return {
        "input": {"messages": pair.prompt, **tools},
        "preferred_output": [pair.chosen],
        "non_preferred_output": [pair.rejected],
    }


def to_trl_preferences(runs: Exported) -> str:
    """A line for each pair of answers to the same prompt, in TRL's conversational form.

    Raises:
        InvalidParameterError: There is no pair.
    """
    found, reasons = pairs_of(ChatRuns(runs, _TRL_PAIRS))
    lines = map(json_line, map(_trl_pair, found))
    return _file(lines, reasons, len(runs.rows), "trl-preferences")


def _trl_pair(pair: Pair) -> Json:
    tools = {"tools": pair.tools} if pair.tools else {}
    return {"prompt": pair.prompt, "chosen": [pair.chosen], "rejected": [pair.rejected], **tools}


def _file(lines: Iterable[str], reasons: Sequence[str], total: int, name: str) -> str:
    """The lines as a file, after one warning about the runs that are left out."""
    written = "".join(lines)
    if reasons and not written:
        raise InvalidParameterError(f"{name} can hold none of the runs: {counted(reasons)}.")
    if len(written.encode()) > MAX_FILE_BYTES:
        raise InvalidParameterError(f"{name} takes 512 MB a file; export fewer runs at once.")
    if reasons:
        message = f"{len(reasons):,} of {total:,} runs are left out of {name}: {counted(reasons)}."
        warnings.warn_explicit(message, UserWarning, "llm_playground", 1)
    return written
