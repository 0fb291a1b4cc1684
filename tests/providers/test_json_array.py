"""A streamed JSON array is decoded element by element, wherever its bytes were cut."""

import gzip
import itertools
import json
from contextlib import aclosing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_playground import errors
from llm_playground.events import Finish, TextDelta
from llm_playground.providers.gemini_legacy import ArrayDecoder
from llm_playground.providers.sse import MAX_EVENT_BYTES, EventDecoder
from tests.providers.failures import collect, failure_from
from tests.providers.legacy_format import (
    ELEMENTS,
    JSON,
    LEGACY,
    array,
    legacy_element,
    legacy_stream,
    reply,
    texts,
)
from tests.providers.server import Reply, WireServer

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(
    st.lists(st.dictionaries(st.text(), VALUES)),
    st.sampled_from([None, 0, 2]),
    st.booleans(),
    st.lists(st.integers(0, 200)),
)
def test_whatever_the_elements_hold_cuts_change_nothing(elements, indent, ascii_only, places):
    written = json.dumps(elements, indent=indent, ensure_ascii=ascii_only)
    data = written.encode("utf-8", "surrogatepass")
    bounds = [0, *sorted(min(place, len(data)) for place in places), len(data)]
    decoder, events = ArrayDecoder(), EventDecoder()
    read = []
    for start, end in itertools.pairwise(bounds):
        read += events.feed(decoder.feed(data[start:end]))
    assert [json.loads(event.data) for event in read] == elements


async def test_element_is_emitted_when_complete():
    [first, *_] = array(*ELEMENTS)
    with WireServer(Reply((first.rstrip(b",\r\n"),), headers=JSON, end="hang")) as wire:
        provider = LEGACY.provider(wire.url)
        async with aclosing(provider.stream(LEGACY.request())) as stream:
            async for event in stream:
                if isinstance(event, TextDelta):
                    break
        await provider.aclose()
    assert event == TextDelta("Grü")


ODD = {
    "one line": json.dumps(ELEMENTS).encode(),
    "escapes": json.dumps(ELEMENTS, ensure_ascii=True).encode(),
    "blanks around": b"\r\n \t" + b"".join(array(*ELEMENTS)) + b"\n\n",
    "byte order mark": b"\xef\xbb\xbf" + json.dumps(ELEMENTS).encode(),
    "no end": b"".join(array(*ELEMENTS)).rstrip(b"\n]"),
    "elements of other kinds": json.dumps(
        [1, "][}{", [2, {}], None, {}, {"candidates": 5}, *ELEMENTS]
    ).encode(),
}


@pytest.mark.parametrize("written", ODD)
async def test_however_the_array_is_written_the_answer_is_the_same(written):
    recording = ODD[written]
    byte_by_byte = [recording[place : place + 1] for place in range(len(recording))]
    for chunks in ([recording], byte_by_byte):
        with WireServer(Reply(chunks, headers=JSON)) as wire:
            events = await LEGACY.answer(wire.url)
        assert texts(events) == "Grü👋"
        assert events[-1].finish_reason == "stop"


@pytest.mark.parametrize("text", ['"', "\\", '\\"', "}]", "[{", '"}]\n,[{"', "\\\\", "\u2028"])
async def test_text_that_looks_like_json_is_text(text):
    stream = legacy_stream([text, text])
    with WireServer(Reply(stream, headers=JSON)) as wire:
        assert texts(await LEGACY.answer(wire.url)) == text + text


async def test_a_compressed_answer_is_read():
    packed = gzip.compress(b"".join(array(*ELEMENTS)))
    halves = (packed[:40], packed[40:])
    with WireServer(Reply(halves, headers=JSON | {"content-encoding": "gzip"})) as wire:
        assert texts(await LEGACY.answer(wire.url)) == "Grü👋"


# What breaks.


@pytest.mark.parametrize("end", ["done", "drop"])
async def test_cut_answer_is_never_complete(end):
    recording = b"".join(array(*ELEMENTS))
    whole = recording.rstrip(b"\n]")
    first = recording.index(b"\n,") + 1
    replies = [
        Reply((recording[:place],), headers=JSON, end=end) for place in range(len(recording))
    ]
    with WireServer(replies) as wire:
        provider = LEGACY.provider(wire.url)
        for place in range(len(recording)):
            events = []
            if place >= len(whole):  # all was said but the bracket
                await collect(provider.stream(LEGACY.request()), events)
                assert isinstance(events[-1], Finish)
                continue
            with pytest.raises(errors.ProviderError) as caught:
                await collect(provider.stream(LEGACY.request()), events)
            delivered = place >= first - 1
            kind = errors.StreamInterruptedError if delivered else errors.ProviderUnavailableError
            assert (type(caught.value), texts(events)) == (kind, "Grü" if delivered else "")
        await provider.aclose()


async def test_an_empty_array_is_an_empty_answer():
    for empty in (b"[]", b"[\n]\n", b" [ "):
        error, _ = await failure_from(LEGACY, Reply((empty,), headers=JSON))
        assert type(error) is errors.ProviderUnavailableError
        assert "empty answer" in str(error)


ERROR = {
    "error": {
        "code": 429,
        "message": "Slow down.",
        "status": "RESOURCE_EXHAUSTED",
        "details": [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "20s"}],
    }
}


@pytest.mark.parametrize("status", [200, 429])
async def test_an_error_in_an_array_is_that_error(status):
    error, _ = await failure_from(LEGACY, reply(ERROR, status=status))
    assert type(error) is errors.RateLimitError
    assert error.retry_after == 20.0
    assert "Slow down" in str(error)


async def test_an_error_as_a_later_element_keeps_the_text():
    error, events = await failure_from(LEGACY, reply(ELEMENTS[0], ERROR))
    assert type(error) is errors.StreamInterruptedError
    assert "Slow down" in str(error)
    assert texts(events) == "Grü"


async def test_an_answer_that_finishes_twice_is_one_answer():
    with WireServer(
        reply(*ELEMENTS, legacy_element({"candidates": [{"finishReason": 1}]}))
    ) as wire:
        events = await LEGACY.answer(wire.url)
    assert [type(event) for event in events].count(Finish) == 1
    assert texts(events) == "Grü👋"


async def test_endless_element_does_not_fill_memory():
    millions = [b"x" * 1_000_000] * (MAX_EVENT_BYTES // 1_000_000 + 1)
    error, _ = await failure_from(LEGACY, Reply([b'[{"candidates": "', *millions], headers=JSON))
    assert type(error) is errors.ProviderError
    assert f"more than {MAX_EVENT_BYTES:,} bytes" in error.detail


async def test_wrong_content_encoding_is_a_broken_connection():
    broken = Reply((b"no gzip",), headers=JSON | {"content-encoding": "gzip"})
    error, _ = await failure_from(LEGACY, broken)
    assert type(error) is errors.ProviderUnavailableError
