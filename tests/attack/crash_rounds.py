"""Processes that are killed while they use a log: ``python crash_rounds.py [ROUNDS] [SEED] [URL]``.

In each round, 4 processes ask a loopback server, and 3 processes purge, back up, restore, set aside
and compact the same log. All are killed with ``kill -9``: those that ask at random moments, the
others before a random call that changes a name in a file system. In the end:

- nothing is lost: each run that was returned, except those purged, is in the log, or in a file that
  a restore or ``set_aside_log`` put aside;
- nothing is twice: no run has two rows in one file;
- nothing is left over: beside the log are only whole files that a caller was or would have been
  given, and the log's own.

On PostgreSQL, which has no file to put aside, the last backup is restored into a new log.
"""

import os
import random
import signal
import sys
import tempfile
import time
import traceback
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

import llm_playground as lp
from llm_playground.errors import LLMError
from llm_playground.runlog import open_log
from tests.providers.formats import openai_stream
from tests.providers.server import Reply, WireServer

ASKERS, KEEPERS = 4, 3
ASKED = 5  # runs are returned before each kill of a process that asks
MOST_MORE_S = 0.5
STEPS = ("replace", "rename", "link", "unlink", "rmdir", "mkdir")
MOST_STEPS = 60
LONGEST_S = 60


@dataclass
class Notes:
    """A file to which processes append what they did, one word and an id a line."""

    path: Path
    words: dict[str, list[str]] = field(default_factory=dict)

    def add(self, word, name):
        descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        os.write(descriptor, f"{word} {name}\n".encode())
        os.close(descriptor)

    def read(self):
        lines = self.path.read_text().splitlines() if self.path.exists() else []
        self.words = {"asked": [], "purging": [], "backup": []}
        for line in lines:
            word, _, name = line.partition(" ")
            self.words[word].append(name)
        return self.words


def kill_before(step):
    """Kill this process before the call of that number that changes a name in a file system."""
    left = [step]

    def counted(function):
        def call(*arguments, **named):
            left[0] -= 1
            if left[0] < 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*arguments, **named)

        return call

    for name in STEPS:
        setattr(os, name, counted(getattr(os, name)))


def ask(notes, _chance, _folder):
    while True:
        notes.add("asked", lp.ask("Say hello.", "openai:gpt-4o").id)


def keep(notes, chance, folder):
    """Do what changes files, until a call kills this process."""
    works = [purge, backup, compact]
    if open_log().path:
        works += [restore, set_aside]
    while True:
        try:
            chance.choice(works)(notes, folder)
        except LLMError as error:
            print(f"refused: {error}", file=sys.stderr)


def purge(notes, _folder):
    runs = lp.runs(limit=3)
    if len(runs):
        notes.add("purging", runs.run_id.iloc[-1])
        lp.purge(run=runs.run_id.iloc[-1], keep="nothing", dry_run=False)


def compact(_notes, _folder):
    open_log().compact()


def backup(notes, folder):
    path = lp.backup(folder / f"{time.time_ns()}.duckdb")
    notes.add("backup", path)


def restore(notes, _folder):
    if backups := notes.read()["backup"]:
        lp.restore(backups[-1])


def set_aside(_notes, _folder):
    lp.set_aside_log()


def start(work, *arguments):
    child = os.fork()
    if not child:
        try:
            work(*arguments)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(1)
    return child


def start_keeper(notes, seed, folder):
    chance = random.Random(seed)
    kill_before(chance.randrange(MOST_STEPS))
    keep(notes, chance, folder)


