"""Purging: texts that are old, or that a person wants gone. Metrics may stay."""

from llm_playground.retention.purges import purge

__all__ = ["purge"]
