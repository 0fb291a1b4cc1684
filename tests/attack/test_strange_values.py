"""Values that are numbers or names only by their kind."""

import json

import pytest

import llm_playground as lp


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_preset_without_a_finite_number_is_refused_and_leaves_no_row(home, value):
    with pytest.raises(lp.InvalidParameterError, match="finite"):
        lp.save_preset("odd", temperature=value)
    assert len(lp.presets()) == 3


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_an_imported_document_whose_cost_is_no_amount_is_refused_by_its_place(home, value):
    lp.demo_runs(1)
    document = json.loads(lp.export(lp.runs(limit=1)))
    document["runs"][0]["cost_usd"] = value
    with pytest.raises(lp.InvalidParameterError, match=r"runs\[0\].cost_usd: an amount"):
        lp.import_runs(document)


def test_a_name_without_end_makes_no_error_without_end():
    with pytest.raises(lp.TemplateError) as error:
        lp.ask("{{" + "a" * 1_000_000 + "}}", "local", variables={})
    assert len(str(error.value)) < 300
