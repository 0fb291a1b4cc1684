"""What the prompts of one panel are made of besides their text, and what its views are told."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeAlias

from IPython import get_ipython

from llm_playground import abilities
from llm_playground.capabilities import LOCAL_MODEL, resolve_model
from llm_playground.errors import ConfigError, InvalidParameterError
from llm_playground.widgets import cases, turns
from llm_playground.widgets.chips import chips, named
from llm_playground.widgets.pictures import Pictures
from llm_playground.widgets.texts import Notebook, Writer

if TYPE_CHECKING:
    from llm_playground.widgets.playground import Playground

Later: TypeAlias = Callable[[Callable[[], None]], None]

# What the views are told changes with these traits.
WATCHED = ("prompt", "system", "turns", "values", "cases", "models", "images")


class Material:
    """Typed values, cases, turns and pictures of one panel, and where each name gets its value.

    Args:
        panel: The playground; held weakly.
        later: Does something soon, one after the other, on a thread that may set traits.
    """

    def __init__(self, panel: Playground, later: Later) -> None:
        self.pictures = Pictures()
        self._panel = weakref.ref(panel)
        self._later = later
        self._writer = Writer()
        self._is_due = False
        self._after_cells: _AfterCells | None = None

    def follow(self) -> None:
        """Tell the views from now on, whenever a trait changes or a cell has run."""
        panel = self._panel()
        if panel is not None:
            panel.observe(self.look_again, WATCHED)
            self._after_cells = _AfterCells(self)
            self.look_again()

    def end(self) -> None:
        """Listen to cells no more."""
        if self._after_cells is not None:
            self._after_cells.end()

    def look_again(self, _change: object = None) -> None:
        """Tell the views soon where the values come from now; several changes make one look."""
        if not self._is_due:
            self._is_due = True
            self._later(self._look)

    def notebook(self) -> Notebook:
        """The notebook's variables as they are now, for one plan."""
        return Notebook(_namespace(), self._writer)

    def of_form(self) -> dict[str, Any]:
        """The fields of a :class:`~llm_playground.widgets.form.Form` of the same names.

        Raises:
            InvalidParameterError: A picture is none, or there is no such table.
        """
        panel = self._panel()
        if panel is None:
            return {}
        pictures = self.pictures.parts
        table = cases.chosen(panel.cases, _namespace())
        return {
            "turns": turns.messages(panel.turns, pictures),
            "images": pictures(panel.images),
            "values": dict(panel.values),
            "cases": self._texts(cases.rows_of(table, _names(panel))),
        }

    def typed(self, given: Mapping[Any, Any]) -> dict[str, str]:
        """Typed values as texts.

        Raises:
            TemplateError: One has no text.
        """
        return {str(name): self._writer.text(str(name), value) for name, value in given.items()}

    def settle(self) -> None:
        """Before a Run: look once more, and forget the bytes of pictures that were removed."""
        self.look_again()
        panel = self._panel()
        if panel is not None:
            of_turns = [entry for turn in panel.turns for entry in turn.get("images", ())]
            self.pictures.keep_only([*panel.images, *of_turns])

    def take_piece(self, content: Mapping[str, Any]) -> None:
        """One piece of a picture, as a view sends it: ``id``, ``at``, and the bytes as a buffer."""
        for piece in content.get("buffers") or ():
            self.pictures.take_piece(str(content["id"]), int(content["at"]), bytes(piece))

    def go_on_from(self, number: int) -> None:
        """Make an answer and what it answered turns.

        Raises:
            InvalidParameterError: There is no such answer, or it has no text.
        """
        panel = self._panel()
        if panel is None:
            return
        answer = panel.sheet.text(number)
        if not answer.strip():
            raise InvalidParameterError(f"Answer {number} has no text yet.")
        sent = panel.sheet.request(number).messages
        panel.turns = turns.followed(sent, answer, self.pictures.entries)
        panel.prompt, panel.images = "", []

    def _texts(self, rows: Sequence[cases.Row]) -> list[cases.Row]:
        return [{name: self._writer.text(name, row[name]) for name in row} for row in rows]

    def _look(self) -> None:
        self._is_due = False  # first: what changes from now on is another look
        panel = self._panel()
        if panel is None:
            return
        variables, names = _namespace(), _names(panel)
        table, problem = None, ""
        try:
            table = cases.chosen(panel.cases, variables)
        except InvalidParameterError as error:
            problem = str(error)
        told = (
            {} if table is None else table.as_dict() | {"problem": cases.problem_of(table, names)}
        )
        panel.table = told or ({"problem": problem} if problem else {})
        panel.tables = [found.as_dict() for found in cases.offered(variables, names)]
        panel.variables = chips(names, table, panel.values, variables)
        panel.picture_note = _without_sight(panel.models) if _has_pictures(panel) else ""


class _AfterCells:
    """Looks again after each cell of the notebook, as long as its material lives."""

    def __init__(self, material: Material) -> None:
        self._material = weakref.ref(material, lambda _: self.end())
        self._shell = get_ipython()
        if self._shell is not None:
            self._shell.events.register("post_run_cell", self._has_run)

    def end(self) -> None:
        shell, self._shell = self._shell, None
        if shell is not None:
            with suppress(ValueError):  # somebody else has cleared the list
                shell.events.unregister("post_run_cell", self._has_run)

    def _has_run(self, _result: object = None) -> None:
        material = self._material()
        if material is not None:
            material.look_again()


def add_picture(panel: Playground, given: Mapping[str, Any]) -> dict[str, Any]:
    """A view's question: the entry of the picture at ``path``, or of that whose pieces came.

    Raises:
        InvalidParameterError: It is none.
    """
    pictures = panel.material.pictures
    if "path" in given:
        return pictures.add(str(given["path"]))
    return pictures.complete(str(given["id"]), str(given["name"]))


def thumbnail(panel: Playground, given: Mapping[str, Any]) -> str:
    """A view's question: a small picture of the entry ``id`` as a ``data:`` URL, or nothing."""
    return panel.material.pictures.thumbnail(str(given["id"]))


def add_turns(panel: Playground, given: Mapping[str, Any]) -> None:
    """A view's request: go on from the answer ``number``."""
    panel.add_turns(int(given["number"]))


def _names(panel: Playground) -> list[str]:
    """What the prompts and turns ask for."""
    return named([panel.prompt, panel.system, *turns.texts(panel.turns)])


def _namespace() -> Mapping[str, object]:
    """The notebook's variables; none outside IPython."""
    shell = get_ipython()
    return shell.user_ns if shell is not None else {}


def _has_pictures(panel: Playground) -> bool:
    return bool(panel.images) or any(turn.get("images") for turn in panel.turns)


def _without_sight(models: Sequence[str]) -> str:
    """Which of the models take no pictures, in a line; empty when none is known to."""
    blind = list(filter(None, map(_blind, models)))
    takes = "take" if len(blind) > 1 else "takes"
    if not blind:
        return ""
    return f"{' and '.join(blind)} {takes} no images. Remove them or choose another model."


def _blind(model: str) -> str:
    """The name of a model that is known to take no pictures, else nothing."""
    with suppress(ConfigError):
        resolved = resolve_model(model)
        if resolved == LOCAL_MODEL or abilities.of(resolved).vision is False:
            return resolved.partition(":")[2]
    return ""
