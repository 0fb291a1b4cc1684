"""How amounts are written."""

import pytest

from llm_playground import formatting


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (0, "0.00 s"),
        (999, "1.00 s"),
        (59_900, "59.9 s"),
        (59_990, "1 min 0 s"),
        (61_000, "1 min 1 s"),
        (119_990, "2 min 0 s"),
    ],
)
def test_durations_read_naturally(ms, text):
    assert formatting.duration(ms) == text
