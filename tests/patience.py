"""Processes that tests start side by side wait longer for the run log than a call does."""

from llm_playground.runlog import journal


def wait_long_for_the_log() -> None:
    """Let calls of this process wait a minute for a process that keeps the log, not a second."""
    journal._PATIENCE_S = 60.0
