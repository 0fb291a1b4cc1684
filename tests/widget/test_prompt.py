"""The prompt side of the panel: named values, cases, turns and pictures."""

import gc
import io
import threading
import time
import weakref

import pandas as pd
import pytest
from IPython.core.interactiveshell import InteractiveShell
from matplotlib.figure import Figure
from PIL import Image
from traitlets.config import Config

import llm_playground as lp
from llm_playground.widgets import material
from llm_playground.widgets.form import order
from llm_playground.widgets.previews import look
from llm_playground.widgets.replies import reply
from llm_playground.widgets.texts import Notebook, Writer
from tests.wire.formats import openai_stream
from tests.wire.server import Reply, WireServer

SOON_S = 20


@pytest.fixture
def shell(home, monkeypatch):
    """The notebook: its variables are ``shell.user_ns``, its cells ``shell.run_cell``."""
    made = InteractiveShell(config=Config({"HistoryManager": {"enabled": False}}))
    monkeypatch.setattr(material, "get_ipython", lambda: made)
    return made


@pytest.fixture
def pg(shell):
    made = lp.Playground(
        "prompts", models=["local"], prompt="Summarise {{article}} in {{n}} points."
    )
    made.max_tokens = 4
    yield made
    made.close()


class Hostile:
    """Has no text."""

    def __str__(self):
        raise RuntimeError("no text for you")

    __repr__ = __str__


class Endless:
    """Its text is never done, until ``release`` is set."""

    def __init__(self):
        self.release = threading.Event()
        self.begun = 0

    def __str__(self):
        self.begun += 1
        self.release.wait(60)
        return "at last"


def until(condition):
    deadline = time.monotonic() + SOON_S
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


def chip(pg, name):
    return next((chip for chip in pg.variables if chip["name"] == name), {})


def sources(pg):
    return {chip["name"]: chip["source"] for chip in pg.variables}


def sent(pg):
    """The requests that a Run would send."""
    ordered = order(pg.form(), pg.material.notebook())
    return [one.call.request for one in ordered]


def png(width=4, height=3):
    buffer = io.BytesIO()
    Image.effect_noise((width, height), 90).save(buffer, "PNG")
    return buffer.getvalue()


def ask(pg, what, **given):
    return reply(pg, {"id": "1", "what": what, "given": given})


class TestVariables:
    def test_each_name_says_where_its_value_comes_from(self, pg, shell):
        shell.user_ns["article"] = "word " * 400
        pg.values = {"n": 3}

        until(lambda: sources(pg) == {"article": "notebook", "n": "typed"})

        article = chip(pg, "article")
        assert article["detail"] == "500 tokens"
        assert article["preview"].startswith("word word")
        assert len(article["preview"]) <= 60
        assert chip(pg, "n")["value"] == "3"
        assert sent(pg)[0].user_prompt == f"Summarise {'word ' * 400} in 3 points."

    def test_a_missing_name_says_what_to_do(self, pg):
        until(lambda: sources(pg) == {"article": "missing", "n": "missing"})

        line = "{{article}} is not defined. Run the cell that defines it, or type a value."
        assert chip(pg, "article")["problem"] == line
        with pytest.raises(lp.TemplateError) as error:
            pg.run()
        assert str(error.value) == line == pg.problem

    def test_what_a_cell_defines_is_there_when_it_has_run(self, pg, shell):
        until(lambda: sources(pg))

        shell.run_cell("article = 'Sales rose.'")

        until(lambda: sources(pg)["article"] == "notebook")
        assert chip(pg, "article")["preview"] == "Sales rose."

    def test_names_in_the_system_prompt_and_in_turns_count_too(self, pg):
        pg.prompt = "Go on."
        pg.system, pg.turns = "Be {{mood}}.", [{"role": "user", "content": "About {{topic}}."}]

        until(lambda: list(sources(pg)) == ["mood", "topic"])

    def test_a_typed_value_goes_before_the_notebooks_and_can_be_taken_back(self, pg, shell):
        shell.user_ns.update(article="of the notebook", n=2)
        pg.values = {"article": "typed"}
        assert "typed" in sent(pg)[0].user_prompt

        pg.values = {}

        assert "of the notebook" in sent(pg)[0].user_prompt

    def test_keys_are_not_shown(self, pg, shell):
        key = "-".join(["sk", "planted", "for", "this", "test"])
        shell.user_ns.update(article=f"use {key} here", n=1, api_key="opensesame")
        pg.prompt = "{{article}} {{api_key}}"

        until(lambda: set(sources(pg).values()) == {"notebook"})

        assert key not in str(pg.get_state())
        assert "opensesame" not in str(pg.get_state())

    def test_the_notebook_is_listened_to_no_more_once_the_panel_is_closed(self, shell):
        before = list(shell.events.callbacks["post_run_cell"])
        pg = lp.Playground("short-lived", models=["local"])
        assert len(shell.events.callbacks["post_run_cell"]) == len(before) + 1

        pg.close()

        assert shell.events.callbacks["post_run_cell"] == before

    def test_the_notebook_keeps_nothing_of_a_panel_alive(self, shell):
        class Panel:
            pass

        made = material.Material(Panel(), lambda act: act())
        made._after_cells = material._AfterCells(made)
        gone = weakref.ref(made)

        del made
        gc.collect()

        assert gone() is None
        assert not shell.run_cell("1").error_in_exec


