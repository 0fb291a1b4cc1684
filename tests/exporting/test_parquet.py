"""Runs as Parquet: types, exact values, and no file left behind."""

import json
import tempfile
from decimal import Decimal

import duckdb
import pytest

import llm_playground as lp
from llm_playground.exporting.parquet import COLUMNS, to_parquet
from llm_playground.exporting.rows import plain_row, utc_text
from llm_playground.runlog import parquet
from llm_playground.runlog.rows import RUN_TYPES
from tests.exporting import everything, shelf

USD = ("cost_usd", "saved_usd", "at_least_usd")


def read(content, folder):
    """The rows of a file, as plain rows, and the types of its columns."""
    path = folder / "runs.parquet"
    path.write_bytes(content)
    relation = duckdb.read_parquet(str(path))
    rows = [dict(zip(relation.columns, row, strict=True)) for row in relation.fetchall()]
    types = dict(zip(relation.columns, map(str, relation.types), strict=True))
    return [
        {name: _plain(value, COLUMNS[name]) for name, value in row.items()} for row in rows
    ], types


def _plain(value, kind):
    if value is None:
        return None
    if kind == "JSON":
        return json.loads(value)
    return utc_text(value) if kind == "TIMESTAMPTZ" else value


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The folder of temporary files."""
    made = tmp_path / "temporary"
    made.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(made))
    return made


def test_every_value_of_every_run_comes_back_with_its_type(log, tmp_path, folder):
    shelf.fill(log)
    everything.fill(log)
    frame = lp.runs().sort_values("run_id")
    text = lp.export(frame)
    known, costs = (json.loads(text, parse_float=kind)["runs"] for kind in (float, Decimal))

    content = lp.export(frame, path=tmp_path / "all.parquet")

    assert content == (tmp_path / "all.parquet").read_bytes()
    rows, types = read(content, tmp_path)
    for row, one, exact in zip(rows, known, costs, strict=True):
        amounts = {name: row.pop(name) for name in USD}
        assert amounts == {name: exact[name] for name in USD}
        assert {name: value for name, value in row.items() if value != one[name]} == {}
    assert list(types) == list(RUN_TYPES)
    names = ("started_at", "cost_usd", "input_tokens", "cached", "ttft_ms", "tags", "parameters")
    assert [types[name] for name in names] == [
        *("TIMESTAMP WITH TIME ZONE", "DECIMAL(18,12)", "BIGINT", "BOOLEAN", "DOUBLE"),
        *("VARCHAR[]", "JSON"),
    ]
    assert list(folder.iterdir()) == []


def test_pandas_has_the_costs_of_lp_costs(log, tmp_path):
    shelf.fill(log)
    path = tmp_path / "runs.parquet"
    lp.export(lp.runs(), path=path)
    frame = duckdb.read_parquet(str(path)).df()
    assert frame.cost_usd.sum() == pytest.approx(lp.runs().cost_usd.sum())
    assert str(frame.started_at.dt.tz) in ("UTC", "Etc/UTC")


def test_odd_values_are_kept_as_text(tmp_path, folder):
    bare = plain_row(shelf.run())
    odd = {
        "tags": "one",
        "attachments": [3, None, "\0"],
        "parameters": "no object",
        "model": "\0é\u2028",
    }
    [row], _ = read(to_parquet([bare | odd]), tmp_path)
    assert (row["tags"], row["attachments"]) == (["one"], ["3", "null", "\0"])
    assert (row["parameters"], row["model"]) == ("no object", "\0é\u2028")
    with pytest.raises(duckdb.Error):
        to_parquet([bare | {"input_tokens": "many"}])
    assert list(folder.iterdir()) == []


def test_an_import_brings_the_rows_back(log, elsewhere, tmp_path, folder):
    shelf.fill(log)
    path = tmp_path / "all.parquet"
    content = lp.export(lp.runs(), path=path)
    before = json.loads(lp.export(lp.runs().sort_values("run_id")), parse_float=Decimal)["runs"]
    elsewhere()
    assert lp.import_runs(path) == len(before)
    after = json.loads(lp.export(lp.runs().sort_values("run_id")), parse_float=Decimal)["runs"]
    assert after == before
    assert lp.import_runs(content) == 0
    assert list(folder.iterdir()) == []


def test_files_that_are_no_runs_are_refused_in_a_line(log, folder):
    whole = lp.export([shelf.run()], "parquet")
    other = parquet.to_parquet({"a": "BIGINT"}, [["1"]], {})
    odd = to_parquet([plain_row(shelf.run()) | {"parameters": "no object"}])
    for content, said in (
        (b"PAR1", "not Parquet that can be read"),
        (whole[:-20], "not Parquet that can be read"),
        (other, "it has no column run_id"),
        (odd, "runs[0].parameters: expected an object"),
    ):
        with pytest.raises(lp.errors.InvalidParameterError) as error:
            lp.import_runs(content)
        assert said in str(error.value)
        assert "\n" not in str(error.value)
    assert lp.runs().empty
    assert list(folder.iterdir()) == []


def test_content_that_is_too_large_is_refused():
    content = parquet.to_parquet({"run_id": "VARCHAR"}, [["x" * 9_000] for _ in range(9)], {})
    with pytest.raises(ValueError, match="its content takes"):
        parquet.from_parquet(content, ["run_id"], 10)


def test_no_runs_are_a_table_without_rows(tmp_path):
    rows, types = read(lp.export([], "parquet"), tmp_path)
    assert rows == []
    assert list(types) == list(RUN_TYPES)
