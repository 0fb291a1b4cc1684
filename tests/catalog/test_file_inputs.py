"""Which files a model takes, and the tokens that they can cost."""

import struct
import zlib
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest

import llm_playground as lp
from llm_playground.catalog import estimates, file_inputs, file_tokens
from llm_playground.parts import FilePart, TextPart
from llm_playground.types import Message, Parameters, Request

AT = datetime(2026, 11, 1, tzinfo=UTC)
WAV_OF_TWO_SECONDS = (
    b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0"
    + struct.pack("<HHIIHH", 1, 1, 8000, 16000, 2, 16)
    + b"data\0\0\0\0"
    + bytes(32_000 - 44)
)
MP3 = FilePart("audio/mpeg", "a.mp3", b"ID3" + bytes(7_497))
WAV = FilePart("audio/wav", "a.wav", WAV_OF_TWO_SECONDS)


def pdf(pages, *, packed=False, size=0):
    """A PDF with so many pages; ``packed`` ones are in a compressed object stream."""
    found = b"\n".join(b"<</Type /Page /Parent 2 0 R>>" for _ in range(pages))
    if packed:
        content = zlib.compress(found)
        found = b"<</Type /ObjStm /Filter /FlateDecode>> stream\r\n" + content + b"\nendstream"
    return lp.file(b"%PDF-1.7\n" + found + bytes(size) + b"<</Type /Pages /Count 1>>", "a.pdf")


TEXT = FilePart("text/plain", "a.txt", b"One. Two.")


CHAT = "http://127.0.0.1:9/v1"  # an address that has no Responses API


def asks(model, *parts, endpoint=None):
    return Request(model, (Message("user", (*parts, TextPart("Why?"))),), endpoint=endpoint)


@pytest.mark.parametrize(
    ("model", "part", "said"),
    [
        ("local:smollm2-135m-instruct", pdf(1), r"takes no PDF \(a.pdf\). Send its text"),
        ("local:smollm2-135m-instruct", WAV, "takes no audio"),
        ("ollama:llama", pdf(1), "takes no PDF"),
        ("llama.cpp:any", pdf(1), "takes no PDF"),
        ("vllm:any", pdf(1), "takes no PDF"),
        ("openai:gpt-4", pdf(1), "choose another model"),
        ("openai:o3-mini", pdf(1), "takes no PDF"),
        ("openai:gpt-4o", WAV, "takes no audio"),
        ("openai:gpt-audio", pdf(1), "takes no PDF"),
        ("openai:gpt-audio", FilePart("audio/flac", "a.flac", b"fLaC"), "MP3 or WAV"),
        ("anthropic:claude-opus-5", WAV, "takes no audio"),
        ("anthropic:claude-instant-1", pdf(1), "takes no PDF"),
        ("anthropic:claude-opus-5", lp.file("https://x.org/a.txt"), "no text files at a web"),
        ("gemini:gemini-3-pro", FilePart("audio/mp4", "a.m4a", b"0"), "Convert it"),
        ("anthropic:claude-opus-5", pdf(601), "601 pages; claude-opus-5 takes 600"),
        ("anthropic:claude-haiku-4-5", pdf(101, packed=True), "101 pages"),
        ("anthropic:claude-opus-5", pdf(1, size=24_000_001), "takes 32 MB"),
        ("gemini:gemini-3-pro", pdf(1001), "takes 1,000"),
    ],
)
def test_what_a_model_does_not_take_is_refused_before_sending(model, part, said):
    with pytest.raises(lp.InvalidParameterError, match=said) as caught:
        file_inputs.check(asks(model, part))
    assert "\n" not in str(caught.value)
    assert caught.value.provider == model.partition(":")[0]