class TestHostileValues:
    @pytest.mark.parametrize("value", [Hostile(), [Hostile()], {"a": Hostile()}, Endless()])
    def test_a_chip_never_asks_a_value_for_its_text(self, pg, shell, value):
        shell.user_ns.update(article=value, n=1)
        pg.prompt = "{{article}} {{n}}"
        started = time.monotonic()

        until(lambda: sources(pg) == {"article": "notebook", "n": "notebook"})

        assert time.monotonic() - started < 2
        assert getattr(value, "begun", 0) <= 1, "only the price asks for it, once"
        assert type(value).__name__ in chip(pg, "article")["detail"]

    def test_a_value_without_text_is_told_in_one_line(self, pg, shell):
        shell.user_ns.update(article=Hostile(), n=1)

        with pytest.raises(lp.TemplateError) as error:
            pg.run()

        assert str(error.value) == (
            "{{article}} is a Hostile that has no text (RuntimeError). "
            "Make its text in a cell and name that."
        )

    def test_a_text_that_does_not_end_is_waited_for_once(self):
        value, writer = Endless(), Writer(0.2)
        with pytest.raises(lp.TemplateError, match=r"takes longer than 0.2 s"):
            Notebook({"x": value}, writer)["x"]
        started = time.monotonic()

        with pytest.raises(lp.TemplateError):
            Notebook({"x": value}, writer)["x"]

        assert time.monotonic() - started < 0.1
        assert value.begun == 1
        value.release.set()

    def test_a_text_that_came_late_is_used(self):
        value, writer = Endless(), Writer(0.05)
        with pytest.raises(lp.TemplateError):
            writer.text("x", value)
        value.release.set()
        until(lambda: writer._late["x"].text.done())

        assert writer.text("x", value) == "at last"

    def test_a_list_of_millions_is_no_prompt(self):
        with pytest.raises(lp.TemplateError, match="1,000,001 items, too many"):
            Writer().text("x", [0] * 1_000_001)

    def test_looking_at_a_hundred_megabytes_takes_no_time(self):
        values = ["x" * 100_000_000, bytes(100_000_000), list(range(1_000_000)), 7**2_000_000]
        for value in values:
            started = time.process_time()
            look("x", value)
            assert time.process_time() - started < 0.05

    def test_a_frame_is_told_by_its_shape(self):
        frame = pd.DataFrame({"a": range(1200), "b": 1})

        assert look("df", frame).detail == "DataFrame, 1,200 rows \N{MULTIPLICATION SIGN} 2 columns"
        assert look("df", frame).preview == ""


