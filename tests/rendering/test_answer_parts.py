"""Pictures, tools, refusals and unknown parts between texts, and the numbered sources below."""

import re

import pytest
from selectolax.lexbor import LexborHTMLParser

from llm_playground import rendering
from llm_playground.parts import (
    AudioPart,
    ImagePart,
    OtherPart,
    ReasoningPart,
    RefusalPart,
    ServerToolCall,
    ServerToolResult,
    Source,
    TextPart,
    ToolCall,
)
from llm_playground.rendering import answers, media, parts, source_list
from llm_playground.rendering.streaming import GrowingAnswer
from tests.browser.answers import FAIR, HOSTILE, HUGE, SOURCES, SVG, hostile_sources, png
from tests.exporting.shelf import run

ELEMENTS = (
    "body div p pre code span details summary section ol li a sup figure figcaption img audio"
)
ATTRIBUTES = "class style href title rel id src alt width height controls preload aria-label"
KEY = "sk-" + "planted" * 4 + "7Qa"
PNG = png([[(0, 0, 0)]])
JPEG = bytes.fromhex("ffd8ffe000104a46494600010100000100010000ffc0000b080001000101011100")
GIF = b"GIF89a\1\0\1\0\0\0\0,\0\0\0\0\1\0\1\0\0" + bytes(10)
WEBP = b"RIFF\x1a\0\0\0WEBPVP8L\x0d\0\0\0\x2f\0\0\0" + bytes(20)
UNKNOWN = "A part that is not understood:"
TEXT = """The Moon is **far**. Use `x` or [this](https://example.com/a).

```python
x = 1
```

| a | b |
|---|---|
| 1 | 2 |

- one
- two

Half: $x^2$ end
"""


def shown(text, *places, **known):
    """The HTML of a text with one source that is cited at these places."""
    source = Source("A title", "https://example.org", None, places)
    return answers.html(answers.blocks([text], [source], "a")).partition("<section")[0]


def parts_of(*items):
    return tuple(TextPart(item) if isinstance(item, str) else item for item in items)


@pytest.mark.parametrize(
    ("after", "before_marker"),
    {
        "sentence": ("The Moon is **far**.", "</strong>."),
        "blanks": ("The Moon is **far**. ", "</strong>."),
        "inside a word": ("The Mo", "The Moon"),
        "emphasis": ("The Moon is **far**", "</strong>"),
        "inside emphasis": ("The Moon is **far", "<strong>far"),
        "between the stars": ("The Moon is *", 'example.com/a">this</a>.'),
        "inside code": ("The Moon is **far**. Use `", "<code>x</code>"),
        "inside a link": ("The Moon is **far**. Use `x` or [th", "this</a>"),
        "inside an address": ("The Moon is **far**. Use `x` or [this](https://exa", "this</a>."),
        "a block of code": (TEXT[: TEXT.index("= 1")], "</pre>"),
        "a fence": (TEXT[: TEXT.index("thon\nx")], "</pre>"),
        "a cell": (TEXT[: TEXT.index(" 2 |")], "<td>1"),
        "the end of a row": (TEXT[: TEXT.index("| 1 | 2 |") + 9], "<td>2"),
        "the row under a head": (TEXT[: TEXT.index("---|\n")], "</table>"),
        "an item": (TEXT[: TEXT.index("\n- two")], "<li>one"),
        "between items": (TEXT[: TEXT.index("two")], "<li>two"),
        "a formula": (TEXT[: TEXT.index("^2")], "</math> end"),
        "the end": (TEXT, "</math> end"),
    }.values(),
)
def test_a_marker_stands_at_its_place_or_at_the_next_safe_one(after, before_marker):
    html = shown(TEXT, len(after))

    before, marker, _rest = re.split(r'(<sup><a href="#a-1" [^>]*>\[1\]</a></sup>)', html)
    before = before.removesuffix("<p>").rstrip()
    assert re.sub(r' rel="[^"]*"', "", before).endswith(before_marker), before
    without = html.replace(f"<p>{marker}</p>\n", "").replace(marker, "")
    assert without == rendering.to_html(TEXT), "nothing else has changed"


def test_many_markers_of_many_sources_in_one_text():
    sources = [Source(f"S{n}", "https://example.org", None, (n, n, 20)) for n in range(1, 60)]

    html = answers.html(answers.blocks(["word " * 30], sources, "a")).partition("<section")[0]

    assert re.findall(r"\[(\d+)\]", html).count("7") == 2
    assert re.sub(r"<sup>.*?</sup>", "", html) == rendering.to_html("word " * 30)


def test_places_count_characters_before_a_key_was_hidden():
    text = f"Before. The key is {KEY} here. After it. The end."

    html = shown(text, text.index(" The key"), text.index(" After"))

    assert KEY not in html
    assert "Before.<sup>" in html
    assert "here.<sup>" in html


def test_a_places_count_runs_on_over_the_parts_between_texts():
    source = Source("A", "https://example.org", None, (len("One.") + len("Two."),))

    html = answers.html(
        answers.blocks(["One.", OtherPart("x", "{}"), "Two. Three."], [source], "a")
    )

    assert "Two.<sup>" in html
    assert html.count("<sup>") == 1


