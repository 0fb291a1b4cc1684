"""A Jupyter-native playground for language models.

    >>> import llm_playground as lp
    >>> lp.ask("Say hello.", max_tokens=8).status      # runs in this kernel, no key needed
    'completed'

The names below are loaded when first used: importing this package imports nothing heavy.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from llm_playground import deeds

if TYPE_CHECKING:
    from llm_playground._version import __version__ as __version__
    from llm_playground.audits import audit as audit
    from llm_playground.budgeting import Budget as Budget
    from llm_playground.budgeting import BudgetWarning as BudgetWarning
    from llm_playground.budgeting import budgets as budgets
    from llm_playground.budgeting import set_budget as set_budget
    from llm_playground.calls import ask as ask
    from llm_playground.calls import complete as complete
    from llm_playground.calls import stream as stream
    from llm_playground.catalog import keys as keys
    from llm_playground.catalog import models as models
    from llm_playground.charts import chart as chart
    from llm_playground.codegen import code as code
    from llm_playground.comparison import Comparison as Comparison
    from llm_playground.comparison import compare as compare
    from llm_playground.config import configure as configure
    from llm_playground.credentials import forget_key as forget_key
    from llm_playground.credentials import set_key as set_key
    from llm_playground.demo import demo_runs as demo_runs
    from llm_playground.errors import AuthenticationError as AuthenticationError
    from llm_playground.errors import BudgetExceededError as BudgetExceededError
    from llm_playground.errors import ConfigError as ConfigError
    from llm_playground.errors import ContentBlockedError as ContentBlockedError
    from llm_playground.errors import ContextLengthError as ContextLengthError
    from llm_playground.errors import InvalidParameterError as InvalidParameterError
    from llm_playground.errors import LLMError as LLMError
    from llm_playground.errors import MissingKeyError as MissingKeyError
    from llm_playground.errors import ProviderError as ProviderError
    from llm_playground.errors import ProviderTimeoutError as ProviderTimeoutError
    from llm_playground.errors import ProviderUnavailableError as ProviderUnavailableError
    from llm_playground.errors import RateLimitError as RateLimitError
    from llm_playground.errors import RequestRejectedError as RequestRejectedError
    from llm_playground.errors import RunLogError as RunLogError
    from llm_playground.errors import StreamInterruptedError as StreamInterruptedError
    from llm_playground.errors import TemplateError as TemplateError
    from llm_playground.errors import UnknownModelError as UnknownModelError
    from llm_playground.estimates import Estimate as Estimate
    from llm_playground.estimation import estimate as estimate
    from llm_playground.events import Finish as Finish
    from llm_playground.events import Preparing as Preparing
    from llm_playground.events import ReasoningDelta as ReasoningDelta
    from llm_playground.events import RunFinished as RunFinished
    from llm_playground.events import TextDelta as TextDelta
    from llm_playground.events import ToolCallDelta as ToolCallDelta
    from llm_playground.events import Waiting as Waiting
    from llm_playground.exporting import export as export
    from llm_playground.exporting import import_runs as import_runs
    from llm_playground.images import image as image
    from llm_playground.prompt_file import prompt_from_file as prompt_from_file
    from llm_playground.prompt_versions import prompt as prompt
    from llm_playground.prompt_versions import prompts as prompts
    from llm_playground.prompt_versions import save_prompt as save_prompt
    from llm_playground.ratings import rate as rate
    from llm_playground.reports import costs as costs
    from llm_playground.reports import duplicates as duplicates
    from llm_playground.reports import failures as failures
    from llm_playground.reports import forecast as forecast
    from llm_playground.reports import latency as latency
    from llm_playground.reports import prompt_cache as prompt_cache
    from llm_playground.reports import reconcile as reconcile
    from llm_playground.reports import runs as runs
    from llm_playground.reports import sql as sql
    from llm_playground.reports import usage_by as usage_by
    from llm_playground.reports import waste as waste
    from llm_playground.reports import what_if as what_if
    from llm_playground.retention import purge as purge
    from llm_playground.runlog import backup as backup
    from llm_playground.runlog import migrate as migrate
    from llm_playground.runlog import restore as restore
    from llm_playground.runlog import set_aside_log as set_aside_log
    from llm_playground.saved_presets import delete_preset as delete_preset
    from llm_playground.saved_presets import presets as presets
    from llm_playground.saved_presets import save_preset as save_preset
    from llm_playground.saved_prompt import Prompt as Prompt
    from llm_playground.schemas import SchemaWarning as SchemaWarning
    from llm_playground.toolloop import ToolRun as ToolRun
    from llm_playground.toolloop import ask_with_tools as ask_with_tools
    from llm_playground.toolloop import complete_with_tools as complete_with_tools
    from llm_playground.tools import tool as tool
    from llm_playground.types import ImagePart as ImagePart
    from llm_playground.types import Message as Message
    from llm_playground.types import Parameters as Parameters
    from llm_playground.types import ReasoningPart as ReasoningPart
    from llm_playground.types import Run as Run
    from llm_playground.types import Schema as Schema
    from llm_playground.types import TextPart as TextPart
    from llm_playground.types import TokenLogprob as TokenLogprob
    from llm_playground.types import Tool as Tool
    from llm_playground.types import ToolCall as ToolCall
    from llm_playground.types import ToolResult as ToolResult
    from llm_playground.types import Usage as Usage
    from llm_playground.widgets.playground import Playground as Playground

_ROOMS = {
    "_version": ["__version__"],
    "audits": ["audit"],
    "budgeting": ["Budget", "BudgetWarning", "budgets", "set_budget"],
    "calls": ["ask", "complete", "stream"],
    "catalog": ["keys", "models"],
    "charts": ["chart"],
    "codegen": ["code"],
    "comparison": ["Comparison", "compare"],
    "config": ["configure"],
    "credentials": ["forget_key", "set_key"],
    "demo": ["demo_runs"],
    "errors": [
        "AuthenticationError",
        "BudgetExceededError",
        "ConfigError",
        "ContentBlockedError",
        "ContextLengthError",
        "InvalidParameterError",
        "LLMError",
        "MissingKeyError",
        "ProviderError",
        "ProviderTimeoutError",
        "ProviderUnavailableError",
        "RateLimitError",
        "RequestRejectedError",
        "RunLogError",
        "StreamInterruptedError",
        "TemplateError",
        "UnknownModelError",
    ],
    "estimates": ["Estimate"],
    "estimation": ["estimate"],
    "events": [
        "Finish",
        "Preparing",
        "ReasoningDelta",
        "RunFinished",
        "TextDelta",
        "ToolCallDelta",
        "Waiting",
    ],
    "exporting": ["export", "import_runs"],
    "images": ["image"],
    "reports": [
        "costs",
        "duplicates",
        "failures",
        "forecast",
        "latency",
        "prompt_cache",
        "reconcile",
        "runs",
        "sql",
        "usage_by",
        "waste",
        "what_if",
    ],
    "prompt_file": ["prompt_from_file"],
    "prompt_versions": ["prompt", "prompts", "save_prompt"],
    "ratings": ["rate"],
    "retention": ["purge"],
    "saved_presets": ["delete_preset", "presets", "save_preset"],
    "saved_prompt": ["Prompt"],
    "runlog": ["backup", "migrate", "restore", "set_aside_log"],
    "schemas": ["SchemaWarning"],
    "toolloop": ["ToolRun", "ask_with_tools", "complete_with_tools"],
    "tools": ["tool"],
    "types": [
        "ImagePart",
        "Message",
        "Parameters",
        "ReasoningPart",
        "Run",
        "Schema",
        "TextPart",
        "TokenLogprob",
        "Tool",
        "ToolCall",
        "ToolResult",
        "Usage",
    ],
    "widgets.playground": ["Playground"],
}
_ROOM_OF = {name: room for room, names in _ROOMS.items() for name in names}
__all__ = sorted(name for name in _ROOM_OF if not name.startswith("_"))


def __getattr__(name: str) -> Any:  # noqa: ANN401 - a module's names are of any type
    if name not in _ROOM_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    room = _ROOM_OF[name]
    value = getattr(importlib.import_module(f"{__name__}.{room}"), name)
    if room in _ROOM_OF:  # a room whose own name is public for something else
        globals().pop(room, None)
    globals()[name] = value
    return value


def _note(deed: deeds.Deed) -> None:
    """Write in the audit log what was done on a lower floor."""
    from llm_playground import audits  # the run log: first use, not import

    audits.note(deed)


deeds.listen(_note)


def __dir__() -> list[str]:
    return sorted({*globals(), *_ROOM_OF})


def load_ipython_extension(shell: Any) -> None:  # noqa: ANN401 - IPython is not imported here
    """What ``%load_ext llm_playground`` calls."""
    from llm_playground import magics  # IPython is loaded where this runs

    magics.load(shell)
