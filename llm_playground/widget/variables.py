"""The inputs of a panel's prompts: values of ``{{name}}``, turns, cases, images and files.

Values become text here, in a thread with a time limit, as the ``str`` of a notebook variable may
raise or never end.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeAlias

from IPython import get_ipython

from llm_playground.catalog import capabilities, file_inputs
from llm_playground.errors import InvalidParameterError, TemplateError
from llm_playground.formatting import count
from llm_playground.parts import FilePart
from llm_playground.request import templates, values
from llm_playground.request.secret_guard import Written
from llm_playground.request.tables import Table, TableRows, cases_of, is_simple
from llm_playground.widget import form
from llm_playground.widget.attachments import Attachments
from llm_playground.widget.notebook_values import (
    available_tables,
    chosen_table,
    one_line,
    preview_of,
)

if TYPE_CHECKING:
    from llm_playground.widget import Playground

VariableInfo: TypeAlias = dict[str, Any]  # JSON for the view; variables.js lists the fields
RunSoon: TypeAlias = Callable[[Callable[[], None]], None]

TEXT_TIMEOUT_S = 5.0
_MOST_ITEMS = 1_000_000
_SIZED = frozenset((list, tuple, dict, set, frozenset, bytes, bytearray))
# What the views show of the inputs depends on these traits.
_WATCHED = ("prompt", "system", "turns", "values", "cases", "models", "images", "files")


class PromptInputs:
    """Typed values, cases, turns, images and files of one panel, and the sources of its variables.

    ``run_soon`` runs a function soon, one after the other, on a thread that may set traits.
    """

    def __init__(self, panel: Playground, run_soon: RunSoon) -> None:
        self.attachments = Attachments()
        self._panel = weakref.ref(panel)
        self._run_soon = run_soon
        self._converter = TextConverter()
        self._is_due = False
        self._cell_listener: _CellListener | None = None

    def start(self) -> None:
        """Update the views from now on, whenever a trait changes or a cell has run."""
        panel = self._panel()
        if panel is not None:
            panel.observe(self.refresh_soon, _WATCHED)
            self._cell_listener = _CellListener(self)
            self.refresh_soon()

    def close(self) -> None:
        """Stop listening to cells."""
        if self._cell_listener is not None:
            self._cell_listener.close()

    def refresh_soon(self, _change: object = None) -> None:
        """Update what the views show of the inputs; several changes cause one update."""
        if not self._is_due:
            self._is_due = True
            self._run_soon(self._refresh)

    def notebook(self) -> NotebookVariables:
        """The notebook's variables as they are now, for planning one Run."""
        return NotebookVariables(_namespace(), self._converter)

    def form_fields(self) -> dict[str, Any]:
        """The fields of a :class:`~llm_playground.widget.form.Form` of the same names.

        Raises:
            InvalidParameterError: An image or file cannot be read, or there is no such table.
        """
        panel = self._panel()
        if panel is None:
            return {}
        table = chosen_table(panel.cases, _namespace())
        return {
            "turns": form.turns_as_messages(panel.turns, self.attachments.parts),
            "images": self.attachments.parts(panel.images, "image") if panel.images else [],
            "files": self.attachments.parts(panel.files, "file") if panel.files else [],
            "values": dict(panel.values),
            "cases": [self.as_texts(case) for case in cases_of(table, _names_in(panel))],
            "rows": () if table is None else TableRows(table),
        }

    def as_texts(self, values: Mapping[Any, Any]) -> dict[str, str]:
        """Values as texts, by name.

        Raises:
            TemplateError: A value has no text.
        """
        return {str(name): self._converter.text(str(name), value) for name, value in values.items()}

    def prepare_run(self) -> None:
        """Before a Run: update the sources, and forget the bytes that were removed."""
        self.refresh_soon()
        panel = self._panel()
        if panel is not None and self.attachments.kept:
            in_turns = [
                entry
                for turn in panel.turns
                for kind in ("images", "files")
                for entry in turn.get(kind, ())
            ]
            self.attachments.keep_only([*panel.images, *panel.files, *in_turns])

    def add_piece(self, content: Mapping[str, Any]) -> None:
        """Keep a piece of an image or file from a view's message: ``id``, ``at``, and a buffer."""
        for piece in content.get("buffers") or ():
            self.attachments.add_piece(str(content["id"]), int(content["at"]), bytes(piece))

    def continue_from(self, number: int) -> None:
        """Turn an answer and the messages it answered into turns.

        Raises:
            InvalidParameterError: There is no such answer, or it has no text.
        """
        panel = self._panel()
        if panel is None:
            return
        answer = panel.answers.text(number)
        if not answer.strip():
            raise InvalidParameterError(f"Answer {number} has no text yet.")
        sent = panel.answers.request(number).messages
        panel.turns = form.turns_after(sent, answer, self.attachments.entries)
        panel.prompt, panel.images, panel.files = "", [], []

    def _refresh(self) -> None:
        self._is_due = False  # first: a change from now on causes another update
        panel = self._panel()
        if panel is None:
            return
        variables, names = _namespace(), _names_in(panel)
        table = None
        shown: dict[str, Any] = {}
        try:
            table = chosen_table(panel.cases, variables)
            if table is not None:
                shown = table.as_dict() | {"problem": ""}
                cases_of(table, names)
        except InvalidParameterError as error:
            shown["problem"] = str(error)
        panel.table = shown
        panel.tables = [one.as_dict() for one in available_tables(variables, names)]
        panel.variables = [variable_info(name, table, panel.values, variables) for name in names]
        notes = (_image_note(panel), *_file_notes(panel))
        panel.attachment_note = " ".join(filter(None, notes))


