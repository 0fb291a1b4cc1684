"""Which documents and recordings a model takes, and up to which size; checked before a call.

Text can always be sent: as a document where the format has one, else as text below its name. A
model without a row is sent whatever its wire format supports.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from llm_playground import config
from llm_playground.catalog import capabilities
from llm_playground.catalog.file_tokens import pages_of
from llm_playground.errors import InvalidParameterError
from llm_playground.parts import FilePart
from llm_playground.providers import wire_formats
from llm_playground.request.files import Kind, kind_of
from llm_playground.types import Message, Request

_ANY: frozenset[Kind] = frozenset({"pdf", "text", "audio"})
_PDF_AND_TEXT: frozenset[Kind] = frozenset({"pdf", "text"})
_TEXT: frozenset[Kind] = frozenset({"text"})
_NONE: frozenset[Kind] = frozenset()
_MP3_AND_WAV = frozenset({"audio/mpeg", "audio/wav"})
_BASE64 = 4 / 3  # characters for each byte


@dataclass(frozen=True, slots=True)
class FileInputs:
    """What a model takes of files.

    ``kinds`` as bytes, ``at_url`` as a web address. ``audio_types`` are media types, None for all.
    ``most_bytes`` of all files of a request together, with ``most_request_bytes`` as they are
    sent, in base64; ``most_pages`` of all its PDFs. None is no known limit.
    """

    source: str
    kinds: frozenset[Kind]
    at_url: frozenset[Kind] = _NONE
    audio_types: frozenset[str] | None = None
    most_bytes: int | None = None
    most_request_bytes: int | None = None
    most_pages: int | None = None


_OPENAI_CHAT = "https://developers.openai.com/api/docs/guides/file-inputs?api-mode=chat"
_OPENAI_RESPONSES = "https://developers.openai.com/api/docs/guides/file-inputs?api-mode=responses"
_OPENAI_AUDIO = "https://developers.openai.com/api/docs/models/gpt-audio"
_CLAUDE_PDF = "https://platform.claude.com/docs/en/build-with-claude/pdf-support"
_GEMINI_FILES = "https://ai.google.dev/gemini-api/docs/file-input-methods"
_LLAMA_CPP = "https://github.com/ggml-org/llama.cpp/issues/21868"
_MB = 1_000_000


def _claude(most_pages: int) -> FileInputs:
    return FileInputs(
        _CLAUDE_PDF,
        _PDF_AND_TEXT,
        at_url=frozenset({"pdf"}),
        most_request_bytes=32 * _MB,
        most_pages=most_pages,
    )


def _chat_of_openai(source: str, kinds: frozenset[Kind]) -> FileInputs:
    return FileInputs(source, kinds, audio_types=_MP3_AND_WAV, most_bytes=50 * _MB)


_RESPONSES = FileInputs(_OPENAI_RESPONSES, _PDF_AND_TEXT, at_url=_PDF_AND_TEXT, most_bytes=50 * _MB)
# Its documents name WAV, MP3, AIFF, AAC, OGG and FLAC: https://ai.google.dev/gemini-api/docs/audio
_AUDIO_OF_GEMINI = frozenset(
    f"audio/{name}" for name in ("aac", "aiff", "flac", "mpeg", "ogg", "wav")
)
_GEMINI = FileInputs(
    _GEMINI_FILES,
    _ANY,
    at_url=_ANY,
    audio_types=_AUDIO_OF_GEMINI,
    most_bytes=100 * _MB,
    most_pages=1000,
)
_RESPONSES_OF_AUDIO = FileInputs(_OPENAI_AUDIO, _TEXT)
_OF_AUDIO = r"gpt-audio|gpt-4o(-mini)?-audio"
# Per provider, and wire format of ``openai``: the first row whose pattern matches the start of the
# model's name applies.
_ROWS: dict[str, tuple[tuple[str, FileInputs], ...]] = {
    "openai": (
        (
            _OF_AUDIO,
            _chat_of_openai(_OPENAI_AUDIO, frozenset({"text", "audio"})),
        ),
        (r"gpt-|chatgpt|o\d", _chat_of_openai(_OPENAI_CHAT, _PDF_AND_TEXT)),
    ),
    "openai-responses": (
        (_OF_AUDIO, _RESPONSES_OF_AUDIO),
        (r"gpt-|chatgpt|o\d", _RESPONSES),
    ),
    "anthropic": (
        (r"claude-(v?[12]|instant)", FileInputs(_CLAUDE_PDF, _TEXT)),
        # Requests with a window below a million tokens.
        (r"claude-(3|haiku-4|(opus|sonnet)-4(-[015]|-20|$))", _claude(100)),
        (r"claude-", _claude(600)),
    ),
    "gemini": ((r"gemini-", _GEMINI),),
    "gemini-legacy": ((r"gemini-", _GEMINI),),
    "local": ((r"", FileInputs(_LLAMA_CPP, _TEXT)),),
    "llama.cpp": (
        (
            r"",
            FileInputs(
                _LLAMA_CPP,
                frozenset({"text", "audio"}),
                audio_types=_MP3_AND_WAV,
            ),
        ),
    ),
    "ollama": ((r"", FileInputs("https://docs.ollama.com/api/openai-compatibility", _TEXT)),),
    "vllm": (
        (
            r"",
            FileInputs(
                "https://docs.vllm.ai/en/latest/features/multimodal_inputs.html",
                frozenset({"text", "audio"}),
            ),
        ),
    ),
    "openrouter": (
        (
            r"",
            FileInputs(
                "https://openrouter.ai/docs/features/multimodal/pdfs",
                _ANY,
                at_url=frozenset({"pdf"}),
            ),
        ),
    ),
}
_NAMES: dict[Kind, str] = {"pdf": "PDF", "text": "text files", "audio": "audio"}
_ADVICE: dict[Kind, str] = {
    "pdf": "Send its text or its pages as images, or choose another model",
    "text": "Send its text in the prompt",
    "audio": "Send its transcript, or choose another model",
}


def inputs_of(request: Request) -> FileInputs | None:
    """What the model of a request takes of files; None if unknown.

    >>> sorted(inputs_of(Request("anthropic:claude-opus-5", ())).kinds)
    ['pdf', 'text']
    >>> inputs_of(Request("groq:any", ())) is None
    True
    """
    is_openai = request.provider == "openai"
    key = wire_formats.format_name(request) if is_openai else request.provider
    rows = _ROWS.get(key or "", ())
    return next((row for pattern, row in rows if re.match(pattern, request.model_name)), None)


def check(request: Request) -> None:
    """Refuse a request with files that its model does not take, or above the vendor's limits.

    Raises:
        InvalidParameterError: One cannot be sent; the message says what to do.
    """
    inputs = inputs_of(request)
    if inputs is None:
        return
    for part in request.files:
        _check_kind(request.model, part, inputs)
    files = sum(len(part.data or b"") for part in request.files)
    images = sum(len(part.data or b"") for part in request.images)
    _check_size(request.model, files + images, inputs)
    pages = sum(pages_of(part) or 0 for part in request.files if kind_of(part.media_type) == "pdf")
    if inputs.most_pages is not None and pages > inputs.most_pages:
        raise InvalidParameterError(
            f"The PDFs have {pages:,} pages; {_name(request.model)} takes {inputs.most_pages:,}. "
            "Send fewer pages.",
            provider=request.provider,
        )


def check_kind(model: str, part: FilePart) -> None:
    """Refuse a file of a kind that a model does not take.

    Raises:
        InvalidParameterError: See :func:`check`.
    """
    endpoint = config.base_url(model.partition(":")[0])
    inputs = inputs_of(Request(model, (Message("user", (part,)),), endpoint=endpoint))
    if inputs is not None:
        _check_kind(model, part, inputs)


def _check_kind(model: str, part: FilePart, inputs: FileInputs) -> None:
    kind, name = kind_of(part.media_type), _name(model)
    lacks_vision = kind == "pdf" and capabilities.abilities_of(model).vision is False
    if kind == "audio" and inputs in (_RESPONSES, _RESPONSES_OF_AUDIO):
        raise InvalidParameterError(
            f"OpenAI's Responses API takes no audio ({part.name}). Leave out "
            'openai_api="responses" and choose a model such as gpt-audio, or send its transcript.',
            provider=model.partition(":")[0],
        )
    if kind not in inputs.kinds or lacks_vision:
        raise InvalidParameterError(
            f"{name} takes no {_NAMES[kind]} ({part.name}). {_ADVICE[kind]}.",
            provider=model.partition(":")[0],
        )
    if part.data is None and part.url is not None and kind not in inputs.at_url:
        raise InvalidParameterError(
            f"{name} takes no {_NAMES[kind]} at a web address ({part.name}). Pass its bytes.",
            provider=model.partition(":")[0],
        )
    types = inputs.audio_types
    if kind == "audio" and types is not None and part.media_type not in types:
        raise InvalidParameterError(
            f"{name} takes audio as {_listed(types)} ({part.name}). Convert it.",
            provider=model.partition(":")[0],
        )


def _check_size(model: str, size_bytes: int, inputs: FileInputs) -> None:
    for most, sent in (
        (inputs.most_bytes, size_bytes),
        (inputs.most_request_bytes, int(size_bytes * _BASE64)),
    ):
        if most is not None and sent > most:
            raise InvalidParameterError(
                f"The files have {sent / _MB:,.1f} MB as they are sent; {_name(model)} takes "
                f"{most // _MB} MB in a request. Send fewer or smaller files.",
                provider=model.partition(":")[0],
            )


def _listed(media_types: frozenset[str]) -> str:
    """Names of audio formats in a sentence.

    >>> _listed(frozenset({"audio/wav", "audio/mpeg"}))
    'MP3 or WAV'
    """
    names = (media_type.partition("/")[2].upper() for media_type in media_types)
    *most, last = sorted("MP3" if name == "MPEG" else name for name in names)
    return f"{', '.join(most)} or {last}"


def _name(model: str) -> str:
    return model.partition(":")[2] or model
