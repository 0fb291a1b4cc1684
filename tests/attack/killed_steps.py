"""Kill a process before each step of a work on files: ``python killed_steps.py WORK FOLDER``.

A step is a call that changes a name in a file system. The log has a row in its file and one in the
write-ahead log of a killed process. After each kill, a reader sees the log as it was or as it
should be; after the next use, no row is lost and no file left over.
"""

import lzma
import os
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from llm_playground import _files
from llm_playground.errors import RunLogError
from llm_playground.runlog import open_log, schema
from tests.attack.crash_rounds import ids_of, kill_before, start
from tests.runlog.actors import record

V1 = Path(__file__).parents[1] / "runlog/fixtures/v1.duckdb.xz"
NAME = "runs.duckdb"
DAMAGED = b"damaged" * 1000
LEAST_STEPS = 3
# As a process leaves a file that is killed with rows in the write-ahead log.
KILLED = """if True:
    import os, sys, duckdb
    from pathlib import Path
    from llm_playground.runlog.journal import FairFileLock
    FairFileLock(Path(sys.argv[1] + ".lock")).acquire(60)
    connection = duckdb.connect(sys.argv[1])
    connection.execute("SET checkpoint_threshold = '1 GB'")
    connection.execute("INSERT INTO results (id, status) VALUES ('of the wal', 'completed')")
    os._exit(0)
"""
WORKS = {
    "restore": lambda log: log.restore(log.path.parent / "source"),
    "set aside": lambda log: log.set_aside(),
    "set aside damaged": lambda log: log.set_aside(),
    "compact": lambda log: log.compact(),
    "backup": lambda log: log.backup(log.path.parent / "backup"),
    "migrate": lambda log: log.migrate(),
    "export": lambda log: _files.write_document(log.path.parent / "runs.csv", b"new" * 1000),
}


def killed_while_making(path):
    """Leave what a process leaves that is killed while it makes a file beside another."""
    code = """if True:
        import os, pathlib, signal, sys
        from llm_playground import _files
        with _files.making(pathlib.Path(sys.argv[1])) as folder:
            (folder / "file").write_text("half a")
            os.kill(os.getpid(), signal.SIGKILL)
        """
    done = subprocess.run([sys.executable, "-c", code, path], check=False)
    assert done.returncode == -signal.SIGKILL


def prepare(folder, work):
    """A log with its write-ahead log, and what the work needs."""
    path = folder / NAME
    if work == "migrate":
        path.write_bytes(lzma.decompress(V1.read_bytes()))
    else:
        log = open_log(str(path))
        log.backup(folder / "source")
        record(log)
        log.close()
    subprocess.run([sys.executable, "-c", KILLED, str(path)], check=True)
    if work == "set aside damaged":
        path.write_bytes(DAMAGED)
    shutil.rmtree(folder / f"{NAME}.journal", ignore_errors=True)
    (folder / "runs.csv").write_bytes(b"old")


def do(path, work, step):
    kill_before(step)
    WORKS[work](open_log(str(path)))
    os._exit(0)


def content(path):
    """The ids in a file, or of a damaged one its bytes, with those of its write-ahead log."""
    if path.read_bytes() == DAMAGED:
        return path.with_name(f"{path.name}.wal").read_bytes()
    return sorted(ids_of(path))


def check(path, work, whole):
    """Whether the folder is as promised, after a kill or (``whole``) at the end."""
    folder, own = path.parent, {NAME, "source", "runs.csv", f"{NAME}.lock", f"{NAME}.journal"}
    copy = f"{NAME}.before-v{schema.NEWEST}"
    before = content(folder.with_name("template") / NAME)
    after = {"restore": [], "set aside": [], "set aside damaged": []}.get(work, before)
    assert (folder / "runs.csv").read_bytes() in (b"old", b"new" * 1000)
    if work not in ("set aside damaged", "migrate"):
        assert content(path) in (before, after)
    with suppress(RunLogError):  # it is damaged
        open_log(str(path)).frame("SELECT 1")
    found = content(path)
    wal = {f"{NAME}.wal"} if found == before and work == "set aside damaged" else set()
    copies = {one.name for one in folder.iterdir()} - own - wal
    wanted = {one for one in copies if ".aside-" not in one} - {"backup", copy}
    assert not wanted, f"left over: {wanted}"
    kept = [content(folder / one) for one in copies if not one.endswith(".wal")]
    assert all(one == before for one in kept), "a copy is not whole"
    assert found == before or (found == after and kept), "rows are lost"
    assert found == after or not any(".aside-" in one for one in copies), "a name too many"
    assert not whole or found == after
    os._exit(0)


def main(work, folder):
    import duckdb  # noqa: F401 - loaded once, before the processes are forked
    import pandas as pd  # noqa: F401

    template = Path(folder) / "template"
    template.mkdir()
    assert os.waitpid(start(lambda: (prepare(template, work), os._exit(0))), 0)[1] == 0
    step, killed = 0, True
    while killed:
        path = Path(folder) / f"step{step}" / NAME
        shutil.copytree(template, path.parent)
        status = os.waitpid(start(do, path, work, step), 0)[1]
        killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
        if not killed and status:
            return "the work failed"
        if os.waitpid(start(check, path, work, not killed), 0)[1]:
            return f"wrong after {step} steps"
        step += 1
    return "all as promised" if step > LEAST_STEPS else f"only {step} steps"


if __name__ == "__main__":
    print(main(*sys.argv[1:]))
