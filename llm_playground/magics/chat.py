"""``%llm chat``: a conversation of this kernel, which goes on from cell to cell.

Every change is a new :class:`Conversation` on top of the earlier ones, so that ``undo`` takes back
the last turn and ``reset`` alike. A turn that failed or was interrupted changes nothing.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace

from llm_playground import _lifecycle, footer, formatting
from llm_playground._validation import shorten
from llm_playground.execution import Call
from llm_playground.magics.options import OPTIONS, PromptOptions, usage_error
from llm_playground.redaction import printable, redact
from llm_playground.request.messages import Turn
from llm_playground.request.templates import edited_message, escaped
from llm_playground.types import Message, Run

ACTS = ("reset", "undo")
# The options that stay until they are changed; the others are of one turn.
_KEPT = ("model", "temperature", "top_p", "max_tokens", "system", "preset", "param", "header")
_SHOWN_CHARS = 70
_SHOWN_TURNS = 10


@dataclass(frozen=True, slots=True)
class Conversation:
    """The turns so far, each a question and its answer, and the options that stay."""

    turns: tuple[tuple[Message, Run], ...] = ()
    options: PromptOptions = PromptOptions()  # noqa: RUF009 - frozen

    def earlier(self, *, raw: bool) -> list[Turn]:
        """The turns as the messages before the next one; their braces are text."""
        messages: list[Turn] = []
        for question, run in self.turns:
            messages += [question if raw else edited_message(question, escaped), run]
        return messages

    def with_turn(self, call: Call, run: Run, options: PromptOptions) -> Conversation:
        """This conversation and one more turn, with the options that stay of it."""
        values = {name: getattr(options, name) for name in _KEPT}
        kept = replace(PromptOptions(), **{**values, "model": (call.request.model,)})
        return Conversation((*self.turns, (call.request.messages[-1], run)), kept)


_states: list[Conversation] = []
_lifecycle.register_state(globals(), "_states", list)


def current() -> Conversation:
    """The conversation as it stands."""
    return _states[-1] if _states else Conversation()


def options_of_turn(given: PromptOptions) -> PromptOptions:
    """The options of a line, completed by those that stay.

    Raises:
        UsageError: An option is one of a comparison or of a saved prompt.
    """
    if given.iterations != 1 or len(given.model) > 1 or given.prompt is not None:
        raise usage_error(
            "%llm chat: a turn has one model and one answer, and its prompt is the line or cell: "
            "leave -n, further -m and --prompt out. Nothing was sent."
        )
    kept = current().options
    values = {f.name: getattr(given, f.name) for f in fields(given)}
    for name in _KEPT:
        if name in ("param", "header"):
            values[name] = _joined(getattr(kept, name), values[name])
        elif values[name] in (None, ()):
            values[name] = getattr(kept, name)
    return PromptOptions(**values)


def _joined(kept: Sequence[str], new: Sequence[str]) -> tuple[str, ...]:
    """Pairs ``NAME=VALUE``, where new ones take the place of those of the same name."""
    names = {pair.partition("=")[0] for pair in new}
    return (*(pair for pair in kept if pair.partition("=")[0] not in names), *new)


def add(call: Call, run: Run, options: PromptOptions) -> None:
    """Add a turn that was answered."""
    _states.append(current().with_turn(call, run, options))


def act(name: str) -> None:
    """Take the last change back, or begin a new conversation; prints what stands then."""
    if name == "reset" and not current().turns:
        print(_summary(current()))
    elif name == "reset":
        turns = formatting.count(len(current().turns), "turn")
        _states.append(Conversation())
        print(f"The chat of {turns} is over; %llm chat undo brings it back.")
    elif not _states:
        print("The chat has no turn to take back.")
    else:
        before = _states.pop()
        if before.turns:
            print(f"Taken back: {_line(before.turns[-1][0])}")
        print(_summary(current()))


def show() -> None:
    """Print the model, tokens, cost and turns of the conversation."""
    chat = current()
    print(_summary(chat))
    first = max(0, len(chat.turns) - _SHOWN_TURNS)
    if first:
        print(f"… {formatting.count(first, 'earlier turn')}")
    for number, (question, run) in enumerate(chat.turns[first:], first + 1):
        print(f"{number}  {_line(question)}")
        print(f"{' ' * len(str(number))}  → {_shown(run.text)}")
    if chat.turns:
        print("%llm chat undo takes the last turn back, %llm chat reset ends the chat.")


def _line(question: Message) -> str:
    others = [part for part in question.content if not hasattr(part, "text") or part.text is None]
    attached = f" [and {formatting.count(len(others), 'image or file')}]" if others else ""
    return f"{_shown(question.text)}{attached}"


def _shown(text: str) -> str:
    return printable(shorten(redact(text), _SHOWN_CHARS))


def _summary(chat: Conversation) -> str:
    """``Chat with openai:gpt-4o: 2 turns, 31 tokens, $0.0004. -t 0.2``."""
    if not chat.turns:
        return "The chat is empty. %llm chat, then a text, begins it."
    runs = [run for _, run in chat.turns]
    counts = [None if run.usage is None else run.usage.total_tokens for run in runs]
    tokens = formatting.count(sum(n or 0 for n in counts), "token")
    parts = [
        formatting.count(len(runs), "turn"),
        f"at least {tokens}" if None in counts else tokens,
        footer.total_cost(runs),
    ]
    written = " ".join(_written(chat.options))
    end = f". {written}" if written else "."
    return printable(redact(f"Chat with {runs[-1].model}: {', '.join(parts)}{end}"))


def _written(options: PromptOptions) -> Iterator[str]:
    """The options that stay, as they are written; the model is said already."""
    for option in OPTIONS:
        value = getattr(options, option.field)
        if option.field not in _KEPT or option.field == "model" or value in (None, ()):
            continue
        for one in value if option.repeatable else [value]:
            yield f"{option.flags[0]} {shlex.quote(shorten(str(one)))}"