@pytest.mark.parametrize(
    ("model", "parts"),
    [
        ("local:smollm2-135m-instruct", [TEXT]),
        ("openai:gpt-4o", [pdf(900), TEXT]),
        ("openai:ft:gpt-4o:me", [pdf(1), WAV, TEXT]),
        ("openai:gpt-audio", [WAV, MP3, TEXT]),
        ("anthropic:claude-opus-5", [pdf(600), TEXT, lp.file("https://x.org/a.pdf")]),
        ("gemini:gemini-3-pro", [pdf(1000), TEXT, WAV, lp.file("https://x.org/a.pdf")]),
        ("groq:any", [pdf(1), WAV, TEXT]),
        ("openrouter:any/model", [pdf(1), WAV, TEXT, lp.file("https://x.org/a.pdf")]),
        ("llama.cpp:any", [TEXT, WAV]),
    ],
)
def test_what_it_takes_or_is_not_known_to_refuse_is_sent(model, parts):
    file_inputs.check(asks(model, *parts))


def test_an_address_is_for_the_responses_api_only():
    request = asks("openai:gpt-4o", lp.file("https://x.org/a.pdf"))
    file_inputs.check(request)
    with pytest.raises(lp.InvalidParameterError, match="Pass its bytes"):
        file_inputs.check(replace(request, endpoint=CHAT))
    lp.configure(openai_api="chat_completions")
    with pytest.raises(lp.InvalidParameterError, match="Pass its bytes"):
        file_inputs.check(request)


def test_the_files_of_all_turns_count_together():
    earlier = Message("user", (pdf(400), TextPart("A")))
    request = asks("anthropic:claude-opus-5", pdf(300))
    with pytest.raises(lp.InvalidParameterError, match="700 pages"):
        file_inputs.check(Request(request.model, (earlier, *request.messages)))


def test_a_call_with_such_a_file_is_refused_before_it_costs(monkeypatch):
    monkeypatch.setenv("ANTHROPIC_API_KEY", "planted-" + "key-" * 9)
    with pytest.raises(lp.InvalidParameterError, match="takes no PDF"):
        lp.estimate("Why?", "local", files=pdf(1))
    with pytest.raises(lp.InvalidParameterError, match="takes no audio"):
        lp.ask("Why?", "anthropic:claude-opus-5", files=WAV)
    with pytest.raises(lp.InvalidParameterError, match="takes no PDF"):
        lp.compare("Why?", ["anthropic:claude-opus-5", "local"], files=pdf(1))


def test_audio_that_only_the_responses_api_refuses_names_the_setting(home):
    for api in ("responses", "chat_completions"):
        lp.configure(openai_api=api)
        refused = 'takes no audio (a.wav). Leave out openai_api="responses" and choose'
        with pytest.raises(lp.InvalidParameterError) as caught:
            lp.estimate("Why?", "openai:gpt-4o", files=WAV)
        assert (refused in str(caught.value)) == (api == "responses")
    assert lp.estimate("Why?", "openai:gpt-audio", files=WAV).calls == 1


@pytest.mark.parametrize(("pages", "packed"), [(1, False), (7, False), (7, True), (300, True)])
def test_pages_are_counted_also_in_compressed_parts(pages, packed):
    assert file_tokens.pages_of(pdf(pages, packed=packed)) == pages


@pytest.mark.parametrize(
    ("data", "pages"),
    [
        (b"%PDF-1.7 <</Type/Pages /Count 12>> <</Encrypt 5 0 R>>", 12),
        (b"%PDF-1.7 nothing", None),
        (b"%PDF-1.7 /ObjStm stream\r\nnot zlib", None),
        (b"%PDF-1.7 /Count " + b"9" * 400, None),
    ],
)
def test_pages_that_are_not_there_are_unknown(data, pages):
    assert file_tokens.pages_of(lp.file(data)) == pages


def test_a_bomb_in_a_pdf_is_unpacked_up_to_a_limit():
    bomb = zlib.compress(bytes(400_000_000), 9)
    data = b"%PDF-1.7\n" + b"/Type /ObjStm >> stream\n" + bomb
    assert file_tokens.pages_of(lp.file(data * 3)) is None


