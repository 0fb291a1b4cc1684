"""No answer, whole or on its way, brings anything active into the page or loads something."""

import random
import re
from collections.abc import Iterator

import pytest

from llm_playground.rendering import to_html, to_plain_html
from llm_playground.rendering.streaming import GrowingAnswer
from tests.rendering.hostile import hostile_answers
from tests.rendering.safety import faults

ANSWERS = dict(hostile_answers())
EVERY_PLACE = 60  # characters from the start: split at each of them
LONG = 3_000

ACTIVE = [
    "<script>1</script>",
    "<p onclick=x>",
    "<img src=x>",
    "<a href=javascript:x>",
    "<a href=//evil.example>",
    "<math><mi href=x>",
    "<math><script>x</script></math>",
    "<p><!-- x --></p><style>x</style>",
    "</div><p>x</p>",
    "<span class='tok-keyword jp-Dialog'>x</span>",
    "<p style=x>",
    "<math><mtext><b>x</b></mtext></math>",
    "<svg></svg>",
    "<code class='language-x y'>",
]


@pytest.mark.parametrize("html", ACTIVE)
def test_the_check_itself_finds_what_is_active(html):
    assert faults(html)


def test_the_answers_are_many_and_each_is_another():
    assert len(ANSWERS) >= 150
    assert len(set(ANSWERS.values())) == len(ANSWERS)


@pytest.mark.parametrize("text", ANSWERS.values(), ids=ANSWERS)
def test_a_whole_answer_brings_nothing_active(text):
    assert faults(to_html(text)) == []
    assert not re.search(r"<(?!/?div)", to_plain_html(text)), "plain text is plain"


@pytest.mark.parametrize("text", ANSWERS.values(), ids=ANSWERS)
def test_an_answer_on_its_way_brings_nothing_active_either(text):
    whole, checked = to_html(text), set()
    for splits in ways_to_split(text):
        blocks, final = streamed(text, splits)
        for block in set(blocks) - checked:
            assert faults(block) == [], splits
        checked |= set(blocks)
        assert final == whole, splits


def ways_to_split(text: str) -> Iterator[list[int]]:
    draw = random.Random(text)
    if len(text) < LONG:
        yield from ([place] for place in range(min(len(text), EVERY_PLACE)))
        yield list(range(len(text)))
    for _ in range(3):
        yield sorted(draw.randint(0, len(text)) for _ in range(draw.randint(1, 20)))


def streamed(text: str, splits: list[int]) -> tuple[list[str], str]:
    """The blocks as they came, and what is shown at the end."""
    growing, blocks, begin = GrowingAnswer(), [], 0
    for end in splits:
        growing.feed(text[begin:end])
        blocks += growing.update().blocks
        begin = end
    growing.feed(text[begin:])
    last = growing.finish()
    blocks += last.blocks
    return blocks, "".join(blocks) if last.whole is None else "".join(last.whole)
