"""Server-sent events are decoded wherever their bytes were cut."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_playground.providers.sse import Event, EventDecoder, EventTooLongError

RECORDING = (
    "\ufeffevent: message\ndata: Grüße, 世界 👋\n\n"
    ": a comment\r\n\r\n"
    "data:no space\rid: 7\rretry: 10\r\r"
    "data: one\r\ndata\r\ndata: three\r\n\r\n"
    "event: nothing\n\n"
    "unknown: field\ndata:  two spaces\n\n"
).encode()
EVENTS = [
    Event("message", "Grüße, 世界 👋"),
    Event("", "no space"),
    Event("", "one\n\nthree"),
    Event("", " two spaces"),
]


def decode(*chunks, **limit):
    decoder = EventDecoder(**limit)
    return [event for chunk in chunks for event in decoder.feed(chunk)]


def cut(data, places):
    bounds = [0, *sorted(places), len(data)]
    return [data[start:end] for start, end in itertools.pairwise(bounds)]


def test_reads_line_ends_comments_and_bom_as_standardised():
    assert decode(RECORDING) == EVENTS


@pytest.mark.parametrize("place", range(len(RECORDING) + 1))
def test_a_cut_anywhere_changes_nothing(place):
    assert decode(RECORDING[:place], RECORDING[place:]) == EVENTS


@given(st.lists(st.integers(0, len(RECORDING)), max_size=20))
def test_any_number_of_cuts_changes_nothing(places):
    assert decode(*cut(RECORDING, places)) == EVENTS


@given(
    st.lists(st.sampled_from([b"data: ", b"data", b":", b"event: x", b"a", b"\n", b"\r", b"\xc3"])),
    st.lists(st.integers(0, 60), max_size=10),
)
def test_whatever_the_bytes_say_cuts_change_nothing(pieces, places):
    data = b"".join(pieces)
    assert decode(*cut(data, [min(place, len(data)) for place in places])) == decode(data)


@given(st.lists(st.text(st.characters(exclude_characters="\r\n"), min_size=1), max_size=8))
def test_what_was_written_as_events_is_read_as_events(texts):
    written = "".join(f"data: {text}\n\n" for text in texts).encode("utf-8", "surrogatepass")
    wanted = [text.encode("utf-8", "surrogatepass").decode("utf-8", "replace") for text in texts]
    assert [event.data for event in decode(written)] == wanted


def test_invalid_utf8_is_replaced():
    assert decode(b"data: a\xff\n\n", b"data: b\n\n") == [Event("", "a\ufffd"), Event("", "b")]


def test_an_event_without_its_blank_line_comes_at_the_end_of_the_stream():
    decoder = EventDecoder()
    assert decoder.feed(b"data: [DO") == []
    assert decoder.feed(b"NE]") == []
    assert decoder.flush() == [Event("", "[DONE]")]
    assert decoder.flush() == []


@pytest.mark.parametrize(
    "endless", [[b"data: "] + [b"x" * 10] * 20, [b"data: xxxxxxxxxx\n"] * 20, [b":" + b"x" * 200]]
)
def test_endless_line_or_event_is_refused(endless):
    with pytest.raises(EventTooLongError):
        decode(*endless, max_event_bytes=100)


def test_the_limit_is_per_event_not_per_stream():
    events = [b"data: " + b"x" * 50 + b"\n\n"] * 50
    assert len(decode(*events, max_event_bytes=100)) == 50
