"""The prompt side of the panel: named values, cases, turns and pictures."""

import contextlib
import gc
import io
import itertools
import threading
import time
import tracemalloc
import weakref

import pandas as pd
import pytest
from IPython.core.interactiveshell import InteractiveShell
from matplotlib.figure import Figure
from PIL import Image
from traitlets.config import Config

import llm_playground as lp
from llm_playground.widget import variables
from llm_playground.widget.answer_labels import AnswerLabel
from llm_playground.widget.attachments import Attachments
from llm_playground.widget.form import Form, plan_calls
from llm_playground.widget.notebook_values import preview_of
from llm_playground.widget.requests import reply
from llm_playground.widget.variables import NotebookVariables, TextConverter
from tests.providers.formats import openai_stream
from tests.providers.server import Reply, WireServer
from tests.widget.panels import until


@pytest.fixture
def shell(home, monkeypatch):
    """The notebook: its variables are ``shell.user_ns``, its cells ``shell.run_cell``."""
    made = InteractiveShell(config=Config({"HistoryManager": {"enabled": False}}))
    monkeypatch.setattr(variables, "get_ipython", lambda: made)
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


def chip(pg, name):
    return next((chip for chip in pg.variables if chip["name"] == name), {})


def sources(pg):
    return {chip["name"]: chip["source"] for chip in pg.variables}


def sent(pg):
    """The requests that a Run would send."""
    ordered = plan_calls(pg.form(), pg.inputs.notebook())
    return [one.call.request for one in ordered]


PDF = b"%PDF-1.4\n1 0 obj <</Type /Page>> endobj\n"


def png(width=4, height=3):
    buffer = io.BytesIO()
    Image.effect_noise((width, height), 90).save(buffer, "PNG")
    return buffer.getvalue()


def ask(pg, name, /, **arguments):
    return reply(pg, {"id": "1", "name": name, "arguments": arguments})


class TestVariables:
    def test_each_name_has_a_source(self, pg, shell):
        shell.user_ns["article"] = "word " * 400
        pg.values = {"n": 3}

        until(lambda: sources(pg) == {"article": "notebook", "n": "typed"})

        article = chip(pg, "article")
        assert article["detail"] == "500 tokens"
        assert article["preview"].startswith("word word")
        assert len(article["preview"]) <= 160
        assert chip(pg, "n")["value"] == "3"
        assert sent(pg)[0].user_prompt == f"Summarise {'word ' * 400} in 3 points."

    def test_missing_name_is_explained(self, pg):
        until(lambda: sources(pg) == {"article": "missing", "n": "missing"})

        line = (
            "{{article}} is not defined. Run the cell that defines it, or type a value. "
            r"To send the braces as they are, write \{{article}}."
        )
        assert chip(pg, "article")["problem"] == line
        with pytest.raises(lp.TemplateError) as error:
            pg.run()
        assert str(error.value) == line == pg.problem

    def test_cell_updates_the_sources(self, pg, shell):
        until(lambda: sources(pg))

        shell.run_cell("article = 'Sales rose.'")

        until(lambda: sources(pg)["article"] == "notebook")
        assert chip(pg, "article")["preview"] == "Sales rose."

    def test_names_of_system_prompt_and_turns_are_listed(self, pg):
        pg.prompt = "Go on."
        pg.system, pg.turns = "Be {{mood}}.", [{"role": "user", "content": "About {{topic}}."}]

        until(lambda: list(sources(pg)) == ["mood", "topic"])

    def test_typed_value_takes_precedence_and_can_be_removed(self, pg, shell):
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

    def test_closed_panel_unregisters_from_the_notebook(self, shell):
        before = list(shell.events.callbacks["post_run_cell"])
        pg = lp.Playground("short-lived", models=["local"])
        assert len(shell.events.callbacks["post_run_cell"]) == len(before) + 1

        pg.close()

        assert shell.events.callbacks["post_run_cell"] == before

    def test_notebook_holds_no_reference_to_the_inputs(self, shell):
        class Panel:
            pass

        made = variables.PromptInputs(Panel(), lambda act: act())
        made._cell_listener = variables._CellListener(made)
        gone = weakref.ref(made)

        del made
        gc.collect()

        assert gone() is None
        assert not shell.run_cell("1").error_in_exec


