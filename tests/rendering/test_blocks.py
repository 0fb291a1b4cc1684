"""A growing answer: each block is rendered once, when it has ended; the tail is plain text."""

import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from llm_playground.redaction import MASK, remember
from llm_playground.rendering import to_html
from llm_playground.rendering.streaming import GrowingAnswer
from tests.rendering.corpus import ANSWER, DEFINITIONS, LINES

KEYS = {
    "known": "-".join(["planted", "word", "4e1b", "90d2"]),
    "shaped": "sk" + "-" + "aB3dE6gH9jK2mN5pQ8sT",
    "in lines": "\n".join(
        ["-----BEGIN " + "PRIVATE KEY-----", "MIIB" * 16, "Qz7a" * 16, "-----END PRIVATE KEY-----"]
    ),
}
remember(KEYS["known"])


class View:
    """A view that applies the updates of a growing answer."""

    def __init__(self):
        self.growing = GrowingAnswer()
        self.blocks, self.tail, self.shown = [], "", []

    def feed(self, text):
        self.growing.feed(text)
        self._see(self.growing.update())

    def end(self):
        last = self.growing.finish()
        self._see(last)
        return "".join(self.blocks) if last.whole is None else "".join(last.whole)

    def _see(self, update):
        assert update.first == len(self.blocks), "no block is repeated or left out"
        self.blocks += update.blocks
        self.tail = update.tail if update.blocks else self.tail + update.tail
        self.shown.append("".join(self.blocks) + self.tail)


def streamed(text, splits):
    view, begin = View(), 0
    for end in [*sorted(splits), len(text)]:
        view.feed(text[begin:end])
        begin = end
    return view.end()


def texts(lines):
    return st.lists(st.sampled_from(lines), min_size=1, max_size=16).map("".join)


SPLITS = st.lists(st.integers(0, 400), max_size=12) | st.just(range(400))


class TestWhole:
    @given(texts(LINES), SPLITS)
    @settings(max_examples=150)
    @example(ANSWER, range(1_000))
    def test_blocks_make_up_the_whole_answer_however_it_is_split(self, text, splits):
        view, begin = View(), 0
        for end in [*sorted(split for split in splits if split < len(text)), len(text)]:
            view.feed(text[begin:end])
            begin = end
        view.end()

        assert "".join(view.blocks) == to_html(text)

    @given(texts([*LINES, *DEFINITIONS, *DEFINITIONS, *DEFINITIONS]), SPLITS)
    @settings(max_examples=60)
    def test_link_definitions_are_applied_at_the_end(self, text, splits):
        assert streamed(text, [split for split in splits if split < len(text)]) == to_html(text)

    @given(texts(LINES), SPLITS)
    @settings(max_examples=60)
    def test_a_snapshot_equals_the_updates_so_far(self, text, splits):
        view, begin = View(), 0
        for end in sorted(split for split in splits if split < len(text)):
            view.feed(text[begin:end])
            begin = end
            everything = view.growing.snapshot()

            assert [*everything.blocks] == view.blocks
            assert everything.tail == view.tail


class TestEnds:
    @pytest.mark.parametrize(
        ("text", "blocks", "tail"),
        [
            ("# Title\n", 1, ""),
            ("Title\n---\n", 1, ""),
            ("***\n", 1, ""),
            ("A paragraph\nof two lines\n", 0, "A paragraph\nof two lines\n"),
            ("A paragraph\n\n", 1, ""),
            ("A paragraph\n# Title\n", 2, ""),
            ("A paragraph\n- item\n", 1, "- item\n"),
            ("A paragraph\n```\n", 1, "```\n"),
            ("```\ncode\n\nmore\n", 0, "```\ncode\n\nmore\n"),
            ("```\ncode\n```\n", 1, ""),
            ("````\n```\n", 0, "````\n```\n"),
            ("- a\n- b\n\n", 0, "- a\n- b\n\n"),
            ("- a\n\n  more\n- b\n\ntext", 0, "- a\n\n  more\n- b\n\ntext"),
            ("- a\n- b\n\ntext\n", 1, "text\n"),
            ("- a\n* b\n", 1, "* b\n"),
            ("1. a\n\n- b\n", 1, "- b\n"),
            ("> a\n> b\n\n", 1, ""),
            ("| a |\n|---|\n| 1 |\n\n", 1, ""),
            ("    code\n\n    code\n", 0, "    code\n\n    code\n"),
            ("    code\ntext\n", 1, "text\n"),
            ("$$\nx\n$$\n", 1, ""),
            ("$$\nx\n- y\n", 0, "$$\nx\n- y\n"),
            ("$$\nx\n\n", 1, ""),
            ("\\begin{align}\na &= b\n", 0, "\\begin{align}\na &= b\n"),
            ("\\begin{align}\na\nb\n\\end{align}\n", 1, ""),
            ('{"a": [\n\n1]', 0, '{"a": [\n\n1]'),
            ('{"a": [\n\n1]}\n\n', 1, ""),
            ("\n\n\ntext", 0, "text"),
            ("[a]: https://example.com\n", 0, "[a]: https://example.com\n"),
            ("one\n\ntwo\n\nthree", 2, "three"),
        ],
    )
    @pytest.mark.parametrize("step", [1, 1_000])
    def test_a_block_is_rendered_as_soon_as_it_has_ended(self, text, blocks, tail, step):
        view = View()
        for begin in range(0, len(text), step):
            view.feed(text[begin : begin + step])

        assert len(view.blocks) == blocks
        assert view.tail == tail

    def test_a_long_block_ends_as_soon_as_a_short_one(self):
        view = View()
        for line in ["Intro\n", *["- an item of a long list\n"] * 4_000]:
            view.feed(line)
        assert len(view.blocks) == 1

        view.feed("\n")
        view.feed("Text\n")

        assert len(view.blocks) == 2
        assert view.tail == "Text\n"


