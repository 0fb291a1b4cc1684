"""The panel's form: its values, and the calls that it stands for.

A parameter that is a list of values is a sweep: each model is called once per value. Earlier turns
of the conversation are plain dicts here, as the panel edits them.
"""

from __future__ import annotations

import itertools
from collections import ChainMap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias, cast

from llm_playground import config
from llm_playground.calls import CallOptions, started_together
from llm_playground.catalog import capabilities
from llm_playground.errors import ConfigError, InvalidParameterError
from llm_playground.execution import Call
from llm_playground.inputs import Case
from llm_playground.parts import FilePart, ImagePart, Part, TextPart
from llm_playground.request.messages import conversation
from llm_playground.request.parameters import parameters_from
from llm_playground.request.prompts import Prompt
from llm_playground.request.tables import case_label
from llm_playground.request.templates import edited_message, escaped
from llm_playground.types import CellExecution, Message
from llm_playground.widget.answer_labels import (
    NO_LABEL,
    AnswerLabel,
    label_of_case,
    parameters_text,
)
from llm_playground.widget.attachments import Kind

MOST_SWEPT_PARAMETERS = 2
MOST_SWEPT_VALUES = 50
MOST_MODELS = 1_000

Turn: TypeAlias = dict[str, Any]  # role, content (text), images and files (entries)
# Make the panel's entries of images or files, and these of the entries.
MakeEntries: TypeAlias = Callable[[object, Kind], list[dict[str, Any]]]
MakeParts: TypeAlias = Callable[[Sequence[Mapping[str, Any]], Kind], list[Any]]


@dataclass(frozen=True, slots=True)
class Form:
    """The panel's values as they were set; :func:`plan_calls` checks them.

    ``{{name}}`` takes its value from a row of ``cases``, else from the typed ``values``, else from
    the notebook's variables.
    """

    prompt: str = ""  # with ``{{name}}`` as written
    system: str = ""
    models: Sequence[str] = ()
    preset: str | None = None  # a built-in one
    parameters: Mapping[str, Any] = field(default_factory=dict)  # None is ``auto``, a list a sweep
    iterations: Any = 1
    turns: Sequence[Mapping[str, Any]] = ()  # earlier ones, ``{"role": ..., "content": text}``
    images: Sequence[Any] = ()  # whatever :func:`llm_playground.image` takes
    files: Sequence[Any] = ()  # whatever :func:`llm_playground.file` takes
    values: Mapping[str, str] = field(default_factory=dict)
    cases: Sequence[Mapping[str, object]] = ()
    rows: Sequence[Mapping[str, Any]] = ()  # of ``cases``, with every column of the table
    cell_id: str | None = None  # of the cell that made the panel
    cell_execution: CellExecution | None = None  # in which its calls are counted


@dataclass(frozen=True, slots=True)
class PlannedCall:
    """One call; the label distinguishes it from the others of its model."""

    call: Call
    label: AnswerLabel = NO_LABEL


@dataclass(frozen=True, slots=True)
class Variation:
    """What differs among the calls to one model: a row of the cases and values of the sweep."""

    label: AnswerLabel
    case: Mapping[str, object]
    parameters: Mapping[str, Any]
    number: int = 0  # of the case, from 1; 0 without cases

    def case_of(self, form: Form) -> Case | None:
        """The case with every column of its row; None without cases."""
        if not self.number:
            return None
        rows = form.rows or form.cases
        return Case(case_label(self.number, self.case), rows[self.number - 1])


