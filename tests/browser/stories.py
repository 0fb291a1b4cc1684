"""Scripted answers that wait for the test, not for the clock."""

import itertools
import threading
from collections.abc import Iterator, Sequence

from tests.providers.formats import openai_stream
from tests.providers.server import Reply, WireRequest, WireServer, json_reply

PAUSE_S = 0.05
LONGEST_S = 120  # so that nothing hangs for ever
BRIEF = "Hello, dear reader."
CODE = "print(6 * 7)"


class Held:
    """The chunks of an OpenAI stream whose end comes when it may, and not before.

    ``whole``: all of its text is sent; otherwise it breaks off as soon as it may end.
    """

    def __init__(
        self, events: Sequence[bytes], may_end: threading.Event, *, whole: bool = True
    ) -> None:
        self._events, self._may_end, self._whole = events, may_end, whole

    def __iter__(self) -> Iterator[bytes]:
        *text, stop, usage, done = self._events
        waiting = itertools.repeat(b"", int(LONGEST_S / PAUSE_S))  # pauses
        for chunk in itertools.chain(text, waiting):
            if self._may_end.is_set() and not (self._whole and chunk):
                break
            yield chunk
        yield from (stop, usage, done)


class Storyteller:
    """Models: ``ollama:story`` goes on until told to end; ``brief``, ``cut``, ``code`` are short.

    Attributes:
        setup: The first lines of a cell that asks them.
    """

    def __init__(self) -> None:
        self._may_end = threading.Event()
        self._server = WireServer(self._reply)
        waves = [f" wave {number}" for number in range(int(LONGEST_S / PAUSE_S))]
        self._story = openai_stream(["The sea:", *waves])

    def __enter__(self) -> "Storyteller":
        url = f"{self._server.__enter__().url}/v1"
        self.setup = f"import llm_playground as lp\nlp.configure(endpoints=dict(ollama={url!r}))\n"
        return self

    def __exit__(self, *_: object) -> None:
        self._server.close()

    def begin(self) -> None:
        """From now on a story goes on."""
        self._may_end.clear()

    def end(self) -> None:
        """End all stories."""
        self._may_end.set()

    def _reply(self, request: WireRequest) -> Reply:
        if request.method == "GET":
            names = ("story", "brief", "cut", "code")
            return json_reply(200, {"data": [{"id": name} for name in names]})
        if request.json["model"] == "story":
            return Reply(Held(self._story, self._may_end, whole=False), pause_s=PAUSE_S)
        if request.json["model"] == "cut":
            return Reply(openai_stream(["The ", "sea"], finish_reason="length"))
        if request.json["model"] == "code":
            return Reply(openai_stream([f"Run it:\n\n```python\n{CODE}\n```\n"]))
        return Reply(openai_stream([f"{word} " for word in BRIEF.split(" ")]))
