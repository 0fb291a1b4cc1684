"""What is set and shown in a panel: its traits, what they take, and who may set them.

The form is traits, and so is everything a view shows but the answers.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import anywidget
import traitlets as t

from llm_playground import parameters
from llm_playground.calls import resolve_model
from llm_playground.errors import ConfigError
from llm_playground.widgets import front_end, own_presets, sweep
from llm_playground.widgets.cases import cases_from_view, cases_to_view
from llm_playground.widgets.dials import TRAIT_OF, TRAITS, dials
from llm_playground.widgets.form import Form
from llm_playground.widgets.material import Material
from llm_playground.widgets.turns import as_turns

# What a prompt is made of besides its text, see material.
SURROUNDING = ("turns", "values", "cases", "images")
FORM = ("prompt", "system", "models", *TRAITS, "preset", "iterations", *SURROUNDING)


def _from_view(trait: t.TraitType[Any, Any]) -> t.TraitType[Any, Any]:
    """A trait the view edits. Not echoed: an echo that comes late would undo what was typed since.

    A number is any value here, so that a wrong one is kept, and explained, instead of refused.
    """
    return trait.tag(sync=True, echo_update=False)


def _for_view(trait: t.TraitType[Any, Any]) -> t.TraitType[Any, Any]:
    return trait.tag(sync=True)


class Panel(anywidget.AnyWidget):
    """The values of a playground, from Python and from its views, which any thread may set.

    ``material`` and the lock of its threads are there before the traits are.
    """

    _esm = front_end.script()
    _css = front_end.style()

    name = _for_view(t.Unicode(allow_none=True))
    prompt = _from_view(t.Unicode())
    system = _from_view(t.Unicode())
    models = _from_view(t.Any())
    temperature = _from_view(t.Any(None))
    top_p = _from_view(t.Any(None))
    max_tokens = _from_view(t.Any(None))
    reasoning_effort = _from_view(t.Any(None))
    stop_at = _from_view(t.Any(None))  # the parameter ``stop``, whose name a verb has
    seed = _from_view(t.Any(None))
    top_k = _from_view(t.Any(None))
    presence_penalty = _from_view(t.Any(None))
    frequency_penalty = _from_view(t.Any(None))
    preset = _from_view(t.Any(None))
    iterations = _from_view(t.Any(1))
    values = _from_view(t.Dict())
    cases = _from_view(t.Any(None)).tag(to_json=cases_to_view, from_json=cases_from_view)
    turns = _from_view(t.Any())
    images = _from_view(t.Any())

    baseline = _from_view(t.Any(None))  # the number of the answer that others are compared with

    running = _for_view(t.Bool(False))
    problem = _for_view(t.Unicode())
    price = _for_view(t.Dict())
    draft = _for_view(t.Dict())
    saved = _for_view(t.Dict())
    saved_id = _for_view(t.Unicode())
    saved_count = _for_view(t.Int(0))
    variables = _for_view(t.List(t.Dict()))
    table = _for_view(t.Dict())
    tables = _for_view(t.List(t.Dict()))
    picture_note = _for_view(t.Unicode())
    choices = _for_view(t.List(t.Dict()))
    unusable = _for_view(t.Dict())
    presets = _for_view(t.Dict())
    own_presets = _for_view(t.Dict())
    dials = _for_view(t.Dict())

    material: Material

    def __init__(self, **values: Any) -> None:  # noqa: ANN401 - traits, as anywidget takes them
        self._setting = threading.local()
        super().__init__(**values)
        self.observe(self._explain, FORM)
        self.observe(self._adapt, ("models", *TRAITS))
        self._adapt({})

    @t.validate("models")
    def _as_list(self, proposal: Mapping[str, Any]) -> list[str]:
        value = proposal["value"]
        names = [value] if isinstance(value, str) else list(value or [])
        return list(dict.fromkeys(map(str, names)))

    @t.validate(*TRAITS)
    def _as_values(self, proposal: Mapping[str, Any]) -> object:
        now, new = getattr(self, proposal["trait"].name), sweep.listed(proposal["value"])
        same = isinstance(now, float) and type(new) is int and now == new  # JSON's 1 is 1.0 too
        return now if same else new

    @t.validate("turns")
    def _as_turns(self, proposal: Mapping[str, Any]) -> list[dict[str, Any]]:
        return as_turns(proposal["value"], self.material.pictures.entries)

    @t.validate("images")
    def _as_pictures(self, proposal: Mapping[str, Any]) -> list[dict[str, Any]]:
        return self.material.pictures.entries(proposal["value"])

    @t.validate("values")
    def _as_texts(self, proposal: Mapping[str, Any]) -> dict[str, str]:
        return self.material.typed(proposal["value"])

    @t.observe("preset")
    def _use_preset(self, change: Mapping[str, Any]) -> None:
        if change["new"] is not None and not own_presets.settings(self, change["new"]):
            own_presets.look_up(self)
        for trait, value in own_presets.settings(self, change["new"]).items():
            setattr(self, trait, value)

    @t.observe(*TRAITS)
    def _leave_preset(self, change: Mapping[str, Any]) -> None:
        if not own_presets.agrees(self, change["name"], change["new"]):
            self.preset = None

    def _explain(self, _change: Mapping[str, Any]) -> None:
        """Say the first thing that is wrong with the form; empty when nothing is."""
        self.problem = self._complaint()

    def _adapt(self, _change: Mapping[str, Any]) -> None:
        """Let the controls offer what the chosen models take."""
        known = []
        for model in self.models if isinstance(self.models, (list, tuple)) else ():
            with contextlib.suppress(ConfigError):
                known.append(resolve_model(model))
        self.dials = dials(known, self._parameters())

    def _complaint(self) -> str:
        try:
            parameters.check_iterations(self.iterations)
            own_presets.check(self)
            models = [resolve_model(model) for model in self.models]
            sweep.check(models, self._parameters(), own_presets.given(self))
        except ConfigError as error:
            return str(error)
        return ""

    def _parameters(self) -> dict[str, Any]:
        return {name: getattr(self, trait) for name, trait in TRAIT_OF.items()}

    def form(self) -> Form:
        """What is set now, as one value.

        Raises:
            ConfigError: A picture is none, a turn is empty, or there is no such table.
        """
        return replace(self.written(), **self.material.of_form())

    def written(self) -> Form:
        """As :meth:`form`, without turns, pictures, typed values and cases."""
        return Form(
            prompt=self.prompt,
            system=self.system,
            models=self.models,
            preset=own_presets.given(self),
            parameters=self._parameters(),
            iterations=self.iterations,
        )

    def set_state(self, sync_data: Mapping[str, Any]) -> None:
        """Take what a view set: a preset first, so that no value on its way takes it back."""
        super().set_state(dict(sorted(sync_data.items(), key=lambda item: item[0] != "preset")))

    @contextlib.contextmanager
    def hold_trait_notifications(self) -> Iterator[None]:
        """Hold nothing: what traitlets holds back is shared by all threads of an object."""
        yield

    @property
    def _property_lock(self) -> dict[str, Any]:
        """What ``set_state`` is setting now: of each thread its own, as two may set at once."""
        held: dict[str, Any] = getattr(self._setting, "held", {})
        return held

    @_property_lock.setter
    def _property_lock(self, held: dict[str, Any]) -> None:
        self._setting.held = held
