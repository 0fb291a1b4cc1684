"""How many of our files one warm action enters: ``ask``, ``ask`` with a budget, Run, ``costs``.

    python tests/benchmarks/files_entered.py [--files]

A profile hook on all threads notes the file of every function of the package that is called until
the action ends; draining the log, up to a second later, belongs to no action. Each action runs
twice before it is counted, and what it has reserved of a budget stays reserved: some rounds of
reservations would fall into the count, others not. Exits with 1 where a limit is exceeded.
"""

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from types import FrameType

sys.path.insert(0, str(Path(__file__).parents[2]))

import llm_playground as lp
from tests.benchmarks.loopback import alone
from tests.providers.formats import openai_stream
from tests.providers.server import Reply, WireServer

PACKAGE = f"{Path(lp.__file__).parent}/"
# Today's figures. Parts, ends, billed units and charges of answers, the list of prices, and the
# deltas of a format have files of their own; files for what a plain call lacks (files, headers,
# tools, settings of an endpoint, refused additions) are not entered. A run in progress, the line
# about calls that take long, and the place of the log have a file each; so have the Runs of a
# panel, their records, and what changed in its form. A report first has what ended recorded
# (_lifecycle.py) and waits for the thread that uses the log (one_thread.py); its dates and time
# zone have a file (moments.py).
LIMITS = {"ask": 52, "ask, with a budget": 53, "Run": 78, "costs": 14}
MODEL = "openai:gpt-4o"
WARM_UPS = 2
COUNTS = 3  # at most: a read of the log by the panel, for one, can end within an action
TIMEOUT_S = 20.0
SETTLE_S = 1.5
DRAIN = "llm_playground-drain"


class Profile:
    """A profile hook for this thread and those that start later; off until an action is counted."""

    def __init__(self) -> None:
        self._seen: set[str] | None = None
        threading.setprofile(self._note)
        sys.setprofile(self._note)

    def _note(self, frame: FrameType, event: str, _argument: object) -> None:
        seen = self._seen  # another thread may stop the count at any moment
        if seen is None or event != "call" or threading.current_thread().name == DRAIN:
            return
        seen.add(frame.f_code.co_filename)

    def stop(self) -> None:
        """End the count: what follows is not part of the action."""
        self._seen = None

    def files_entered(self, name: str, action: Callable[[], object]) -> list[str]:
        """The package's files of which a function is called while the action ``name`` runs."""
        for _ in range(WARM_UPS):
            action()
        counts = []
        for _ in range(COUNTS):
            time.sleep(SETTLE_S)
            seen = self._seen = set()
            action()
            self.stop()
            files = sorted(file.removeprefix(PACKAGE) for file in seen if file.startswith(PACKAGE))
            counts.append(files)
            if len(files) <= LIMITS[name]:
                break
        return min(counts, key=len)


def press_run(panel: lp.Playground) -> None:
    """One press of Run, until the answer has ended."""
    panel.run()
    deadline = time.monotonic() + TIMEOUT_S
    while panel.running:
        assert time.monotonic() < deadline, "the answer did not end"
        time.sleep(0.02)


@contextmanager
def endpoint() -> Iterator[None]:
    """A log of its own and a server that answers as OpenAI does."""
    with alone(), WireServer(Reply(openai_stream(["Hello."]))) as server:
        os.environ["OPENAI_BASE_URL"] = f"{server.url}/v1"
        try:
            yield
        finally:
            os.environ.pop("OPENAI_BASE_URL", None)


def measure() -> dict[str, list[str]]:
    """The files that each action enters, by the names of :data:`LIMITS`."""
    profile = Profile()  # before the package starts its threads
    entered = {}
    with endpoint():
        entered["ask"] = profile.files_entered("ask", lambda: lp.ask("Hi", MODEL))
        entered["costs"] = profile.files_entered("costs", lp.costs)
        panel = lp.Playground(prompt="Hi", models=[MODEL])
        panel.observe(lambda change: change["new"] or profile.stop(), "running")
        entered["Run"] = profile.files_entered("Run", lambda: press_run(panel))
        import_module("llm_playground.budgeting.enforcer").IDLE_S = 600.0
        lp.set_budget(100)
        name = "ask, with a budget"
        entered[name] = profile.files_entered(name, lambda: lp.ask("Hi", MODEL))
    return {name: entered[name] for name in LIMITS}


def main() -> int:
    """Print the figures; 1 where a limit is exceeded."""
    entered = measure()
    for name, files in entered.items():
        print(f"{name:20}{len(files):4} files, limit {LIMITS[name]}")
        if "--files" in sys.argv:
            print(*(f"    {file}" for file in files), sep="\n")
    return int(any(len(files) > LIMITS[name] for name, files in entered.items()))


if __name__ == "__main__":
    sys.exit(main())