class _CellListener:
    """Updates the inputs after each cell of the notebook, as long as they exist."""

    def __init__(self, inputs: PromptInputs) -> None:
        self._inputs = weakref.ref(inputs, lambda _: self.close())
        self._shell = get_ipython()
        if self._shell is not None:
            self._shell.events.register("post_run_cell", self._on_cell_run)

    def close(self) -> None:
        shell, self._shell = self._shell, None
        if shell is not None:
            with suppress(ValueError):  # the list of callbacks was cleared meanwhile
                shell.events.unregister("post_run_cell", self._on_cell_run)

    def _on_cell_run(self, _result: object = None) -> None:
        inputs = self._inputs()
        if inputs is not None:
            inputs.refresh_soon()


def variable_info(
    name: str, table: Table | None, typed: Mapping[str, Any], notebook: Mapping[str, object]
) -> VariableInfo:
    """The source of a name's value; an earlier argument takes precedence over a later one.

    It has a ``name``, a ``source`` (``table``, ``typed``, ``notebook`` or ``missing``), a
    ``detail``, a ``preview``, the ``value`` if it was typed, and the ``problem`` if it is missing.

    >>> variable_info("n", None, {}, {"n": 3})["source"]
    'notebook'
    """
    info: VariableInfo = dict.fromkeys(("detail", "preview", "value", "problem"), "")
    if table is not None and name in table.usable_columns:
        info |= {"source": "table", "detail": f"{table.label}, {count(table.rows, 'case')}"}
    elif name in typed:
        info |= {"source": "typed", "value": str(typed[name])}
    elif name in notebook:
        preview = preview_of(name, notebook[name])
        info |= {"source": "notebook", "detail": preview.detail, "preview": preview.text}
    else:
        info |= {"source": "missing", "problem": _missing_message(name, table)}
    return info | {"name": name}


def _missing_message(name: str, table: Table | None) -> str:
    """The error that filling in the name would raise, and the table's columns."""
    message = ""
    try:
        templates.fill(f"{{{{{name}}}}}", {})
    except TemplateError as error:
        message = str(error)
    if table is None:
        return message
    return f"{message} The columns of {table.label}: {one_line(', '.join(table.columns))}."