class TestHostileValues:
    @pytest.mark.parametrize("value", [Hostile(), [Hostile()], {"a": Hostile()}, Endless()])
    def test_preview_never_calls_str(self, pg, shell, value):
        shell.user_ns.update(article=value, n=1)
        pg.prompt = "{{article}} {{n}}"

        until(lambda: sources(pg) == {"article": "notebook", "n": "notebook"})

        assert getattr(value, "begun", 0) <= 1, "only the price asks for it, once"
        assert type(value).__name__ in chip(pg, "article")["detail"]

    def test_value_without_text_is_explained_in_one_line(self, pg, shell):
        shell.user_ns.update(article=Hostile(), n=1)

        with pytest.raises(lp.TemplateError) as error:
            pg.run()

        assert str(error.value) == (
            "{{article}} is of type Hostile and cannot be written as text (RuntimeError). "
            "Make its text in a cell and name that."
        )

    def test_endless_text_is_waited_for_once(self):
        value, converter = Endless(), TextConverter(0.2)
        with pytest.raises(lp.TemplateError, match=r"takes longer than 0.2 s"):
            NotebookVariables({"x": value}, converter)["x"]
        converter._timeout_s = 60
        started = time.monotonic()

        with pytest.raises(lp.TemplateError):
            NotebookVariables({"x": value}, converter)["x"]

        assert time.monotonic() - started < 30
        assert value.begun == 1
        value.release.set()

    def test_late_text_is_used(self):
        value, converter = Endless(), TextConverter(0.05)
        with pytest.raises(lp.TemplateError):
            converter.text("x", value)
        value.release.set()
        until(lambda: converter._unfinished["x"][1].done())

        assert converter.text("x", value) == "at last"

    def test_refuses_a_list_of_millions(self):
        with pytest.raises(lp.TemplateError, match="1,000,001 items, too many"):
            TextConverter().text("x", [0] * 1_000_001)

    def test_previews_large_values_quickly(self):
        values = ["x" * 100_000_000, bytes(100_000_000), list(range(1_000_000)), 7**2_000_000]
        for value in values:
            tracemalloc.start()
            preview_of("x", value)
            _, most_bytes = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            assert most_bytes < 500_000, "made the text of all of it"

    def test_previews_a_frame_by_its_shape(self):
        frame = pd.DataFrame({"a": range(1200), "b": 1})

        assert (
            preview_of("df", frame).detail
            == "DataFrame, 1,200 rows \N{MULTIPLICATION SIGN} 2 columns"
        )
        assert preview_of("df", frame).text == "sent whole, as CSV"