def one_round(notes, seed, folder):
    chance, already = random.Random(seed), len(notes.read()["asked"])
    askers = [start(ask, notes, chance, folder) for _ in range(ASKERS)]
    keepers = [start(start_keeper, notes, f"{seed}-{n}", folder) for n in range(KEEPERS)]
    signal.alarm(LONGEST_S)  # ends this process if one has nothing to be killed before
    for number, child in enumerate(askers, 1):
        while len(notes.read()["asked"]) < already + number * ASKED:
            time.sleep(0.01)
        time.sleep(chance.uniform(0, MOST_MORE_S))
        os.kill(child, signal.SIGKILL)
    for child in askers + keepers:
        assert os.WIFSIGNALED(os.waitpid(child, 0)[1]), "a process ended with an error"
    signal.alarm(0)


def complaints(notes, folder, fresh):
    """What is not as promised, in words. Looking is a use of the log, so it clears up."""
    words, log = notes.read(), open_log()
    rows = list(log.frame("SELECT run_id FROM runs").run_id)
    asides, stray = [], set()
    if log.path:
        asides = sorted(log.path.parent.glob("runs.duckdb.aside-*"))
        own = {log.path, *asides, *(Path(f"{log.path}.{ending}") for ending in ("lock", "journal"))}
        stray = set(log.path.parent.iterdir()) - own
    lp.backup(folder / "last.duckdb")
    stray |= {path for path in folder.iterdir() if path.suffix != ".duckdb"}
    files = [rows, *map(ids_of, [*asides, *folder.glob("*.duckdb")])]
    kept = {one for ids in files[: 1 + len(asides)] for one in ids}
    lost = set(words["asked"]) - set(words["purging"]) - kept
    twice = [ids for ids in files if len(ids) != len(set(ids))]
    missing = [path for path in words["backup"] if not Path(path).exists()]
    open_log(fresh).restore(folder / "last.duckdb")
    restored = list(open_log(fresh).frame("SELECT run_id FROM runs").run_id)
    wrong = {
        f"{len(lost)} of {len(words['asked'])} returned runs are lost: {sorted(lost)[:3]}": lost,
        f"{len(twice)} files have a run twice": twice,
        f"left over: {sorted(stray)}": stray,
        f"backups are missing: {missing}": missing,
        "what is restored differs": sorted(restored) != sorted(rows),
    }
    return [what for what, is_so in wrong.items() if is_so]


def ids_of(path):
    import duckdb

    with duckdb.connect(str(path), read_only=True) as connection:
        tables = connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()
        if ("results",) not in tables:
            return []
        return [row[0] for row in connection.execute("SELECT id FROM results").fetchall()]


def serve(url):
    """Serve until killed; the process has threads, so no other is forked from it."""
    reply = Reply(openai_stream("Hello."))
    with WireServer(lambda _request: reply) as server:
        os.write(url, server.url.encode())
        signal.pause()


def main(rounds="20", seed="0", url=None, fresh=None):
    import duckdb  # noqa: F401 - what all processes need is loaded once, before they are forked
    import openai  # noqa: F401
    import pandas as pd  # noqa: F401
    import psycopg  # noqa: F401

    there, here = os.pipe()
    server = start(serve, here)
    with tempfile.TemporaryDirectory() as name:
        os.environ |= {
            "LLM_PLAYGROUND_HOME": f"{name}/home",
            "LLM_PLAYGROUND_LOG": url or f"{name}/log/runs.duckdb",
            "OPENAI_API_KEY": "sk-" + "planted" * 4,
            "OPENAI_BASE_URL": f"{os.read(there, 100).decode()}/v1",
        }
        notes, folder = Notes(Path(name) / "notes"), Path(name) / "backups"
        folder.mkdir()
        try:
            for number in range(int(rounds)):
                one_round(notes, f"{seed}-{number}", folder)
            fresh = fresh or f"{name}/fresh/runs.duckdb"
            found = complaints(notes, folder, fresh)
            for log in (open_log(), open_log(fresh)):
                log.close()  # else it drains while the folder is removed
        finally:
            os.kill(server, signal.SIGKILL)
            os.waitpid(server, 0)
        counts = {word: len(names) for word, names in notes.read().items()}
    print(f"{rounds} rounds, {counts}")
    print("\n".join(found) or "all as promised")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
