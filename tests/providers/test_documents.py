"""Documents and recordings in each wire format, as they leave."""

import base64
from dataclasses import replace

import pytest

import llm_playground as lp
from llm_playground.parts import FilePart, TextPart
from llm_playground.providers import wire_formats
from llm_playground.request.schemas import schema_from
from llm_playground.types import Message, Parameters, Request
from tests.providers.server import Reply, WireServer
from tests.providers.vendors import ALL, ANTHROPIC, GEMINI, LOCAL, OPENAI

PDF = b"%PDF-1.4\n1 0 obj <</Type /Page>> endobj\n"
WAV = b"RIFF\x24\0\0\0WAVEfmt "


def base64_of(data):
    return base64.b64encode(data).decode()


def asks(model, *parts, **fields):
    """A request; one to OpenAI goes to another address, and so through Chat Completions."""
    at = {"endpoint": "http://127.0.0.1:9/v1"} if model.startswith("openai:") else {}
    return Request(model, (Message("user", (*parts, TextPart("Why?"))),), **at | fields)


def content(request):
    """What stands for the files of a request in its body."""
    body = wire_formats.body_of(request)
    [turn] = body.get("messages") or body.get("contents") or body["input"]
    *parts, last = turn.get("content") or turn["parts"]
    assert last["text"] == "Why?"
    return parts


CITED = {"citations": {"enabled": True}}
HEADED = "File a.csv:\n\na,b\n"
# Model, part, and its form in the body.
FORMS = [
    (
        ANTHROPIC.model,
        FilePart("application/pdf", "a.pdf", PDF),
        {
            "type": "document",
            "source": {
                "type": "base64",
                "media_type": "application/pdf",
                "data": base64_of(PDF),
            },
            "title": "a.pdf",
            **CITED,
        },
    ),
    (
        ANTHROPIC.model,
        FilePart("text/csv", "a.csv", b"a,b"),
        {
            "type": "document",
            "source": {"type": "text", "media_type": "text/plain", "data": "a,b"},
            "title": "a.csv",
            **CITED,
        },
    ),
    (
        ANTHROPIC.model,
        lp.file("https://example.com/a.pdf"),
        {
            "type": "document",
            "source": {"type": "url", "url": "https://example.com/a.pdf"},
            "title": "a.pdf",
            **CITED,
        },
    ),
    (
        GEMINI.model,
        FilePart("application/pdf", "a.pdf", PDF),
        {"inlineData": {"mimeType": "application/pdf", "data": base64_of(PDF)}},
    ),
    (GEMINI.model, FilePart("text/csv", "a.csv", b"a,b"), {"text": HEADED}),
    (
        GEMINI.model,
        FilePart("audio/mpeg", "a.mp3", b"ID3"),
        {"inlineData": {"mimeType": "audio/mp3", "data": "SUQz"}},
    ),
    (
        GEMINI.model,
        lp.file("https://example.com/a.pdf"),
        {"fileData": {"fileUri": "https://example.com/a.pdf", "mimeType": "application/pdf"}},
    ),
    (
        "openai:gpt-4o",
        FilePart("application/pdf", "a.pdf", PDF),
        {
            "type": "file",
            "file": {
                "filename": "a.pdf",
                "file_data": f"data:application/pdf;base64,{base64_of(PDF)}",
            },
        },
    ),
    ("openai:gpt-4o", FilePart("text/csv", "a.csv", b"a,b"), {"type": "text", "text": HEADED}),
    (
        "openai:gpt-audio",
        FilePart("audio/wav", "a.wav", WAV),
        {"type": "input_audio", "input_audio": {"data": base64_of(WAV), "format": "wav"}},
    ),
    (
        "groq:any",
        FilePart("audio/mpeg", "a.mp3", b"ID3"),
        {"type": "input_audio", "input_audio": {"data": "SUQz", "format": "mp3"}},
    ),
    (LOCAL.model, FilePart("text/csv", "a.csv", b"a,b"), {"type": "text", "text": HEADED}),
    (
        "openrouter:any/model",
        lp.file("https://example.com/a.pdf"),
        {"type": "file", "file": {"filename": "a.pdf", "file_data": "https://example.com/a.pdf"}},
    ),
    (
        "mistral:mistral-small",
        FilePart("application/pdf", "a.pdf", PDF),
        {
            "type": "document_url",
            "document_url": f"data:application/pdf;base64,{base64_of(PDF)}",
            "document_name": "a.pdf",
        },
    ),
]


