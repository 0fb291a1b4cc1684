"""What a playground is called."""

from __future__ import annotations

from collections.abc import Sequence

from llm_playground import config
from llm_playground.errors import InvalidParameterError


def check_name(name: str | None, models: Sequence[str] | str | None) -> None:
    """A model where the name belongs is a slip: the panel would ask another one under its heading.

    Raises:
        InvalidParameterError: ``name`` is a model's, and ``models`` are not given.

    Example:
        >>> check_name("invoice-summary", None)
        >>> check_name("local:tiny", None)
        Traceback (most recent call last):
        llm_playground.errors.InvalidParameterError: The first argument of Playground is its name. \
To ask that model: Playground(models="local:tiny").
    """
    if not isinstance(name, str) or models is not None or len(name.split()) != 1:
        return
    provider, colon, model = name.partition(":")
    if colon and model and provider in config.rows():
        raise InvalidParameterError(
            "The first argument of Playground is its name. "
            f'To ask that model: Playground(models="{name}").'
        )
