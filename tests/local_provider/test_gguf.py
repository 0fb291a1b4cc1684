"""Broken model files are reported before llama.cpp loads them."""

import contextlib
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_playground.errors import ConfigError
from llm_playground.providers.local import weights
from llm_playground.providers.local.gguf import BrokenFileError, read_header
from tests.local_provider.tiny_weights import gguf_file, gguf_string


@pytest.fixture
def file(tmp_path):
    def write(content: bytes):
        path = tmp_path / "model.gguf"
        path.write_bytes(content)
        return path

    return write


def test_the_real_weights_are_exactly_as_long_as_their_header_says(real_weights):
    header = read_header(real_weights)

    assert header.needed_bytes == real_weights.stat().st_size
    assert header.context_length == 8192


@pytest.mark.parametrize("alignment", [1, 8, 32, 64])
def test_a_whole_file_is_accepted_and_one_byte_less_is_not(file, alignment):
    whole = gguf_file(alignment=alignment)

    assert read_header(file(whole)).needed_bytes == len(whole)
    with pytest.raises(BrokenFileError, match="truncated"):
        read_header(file(whole[:-1]))


def test_a_file_cut_off_anywhere_is_refused(file):
    whole = gguf_file()
    for length in range(len(whole)):
        with pytest.raises(BrokenFileError):
            read_header(file(whole[:length]))


@pytest.mark.parametrize("share", [0.0001, 0.02, 0.5, 0.99])
def test_the_real_weights_cut_off_are_refused(file, real_weights, share):
    with real_weights.open("rb") as source:
        part = source.read(int(real_weights.stat().st_size * share))

    with pytest.raises(ConfigError, match="truncated"):
        weights.check(file(part))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty"),
        (b"GGU", "is not a GGUF file"),
        (b"<!doctype html>" * 100, "is not a GGUF file"),
        (b"version https://git-lfs.github.com/spec/v1\noid", "is not a GGUF file"),
        (b"GGUF" + struct.pack(">IQQ", 3, 1, 1), "version 50331648"),
        (b"GGUF" + struct.pack("<IQQ", 1, 1, 1), "version 1"),
        (b"GGUF" + struct.pack("<IQQ", 3, 1, 2**60), "more than the file can contain"),
        (b"GGUF" + struct.pack("<IQQ", 3, 2**60, 0), "more than the file can contain"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + gguf_string("a") + b"\xff" * 8, "metadata type"),
        (
            gguf_file().replace(struct.pack("<II", 4, 32), struct.pack("<II", 4, 0)),
            "alignment is 0",
        ),
    ],
)
def test_what_is_no_model_is_refused_in_one_line_that_says_what_to_do(file, content, reason):
    path = file(content)

    with pytest.raises(ConfigError, match=reason) as caught:
        weights.check(path)

    message = str(caught.value)
    assert str(path) in message
    assert "LLM_PLAYGROUND_LOCAL_MODEL" in message
    assert "\n" not in message


def test_a_folder_is_refused_with_the_systems_reason(tmp_path):
    with pytest.raises(ConfigError, match="Is a directory"):
        weights.check(tmp_path)


@settings(max_examples=300)
@given(st.data())
def test_damage_never_ends_in_another_error(tmp_path_factory, data):
    damaged = bytearray(gguf_file())
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(4, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / "damaged.gguf"
    path.write_bytes(damaged)

    with contextlib.suppress(BrokenFileError):
        assert read_header(path).needed_bytes <= len(damaged)
