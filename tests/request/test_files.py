"""Documents and recordings: whatever is given becomes a part of a message, or one clear line."""

import base64
import io
import os
import struct
import threading
from pathlib import Path

import pytest

import llm_playground as lp
from llm_playground.parts import FilePart
from llm_playground.request import files, locations, secret_guard
from llm_playground.request.messages import conversation, stored_conversation
from llm_playground.request.templates import filled
from llm_playground.types import messages_as_json

PDF = b"%PDF-1.4\n1 0 obj <</Type /Page>> endobj\n"
WAV = b"RIFF\x24\0\0\0WAVEfmt \x10\0\0\0" + struct.pack("<HHIIHH", 1, 1, 8000, 16000, 2, 16)
BIDI, ZERO_WIDTH, LINE = "\u202e", "\u200b", "\u2028"


@pytest.mark.parametrize(
    ("data", "name", "media_type"),
    [
        (PDF, "a.txt", "application/pdf"),
        (b"\xef\xbb\xbf\n" + PDF, "", "application/pdf"),
        (b"a,b\n1,2", "a.csv", "text/csv"),
        (b"# Hi", "NOTES.MD", "text/markdown"),
        (b"{}", "a.json", "application/json"),
        (b"<p>hi", "a.html", "text/html"),
        (b"import os", "a.py", "text/x-python"),
        (b"hello", "Makefile", "text/plain"),
        (b"hello", "a.pdf", "text/plain"),
        (b"\x1b[31mred", "a.log", "text/plain"),
        ("é".encode("utf-16"), "a.txt", "text/plain"),
        ("é".encode("cp1252"), "a.txt", "text/plain"),
        (WAV, "", "audio/wav"),
        (b"ID3\4", "a.txt", "audio/mpeg"),
        (b"\xff\xfb\x90\x64", "", "audio/mpeg"),
        (b"fLaC\0", "", "audio/flac"),
        (b"OggS\0", "", "audio/ogg"),
        (b"FORM\0\0\0\0AIFF", "", "audio/aiff"),
        (b"\xff\xf1\x50", "", "audio/aac"),
        (b"\0\0\0\x20ftypM4A ", "", "audio/mp4"),
    ],
)
def test_the_kind_is_in_the_bytes_and_the_kind_of_text_in_the_name(data, name, media_type):
    part = lp.file(data, name=name)
    assert (part.media_type, part.data) == (media_type, data)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "cp1252"])
def test_text_is_read_in_any_usual_encoding(encoding):
    assert lp.file("Größe: 5 €".encode(encoding), "a.txt").text == "Größe: 5 €"
    assert lp.file(PDF).text is None
    assert lp.file("https://example.com/a.txt").text is None


def test_a_path_an_open_file_and_its_bytes_are_the_same_file(tmp_path, monkeypatch):
    (tmp_path / "a.csv").write_bytes(b"a,b")
    monkeypatch.setenv("HOME", str(tmp_path))
    whole = FilePart("text/csv", "a.csv", b"a,b")
    with (tmp_path / "a.csv").open("rb") as opened, (tmp_path / "a.csv").open() as as_text:
        sources = [opened, as_text, tmp_path / "a.csv", f" {tmp_path / 'a.csv'} ", "~/a.csv"]
        assert [lp.file(source) for source in sources] == [whole] * 5
    assert lp.file(memoryview(b"a,b"), name="/x/a.csv") == whole
    assert lp.file(whole) is whole
    assert lp.file(tmp_path / "a.csv", name="b.csv").name == "b.csv"
    url = "data:text/csv;base64," + base64.b64encode(b"a,b").decode()
    assert lp.file(url) == FilePart("text/csv", "document.csv", b"a,b")
    assert lp.file("data:,hello") == FilePart("text/plain", "document.txt", b"hello")


