"""How soon a panel can be used, in short, beside a form of plain widgets."""

from tests.benchmarks.opening import measure

MOST_ROUNDS = 3  # one is enough, unless the machine paused in it


def least(rounds, name):
    """The least time of the first panel of a page, and of the next one."""
    firsts, others = zip(*(found[name] for found in rounds), strict=True)
    return min(firsts), min(others)


def test_a_playground_can_be_used_soon_after_a_plain_form():
    rounds, is_soon = [], False
    while not is_soon and len(rounds) < MOST_ROUNDS:
        rounds.append(measure(rounds=1))
        ours, form = least(rounds, "lp.Playground()"), least(rounds, "ipywidgets form")
        is_soon = ours[0] < 8 * form[0] and ours[1] < 5 * form[1]

    assert is_soon, rounds
