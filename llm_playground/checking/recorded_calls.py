"""Calls of a notebook beside the entries of its recording, matched by prompt and model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llm_playground import _files
from llm_playground._validation import shorten
from llm_playground.catalog import capabilities
from llm_playground.checking.calls_in_code import CallInCode
from llm_playground.errors import LLMError
from llm_playground.formatting import count
from llm_playground.parts import TextPart
from llm_playground.recording import entries, file
from llm_playground.recording.entries import CALL, Recording
from llm_playground.redaction import redact
from llm_playground.types import Message, Request

RECORD = 'record it with lp.configure(mode="record") or %llm replay record'
_MAX_SHOWN_CHARS = 60


@dataclass(frozen=True, slots=True)
class RecordingText:
    """A recording's text without its media, and what it holds."""

    text: str
    recording: Recording


def read(path: Path) -> RecordingText:
    """The recording in a file.

    Raises:
        OSError: The file cannot be read.
        ValueError: It is damaged; the message is a part of a line.
    """
    text = _files.read_regular(path, file.MAX_BYTES).decode("utf-8-sig").replace("\r\n", "\n")
    return RecordingText(text.partition("\nmedia:\n")[0], file.of_text(text))


@dataclass(frozen=True, slots=True)
class Coverage:
    """What a recording has of a notebook's calls.

    ``matched`` calls have an answer by their prompt and model, ``unchecked`` ones depend on what
    happens when the notebook runs. ``missing`` are pairs of cell and sentence, ``unused`` prompts
    of the recording that no call has.
    """

    matched: int
    unchecked: int
    missing: tuple[tuple[int, str], ...]
    unused: tuple[str, ...]


def coverage(calls: Sequence[CallInCode], recording: Recording, *, is_whole: bool) -> Coverage:
    """Compare the calls of a notebook with its recording; ``is_whole`` as in ``Code``."""
    answers = _answers(recording)
    matched, unchecked, missing = 0, 0, []
    asked: Counter[str] = Counter()
    for call in calls:
        problems = list(_problems(call, answers, asked))
        is_open = call.prompts is None or (problems and not call.certain)
        unchecked += bool(is_open)
        matched += not is_open and not problems
        missing += [] if is_open else [(call.cell, one) for one in problems]
    is_known = is_whole and all(call.prompts is not None for call in calls)
    unused = [shown(prompt) for prompt in answers if is_known and not asked[prompt]]
    return Coverage(matched, unchecked, tuple(missing), tuple(unused))


def _problems(
    call: CallInCode, answers: Mapping[str, Counter[str]], asked: Counter[str]
) -> Iterator[str]:
    """Sentences about prompts of a call that have no answer; ``asked`` counts all prompts."""
    for prompt in map(_as_recorded, call.prompts or ()):
        asked[prompt] += call.times
        found = answers.get(prompt)
        models = [_full_name(model) for model in call.models or ()]
        if found is None:
            yield f"no answer is recorded for {shown(prompt)}: {RECORD}"
        elif others := [model for model in models if model not in found]:
            yield (
                f"{shown(prompt)} has answers of {', '.join(found)} only, none of "
                f"{', '.join(others)}: {RECORD}"
            )
        elif asked[prompt] > sum(found.values()) and call.certain:
            has = count(sum(found.values()), "answer")
            yield (
                f"{has} recorded for {shown(prompt)}, and the cells up to here ask it "
                f"{count(asked[prompt], 'time')}: {RECORD}"
            )


def shown(prompt: str) -> str:
    """The beginning of a prompt for a message, without keys."""
    return f"“{shorten(redact(prompt), _MAX_SHOWN_CHARS)}”"


def _answers(recording: Recording) -> dict[str, Counter[str]]:
    """How many answers each model has recorded for each prompt."""
    found: dict[str, Counter[str]] = {}
    for entry in recording.entries:
        if entry.kind == CALL:
            prompt, model = _user_prompt(entry.request), str(entry.request.get("model"))
            found.setdefault(prompt, Counter())[model] += len(entry.answers)
    return found


def _user_prompt(request: Mapping[str, Any]) -> str:
    """The text of the last turn of the user."""
    messages = request.get("messages")
    listed: Sequence[Any] = messages if isinstance(messages, list) else ()
    turns = [one for one in listed if isinstance(one, Mapping)]
    content = next((one["user"] for one in reversed(turns) if "user" in one), "")
    if isinstance(content, str):
        return content
    parts: Sequence[Any] = content if isinstance(content, list) else ()
    return "".join(str(one.get("text") or "") for one in parts if isinstance(one, Mapping))


def _as_recorded(prompt: str) -> str:
    """A prompt as recordings have it: without keys, and a very long one shortened."""
    request = Request("", (Message("user", (TextPart(prompt),)),))
    return _user_prompt(entries.described(request))


def _full_name(model: str) -> str:
    with suppress(LLMError):
        return capabilities.resolve_model(model)
    return model
