"""Writers that are killed at random moments: ``python tests/runlog/crash.py [ROUNDS] [URL]``.

Each round forks 8 processes that record and bring in runs without pause, and kills them with
``kill -9`` one after the other. A writer notes each run whose call returned. In the end every noted
run is in the log exactly once, and besides only interrupted rows and at most one finished row per
kill whose return was not seen.
"""

import json
import os
import random
import signal
import sys
import tempfile
import time
import traceback
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from llm_playground.runlog import open_log
from tests.runlog.actors import begin, completed, prompt

WRITERS = 8
LIFE_S = (0.05, 0.6)
LONGEST_LIFE_S = 60
NOTE_BYTES = 37  # an id and the end of its line


@dataclass(frozen=True)
class Outcome:
    kills: int
    returned: list[str]
    rows: list[tuple[str, str]]
    without_images: list[str]  # ids of runs that returned, whose images are not there

    def complaints(self):
        """What is not as promised, in words."""
        ids = [run_id for run_id, _ in self.rows]
        statuses = dict(self.rows)
        lost = [run_id for run_id in self.returned if statuses.get(run_id) != "completed"]
        unseen = statuses.keys() - set(self.returned)
        finished = [run_id for run_id in unseen if statuses[run_id] == "completed"]
        others = {statuses[run_id] for run_id in unseen} - {"completed", "interrupted"}
        found = {
            f"{len(lost)} runs that returned are not there": lost,
            f"{len(ids) - len(set(ids))} runs are there twice": len(ids) > len(set(ids)),
            f"{len(finished)} runs finished unseen in {self.kills} kills": len(finished)
            > self.kills,
            f"rows are {others}": others,
            f"{len(self.without_images)} runs have no images": self.without_images,
            f"only {len(self.returned)} runs returned": len(self.returned) < self.kills,
        }
        return [what for what, wrong in found.items() if wrong]


def write(place, notes, seed):
    """Record until killed; a tenth of the time also bring in what is there."""
    chance = random.Random(seed)
    log = open_log(place)
    while True:
        run = begin(log, prompt(image=os.urandom(2_000)) if chance.random() < 0.1 else None)
        log.text(run.id, "once upon ")
        log.text(run.id, "a time")
        log.finished(completed(run, text="once upon a time"))
        os.write(notes, f"{run.id}\n".encode())
        if chance.random() < 0.1:
            log.drain()


def noted(notes):
    """How many runs returned so far."""
    return os.fstat(notes).st_size // NOTE_BYTES


def wait_until_noted(notes, count):
    """On a slow machine the last writer lives longer than it would."""
    ends = time.monotonic() + LONGEST_LIFE_S
    while noted(notes) < count and time.monotonic() < ends:
        time.sleep(0.01)


def one_round(place, notes, seed):
    """Start the writers and kill them all, each at its own moment."""
    chance, before = random.Random(seed), noted(notes)
    children = []
    for number in range(WRITERS):
        child = os.fork()
        if not child:
            try:
                write(place, notes, f"{seed}-{number}")
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(1)
        children.append(child)
    ends = sorted((chance.uniform(*LIFE_S), child) for child in children)
    start = time.monotonic()
    for after_s, child in ends:
        time.sleep(max(0.0, start + after_s - time.monotonic()))
        if child == ends[-1][1]:
            wait_until_noted(notes, before + WRITERS)
        os.kill(child, signal.SIGKILL)
    statuses = [os.waitpid(child, 0)[1] for child in children]
    assert all(os.WTERMSIG(status) == signal.SIGKILL for status in statuses), statuses


def crash(place, rounds, folder):
    """What is in the log after so many rounds."""
    seen = Path(folder) / "returned"
    notes = os.open(seen, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    for number in range(rounds):
        one_round(place, notes, number)
    log, returned = open_log(place), seen.read_text().split()
    frame = log.frame("SELECT run_id, status, attachments FROM runs")
    stored = set(log.frame("SELECT sha256 FROM attachments WHERE data IS NOT NULL").sha256)
    images = frame.set_index("run_id").attachments.dropna().map(json.loads)
    lacking = [run_id for run_id, hashes in images.items() if not stored.issuperset(hashes)]
    rows = list(zip(frame.run_id, frame.status, strict=True))
    return Outcome(rounds * WRITERS, returned, rows, sorted({*lacking} & {*returned}))


def main(rounds="20", place=None):
    import duckdb  # noqa: F401 - what all writers need is loaded once, before they are forked
    import pandas as pd  # noqa: F401
    import psycopg  # noqa: F401

    with tempfile.TemporaryDirectory() as folder:
        outcome = crash(place or f"{folder}/log/runs.duckdb", int(rounds), folder)
    print(f"{outcome.kills} kills, {len(outcome.returned)} runs returned, {len(outcome.rows)} rows")
    print("\n".join(outcome.complaints()) or "all as promised")
    return 1 if outcome.complaints() else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
