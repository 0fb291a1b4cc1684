"""Panels on an endpoint whose prices are set, for tests of the price beside Run."""

import pytest

import llm_playground as lp
from llm_playground.widget import price_worker
from llm_playground.widget.cost_context import cost_contexts, log_readers
from tests.budgeting.client import MODEL, answer
from tests.budgeting.conftest import serve as serve
from tests.widget.panels import until

SOON_S = 60


@pytest.fixture(autouse=True)
def fresh():
    """Nothing is known of another test's log."""
    cost_contexts.clear()


@pytest.fixture
def panel(serve):
    """Makes a panel on the scripted endpoint; an output token costs a tenth of a cent."""
    made = []

    def make(script=None, **given):
        server = serve(script or answer(1))
        given = {"models": [MODEL], "prompt": "hi", "max_tokens": 5} | given
        made.append(lp.Playground("shop", **given))
        made[-1]._handle_custom_msg({"type": "sync", "view": "v"}, [])
        until(lambda: made[-1].price)
        return made[-1], server

    yield make
    for pg in made:
        pg.close()
    for thread in (price_worker._prices, log_readers):
        thread.submit(lambda: None).result(SOON_S)  # nothing is left to meet the next test's log


def shows(pg, text):
    until(lambda: pg.price.get("text") == text)