def _names_in(panel: Playground) -> list[str]:
    """The names in the prompts and turns, in order, each once."""
    texts = [panel.prompt, panel.system, *(turn["content"] for turn in panel.turns)]
    return list(dict.fromkeys(name for text in texts for name in templates.names(text)))


def _namespace() -> Mapping[str, object]:
    """The notebook's variables; empty outside IPython."""
    shell = get_ipython()
    return shell.user_ns if shell is not None else {}


def _file_notes(panel: Playground) -> Iterator[str]:
    """Why a file of the prompt cannot be sent, once for each model."""
    for model in form.known_models(panel.models) if panel.files else ():
        for entry in (one for one in panel.files if "media_type" in one or "url" in one):
            part = FilePart(entry.get("media_type"), entry.get("name"), url=entry.get("url"))
            try:
                file_inputs.check_kind(model, part)
            except InvalidParameterError as error:
                yield str(error)
                break


def _image_note(panel: Playground) -> str:
    if not panel.images and not any(turn.get("images") for turn in panel.turns):
        return ""
    blind = [
        model.partition(":")[2]
        for model in form.known_models(panel.models)
        if capabilities.abilities_of(model).vision is False
    ]
    if not blind:
        return ""
    takes = "take" if len(blind) > 1 else "takes"
    return f"{' and '.join(blind)} {takes} no images. Remove them or choose another model."


class TextConverter:
    """Makes texts of values with a time limit for each; remembers those that exceeded it."""

    def __init__(self, timeout_s: float = TEXT_TIMEOUT_S) -> None:
        self._timeout_s = timeout_s
        self._unfinished: dict[str, tuple[object, Future[str]]] = {}  # values and texts, by name

    def text(self, name: str, value: object) -> str:
        """``str(value)``; ``name`` is the value's name in the prompt, for the message.

        Raises:
            TemplateError: ``str`` fails or takes too long, or the value has too many items.
        """
        if is_simple(value):
            return str(value)
        items = len(value) if type(value) in _SIZED else 0  # type: ignore[arg-type] # these have a length
        if items > _MOST_ITEMS:
            raise TemplateError(
                f"{{{{{name}}}}} has {items:,} items, too many for a prompt. "
                "Name the part you mean."
            )
        known, text = self._unfinished.pop(name, (None, None))
        is_known = text is not None and known is value
        if text is None or not is_known:
            text = _text_in_thread(name, value)
        try:
            # A value that took too long before is not waited for again.
            error = text.exception(0 if is_known else self._timeout_s)
        except TimeoutError:
            self._unfinished[name] = value, text
            problem = f"takes longer than {self._timeout_s:g} s to become text"
        else:
            if error is None or isinstance(error, TemplateError):
                return text.result()
            problem = f"has no text ({type(error).__name__})"
        raise TemplateError(
            f"{{{{{name}}}}} is a {type(value).__name__} that {problem}. "
            "Make its text in a cell and name that."
        )


def _text_in_thread(name: str, value: object) -> Future[str]:
    text: Future[str] = Future()

    def convert() -> None:
        try:
            text.set_result(values.text_of(name, value))
        except BaseException as error:  # also SystemExit: the caller waits for the outcome
            text.set_exception(error)

    # A daemon, so that Python can exit while ``str`` hangs.
    threading.Thread(target=convert, daemon=True).start()
    return text


class NotebookVariables(Mapping[str, object]):
    """The notebook's variables, by name only. Values that are not simple are given as their text.

    The converter makes each text once.
    """

    def __init__(self, variables: Mapping[str, object], converter: TextConverter) -> None:
        self._variables = variables
        self._converter = converter
        self._texts: dict[str, Written] = {}

    def __getitem__(self, name: str) -> object:
        value = self._variables[name]
        if is_simple(value):
            return value
        if name not in self._texts:
            self._texts[name] = Written(self._converter.text(name, value), value)
        return self._texts[name]

    def __contains__(self, name: object) -> bool:
        return name in self._variables

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._variables))

    def __len__(self) -> int:
        return len(self._variables)