def plan_calls(
    form: Form, notebook: Mapping[str, object], override: str | None = None
) -> tuple[PlannedCall, ...]:
    """Every call of a form, grouped by model; nothing is sent.

    In mode ``reuse`` each call is sent, since Run asks for new answers; in ``replay`` none is.

    ``override`` is the reason for exceeding a budget, if the calls are to be sent in any case.

    Raises:
        ConfigError: A value cannot be sent; the message is one line.
    """
    if not form.models:
        raise InvalidParameterError("No model is chosen. Add one.")
    known = known_values(form, notebook)
    form_variations = variations(form)
    planned = [
        (call, variation.label)
        for model in form.models
        for variation in form_variations
        for call in CallOptions(
            form.prompt,
            [model],
            system=form.system,
            messages=form.turns,
            images=list(form.images) or None,
            files=list(form.files) or None,
            preset=form.preset,
            parameters={**form.parameters, **variation.parameters},
            iterations=form.iterations,
            variables=known.new_child({**variation.case}),
            fresh=config.mode() != "replay",
            override=override,
            source="widget",
            cell_id=form.cell_id,
            cell_execution=form.cell_execution,
            case=variation.case_of(form),
        ).plan()
    ]
    calls = started_together(call for call, _ in planned)
    return tuple(PlannedCall(call, label) for call, (_, label) in zip(calls, planned, strict=True))


def known_values(form: Form, notebook: Mapping[str, object]) -> ChainMap[str, object]:
    """Typed values, then the notebook's variables; ``new_child(case)`` takes precedence over both.

    Iterating over the values would be slow: the notebook makes each text when it is looked up.
    """
    return ChainMap({**form.values}, cast("dict[str, object]", notebook))


def variations(form: Form) -> list[Variation]:
    """Every combination of a case and the swept values, for each of which every model is called.

    Raises:
        InvalidParameterError: More parameters are lists than a sweep can have.
    """
    cases: list[tuple[AnswerLabel, Mapping[str, object], int]] = [
        (label_of_case(number, case), case, number) for number, case in enumerate(form.cases, 1)
    ]
    return [
        Variation(replace(label, parameters=parameters_text(parameters)), case, parameters, number)
        for (label, case, number), parameters in itertools.product(
            cases or [(NO_LABEL, {}, 0)], _sweep(form.parameters)
        )
    ]


