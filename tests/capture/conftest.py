"""Each test leaves no recording behind."""

import pytest

from llm_playground import capture


@pytest.fixture(autouse=True)
def stopped():
    yield
    capture.stop_all()