def test_the_answers_own_numbers_become_markers():
    sources = [Source("A", "https://example.org"), Source("B", "https://example.net")]
    text = "Far.[1][2] Code `[1]`, x[1], [3], [a[1]](https://example.com)."

    html = answers.html(answers.blocks([text], sources, "a"))

    assert re.findall(r"<sup>.*?(\[\d\]).*?</sup>", html) == ["[1]", "[2]"]
    assert answers.html(answers.blocks([text], [], "a")) == rendering.to_html(text)


@pytest.mark.parametrize(
    ("data", "size"),
    [
        (PNG, (1, 1)),
        (JPEG, (1, 1)),
        (GIF, (1, 1)),
        (WEBP, (1, 1)),
        (SVG.encode(), None),
        (b"\xef\xbb\xbf" + SVG.encode(), None),
        (b"<!doctype html>", None),
        (HUGE, None),
        (PNG[:20], None),
        (b"\x89PNG\r\n\x1a\n" + bytes(40), None),
        (b"RIFF\x1a\0\0\0WAVEfmt " + bytes(30), None),
        (b"BM" + bytes(60), None),
        (b"", None),
        (None, None),
    ],
)
def test_only_bytes_that_are_a_picture_are_shown(data, size):
    part = ImagePart("image/png", data)

    found, html = media.picture(part), parts.to_html(part)

    assert (found and (found.width, found.height)) == size
    assert ("<img" in html) == (size is not None)
    assert size or parts.to_line(part).startswith("Picture (image/png)")


def test_a_picture_above_the_limit_is_a_line(monkeypatch):
    monkeypatch.setattr(media, "MAX_BYTES", len(PNG) - 1)

    assert "<img" not in parts.to_html(ImagePart("image/png", PNG))


@pytest.mark.parametrize(
    ("part", "line", "text"),
    [
        (ServerToolCall("1", "web_search", '{"query": "tides"}'), "Searched the web: tides", ""),
        (
            ServerToolCall("1", "google_search", '{"queries": ["a", "b"]}'),
            "Searched the web: a · b",
            "",
        ),
        (ServerToolCall("1", "code_execution", '{"code": "1 + 1"}'), "Ran code", "1 + 1"),
        (ServerToolCall("1", "bash_code_execution", '{"command": "ls"}'), "Ran code", "ls"),
        (
            ServerToolCall("1", "web_fetch", '{"url": "https://a.example/"}'),
            "Read a page: https://a.example/",
            "",
        ),
        (ServerToolCall("1", "image_maker", '{"n": 1}'), "Used image_maker", '{\n  "n": 1\n}'),
        (ServerToolCall("1", "code_execution", "no JSON"), "Ran code", ""),
        (ServerToolResult("1", "code_execution", "2"), "Output of the code", "2"),
        (ServerToolResult("1", "code_execution", "E", True), "Output of the code: failed", "E"),
        (ServerToolResult("1", "web_search", ""), "Found on the web: nothing that can be read", ""),
        (RefusalPart("I cannot."), "Refused: I cannot.", ""),
        (
            OtherPart("hologram", '{"a":1}'),
            "A part that is not understood: hologram",
            '{\n  "a": 1\n}',
        ),
        (
            OtherPart("hologram", "[" * 9_000),
            "A part that is not understood: hologram",
            "[" * 9_000,
        ),
        (
            ImagePart(None, url="https://a.example/b.png"),
            "Picture at https://a.example/b.png, not loaded",
            "",
        ),
        (ImagePart("image/png", stored_sha256="ab"), "Picture (image/png), not kept here", ""),
        (AudioPart("audio/wav", b"RIFF....WAVE", "Hi."), "Recording (audio/wav), 12 B: Hi.", ""),
        (TextPart("x"), "", ""),
        (ReasoningPart("x"), "", ""),
        (ToolCall("1", "weather"), "", ""),
    ],
    ids=repr,
)
def test_a_part_is_one_line_and_what_it_folds(part, line, text):
    assert parts.to_line(part) == line
    assert parts.folded_text(part)[0] == text
    assert parts.is_shown(part) == bool(line)
    assert ("<details" in parts.to_html(part)) == bool(text)