class TestCases:
    FRAME = pd.DataFrame({"article": ["Sales rose.", "Sales fell."], "n": [1, 2]})

    def test_every_row_of_a_frame_of_the_notebook_is_a_case(self, pg, shell):
        shell.user_ns["df"] = self.FRAME
        pg.cases = "df"

        until(lambda: sources(pg) == {"article": "table", "n": "table"})

        assert pg.table == {"label": "df", "rows": 2, "columns": ["article", "n"], "problem": ""}
        assert chip(pg, "n")["detail"] == "df, 2 cases"
        assert [request.user_prompt for request in sent(pg)] == [
            "Summarise Sales rose. in 1 points.",
            "Summarise Sales fell. in 2 points.",
        ]

    def test_a_table_may_be_given_from_python(self, pg):
        pg.cases = self.FRAME

        assert len(sent(pg)) == 2
        assert pg.get_state(["cases"]) == {"cases": {"given": "DataFrame, 2 rows"}}
        pg.set_state({"cases": {"given": "DataFrame, 2 rows"}})  # as a view sends it back
        assert pg.cases is self.FRAME

    def test_rows_that_are_dicts_are_cases_too(self, pg):
        pg.cases = [{"article": "a", "n": 1}, {"article": "b", "n": 2}]

        assert sent(pg)[1].user_prompt == "Summarise b in 2 points."

    def test_the_notebooks_tables_are_offered_best_first(self, pg, shell):
        shell.user_ns.update(
            other=pd.DataFrame({"x": [1]}),
            df=self.FRAME,
            rows=[{"n": 1}],
            _hidden=self.FRAME,
            numbers=[1, 2],
            empty=pd.DataFrame(),
        )
        pg.values = {"n": "1"}

        until(lambda: pg.tables)

        assert [table["label"] for table in pg.tables] == ["df", "rows", "other"]
        assert pg.tables[0]["columns"] == ["article", "n"]

    @pytest.mark.parametrize(
        ("table", "line"),
        [
            (pd.DataFrame({"article": [""] * 1001}), "takes at most 1,000"),
            (pd.DataFrame({"article": []}), "no rows"),
            (pd.DataFrame({"text": ["a"]}), "Write {{text}}; it has text."),
            (pd.DataFrame({"my text": ["a"], 3: ["b"]}), "No column of df can be named"),
            (pd.DataFrame({"article": ["a", None]}), "Row 2 of df has no value in article."),
            ([{"article": "a"}, {"n": 1}], "Row 2 of df has no value in article."),
            ([{"article": "a"}, "b"], "Row 2 of df is no dict but a str."),
            (3, "Cases are the rows of a DataFrame or of a list of dicts; df is a int."),
        ],
    )
    def test_a_table_that_cannot_be_used_is_explained(self, pg, shell, table, line):
        shell.user_ns.update(df=table, n=1)
        pg.cases = "df"

        until(lambda: line in pg.table.get("problem", ""))

        with pytest.raises(lp.ConfigError) as error:
            pg.run()
        assert line in str(error.value)

    def test_a_table_that_went_is_named(self, pg):
        pg.cases = "gone"

        until(lambda: pg.table)

        assert pg.table["problem"].startswith("The table gone is not defined.")

    def test_a_missing_name_names_the_tables_columns(self, pg, shell):
        shell.user_ns["df"] = pd.DataFrame({"article": ["a"]})
        pg.cases = "df"

        until(lambda: chip(pg, "n").get("source") == "missing" and pg.table)

        assert chip(pg, "n")["problem"].endswith("The columns of df: article.")


