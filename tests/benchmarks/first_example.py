"""How often the embedded model answers the quickstart's first example right, at the defaults.

    python tests/benchmarks/first_example.py [TRIES]

The prompt is the first ``%%llm`` cell of the notebook. An answer is right if it names Paris and
ends by itself: neither cut off nor stopped because it only repeats itself.
"""

import json
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

import llm_playground as lp  # noqa: E402 - found from there
from tests.benchmarks.loopback import alone  # noqa: E402 - as above

NOTEBOOK = ROOT / "notebooks" / "01_quickstart.ipynb"
RIGHT = "Paris"
TRIES = 20


def first_prompt() -> str:
    """The text of the first ``%%llm`` cell, which has no options."""
    cells = ("".join(cell["source"]) for cell in json.loads(NOTEBOOK.read_text("utf-8"))["cells"])
    return next(cell for cell in cells if cell.startswith("%%llm\n")).removeprefix("%%llm\n")


def main() -> int:
    """Print the count and the wrong answers; 1 if there are any."""
    tries = int(sys.argv[1]) if len(sys.argv) > 1 else TRIES
    with alone():
        runs = lp.compare(first_prompt(), ["local"], n=tries).runs
    wrong = [run for run in runs if RIGHT not in run.text or run.finish_reason != "stop"]
    print(f"{first_prompt()!r}: {len(runs) - len(wrong)} of {len(runs)} answers are right")
    longest = max(run.usage.output_tokens for run in runs)
    print(f"the longest has {longest} tokens")
    for run in wrong:
        print(f"    {run.finish_reason}: {run.text!r}")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
