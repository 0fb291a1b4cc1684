"""How soon a panel can be used, in short, beside a form of plain widgets."""

from tests.benchmarks.opening import measure


def test_a_playground_can_be_used_soon_after_a_plain_form():
    found = measure(rounds=1)
    ours, form = found["lp.Playground()"], found["ipywidgets form"]

    assert ours[0] < 8 * form[0]
    assert ours[1] < 5 * form[1]
