"""Extreme numbers and names."""

import json

import pytest

import llm_playground as lp


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_preset_with_an_infinite_number_is_refused(home, value):
    with pytest.raises(lp.InvalidParameterError, match="finite"):
        lp.save_preset("odd", temperature=value)
    assert len(lp.presets()) == 3


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_import_with_an_infinite_cost_is_refused(home, value):
    lp.demo_runs(1)
    document = json.loads(lp.export(lp.runs(limit=1)))
    document["runs"][0]["cost_usd"] = value
    with pytest.raises(lp.InvalidParameterError, match=r"runs\[0\].cost_usd: expected an amount"):
        lp.import_runs(document)


def test_long_name_makes_a_short_error():
    with pytest.raises(lp.TemplateError) as error:
        lp.ask("{{" + "a" * 1_000_000 + "}}", "local", variables={})
    assert len(str(error.value)) < 300
