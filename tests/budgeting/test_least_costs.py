"""A call whose cost is not known as a whole counts with what is known of it."""

import math

import pytest

import llm_playground as lp
from llm_playground import footer
from tests.budgeting.client import MODEL, ask
from tests.budgeting.test_spent_stays import new_kernel
from tests.providers.formats import openai_stream
from tests.providers.server import Reply

pytestmark = pytest.mark.usefixtures("one_day")

# Five tokens cost half a cent; two searches cost an unknown amount.
USAGE = {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12, "num_search_queries": 2}
SEARCHED = Reply(openai_stream(["Hi"], usage=USAGE))


# By what is assumed of an unknown price: what the call counts with.
@pytest.mark.parametrize(("assumed", "usd"), [("warn", 0.005), (0.002, 0.005), (0.008, 0.008)])
def test_a_call_counts_with_the_least_that_it_costs(serve, log_url, assumed, usd):
    serve(SEARCHED, log_url)
    lp.set_budget(1, unknown_price=assumed)

    run = ask()

    assert (run.cost_usd, float(run.at_least_usd)) == (None, 0.005)
    assert footer.line(run).startswith("at least $0.0050 \u00b7 ")
    assert lp.budgets().spent_usd.tolist() == [usd]
    [costs] = lp.costs(by=()).to_dict("records")
    assert (costs["at_least_usd"], costs["unpriced_runs"]) == (0.005, 1)
    assert math.isnan(costs["cost_usd"])
    lp.set_budget(None)
    new_kernel()
    lp.set_budget(2, period="day", unknown_price=assumed)  # nothing is settled in it
    assert lp.budgets().spent_usd.tolist() == [usd]


def test_calls_are_refused_once_the_least_is_the_limit(serve):
    server = serve(SEARCHED)
    lp.set_budget(0.01)

    assert [ask().status for _ in range(3)] == ["completed", "completed", "over_budget"]
    assert len(server.requests) == 2


def test_the_footer_says_what_is_known_of_a_cost(serve):
    serve(SEARCHED)
    priced = {MODEL: {"input_usd_per_mtok": 0, "output_usd_per_mtok": 0}}
    lp.configure(prices=priced)
    assert footer.cost(ask()) == "price unknown"
    assert lp.costs(by=()).unpriced_runs.tolist() == [1]
