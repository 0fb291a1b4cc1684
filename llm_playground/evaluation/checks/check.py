"""What a check is: it scores one answer, with a value from 0 to 1 and whether it passes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from llm_playground.calls import CallOptions
from llm_playground.types import Run


@dataclass(frozen=True, slots=True)
class Subject:
    """What a check looks at.

    Attributes:
        text: The text of the answer.
        data: The answer parsed by the schema of the call; None without one.
        run: The run.
        case: The row of the case, by column; empty without cases.
        expected: The value of the case's expected column; None without one.
        prompt: The user prompt as it was sent.
    """

    text: str
    data: Any
    run: Run
    case: Mapping[str, Any] = field(default_factory=dict)
    expected: Any = None
    prompt: str = ""


@dataclass(frozen=True, slots=True)
class Score:
    """What one check says of one answer.

    Attributes:
        value: From 0 to 1; None if the check gave none.
        passed: Whether the answer passes; None if that is not known.
        detail: One line with the reason.
        error: One line about why there is no value; None for none.
        probability: How likely the answer passes, where a model said so.
        judge_run_ids: The runs of the judging models.
    """

    value: float | None = None
    passed: bool | None = None
    detail: str = ""
    error: str | None = None
    probability: float | None = None
    judge_run_ids: tuple[str, ...] = ()


class Judging(Protocol):
    """Makes the calls that checks need; they are logged as runs of the comparison's checks."""

    async def ask(self, options: CallOptions, check: str) -> Run:
        """Send the one call that ``options`` describe for a check; a failed call is a run too."""
        ...


class Check(Protocol):
    """Scores answers. ``lp.checks`` has the constructors; a Python function is one, too."""

    @property
    def name(self) -> str:
        """The name, unique in a comparison."""
        ...

    @property
    def weight(self) -> float:
        """How much the check counts in the weighted mean of an answer's values."""
        ...

    @property
    def threshold(self) -> float:
        """The value from which on an answer passes."""
        ...

    def definition(self) -> Mapping[str, Any]:
        """What decides about scores, as JSON: answers are scored again if it changes."""
        ...

    async def score(self, subject: Subject, judging: Judging) -> Score:
        """Score one answer.

        Raises:
            Exception: The check failed; the answer's score is an error with this message.
        """
        ...
