"""The price of a model that no list knows, set in the panel for this kernel."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from llm_playground import config
from llm_playground.calls import resolve_model

if TYPE_CHECKING:
    from llm_playground.widgets.playground import Playground


def set_price(panel: Playground, given: Mapping[str, Any]) -> None:
    """Have a model cost so many US dollars per million tokens, as ``configure(prices=...)`` does.

    Args:
        panel: Whose price tag is to follow.
        given: ``model``, ``input_usd`` and ``output_usd``.

    Raises:
        ConfigError: The model is unknown or an amount none.
    """
    rates = {f"{kind}_usd_per_mtok": given.get(f"{kind}_usd", "") for kind in ("input", "output")}
    config.configure(prices={resolve_model(str(given.get("model"))): rates})
    panel.price_anew()
