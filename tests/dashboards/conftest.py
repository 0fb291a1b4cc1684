"""Logs on both engines, as the reports' tests have them."""

from tests.reports.conftest import new_url

__all__ = ["new_url"]
