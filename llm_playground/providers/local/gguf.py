"""Reader of GGUF headers, which does not load the model.

llama.cpp gives no reason if it cannot load a truncated, invalid or empty file. The header implies
how long the file must be, so broken files can be reported before loading.

The format is ``docs/gguf.md`` in the ggml repository: ``GGUF``, version, number of tensors, number
of key-value pairs, the pairs, one description per tensor, padding, tensor data; little-endian.
Block sizes of the tensor types are those of ``ggml-common.h``.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from llm_playground._files import open_regular

_MAGIC = b"GGUF"
_VERSIONS = (2, 3)
_STRING, _ARRAY = 8, 9
_SCALARS = {
    0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q",
    12: "<d",
}  # fmt: skip
_MAX_DEPTH = 8
# ``general.architecture`` and ``general.type`` of files that cannot generate text. The encoders are
# those of llama.cpp's ``llama-arch.cpp``.
_ENCODERS = (
    "bert", "nomic-bert", "neo-bert", "jina-bert", "modern-bert", "eurobert", "t5encoder",
    "gemma-embedding", "wavtokenizer",
)  # fmt: skip
_OTHER_KINDS = {
    "clip": "the image part of a model (mmproj)",
    "mmproj": "the image part of a model (mmproj)",
    "adapter": "an adapter (LoRA), not a model",
    "imatrix": "an importance matrix, not a model",
    "vocab": "a vocabulary, not a model",
}
_MAX_DIMENSIONS = 8  # GGML_MAX_DIMS is 4

# Tensor type -> (elements of a block, bytes of a block). Tensors of newer types, which are not
# listed, count by their offset alone and are left to llama.cpp.
_BLOCKS = {
    0: (1, 4), 1: (1, 2), 2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34),
    10: (256, 84), 11: (256, 110), 12: (256, 144), 13: (256, 176), 14: (256, 210), 15: (256, 292),
    16: (256, 66), 17: (256, 74), 18: (256, 98), 19: (256, 50), 20: (32, 18), 21: (256, 110),
    22: (256, 82), 23: (256, 136), 24: (1, 1), 25: (1, 2), 26: (1, 4), 27: (1, 8), 28: (1, 8),
    29: (256, 56), 30: (1, 2), 34: (256, 54), 35: (256, 66), 39: (32, 17),
}  # fmt: skip


class BrokenFileError(ValueError):
    """The file cannot be loaded. The message is a predicate, such as ``is empty``."""


@dataclass(frozen=True, slots=True)
class Header:
    """The facts about a model that its header contains; None if they are missing."""

    context_length: int | None  # in training, in tokens
    needed_bytes: int  # the minimum length of the file
    chat_template: bool = False
    without_chat: str | None = None  # description of a file that cannot chat; None if it can


def read_header(path: Path) -> Header:
    """The header of the GGUF file at ``path``.

    Raises:
        BrokenFileError: The file is empty, not GGUF, of an unknown version, or truncated.
        OSError: The file cannot be read.
    """
    with open_regular(path) as file:
        reader = _Reader(file, path.stat().st_size)
        header = _read(reader)
    if header.needed_bytes > reader.size:
        raise BrokenFileError(
            f"is truncated: it has {_mb(reader.size)} of {_mb(header.needed_bytes)}"
        )
    return header


def _read(reader: _Reader) -> Header:
    if reader.size == 0:
        raise BrokenFileError("is empty")
    if reader.file.read(len(_MAGIC)) != _MAGIC:
        raise BrokenFileError("is not a GGUF file")
    version = reader.integer("<I")
    if version not in _VERSIONS:
        raise BrokenFileError(f"has GGUF version {version}, which is not supported")
    tensors, pairs = reader.integer("<Q"), reader.integer("<Q")
    metadata = {reader.string(): _value(reader) for _ in reader.up_to(pairs)}
    end = max((_tensor_end(reader) for _ in reader.up_to(tensors)), default=0)
    alignment = metadata.get("general.alignment", 32)
    context_length = metadata.get(f"{metadata.get('general.architecture')}.context_length")
    if not isinstance(alignment, int) or alignment < 1:
        raise BrokenFileError(f"is damaged: its alignment is {alignment!r}")
    data_start = -(-reader.file.tell() // alignment) * alignment
    return Header(
        context_length if isinstance(context_length, int) else None,
        data_start + end if tensors else reader.file.tell(),
        isinstance(metadata.get("tokenizer.chat_template"), str),
        _without_chat(metadata),
    )


def _without_chat(metadata: Mapping[str, int | str | None]) -> str | None:
    """Description of a file that cannot generate text; embedding models have ``pooling_type``."""
    architecture = str(metadata.get("general.architecture"))
    kind = metadata.get("general.type", "model")
    if architecture in _OTHER_KINDS or kind in _OTHER_KINDS:
        return _OTHER_KINDS.get(architecture) or _OTHER_KINDS[str(kind)]
    if architecture.startswith(_ENCODERS) or metadata.get(f"{architecture}.pooling_type"):
        return f"an embedding model ({architecture})"
    return None


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads numbers and strings; raises BrokenFileError past the end of the file."""

    file: BinaryIO
    size: int

    def take(self, count: int) -> bytes:
        data = self.file.read(count) if count <= self.size else b""
        if len(data) < count:
            raise BrokenFileError("is truncated within its header")
        return data

    def skip(self, count: int) -> None:
        if count > self.size - self.file.tell():
            raise BrokenFileError("is truncated within its header")
        self.file.seek(count, 1)

    def integer(self, form: str) -> int:
        return int(struct.unpack(form, self.take(struct.calcsize(form)))[0])

    def string(self) -> str:
        return self.take(self.integer("<Q")).decode("utf-8", "replace")

    def up_to(self, count: int) -> Iterator[int]:
        """``range(count)``; every item takes at least one byte of the file."""
        if count > self.size:
            raise BrokenFileError(
                "is truncated or damaged: its header lists more than the file can contain"
            )
        return iter(range(count))


