"""What the run log says of runs, money and time."""

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import pandas as pd
import pytest

from llm_playground import reports
from llm_playground.errors import InvalidParameterError, RunLogError
from llm_playground.runlog import open_log
from llm_playground.types import Usage
from tests.runlog.actors import execution_of, prompt, record

COSTS = ["runs", "input_tokens", "output_tokens", "cost_usd", "unpriced_runs", "estimated_runs"]
LATENCY = ["runs", "p50_ms", "p95_ms", "p99_ms", "ttft_p50_ms", "ttft_p95_ms"]
LATENCY += ["tokens_per_second", "error_rate"]
NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def log(tmp_path, monkeypatch):
    path = tmp_path / "runs.duckdb"
    monkeypatch.setenv("LLM_PLAYGROUND_LOG", str(path))
    log = open_log(str(path))
    yield log
    log.close()


@pytest.fixture(scope="module")
def shelf(tmp_path_factory):
    """Three runs in three days, unlike each other in everything one can filter by."""
    log = open_log(str(tmp_path_factory.mktemp("log") / "runs.duckdb"))
    second, third = (NEW_YEAR + timedelta(days=days) for days in (1, 2))
    about = {"question": "About whales", "notebook": "work/one.ipynb", "tags": ("x", "y")}
    add(log, text="1", model="local:smollm2-135m-instruct", **about)
    add(log, text="2", at=second, user="bob", status="failed", notebook="two.ipynb")
    add(log, text="3", at=third, model="openai:gpt-x2", status="cancelled")
    log.drain()
    yield log
    log.close()


@pytest.fixture
def filled(shelf, monkeypatch):
    monkeypatch.setenv("LLM_PLAYGROUND_LOG", str(shelf.path))


def add(
    log, *, model="openai:gpt-x", text="An answer.", question="A question?", at=NEW_YEAR, **known
):
    """One run; ``user``, ``notebook`` and ``tags`` go to its execution, the rest to the run."""
    request = prompt(question, model=model)
    place = {"username": known.pop("user", "ada"), "notebook": known.pop("notebook", None)}
    execution = execution_of(request, tags=known.pop("tags", ()), started_at=at, **place)
    return record(log, request, execution, text=text, **known)


def texts(**filters):
    return list(reports.runs(**filters).response_text)


def test_runs_are_newest_first_and_limited(log):
    for day in (2, 0, 1):
        add(log, text=str(day), at=NEW_YEAR + timedelta(days=day))
    assert texts() == ["2", "1", "0"]
    assert texts(limit=2) == ["2", "1"]
    assert texts(limit=0) == []


def test_an_empty_log_gives_empty_frames_with_the_right_columns(log):
    assert list(reports.costs().columns) == ["month", "model", *COSTS]
    assert list(reports.latency().columns) == ["model", *LATENCY]
    assert len(reports.costs()) == len(reports.latency()) == len(reports.runs()) == 0
    assert len(reports.costs(by=())) == 0
    assert pd.api.types.is_integer_dtype(reports.costs().runs.dtype)
    assert pd.api.types.is_float_dtype(reports.costs().cost_usd.dtype)
    assert reports.runs().started_at.dt.tz is not None


