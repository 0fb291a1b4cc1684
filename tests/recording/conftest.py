"""What is promised of answers of the log is promised of both engines."""

from tests.reports.conftest import log, new_url

__all__ = ["log", "new_url"]
