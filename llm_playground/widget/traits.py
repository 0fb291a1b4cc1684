"""The traits of a panel: the form that people and code edit, and what the views show beside it.

Traits may be set on several threads at once: from the main thread, and by views' messages. The
view's JavaScript modules and styles are joined here into the ones that anywidget loads.
"""

from __future__ import annotations

import contextlib
import inspect
import json
import re
import threading
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from graphlib import TopologicalSorter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anywidget
import traitlets as t

from llm_playground import _validation
from llm_playground.calls import resolve_model
from llm_playground.config import credentials
from llm_playground.errors import ConfigError, InvalidParameterError
from llm_playground.redaction import printable, redact
from llm_playground.request import parameters, secret_guard
from llm_playground.types import CellExecution
from llm_playground.widget import controls, form
from llm_playground.widget.controls import TRAIT_OF, TRAITS
from llm_playground.widget.form import Form
from llm_playground.widget.notebook_values import cases_from_view, cases_to_view
from llm_playground.widget.shared_texts import TEXTS, SharedTexts
from llm_playground.widget.variables import PromptInputs

if TYPE_CHECKING:
    from llm_playground.widget.panel_runs import PanelRuns

FORM = (
    *("prompt", "system", "models", *TRAITS, "preset", "iterations"),
    *("turns", "values", "cases", "images", "files"),
)
_VIEW = Path(__file__).parent / "view"
# A later file wins over an earlier one where selectors are equally specific.
_STYLES = (
    *("base", "overlay", "model_picker", "prompts", "parameters", "run_bar", "answers"),
    *("restore", "export", "inspector", "history", "saved_prompts"),
)
_RELATIVE_IMPORT = re.compile(r'^import \{[^}]*\} from "\./([\w.]+)";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:async )?(?:function|const|class)\b)", re.MULTILINE)
# Whole lines only: an expression may follow a comment that casts it.
_COMMENT = re.compile(r"^[ \t]*(?:/\*\*(?:(?!\*/)[\s\S])*\*/|//.*)[ \t]*\n", re.MULTILINE)


def joined(modules: Iterable[Path]) -> str:
    """The text of all modules, in the order of their imports; ``export default`` stays.

    anywidget imports ``_esm`` from a Blob URL, from which a relative import cannot be resolved. The
    modules, which Node.js can import and test one by one, are therefore joined without their
    ``import`` lines and ``export`` keywords; as they then share one scope, their top-level names
    must differ. Lines of comments, a third of the text, are left out: each panel sends it all.

    Raises:
        CycleError: Modules import each other in a circle.
        KeyError: A module imports one that is not among ``modules``.
    """
    texts = {module.name: module.read_text("utf-8") for module in modules}
    imports = {name: _RELATIVE_IMPORT.findall(text) for name, text in texts.items()}
    order = TopologicalSorter(imports).static_order()
    joined_texts = "\n".join(_RELATIVE_IMPORT.sub("", texts[name]) for name in order)
    return _COMMENT.sub("", _EXPORT.sub("", joined_texts))


def _editable(trait: t.TraitType[Any, Any]) -> t.TraitType[Any, Any]:
    """A trait that views edit. :meth:`Panel.set_state` shares it with other views.

    Numbers are of type ``Any``, so that a wrong value is kept and explained instead of refused.
    """
    return trait.tag(sync=True, echo_update=False)


class _Text(t.Unicode[str, Any]):
    """A trait of text. Traitlets' own messages quote the whole value, whatever it is."""

    def validate(self, _obj: object, value: object) -> str:
        if not isinstance(value, str):
            raise InvalidParameterError(
                f"{self.name} is {_validation.repr_of(value)}; it takes text."
            )
        return value


class _Value(t.Any):
    """A trait of any value, all of which are validated. Traitlets would take None as it is."""

    allow_none = False


def _shown(trait: t.TraitType[Any, Any]) -> t.TraitType[Any, Any]:
    """A trait that views only read."""
    return trait.tag(sync=True)


# The program of a widget in a notebook whose kernel has ended.
_SAVED_MODULE = f"{joined([_VIEW / 'saved_view.js'])}\nexport default {{ render: renderSaved }};\n"


class Panel(anywidget.AnyWidget):
    """The values of a playground, which code and views may set on any thread.

    A subclass sets ``inputs`` and ``panel_runs`` before it calls ``__init__``, as traits are
    validated there.
    """

    _esm = joined(sorted(_VIEW.glob("*.js")))
    _css = "\n".join((_VIEW / f"{name}.css").read_text("utf-8") for name in _STYLES)

    widget_id = _shown(t.Unicode())  # by which a view finds its model
    name = _shown(_Text(allow_none=True))
    cell_id: str | None = None  # of the cell that made the panel
    cell_execution: CellExecution | None = None  # that made the panel, or has run it since
    removed_cases: object = None  # a table set from Python that a view has removed

    prompt = _editable(_Text())
    system = _editable(_Text())
    models = _editable(_Value())
    temperature = _editable(t.Any(None))
    top_p = _editable(t.Any(None))
    max_tokens = _editable(t.Any(None))
    reasoning_effort = _editable(t.Any(None))
    stop_at = _editable(t.Any(None))  # the parameter ``stop``; ``stop`` is a method
    seed = _editable(t.Any(None))
    top_k = _editable(t.Any(None))
    presence_penalty = _editable(t.Any(None))
    frequency_penalty = _editable(t.Any(None))
    preset = _editable(t.Any(None))
    iterations = _editable(t.Any(1))
    values = _editable(t.Dict())
    cases = _editable(t.Any(None)).tag(to_json=cases_to_view, from_json=cases_from_view)
    turns = _editable(_Value())
    images = _editable(_Value())
    files = _editable(_Value())

    # What a view has received when it sends a text: its id, and the revision of the texts.
    seen = _shown(t.Dict()).tag(to_json=lambda _, panel: {"revision": panel._shared_texts.revision})

    # The answer that others are compared with: ``run``, the number of its Run, and ``answer``, its
    # own. Code may set the number of an answer that is shown.
    baseline = _shown(t.Any(None))
    run_shown = _shown(t.Dict())
    changed = _shown(t.List(t.Unicode()))
    changed_in_full = _shown(t.List(t.Unicode()))
    changed_values = _shown(t.List(t.Unicode()))
    running = _shown(t.Bool(False))
    problem = _shown(t.Unicode())
    price = _shown(t.Dict())
    draft = _shown(t.Dict())
    saved = _shown(t.Dict())
    saved_id = _shown(t.Unicode())
    saved_count = _shown(t.Int(0))
    variables = _shown(t.List(t.Dict()))
    table = _shown(t.Dict())
    tables = _shown(t.List(t.Dict()))
    attachment_note = _shown(t.Unicode())
    choices = _shown(t.List(t.Dict()))
    providers = _shown(t.Dict())
    unusable = _shown(t.Dict())
    presets = _shown(t.Dict())
    own_presets = _shown(t.Dict())
    dials = _shown(t.Dict())

    inputs: PromptInputs
    panel_runs: PanelRuns

    def __init__(self, **values: Any) -> None:  # noqa: ANN401 - traits, as anywidget takes them
        self._per_thread = threading.local()
        self._setting = threading.RLock()
        self._shared_texts = SharedTexts()
        credentials.remember_all()  # before the first state is sent
        widget_id = uuid.uuid4().hex
        super().__init__(model_id=widget_id, widget_id=widget_id, **values)
        _reply_on_the_addressed_subshell(self.comm)
        self.observe(self._update_problem, FORM)
        self.observe(self._update_controls, ("models", *TRAITS))
        self._update_controls({})

    @t.validate("models")
    def _validate_models(self, proposal: Mapping[str, Any]) -> list[str]:
        value = [] if proposal["value"] is None else form.as_list(proposal["value"])
        names = [value] if isinstance(value, str) else value
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise InvalidParameterError(
                f"models is {_validation.repr_of(value)}; it takes a model, or a list of models."
            )
        if len(names) > form.MOST_MODELS:
            raise InvalidParameterError(f"models takes up to {form.MOST_MODELS:,} models.")
        return list(dict.fromkeys(names))

    @t.validate(*TRAITS)
    def _validate_parameter(self, proposal: Mapping[str, Any]) -> object:
        name = proposal["trait"].name
        old, new = getattr(self, name), form.as_list(proposal["value"])
        _check_json(name, new)
        is_same = isinstance(old, float) and type(new) is int and old == new  # JSON's 1 is 1.0 too
        return old if is_same else new

    @t.validate("preset", "iterations")
    def _validate_plain(self, proposal: Mapping[str, Any]) -> object:
        _check_json(proposal["trait"].name, proposal["value"])
        return proposal["value"]

    @t.validate("turns")
    def _validate_turns(self, proposal: Mapping[str, Any]) -> list[dict[str, Any]]:
        return form.turns_from(proposal["value"], self.inputs.attachments.entries)

    @t.validate("images")
    def _validate_images(self, proposal: Mapping[str, Any]) -> list[dict[str, Any]]:
        return self.inputs.attachments.entries(proposal["value"], "image")

    @t.validate("files")
    def _validate_files(self, proposal: Mapping[str, Any]) -> list[dict[str, Any]]:
        return self.inputs.attachments.entries(proposal["value"], "file")

    @t.validate("baseline")
    def _validate_baseline(self, proposal: Mapping[str, Any]) -> dict[str, int] | None:
        return self.panel_runs.baseline_from(proposal["value"])

    @t.validate("values")
    def _validate_values(self, proposal: Mapping[str, Any]) -> dict[str, str]:
        return self.inputs.as_texts(proposal["value"])

    @t.observe("preset")
    def _apply_preset(self, change: Mapping[str, Any]) -> None:
        if change["new"] is not None and not controls.preset_values(self, change["new"]):
            controls.load_presets(self)
        for trait, value in controls.preset_values(self, change["new"]).items():
            setattr(self, trait, value)

    @t.observe(*TRAITS)
    def _leave_preset(self, change: Mapping[str, Any]) -> None:
        if not controls.matches_preset(self, change["name"], change["new"]):
            self.preset = None

    def _update_problem(self, _change: Mapping[str, Any]) -> None:
        problem = ""
        try:
            parameters.check_iterations(self.iterations)
            controls.check_preset(self)
            models = [resolve_model(model) for model in self.models]
            form.check_parameters(models, self._parameters(), self._built_in_preset())
        except ConfigError as error:
            problem = str(error)
        self.problem = problem

    def _update_controls(self, _change: Mapping[str, Any]) -> None:
        # A view may send anything; what it sends is checked after all traits are set.
        chosen = self.models if isinstance(self.models, (list, tuple)) else ()
        models = form.known_models(chosen)
        self.dials = controls.parameter_controls(models, self._parameters())

    @property
    def n(self) -> Any:  # noqa: ANN401 - the type of the trait: a wrong value is kept and explained
        """The trait ``iterations``, by the name of its argument."""
        return self.iterations

    @n.setter
    def n(self, value: object) -> None:
        self.iterations = value

    def __setattr__(self, name: str, value: object) -> None:
        """Set a trait; a wrong name would otherwise be set without any effect.

        Raises:
            InvalidParameterError: There is no such trait.
        """
        if name == "stop":
            raise InvalidParameterError(
                "stop is a method of the playground. Set stop_at for the texts that end an answer."
            )
        if not name.startswith("_") and not _has_attribute(type(self), name):
            suggestion = _validation.closest(name, ("name", *FORM, "n", "baseline"))
            raise InvalidParameterError(f"Playground has no {name!r}. {suggestion}")
        super().__setattr__(name, value)

    def __repr__(self) -> str:
        named = f" {self.name!r}" if self.name else ""
        models = ", ".join(map(str, self.models)) or "no model"
        start = _validation.shorten(redact(str(self.prompt)[:1_000]))
        return printable(redact(f"Playground{named}: {start!r} to {models}"))

    def _parameters(self) -> dict[str, Any]:
        return {name: getattr(self, trait) for name, trait in TRAIT_OF.items()}

    def _built_in_preset(self) -> str | None:
        """The preset that a call must name; the values of a saved one are all in the form."""
        name: Any = self.preset
        return None if isinstance(name, str) and name in self.own_presets else name

    def form(self) -> Form:
        """The form as it is now.

        Raises:
            ConfigError: An attachment cannot be read, a turn is empty, or there is no such table.
        """
        return replace(self.written(), **self.inputs.form_fields())

    def written(self) -> Form:
        """As :meth:`form`, without turns, images, files, typed values and cases."""
        return Form(
            prompt=self.prompt,
            system=self.system,
            models=self.models,
            preset=self._built_in_preset(),
            parameters=self._parameters(),
            iterations=self.iterations,
            cell_id=self.cell_id,
            cell_execution=self.cell_execution,
        )

    def set_form(self, values: Mapping[str, Any]) -> None:
        """Set traits of the form; the preset last, as setting others may reset it."""
        for name in sorted(values, key=lambda name: name == "preset"):
            setattr(self, name, values[name])

    def set_state(self, sync_data: Mapping[str, Any]) -> None:
        """Set what a view sent, and send it to the other views.

        A preset is set first, so that the other values do not reset it.
        """
        values = dict(sorted(sync_data.items(), key=lambda item: item[0] != "preset"))
        seen = values.pop("seen", None) or {}
        with self._setting:  # views' messages come on several threads
            texts = {name: str(values[name]) for name in TEXTS if name in values}
            for name, text in texts.items():
                values[name] = self._shared_texts.merged(seen, name, text, getattr(self, name))
            super().set_state(values)
            if texts:
                now = {name: getattr(self, name) for name in texts}
                self._shared_texts.record(seen.get("view"), now)
            names = [name for name in (*FORM, "baseline") if name in values]
            state = super().get_state(key=[*names, "seen"] if texts else names)
            shared = {name: value for name, value in state.items() if _without_keys(value) is value}
            if shared:  # a key stays in the view where it was typed
                self._send({"method": "echo_update", "state": shared, "buffer_paths": []})

    def get_state(self, key: Any = None, drop_defaults: bool = False) -> dict[str, Any]:  # noqa: ANN401 - as in ipywidgets
        """The state that views get and that a notebook may keep, without keys."""
        state = super().get_state(key=key, drop_defaults=drop_defaults)
        return {
            name: value if name.startswith("_") else _without_keys(value)
            for name, value in state.items()
        }

    def store_little(self) -> None:
        """Have a program that executes the notebook store little of the widget in it.

        nbclient stores the state in every message of a widget. Pages ignore this message, as none
        of their methods has its name.
        """
        left_out = dict.fromkeys(name for name in self.keys if name[0] != "_" and name != "layout")
        kept = {name: getattr(self, name) for name in ("name", "widget_id", "saved_count")}
        program = {"_esm": _SAVED_MODULE, "_css": ""}
        self.comm.send({"method": "store", "state": left_out | kept | program})

    @contextlib.contextmanager
    def hold_trait_notifications(self) -> Iterator[None]:
        """Hold nothing: traitlets would share the held notifications among all threads."""
        yield

    @property
    def _property_lock(self) -> dict[str, Any]:
        """The values that ``set_state`` is setting: per thread, as two threads may set at once."""
        held: dict[str, Any] = getattr(self._per_thread, "held", {})
        return held

    @_property_lock.setter
    def _property_lock(self, held: dict[str, Any]) -> None:
        self._per_thread.held = held


def _has_attribute(kind: type, name: str) -> bool:
    """Whether a class has an attribute, or it or a base only annotates it."""
    return hasattr(kind, name) or any(
        name in inspect.get_annotations(base) for base in kind.__mro__ if issubclass(base, Panel)
    )


def _check_json(name: str, value: object) -> None:
    """Refuse a value that no view and no draft can hold; a wrong one is kept and explained.

    Raises:
        InvalidParameterError: It cannot be written as JSON.
    """
    with contextlib.suppress(Exception):  # classes of users may raise anything
        if not _validation.nested_too_deeply(value) and json.dumps(value):
            return
    raise InvalidParameterError(f"{name} is {_validation.repr_of(value)}; it takes plain values.")


def _without_keys(value: Any) -> Any:  # noqa: ANN401 - a JSON value
    """A value of the state with the keys in its texts masked; the value itself if there is none."""
    if isinstance(value, str):
        return redact(value) if secret_guard.holds_key(value) else value
    if not isinstance(value, (Mapping, list, tuple)) or not secret_guard.holds_key(repr(value)):
        return value
    if isinstance(value, Mapping):
        return {_without_keys(name): _without_keys(item) for name, item in value.items()}
    return [_without_keys(item) for item in value]


def _reply_on_the_addressed_subshell(comm: Any) -> None:  # noqa: ANN401 - comm has no types
    """Let views' messages arrive while a synchronous cell runs.

    JupyterLab sends them to a subshell. ipykernel would redirect them to the shell that published
    here last, which is usually the busy main shell, so the subshell that was addressed is kept.
    """
    if hasattr(comm, "_reply_subshell_for"):
        comm._reply_subshell_for = lambda _data, addressed: addressed
