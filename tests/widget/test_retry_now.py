"""Retry now: the wait before a next attempt ends when a person wants it to."""

from tests.widget import panels
from tests.widget.panels import until
from tests.wire.formats import openai_stream
from tests.wire.server import Reply, json_reply

served = panels.served

HEADERS = {
    "retry-after": "50",
    "x-ratelimit-limit-requests": "9",
    "x-ratelimit-remaining-requests": "0",
    "x-ratelimit-reset-requests": "50s",
}
LIMITED = json_reply(429, {"error": {"message": "Slow down."}}, HEADERS)
ANSWER = Reply(openai_stream(["Hello"]))


def pane(pg, number=1):
    _, everything = pg.sheet.catch_up()
    return everything[number - 1]


def retry_now(pg, number=1):
    pg._handle_custom_msg({"type": "retry_now", "number": number}, [])


def test_the_next_attempt_begins_when_asked_for_and_says_how_long_it_really_waited(served):
    pg, server = served([LIMITED, ANSWER])
    pg.run()
    until(lambda: pane(pg)["waits"])
    assert "Next try in 5" in pane(pg)["status"]
    assert pane(pg)["footer"] == "nothing billed yet"

    retry_now(pg)

    assert pg.results.status.tolist() == ["completed"]
    assert len(server.requests) == 2
    waited_ms = pg.sheet.run_of(1).attempts[1].wait_ms
    assert 0 < waited_ms < 20_000
    assert pane(pg)["waits"] is False


def test_of_several_only_the_one_that_was_asked_for_goes(served):
    pg, server = served([LIMITED, LIMITED, ANSWER], n=2)
    pg.run()
    until(lambda: pane(pg, 1)["waits"] and pane(pg, 2)["waits"])

    retry_now(pg, 2)

    until(lambda: pg.sheet.run_of(2))
    assert pg.sheet.run_of(2).text == "Hello"
    assert pane(pg, 1)["waits"] is True
    pg.stop()
    assert len(server.requests) == 3


def test_it_can_be_asked_for_at_each_wait(served):
    pg, _ = served([LIMITED, LIMITED, ANSWER])
    pg.run()

    for attempt in (2, 3):
        until(lambda wanted=attempt: pg.sheet.awaited(1) == wanted)
        retry_now(pg)

    assert pg.results.status.tolist() == ["completed"]
    assert len(pg.sheet.run_of(1).attempts) == 3


def test_asked_for_where_nothing_waits_it_does_nothing(served):
    pg, server = served([ANSWER])
    pg.run()
    assert pg.results.status.tolist() == ["completed"]

    retry_now(pg)
    retry_now(pg, 7)

    assert pg.results.response_text.tolist() == ["Hello"]
    assert len(server.requests) == 1


def test_a_wait_that_ends_by_itself_is_offered_no_more(served):
    short = json_reply(429, {"error": {"message": "Slow down."}}, {"retry-after": "1"})
    pg, _ = served([short, Reply((), end="hang")])
    pg.run()
    until(lambda: pane(pg)["waits"])

    until(lambda: not pane(pg)["waits"])

    assert pane(pg)["status"].endswith("Trying again, 2 of 5.")
    pg.stop()