class TestLinks:
    def test_a_link_before_its_definition_is_corrected_at_the_end(self):
        growing = GrowingAnswer()
        growing.feed("See [the docs][d].\n\nText.\n\n[d]: https://example.com\n")
        assert growing.update().blocks == ("<p>See [the docs][d].</p>\n", "<p>Text.</p>\n")

        whole = growing.finish().whole

        assert whole is not None
        assert '<a href="https://example.com"' in "".join(whole)

    def test_a_link_after_its_definition_needs_no_correction(self):
        growing = GrowingAnswer()
        growing.feed("[d]: https://example.com\n\nSee [the docs][d].\n\n")

        assert '<a href="https://example.com"' in "".join(growing.update().blocks)
        assert growing.finish().whole is None


class TestKeys:
    @pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)
    @pytest.mark.parametrize(
        "around", ["The key is {}.\n\nKeep it.", "```\n{}\n```\n", "- {}\n\n{}\n\n# {}\n", "{}"]
    )
    @pytest.mark.parametrize("step", [1, 2, 3, 7, 30])
    def test_no_key_is_shown_however_it_is_split(self, key, around, step):
        view, text = View(), around.replace("{}", key)
        for begin in range(0, len(text), step):
            view.feed(text[begin : begin + step])

        assert view.end() == to_html(text)
        shown = "".join(view.shown)
        assert MASK in shown
        assert not any(line[4:] in shown for line in key.split("\n"))


ENDLESS = {
    "paragraph of one line": ("", "word "),
    "paragraph of lines": ("", "word word word\n"),
    "fence": ("```python\n", "x = foo(1)  # hello\n\n"),
    "list": ("", "- item\n"),
    "loose list": ("", "- item\n\n"),
    "nested": ("", "- item\n  - item\n\n    more\n"),
    "table": ("| a | b |\n|---|---|\n", "| 1 | 2 |\n"),
    "quote": ("", "> quoted words\n"),
    "fence in a quote": ("> ```\n", "> words\n"),
    "formula": ("$$\n", "x + y\n"),
    "environment": ("\\begin{align}\n", "x + y\n"),
    "JSON": ("[\n", '{"a": [1, 2]},\n\n'),
    "lines of JSON": ("", '{"a": [1, 2]}\n'),
    "addresses": ("", "https://example.com/a, www.example.com\n"),
    "formulas that never begin": ("a\n", "b $$\n"),
    "headings that are none": ("- a\n", "===\n"),
    "definitions": ("", "[a]: https://example.com\n"),
    "key": ("", "sk-"),  # none ends: all is held back
    "key in lines": ("-----BEGIN " + "PRIVATE KEY-----\n", "MIIBMIIBMIIBMIIB\n"),
    "ordinary": ("", ANSWER),
}


def time_of(deltas):
    """Seconds of work, and of the last tenth."""
    growing, stamps = GrowingAnswer(), []
    for delta in deltas:
        stamps.append(time.thread_time())
        growing.feed(delta)
        growing.update()
    stamps.append(time.thread_time())
    return stamps[-1] - stamps[0], stamps[-1] - stamps[-len(deltas) // 10]


@pytest.mark.parametrize(("start", "more"), ENDLESS.values(), ids=ENDLESS)
def test_a_delta_costs_the_same_late_in_a_long_answer(start, more):
    few, many = 600, 6_000
    text = start + more * (many * 4 // len(more) + 1)
    deltas = [text[at : at + 4] for at in range(0, many * 4, 4)]

    short, _ = time_of(deltas[:few])
    long, _ = time_of(deltas)

    assert long < 30 * short + 0.1, "ten times as much text costs about ten times as much"