@pytest.mark.parametrize(
    ("url", "media_type", "name"),
    [
        ("https://example.com/a/Report%20A.PDF?x=1", "application/pdf", "Report A.PDF"),
        ("HTTPS://example.com/a.mp3", "audio/mpeg", "a.mp3"),
        ("https://example.com/a.csv#top", "text/csv", "a.csv"),
        ("https://example.com/", None, "example.com"),
        (f"https://example.com/a{BIDI}%E2%80%AEfdp.exe", None, "afdp.exe"),
        ("https://example.com/%2e%2e%2f%2e%2e%2fetc%2fpasswd", None, "passwd"),
    ],
)
def test_a_web_address_is_sent_as_it_is(url, media_type, name):
    assert lp.file(url) == FilePart(media_type, name, url=url)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\ada\\plan.txt", "plan.txt"),
        (f"plan{BIDI}txt.exe", "plantxt.exe"),
        (f"a{ZERO_WIDTH}b{LINE}c\r\n\x1b[2Jd\0.txt", "ab c[2Jd.txt"),
        ("a \t  b.txt", "a b.txt"),
        ("..", "document.txt"),
        ("", "document.txt"),
        (".hidden", "hidden"),
        ("\ud800.txt", "txt"),
        ("x" * 10_000 + ".txt", "x" * 115 + "….txt"),
        ("y" * 10_000, "y" * 119 + "…"),
        ("\u65e5\u672c.txt", "\u65e5\u672c.txt"),
    ],
)
def test_a_hostile_name_is_cleaned_wherever_it_comes_from(name, shown):
    made = lp.file(b"One.", name=name)
    by_hand = FilePart("text/plain", name, b"One.")
    assert made.name == shown
    assert lp.file(by_hand).name == shown
    [message] = conversation("Hi", messages=None, files=[by_hand])
    assert message.content[0].name == shown
    [turn, _] = conversation("Hi", messages=[{"role": "user", "content": [by_hand]}])
    assert turn.content[0].name == shown


def test_files_stand_between_the_images_and_the_text():
    png = lp.ImagePart("image/png", b"\x89PNG")
    [message] = conversation("Why?", images=png, files=[PDF, lp.file(b"a", "a.txt")])
    kinds = [type(part).__name__ for part in message.content]
    assert kinds == ["ImagePart", "FilePart", "FilePart", "TextPart"]
    assert conversation(None, files=PDF)[0].content == (lp.file(PDF),)


def test_parts_of_earlier_turns_are_read_in_each_form(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"One.")
    whole = lp.file(tmp_path / "a.txt")
    forms = [
        whole,
        {"type": "file", "file": str(tmp_path / "a.txt")},
        {"type": "file", "file": b"One.", "name": "a.txt"},
        {"type": "file", "file": "data:text/plain,One.", "name": "a.txt"},
    ]
    [turn] = conversation(None, messages=[{"role": "user", "content": forms}])
    assert turn.content == (whole,) * 4
    at_url = lp.file("https://example.com/a.pdf")
    [as_json] = messages_as_json(conversation(None, files=at_url))
    assert conversation(None, messages=[as_json])[0].content == (at_url,)


@pytest.mark.parametrize("field", ["file", "url"])
def test_a_file_that_a_stored_prompt_names_is_not_read(tmp_path, field):
    (tmp_path / "a.txt").write_bytes(b"private")
    part = {"type": "file", field: str(tmp_path / "a.txt")}
    [turn] = stored_conversation([{"role": "user", "content": [part]}])
    assert turn.content == (lp.TextPart("[a file, which is not read]"),)


def test_a_template_fills_no_file():
    request = lp.file(b"{{name}}", "a.txt")
    [message] = conversation("Hi {{name}}", files=request)
    assert filled([message], {"name": "Ada"})[0].content[0].text == "{{name}}"


KEY = "sk-" + "planted" * 4


@pytest.mark.parametrize("model", ["openai:m", "anthropic:m", "gemini:m", "local:m"])
def test_keys_and_cards_in_a_text_are_found_and_the_file_is_named(home, model):
    def found(part, *kinds):
        request = lp.types.Request(model, conversation("Hi", files=part))
        return [str(one) for one in secret_guard.findings(request, {}, kinds)]

    text = f"key = {KEY}\ncard 4111 1111 1111 1111\nada@example.org\n".encode("utf-16")
    [of_key] = found(lp.file(text, "env.txt"), "keys")
    assert of_key.startswith("the file `env.txt` contains a value that looks like an API key")
    assert KEY not in of_key
    assert len(found(lp.file(text, "env.txt"), "cards", "email")) == 2
    [of_name] = found(lp.file(b"One.", f"{KEY}.txt"), "keys")
    assert of_name.startswith("the name of a file")
    assert found(lp.file(f"https://x.org/a.pdf?key={KEY}"), "keys")
    assert found(lp.file(PDF + KEY.encode(), "a.pdf"), "keys") == []


