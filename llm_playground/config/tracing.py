"""The setting ``telemetry``: which spans of runs are exported as they end."""

from __future__ import annotations

import logging
from functools import lru_cache
from importlib.util import find_spec
from typing import Literal, cast, get_args

from llm_playground._validation import one_of
from llm_playground.errors import ConfigError, InvalidParameterError
from llm_playground.installation import INSTALL
from llm_playground.redaction import printable

Telemetry = Literal["off", "spans", "content"]
NOT_INSTALLED = f"OpenTelemetry is not installed: {INSTALL['otel']}."

_log = logging.getLogger(__name__)


def telemetry_setting(value: object) -> Telemetry:
    """``configure(telemetry=...)``, checked.

    Raises:
        InvalidParameterError: It is none of the three.
        ConfigError: OpenTelemetry's SDK or its exporter is not installed.

    >>> telemetry_setting("off")
    'off'
    """
    chosen = cast("Telemetry", one_of("telemetry", value, get_args(Telemetry)))
    if chosen != "off" and not _is_installed():
        raise ConfigError(NOT_INSTALLED)
    return chosen


@lru_cache(maxsize=4)  # it warns once of each value
def telemetry_of_variable(value: str) -> Telemetry:
    """The value of ``LLM_PLAYGROUND_TELEMETRY``; ``off`` if it is empty, or unknown with a warning.

    >>> telemetry_of_variable("")
    'off'
    """
    try:
        named = one_of("LLM_PLAYGROUND_TELEMETRY", value or "off", get_args(Telemetry))
        return cast("Telemetry", named)
    except InvalidParameterError as error:
        _log.warning("%s", printable(f"{error} No spans are exported."))
        return "off"


def _is_installed() -> bool:
    try:
        names = ("opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http")
        return all(find_spec(name) is not None for name in names)
    except ImportError:  # not even the package around them
        return False
