"""What may be exported, in which formats, and how a file is written."""

import csv
import io
import json
import os
import pickle
import subprocess
import sys
import threading
from contextlib import nullcontext
from datetime import timedelta
from pathlib import Path

import pandas as pd
import pytest
from IPython.lib.pretty import pretty
from markdown_it import MarkdownIt

import llm_playground as lp
from llm_playground.errors import InvalidParameterError
from llm_playground.export_formats import FORMATS
from llm_playground.types import Attempt
from tests.exporting.shelf import HOSTILE, KEY, fill, run
from tests.reports.shelf import NEW_YEAR, add

ROOT = Path(__file__).parents[2]


def ids(text):
    return [row["run_id"] for row in json.loads(text)["runs"]]


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def log(request, monkeypatch, new_url):
    """These promises are about no engine: an empty log in a file."""
    from llm_playground.runlog import open_log

    url = new_url("duckdb")
    monkeypatch.setenv("LLM_PLAYGROUND_LOG", url)
    log = open_log(url)
    yield log
    log.close()


class TestWhatIsExported:
    def test_a_run_with_what_the_log_knows_of_it(self, log):
        kept = add(log, system="Be brief.", user="eve", tags=("x",))
        [row] = json.loads(lp.export(kept))["runs"]
        assert (row["run_id"], row["username"], row["tags"]) == (kept.id, "eve", ["x"])
        assert (row["system_prompt"], row["user_prompt"]) == ("Be brief.", "A question?")
        assert row["started_at"] == "2026-01-01T00:00:00Z"

    def test_a_run_that_is_in_no_log_with_what_it_holds_itself(self, log):
        [row] = json.loads(lp.export(run("alone")))["runs"]
        assert (row["response_text"], row["cost_usd"], row["username"]) == ("alone", 0.00054, None)

    def test_a_run_whose_text_the_log_does_not_keep(self, log):
        lp.configure(privacy="metrics")
        kept = add(log, text="not kept", user="eve")
        [row] = json.loads(lp.export(kept))["runs"]
        assert (row["response_text"], row["username"]) == ("not kept", "eve")

    def test_runs_in_their_order(self, log):
        kept = [add(log, text=str(number)) for number in range(3)]
        assert ids(lp.export(kept)) == [one.id for one in kept]
        assert ids(lp.export(tuple(reversed(kept)))) == [one.id for one in reversed(kept)]
        assert ids(lp.export(iter(kept))) == [one.id for one in kept]

    def test_a_comparison_and_its_frame(self, log):
        kept = (add(log, question="one?"), add(log, question="two?"))
        comparison = lp.Comparison(kept, ("one?", "two?"))
        assert lp.export(comparison) == lp.export(comparison.df) == lp.export(list(kept))
        assert [row["user_prompt"] for row in json.loads(lp.export(comparison))["runs"]] == [
            "one?",
            "two?",
        ]

    def test_a_playground(self, log):
        pg = lp.Playground(models=["local"], prompt="Say hello.", max_tokens=4)
        assert ids(lp.export(pg)) == []
        pg.run()
        [row] = json.loads(lp.export(pg))["runs"]
        assert (row["user_prompt"], row["source"]) == ("Say hello.", "widget")
        assert row["parameters"] == {"max_tokens": 4}
        assert lp.export(pg) == lp.export(pg.results)

    def test_a_frame_as_it_was_changed(self, log):
        fill(log)
        frame = lp.runs().assign(user_prompt=None, label="mine").head(3)
        rows = json.loads(lp.export(frame))["runs"]
        assert [row["run_id"] for row in rows] == frame.run_id.tolist()
        assert {row["user_prompt"] for row in rows} == {None}
        assert "label" not in rows[0]

    def test_a_row_of_a_frame_in_each_format(self, log):
        for question in ("One?", "Two?"):
            lp.rate(add(log, question=question, tags=("x",), attempts=[Attempt(1, 0.0, 9.5)]), 4)
        frame = lp.runs()
        for form in FORMATS.keys() - {"openai-preferences", "trl-preferences"}:  # of pairs
            assert lp.export(frame.iloc[1], form) == lp.export(frame.iloc[[1]], form)

    def test_rows_of_a_frame_in_a_list_and_with_few_columns(self, log):
        fill(log)
        frame = lp.runs()
        assert lp.export([row for _, row in frame.iterrows()]) == lp.export(frame)
        narrow = frame[["run_id", "model"]]
        assert lp.export(narrow.iloc[0]) == lp.export(narrow.head(1))

    def test_a_row_of_saved_prompts(self, log):
        lp.save_prompt("greet", add(log))
        assert lp.export(lp.prompts().iloc[0]) == lp.export(lp.prompts())

    @pytest.mark.parametrize("wrong", [pd.Series([1, 2]), pd.Series({"model": "m"}, name="run_id")])
    def test_a_series_that_is_no_run_is_said_in_a_line(self, log, wrong):
        with pytest.raises(InvalidParameterError) as error:
            lp.export(wrong)
        assert str(error.value) == (
            "The Series has no value run_id, which identifies a run: pass a row such as "
            "lp.runs().iloc[0], or a frame such as lp.runs() gives."
        )

    def test_no_runs(self, log):
        for nothing in ([], lp.runs(), pd.DataFrame()):
            assert json.loads(lp.export(nothing))["runs"] == []
            assert lp.export(nothing, "markdown") == "No runs.\n"
            assert len(lp.export(nothing, "csv").splitlines()) == 1

    @pytest.mark.parametrize(
        "wrong",
        [None, 3, "a text", b"bytes", {"run_id": "x"}, ["x"], [run(), 3], pd.DataFrame({"a": [1]})],
    )
    def test_what_are_no_runs_is_said_in_a_line(self, log, wrong):
        with pytest.raises(InvalidParameterError) as error:
            lp.export(wrong)
        assert "lp.runs()" in str(error.value)
        assert "\n" not in str(error.value)

    def test_a_value_that_cannot_be_one_is_named(self, log):
        add(log)
        with pytest.raises(InvalidParameterError, match="'dear' as its cost_usd"):
            lp.export(lp.runs().assign(cost_usd="dear"))

    @pytest.mark.parametrize("form", FORMATS)
    def test_no_file_is_written_of_no_runs(self, log, tmp_path, form):
        path = tmp_path / "runs"
        for nothing in ([], lp.runs(), pd.DataFrame()):
            with pytest.raises(InvalidParameterError, match="There is no run to export"):
                lp.export(nothing, form, path)
        with pytest.raises(InvalidParameterError, match="There is no saved prompt to export"):
            lp.export(lp.prompts(), path=path)
        add(log)
        with pytest.raises(InvalidParameterError, match="There is no run to export"):
            lp.export(lp.runs(), form, path, min_rating=4)
        assert names(tmp_path) == []

    def test_last_is_the_newest_run_of_the_user(self, log, monkeypatch):
        for minute, user in enumerate(("ada", "ada", "bob")):
            add(log, text=f"answer {minute}", user=user, at=NEW_YEAR + timedelta(minutes=minute))
        assert "answer 1" in lp.export("last", "markdown")
        monkeypatch.setenv("LLM_PLAYGROUND_USER", "eve")
        with pytest.raises(InvalidParameterError, match="no run of yours"):
            lp.export("last")

    @pytest.mark.parametrize("wrong", ["papyrus", "", "JSON", ["json"]])
    def test_an_unknown_format_names_those_there_are(self, log, wrong):
        with pytest.raises(InvalidParameterError, match="Available: json, markdown, html") as error:
            lp.export([], wrong)
        assert "\n" not in str(error.value)


