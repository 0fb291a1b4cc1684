"""Fuzzed input of all readers: only the package's errors, in bounded time, with bounded output.

The tests are a short form with a fixed seed. The long form tries more, with a random seed that is
printed: ``python -m tests.fuzz.test_fuzz --examples 20000 [--seed 7] [--target Markdown]``.
"""

import argparse
import random
import sys
import tempfile
import time

import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

import llm_playground as lp
from tests.fuzz.targets import TARGETS, Target

LIMIT_S = 20.0  # of this thread's CPU, for one example; the slowest takes 0.7 s
SHORT_FORM_S = 1.2  # for each target
MOST_CHARS = 20_000


def inputs(target: Target) -> st.SearchStrategy[str]:
    """Pieces in any order, some of them many times, between any characters."""
    piece = st.sampled_from(target.pieces)
    many = st.builds(
        lambda few, number: (few * number)[:MOST_CHARS],
        st.lists(piece, min_size=1, max_size=3).map("".join),
        st.sampled_from([2, 7, 50, 300, 3_000]),
    )
    noise = st.text(st.characters(exclude_categories=()), max_size=20)
    parts = st.lists(st.one_of(piece, piece, piece, many, noise), max_size=25)
    return parts.map(lambda each: "".join(each)[:MOST_CHARS])


def check(target: Target, text: str) -> None:
    started = time.thread_time()
    message = ""
    try:
        size = target.read(text)
    except lp.LLMError as error:
        message = str(error)
        size = len(message)
    took_s = time.thread_time() - started
    assert "\n" not in message, "an error is one line"
    assert took_s < LIMIT_S
    assert size <= target.most_per_char * len(text) + target.free_chars


def fuzz(target: Target, examples: int, chosen_seed: int) -> None:
    @seed(chosen_seed)
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(inputs(target))
    def run(text: str) -> None:
        check(target, text)

    run()


@pytest.mark.parametrize("name", TARGETS)
def test_no_input_breaks_its_reader(home, name):
    target = TARGETS[name]
    fuzz(target, int(SHORT_FORM_S * 1_000 / target.ms), chosen_seed=11)


def main() -> None:
    """The long form."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--examples", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    parser.add_argument("--target", choices=TARGETS)
    options = parser.parse_args()
    sys.stdout.write(f"seed {options.seed}\n")
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patched:
        patched.setenv("LLM_PLAYGROUND_HOME", f"{folder}/home")
        patched.chdir(folder)
        for name, target in TARGETS.items():
            if options.target in (None, name):
                sys.stdout.write(f"{name}\n")
                fuzz(target, options.examples, options.seed)


if __name__ == "__main__":
    main()