def _value(reader: _Reader) -> int | str | None:
    """A metadata value; None for floats and arrays, which are not needed."""
    kind = reader.integer("<I")
    if kind == _STRING:
        return reader.string()
    if kind == _ARRAY:
        _skip_array(reader, _MAX_DEPTH)
        return None
    form = _scalar(kind)
    if form in ("<f", "<d"):
        reader.skip(struct.calcsize(form))
        return None
    return reader.integer(form)


def _skip_array(reader: _Reader, depth: int) -> None:
    kind, count = reader.integer("<I"), reader.integer("<Q")
    if kind == _STRING:
        for _ in reader.up_to(count):
            reader.skip(reader.integer("<Q"))
    elif kind == _ARRAY and depth:
        for _ in reader.up_to(count):
            _skip_array(reader, depth - 1)
    else:
        reader.skip(count * struct.calcsize(_scalar(kind)))


def _scalar(kind: int) -> str:
    try:
        return _SCALARS[kind]
    except KeyError:
        raise BrokenFileError(f"is damaged: it has the unknown metadata type {kind}") from None


def _tensor_end(reader: _Reader) -> int:
    """The end of one tensor, in bytes after the start of the tensor data."""
    reader.string()
    dimensions = reader.integer("<I")
    if dimensions > _MAX_DIMENSIONS:
        raise BrokenFileError(f"is damaged: a tensor has {dimensions} dimensions")
    elements = 1
    for _ in range(dimensions):
        elements *= reader.integer("<Q")
    kind, offset = reader.integer("<I"), reader.integer("<Q")
    block_elements, block_bytes = _BLOCKS.get(kind, (1, 0))
    return offset + elements // block_elements * block_bytes


def _mb(count: int) -> str:
    return f"{count / 1e6:,.1f} MB"