class TestFormats:
    def test_json_has_no_nan(self, log):
        fill(log)
        text = lp.export(lp.runs().assign(ttft_ms=float("nan")))
        rows = json.loads(text, parse_constant=pytest.fail)["runs"]
        assert {row["ttft_ms"] for row in rows} == {None}

    @pytest.mark.parametrize("form", ["json", "csv", "markdown"])
    def test_no_key_leaves(self, log, form):
        lp.set_key("openai", KEY)
        text = f"it is {KEY} or Bearer {'ab12' * 8}"
        secret = run(text, model=f"openai:{KEY}", error=lp.RateLimitError(text))
        frame = pd.DataFrame(
            {"run_id": ["r1"], "user_prompt": [text], "tags": [json.dumps([text])]}
        )
        for runs in (secret, frame):
            exported = lp.export(runs, form)
            assert KEY not in exported
            assert "ab12ab12" not in exported
            assert "redacted" in exported

    def test_csv_is_read_by_others(self, log):
        count = fill(log)
        text = lp.export(lp.runs(), "csv")
        assert text.count("\r\n") >= count + 1
        rows = list(csv.DictReader(io.StringIO(text, newline=""), strict=True))
        assert len(rows) == count
        frame = pd.read_csv(io.StringIO(text), parse_dates=["started_at"])
        assert sorted(frame.cost_usd.dropna()) == sorted(lp.runs().cost_usd.dropna())
        assert frame.rating.min() == -1.5  # a number stays one, whatever it begins with

    def test_csv_holds_no_formula(self, log):
        fill(log)
        rows = csv.reader(io.StringIO(lp.export(lp.runs(), "csv"), newline=""))
        names = next(rows)
        cells = [(name, cell) for row in rows for name, cell in zip(names, row, strict=True)]
        formulas = {name for name, cell in cells if cell.lstrip().startswith(("=", "+", "-", "@"))}
        assert formulas == {"rating"}

    def test_markdown_tells_people_everything(self, log):
        kept = [
            add(log, question="Why?", system="Be brief.", text="Because."),
            add(
                log,
                question="Why?",
                system="Be brief.",
                status="failed",
                text="",
                usage=None,
                cost_usd=None,
                error=lp.RateLimitError("Too many."),
            ),
        ]
        text = lp.export(kept, "markdown")
        for said in ("# Why?", "System prompt", "Be brief.", "Because.", "answer 1", "Too many."):
            assert said in text
        assert r"\< \$0.0001 · 0.12 s · 20 tokens" in text
        warm = lp.export(run(parameters=lp.Parameters(temperature=0.2, stop=("|",))), "markdown")
        assert "| temperature | 0.2 |" in warm

    def test_an_answer_does_not_break_out_of_its_fence(self, log):
        text = lp.export(add(log, text=HOSTILE + "\n```\n# out\n~~~~\n`````"), "markdown")
        tokens = MarkdownIt("commonmark", {"html": True}).enable("table").parse(text)
        headings = [token.content for token in tokens if token.type == "inline"]
        assert not any("out" in heading for heading in headings)
        assert not any(token.type.startswith("html") for token in tokens)
        assert any("# out" in token.content for token in tokens if token.type == "fence")


