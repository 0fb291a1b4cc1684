"""Another program that has the log's file open, as a process of its own."""

import subprocess
import sys
from contextlib import contextmanager

HOLD = """
import sys, duckdb
held = duckdb.connect(sys.argv[1], read_only=sys.argv[2] == "reading")
print("held", flush=True)
sys.stdin.read()
"""


@contextmanager
def held(path, how="reading"):
    """For a ``with``, the file is open elsewhere; the process."""
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path), how],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert holder.stdout.readline() == b"held\n"
        yield holder
    finally:
        holder.communicate(timeout=300)
