"""What a static page says, before it is HTML, Markdown or plain text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from llm_playground.exporting import said
from llm_playground.exporting.columns import Row, clean

NOTE = "Saved answers. Run this cell to go on."
NOTHING = "No answers yet. Run this cell to ask."
_UNNAMED = "Playground"
_LONGEST = 300  # characters of a name or a setting


@dataclass(frozen=True, slots=True)
class Leaf:
    """One playground with its answers; all texts are without keys, none is escaped.

    Args:
        name: The heading.
        note: What this is.
        prompts: The prompts' texts, by what they are called.
        settings: What was set, by name.
        compared: A line for each answer, under :attr:`HEAD`; empty where there is one answer.
        answers: The answers.
    """

    HEAD = ("answer", "model", "ended", "cost", "time", "tokens")

    name: str
    note: str
    prompts: tuple[tuple[str, str], ...]
    settings: tuple[tuple[str, str], ...]
    compared: tuple[tuple[str, ...], ...]
    answers: tuple[Answer, ...]

    @classmethod
    def of(
        cls, name: str | None, form: Mapping[str, Any], rows: Sequence[Row], left_out: int
    ) -> Leaf:
        """The page of a playground.

        Args:
            name: The playground's.
            form: What was asked.
            rows: The answers that fit.
            left_out: How many more there are.
        """
        texts = (("System prompt", form.get("system")), ("User prompt", form.get("prompt")))
        lines = [_compared(number, row) for number, row in enumerate(rows, 1)]
        return cls(
            name=_line(name or "") or _UNNAMED,
            note=_note(rows, left_out),
            prompts=tuple((title, str(text)) for title, text in texts if text),
            settings=tuple(_settings(form)),
            compared=tuple(lines) if len(lines) > 1 else (),
            answers=tuple(Answer.of(number, row) for number, row in enumerate(rows, 1)),
        )


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer: its text, what has to be said of it, its footer, its settings."""

    number: int
    model: str
    text: str
    notices: tuple[str, ...]
    footer: str
    settings: str

    @classmethod
    def of(cls, number: int, row: Row) -> Answer:
        """The answer of a row."""
        parts = [said.settings_line(row)[:_LONGEST], said.when(row) or ""]
        return cls(
            number=number,
            model=_line(row["model"] or "model unknown"),
            text=row["response_text"] or "",
            notices=tuple(said.notices(row)),
            footer=said.footnote(row),
            settings=" · ".join(part for part in parts if part),
        )


def _note(rows: Sequence[Row], left_out: int) -> str:
    note = NOTE if rows or left_out else NOTHING
    if not left_out:
        return note
    several = f"{left_out:,} more answers are" if left_out > 1 else "1 more answer is"
    return f"{note} {several} not kept in the notebook."


def _settings(form: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    models = form.get("models")
    chosen = [models] if isinstance(models, str) else list(models or ())
    if chosen:
        yield "models" if len(chosen) > 1 else "model", _line(", ".join(map(str, chosen)))
    for name in ("preset", "iterations"):
        if form.get(name) is not None:
            yield name, _line(form[name])
    for name, value in said.settings(form.get("parameters")):
        if value != "None":  # auto: not sent
            yield _line(name), _line(value)


def _compared(number: int, row: Row) -> tuple[str, ...]:
    model = _line(row["model"] or "")
    figures = (said.ending(row), said.cost(row), said.time(row), said.tokens(row))
    return (str(number), model, *figures)


def _line(value: object) -> str:
    line = " ".join(clean(str(value)).split())
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"
