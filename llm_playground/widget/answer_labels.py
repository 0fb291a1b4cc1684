"""What distinguishes the answers of one model: the case, the parameters of a sweep, the prompt.

The grid of the answers (``view/answer_grid.js``) has its rows and columns from these labels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, astuple, dataclass, fields
from typing import TYPE_CHECKING, Any

from llm_playground._validation import shorten
from llm_playground.request.tables import CaseValues, text_of_case

if TYPE_CHECKING:
    from llm_playground.types import Message, Parameters

_MOST_CHARACTERS = 300  # of the text of a case


@dataclass(frozen=True, slots=True)
class AnswerLabel:
    """What distinguishes an answer. Every field is empty if the answers do not differ in it.

    Attributes:
        case: ``case 3``, counted from 1.
        prompt: ``prompt 2``, counted from 1.
        parameters: The values of the sweep: ``temperature 0.2 · max_tokens 20``.
        text: The values of the case, or the prompt.
    """

    case: str = ""
    prompt: str = ""
    parameters: str = ""
    text: str = ""

    def __str__(self) -> str:
        return " · ".join(filter(None, (self.prompt, self.case, self.parameters)))

    def as_state(self) -> dict[str, str]:
        """The fields that are not empty, as a view gets them."""
        return {name: value for name, value in asdict(self).items() if value}

    def as_texts(self) -> list[str]:
        """All fields, as a draft keeps them."""
        return list(astuple(self))


LABEL_FIELDS = len(fields(AnswerLabel))
NO_LABEL = AnswerLabel()


def label_of_case(number: int, case: CaseValues) -> AnswerLabel:
    """The label of the answers to a case.

    >>> str(label_of_case(1, {"city": "Oslo"})), label_of_case(1, {"city": "Oslo"}).text
    ('case 1', 'Oslo')
    """
    return AnswerLabel(case=f"case {number}", text=shorten(text_of_case(case), _MOST_CHARACTERS))


def parameters_text(values: Mapping[str, Any]) -> str:
    """Values of a sweep: ``temperature 0.2 · max_tokens 20``; None is ``auto``.

    >>> parameters_text({"temperature": 0.2, "top_p": None})
    'temperature 0.2 · top_p auto'
    """
    return " · ".join(
        f"{name} {'auto' if value is None else value}" for name, value in values.items()
    )


def labels_of_requests(
    requests: Sequence[tuple[Sequence[Message] | None, Parameters]],
) -> list[AnswerLabel]:
    """The labels of runs that were not made by one form: their prompts and parameters that differ.

    ``requests`` has the messages and the parameters of each run; messages are None where their
    text is not stored.
    """
    # The last message is the user's question.
    prompts = [messages[-1].text if messages else "" for messages, _ in requests]
    numbers = {prompt: number for number, prompt in enumerate(dict.fromkeys(prompts), 1)}
    sent = [parameters.as_dict() for _, parameters in requests]
    swept = [
        name
        for name in dict.fromkeys(name for values in sent for name in values)
        if any(values.get(name) != sent[0].get(name) for values in sent)
    ]
    differ = len(numbers) > 1
    return [
        AnswerLabel(
            prompt=f"prompt {numbers[prompt]}" if differ else "",
            parameters=parameters_text({name: values.get(name) for name in swept}),
            text=shorten(prompt, _MOST_CHARACTERS) if differ else "",
        )
        for prompt, values in zip(prompts, sent, strict=True)
    ]
