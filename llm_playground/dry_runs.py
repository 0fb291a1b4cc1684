"""The public function ``dry_run``: what a call would send, cost and meet; nothing is sent."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from html import escape
from itertools import groupby
from typing import Any

from llm_playground import config, formatting, providers, rendering
from llm_playground._validation import with_signature_of
from llm_playground.budgeting import confirm_worst_case, fit
from llm_playground.budgeting.ledger import histories_of
from llm_playground.budgeting.status import BudgetStatus, budget_statuses
from llm_playground.calls import CallOptions, options_from_arguments
from llm_playground.catalog import estimates
from llm_playground.catalog.estimates import Estimate
from llm_playground.codegen.request import PreparedRequest, prepare
from llm_playground.errors import BudgetExceededError, LLMError
from llm_playground.execution import Call
from llm_playground.providers import wire_formats
from llm_playground.recording import numbers, stored_answers
from llm_playground.recording.entries import key_of
from llm_playground.redaction import printable, redact
from llm_playground.request.parameters import unknown_name

_LONGEST_TEXT = 1_000
_LONGEST_DATA = 60
_DATA = re.compile(r"(?:data:[^,]{0,200},)?[A-Za-z0-9+/=_-]{100,}")
_SUMMARY = "Dry run: nothing was sent, and no run is logged."


@dataclass(frozen=True, slots=True, repr=False)
class DryRun:
    """What one request would be; ``print`` shows it, and so does a notebook.

    Args:
        model: ``provider:name``.
        calls: How many times it would be sent.
        line: The HTTP method and the URL.
        headers: The HTTP headers, with ``…`` in place of the key.
        body: The JSON body, without keys; empty if another package builds it.
        estimate: Tokens and costs of all calls; the amounts are US dollars.
        problems: Why calls would not be sent, and the budgets that warn of them, a line each.
        answer: Where the answer would come from, as a sentence.
    """

    model: str
    calls: int
    line: str
    headers: Sequence[tuple[str, str]]
    body: Mapping[str, Any]
    estimate: Estimate
    problems: tuple[str, ...]
    answer: str

    def __repr__(self) -> str:
        head = [_SUMMARY, *self._facts(), "", self.line]
        head += [f"{name}: {value}" for name, value in self.headers]
        return printable(redact("\n".join([*head, "", self._body()])))

    def _repr_html_(self) -> str:
        head = "".join(f"<div>{escape(printable(redact(text)))}</div>" for text in self._facts())
        headers = "".join(f"{name}: {value}\n" for name, value in self.headers)
        request = rendering.code_to_html(f"{self.line}\n{headers}", "http")
        body = rendering.code_to_html(self._body(), "json")
        return (
            f"<div><div><strong>{_SUMMARY}</strong></div>{head}"
            f"<details open><summary>Request</summary>{request}{body}</details></div>"
        )

    def _facts(self) -> list[str]:
        one = self.estimate
        calls = formatting.count(self.calls, "call")
        tokens = (
            f"{formatting.count(one.input_tokens, 'token')} in, about {one.output_tokens:,} out"
        )
        return [f"{self.model}, {calls}: {tokens}; {one}.", *self.problems, self.answer]

    def _body(self) -> str:
        return json.dumps(_shortened(self.body), indent=2, ensure_ascii=False)


def _shortened(value: Any) -> Any:  # noqa: ANN401 - a JSON value is any of six types
    """A JSON value with the beginnings of long texts, and of the bytes of images and files."""
    if isinstance(value, Mapping):
        return {name: _shortened(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_shortened(item) for item in value]
    if isinstance(value, str):
        longest = _LONGEST_DATA if _DATA.fullmatch(value) else _LONGEST_TEXT
        if len(value) > longest:
            return f"{value[:longest]}… ({len(value):,} characters)"
    return value


def of_calls(calls: Iterable[Call]) -> tuple[DryRun, ...]:
    """A dry run for each request of planned calls, in their order.

    Raises:
        ConfigError: A request cannot be sent as JSON, or a recording cannot be read.
        RunLogError: The log cannot be read.
    """
    groups = [tuple(group) for _, group in groupby(calls, key=lambda one: one.execution.id)]
    firsts = [group[0] for group in groups]
    statuses, now = budget_statuses(), datetime.now(UTC)
    histories = histories_of([one.request.model for one in firsts])
    planned: list[fit.Planned] = []
    caps: list[int | None] = []
    for group in groups:
        first, model = group[0], group[0].request.model
        has_limit = estimates.limit_of(first.request) is not None
        caps.append(None if has_limit else fit.cap_of(model, first.execution, statuses))
        one = estimates.of(first.request, now, histories[model], caps[-1])
        planned.append(fit.Planned(one, first.execution, len(group)))
    shared = _confirmation(firsts, groups)
    return tuple(
        _of_request(one, each, cap, _excesses(one, planned[: at + 1], statuses), shared)
        for at, (one, each, cap) in enumerate(zip(firsts, planned, caps, strict=True))
    )


def _of_request(
    call: Call,
    planned: fit.Planned,
    cap: int | None,
    excesses: Sequence[fit.Excess],
    shared: Sequence[str],
) -> DryRun:
    request = call.request.as_sent(wire_formats.dropped_in(call.request), cap)
    sent: PreparedRequest = prepare(request)
    together = estimates.together([planned.estimate] * planned.calls)
    answer, is_sent = _answer(call, planned.calls)
    refusals, warnings = list(shared), list[str]()
    if is_sent:  # a stored answer takes neither a key nor a budget
        refusals = [*_missing(request.provider), *_texts(excesses, refused=True), *shared]
        warnings = _texts(excesses, refused=False)
    if refusals:
        answer = f"Once that is solved: {answer[0].lower()}{answer[1:]}"
    return DryRun(
        model=request.model,
        calls=planned.calls,
        line=sent.shown_line,
        headers=tuple(sent.shown_headers),
        body=sent.body,
        estimate=replace(together, model=request.model),
        problems=(*refusals, *warnings),
        answer=answer,
    )


def _missing(provider: str) -> list[str]:
    """What a provider lacks, such as its key."""
    if provider == "local":
        return []
    try:
        providers.endpoint_of(provider)
    except LLMError as error:
        return [str(error)]
    return []


def _texts(excesses: Sequence[fit.Excess], *, refused: bool) -> list[str]:
    return [one.text for one in excesses if one.is_refused == refused]


def _excesses(
    call: Call, planned: Sequence[fit.Planned], statuses: Sequence[BudgetStatus]
) -> list[fit.Excess]:
    """What budgets say of the last of the planned calls, after those before it."""
    earlier = list(fit.exceeded(planned[:-1], statuses))
    found = list(fit.exceeded(planned, statuses))[len(earlier) :]
    if found and call.override is not None:
        return [fit.Excess(f"Sent despite a budget: {call.override}", is_refused=False)]
    return found


def _confirmation(firsts: Sequence[Call], groups: Sequence[Sequence[Call]]) -> list[str]:
    """Why the calls need an override together, unless they have one."""
    if firsts[0].override is not None:
        return []
    try:
        requests = [call.request for group in groups for call in group]
        confirm_worst_case(requests, None, fresh=firsts[0].fresh)
    except BudgetExceededError as error:
        return [str(error)]
    return []


def _answer(call: Call, calls: int) -> tuple[str, bool]:
    """Where the answers of equal calls would come from, and whether something would be sent.

    That depends on the mode and on what is stored.
    """
    mode, request = config.mode(), call.request
    recorded, logged = stored_answers(request)
    if call.fresh:
        return "The answer would be a new one, as fresh asks for.", True
    cell = call.execution.cell_execution
    by_key = numbers.following(key_of(request), cell, calls)
    by_hash = numbers.following(request.prompt_hash(), cell, calls)
    in_file = {place for place, number in enumerate(by_key) if number in recorded}
    in_log = {place for place, number in enumerate(by_hash) if number <= logged}
    if mode in ("live", "record"):
        stored = "; an equal run is in the log, which mode reuse answers from" if logged else ""
        return f"The answer would come from the model (mode {mode}){stored}.", True
    found = in_log if mode == "reuse" else in_file | in_log
    where = "the log" if not in_file or mode == "reuse" else "the recording"
    if len(found) == calls:
        return f"The answer would come from {where} (mode {mode}), at no cost.", False
    missing = "sent to the model" if mode == "reuse" else "refused, since no answer is stored"
    used = (logged if mode == "reuse" else max(logged, len(recorded))) - len(found)
    beside = f", beside {used:,} that earlier calls of this kernel have used" if used else ""
    text = f"{len(found)} of {calls} answers are stored (mode {mode}){beside}; the others would be"
    return f"{text} {missing}.", mode == "reuse"


@with_signature_of(options_from_arguments, unknown_name)
def dry_run(options: CallOptions) -> DryRun:
    """Show what :func:`llm_playground.ask` would send with these arguments; nothing is sent.

    Returns:
        The request (URL, headers without keys, JSON body), the estimate of tokens and US dollars,
        which budgets would refuse it, and whether a stored answer would be used.

    Raises:
        ConfigError: The prompt cannot be sent.
        RunLogError: The log cannot be read.

    Example:
        >>> import llm_playground as lp
        >>> lp.dry_run("Say hello.", "local", temperature=0).body["messages"]
        [{'role': 'user', 'content': 'Say hello.'}]
    """
    [one] = of_calls(options.plan())
    return one