def test_recordings_play_from_known_bytes_only():
    good = parts.to_html(AudioPart("audio/mpeg", b"RIFF\4\0\0\0WAVEfmt ", "It says <hi>."))
    bad = parts.to_html(AudioPart("audio/wav", SVG.encode()))

    assert '<audio class="llm-audio" controls preload="metadata" src="data:audio/wav;' in good
    assert "It says &lt;hi&gt;." in good
    assert "<audio" not in bad
    assert "data:audio/mpeg" in parts.to_html(AudioPart(None, b"\xff\xfb\x90\0" + bytes(9)))


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://www.example.com/a?b=c#d", "www.example.com"),
        ("http://user:word@example.com:80/", "example.com"),
        ("https://bücher.example/", "xn--bcher-kva.example"),
        ("https://example.com/ä", "example.com"),
        ("javascript:alert(1)", ""),
        ("java\tscript:alert(1)", ""),
        ("data:text/html,x", ""),
        ("file:///etc/passwd", ""),
        ("https://good.example\\@evil.example/", ""),
        ("https://good.example/\u202egpj", ""),
        ("https://good.example/\u200b", ""),
        ("https://exa mple.com/", ""),
        (" https://example.com", ""),
        ("https:///path", ""),
        ('https://example.com/"onclick="x', ""),
        ("//example.com", ""),
        ("https://[::1", ""),
        ("https://example.com/" + "a" * 2_000, ""),
        ("", ""),
        (None, ""),
        (5, ""),
    ],
)
def test_only_web_addresses_become_links(url, host):
    html = source_list.to_html([Source("A title", url)], "a")

    assert source_list.host(url) == host
    assert ("<a href=" in html) == bool(host)
    assert "A title" in html


def test_a_fair_answer_keeps_its_order_and_its_sources_everywhere():
    answer = run(text="".join(one for one in FAIR if isinstance(one, str)), sources=SOURCES)
    answer = run(text=answer.text, sources=SOURCES, parts=parts_of(ReasoningPart("Hm."), *FAIR))

    html, text = rendering.run_to_html(answer), rendering.answer_to_text(answer)

    for whole in (html, text):
        words = ["Searched the web", "Found on", "largest range", "Ran code", "full moon"]
        places = [whole.index(word) for word in [*words, "Sources"]]
        assert places == sorted(places)
    assert "class=" not in html, "no style sheet is needed"
    assert "[1] Bay of Fundy tides: why the highest?, https://oceanservice" in text
    assert "data:image/png;base64," in html


def test_texts_that_no_other_part_divides_are_one():
    answer = run(
        text="**a b**", parts=parts_of("**a", ReasoningPart("Hm."), ToolCall("1", "f"), " b**")
    )

    assert answers.items(answer) == ["**a b**"]
    assert answers.items(run(text="Hi.", parts=())) == ["Hi."]
    other, refusal = OtherPart("x", "{}"), RefusalPart("No.")
    assert answers.items(run(text="No.", parts=(refusal,))) == ["No."]
    assert answers.items(run(text="Well.", parts=parts_of("Well.", refusal))) == ["Well.", refusal]
    assert answers.items(run(text="Hi.", parts=parts_of("Hi. More.", other))) == ["Hi.", other]


def test_a_hostile_answer_brings_nothing_active():
    sources = tuple(hostile_sources())
    text = "".join(one for one in HOSTILE if isinstance(one, str))
    answer = run(text=text, sources=sources, parts=parts_of(*HOSTILE))

    html = rendering.run_to_html(answer)
    nodes = list(LexborHTMLParser(html).body.traverse(include_text=False))

    assert {node.tag for node in nodes} <= {*ELEMENTS.split(), "audio"}
    attributes = [one for node in nodes for one in node.attributes.items()]
    assert {name for name, _ in attributes} <= set(ATTRIBUTES.split())
    for address in (value for name, value in attributes if name in {"src", "href"}):
        assert re.match(r"https?://|#llm-|data:(image/png|audio/mpeg);base64,", address), address
    assert "\u202e" not in html


def test_a_streamed_answer_ends_as_the_whole_one():
    growing = GrowingAnswer()
    for item in FAIR:
        for piece in item.split(" ") if isinstance(item, str) else [item]:
            (growing.feed if isinstance(piece, str) else growing.feed_part)(piece)
        update = growing.update()
        assert isinstance(item, str) or isinstance(update.blocks[-1], answers.PartBlock)
    last = growing.finish(SOURCES, "a")

    pieces = [item.replace(" ", "") if isinstance(item, str) else item for item in FAIR]
    assert list(last.whole) == answers.blocks(pieces, SOURCES, "a")
    assert growing.snapshot().blocks[-1] == last.whole[-1], "the sources"
    plain = GrowingAnswer()
    plain.feed("One.\n\nTwo.")
    assert plain.finish().whole is None


def test_many_and_large_parts_are_bounded_in_a_page_and_counted(monkeypatch):
    many = [OtherPart("hologram", "{}"), "Text. "] * 600
    shown = answers.html(answers.blocks(many, (), "a"))
    assert (shown.count("hologram"), shown.count("Text.")) == (500, 600)
    assert "and 100 more parts, in run.parts" in shown

    monkeypatch.setattr(answers, "MAX_PARTS_CHARS", 50_000)
    large = [ServerToolResult("1", "web_search", "x" * 15_000)] * 9
    shown = answers.html(answers.blocks(large, (), "a"))
    assert (shown.count("<details"), shown.count("Found on the web")) == (3, 9)

    for pieces in (many, large):
        growing = GrowingAnswer()
        for piece in pieces:
            (growing.feed if isinstance(piece, str) else growing.feed_part)(piece)
        growing.finish()
        assert answers.html(growing.snapshot().blocks) == answers.html(
            answers.blocks(pieces, (), "a")
        )