@pytest.mark.parametrize(
    ("model", "found"),
    [
        ("local", ["1"]),
        ("gpt-x", ["2"]),
        ("openai:gpt-x", ["2"]),
        ("gpt-*", ["2", "3"]),
        ("openai:*", ["2", "3"]),
        ("*x", ["2"]),
        (["local", "gpt-x2"], ["1", "3"]),
        ("gpt", []),
        ("gpt_x", []),
        ("%", []),
    ],
)
def test_a_model_is_found_as_people_write_it(filled, model, found):
    assert sorted(texts(model=model)) == found


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({"user": "bob"}, ["2"]),
        ({"status": "failed"}, ["2"]),
        ({"status": ["failed", "completed"]}, ["1", "2"]),
        ({"tag": "x"}, ["1"]),
        ({"tag": "nope"}, []),
        ({"notebook": "one.ipynb"}, ["1"]),
        ({"notebook": "work/one.ipynb"}, ["1"]),
        ({"notebook": "*.ipynb"}, ["1", "2"]),
        ({"notebook": "ne.ipynb"}, []),
        ({"search": "WHALES"}, ["1"]),
        ({"search": "100%"}, []),
        ({"user": "bob", "tag": "x"}, []),
        ({"since": "2026-01-02"}, ["2", "3"]),
        ({"since": date(2026, 1, 2)}, ["2", "3"]),
        ({"since": datetime(2026, 1, 2)}, ["2", "3"]),
        ({"since": "2026-01-02T00:00:01"}, ["3"]),
        ({"until": "2026-01-02"}, ["1", "2"]),
        ({"until": date(2026, 1, 2)}, ["1", "2"]),
        ({"until": datetime(2026, 1, 2, tzinfo=UTC)}, ["1"]),
        ({"since": datetime(2026, 1, 2, 1, tzinfo=timezone(timedelta(hours=1)))}, ["2", "3"]),
        ({"since": pd.Timestamp("2026-01-03", tz="UTC")}, ["3"]),
        ({"since": "2026-01", "until": "2026-01"}, ["1", "2", "3"]),
        ({"since": "2026-02"}, []),
        ({"until": "2025-12"}, []),
    ],
)
def test_filters_choose_and_a_last_day_or_month_is_included_to_its_end(filled, filters, found):
    assert sorted(texts(**filters)) == found


@pytest.mark.parametrize(
    ("ask", "says"),
    [
        (lambda: reports.costs(by="week"), "month, day, model, provider"),
        (lambda: reports.latency(by=("model", "nope")), "'nope'"),
        (lambda: reports.costs(by="month", tz="Mars/Olympus"), "time zone"),
        (lambda: reports.runs(since="yesterday"), "'yesterday'"),
        (lambda: reports.runs(until=20260101), "20260101"),
        (lambda: reports.runs(since="2026-13"), "2026-13"),
        (lambda: reports.runs(status="done"), "completed"),
        (lambda: reports.runs(limit=-1), "limit"),
        (lambda: reports.runs(limit=True), "limit"),
        (lambda: reports.runs(modle="x"), "'modle'"),
        (lambda: reports.costs(users="x"), "'users'"),
    ],
)
def test_what_cannot_be_understood_is_said_in_one_line(filled, ask, says):
    with pytest.raises(InvalidParameterError) as error:
        ask()
    assert says in str(error.value)
    assert "\n" not in str(error.value)


def test_costs_add_up_and_the_unknown_is_never_zero(log):
    add(log, cost_usd=Decimal("0.10"), usage=Usage(10, 20))
    add(log, cost_usd=Decimal("0.20"), usage=Usage(1, 2), usage_source="estimated")
    add(log, cost_usd=None, usage=None)
    add(log, model="ownserver:m", cost_usd=None)
    add(log, model="local:m", cost_usd=Decimal(0))
    frame = reports.costs().set_index("model")
    priced = frame.loc["openai:gpt-x"]
    assert (priced.month, priced.runs, priced.input_tokens, priced.output_tokens) == (
        "2026-01",
        3,
        11,
        22,
    )
    assert priced.cost_usd == pytest.approx(0.30)
    assert (priced.unpriced_runs, priced.estimated_runs) == (1, 1)
    assert pd.isna(frame.loc["ownserver:m"].cost_usd)
    assert frame.loc["ownserver:m"].unpriced_runs == 1
    assert frame.loc["local:m"].cost_usd == 0
    assert frame.loc["local:m"].unpriced_runs == 0


