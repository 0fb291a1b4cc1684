"""Runs as OpenTelemetry spans in a file, without and with their texts.

``server.address`` is that of the log, which has none for a vendor's own server.
"""

from __future__ import annotations

from collections.abc import Iterator

from llm_playground import __version__, config
from llm_playground.config.endpoints import known_rows
from llm_playground.exporting.records import Exported, by_id, conversation
from llm_playground.exporting.rows import Row
from llm_playground.telemetry import content as content_attributes
from llm_playground.telemetry import otlp_json
from llm_playground.telemetry.spans import TracedRun, spans_of


def to_otlp(runs: Exported) -> str:
    """A line of OTLP/JSON for each run, without its texts."""
    return otlp_json.to_lines(map(spans_of, _traced(runs, content=False)), __version__)


def to_otlp_with_content(runs: Exported) -> str:
    """A line of OTLP/JSON for each run, with its messages and tools as far as they are stored."""
    return otlp_json.to_lines(map(spans_of, _traced(runs, content=True)), __version__)


def _traced(runs: Exported, *, content: bool) -> Iterator[TracedRun]:
    prompts, executions, results, definitions = (
        by_id(runs.records, table) for table in ("prompts", "executions", "results", "definitions")
    )
    for row in runs.rows:
        prompt = prompts.get(row["prompt_id"] or "", {})
        execution = executions.get(row["execution_id"] or "", {})
        yield TracedRun(
            {**row, **results.get(row["run_id"], {})},
            execution.get("started_at"),
            execution.get("base_url") or _base_url(row),
            prompt.get("schema_hash") is not None,
            (conversation(row, prompts) or None) if content else None,
            content_attributes.tools_of(prompt, definitions),
            execution.get("tool_use"),
        )


def _base_url(row: Row) -> str | None:
    """The base URL of a run's vendor; None for the embedded model and unknown providers."""
    provider = row["provider"] or ""
    known = known_rows().get(provider) or config.rows().get(provider)
    return known.base_url if known else None