class TestTurns:
    def test_turns_are_sent_before_the_prompt(self, pg):
        pg.prompt, pg.system = "And a year?", "Be brief."
        pg.turns = [
            {"role": "user", "content": "How long is a quarter?"},
            {"role": "assistant", "content": "Three months."},
        ]

        [request] = sent(pg)

        said = [(message.role, message.text) for message in request.messages]
        assert said == [
            ("system", "Be brief."),
            ("user", "How long is a quarter?"),
            ("assistant", "Three months."),
            ("user", "And a year?"),
        ]

    @pytest.mark.parametrize(
        ("turn", "line"),
        [
            ({"role": "user", "content": " "}, "Turn 1 is empty."),
            ({"role": "nobody", "content": "x"}, 'A message is {"role"'),
            ("text", "Turn 1 is no message"),
            ({"role": "tool", "content": [{"type": "tool_result"}]}, "Turn 1 holds a tool_result"),
        ],
    )
    def test_a_turn_that_cannot_be_sent_is_explained(self, pg, turn, line):
        pg.prompt, pg.turns = "x", [turn]

        with pytest.raises(lp.InvalidParameterError) as error:
            pg.run()

        assert line in str(error.value)

    def test_messages_and_their_pictures_become_turns(self, pg):
        picture = lp.image(png())
        pg.prompt = "And this?"
        pg.turns = [lp.Message("user", (picture, lp.TextPart("What is this?")))]

        [turn] = pg.turns
        assert (turn["content"], turn["images"][0]["media_type"]) == ("What is this?", "image/png")
        assert sent(pg)[0].messages[0].content == (picture, lp.TextPart("What is this?"))

    def test_an_answer_and_what_it_answered_become_turns(self, home, monkeypatch, shell):
        key = "-".join(["sk", "planted", "for", "this", "test"])
        monkeypatch.setenv("OPENAI_API_KEY", key)
        with WireServer(Reply(openai_stream(["Four", "."]))) as server:
            monkeypatch.setenv("OPENAI_BASE_URL", f"{server.url}/v1")
            pg = lp.Playground("go-on", models=["openai:gpt-4o-mini"], prompt="{{a}} and 2?")
            pg.values, pg.system = {"a": "2"}, "Add."
            pg.run()
            assert pg.results.status.tolist() == ["completed"]

            assert "error" not in ask(pg, "turns.add", number=1)

        assert pg.turns == [
            {"role": "user", "content": "2 and 2?"},
            {"role": "assistant", "content": "Four."},
        ]
        assert (pg.prompt, pg.system) == ("", "Add.")
        pg.close()

    def test_there_is_nothing_to_go_on_from_before_a_run(self, pg):
        assert ask(pg, "turns.add", number=1)["error"] == "There is no answer 1. Run first."


