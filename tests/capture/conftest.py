"""Each test leaves no recording behind."""

import pytest

import llm_playground as lp
from llm_playground import capture
from llm_playground.recording import kernel, numbers


@pytest.fixture(autouse=True)
def stopped():
    yield
    capture.stop_all()


@pytest.fixture
def recording(home, tmp_path):
    path = tmp_path / "recordings" / "calls.yaml"
    numbers.reset()  # as in a new kernel
    kernel.forget_use()
    lp.configure(recording=str(path), mode="record")
    yield path
    capture.stop_all()
    lp.configure(mode="live")
