"""Attachments: whatever a notebook holds becomes a part of a message, or one clear line."""

import base64
import contextlib
import io
import os
import subprocess
import sys
import threading

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image, ImageChops, ImageOps

import llm_playground as lp
from llm_playground.request import images

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def encoded(kind):
    buffer = io.BytesIO()
    Image.new("RGB", (4, 3), "teal").save(buffer, kind)
    return buffer.getvalue()


def opened(part):
    """What a program that knows pictures sees in it."""
    return Image.open(io.BytesIO(part.data))


def closed_file():
    file = io.BytesIO(PNG)
    file.close()
    return file


class TestSources:
    @pytest.mark.parametrize("kind", ["png", "jpeg", "gif", "webp"])
    def test_the_media_type_is_read_from_the_bytes(self, kind):
        data = encoded(kind)

        assert lp.image(data) == lp.ImagePart(f"image/{kind}", data)

    def test_bytes_may_be_a_bytearray_or_a_memoryview(self):
        assert lp.image(bytearray(PNG)) == lp.image(memoryview(PNG)) == lp.image(PNG)

    def test_a_path_is_read_whatever_its_suffix_says(self, tmp_path):
        path = tmp_path / "picture.jpg"
        path.write_bytes(PNG)

        assert lp.image(path) == lp.image(str(path)) == lp.ImagePart("image/png", PNG)

    def test_a_tilde_is_the_home_folder(self, tmp_path, monkeypatch):
        monkeypatch.setenv("HOME", str(tmp_path))
        (tmp_path / "picture.png").write_bytes(PNG)

        assert lp.image("~/picture.png").data == PNG

    def test_an_open_file_is_read(self, tmp_path):
        (tmp_path / "picture.png").write_bytes(PNG)

        with (tmp_path / "picture.png").open("rb") as file:
            assert lp.image(file).data == PNG

    @pytest.mark.parametrize(
        ("url", "media_type"),
        [
            ("https://example.com/a/cat.PNG?size=2", "image/png"),
            ("HTTP://example.com/cat.jpg", "image/jpeg"),
            ("https://example.com/cat", None),
        ],
    )
    def test_a_web_address_is_sent_as_it_is(self, url, media_type):
        assert lp.image(url) == lp.ImagePart(media_type, url=url)

    def test_a_data_url_becomes_its_bytes(self):
        url = "data:image/jpeg;base64," + base64.b64encode(PNG).decode()

        assert lp.image(url) == lp.ImagePart("image/png", PNG)

    @pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "P", "1", "CMYK", "I;16"])
    def test_a_pil_image_of_any_mode_is_sent_as_png(self, mode):
        part = lp.image(Image.new(mode, (4, 3)))

        assert part.media_type == "image/png"
        assert opened(part).size == (4, 3)

    def test_a_figure_and_its_axes_are_sent_as_they_are_saved(self):
        figure = Figure(figsize=(2, 1), dpi=50)
        axes = figure.subplots()
        axes.plot([1, 2])

        for source in (figure, axes):
            assert opened(lp.image(source)).size == (100, 50)

    @pytest.mark.parametrize("shape", [(3, 4), (3, 4, 1), (3, 4, 3), (3, 4, 4)])
    def test_an_array_of_bytes_is_a_picture(self, shape):
        array = np.arange(np.prod(shape), dtype="uint8").reshape(shape)

        read = np.asarray(opened(lp.image(array)))

        assert (read == array.reshape(read.shape)).all()

    def test_a_slice_of_an_array_is_a_picture_too(self):
        array = np.arange(6 * 8 * 3, dtype="uint8").reshape(6, 8, 3)

        assert (np.asarray(opened(lp.image(array[::2, 1:5]))) == array[::2, 1:5]).all()

    def test_a_picture_that_is_one_already_stays(self):
        part = lp.image(PNG)

        assert lp.image(part) is part


class TestTrouble:
    def error_of(self, source):
        with pytest.raises(lp.InvalidParameterError) as caught:
            lp.image(source)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    def test_a_missing_file_is_named_with_the_folder_it_was_sought_from(
        self, tmp_path, monkeypatch
    ):
        monkeypatch.chdir(tmp_path)

        message = self.error_of("nowhere.png")

        assert "nowhere.png" in message
        assert str(tmp_path) in message

    def test_a_folder_is_no_picture(self, tmp_path):
        assert "is a folder" in self.error_of(tmp_path)

    def test_a_file_without_an_end_is_not_read(self):
        assert "not a regular file" in self.error_of("/dev/zero")

    def test_a_pipe_is_not_waited_for(self, tmp_path):
        os.mkfifo(tmp_path / "pipe")
        said = []
        reader = threading.Thread(
            target=lambda: said.append(self.error_of(tmp_path / "pipe")), daemon=True
        )
        reader.start()
        reader.join(60)

        assert "not a regular file" in said[0]

    def test_more_than_twenty_megabytes_are_refused_before_they_are_read(self, tmp_path):
        path = tmp_path / "huge.png"
        with path.open("wb") as file:
            file.write(PNG)
            file.truncate(100 * images.MAX_BYTES)

        assert "20 MB" in self.error_of(path)
        assert "20 MB" in self.error_of(PNG + b"\0" * images.MAX_BYTES)

    @pytest.mark.parametrize(
        ("source", "said"),
        [
            (b"", "empty"),
            ("", "empty"),
            (b"%PDF-1.7", "PDF"),
            (b"<svg></svg>", "not a supported image"),
            (b"RIFF\0\0\0\0WAVE", "not a supported image"),
            ("s3://bucket/cat.png", "http"),
            ("https://", "not the web address of an image"),
            ("http://[::1/cat.png", "not the web address of an image"),
            ("data:image/png;base64,@@@", "cannot be read"),
            ("data:image/png", "cannot be read"),
            ("a\0b", "cannot be read"),
            ("x" * 5000, "cannot be read"),
            (7, "int 7"),
            (None, "NoneType"),
            (Image, "module"),
            (Figure, "type"),
            (io.StringIO("text"), "StringIO"),
            (np.zeros((2, 2)), "uint8"),
            (np.zeros((2, 2, 2), "uint8"), "2x2x2"),
            (np.zeros((0, 2), "uint8"), "0x2"),
            (closed_file(), "closed file"),
        ],
    )
    def test_what_is_no_picture_is_one_line(self, source, said):
        assert said in self.error_of(source)