class TestCases:
    FRAME = pd.DataFrame({"article": ["Sales rose.", "Sales fell."], "n": [1, 2]})

    def test_every_row_of_a_frame_is_a_case(self, pg, shell):
        shell.user_ns["df"] = self.FRAME
        pg.cases = "df"

        until(lambda: sources(pg) == {"article": "table", "n": "table"})

        assert pg.table == {"label": "df", "rows": 2, "columns": ["article", "n"], "problem": ""}
        assert chip(pg, "n")["detail"] == "df, 2 cases"
        assert [request.user_prompt for request in sent(pg)] == [
            "Summarise Sales rose. in 1 points.",
            "Summarise Sales fell. in 2 points.",
        ]

    def test_takes_a_table_from_python(self, pg):
        pg.cases = self.FRAME

        assert len(sent(pg)) == 2
        assert pg.get_state(["cases"]) == {"cases": {"table": "DataFrame, 2 rows"}}
        pg.set_state({"cases": {"table": "DataFrame, 2 rows"}})  # as a view sends it back
        assert pg.cases is self.FRAME

    def test_takes_a_list_of_dicts(self, pg):
        pg.cases = [{"article": "a", "n": 1}, {"article": "b", "n": 2}]

        assert sent(pg)[1].user_prompt == "Summarise b in 2 points."

    def test_tables_with_most_named_columns_come_first(self, pg, shell):
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
            ([{"article": "a"}, "b"], "Row 2 of df is a str, not a dict."),
            (3, "Cases are the rows of a DataFrame or of a list of dicts; df is a int."),
        ],
    )
    def test_unusable_table_is_explained(self, pg, shell, table, line):
        shell.user_ns.update(df=table, n=1)
        pg.cases = "df"

        until(lambda: line in pg.table.get("problem", ""))

        with pytest.raises(lp.ConfigError) as error:
            pg.run()
        assert line in str(error.value)

    def test_missing_table_is_named(self, pg):
        pg.cases = "gone"

        until(lambda: pg.table)

        assert pg.table["problem"].startswith("The table gone is not defined.")

    def test_missing_name_lists_the_columns(self, pg, shell):
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

        texts = [(message.role, message.text) for message in request.messages]
        assert texts == [
            ("system", "Be brief."),
            ("user", "How long is a quarter?"),
            ("assistant", "Three months."),
            ("user", "And a year?"),
        ]

    @pytest.mark.parametrize(
        ("turn", "line"),
        [
            ({"role": "user", "content": " "}, "Turn 1 is empty."),
            ({"role": "unknown", "content": "x"}, 'A message is {"role"'),
            ("text", "Turn 1 is not a message"),
            ({"role": "tool", "content": [{"type": "tool_result"}]}, "Turn 1 holds a tool_result"),
        ],
    )
    def test_turn_that_cannot_be_sent_is_explained(self, pg, turn, line):
        pg.prompt, pg.turns = "x", [turn]

        with pytest.raises(lp.InvalidParameterError) as error:
            pg.run()

        assert line in str(error.value)

    def test_messages_and_their_pictures_become_turns(self, pg):
        picture = lp.image(png())
        pg.prompt, pg.models = "And this?", ["openai:gpt-4o"]
        pg.turns = [lp.Message("user", (picture, lp.TextPart("What is this?")))]

        [turn] = pg.turns
        assert (turn["content"], turn["images"][0]["media_type"]) == ("What is this?", "image/png")
        assert sent(pg)[0].messages[0].content == (picture, lp.TextPart("What is this?"))

    def test_answer_and_its_messages_become_turns(self, home, monkeypatch, shell):
        key = "-".join(["sk", "planted", "for", "this", "test"])
        monkeypatch.setenv("OPENAI_API_KEY", key)
        with WireServer(Reply(openai_stream(["Four", "."]))) as server:
            monkeypatch.setenv("OPENAI_BASE_URL", f"{server.url}/v1")
            pg = lp.Playground("go-on", models=["openai:gpt-4o-mini"], prompt="{{a}} and 2?")
            pg.values, pg.system = {"a": "2"}, "Add."
            pg.run()
            assert pg.results.status.tolist() == ["completed"]

            assert "error" not in ask(pg, "add_turns", number=1)

        assert pg.turns == [
            {"role": "user", "content": "2 and 2?"},
            {"role": "assistant", "content": "Four."},
        ]
        assert (pg.prompt, pg.system) == ("", "Add.")
        pg.close()

    def test_no_turns_from_an_answer_before_a_run(self, pg):
        assert ask(pg, "add_turns", number=1)["error"] == "There is no answer 1. Run first."