def test_a_file_with_a_key_is_not_sent(home, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-" + "never" * 5)
    with pytest.raises(lp.ConfigError, match=r"Not sent: the file `env\.txt` contains"):
        lp.ask("Hi", "openai:gpt-4o", files=lp.file(KEY.encode(), "env.txt"))


def error_of(source, name=None):
    with pytest.raises(lp.InvalidParameterError) as caught:
        lp.file(source, name)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 500
    return message


def closed_file():
    opened = io.BytesIO(PDF)
    opened.close()
    return opened


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (b"", "is empty"),
        (b" \n\t ", "is empty"),
        ("", "path of the file is empty"),
        (b"\x89PNG\r\n\x1a\n", "images="),
        (b"RIFF\0\0\0\0WEBP", "images="),
        (b"PK\x03\x04\x14", "Save it as PDF or text"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1", "Save it as PDF or text"),
        (b"\0\0\0\x20ftypisom", "is a video"),
        (b"\x7fELF\2\1\1\0\0\0\0", "neither PDF, text nor audio"),
        (bytes(range(32)) * 9, "neither PDF, text nor audio"),
        ("s3://bucket/a.pdf", "starts with http"),
        ("https://", "not the web address of a file"),
        ("http://[::1/a.pdf", "not the web address of a file"),
        ("data:application/pdf;base64,@@@", "cannot be read"),
        ("a\0b", "cannot be read"),
        ("x" * 5000, "cannot be read"),
        ("no\x1b[2Jwhere.pdf", "There is no file at no␛[2Jwhere.pdf"),
        (7, "int 7"),
        (None, "NoneType"),
        (Path, "type"),
        (closed_file(), "closed file"),
        (FilePart("video/mp4", "a.mp4", b"x"), "video/mp4 cannot be sent"),
        (FilePart("application/zip", "a.zip", b"x"), "cannot be sent"),
        (FilePart("text/plain", "a.txt", b""), "a.txt is empty"),
        (FilePart(None, "a.zip", b"PK\x03\x04"), "Save it as PDF or text"),
    ],
)
def test_what_cannot_be_sent_is_one_line(source, said):
    assert said in error_of(source)


def test_places_without_a_readable_file_are_one_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "is a folder" in error_of(tmp_path)
    assert "not a regular file" in error_of("/dev/zero")
    (tmp_path / "empty.pdf").touch()
    assert "empty.pdf is empty" in error_of("empty.pdf")
    assert str(tmp_path) in error_of("nowhere.pdf")
    os.mkfifo(tmp_path / "pipe")
    said = []
    reader = threading.Thread(target=lambda: said.append(error_of(tmp_path / "pipe")), daemon=True)
    reader.start()
    reader.join(240)
    assert "not a regular file" in said[0]


def test_an_unreadable_file_is_one_line(tmp_path, monkeypatch):
    def refuse(_path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(locations, "open_regular", refuse)  # root may read every file
    assert "cannot be read: Permission denied" in error_of(tmp_path / "a.pdf")


class Endless:
    def __init__(self, piece):
        self.piece, self.given = piece, 0

    def read(self, size):
        self.given += len(self.piece[:size])
        return self.piece[:size]


def test_what_is_too_large_is_refused_before_it_is_read(tmp_path):
    with (tmp_path / "huge.pdf").open("wb") as opened:
        opened.write(PDF)
        opened.truncate(100 * files.MAX_BYTES)
    assert "more than 50 MB" in error_of(tmp_path / "huge.pdf")
    endless = Endless(PDF + b" " * 1_000_000)
    assert "more than 50 MB" in error_of(endless)
    assert endless.given <= files.MAX_BYTES + 1
    assert "bytes or text" in error_of(Endless([0]))


def test_a_name_is_text():
    assert "name of a file is text" in error_of(PDF, name=7)


def test_the_hash_of_a_prompt_covers_bytes_name_and_type():
    def hash_of(part):
        return lp.types.Request("openai:m", conversation("Hi", files=part)).prompt_hash()

    one = lp.file(b"One.", "a.txt")
    assert hash_of(one) == hash_of(lp.file(bytearray(b"One."), "/elsewhere/a.txt"))
    others = [lp.file(b"Two.", "a.txt"), lp.file(b"One.", "b.txt"), lp.file(b"One.", "a.md")]
    assert len({hash_of(one), *map(hash_of, others)}) == 4
