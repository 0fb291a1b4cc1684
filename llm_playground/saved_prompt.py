"""A prompt with a name: what is sent, with which parameters, to which model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from llm_playground.parameters import preset
from llm_playground.types import Message, Parameters, Request, TextPart

_NOTHING_SET = Parameters()


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt as it was saved, or as a ``.prompty`` file holds it. ``str()`` is the user prompt.

    ``lp.ask(prompt)``, ``lp.complete``, ``lp.stream``, ``lp.compare`` and ``%%llm --prompt`` take
    it; what is said beside it wins. ``{{name}}`` in it is filled as in any prompt.

    Args:
        messages: All turns, the system prompt first; the last is what is asked.
        parameters: What was set.
        model: The model it was saved with, as ``provider:name``; None where none is known.
        name: Under which it was saved.
        version: From 1; None for one that was not saved.
        note: What its author said of this version.
        username: Who saved it.
        created_at: When, in UTC.
    """

    messages: tuple[Message, ...]
    parameters: Parameters = _NOTHING_SET
    model: str | None = None
    name: str | None = None
    version: int | None = None
    note: str | None = None
    username: str | None = None
    created_at: datetime | None = None

    def __str__(self) -> str:
        """The user prompt.

        >>> str(Prompt((Message("user", (TextPart("Say {{word}}."),)),)))
        'Say {{word}}.'
        """
        return self.request.user_prompt

    @property
    def request(self) -> Request:
        """What it asks, unfilled; of no model where none is known."""
        return Request(self.model or "", self.messages, self.parameters)

    @property
    def system(self) -> str | None:
        """The system prompt, None when there is none."""
        return self.request.system

    @property
    def question(self) -> str | None:
        """The last turn's text where it is a user's and nothing but text, else None."""
        last = self.messages[-1]
        plain = all(isinstance(part, TextPart) for part in last.content)
        return last.text if last.role == "user" and plain else None

    @property
    def earlier(self) -> tuple[Message, ...]:
        """The turns that are neither the system prompt nor the question."""
        turns = self.messages if self.question is None else self.messages[:-1]
        return tuple(turn for turn in turns if turn.role != "system")

    def asking(self, question: str) -> Prompt:
        """The same with another question.

        >>> str(Prompt((Message("user", (TextPart("Why?"),)),)).asking("How?"))
        'How?'
        """
        turns = self.messages if self.question is None else self.messages[:-1]
        return replace(self, messages=(*turns, Message("user", (TextPart(question),))))

    def parameters_beside(
        self, preset_name: str | None, said: Mapping[str, Any] | None
    ) -> dict[str, Any]:
        """Its parameters with what was said beside it: a preset's, then each that is named.

        Raises:
            InvalidParameterError: No preset has this name.
        """
        chosen = preset(preset_name).as_dict() if preset_name else {}
        return {**self.parameters.as_dict(), **chosen, **(said or {})}

    def to_prompty(self) -> str:
        r"""The text of a ``.prompty`` file, see :func:`llm_playground.prompt_from_file`.

        Raises:
            ConfigError: It holds more than texts: pictures, calls of tools.

        >>> prompt = Prompt((Message("user", (TextPart("Say {{word}}."),)),), name="say")
        >>> print(prompt.to_prompty())
        ---
        name: say
        model:
          api: chat
        inputs:
          word:
            type: string
        ---
        user:
        Say {{word}}.
        <BLANKLINE>
        """
        from llm_playground.prompt_file import written  # YAML: first use, not import

        return written(self)