class TestImages:
    def test_takes_whatever_lp_image_takes(self, pg, home):
        path = home.parent / "cat.png"
        path.write_bytes(png())
        figure = Figure(figsize=(1, 1))
        pg.prompt, pg.models = "What is this?", ["openai:gpt-4o"]

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

    def test_unreadable_picture_is_kept_and_explained(self, pg):
        pg.prompt, pg.images = "x", ["nowhere.png"]

        assert pg.images[0]["name"] == "nowhere.png"
        with pytest.raises(lp.InvalidParameterError, match=r"There is no image at nowhere.png"):
            pg.run()

    def test_bytes_arrive_in_pieces_and_not_in_a_trait(self, pg):
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
        pg.prompt, pg.models = "What is this?", ["openai:gpt-4o"]
        pg.set_state({"images": [entry]})
        until(lambda: "p1" in pg.inputs.attachments._pieces)
        with pytest.raises(lp.InvalidParameterError, match="still on its way"):
            pg.form()

        answer = ask(pg, "add_attachment", id="p1", name="noise.png")

        facts = {"media_type": "image/png", "size_bytes": len(data)}
        assert answer["value"] == {"id": "p1", **facts, "sha256": lp.image(data).sha256}
        assert sent(pg)[0].messages[0].content[0].data == data
        assert len(str(pg.get_state(["images"]))) < 1_000

    def test_refuses_a_file_that_is_not_a_picture(self, pg):
        pg._handle_custom_msg({"type": "piece", "id": "p1", "at": 0}, [b"hello"])
        until(lambda: pg.inputs.attachments._pieces)

        answer = ask(pg, "add_attachment", id="p1", name="notes.png")

        assert answer["error"].startswith("notes.png is not a supported image")

    @pytest.mark.parametrize("piece", [b"", b"x", b"x" * 1_000_000])
    def test_uploads_that_never_end_are_bounded(self, piece):
        pictures = Attachments()
        for key in range(50):
            for at in range(60):
                pictures.add_piece(f"p{key}", at, piece)

        kept = pictures._pieces
        assert len(kept) <= 8
        assert (
            sum(len(each) for pieces in kept.values() for each in pieces.values()) < 8 * 51_000_001
        )
        assert all(all(pieces.values()) for pieces in kept.values()), "no empty piece is kept"

    def test_refuses_a_picture_that_is_too_large(self, pg):
        for at in range(24):
            piece = memoryview(bytes(1_000_000))
            pg._handle_custom_msg({"type": "piece", "id": "p1", "at": at}, [piece])
        until(lambda: len(pg.inputs.attachments._pieces.get("p1", {})) >= 21)

        answer = ask(pg, "add_attachment", id="p1", name="huge.png")

        assert answer["error"].startswith("huge.png has more than 20 MB")

    def test_typed_path_becomes_an_entry(self, pg, home):
        (home.parent / "cat.png").write_bytes(png())

        entry = ask(pg, "add_attachment", path="cat.png")["value"]

        assert (entry["name"], entry["path"]) == ("cat.png", str(home.parent / "cat.png"))
        assert "There is no image at" in ask(pg, "add_attachment", path="dog.png")["error"]

    def test_thumbnail_is_small(self, pg):
        pg.images = [png(1500, 1500)]
        assert pg.images[0]["size_bytes"] > 1_000_000

        thumbnail = ask(pg, "thumbnail", id=pg.images[0]["id"])["value"]

        assert thumbnail.startswith("data:image/png;base64,")
        assert len(thumbnail) < 60_000

    def test_entry_with_a_location_survives_a_restart(self, pg, home):
        (home.parent / "cat.png").write_bytes(png())
        pg.prompt, pg.images = "x", ["cat.png"]
        kept = pg.images
        other = lp.Playground("another-kernel", models="openai:gpt-4o", prompt="x")

        other.images = kept

        assert sent(other)[0].messages[0].content[0].data == png_of(kept)
        other.images = [{"id": "gone", "name": "pasted.png", "media_type": "image/png"}]
        with pytest.raises(lp.InvalidParameterError, match=r"pasted.png is not in this kernel"):
            other.form()
        other.close()

    @pytest.mark.parametrize("field", ["id", "name", "path", "url", "thumbnail", "problem"])
    def test_no_field_of_an_entry_breaks_the_panel(self, pg, field):
        pg.prompt = "x"
        entries = ({}, {"id": "1", "name": "a.png"}, {"url": "https://example.com/a.png"})
        values = (5, [], {}, ["a"], {"a": "b"}, None)
        for entry, value in itertools.product(entries, values):
            pg.images = [{**entry, field: value}]
            with contextlib.suppress(lp.InvalidParameterError):
                pg.form()
            pg.inputs.attachments.add(png(), "image")
            pg.inputs.prepare_run()

    def test_models_that_take_no_images_are_named(self, pg):
        pg.images = [png()]
        until(lambda: pg.attachment_note)
        assert pg.attachment_note == (
            "smollm2-135m-instruct takes no images. Remove them or choose another model."
        )

        pg.models = ["openai:gpt-4o", "openai:o3-mini", "openai:o1-mini"]

        until(lambda: "smollm" not in pg.attachment_note)
        assert pg.attachment_note.startswith("o3-mini and o1-mini take no images.")
        pg.images = []
        until(lambda: pg.attachment_note == "")


