"""Runs leave the log and come back: as JSON, Markdown or CSV, and inside saved notebooks."""

from llm_playground.exporting.exports import export
from llm_playground.exporting.imports import import_runs

__all__ = ["export", "import_runs"]