@pytest.mark.parametrize(("model", "part", "form"), FORMS)
def test_each_format_has_its_form(model, part, form):
    assert content(asks(model, part)) == [form]


def test_responses_has_a_form_of_its_own():
    csv = FilePart("text/csv", "a.csv", b"a,b")
    at_url = lp.file("https://example.com/a.pdf")
    request = asks("openai:gpt-4o", lp.file(PDF, "a.pdf"), csv, at_url, endpoint=None)
    assert content(request) == [
        {
            "type": "input_file",
            "filename": "a.pdf",
            "file_data": f"data:application/pdf;base64,{base64_of(PDF)}",
        },
        {"type": "input_text", "text": HEADED},
        {"type": "input_file", "file_url": "https://example.com/a.pdf"},
    ]


@pytest.mark.parametrize("vendor", ALL, ids=str)
async def test_the_sdk_sends_the_body_as_it_was_built(vendor):
    request = asks(vendor.model, lp.file(PDF, "a.pdf"), lp.file("naïve".encode(), "a.txt"))
    with WireServer(Reply(vendor.stream(["A"]))) as wire:
        provider = vendor.provider(wire.url)
        async for _ in provider.stream(request):
            pass
        await provider.aclose()
    assert wire.requests[0].json == wire_formats.body_of(request)


def test_documents_are_cited_unless_the_answer_has_a_schema():
    request = asks(ANTHROPIC.model, lp.file(PDF), lp.file(b"One.", "a.txt"))
    assert all(block["citations"] == {"enabled": True} for block in content(request))
    effort = Parameters(extra={"output_config": {"effort": "low"}})
    assert all("citations" in block for block in content(replace(request, parameters=effort)))
    of_extra = Parameters(extra={"output_config": {"format": {"type": "json_schema"}}})
    taken_back = Parameters(extra={"citations": None})
    for other in (
        replace(request, schema=schema_from(list[str])),
        replace(request, parameters=of_extra),
        replace(request, parameters=taken_back),
    ):
        assert not any("citations" in block for block in content(other))
        assert "citations" not in wire_formats.body_of(other)


@pytest.mark.parametrize("vendor", ALL, ids=str)
def test_the_body_that_is_checked_has_texts_and_no_bytes(vendor):
    request = asks(vendor.model, lp.file(PDF * 9, "a.pdf"), lp.file(b"words", "a.txt"))
    readable = str(wire_formats.readable_body(request))
    assert base64_of(PDF * 9)[:40] not in readable
    assert "words" in readable
    assert base64_of(PDF * 9) in str(wire_formats.body_of(request))


@pytest.mark.parametrize(
    ("model", "part", "said"),
    [
        (ANTHROPIC.model, FilePart("audio/wav", "a.wav", WAV), "takes no audio"),
        (ANTHROPIC.model, FilePart(None, "a.pdf", url="gs://b/a.pdf"), "Pass its bytes"),
        (OPENAI.model, FilePart("text/plain", "a.txt", url="https://x.org/a.txt"), "Pass its"),
        (OPENAI.model, FilePart("audio/wav", "a.wav", url="https://x.org/a.wav"), "Pass its"),
    ],
)
def test_what_a_format_cannot_carry_is_one_line(model, part, said):
    with pytest.raises(lp.InvalidParameterError, match=said):
        wire_formats.body_of(asks(model, part))