# A call's worst case: model, file, the least and the most tokens that it may add.
@pytest.mark.parametrize(
    ("model", "part", "least", "most"),
    [
        ("anthropic:claude-opus-5", pdf(10), 30_000, 80_000),
        ("gemini:gemini-2.5-flash", pdf(10), 2_580, 11_200),
        ("gemini:gemini-2.5-flash", WAV, 64, 64),
        ("gemini:gemini-2.5-flash", MP3, 320, 320),
        ("openai:gpt-4o", pdf(10), 30_000, 60_000),
        ("openai:gpt-4o", TEXT, 0, 0),
    ],
)
def test_the_worst_case_counts_pages_and_seconds(model, part, least, most):
    added = file_tokens.most_of_file(model, part)
    assert least <= added <= most
    with_file, without = (
        estimates.most_usage(asks(model, *parts)).input_tokens for parts in ([part], [])
    )
    assert with_file - without >= added - 64
    assert file_tokens.likely_of_file(model, part) <= added
    one = estimates.of(asks(model, part), AT)
    assert 0 < one.input_tokens <= one.most_input_tokens


# Model, settings, and the window that bounds a document of unknown length at a web address.
@pytest.mark.parametrize(
    ("model", "extra", "window"),
    [
        ("anthropic:claude-haiku-4-5", {}, 200_000),
        ("anthropic:claude-opus-5", {}, 1_000_000),
        ("openai:gpt-4o", {}, 128_000),
        ("openrouter:openai/gpt-4o", {"models": ["anthropic/claude-sonnet-4.5"]}, 1_000_000),
    ],
)
def test_the_worst_case_of_a_document_is_the_window_of_the_model(model, extra, window):
    linked = lp.file("https://x.org/a.pdf")
    request = replace(asks(model, linked), parameters=Parameters(extra=extra))
    with_file = estimates.most_usage(request).input_tokens
    assert window <= with_file <= window + 1_000


def test_a_recording_is_estimated_at_the_price_of_audio():
    """Gemini 2.5 Flash takes 0.30 dollars for a million tokens of text, 1.00 for those of audio."""
    request, at = asks("gemini:gemini-2.5-flash", MP3), AT
    most, likely = estimates.most_usage(request, cap=100), estimates.estimate_usage(request, "")
    assert most.billed_units == {"audio_input_tokens": 320}
    assert likely.billed_units == {"audio_input_tokens": 32}
    one = estimates.of(request, at, cap=100)
    for usd, usage, output in (
        (one.worst_case_usd, most, 100),
        (one.expected_usd, replace(likely, input_tokens=one.input_tokens), 100),
    ):
        audio = usage.billed_units["audio_input_tokens"]
        by_hand = (usage.input_tokens - audio) * Decimal("0.3") + audio + output * Decimal("2.5")
        assert usd == by_hand / 1_000_000
    searching = asks("gemini:gemini-2.5-flash", MP3)
    searching = replace(searching, parameters=Parameters(extra={"tools": [{"googleSearch": {}}]}))
    silent = replace(searching, messages=asks(request.model).messages)
    dearer = [estimates.of(each, at, cap=100).assumed_usd for each in (searching, silent)]
    many = estimates.most_usage(
        asks("openai:gpt-audio", *[replace(MP3, data=bytes(4_000_000))] * 9)
    )
    assert many.billed_units["audio_input_tokens"] <= many.input_tokens
    assert dearer[0] - dearer[1] >= Decimal(320) / 1_000_000


def test_the_text_of_a_file_counts_like_the_text_of_the_prompt():
    words = "because of the weather " * 400
    part = lp.file(words.encode(), "a.txt")
    as_file = asks("openai:gpt-4o", part)
    as_text = asks("openai:gpt-4o", TextPart(words))
    assert as_file.size_bytes == as_text.size_bytes + len("a.txt")
    likely, most = (
        (estimates.likely_input_tokens(one), estimates.most_usage(one).input_tokens)
        for one in (as_text, as_file)
    )
    assert abs(likely[0] - most[0]) < 10
    assert 0 <= most[1] - likely[1] <= 128


def test_a_document_that_is_cited_has_a_mark_for_each_sentence():
    part = lp.file(b"One. Two.\n" * 100, "a.txt")
    assert file_tokens.most_of_file("anthropic:claude-opus-5", part) == 1_000 + 300 * 8
    assert file_tokens.most_of_file("openai:gpt-4o", part) == 0


def test_every_row_names_its_source():
    rows = [inputs for rows in file_inputs._ROWS.values() for _, inputs in rows]
    assert all(row.source.startswith("https://") for row in rows)
