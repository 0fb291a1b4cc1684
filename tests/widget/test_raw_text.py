"""The text of an answer as the model wrote it, which a view requests when it shows that form."""

import threading

from tests.providers.formats import openai_stream
from tests.providers.server import Reply
from tests.widget.panels import ask, until
from tests.widget.panels import served as served

PLANTED = "sk-" + "aB3dE6gH9jK2mN5pQ8sT" * 2
WRITTEN = f"# *Sea*\r\n\x1b[2J**deep** &amp; {PLANTED}\n  wide"
SHOWN = "# *Sea*\n␛[2J**deep** &amp; "


def test_raw_text_is_read_in_pieces_without_keys_and_with_visible_controls(served):
    may_end = threading.Event()
    first, *rest = openai_stream([WRITTEN[:50], WRITTEN[50:]])
    pg, _ = served(Reply((first, *rest[:1], may_end, *rest[1:])))
    pg.run()
    until(lambda: "deep" in pg.answers.text(1))

    begun = ask(pg, "raw_text", answer=1, start=0)
    assert begun["text"] == SHOWN
    may_end.set()
    until(pg.answers.ended)
    more = ask(pg, "raw_text", answer=1, start=begun["end"])

    assert PLANTED not in more["text"]
    assert more["text"].endswith("\n  wide")
    assert ask(pg, "raw_text", answer=1, start=0)["text"] == begun["text"] + more["text"]
    assert ask(pg, "raw_text", answer=1, start=more["end"]) == {"text": "", "end": more["end"]}
