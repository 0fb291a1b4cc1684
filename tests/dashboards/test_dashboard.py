"""The dashboard's widget: filters, sections, drilling down, an empty log, errors."""

import gc
import threading
import weakref
from datetime import UTC, datetime, timedelta

import ipywidgets
import pytest

import llm_playground as lp
from llm_playground import _runtime
from llm_playground.dashboards import Dashboard, overview_page
from llm_playground.errors import InvalidParameterError, RunLogError
from llm_playground.reports import overview
from llm_playground.runlog import open_log
from tests.reports.shelf import add

NOW = datetime(2026, 3, 20, 12, tzinfo=UTC)


@pytest.fixture
def log(tmp_path, monkeypatch):
    path = str(tmp_path / "runs.duckdb")
    monkeypatch.setenv("LLM_PLAYGROUND_LOG", path)
    log = open_log(path)
    yield log
    log.close()


@pytest.fixture
def filled(log):
    for day in range(40):
        at = NOW - timedelta(days=day)
        add(log, at=at, user=("ada", "bob")[day % 2], model=f"openai:m{day % 3}", tags=("x",))
    log.drain()
    return log


def made(opened=(), **filters):
    def open_run(run_id):
        opened.append(run_id)
        return ipywidgets.Label(run_id)

    return Dashboard(filters, tz="UTC", admin=False, at=NOW, open_run=open_run)


def runs_of(dashboard):
    assert dashboard.wait()
    return overview.total(dashboard._figures.overview(dashboard._state).by_day_and_model)["runs"]


@pytest.mark.parametrize(
    ("quick", "filters", "runs"),
    [
        ("7", {"since": "2026-03-14", "until": "2026-03-21"}, 7),
        ("30", {"since": "2026-02-19", "until": "2026-03-21"}, 30),
        ("month", {"since": "2026-03-01", "until": "2026-03-21"}, 20),
        ("all", {}, 40),
    ],
)
def test_quick_choices_set_the_dates(filled, quick, filters, runs):
    dashboard = made(since="2026-01-01", until="2026-01-02")
    assert dashboard.filter_bar.quick.value is None
    dashboard.filter_bar.quick.value = quick
    assert {name: f"{at:%Y-%m-%d}" for name, at in dashboard.filters.items()} == filters
    assert runs_of(dashboard) == runs


def test_lists_offer_what_occurs_and_reset_clears_all(filled):
    dashboard = made(model="openai:m1", search="question", user="ghost")
    lists = dashboard.filter_bar.lists
    assert [value for _, value in lists["model"].options] == [
        "",
        *(f"openai:m{n}" for n in range(3)),
    ]
    assert [value for _, value in lists["user"].options] == ["", "ada", "bob", "ghost"]
    assert [value for _, value in lists["tag"].options] == ["", "x"]
    assert runs_of(dashboard) == 0
    assert "No run fits" in dashboard.board.notice
    lists["user"].value = "ada"
    assert runs_of(dashboard) == 6
    dashboard.filter_bar.reset()
    assert dashboard.filters == {}
    assert runs_of(dashboard) == 40


def test_the_newest_of_many_changes_is_drawn_and_no_other(filled, monkeypatch):
    dashboard = made()
    drawn, may_draw = [], threading.Event()
    original = overview_page.cards

    def slow(figures, state):
        drawn.append(dict(state.filters).get("user"))
        may_draw.wait(60)
        return original(figures, state)

    monkeypatch.setitem(dashboard._cards_of, "overview", slow)
    for user in ("ada", "bob", "", "ada", "bob"):
        dashboard.filter_bar.lists["user"].value = user
    assert dashboard.board.is_busy
    may_draw.set()
    assert dashboard.wait()
    assert drawn[-1] == "bob"
    assert len(drawn) <= 2
    assert not dashboard.board.is_busy


def test_a_figure_leads_to_its_runs_and_a_run_to_what_opens_it(filled):
    opened = []
    dashboard = made(opened, user="ada")
    bar = dashboard.cards()[3].drawing.rows[0]
    dashboard._on_message(None, {"type": "press", "value": bar.key}, [])
    assert dashboard.wait()
    assert dashboard.section == "runs"
    [card] = dashboard.cards()
    assert card.title == f"Runs of {bar.label}"
    assert {row[4].text for row in card.table.rows} == {"ada"}
    dashboard._on_message(None, {"type": "press", "value": card.table.rows[0][0].key}, [])
    assert opened == lp.runs(user="ada", model=bar.label, limit=1).run_id.tolist()


def test_a_new_run_is_shown_after_the_next_change(filled):
    dashboard = made()
    assert runs_of(dashboard) == 40
    add(filled, at=NOW)
    dashboard.refresh()
    assert runs_of(dashboard) == 41


@pytest.mark.parametrize(
    ("cost_usd", "said"), [(0, "These runs cost nothing."), (None, "No price is known.")]
)
def test_runs_without_costs_have_a_sentence_instead_of_empty_axes(log, cost_usd, said):
    add(log, at=NOW, cost_usd=cost_usd)
    dashboard = made()
    cards = {card.name: card for card in dashboard.cards()}
    assert cards["days"].empty == cards["months"].empty == said
    dashboard.show("quality")
    assert not {card.name: card for card in dashboard.cards()}["waste"].note  # nothing repeated