@pytest.mark.parametrize(
    ("by", "groups"),
    [
        ("month", {"2025-12": 1, "2026-01": 2}),
        ("day", {"2025-12-31": 1, "2026-01-01": 2}),
        ("model", {"openai:gpt-x": 2, "local:m": 1}),
        ("provider", {"openai": 2, "local": 1}),
        ("user", {"ada": 2, "bob": 1}),
        ("notebook", {"n.ipynb": 1, None: 2}),
        ("tag", {"x": 2, "y": 1, None: 1}),
        ("status", {"completed": 2, "failed": 1}),
    ],
)
def test_costs_are_grouped_by_what_is_named(log, by, groups):
    add(log, at=NEW_YEAR - timedelta(hours=1), tags=("x", "y"))
    add(log, user="bob", notebook="n.ipynb", tags=("x",))
    add(log, model="local:m", status="failed")
    frame = reports.costs(by=by)
    assert list(frame.columns) == [by, *COSTS]
    names = [None if pd.isna(name) else name for name in frame[by]]
    assert dict(zip(names, frame.runs, strict=True)) == groups


def test_several_names_group_together_in_their_order(log):
    add(log)
    add(log, user="bob")
    frame = reports.costs(by=["user", "month"])
    assert list(frame.columns)[:2] == ["user", "month"]
    assert frame.user.tolist() == ["ada", "bob"]


def test_no_name_gives_the_total(log):
    add(log, cost_usd=Decimal("0.1"))
    add(log, model="local:m", cost_usd=Decimal("0.2"))
    frame = reports.costs(by=())
    assert list(frame.columns) == COSTS
    assert frame.cost_usd[0] == pytest.approx(0.3)


def test_months_are_utc_unless_a_zone_is_named(log):
    add(log, at=datetime(2025, 12, 31, 23, 30, tzinfo=UTC))
    assert reports.costs(by="month").month.tolist() == ["2025-12"]
    assert reports.costs(by="month", tz="Europe/Berlin").month.tolist() == ["2026-01"]


def test_latency_is_over_completed_runs_and_errors_over_all(log):
    for ms in range(1, 101):
        add(log, response_time_ms=float(ms), ttft_ms=float(ms) / 2, usage=Usage(1, ms))
    add(log, status="failed", response_time_ms=99_999.0)
    add(log, cached=True, response_time_ms=0.0)
    frame = reports.latency()
    assert list(frame.columns) == ["model", *LATENCY]
    row = frame.iloc[0]
    times = pd.Series(range(1, 101), dtype=float)
    assert row.runs == 101
    assert row.p50_ms == pytest.approx(times.quantile(0.50))
    assert row.p95_ms == pytest.approx(times.quantile(0.95))
    assert row.p99_ms == pytest.approx(times.quantile(0.99))
    assert row.ttft_p50_ms == pytest.approx(times.quantile(0.50) / 2)
    assert row.ttft_p95_ms == pytest.approx(times.quantile(0.95) / 2)
    assert row.tokens_per_second == pytest.approx(2_000)
    assert row.error_rate == pytest.approx(1 / 101)


def test_runs_that_never_answered_have_no_latency(log):
    add(log, status="failed", ttft_ms=None, response_time_ms=None)
    row = reports.latency().iloc[0]
    assert pd.isna(row.p50_ms)
    assert pd.isna(row.tokens_per_second)
    assert row.error_rate == 1.0


def test_filters_hold_for_costs_and_latency_too(log):
    add(log, user="bob")
    add(log)
    assert reports.costs(by="model", user="bob").runs.tolist() == [1]
    assert reports.latency(user="bob").runs.tolist() == [1]


def test_sql_reads_what_was_just_recorded(log):
    add(log, text="fresh")
    frame = reports.sql("SELECT response_text FROM runs WHERE model = ?", ["openai:gpt-x"])
    assert frame.response_text.tolist() == ["fresh"]
    with pytest.raises(RunLogError, match="only reads"):
        reports.sql("DROP TABLE results")
