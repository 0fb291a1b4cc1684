"""A case is named by its values where they are short."""

import pytest

from llm_playground.widgets.form import Form, order


@pytest.mark.parametrize(
    ("case", "label"),
    [
        ({"city": "Oslo", "n": 3}, "case 1: Oslo, 3"),
        ({"text": "long " * 20}, "case 1"),
        ({"text": "two\nlines"}, "case 1"),
    ],
)
def test_a_case_is_named_by_short_values(home, case, label):
    prompt = "Say " + " ".join(f"{{{{{name}}}}}" for name in case)

    [one] = order(Form(prompt, models=["local"], cases=[case]), {})

    assert one.label == label