def _sweep(parameters: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Every combination of the swept values; one empty combination if none is swept."""
    lists = swept_parameters(parameters)
    for values in itertools.product(*lists.values()):
        yield dict(zip(lists, values, strict=True))


def first_only(form: Form) -> Form:
    """The form of the first call alone: the first model, case and value of a sweep, once.

    >>> form = Form("Hi", models=["a:b", "c:d"], parameters={"top_p": [0.1, 0.2]}, iterations=5)
    >>> first_only(form).models, first_only(form).parameters, first_only(form).iterations
    (['a:b'], {'top_p': 0.1}, 1)
    """
    return replace(
        form,
        models=form.models[:1],
        cases=form.cases[:1],
        rows=form.rows[:1],
        parameters={**form.parameters, **variations(form)[0].parameters},
        iterations=1,
    )


def form_from_sent(messages: Sequence[Message]) -> Form:
    r"""A form that sends messages again, whatever braces they have.

    >>> form_from_sent([Message("user", (TextPart("Fix {{ x }}"),))]).prompt
    'Fix \\{{ x }}'
    """
    return form_from_prompt(Prompt(tuple(edited_message(one, escaped) for one in messages)))


def form_from_prompt(prompt: str | Prompt) -> Form:
    """A form that asks a prompt; everything that the prompt leaves open has its default.

    >>> form_from_prompt("Say hello.").prompt
    'Say hello.'
    """
    if not isinstance(prompt, Prompt):
        return Form(prompt)
    images, files = _attached(prompt.messages[-1])
    question, earlier = prompt.question, list(prompt.earlier)
    match prompt.messages[-1]:
        case Message("user", (*parts, TextPart(text))) if [*images, *files] == parts != []:
            question, earlier = text, earlier[:-1]
    return Form(
        prompt=question or "",
        system=prompt.system or "",
        models=[prompt.model] if prompt.model else [],
        parameters=prompt.parameters.as_dict(),
        turns=list(map(_as_turn, earlier)),
        images=() if question is None else images,
        files=() if question is None else files,
    )


def _attached(turn: Message) -> tuple[list[ImagePart], list[FilePart]]:
    """The images and the files of a message."""
    images = [part for part in turn.content if isinstance(part, ImagePart)]
    return images, [part for part in turn.content if isinstance(part, FilePart)]


def _as_turn(message: Message) -> Turn:
    turn: Turn = {"role": message.role, "content": message.text}
    images, files = _attached(message)
    return turn | ({"images": images} if images else {}) | ({"files": files} if files else {})


def prompt_from_form(form: Form) -> Prompt:
    """The form's prompt, with ``{{name}}`` as written, its first model and first swept values.

    Raises:
        InvalidParameterError: It cannot be sent.
    """
    single = first_only(form) if form.models or swept_parameters(form.parameters) else form
    return Prompt(
        messages=conversation(
            single.prompt,
            system=single.system or None,
            messages=single.turns,
            images=list(single.images) or None,
            files=list(single.files) or None,
        ),
        parameters=parameters_from(single.parameters, single.preset),
        model=capabilities.resolve_model(single.models[0]) if single.models else None,
    )


def known_models(models: Iterable[str]) -> list[str]:
    """The full names of models, as the run log has them; without those of unknown providers."""
    known: list[str] = []
    for model in models:
        with suppress(ConfigError):
            known.append(capabilities.resolve_model(model))
    return known


def as_list(value: object) -> object:
    """A series, an array or a range as a list; every other value unchanged.

    >>> as_list(range(3)), as_list(0.5), as_list("low")
    ([0, 1, 2], 0.5, 'low')
    """
    if isinstance(value, (str, bytes, Mapping)) or not isinstance(value, Iterable):
        return value
    to_list = getattr(value, "tolist", None)  # of numpy and pandas: gives Python's own numbers
    # One more than a sweep has, so that it is refused: a range may be as long as the memory.
    return to_list() if callable(to_list) else list(itertools.islice(value, MOST_MODELS + 1))


def swept_parameters(parameters: Mapping[str, Any]) -> dict[str, Sequence[Any]]:
    """The parameters that are lists of values; for ``stop``, that is a list of lists.

    Raises:
        InvalidParameterError: They are more than two, or one has more than 50 values.

    >>> swept_parameters({"temperature": [0, 1], "top_p": 0.5, "stop": ["END"]})
    {'temperature': [0, 1]}
    """
    swept: dict[str, Sequence[Any]] = {
        name: value
        for name, value in parameters.items()
        if isinstance(value, (list, tuple))
        and value
        and (name != "stop" or all(isinstance(one, (list, tuple)) for one in value))
    }
    if len(swept) > MOST_SWEPT_PARAMETERS:
        raise InvalidParameterError(
            f"{', '.join(swept)} are all lists; a sweep goes over one or two parameters."
        )
    for name, values in swept.items():
        if len(values) > MOST_SWEPT_VALUES:
            raise InvalidParameterError(
                f"{name} has more than {MOST_SWEPT_VALUES} values. Take fewer, or a larger step."
            )
    return swept


def check_parameters(
    models: Sequence[str], parameters: Mapping[str, Any], preset: str | None
) -> None:
    """Refuse parameters that no model takes; each value of a sweep is checked.

    Raises:
        InvalidParameterError: A value has the wrong type or is out of range, or a sweep is too
            large.
    """
    swept = swept_parameters(parameters)
    single = {name: value for name, value in parameters.items() if name not in swept}
    combinations = [{name: value} for name, values in swept.items() for value in values]
    for combination in [{}, *combinations]:
        checked = parameters_from({**single, **combination}, preset)
        for model in models:
            capabilities.check_parameters(model, checked)


def turns_from(value: object, entries: MakeEntries) -> list[Turn]:
    """Turns as the panel keeps them; one that it cannot send has a ``problem``.

    ``value`` has messages, or dicts of ``role`` and ``content``: text, or a list of parts.
    """
    turns = value if isinstance(value, (list, tuple)) else [] if value is None else [value]
    return [_turn(turn, entries) for turn in turns]


def _turn(value: object, entries: MakeEntries) -> Turn:
    if isinstance(value, Message):
        return _turn_of_parts(value.role, value.content, entries)
    fields = value if isinstance(value, Mapping) else {"problem": "is not a message"}
    role, content = str(fields.get("role", "")), fields.get("content", "")
    if isinstance(content, (list, tuple)):
        return _turn_of_parts(role, content, entries)
    turn: Turn = {"role": role, "content": str(content)}
    if fields.get("images"):
        turn["images"] = entries(fields["images"], "image")
    if fields.get("files"):
        turn["files"] = entries(fields["files"], "file")
    if fields.get("problem"):
        turn["problem"] = str(fields["problem"])
    return turn


def _turn_of_parts(role: str, parts: Sequence[Any], entries: MakeEntries) -> Turn:
    texts: list[str] = []
    attached: dict[Kind, list[object]] = {"image": [], "file": []}
    unsupported: list[str] = []
    for part in parts:
        match part:
            case TextPart(text) | {"type": "text", "text": str(text)}:
                texts.append(text)
            case _ if (found := _attachment(part)) is not None:
                attached[found[0]].append(found[1])
            case {"type": str(kind)}:
                unsupported.append(kind)
            case _:
                unsupported.append(type(part).__name__)
    turn: Turn = {"role": role, "content": "".join(texts)}
    for kind, sources in attached.items():
        if given := [source for source in sources if source is not None]:
            turn[f"{kind}s"] = entries(given, kind)
    if problem := next(filter(None, unsupported), ""):
        turn["problem"] = f"holds a {problem}"
    return turn


def _attachment(part: Any) -> tuple[Kind, object] | None:  # noqa: ANN401 - a part in any form
    """The kind and source of an image or file in a turn; None for every other part."""
    match part:
        case ImagePart():
            return "image", part
        case FilePart():
            return "file", part
        case {"type": "image", "url": str(source)} | {"type": "image", "image": source}:
            return "image", source
        case {"type": "file", "url": str(source)} | {"type": "file", "file": str(source)}:
            return "file", {"url": source, "name": part.get("name")}
        case {"type": "file", "file": source}:
            return "file", {"data": source, "name": part.get("name")}
    return None


def turns_as_messages(turns: Sequence[Turn], parts: MakeParts) -> list[dict[str, Any]]:
    """The turns as :func:`llm_playground.request.messages.conversation` takes them.

    Raises:
        InvalidParameterError: A turn is empty, or holds content that the panel cannot send.
    """
    messages: list[dict[str, Any]] = []
    for number, turn in enumerate(turns, 1):
        if turn.get("problem"):
            raise InvalidParameterError(
                f"Turn {number} {turn['problem']}, which the playground cannot send. Delete it."
            )
        text = turn["content"]
        images, files = turn.get("images") or [], turn.get("files") or []
        if not text.strip() and not images and not files:
            raise InvalidParameterError(f"Turn {number} is empty. Write something or delete it.")
        attached: list[Part] = [*parts(images, "image"), *parts(files, "file")]
        content: str | list[Part] = [*attached, TextPart(text)] if attached else text
        messages.append({"role": turn["role"], "content": content})
    return messages


def turns_after(sent: Sequence[Message], answer: str, entries: MakeEntries) -> list[Turn]:
    """The messages that were sent and their answer, as turns for a next question.

    The system prompt is left out, as it has its own text box.
    """
    later = sent[1:] if sent and sent[0].role == "system" else sent
    messages = [edited_message(message, escaped) for message in later]
    return [*turns_from(messages, entries), {"role": "assistant", "content": escaped(answer)}]