def test_an_empty_log_offers_generated_runs_and_says_how_to_remove_them(log):
    dashboard = made()
    assert dashboard.board.has_demo_button
    assert "The run log is empty" in dashboard.board.notice
    dashboard._on_message(None, {"type": "demo"}, [])
    assert dashboard.wait()
    assert not dashboard.board.has_demo_button
    assert "This shows demo data: 1,000 generated runs" in dashboard.board.notice
    lp.purge(tag="demo", keep="nothing", dry_run=False)
    dashboard.refresh()
    assert dashboard.wait()
    assert dashboard.board.has_demo_button


def test_an_error_is_one_line_and_the_next_change_recovers(filled, monkeypatch):
    dashboard = made()
    before = dashboard.board.content

    def broken(*_arguments):
        raise RunLogError("The log cannot be read now. Try again.")

    with monkeypatch.context() as patch:
        patch.setattr(overview, "log_state", broken)
        dashboard.refresh()
        assert dashboard.wait()
    assert dashboard.board.problem == "The log cannot be read now. Try again."
    assert dashboard.board.content == before
    dashboard.refresh()
    assert dashboard.wait()
    assert dashboard.board.problem == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"modle": "x"}, "Did you mean model"),
        ({"tz": "Mars"}, "takes a time zone"),
        ({"since": "soon"}, "since is 'soon'"),
        ({"status": "done"}, "completed"),
        ({"section": "costs"}, "overview, quality, savings, runs, not 'costs'"),
        ({"section": "admin"}, "admin=True"),
    ],
)
def test_wrong_arguments_are_one_line(log, arguments, message):
    with pytest.raises(InvalidParameterError, match=message) as raised:
        lp.dashboard(**arguments)
    assert "\n" not in str(raised.value)


def test_the_saved_form_has_the_figures_without_scripts_and_styles(filled):
    dashboard = made()
    html = dashboard._saved.data["text/html"]
    assert "<h4>Cost by user" in html
    assert html.count("data:image/svg+xml;base64,") >= 5
    assert "<script" not in html
    assert "style=" not in html
    assert "Runs: 40" in dashboard._saved.data["text/plain"]


def test_a_notebook_without_a_browser_saves_the_section_it_asked_for(filled):
    dashboard = lp.dashboard(section="admin", admin=True)
    assert dashboard.section == dashboard.board.section == "admin"
    assert "<h4>Audit log" in dashboard._saved.data["text/html"]


@pytest.mark.parametrize(
    ("section", "admin", "end"),
    [
        ("admin", False, "not 'admin'. admin=True adds admin."),
        (["runs"], True, 'runs, admin, not ["runs"].'),
    ],
)
def test_an_unknown_section_is_refused(filled, section, admin, end):
    with pytest.raises(lp.InvalidParameterError) as refused:
        lp.dashboard(section=section, admin=admin)
    assert str(refused.value).endswith(end)


def test_an_unknown_message_changes_nothing(filled):
    dashboard = made()
    pressed = ("x", None, "[]", "{}", "5", "NaN", '{"run": 5}', '{"slice": "model", "value": [1]}')
    odd = [{}, {"type": "section", "value": "none"}, {"type": 5}]
    for message in [*odd, *({"type": "press", "value": value} for value in pressed)]:
        dashboard._on_message(None, message, [])
        assert dashboard.wait()
        assert (dashboard.section, dashboard.board.problem) == ("overview", "")


def test_a_closed_dashboard_is_drawn_to_its_end_and_leaves_nothing(filled, monkeypatch):
    monkeypatch.setattr(_runtime, "_IDLE_S", 0)
    dashboard = made()
    may_draw, original = threading.Event(), overview_page.cards

    def slow(figures, state):
        may_draw.wait(60)
        return original(figures, state)

    monkeypatch.setitem(dashboard._cards_of, "overview", slow)
    dashboard.refresh()
    dashboard.close()
    may_draw.set()
    assert dashboard.wait()
    assert dashboard.board.problem == ""

    while (thread := dashboard._drawer._thread) is not None:
        thread.join(60)
    is_alive = weakref.ref(dashboard)
    del dashboard
    gc.collect()
    assert is_alive() is None


def test_the_audit_log_says_what_was_changed_from_and_to(filled):
    lp.set_budget(10, model="openai:*")
    lp.set_budget(25, model="openai:*", action="warn")
    dashboard = Dashboard({}, tz="UTC", admin=True, at=NOW, open_run=lambda _: None)
    dashboard.show("admin")
    assert dashboard.wait()
    budgets, audit = dashboard.cards()[1:]
    texts = [cell.text for cell in audit.table.rows[0]]
    assert texts[2] == "set budget per month · openai:*"
    assert texts[3].startswith("limit $10.00 → $25.00 · action block → warn")
    assert not [cell.text for row in audit.table.rows for cell in row if "{" in cell.text]

    # A budget leads to the runs that it counts.
    dashboard._on_message(None, {"type": "press", "value": budgets.drawing.rows[0].key}, [])
    assert dashboard.wait()
    [card] = dashboard.cards()
    assert card.title == "Runs of the budget per month · openai:*"
