"""Pictures, tools and sources in the panel: while they stream, at the end, and from the log."""

import json
import threading

import pytest

import llm_playground as lp
from llm_playground.exporting.notebook_output import MAX_MEDIA_BYTES, mime_bundle
from llm_playground.exporting.rows import plain_row
from llm_playground.parts import ImagePart, Original, OtherPart, ServerToolResult, Source, TextPart
from llm_playground.rendering import answers
from tests.browser.answers import FAIR, SOURCES, chart
from tests.exporting.shelf import run
from tests.providers.parts_provider import parts_stream, settings
from tests.providers.server import Reply, WireServer
from tests.recording.test_reuse import restart
from tests.widget.panels import until

STREAM = parts_stream(FAIR, SOURCES)


@pytest.fixture
def atlas(home):
    """Opens panels on a server with a script: ``atlas(script)``."""
    opened = []

    def start(script, **form):
        server = WireServer(script).__enter__()
        lp.configure(**settings(server.url))
        made = lp.Playground(models=["atlas:fair"], prompt="Why?", **form)
        opened.extend([made, server])
        return made

    yield start
    for one in opened:
        one.close()


def blocks_of(panel):
    _, (state,) = panel.answers.changes_and_snapshot()
    shown = state.get("whole") or state.get("blocks", ())
    return [answers.PartBlock(one["part"]) if isinstance(one, dict) else one for one in shown]


def whole(one):
    return answers.blocks(answers.items(one), one.sources, answers.anchor(one))


def test_parts_are_shown_while_the_answer_streams(atlas):
    may_end = threading.Event()
    picture_at = next(at for at, event in enumerate(STREAM) if b'"image"' in event)
    pg = atlas(Reply((*STREAM[: picture_at + 1], may_end, *STREAM[picture_at + 1 :])))
    pg.run()

    until(lambda: "data:image/png" in answers.html(blocks_of(pg)))

    html = answers.html(blocks_of(pg))
    words = ["Searched the web", "Found on the web", "largest range", "Ran code", "data:image"]
    places = [html.index(word) for word in words]
    assert places == sorted(places)
    assert pg.running
    may_end.set()
    assert pg.results.status.tolist() == ["completed"]
    assert blocks_of(pg) == whole(pg.answers.run_of(1))
    assert answers.html(blocks_of(pg)).count("<sup>") == 4


def test_an_answer_of_the_log_has_its_parts_and_sources(atlas):
    pg = atlas(Reply(STREAM))
    pg.run()
    first = pg.results.run_id[0]

    opened = lp.Playground(run=first)
    shown, stored = blocks_of(opened), opened.answers.run_of(1)
    opened.close()

    assert shown == whole(stored)
    assert [type(part) for part in stored.parts] == [
        TextPart if isinstance(item, str) else type(item) for item in FAIR
    ]
    assert stored.sources == SOURCES
    assert stored.images[0].data == chart()
    assert answers.html(shown).count("data:image/png;base64,") == 1


def test_an_answer_that_is_used_again_has_its_parts(atlas):
    atlas(Reply(STREAM))
    assert not lp.ask("Why?", "atlas:fair").cached
    restart()
    lp.configure(mode="reuse")
    again = lp.ask("Why?", "atlas:fair")
    assert again.cached

    html = lp.Comparison((again,), ("Why?",))._repr_html_()

    assert "Searched the web" in html
    assert html.count("<sup>") == 4


def test_an_answer_without_text_says_what_it_has(atlas):
    picture = ImagePart("image/png", chart())
    pg = atlas(Reply(parts_stream([picture, OtherPart("hologram", '{"a": 1}')], SOURCES[:1])))
    pg.run()
    assert pg.results.status.tolist() == ["completed"]

    _, (state,) = pg.answers.changes_and_snapshot()

    # The panel shows the picture itself.
    assert state["notices"] == [
        "1 part of the answer is not understood: hologram. It is in run.parts."
    ]


def with_picture(data=b"", **known):
    part = ImagePart("image/png", data)
    return run(text="Look.", parts=(TextPart("Look."), part), **known), {part.sha256: data}


def test_a_notebook_keeps_a_limited_size_of_pictures():
    small, media = with_picture(chart())
    large, more = with_picture(chart() + bytes(MAX_MEDIA_BYTES))

    bundle = mime_bundle("x", {}, [small, large], media=media | more)

    assert bundle["text/html"].count("<img") == 1
    assert "Picture (image/png), not kept here" in bundle["text/html"]
    assert "class=" not in bundle["text/html"]
    assert "base64" not in bundle["text/markdown"] + bundle["text/plain"]


def test_a_notebook_has_markers_also_beside_formulas():
    text = "It is $x^2$ large. More, $5 in all."
    places = (text.index(" More"), len(text))
    source = Source("Of $1 and $2", "https://example.com", None, places)

    html = mime_bundle("x", {}, [run(text=text, sources=(source,))])["text/html"]

    assert "It is $x^2$ large.<sup>" in html
    assert "in all.<sup>" in html
    assert "Of <span>$</span>1 and" in html


def test_long_results_and_originals_do_not_push_answers_out_of_a_notebook():
    long = ServerToolResult("1", "web_search", "y" * 60_000, original=Original("x", "z" * 300_000))
    kept = run(text="Short.", parts=(TextPart("Short."), long))

    bundle = mime_bundle("x", {}, [kept, kept], max_bytes=40_000)

    assert len(json.dumps(bundle["application/vnd.llm_playground.runs+json"], indent=1)) <= 40_000
    assert bundle["text/html"].count("Found on the web") == 2
    assert "more characters are not kept" in bundle["text/html"]


@pytest.mark.parametrize(
    "value", [5, "x", {"type": "text"}, [1, None, "x"], [{}], [{"type": "image"}]]
)
def test_parts_that_another_program_wrote_break_nothing(value):
    row = plain_row(run(text="Look.")) | {"parts": value, "sources": value}

    bundle = mime_bundle("x", {}, [row])

    assert "Look." in bundle["text/html"]
    assert "Look." in lp.export(run(text="Look."), "markdown")
