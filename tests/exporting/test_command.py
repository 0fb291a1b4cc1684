"""``%llm export`` in a real kernel."""

import json

import pytest

from tests.kernel import kernel


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("work")


@pytest.fixture(scope="module")
def nb(tmp_path_factory, folder):
    """A kernel with the extension loaded, two runs in its log, and a folder to write to."""
    home = tmp_path_factory.mktemp("home")
    with kernel({"LLM_PLAYGROUND_HOME": str(home)}) as started:
        started.run("%load_ext llm_playground\nimport llm_playground as lp")
        started.run(f"import os\nos.chdir({str(folder)!r})")
        for _ in range(2):
            started.run("lp.ask('Say hello.', max_tokens=2);")
        yield started


def test_a_path_takes_all_runs_in_the_format_of_its_ending(nb, folder):
    assert nb.run("%llm export runs.json").text == "2 runs are in runs.json.\n"
    assert len(json.loads((folder / "runs.json").read_text())["runs"]) == 2
    nb.run("%llm export runs.csv")
    assert (folder / "runs.csv").read_text().startswith("\ufeffrun_id,execution_id,")
    nb.run("%llm export --format markdown 'my runs.txt'")
    assert "# Say hello." in (folder / "my runs.txt").read_text()


def test_without_a_path_the_newest_are_printed(nb):
    assert len(json.loads(nb.run("%llm export").text)["runs"]) == 2
    assert "# Say hello." in nb.run("%llm export --format=markdown").text


def test_filters_select_the_runs_as_those_of_runs_do(nb, folder):
    nb.run("kept = lp.ask('Say goodbye.', max_tokens=2, tags=['draft'])\nlp.rate(kept, 4.5)")
    nb.run("kept, failed = kept.id, lp.runs(tag='draft', status='failed')")
    for filters, count in {
        "--tag draft": 1,
        "--model local --status completed --limit 2": 2,
        "--search goodbye": 1,
        "--min-rating 4": 1,
        "--min-rating -1 --since 2026-01-01 --provider local": 1,
    }.items():
        verb = "is" if count == 1 else "are"
        plural = "" if count == 1 else "s"
        text = nb.run(f"%llm export {filters} some.html").text
        assert text == f"{count} run{plural} {verb} in some.html.\n"
        assert (folder / "some.html").read_text().count("<article") == count
        if "--min-rating" not in filters:
            rows = nb.run(f"get_ipython().run_line_magic('llm', 'runs {filters}').shape[0]").result
            assert rows == str(count)
    nb.run("lp.purge(run=kept, keep='nothing', dry_run=False)")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("export --tag nothing none.json", "No run of the log matches these filters. Nothing was"),
        ("export --status done none.json", "status"),
        ("export --since yesterday none.json", "since"),
        ("export --min-rating 3", "No run of the log matches"),
        ("runs --status done", "status"),
        ("export everything", "End it in .json, .md, .html"),
        ("export --format papyrus runs.txt", "Available: json, markdown, html"),
        ("export --format parquet", "parquet is no text. Name a file: %llm export runs.parquet"),
        ("export nowhere/runs.json", "There is no folder"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_line(nb, folder, line, said):
    error = nb.run(f"%llm {line}").error
    assert said in error["evalue"]
    assert "\n" not in error["evalue"]
    assert not (folder / "none.json").exists()
