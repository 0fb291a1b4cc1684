"""The table of wire formats: its rows are complete, and reading it loads no SDK."""

import base64
import json
import subprocess
import sys

import pytest

from llm_playground import errors, providers
from llm_playground.catalog import listing
from llm_playground.config import endpoints
from llm_playground.config.clouds import CLOUDS
from llm_playground.parts import AudioPart, FilePart, ImagePart, TextPart
from llm_playground.providers.wire_formats import WIRE_FORMATS, body_of, readable_body
from llm_playground.types import Message, Request

SDKS = (
    *("openai", "anthropic", "google.genai", "google.generativeai", "google.auth", "requests"),
    "botocore",
)


def request(model):
    return Request(model, (Message("user", (TextPart("Hi"),)),))


def test_every_wire_format_can_be_configured_and_lists_models():
    assert tuple(WIRE_FORMATS) == endpoints.WIRE_FORMATS
    assert set(WIRE_FORMATS) - CLOUDS.keys() == set(listing._READERS)


@pytest.mark.parametrize("name", WIRE_FORMATS)
def test_every_wire_format_has_a_provider_class(name):
    provider_class = providers.provider_class(name, name)

    assert hasattr(provider_class, "stream")
    assert hasattr(provider_class, "aclose")


def test_building_a_body_loads_no_sdk():
    code = (
        "import sys\n"
        "from llm_playground import codegen\n"
        "from llm_playground.providers.wire_formats import WIRE_FORMATS\n"
        "from llm_playground.types import Message, Request, TextPart\n"
        "hi = (Message('user', (TextPart('Hi'),)),)\n"
        "for name, row in WIRE_FORMATS.items(): row.body(Request(f'{name}:m', hi))\n"
        f"print(*[name for name in {SDKS!r} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=True
    )
    assert done.stdout.split() == []


@pytest.mark.parametrize("model", ["openai:m", "anthropic:m", "gemini:m"])
def test_the_body_that_is_searched_has_no_bytes_of_pictures_files_and_recordings(model):
    data = b"\x89PNG\r\n\x1a\n" + b"planted" * 9
    user = Message("user", (ImagePart("image/png", data), FilePart("application/pdf", "a", data)))
    spoken = Message("assistant", (AudioPart("audio/wav", data, "Hi"), TextPart("Hi")))
    body = json.dumps(readable_body(Request(model, (user, spoken))))
    assert base64.b64encode(data).decode()[20:40] not in body


def test_a_package_builds_its_own_body():
    assert body_of(request("example:example-1")) is None
    assert body_of(request("openai:gpt-4o"))["model"] == "gpt-4o"


@pytest.mark.parametrize("name", ["../files", "m?key=1", "m#x"])
def test_a_name_that_would_change_the_url_is_refused(name):
    with pytest.raises(errors.InvalidParameterError, match="No model of Gemini"):
        WIRE_FORMATS["gemini"].path(request(f"gemini:{name}"))
