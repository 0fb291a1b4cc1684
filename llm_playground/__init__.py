"""A Jupyter-native playground for language models.

    >>> import llm_playground as lp
    >>> lp.ask("Say hello.", max_tokens=8).status      # runs in this kernel, no key needed
    'completed'

The public names are imported on first use, so that importing this package imports nothing heavy.
"""

from importlib import import_module as _import_module

__version__ = "0.1.0"

# Which module defines each public name. Their types are in __init__.pyi.
_EXPORTS = {
    "budgeting": ["budgets", "set_budget"],
    "budgeting.alarm": ["BudgetAlarm"],
    "budgeting.budget": ["Budget"],
    "budgeting.reservation": ["BudgetWarning"],
    "calls": ["ask", "complete", "stream"],
    "capture": ["Recording", "record"],
    "catalog.estimates": ["Estimate"],
    "catalog.models": ["keys", "models"],
    "charts": ["chart"],
    "codegen": ["code"],
    "comparison": ["Comparison", "compare"],
    "config": ["configure"],
    "config.credentials": ["forget_key", "set_key"],
    "config.dotenv": ["trust_dotenv"],
    "dashboards": ["dashboard"],
    "demo": ["demo_runs"],
    "dry_runs": ["DryRun", "dry_run"],
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
    "estimation": ["estimate"],
    "events": [
        "Finish",
        "PartAdded",
        "Preparing",
        "ReasoningDelta",
        "RunFinished",
        "TextDelta",
        "ToolCallDelta",
        "Waiting",
    ],
    "exporting": ["export"],
    "exporting.importing": ["import_runs"],
    "parts": [
        "AudioPart",
        "FilePart",
        "ImagePart",
        "OtherPart",
        "ReasoningPart",
        "RefusalPart",
        "ServerToolCall",
        "ServerToolResult",
        "Source",
        "TextPart",
        "ToolCall",
        "ToolResult",
    ],
    "reports": ["sql"],
    "reports.quality": ["failures", "latency", "waste"],
    "reports.reconciliation": ["reconcile"],
    "reports.retiring": ["retiring"],
    "reports.run_rows": ["audit", "duplicates", "rate", "runs", "top_prompts"],
    "reports.savings": ["prompt_cache", "what_if"],
    "reports.spending": ["costs", "forecast", "usage_by"],
    "request.files": ["file"],
    "request.images": ["image"],
    "request.parameters": ["delete_preset", "presets", "save_preset"],
    "request.prompts": ["Prompt", "prompt", "prompts", "save_prompt"],
    "request.prompty": ["prompt_from_file"],
    "request.schemas": ["SchemaWarning"],
    "request.tools": ["tool"],
    "resuming": ["resume"],
    "retention": ["purge"],
    "runlog": ["backup", "engine", "migrate", "restore", "set_aside_log"],
    "tool_use": ["ToolRun", "ask_with_tools", "complete_with_tools"],
    "types": ["Message", "Parameters", "Run", "Schema", "TokenLogprob", "Tool", "Usage"],
    "widget": ["Playground"],
}
_MODULE_OF = {name: module for module, names in _EXPORTS.items() for name in names}
__all__ = sorted(_MODULE_OF)


def __getattr__(name: str) -> object:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(_import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return ["__version__", *__all__]


def load_ipython_extension(shell: object) -> None:
    """Register the magics: what ``%load_ext llm_playground`` calls."""
    from llm_playground import magics  # IPython is imported on first use

    magics.load(shell)


def unload_ipython_extension(shell: object) -> None:
    """Remove the magics: what ``%unload_ext llm_playground`` calls."""
    from llm_playground import magics

    magics.unload(shell)
