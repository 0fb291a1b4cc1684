"""What a recording adds to a call of another library, side by side in one run, on loopback.

``python -m tests.benchmarks.recorded_calls`` prints medians of calls alone and of recorded calls,
in turn: first without a budget, then with one that they fit in.
"""

import os
import statistics
import tempfile
import time

CALLS = 100
BODY = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Say hello."}]}


def main() -> None:
    """Print the medians and what the recording adds."""
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
            alone: list[float] = []
            recorded: list[float] = []
            for number in range(-10, CALLS):
                for taken in (alone, recorded):
                    recording = lp.record() if taken is recorded else None
                    began = time.perf_counter()
                    client.post(url, json=BODY)
                    taken += [time.perf_counter() - began] if number >= 0 else []
                    if recording is not None:
                        recording.stop()  # waits until the run is in the log
            before_ms, ms = (statistics.median(each) * 1000 for each in (alone, recorded))
            print(
                f"{'no budget' if budget_usd is None else 'a budget'}: {before_ms:.2f} ms alone, "
                f"{ms:.2f} ms recorded: +{ms - before_ms:.2f} ms, {ms / before_ms:.2f} times"
            )


if __name__ == "__main__":
    main()