class TestFiles:
    def test_takes_whatever_lp_file_takes(self, pg, home):
        (home.parent / "a.csv").write_bytes(b"a,b")
        pg.models, pg.prompt = ["openai:gpt-4o"], "Sum it up."
        pg.images = [png()]

        pg.files = ["a.csv", PDF, lp.file(b"One.", "b\u202e.txt"), "nowhere.pdf"]

        names = [entry["name"] for entry in pg.files]
        assert names == ["a.csv", "document.pdf", "b.txt", "nowhere.pdf"]
        assert pg.files[0]["size_bytes"] == 3
        with pytest.raises(lp.InvalidParameterError, match=r"There is no file at nowhere.pdf"):
            pg.form()
        pg.files = pg.files[:3]
        [message] = pg.as_prompt().messages
        image, *files, text = message.content
        assert image.media_type == "image/png"
        assert [one.media_type for one in files] == ["text/csv", "application/pdf", "text/plain"]
        assert text.text == "Sum it up."
        assert len(str(pg.get_state(["files"]))) < 2_000

    def test_a_dropped_file_arrives_in_pieces_under_a_clean_name(self, pg):
        data = PDF + bytes(300_000)
        for at, start in enumerate(range(0, len(data), 100_000)):
            piece = memoryview(data[start : start + 100_000])
            pg._handle_custom_msg({"type": "piece", "id": "p1", "at": at}, [piece])
        until(lambda: len(pg.inputs.attachments._pieces.get("p1", {})) == 4)

        answer = ask(pg, "add_attachment", id="p1", name="../a\u202efdp.exe", kind="file")

        facts = {"media_type": "application/pdf", "size_bytes": len(data)}
        assert answer["value"].pop("sha256") == lp.file(data).sha256
        assert answer["value"] == {"id": "p1", "name": "afdp.exe", **facts}
        pg._handle_custom_msg({"type": "piece", "id": "p2", "at": 0}, [b"PK\x03\x04"])
        until(lambda: pg.inputs.attachments._pieces)
        refused = ask(pg, "add_attachment", id="p2", name="a.docx", kind="file")["error"]
        assert refused.startswith("a.docx is an Office document")

    def test_a_typed_path_is_an_image_or_a_file_by_its_name(self, pg, home):
        (home.parent / "a.pdf").write_bytes(PDF)
        entry = ask(pg, "add_attachment", path="a.pdf")["value"]
        assert (entry["kind"], entry["name"]) == ("file", "a.pdf")
        at_url = ask(pg, "add_attachment", path="https://example.com/cat")["value"]
        assert at_url["kind"] == "image"
        assert "There is no file at" in ask(pg, "add_attachment", path="b.pdf")["error"]

    def test_files_of_turns_are_sent_and_go_on(self, pg):
        pg.models, pg.prompt = ["openai:gpt-4o"], "And?"
        pg.turns = [
            lp.Message("user", (lp.file(PDF, "a.pdf"), lp.TextPart("Sum it up."))),
            {"role": "user", "content": [{"type": "file", "file": b"a,b", "name": "b.csv"}]},
        ]
        assert [turn["files"][0]["name"] for turn in pg.turns] == ["a.pdf", "b.csv"]
        first, second = pg.form().turns
        assert first["content"] == [lp.file(PDF, "a.pdf"), lp.TextPart("Sum it up.")]
        assert second["content"][0] == lp.file(b"a,b", "b.csv")
        pg.inputs.prepare_run()
        assert list(pg.form().turns) == [first, second]

    def test_models_that_take_no_such_file_are_named_before_a_run(self, pg):
        pg.models, pg.files = ["local", "openai:gpt-4o"], [PDF]
        until(lambda: pg.attachment_note)
        assert pg.attachment_note.startswith("smollm2-135m-instruct takes no PDF (document.pdf).")
        pg.prompt = "x"
        with pytest.raises(lp.InvalidParameterError, match="takes no PDF"):
            pg.run()
        pg.files = []
        until(lambda: pg.attachment_note == "")

    def test_a_saved_prompt_keeps_its_files(self, pg):
        pg.models, pg.prompt, pg.files = ["openai:gpt-4o"], "Sum it up.", [PDF]
        lp.save_prompt("with a file", pg)
        opened = lp.Playground("opened", prompt=lp.prompt("with a file"))
        assert opened.form().files == pg.form().files
        assert opened.prompt == "Sum it up."
        opened.close()


def png_of(entries):
    return lp.image(entries[0]["path"]).data


@pytest.mark.parametrize(
    ("case", "text"),
    [
        ({"city": "Oslo", "n": 3}, "Oslo, 3"),
        ({"text": "two\nlines"}, "two lines"),
        ({"text": "long " * 200}, ("long " * 200)[:299] + "…"),
        ({"frame": [1]}, ""),
    ],
)
def test_a_case_is_labelled_by_its_values(home, case, text):
    prompt = "Say " + " ".join(f"{{{{{name}}}}}" for name in case)

    [one] = plan_calls(Form(prompt, models=["local"], cases=[case]), {})

    assert one.label == AnswerLabel(case="case 1", text=text)
