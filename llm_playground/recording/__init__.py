"""Recordings of answers, and the one place that decides where an answer comes from.

- ``live`` sends every call; this package is not used.
- ``record`` sends every call and adds its answer to the recording file of the notebook
  (:func:`recorded`).
- ``reuse`` looks in the log, then sends (:func:`stored_or_sent`).
- ``replay`` looks in the recording file, then in the log, and never sends.

An answer in the background that is resumed goes through :func:`resumed`.

A recording file (:mod:`~llm_playground.recording.file`) has entries of a kind
(:mod:`~llm_playground.recording.entries`); calls are one. The k-th identical request of a kernel
gets the k-th answer, and the iterations of one execution theirs by their numbers. In all modes but
``reuse``, a cell that is executed again gets the same ones
(:mod:`~llm_playground.recording.numbers`).
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from llm_playground import config
from llm_playground.errors import ConfigError, RunLogError
from llm_playground.events import RunFinished, StreamEvent
from llm_playground.formatting import count
from llm_playground.recording import answers, entries, kernel, log_answers, matching, numbers
from llm_playground.recording.entries import CALL, Entry, StoredAnswer
from llm_playground.redaction import printable, redact
from llm_playground.types import Execution, Request, Run

Emit = Callable[[StreamEvent], None]

# A logger, not warnings.warn: a filter that turns warnings into exceptions would lose the answer.
_log = logging.getLogger(__name__)


async def stored_or_sent(
    request: Request,
    execution: Execution,
    iteration_number: int,
    send: Callable[[], Awaitable[Run]],
) -> StoredAnswer | Run:
    """The stored answer for a request in mode ``reuse`` or ``replay``, or the run of sending it.

    Raises:
        ConfigError: Mode ``replay`` and no answer is stored, or ``reuse`` and privacy stores none,
            or a recording cannot be read.
        RunLogError: The log cannot be read, or another process has kept it for a second.
    """
    if config.mode() != "replay":
        _check_privacy("re-used")
        return await log_answers.stored_or_sent(request, execution, iteration_number, send)
    key = entries.key_of(request)
    number = numbers.of_iteration(key, execution, iteration_number)
    kernel.note_use((CALL, key), number)
    found = await asyncio.to_thread(_in_files, request, key, number)
    if found is not None:
        # The k-th call gets the k-th answer of the log too.
        numbers.of_iteration(request.prompt_hash(), execution, iteration_number)
        kernel.use().from_file += 1
        return found

    async def miss() -> Run:
        error = await asyncio.to_thread(_miss, request, key, number)
        kernel.use().missed.append(str(error))
        raise error

    try:
        stored = await log_answers.stored_or_sent(request, execution, iteration_number, miss)
    except RunLogError:
        if not kernel.paths_to_replay():
            raise
        return await miss()  # with a recording, no log is needed
    kernel.use().from_log += 1
    return stored


def count_fresh(request: Request, execution: Execution, iteration_number: int) -> None:
    """Count a call that is sent whatever is stored, so that later ones get later answers."""
    for key in (entries.key_of(request), request.prompt_hash()):
        numbers.of_iteration(key, execution, iteration_number)


def stored_answers(request: Request) -> tuple[set[int], int]:
    """The numbers of a request's answers in recordings, and how many answers the log has.

    Raises:
        ConfigError: A recording cannot be read.
        RunLogError: The log cannot be read.
    """
    key, recorded = entries.key_of(request), set[int]()
    for path in kernel.paths_to_replay():
        entry = kernel.file(path).read().find(CALL, key)
        recorded |= set() if entry is None else set(entry.answers)
    return recorded, log_answers.number_of(request)


def _in_files(request: Request, key: str, number: int) -> StoredAnswer | None:
    for path in kernel.paths_to_replay():
        recording = kernel.file(path).read()
        entry = recording.find(CALL, key)
        if entry is not None and number in entry.answers:
            try:
                run = answers.run_of_answer(
                    entry.answers[number], request.parameters, recording.media
                )
            except ValueError as error:
                raise ConfigError(
                    f"The recording {path} cannot be read ({error}). Correct or restore it, or "
                    "remove it and record again."
                ) from None
            kernel.use().last = path
            response = entry.answers[number].get(answers.RESPONSE)
            return StoredAnswer(run, response if isinstance(response, Mapping) else None)
    return None


def _miss(request: Request, key: str, number: int) -> ConfigError:
    """The error about a request without an answer: the closest stored one, and what differs."""
    paths = kernel.paths_to_replay()
    found = [one for path in paths for one in kernel.file(path).read().entries if one.kind == CALL]
    stored_each = [len(one.answers) for one in found if one.key == key]
    with suppress(RunLogError):
        stored_each.append(log_answers.number_of(request))
    record = 'record it with lp.configure(mode="record")'
    if any(stored_each):
        has = count(max(stored_each), "answer")
        return ConfigError(
            f"Replay has {has} for this prompt to {request.model}, and this is call {number} of it "
            "in this kernel. Restart the kernel or run %llm replay on to begin again, or "
            f"{record}.",
            model=request.model,
        )
    wanted = entries.described(request, config.privacy().redact)
    where, stored = ", ".join(path.name for path in paths), [one.request for one in found]
    if not stored:
        where = "the log"
        with suppress(RunLogError):
            stored = list(log_answers.asked_before(request))
    closest = matching.closest(wanted, stored)
    line = f"No answer is stored for this prompt to {request.model}, and replay never sends. "
    if closest is not None:
        difference = matching.explained(closest, wanted)
        line += f"Closest in {where}: {closest.get('model')}; {difference}. "
    return ConfigError(f"{line}Run the cell as it was, or {record}.", model=request.model)


async def recorded(
    request: Request,
    execution: Execution,
    iteration_number: int,
    emit: Emit,
    send: Callable[[Emit], Awaitable[Run]],
    response: Callable[[Run], Mapping[str, Any] | None] = lambda _run: None,
) -> Run:
    """Send a call and add its answer to the recording; it is there before the call ends.

    What ``response`` returns of an ended run is kept with its answer, unless personal data is
    masked.

    A call that cannot be recorded later, such as on a full disk, is still a run; a warning says so.

    Raises:
        ConfigError: It cannot be recorded; nothing was sent.
    """
    _check_privacy("recorded")
    path, key = kernel.path_to_write("Nothing was sent"), entries.key_of(request)
    number = numbers.of_iteration(key, execution, iteration_number)
    numbers.of_iteration(request.prompt_hash(), execution, iteration_number)
    return await _recorded(path, request, number, emit, send, response)


async def resumed(
    request: Request, run_id: str, emit: Emit, send: Callable[[Emit], Awaitable[Run]]
) -> Run:
    """Read the answer of an interrupted run; in mode ``record``, add it to the recording.

    There it has the number of the interrupted call; if another kernel made that, the first free
    one.

    Raises:
        ConfigError: It cannot be recorded, or the mode is ``replay``; nothing was sent.
    """
    if config.mode() == "replay":
        raise ConfigError(
            "Nothing was resumed: mode replay never uses the network. "
            'lp.configure(mode="live") does, and mode="record" also adds the answer to a recording.'
        )
    if config.mode() != "record":
        return await send(emit)
    _check_privacy("recorded")
    path, key = kernel.path_to_write("Nothing was sent"), entries.key_of(request)
    number = kernel.use().interrupted.get(run_id)
    if number is None:
        entry = (await asyncio.to_thread(kernel.file(path).read)).find(CALL, key)
        has = entry.answers if entry is not None else {}
        number = next(free for free in itertools.count(1) if free not in has)
    return await _recorded(path, request, number, emit, send, lambda _run: None)


async def _recorded(
    path: Path,
    request: Request,
    number: int,
    emit: Emit,
    send: Callable[[Emit], Awaitable[Run]],
    response: Callable[[Run], Mapping[str, Any] | None],
) -> Run:
    key, privacy = entries.key_of(request), config.privacy()
    kernel.note_use((CALL, key), number)
    await asyncio.to_thread(kernel.file(path).check_writable)
    last: list[RunFinished] = []

    def emit_but_last(event: StreamEvent) -> None:
        if isinstance(event, RunFinished):
            last.append(event)
        else:
            emit(event)

    try:
        run = await send(emit_but_last)
        if run.status in answers.RECORDED_STATUSES and not isinstance(run.error, ConfigError):
            entry = Entry(CALL, key, entries.described(request, privacy.redact))
            answer, media = answers.as_json(run, privacy), answers.media_of(run)
            media = media if privacy.stores_attachments else {}
            kept = None if privacy.redact else response(run)
            answer |= {} if kept is None else {answers.RESPONSE: kept}
            adding = asyncio.to_thread(kernel.add_answer, path, entry, answer, number, media)
            await asyncio.shield(adding)
        elif run.status == "interrupted":
            kernel.use().interrupted[run.id] = number
    except (ConfigError, OSError) as error:
        _warn(path, error)
    finally:
        for event in last:
            emit(event)
    return run


def _warn(path: Path, error: Exception) -> None:
    why = getattr(error, "strerror", None) or str(error)
    line = f"An answer is not in the recording {path} ({why}). Run the cell again to record it."
    _log.warning("%s", printable(redact(line)))


def _check_privacy(verb: str) -> None:
    """Check that answers may be stored.

    Raises:
        ConfigError: They may not.
    """
    privacy = config.privacy()
    if privacy.store == "texts" and (verb == "re-used" or privacy.sample >= 1):
        return
    stored = f'"{privacy.store}", so none is stored'
    if privacy.store == "texts":
        stored = f"to store a sample of {privacy.sample:g}, so some are not"
    raise ConfigError(
        f"No answer can be {verb}: privacy is {stored}. "
        'lp.configure(mode="live") sends without storing.'
    )
