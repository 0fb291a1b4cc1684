"""What this checkout takes, beside another one of the project, in one run.

    python tests/benchmarks/two_checkouts.py ../other [ROUNDS] [ROWS]

Each measurement is a program of its own that uses public names only. The two checkouts take turns,
round after round, so that a busy moment of the machine hits both. Printed are the medians and their
ratio: below 1 this checkout is faster. The log of ROWS results (1,000,000) is made by this one.
"""

import compileall
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parents[2]
sys.path.insert(0, str(HERE))

from tests.benchmarks.loopback import BASE_URLS, KEY, loopback  # noqa: E402 - found from there

ROUNDS = 7
ROWS = 1_000_000
LIMIT_S = 300

# Prints milliseconds. `process_time` counts all threads of the process.
_CALLS = """
import asyncio, os, time
import llm_playground as lp
lp.ask("warm up", "openai:gpt-4o")
"""
PROGRAMS = {
    "import llm_playground, CPU": """
import time
began = time.process_time()
import llm_playground
print((time.process_time() - began) * 1000)
""",
    "%load_ext llm_playground, CPU": """
import time
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
began = time.process_time()
shell.run_line_magic("load_ext", "llm_playground")
print((time.process_time() - began) * 1000)
""",
    "the first ask, imports included, CPU": """
import time
began = time.process_time()
import llm_playground as lp
lp.ask("hi", "openai:gpt-4o")
print((time.process_time() - began) * 1000)
""",
    "one call of 300 in turn, CPU": _CALLS
    + """
async def main():
    for _ in range(30):
        await lp.complete("Say hello.", "openai:gpt-4o")
    began = time.process_time()
    for _ in range(300):
        await lp.complete("Say hello.", "openai:gpt-4o")
    print((time.process_time() - began) * 1000 / 300)
asyncio.run(main())
""",
    "one call of 300 in turn, clock": _CALLS
    + """
async def main():
    took = []
    for _ in range(300):
        began = time.perf_counter()
        await lp.complete("Say hello.", "openai:gpt-4o")
        took.append(time.perf_counter() - began)
    print(sorted(took)[150] * 1000)
asyncio.run(main())
""",
    "1,000 calls at once, clock": _CALLS
    + """
lp.configure(concurrency=1000)
async def main():
    began = time.perf_counter()
    calls = [lp.complete("Say hello.", "openai:gpt-4o") for _ in range(1000)]
    await asyncio.gather(*calls)
    print((time.perf_counter() - began) * 1000)
asyncio.run(main())
""",
    "1,000 deltas of a stream, CPU": _CALLS
    + """
os.environ["OPENAI_BASE_URL"] = os.environ["LONG_STREAM_URL"]
async def main():
    async for _ in lp.stream("hi", "openai:gpt-4o"):
        pass
    began = time.process_time()
    for _ in range(5):
        async for _ in lp.stream("hi", "openai:gpt-4o"):
            pass
    print((time.process_time() - began) * 1000 / 10)
asyncio.run(main())
""",
    "lp.costs(), large log, clock": """
import os, time
os.environ["LLM_PLAYGROUND_LOG"] = os.environ["LARGE_LOG"]
import llm_playground as lp
lp.costs()
took = []
for _ in range(9):
    began = time.perf_counter()
    lp.costs()
    took.append(time.perf_counter() - began)
print(min(took) * 1000)
""",
    "the first lp.Playground(), CPU": """
import time
import llm_playground as lp
began = time.process_time()
lp.Playground()
print((time.process_time() - began) * 1000)
""",
    "the next lp.Playground(), CPU": """
import time
import llm_playground as lp
lp.Playground()
began = time.process_time()
for _ in range(5):
    lp.Playground()
print((time.process_time() - began) * 1000 / 5)
""",
}


def milliseconds(checkout: Path, program: str, environment: dict[str, str]) -> float:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        done = subprocess.run(
            [sys.executable, "-c", program],
            capture_output=True,
            text=True,
            check=True,
            timeout=LIMIT_S,
            cwd=home,
            env={
                **os.environ,
                **environment,
                "PYTHONPATH": str(checkout),
                "LLM_PLAYGROUND_HOME": home,
            },
        )
    return float(done.stdout.split()[-1])


def large_log(folder: Path, rows: int) -> str:
    from tests.benchmarks.many_runs import fill

    path = str(folder / "large.duckdb")
    fill(path, rows)
    return path


def main() -> None:
    other = Path(sys.argv[1]).resolve()
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else ROUNDS
    rows = int(sys.argv[3]) if len(sys.argv) > 3 else ROWS
    for checkout in (HERE, other):
        compileall.compile_dir(checkout / "llm_playground", quiet=1)
    with tempfile.TemporaryDirectory() as name, loopback() as vendor:
        environment = {
            "OPENAI_API_KEY": KEY,
            BASE_URLS["openai"]: vendor.url("openai", deltas=8),
            "LONG_STREAM_URL": vendor.url("openai", deltas=2_000),
            "LARGE_LOG": large_log(Path(name), rows),
        }
        print(f"{'':42}{'this':>10}{'other':>10}{'ratio':>8}")
        for title, program in PROGRAMS.items():
            times: dict[Path, list[float]] = {HERE: [], other: []}
            for _ in range(rounds):
                for checkout, taken in times.items():
                    taken.append(milliseconds(checkout, program, environment))
            this, that = (statistics.median(taken) for taken in times.values())
            print(f"{title:42}{this:7.1f} ms{that:7.1f} ms{this / that:8.2f}", flush=True)


if __name__ == "__main__":
    main()
