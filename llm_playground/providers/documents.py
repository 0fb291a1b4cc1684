"""Documents and recordings in each wire format.

Anthropic has documents of PDF and of text, which it cites; Gemini has bytes of any type; Chat
Completions has PDF and speech, Responses PDF. Text goes below its name where a format has no place
for it.

Sources: ``DocumentBlockParam`` of anthropic 2, ``Blob`` and ``FileData`` of google-genai 3,
``ChatCompletionContentPartParam`` and ``ResponseInputFileParam`` of openai 3; Mistral's
``document_url``: https://docs.mistral.ai/capabilities/document_ai/document_qna.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from llm_playground.errors import InvalidParameterError
from llm_playground.parts import FilePart
from llm_playground.request import files, locations

# Chat Completions' names of audio formats, where they are not the second half of the media type.
_AUDIO_FORMATS = {"audio/mpeg": "mp3", "audio/mp4": "m4a"}
# Gemini's names of media types: https://ai.google.dev/gemini-api/docs/audio
_OF_GEMINI = {"audio/mpeg": "audio/mp3"}


def for_messages(part: FilePart, *, cited: bool) -> dict[str, Any]:
    """A block of Anthropic's Messages; ``cited`` documents come back as sources of the answer.

    Citations are on for all documents of a request or for none, and exclude a schema:
    https://platform.claude.com/docs/en/build-with-claude/citations.

    Raises:
        InvalidParameterError: It is audio, or at a URL that cannot be fetched.

    >>> for_messages(FilePart("text/plain", "a.txt", b"One."), cited=False)
    ... # doctest: +NORMALIZE_WHITESPACE
    {'type': 'document', 'source': {'type': 'text', 'media_type': 'text/plain', 'data': 'One.'},
     'title': 'a.txt'}
    """
    kind = files.kind_of(part.media_type)
    if kind == "audio":
        raise InvalidParameterError(f"Anthropic takes no audio ({part.name}). Send its text.")
    text = part.text
    if text is not None:
        source = {"type": "text", "media_type": "text/plain", "data": text}
    elif part.data is None:
        source = {"type": "url", "url": locations.fetched(part.url, "file")}
    else:
        source = {"type": "base64", "media_type": files.PDF, "data": files.encoded(part)}
    block: dict[str, Any] = {"type": "document", "source": source}
    block |= {"title": part.name} if part.name else {}
    return block | ({"citations": {"enabled": True}} if cited else {})


def for_gemini(part: FilePart) -> dict[str, Any]:
    """A part of Gemini's contents.

    Raises:
        InvalidParameterError: It is at a URL that cannot be fetched.

    >>> for_gemini(FilePart("audio/mpeg", "a.mp3", b"ID3"))
    {'inlineData': {'mimeType': 'audio/mp3', 'data': 'SUQz'}}
    """
    media_type = part.media_type or files.PDF
    media_type = _OF_GEMINI.get(media_type, media_type)
    text = part.text
    if text is not None:  # it would be read in the same way as a file, but without its name
        return {"text": files.with_heading(part, text)}
    if part.data is None:
        return {
            "fileData": {"fileUri": locations.fetched(part.url, "file"), "mimeType": media_type}
        }
    return {"inlineData": {"mimeType": media_type, "data": files.encoded(part)}}


def for_chat(part: FilePart, provider: str) -> dict[str, Any]:
    """A content part of Chat Completions.

    Raises:
        InvalidParameterError: It is text or audio at a URL.

    >>> for_chat(FilePart("audio/wav", "a.wav", b"RIFF"), "openai")
    {'type': 'input_audio', 'input_audio': {'data': 'UklGRg==', 'format': 'wav'}}
    """
    kind, text = files.kind_of(part.media_type), part.text
    if text is not None:
        return {"type": "text", "text": files.with_heading(part, text)}
    if kind != "pdf" and part.data is None:
        raise InvalidParameterError(
            f"Chat Completions takes only PDF at a web address ({part.name}). Pass its bytes."
        )
    if kind == "audio":
        media_type = part.media_type or ""
        name = _AUDIO_FORMATS.get(media_type, media_type.partition("/")[2])
        return {
            "type": "input_audio",
            "input_audio": {"data": files.encoded(part), "format": name},
        }
    location = locations.fetched(part.url, "file") if part.data is None else files.data_url(part)
    form = _PDF_FORMS.get(provider, _PDF_FORMS[""])
    return form(part.name or "document.pdf", location)


def for_responses(part: FilePart) -> dict[str, Any]:
    """A content part of OpenAI's Responses API.

    Raises:
        InvalidParameterError: It is audio, or at a URL that cannot be fetched.

    >>> for_responses(FilePart("application/pdf", "a.pdf", url="https://example.com/a.pdf"))
    {'type': 'input_file', 'file_url': 'https://example.com/a.pdf'}
    """
    if files.kind_of(part.media_type) == "audio":
        raise InvalidParameterError(
            f"OpenAI's Responses API takes no audio ({part.name}). "
            'Use lp.configure(openai_api="chat_completions") and a model that takes audio.'
        )
    text = part.text
    if text is not None:
        return {"type": "input_text", "text": files.with_heading(part, text)}
    if part.data is None:
        return {"type": "input_file", "file_url": locations.fetched(part.url, "file")}
    name = part.name or "document.pdf"
    return {"type": "input_file", "filename": name, "file_data": files.data_url(part)}


def _file(name: str, location: str) -> dict[str, Any]:
    return {"type": "file", "file": {"filename": name, "file_data": location}}


def _document_url(name: str, location: str) -> dict[str, Any]:
    return {"type": "document_url", "document_url": location, "document_name": name}


# The form of a PDF by provider; "" is OpenAI's, which compatible services have too.
_PDF_FORMS: Mapping[str, Callable[[str, str], dict[str, Any]]] = {
    "": _file,
    "mistral": _document_url,
}
