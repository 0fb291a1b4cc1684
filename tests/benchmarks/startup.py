"""How long importing takes, beside what it is compared with: bare Python, bare IPython.

python tests/benchmarks/startup.py
"""

import statistics
import subprocess
import sys
import time

ROUNDS = 15
SHELL = "from IPython.core.interactiveshell import InteractiveShell as S; s = S.instance()"
STATEMENTS = {
    "python": "pass",
    "import llm_playground": "import llm_playground",
    "ipython": SHELL,
    "%load_ext llm_playground": f"{SHELL}; s.run_line_magic('load_ext', 'llm_playground')",
}
PAIRS = {"import llm_playground": "python", "%load_ext llm_playground": "ipython"}


def seconds(statement):
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", statement], check=True, timeout=60)
    return time.perf_counter() - started


def main():
    times = {name: [] for name in STATEMENTS}
    for _ in range(ROUNDS):  # in turn, so that a busy moment hits all alike
        for name, statement in STATEMENTS.items():
            times[name].append(seconds(statement))
    medians = {name: statistics.median(values) for name, values in times.items()}
    for name, base in PAIRS.items():
        more = medians[name] - medians[base]
        ratio = medians[name] / medians[base]
        print(f"{name:28} {more * 1000:6.0f} ms more than {base} ({ratio:.2f} x)")


if __name__ == "__main__":
    main()
