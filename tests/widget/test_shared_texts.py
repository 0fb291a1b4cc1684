"""One text, typed into several windows at once."""

import random

import pytest

from llm_playground.widget.shared_texts import SharedTexts, merged_text


@pytest.mark.parametrize(
    ("base", "local", "remote", "merged"),
    [
        ("", "a", "", "a"),
        ("sea", "the sea", "sea!", "the sea!"),
        ("sea", "sea!", "the sea", "the sea!"),
        ("a b c", "a c", "a b c d", "a c d"),
        ("x", "xA", "xB", "xAB"),
        ("x", "xA", "xAB", "xAB"),
        ("old", "new", "old!", "new!"),
    ],
)
def test_merges_both_changes(base, local, remote, merged):
    assert merged_text(base, local, remote) == merged


class Window:
    """A window that receives texts late."""

    def __init__(self, view, text):
        self.view, self.text, self.revision, self.waiting = view, text, 0, []

    def send(self, shared, current):
        seen = {"view": self.view, "revision": self.revision}
        new = shared.merged(seen, "prompt", self.text, current)
        shared.record(self.view, {"prompt": new})
        return new

    def receive(self, revision, text):
        self.revision, self.text = revision, text


@pytest.mark.parametrize("seed", range(20))
def test_no_letter_is_lost_when_two_windows_type(seed):
    choose, shared, current = random.Random(seed), SharedTexts(), "-"
    windows = [Window("a", current), Window("b", current)]
    typed = ""
    for letter in "ABCDEFGHIJ":
        at = choose.randrange(2)
        one = windows[at]
        one.text = letter.lower() + one.text if at else one.text + letter
        typed += letter.lower() if at else letter
        current = one.send(shared, current)
        if choose.random() < 0.5:
            one.receive(shared.revision, current)
        if choose.random() < 0.3:
            windows[1 - at].receive(shared.revision, current)

    assert sorted(current) == sorted("-" + typed)


def test_code_and_the_only_window_replace_the_text():
    shared = SharedTexts()
    one, two = Window("a", "x"), Window("b", "x")
    one.text = "xy"
    assert one.send(shared, "x") == "xy"
    one.text = "z"
    assert one.send(shared, "xy") == "z"
    two.text = "by code!"
    assert two.send(shared, "by code") == "by code!"