class TestFiles:
    @pytest.mark.parametrize(
        ("name", "given", "written"),
        [
            ("runs.json", None, "json"),
            ("runs.JSON", None, "json"),
            ("runs", None, "json"),
            ("runs.csv", None, "csv"),
            ("runs.2026.CSV", None, "csv"),
            ("runs.md", None, "markdown"),
            ("runs.markdown", None, "markdown"),
            ("runs.csv", "json", "json"),
            ("runs.xlsx", "csv", "csv"),
            ("runs.json", "markdown", "markdown"),
        ],
    )
    def test_the_format_is_that_of_the_suffix_unless_given(
        self, log, tmp_path, name, given, written
    ):
        add(log)
        as_text = lp.export(lp.runs(), written)
        for path in (tmp_path / name, str(tmp_path / name)):
            lp.export(lp.runs(), given, path)
            assert (tmp_path / name).read_bytes().removeprefix(b"\xef\xbb\xbf") == as_text.encode()

    @pytest.mark.parametrize("suffix", ["orc", "xlsx", "txt", "json.gz", "tsv"])
    def test_another_suffix_is_refused_in_one_line(self, log, tmp_path, suffix):
        add(log)
        path = tmp_path / f"runs.{suffix}"
        for given in (path, str(path)):
            with pytest.raises(
                InvalidParameterError, match=r"is unknown. End it in \.json"
            ) as error:
                lp.export(lp.runs(), path=given)
            assert "\n" not in str(error.value)
        assert names(tmp_path) == []

    @pytest.mark.parametrize("form", ["json", "markdown", "csv"])
    def test_a_run_is_exported_by_its_id(self, log, form):
        run_id = add(log, text="日本語").id
        add(log)
        narrow = lp.runs()[["run_id"]]
        assert lp.export(run_id, form) == lp.export(narrow[narrow.run_id == run_id], form)

    @pytest.mark.parametrize("unknown", ["abc", "", "newest", "runs.json", "a\0b", "'"])
    def test_an_id_of_no_run_is_said_in_one_line(self, log, unknown):
        add(log)
        with pytest.raises(
            InvalidParameterError, match="The log holds no run with the id"
        ) as error:
            lp.export(unknown)
        assert "\n" not in str(error.value)

    def test_the_text_is_returned_and_written(self, log, tmp_path):
        add(log, text="日本語")
        path = tmp_path / "runs.json"
        path.write_text("before")
        text = lp.export(lp.runs(), path=path)
        assert path.read_bytes().decode("utf-8") == text
        assert names(tmp_path) == ["runs.json"]

    def test_a_cell_shows_one_line_of_what_a_file_has(self, log, tmp_path):
        for _ in range(2):
            add(log)
        for form, start in (("json", "{"), ("parquet", b"PAR1")):
            path = tmp_path / f"runs.{form}"
            found = lp.export(lp.runs(), path=path)
            assert pretty(found) == repr(found) == f"2 runs are in {path}."
            assert found.startswith(start)
            assert len(pickle.loads(pickle.dumps(found))) == len(found)
            assert repr(lp.export(lp.runs(), form)).startswith(repr(start)[:-1])

    def test_the_line_and_the_audit_log_count_what_was_written(self, log, tmp_path):
        rated = [add(log, text=text) for text in ("Yes.", "No.", "No.")]
        add(log, status="failed", text="")
        for one, score in zip(rated, (5, 1, 3), strict=True):
            lp.rate(one, score)
        said = {}
        for form in ("openai-tuning", "trl-preferences", "otlp", "csv"):
            with (
                nullcontext()
                if form in ("otlp", "csv")
                else pytest.warns(UserWarning, match="left out")
            ):
                said[form] = repr(lp.export(lp.runs(), form, tmp_path / form)).partition(" in ")[0]

        assert said == {
            "openai-tuning": "2 runs are",
            "trl-preferences": "1 pair is",
            "otlp": "4 runs are",
            "csv": "4 runs are",
        }
        details = [json.loads(one) for one in lp.audit(action="export").detail]
        counts = {one["format"]: one.get("runs", one.get("pairs")) for one in details}
        assert counts == {"openai-tuning": 2, "trl-preferences": 1, "otlp": 4, "csv": 4}

    def test_lines_end_in_the_file_as_in_the_text(self, log, tmp_path):
        add(log)
        text = lp.export(lp.runs(), "csv", str(tmp_path / "runs.csv"))
        assert (tmp_path / "runs.csv").read_bytes() == b"\xef\xbb\xbf" + text.encode()

    def test_a_link_stays_a_link(self, log, tmp_path):
        (tmp_path / "real.json").write_text("before")
        (tmp_path / "link.json").symlink_to("real.json")
        lp.export(run(), path=tmp_path / "link.json")
        assert (tmp_path / "link.json").is_symlink()
        assert len(json.loads((tmp_path / "real.json").read_text())["runs"]) == 1

    @pytest.mark.parametrize(
        ("path", "said"),
        [
            ("nowhere/runs.json", "There is no folder"),
            (".", "is a folder"),
            ("", "path takes"),
            (3, "path takes"),
            ("a\0b", "cannot be written"),
            ("x" * 300, "cannot be written"),
        ],
    )
    def test_a_place_that_is_none_is_said_in_a_line(self, log, tmp_path, monkeypatch, path, said):
        monkeypatch.chdir(tmp_path)
        with pytest.raises(InvalidParameterError, match=said) as error:
            lp.export(run(), path=path)
        assert "\n" not in str(error.value)
        assert names(tmp_path) == []

    def test_a_full_disk_leaves_the_old_file(self, log, tmp_path):
        path = tmp_path / "runs.json"
        path.write_text("before")
        code = (
            "import resource, sys, llm_playground as lp\n"
            "from tests.exporting.shelf import run\n"
            "runs = [run('long ' * 10_000)]\n"
            "lp.export(runs)\n"
            "resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))\n"
            "try: lp.export(runs, path=sys.argv[1])\n"
            "except lp.InvalidParameterError as error: print(error)\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", code, str(path)],
            capture_output=True,
            text=True,
            timeout=300,
            cwd=ROOT,
            check=True,
            env=os.environ | {"LLM_PLAYGROUND_LOG": str(tmp_path / "log" / "runs.duckdb")},
        )
        assert "cannot be written (File too large)" in done.stdout
        assert path.read_text() == "before"
        assert names(tmp_path) == ["log", "runs.json"]

    def test_a_reader_sees_all_of_the_old_or_all_of_the_new(self, log, tmp_path):
        path = tmp_path / "runs.json"
        versions = [[run("short")], [run("long " * 20_000)]]
        lp.export(versions[0], path=path)
        stop, seen = threading.Event(), []

        def read():
            while not stop.is_set():
                seen.append(len(json.loads(path.read_bytes())["runs"]))

        reader = threading.Thread(target=read)
        reader.start()
        for turn in range(8):
            lp.export(versions[turn % 2], path=path)
        stop.set()
        reader.join(timeout=300)
        assert not reader.is_alive()
        assert set(seen) == {1}
