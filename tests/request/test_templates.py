"""``{{name}}`` in texts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_playground.errors import TemplateError
from llm_playground.request import messages


def test_a_value_is_not_filled_again():
    assert messages.fill("{{a}}", {"a": "{{b}}", "b": "no"}) == "{{b}}"


@pytest.mark.parametrize("text", ["{a}", "{{a.b}}", "{{a()}}", "{{ }}", "{{1a}}"])
def test_only_plain_names_in_double_braces_are_variables(text):
    assert messages.fill(text, {"a": "no"}) == text


def test_a_missing_name_is_named():
    with pytest.raises(TemplateError, match=r"\{\{article\}\} is not defined"):
        messages.fill("{{article}}", {})


@given(st.text())
def test_text_without_variables_is_unchanged(text):
    if not messages.names(text):
        assert messages.fill(text, {}) == text
