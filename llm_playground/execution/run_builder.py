"""Builds a :class:`~llm_playground.types.Run` from the events of its attempts."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from decimal import Decimal

from llm_playground.catalog import estimates, pricing
from llm_playground.errors import LLMError
from llm_playground.events import (
    Finish,
    InBackground,
    PartAdded,
    PartEnded,
    ProviderEvent,
    ReasoningDelta,
    Responded,
    TextDelta,
    ToolCallDelta,
)
from llm_playground.execution import charges
from llm_playground.execution.charges import Charge
from llm_playground.parts import (
    LEFT_OUT,
    REPEATS,
    AnswerPart,
    AudioPart,
    ImagePart,
    Original,
    OtherPart,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCall,
    from_provider,
    text_of,
)
from llm_playground.redaction import redact
from llm_playground.types import Attempt, Request, Run, Status, Usage, UsageSource

# The longest answer within a limit of tokens, in characters. No language has more than about 8
# characters a token on average in the vocabularies of OpenAI, Llama and Gemma
# (https://github.com/openai/tiktoken, https://huggingface.co/google/gemma-2-2b). Only runs of one
# character have tokens of up to 128 characters; such a run is counted as one character.
_MAX_CHARS_PER_TOKEN = 16
_FREE_CHARS = 1024  # for short answers, which may be one long word
_RUN = re.compile(r"(.)\1{1,127}", re.DOTALL)
# Some providers do not count reasoning towards the limit.
_FREE_REASONING_TOKENS = 65_536
# An answer of more or larger parts is one that does not end; what is beyond is counted.
_MAX_PARTS = 10_000
_MAX_PARTS_BYTES = 256 << 20
# What a killed process received of reasoning and calls is known up to about this many characters.
_NOTED_EVERY_CHARS = 1_000


@dataclass(slots=True)
class _Length:
    """The length of a text that grows."""

    chars: int = 0
    checked: int = 0  # up to this length it is not too long

    def is_above(self, most: int, pieces: Callable[[], Iterable[str]]) -> bool:
        """Whether it has more than ``most`` characters, a run of one character counted as one."""
        if self.chars <= most or self.chars <= self.checked:
            return False
        self.checked = self.chars + self.chars // 4
        return len(_RUN.sub(r"\1", "".join(pieces()))) > most


@dataclass(slots=True)
class _Piece:
    """A part of the answer: whole, or the deltas of one kind from ``start`` on.

    ``start`` counts the texts or reasonings before it; for a tool call it is the call's index.
    """

    kind: type[AnswerPart]
    start: int = 0
    whole: AnswerPart | None = None
    original: Original | None = None
    is_refusal: bool = False


@dataclass(slots=True)
class RunBuilder:
    """Collects the attempts and events of a run in order.

    ``skeleton`` is the run before its first attempt, ``finish`` the provider's last event.
    """

    skeleton: Run
    request: Request
    attempts: list[Attempt] = field(default_factory=list)
    delivered: bool = False
    finish: Finish | None = None
    background: InBackground | None = None  # of the current attempt, or of the last
    unanswered: list[Charge] = field(default_factory=list)  # attempts that gave nothing
    _answer: _Length = field(default_factory=lambda: _Length())
    _reasoning: _Length = field(default_factory=lambda: _Length())
    _texts: list[str] = field(default_factory=list)
    _reasonings: list[str] = field(default_factory=list)
    _calls: dict[int, list[ToolCallDelta]] = field(default_factory=dict)
    _pieces: list[_Piece] = field(default_factory=list)
    _kind: type[AnswerPart] | None = None  # of the piece that grows
    _noted_chars: int = 0
    _streamed: set[type[AnswerPart]] = field(default_factory=set)
    _whole_bytes: int = 0
    _left_out: int = 0  # parts
    _is_cut_off: bool = False
    _responded: Responded | None = None
    _likely: Usage | None = None
    _queued_ms: float | None = None
    _waited_ms: float = 0.0
    _queued_at: float | None = None
    _sent_at: float | None = None
    _ttft_ms: float | None = None
    _ended_at: float | None = None

    @property
    def billed_usd(self) -> Decimal:
        """What the ended attempts without an answer may cost: at least their input."""
        price = charges.sum_of([self._price_of(one) for one in self.unanswered])
        return price.cost_usd or price.at_least_usd or Decimal(0)

    @property
    def spent_ms(self) -> float:
        """The duration of the ended attempts and the waits between them."""
        return sum(attempt.wait_ms + attempt.duration_ms for attempt in self.attempts)

    def queued(self) -> None:
        """The wait for the limiter and the budget begins."""
        self._queued_at = time.perf_counter()

    def waiting(self, wait_s: float) -> None:
        """Set the wait between the failed attempt and the next, planned or as it was."""
        self._waited_ms = wait_s * 1000

    def sent(self) -> None:
        """An attempt begins."""
        self._sent_at = now = time.perf_counter()
        if self._queued_at is not None:
            self._queued_ms = (self._queued_ms or 0.0) + (now - self._queued_at) * 1000
            self._queued_at = None
        self._responded, self._ended_at, self.background = None, None, None

    def add(self, event: ProviderEvent) -> None:
        """Add an event of the current attempt."""
        match event:
            case TextDelta(text):
                if self._kind is not TextPart:  # a call per delta would cost more
                    self._begin(_Piece(TextPart, len(self._texts)))
                self._texts.append(text)
                self._answer.chars += len(text)
            case ReasoningDelta(text):
                if self._kind is not ReasoningPart:
                    self._begin(_Piece(ReasoningPart, len(self._reasonings)))
                self._reasonings.append(text)
                self._reasoning.chars += len(text)
            case ToolCallDelta():
                self._add_call(event)
            case PartAdded(part):
                self._add_whole(part)
            case _:
                self._note(event)
                return
        if not self.delivered:
            self.delivered = True
            self._ttft_ms = (
                self.spent_ms + self._waited_ms + self._since_sent_ms(time.perf_counter())
            )

    def is_past(self, limit: int) -> bool:
        """Whether the answer is far longer than its limit of tokens allows."""
        most = _FREE_CHARS + _MAX_CHARS_PER_TOKEN * limit
        most_reasoning = most + _MAX_CHARS_PER_TOKEN * _FREE_REASONING_TOKENS
        return self._answer.is_above(
            most, lambda: (*self._texts, self._written_calls())
        ) or self._reasoning.is_above(most_reasoning, lambda: self._reasonings)

    def cut_off(self) -> None:
        """End the answer here, with what was counted so far: it is longer than its limit."""
        self._is_cut_off = True
        self.add(replace(self._so_far(), finish_reason="length"))

    def stop_repeating(self) -> None:
        """End the answer here: it repeats itself."""
        self.add(PartAdded(OtherPart(REPEATS, "{}")))
        self._is_cut_off = True
        self.add(replace(self._so_far(), finish_reason="other"))

    def attempted(self, error: LLMError | None) -> None:
        """The current attempt has ended; without one, do nothing."""
        if self._sent_at is None:
            return
        billed = None
        if not self._has_answer:
            charge = charges.of_unanswered(error, self.request, self._so_far())
            self.unanswered += [] if charge is None else [self._storable(charge)]
            billed = charge is not None
        duration_ms = self._since_sent_ms(self._ended_at or time.perf_counter())
        self.attempts.append(replace(self._attempt(duration_ms, error), billed=billed))
        self._sent_at, self._waited_ms = None, 0.0

    def run(self) -> Run:
        """The run so far, still running; its input is estimated, in case the process dies."""
        return replace(
            self.skeleton,
            text="".join(self._texts),
            reasoning="".join(self._reasonings),
            usage=self._likely_usage(),
        )

    def run_so_far(self) -> Run:
        """The run without its texts, with what the provider has reported, in case the process dies.

        That is the id of an answer in the background, the model, the tier, the counts and a stated
        cost; ``usage_source`` is ``provider`` if it has counted the input. The output is what it
        has counted, at least what has come.
        """
        finish, present_ms = self._so_far(), self._since_sent_ms(time.perf_counter())
        usage = finish.usage or Usage()
        received = (*self._reasonings, *self._texts, self._written_calls())
        self._noted_chars = self._chars
        output = estimates.of_bytes(sum(len(text.encode("utf-8", "replace")) for text in received))
        known = charges.completed(usage, self._likely_usage(), has_ended=False)
        known = replace(known, output_tokens=max(usage.output_tokens or 0, output) or None)
        return replace(
            self.skeleton,
            attempts=[*self.attempts, self._attempt(present_ms, None)],
            response_model=finish.response_model and redact(finish.response_model),
            usage=charges.together([*(one.usage for one in self.unanswered if one.usage), known]),
            usage_source="provider" if usage.input_tokens else "none",
            at_least_usd=usage.reported_cost_usd,
        )

    @property
    def is_worth_noting(self) -> bool:
        """Whether much has come since the last :meth:`run_so_far`."""
        least = max(_NOTED_EVERY_CHARS, self._noted_chars // 16)  # else long answers cost more
        return self._chars - self._noted_chars >= least

    @property
    def _chars(self) -> int:
        return self._answer.chars + self._reasoning.chars

    def _likely_usage(self) -> Usage:
        if self._likely is None:
            self._likely = estimates.likely_input(self.request)
        return self._likely

    def ended(self, status: Status, error: LLMError | None, dropped: tuple[str, ...]) -> Run:
        """The run after its end; ``dropped`` parameters were set and not sent."""
        run, finish = self.run(), self.finish or self._so_far()
        charge, usage_source = self._charge(run, finish)
        cost = self._price(charge)
        ended = replace(
            run,
            status=status,
            finish_reason=self.finish.finish_reason if self.finish else None,
            tool_calls=tuple(
                from_provider(_tool_call(call), self.request.provider)
                for call in self._calls.values()
            ),
            parts=tuple(from_provider(part, self.request.provider) for part in self._parts()),
            sources=finish.sources,
            stop_sequence=self._stop_sequence(finish),
            logprobs=finish.logprobs,
            response_model=finish.response_model and redact(finish.response_model),
            usage=charge.usage,
            usage_source=usage_source,
            cost_usd=cost.cost_usd,
            at_least_usd=cost.at_least_usd,
            price_source=cost.source,
            ttft_ms=self._ttft_ms,
            response_time_ms=self.spent_ms if self.attempts else None,
            queue_ms=self._queued_ms,
            attempts=self.attempts,
            error=error,
            dropped_parameters=dropped,
        )
        return self._with_data(ended)

    def _stop_sequence(self, finish: Finish) -> str | None:
        """The stop text at which the answer ended; some servers send another word in its place."""
        asked = self.request.parameters
        is_one = finish.stop_sequence in (asked.stop or ()) or bool(asked.extra)
        return finish.stop_sequence if is_one else None

    def repeated(self, stored: Run, *, timed: bool = False) -> Run:
        """The run that repeats a stored one; if ``timed``, it takes the same time."""
        source: UsageSource = "provider" if stored.usage else "none"
        repeated = replace(
            self.skeleton,
            status=stored.status,
            text=stored.text,
            reasoning=stored.reasoning,
            tool_calls=stored.tool_calls,
            parts=stored.parts,
            sources=stored.sources,
            stop_sequence=stored.stop_sequence,
            logprobs=stored.logprobs,
            response_model=stored.response_model,
            finish_reason=stored.finish_reason,
            dropped_parameters=stored.dropped_parameters,
            usage=stored.usage,
            usage_source=source if stored.usage_source == "none" else stored.usage_source,
            cost_usd=Decimal(0),
            price_source="reused",
            cached=True,
            saved_usd=stored.cost_usd,
            ttft_ms=stored.ttft_ms if timed else None,
            response_time_ms=stored.response_time_ms if timed else None,
            error=stored.error,
        )
        return self._with_data(repeated)

    def _begin(self, piece: _Piece) -> None:
        self._kind = piece.kind
        is_whole = piece.whole is not None or piece.kind is ToolCall
        if len(self._pieces) < _MAX_PARTS or not (is_whole or piece.kind in self._streamed):
            self._pieces.append(piece)
        elif is_whole:
            self._left_out += 1  # whereas text goes on in the last piece of its kind
        if not is_whole:
            self._streamed.add(piece.kind)

    def _add_whole(self, part: AnswerPart) -> None:
        self._whole_bytes += _size(part)
        if self._whole_bytes > _MAX_PARTS_BYTES:
            self._left_out += 1
        else:
            self._begin(_Piece(type(part), whole=part))
        self._kind = None

    def _add_call(self, delta: ToolCallDelta) -> None:
        if delta.index not in self._calls:
            self._begin(_Piece(ToolCall, delta.index))
        self._answer.chars += len(_written(delta))
        self._calls.setdefault(delta.index, []).append(delta)

    def _note(self, event: PartEnded | Responded | InBackground | Finish) -> None:
        match event:
            case InBackground():
                self.background = event
            case PartEnded(original, is_refusal):
                if self._pieces and self._kind is not None and len(self._pieces) < _MAX_PARTS:
                    self._pieces[-1].original = original
                    self._pieces[-1].is_refusal = is_refusal
                self._kind = None
            case Responded():
                self._responded = event
            case Finish():
                self.finish, self._ended_at = event, time.perf_counter()

    def _parts(self) -> tuple[AnswerPart, ...]:
        """The parts of the answer in the order in which they began."""
        ends = {TextPart: len(self._texts), ReasoningPart: len(self._reasonings)}
        parts: list[AnswerPart] = []
        for piece in reversed(self._pieces):
            start, original = piece.start, piece.original
            if piece.whole is not None:
                part = piece.whole
            elif piece.kind is ToolCall:
                call = _tool_call(self._calls[start])
                part = call if original is None else replace(call, original=original)
            else:
                pieces = self._texts if piece.kind is TextPart else self._reasonings
                text = "".join(pieces[start : ends[piece.kind]])
                kind = RefusalPart if piece.is_refusal else piece.kind
                part = kind(text, original=original)  # type: ignore[call-arg]  # one of three
                ends[piece.kind] = start
            parts.append(part)
        parts.reverse()
        if self._left_out:
            parts.append(OtherPart(LEFT_OUT, f'{{"parts": {self._left_out}}}'))
        return tuple(parts)

    def _so_far(self) -> Finish:
        """What was read of an answer that has not ended."""
        read = self._responded.so_far if self._responded else None
        return Finish("other") if read is None else read()

    def _since_sent_ms(self, now: float) -> float:
        return 0.0 if self._sent_at is None else (now - self._sent_at) * 1000

    def _attempt(self, duration_ms: float, error: LLMError | None) -> Attempt:
        responded, finish = self._responded, self.finish
        status_code = responded.status_code if responded else None
        request_id = finish.request_id if finish else responded.request_id if responded else None
        request_id = getattr(error, "request_id", None) or request_id
        return Attempt(
            number=len(self.attempts) + 1,
            wait_ms=self._waited_ms,
            duration_ms=duration_ms,
            status_code=getattr(error, "status_code", None) or status_code,
            request_id=request_id and redact(request_id),  # a server may echo the key
            error_type=type(error).__name__ if error else None,
            reason=redact(error.detail or str(error)) if error else None,
            skipped_events=finish.skipped_events if finish else 0,
            response_id=self.background.response_id if self.background else None,
        )

    @property
    def _has_answer(self) -> bool:
        return self.delivered or self.finish is not None

    def _charge(self, run: Run, finish: Finish) -> tuple[Charge, UsageSource]:
        """What the provider counted, with estimates of what it has not; else an estimate."""
        reported, has_ended = finish.usage, self.finish is not None and not self._is_cut_off
        if not self._has_answer:
            usages = [one.usage for one in self.unanswered if one.usage]
            total = charges.together(usages) if usages else None
            return Charge(total), "estimated" if usages else "none"
        if has_ended and reported is not None and reported.total_tokens is not None:
            charge = Charge(reported, finish.response_model)
            if self._is_storable(charge):
                return charge, "provider"
        answer = run.reasoning + run.text + self._written_calls()
        usage = estimated = estimates.estimate_usage(self.request, answer)
        if reported is not None:  # without a cost, budgets would not count it
            usage = charges.completed(reported, estimated, has_ended=has_ended)
        is_partial = not has_ended and (self._is_cut_off or finish.finish_reason == "other")
        charge = Charge(usage, finish.response_model, is_partial)
        if not self._is_storable(charge):
            charge = replace(charge, usage=estimated)
        return charge, "estimated"

    def _written_calls(self) -> str:
        return "".join(_written(delta) for call in self._calls.values() for delta in call)

    def _price_of(self, charge: Charge) -> pricing.Price:
        return charge.price(self.skeleton, self.request)

    def _is_storable(self, charge: Charge) -> bool:
        return self._price_of(charge) is not pricing.TOO_LARGE

    def _storable(self, charge: Charge) -> Charge:
        """The charge of an attempt without an answer; an estimate for counts that cannot be."""
        if self._is_storable(charge):
            return charge
        return replace(charge, usage=estimates.estimate_usage(self.request, ""))

    def _price(self, charge: Charge) -> pricing.Price:
        """The price of the answer, if any, and of the attempts without an answer."""
        own = [self._price_of(charge)] if self._has_answer or not self.unanswered else []
        total = charges.sum_of([*own, *map(self._price_of, self.unanswered)])
        total_usd = total.at_least_usd or total.cost_usd
        is_storable = total_usd is None or pricing.storable(total_usd)
        return total if is_storable else (own or [pricing.UNKNOWN])[0]

    def _with_data(self, run: Run) -> Run:
        """The run with its text parsed by the schema, or the reason why that failed."""
        schema = self.request.schema
        if schema is None or run.status != "completed" or (run.tool_calls and not run.text):
            return run
        try:
            return replace(run, data=schema.parse(run.text))
        except ValueError as error:
            reason = _cut_off(run) if run.finish_reason == "length" else redact(str(error))
            return replace(run, data_error=reason)
        except Exception as error:  # a user's validator may raise anything; the answer is kept
            return replace(run, data_error=redact(f"{type(error).__name__}: {error}"))


def _cut_off(run: Run) -> str:
    at = f" at {run.cut_off_at:,} tokens" if run.cut_off_at else ""
    return f"The answer was cut off{at}, before its JSON was complete. Set a higher max_tokens."


def _size(part: AnswerPart) -> int:
    data = part.data if isinstance(part, (ImagePart, AudioPart)) else None
    original = getattr(part, "original", None)
    return len(data or b"") + len(text_of(part)) + (len(original.json) if original else 0)


def _written(delta: ToolCallDelta) -> str:
    """What a model has written for a piece of a tool call, also of a call without arguments."""
    return f"{delta.name or ''}(){delta.arguments_json}" if delta.id else delta.arguments_json


def _tool_call(deltas: list[ToolCallDelta]) -> ToolCall:
    return ToolCall(
        id=next((delta.id for delta in deltas if delta.id), ""),
        name=next((delta.name for delta in deltas if delta.name), ""),
        arguments_json="".join(delta.arguments_json for delta in deltas) or "{}",
        original=next((delta.original for delta in deltas if delta.original), None),
    )
