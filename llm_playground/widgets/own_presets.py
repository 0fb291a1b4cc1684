"""Presets in the panel: what choosing one sets, and those that people saved in the run log."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from llm_playground._signatures import closest
from llm_playground.errors import InvalidParameterError, LLMError
from llm_playground.widgets.dials import TRAIT_OF, TRAITS
from llm_playground.widgets.sweep import listed

if TYPE_CHECKING:
    from llm_playground.widgets.playground import Playground


def settings(panel: Playground, name: object) -> dict[str, Any]:
    """What choosing a preset sets: precise and its like one parameter, an own preset every one."""
    if not isinstance(name, str):
        return {}
    if name in panel.presets:
        return dict(panel.presets[name])
    if name not in panel.own_presets:
        return {}
    chosen = panel.own_presets[name]["parameters"]
    return {trait: chosen.get(trait) for trait in TRAITS}


def agrees(panel: Playground, trait: str, value: object) -> bool:
    """Whether a value is still the one that the chosen preset has."""
    set_by_it = settings(panel, panel.preset)
    return trait not in set_by_it or set_by_it[trait] == listed(value)


def given(panel: Playground) -> str | None:
    """The preset that a call must name; of an own one every value stands in the form."""
    name: Any = panel.preset
    return None if isinstance(name, str) and name in panel.own_presets else name


def check(panel: Playground) -> None:
    """Refuse a preset that is unknown here, without a look into the log.

    Raises:
        InvalidParameterError: No preset has this name; the message gives the closest.
    """
    name: object = panel.preset
    known = [*panel.presets, *panel.own_presets]
    if name is not None and name not in known:
        raise InvalidParameterError(f"No preset is called {name!r}. {closest(str(name), known)}")


def look_up(panel: Playground) -> None:
    """Read what is saved; an unreadable log leaves the panel as it is."""
    from llm_playground import saved_presets  # the run log: first use, not import

    with suppress(LLMError):
        panel.own_presets = {
            one.name: {"parameters": _by_trait(one.parameters.as_dict()), "by": one.username or ""}
            for one in saved_presets.saved()
        }


def tell(panel: Playground, _given: Mapping[str, Any]) -> None:
    """A view opened: what others saved meanwhile is shown too."""
    look_up(panel)


def save(panel: Playground, given: Mapping[str, Any]) -> str:
    """Save the parameters that came with the question; the name as it is kept."""
    from llm_playground import saved_presets  # as above

    values = given.get("parameters") or {}
    chosen = {name: values.get(trait) for name, trait in TRAIT_OF.items()}
    name = str(given.get("name") or "").strip()
    saved_presets.save_preset(name, **chosen)
    look_up(panel)
    return name


def delete(panel: Playground, given: Mapping[str, Any]) -> None:
    """Take a preset away; the values in the form stay."""
    from llm_playground import saved_presets  # as above

    name = str(given.get("name") or "")
    saved_presets.delete_preset(name)
    if panel.preset == name:
        panel.preset = None
    look_up(panel)


def _by_trait(parameters: Mapping[str, Any]) -> dict[str, Any]:
    return {
        trait: listed(parameters[name]) for name, trait in TRAIT_OF.items() if name in parameters
    }
