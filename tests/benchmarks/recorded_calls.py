"""What a recording adds to a call of another library, side by side in one run, on loopback.

``python -m tests.benchmarks.recorded_calls`` prints times of calls alone and of recorded calls, in
turn: first without a budget, then with one that they fit in.
"""

import os
import statistics
import tempfile
import time

CALLS = 100
BODY = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Say hello."}]}


def main() -> None:
    """Print the times and what the recording adds."""
    os.environ["LLM_PLAYGROUND_HOME"] = tempfile.mkdtemp(prefix="llm-playground-recorded-")
    import httpx2

    import llm_playground as lp
    from tests.capture.wire import answer
    from tests.providers.server import WireServer

    with WireServer(answer) as server, httpx2.Client(trust_env=False) as client:
        url = f"{server.url}/v1/chat/completions"
        for budget_usd in (None, 100):
            if budget_usd is not None:
                lp.set_budget(budget_usd)
            alone: list[tuple[float, float]] = []
            recorded: list[tuple[float, float]] = []
            for number in range(-10, CALLS):
                for taken in (alone, recorded):
                    recording = lp.record() if taken is recorded else None
                    began, used = time.perf_counter(), time.thread_time()
                    client.post(url, json=BODY)
                    spent = time.perf_counter() - began, time.thread_time() - used
                    taken += [spent] if number >= 0 else []
                    if recording is not None:
                        recording.stop()  # waits until the run is in the log
            print("no budget" if budget_usd is None else "a budget")
            for place, name in enumerate(("time", "CPU time of the caller's thread")):
                before, with_it = ([each[place] * 1000 for each in of] for of in (alone, recorded))
                for kind, of in (("median", statistics.median), ("minimum", min)):
                    ms, before_ms = of(with_it), of(before)
                    print(
                        f"  {name}, {kind}: {before_ms:.2f} ms alone, {ms:.2f} ms recorded: "
                        f"{ms - before_ms:+.2f} ms"
                    )


if __name__ == "__main__":
    main()