LOOKING = """
import sys
import llm_playground as lp
lp.image(sys.stdin.buffer.read())
print([name for name in ("PIL", "matplotlib", "numpy") if name in sys.modules])
"""


def test_libraries_of_pictures_are_not_imported_for_it():
    done = subprocess.run(
        [sys.executable, "-c", LOOKING], input=PNG, capture_output=True, timeout=300, check=True
    )

    assert done.stdout.strip() == b"[]"


def test_a_picture_from_the_web_has_no_hash():
    assert lp.image(PNG).sha256 == lp.image(bytearray(PNG)).sha256
    assert lp.image("https://example.com/a.png").sha256 is None


class Endless:
    """A file without an end: a pipe, a device, a download."""

    def __init__(self, piece):
        self.piece, self.given = piece, 0

    def read(self, size=-1):
        piece = self.piece if size < 0 else self.piece[:size]
        self.given += len(piece)
        return piece


class TestBounds:
    @pytest.mark.parametrize("size", [1_000, 1_000_000, 30_000_000])
    def test_a_file_without_end_is_read_up_to_the_limit(self, size):
        file = Endless(PNG + b"\0" * (size - len(PNG)))

        with pytest.raises(lp.InvalidParameterError, match="more than 20 MB"):
            lp.image(file)

        assert file.given <= images.MAX_BYTES + 1

    def test_a_file_that_gives_its_bytes_in_pieces_is_read_whole(self):
        class Slow(io.BytesIO):
            def read(self, size=-1):
                return super().read(7)

        assert lp.image(Slow(PNG)).data == PNG

    @pytest.mark.parametrize("file", [io.StringIO("text"), Endless(""), Endless(None)])
    def test_what_reads_as_no_bytes_is_no_image(self, file):
        with pytest.raises(lp.InvalidParameterError):
            lp.image(file)

    def test_an_array_that_is_far_too_large_is_not_compressed(self):
        array = np.lib.stride_tricks.as_strided(
            np.zeros(1, np.uint8), shape=(100_000, 100_000), strides=(0, 0)
        )

        with pytest.raises(lp.InvalidParameterError, match="too large"):
            lp.image(array)


def photo(kind, orientation, *, place=False):
    """A picture of 60 x 40 whose left third is red, as EXIF says to hold it."""
    picture = Image.new("RGB", (60, 40), "white")
    picture.paste("red", (0, 0, 20, 40))
    exif = Image.Exif()
    exif[0x0112] = orientation
    if place:
        exif.get_ifd(0x8825)[1] = "N"
    buffer = io.BytesIO()
    picture.save(buffer, kind, exif=exif)
    return buffer.getvalue()


class TestOrientation:
    @pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
    @pytest.mark.parametrize("orientation", [1, 3, 6, 8])
    @pytest.mark.parametrize("source", ["bytes", "path", "data", "file", "PIL"])
    def test_an_image_is_sent_upright(self, kind, orientation, source, tmp_path):
        data = photo(kind, orientation)
        seen = ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB")
        path = tmp_path / "photo"
        path.write_bytes(data)
        url = f"data:image/{kind.lower()};base64,{base64.b64encode(data).decode()}"
        sources = {"bytes": data, "path": path, "data": url, "file": io.BytesIO(data)}

        part = lp.image(sources.get(source, Image.open(io.BytesIO(data))))

        sent = opened(part).convert("RGB")
        assert sent.size == seen.size
        assert opened(part).getexif().get(0x0112, 1) == 1
        difference = ImageChops.difference(sent, seen).getextrema()
        assert max(most for _, most in difference) < 30
        if source != "PIL":
            assert part.media_type == f"image/{kind.lower()}"
            assert (part.data == data) == (orientation == 1)

    @pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
    def test_the_place_is_not_sent(self, kind):
        part = lp.image(photo(kind, 1, place=True))

        assert not opened(part).getexif()
        plain = opened(lp.image(photo(kind, 1)))
        assert opened(part).tobytes() == plain.tobytes()

    @pytest.mark.parametrize("cut", range(0, 120, 7))
    @pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
    def test_a_cut_off_image_is_no_crash(self, kind, cut):
        data = photo(kind, 6, place=True)[: 160 - cut]
        with contextlib.suppress(lp.InvalidParameterError):
            lp.image(data)

    def test_a_heic_that_pil_cannot_read_is_one_line(self):
        with pytest.raises(lp.InvalidParameterError, match="Save it as JPEG"):
            lp.image(b"\0\0\0\x18ftypheic" + bytes(40))


@pytest.mark.parametrize(
    ("part", "kinds"),
    [
        (lp.ImagePart("image/png", PNG), ["image/png", "text/plain"]),
        (lp.ImagePart("image/png", b"<svg onload=x>"), ["text/plain"]),
        (lp.ImagePart("image/png", url="https://example.org/a.png"), ["text/plain"]),
    ],
)
def test_a_notebook_shows_the_picture_of_safe_bytes_only(part, kinds):
    assert sorted(part._repr_mimebundle_()) == kinds