class TestPictures:
    def test_whatever_lp_image_takes_is_a_picture_of_the_prompt(self, pg, home):
        path = home.parent / "cat.png"
        path.write_bytes(png())
        figure = Figure(figsize=(1, 1))
        pg.prompt = "What is this?"

        pg.images = [path, "cat.png", figure, png(), "https://example.com/dog.jpg"]

        assert [entry["name"] for entry in pg.images] == [
            "cat.png",
            "cat.png",
            "Figure.png",
            "picture.png",
            "dog.jpg",
        ]
        assert pg.images[0]["size_bytes"] == len(path.read_bytes())
        [message] = sent(pg)[0].messages
        assert message.content[0] == lp.image(path)
        assert message.content[4] == lp.image("https://example.com/dog.jpg")
        assert message.text == "What is this?"

    def test_what_is_no_picture_is_kept_and_explained(self, pg):
        pg.prompt, pg.images = "x", ["nowhere.png"]

        assert pg.images[0]["name"] == "nowhere.png"
        with pytest.raises(lp.InvalidParameterError, match=r"There is no picture at nowhere.png"):
            pg.run()

    def test_bytes_arrive_in_pieces_and_never_in_a_trait(self, pg):
        data = png(400, 300)
        halves = [data[:50_000], data[50_000:]]
        for at, half in reversed(list(enumerate(halves))):
            pg._handle_custom_msg({"type": "piece", "id": "p1", "at": at}, [memoryview(half)])
        entry = {
            "id": "p1",
            "name": "noise.png",
            "media_type": "image/png",
            "size_bytes": len(data),
        }
        pg.prompt = "What is this?"
        pg.set_state({"images": [entry]})
        until(lambda: "p1" in pg.material.pictures._arriving)
        with pytest.raises(lp.InvalidParameterError, match="still on its way"):
            pg.form()

        answer = ask(pg, "pictures.add", id="p1", name="noise.png")

        facts = {"media_type": "image/png", "size_bytes": len(data)}
        assert answer["value"] == {"id": "p1", **facts, "sha256": lp.image(data).sha256}
        assert sent(pg)[0].messages[0].content[0].data == data
        assert len(str(pg.get_state(["images"]))) < 1_000

    def test_a_file_that_only_looks_like_a_picture_is_refused_by_its_name(self, pg):
        pg._handle_custom_msg({"type": "piece", "id": "p1", "at": 0}, [b"hello"])
        until(lambda: pg.material.pictures._arriving)

        answer = ask(pg, "pictures.add", id="p1", name="notes.png")

        assert answer["error"].startswith("notes.png is no picture")

    def test_a_picture_that_is_too_large_is_refused(self, pg):
        for at in range(24):
            piece = memoryview(bytes(1_000_000))
            pg._handle_custom_msg({"type": "piece", "id": "p1", "at": at}, [piece])
        until(lambda: len(pg.material.pictures._arriving.get("p1", {})) >= 21)

        answer = ask(pg, "pictures.add", id="p1", name="huge.png")

        assert answer["error"].startswith("huge.png has more than 20 MB")

    def test_a_path_typed_in_the_panel_becomes_an_entry(self, pg, home):
        (home.parent / "cat.png").write_bytes(png())

        entry = ask(pg, "pictures.add", path="cat.png")["value"]

        assert (entry["name"], entry["path"]) == ("cat.png", str(home.parent / "cat.png"))
        assert "There is no picture at" in ask(pg, "pictures.add", path="dog.png")["error"]

    def test_a_thumbnail_is_small_whatever_the_picture(self, pg):
        pg.images = [png(1500, 1500)]
        assert pg.images[0]["size_bytes"] > 1_000_000

        thumbnail = ask(pg, "pictures.thumbnail", id=pg.images[0]["id"])["value"]

        assert thumbnail.startswith("data:image/png;base64,")
        assert len(thumbnail) < 60_000

    def test_an_entry_comes_back_after_a_restart_where_its_bytes_can_be_had(self, pg, home):
        (home.parent / "cat.png").write_bytes(png())
        pg.prompt, pg.images = "x", ["cat.png"]
        kept = pg.images
        other = lp.Playground("another-kernel", models=["local"], prompt="x")

        other.images = kept

        assert sent(other)[0].messages[0].content[0].data == png_of(kept)
        other.images = [{"id": "gone", "name": "pasted.png", "media_type": "image/png"}]
        with pytest.raises(lp.InvalidParameterError, match=r"pasted.png is not in this kernel"):
            other.form()
        other.close()

    def test_models_that_take_no_images_are_named(self, pg):
        pg.images = [png()]
        until(lambda: pg.picture_note)
        assert pg.picture_note == (
            "smollm2-135m-instruct takes no images. Remove them or choose another model."
        )

        pg.models = ["openai:gpt-4o", "openai:o3-mini", "openai:o1-mini"]

        until(lambda: "smollm" not in pg.picture_note)
        assert pg.picture_note.startswith("o3-mini and o1-mini take no images.")
        pg.images = []
        until(lambda: pg.picture_note == "")


def png_of(entries):
    return lp.image(entries[0]["path"]).data
