"""What privacy leaves of a row before it is written: no texts, or texts without personal data.

A prompt that is stored without its text has a row of its own beside the one with the text, which
somebody else may store: both have the prompt's hash, and neither shows through the other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from llm_playground.personal import Kind, masked
from llm_playground.privacy import Privacy
from llm_playground.runlog.records import Row

# Where a person's, a model's or a provider's words are; a stop sequence is a person's too.
PROMPT_TEXTS = ("system_prompt", "user_prompt", "messages")
RESULT_TEXTS = ("response_text", "reasoning_text", "tool_calls", "error_message", "error_detail")
WORDY_PARAMETERS = ("stop", "extra")
_NEXT_DIGIT = str.maketrans("0123456789abcdef", "123456789abcdef0")


def id_without_text(prompt_id: str) -> str:
    """The id of a prompt's row without text, by that of its row with text.

    >>> id_without_text("0190c7e2-0000-7000-8000-00000000000f")
    '0190c7e2-0000-7000-8000-000000000000'
    """
    return prompt_id[:-1] + prompt_id[-1:].translate(_NEXT_DIGIT)


def prompt(row: Row, privacy: Privacy) -> Row:
    """What may be written of a row of ``prompts``."""
    if privacy.store == "texts":
        return _masked(row, (*PROMPT_TEXTS, "parameters"), privacy.redact)
    said = row["parameters"].items()
    return row | {
        **dict.fromkeys(PROMPT_TEXTS),
        "id": id_without_text(row["id"]),
        "parameters": {name: value for name, value in said if name not in WORDY_PARAMETERS},
    }


def execution(row: Row, privacy: Privacy) -> Row:
    """What may be written of a row of ``executions``: hashes of short values tell the values."""
    if privacy.store == "texts":
        return row
    return row | {"prompt_id": id_without_text(row["prompt_id"]), "variables": None}


def result(row: Row, privacy: Privacy) -> Row:
    """What may be written of a row of ``results``."""
    if privacy.store == "texts":
        return _masked(row, (*RESULT_TEXTS, "attempts"), privacy.redact)
    attempts = [
        {name: value for name, value in attempt.items() if name != "reason"}
        for attempt in row["attempts"]
    ]
    return row | dict.fromkeys(RESULT_TEXTS) | {"attempts": attempts}


def _masked(row: Row, columns: Sequence[str], kinds: Sequence[Kind]) -> Row:
    if not kinds:
        return row
    return row | {name: _without(row[name], kinds) for name in columns}


def _without(value: object, kinds: Sequence[Kind]) -> object:
    """A plain value without personal data in its texts, names included."""
    if isinstance(value, str):
        return masked(value, kinds)
    if isinstance(value, Mapping):
        return {masked(str(name), kinds): _without(item, kinds) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without(item, kinds) for item in value]
    return value
