"""The price tag beside Run: what it says, how soon, and what a press of Run does about it."""

# ruff: noqa: RUF001 - the multiplication sign is what people read

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest

import llm_playground as lp
from llm_playground.budgeting import standing
from llm_playground.budgeting.standing import Outlook
from llm_playground.widgets import outlooks, pricer
from llm_playground.widgets.form import Form
from llm_playground.widgets.newest import Newest
from llm_playground.widgets.pricer import price
from tests.budgets.conftest import shop  # noqa: F401 - a fixture
from tests.budgets.shopper import KEY, MODEL, answer, endless

SOON_S = 20


def until(condition, timeout_s=SOON_S):
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    """Nothing is known of another test's log."""
    monkeypatch.setattr(outlooks, "outlooks", outlooks.Outlooks())
    for module in ("pricer", "presses", "spending"):
        monkeypatch.setattr(f"llm_playground.widgets.{module}.outlooks", outlooks.outlooks)


@pytest.fixture
def panel(shop):  # noqa: F811 - the fixture
    """Makes a panel on the scripted shop, where a token of an answer costs a tenth of a cent."""
    made = []

    def make(script=None, **given):
        server = shop(script or answer(1))
        given = {"models": [MODEL], "prompt": "hi", "max_tokens": 5} | given
        made.append(lp.Playground("shop", **given))
        made[-1]._handle_custom_msg({"type": "sync", "view": "v"}, [])
        until(lambda: made[-1].price)
        return made[-1], server

    yield make
    for pg in made:
        pg.close()
    for thread in (pricer._prices, pricer._readers):
        thread.submit(lambda: None).result(SOON_S)  # nothing is left to meet the next test's log


@pytest.fixture
def views(monkeypatch):
    """Every message that panels send to their views."""
    messages = []
    monkeypatch.setattr(lp.Playground, "send", lambda _self, content: messages.append(content))
    return messages


def says(pg, text):
    until(lambda: pg.price.get("text") == text)


def look_again(pg):
    """As after each cell."""
    outlooks.outlooks.expire()
    pg.price_anew()


def questions(views):
    return [message for message in views if message["type"] == "confirm"]


def form_of(pg, **changes):
    return {"prompt": pg.prompt, "models": pg.models, "iterations": pg.iterations} | changes


def press(pg, **said):
    pg._handle_custom_msg({"type": "run", "form": {}, "view": "v", **said}, [])


@pytest.mark.parametrize(
    ("form", "text"),
    [
        (Form("hi", models=["local"], iterations=3), "3 calls · free, runs in this kernel"),
        (Form("hi", models=["ollama:any"]), "1 call · free"),
        (Form(models=[]), "No model chosen"),
        (
            Form("hi", models=["openai:any", "local"], parameters={"max_tokens": 8}, iterations=3),
            "2 models × 3 = 6 calls · about $0.0240, at most $0.0240",
        ),
        (
            Form("hi", models=["openai:any"]),
            "1 call · about $0.5000, at most about $4.10",
        ),
        (
            Form("hi", models=["openai:any", "deepseek:nobody-knows"], iterations=3),
            "2 models × 3 = 6 calls · 3 priced at about $1.50, 3 of unknown price",
        ),
        (
            Form("hi", models=["local", "deepseek:nobody-knows"]),
            "2 calls · 1 free, 1 of unknown price",
        ),
        (Form("hi", models=["deepseek:nobody-knows"]), "1 call · price unknown"),
        (
            Form(
                "hi {{a}}",
                models=["openai:any", "local"],
                parameters={"temperature": [0, 1], "max_tokens": 1},
                cases=[{"a": 1}, {"a": 2}, {"a": 3}],
                iterations=3,
            ),
            "2 models × 3 cases × 2 temperature values × 3 = 36 calls"
            " · about $0.0180, at most $0.0180",
        ),
    ],
)
def test_the_line_says_how_many_calls_and_what_they_cost(shop, form, text):  # noqa: F811
    shop(answer())

    assert price(form, {}).text == text


def test_a_prompt_that_is_not_written_yet_has_a_price(shop):  # noqa: F811
    shop(answer())

    assert price(Form("", models=[MODEL], parameters={"max_tokens": 5}), {}).text == (
        "1 call · about $0.0050, at most $0.0050"
    )


def test_what_cannot_be_sent_has_no_price_and_says_why(shop):  # noqa: F811
    shop(answer())

    tag = price(Form("{{article}}", models=[MODEL]), {})

    assert (tag.text, tag.calls) == ("", 0)
    assert tag.problem == (
        "{{article}} is not defined. Run the cell that defines it, or type a value."
    )
    assert price(Form("{{article}}", models=[MODEL]), {"article": "news"}).problem == ""


def test_the_tag_follows_the_form(panel):
    pg, _ = panel()
    says(pg, "1 call · about $0.0050, at most $0.0050")

    pg.iterations = 4

    says(pg, "4 calls · about $0.0200, at most $0.0200")
    pg.models = []
    says(pg, "No model chosen")


def test_the_log_of_earlier_runs_makes_the_price_a_better_guess(panel):
    pg, _ = panel(max_tokens=100, n=1)
    says(pg, "1 call · about $0.1000, at most $0.1000")

    lp.compare("hi", MODEL, n=20, max_tokens=5)
    outlooks.outlooks.expire()
    outlooks.outlooks._histories_at.clear()
    pg.price_anew()

    says(pg, "1 call · about $0.0010, at most $0.1000")


def test_a_budget_that_gets_low_makes_the_tag_amber(panel):
    pg, _ = panel()
    lp.set_budget(0.0051, period="total")

    look_again(pg)

    says(pg, "1 call · about $0.0050, at most $0.0050 · leaves $0.0001 of $0.0051 in all")
    assert (pg.price["tone"], pg.price["fits"]) == ("amber", None)


def test_a_budget_that_only_warns_never_takes_calls_away(panel):
    pg, _ = panel(n=3)
    lp.set_budget(0.005, period="total", action="warn")

    look_again(pg)

    until(lambda: pg.price["tone"] == "amber")
    assert pg.price["text"].endswith("· over $0.0050 in all, which only warns")
    assert (pg.price["button"], pg.price["fits"]) == ("Run", None)


def test_over_a_budget_run_sends_what_fits(panel):
    pg, server = panel(n=6)
    lp.set_budget(0.0221, period="total")
    look_again(pg)
    says(pg, "Fits 4 of 6 calls: $0.0221 of $0.0221 left in all")
    assert (pg.price["tone"], pg.price["button"]) == ("red", "Run 4")

    press(pg, fits=4)

    until(lambda: len(server.requests) == 4)
    assert pg.results.status.tolist() == ["completed"] * 4


def test_what_comes_after_a_call_that_does_not_fit_may_fit_all_the_same(panel):
    pg, _ = panel(models=[MODEL, "local"], n=2)
    lp.set_budget(0.006, period="total")
    look_again(pg)

    until(lambda: pg.price["fits"] == 3)


def test_when_other_calls_fit_than_were_shown_nothing_is_sent(panel, views):
    pg, server = panel(n=6)
    lp.set_budget(0.0221, period="total")
    look_again(pg)
    until(lambda: pg.price["fits"])

    press(pg, fits=5)

    until(lambda: [message for message in views if message["type"] == "look"])
    [look] = [message for message in views if message["type"] == "look"]
    assert look["says"] == "4 of 6 calls fit the budget now. Nothing was sent."
    assert (server.requests, pg.problem) == ([], "")


def test_a_reason_overrides_the_budget_and_is_audited(panel):
    pg, server = panel(n=3)
    lp.set_budget(0.006, period="total")
    look_again(pg)
    until(lambda: pg.price["fits"])

    press(pg, override="the report is due")

    until(lambda: len(server.requests) == 3)
    assert pg.results.status.tolist() == ["completed"] * 3
    audited = lp.sql("SELECT detail FROM audit_log WHERE action = 'override_budget'")
    assert audited.detail.str.contains("the report is due").all()
    assert len(audited)


def test_a_model_of_unknown_price_can_be_refused_by_a_budget(panel):
    pg, _ = panel(models=["openai:any", "deepseek:nobody-knows"])
    lp.set_budget(5, period="total", unknown_price="block")
    look_again(pg)

    says(
        pg,
        "Fits 1 of 2 calls: the price of nobody-knows is unknown, which $5.00 in all does not"
        " allow",
    )
    assert pg.price["unpriced"] == ["deepseek:nobody-knows"]


def test_a_first_press_asks_and_the_second_sends(panel, views):
    pg, server = panel(n=2, max_tokens=600)
    until(lambda: pg.price["second_press"])

    press(pg)

    until(lambda: questions(views))
    [asked] = questions(views)
    assert (asked["button"], asked["view"]) == ("Run · up to $1.20", "v")
    assert asked["says"] == "Press again to send 2 calls"
    assert server.requests == []
    press(pg, confirmed=asked["confirmed"])
    until(lambda: len(server.requests) == 2)
    assert len(pg.results) == 2


def test_a_form_that_changed_after_the_question_is_asked_about_again(panel, views):
    pg, server = panel(n=2, max_tokens=600)
    press(pg)
    until(lambda: questions(views))

    press(pg, form={"prompt": "something else"}, confirmed=questions(views)[0]["confirmed"])

    until(lambda: len(questions(views)) == 2)
    first, second = questions(views)
    assert first["confirmed"] != second["confirmed"]
    assert server.requests == []


def test_a_made_up_confirmation_sends_nothing(panel, views):
    pg, server = panel(n=2, max_tokens=600)

    press(pg, confirmed="yes")

    until(lambda: questions(views))
    assert server.requests == []


def test_from_python_too_much_is_an_error_unless_a_reason_is_given(panel):
    pg, server = panel(n=2, max_tokens=600)

    with pytest.raises(lp.BudgetExceededError, match=r"up to \$1\.20 \(2 calls\)"):
        pg.run()
    assert server.requests == []

    pg.run(override="asked for")
    assert len(pg.results) == 2


def test_an_override_is_a_reason(panel):
    pg, server = panel()

    with pytest.raises(lp.InvalidParameterError, match="override takes the reason as text"):
        pg.run(override=" ")
    assert server.requests == []


def test_try_one_makes_the_first_call_alone(panel):
    pg, server = panel(models=[MODEL, "local"], n=3)
    pg.temperature = [0, 1]
    until(lambda: pg.price["calls"] == 12)
    assert pg.price["one"] == "any once · about $0.0050, at most $0.0050"

    pg.try_one()

    assert pg.results.model.tolist() == [MODEL]
    assert server.requests[0].json["temperature"] == 0


def test_while_it_runs_the_cost_so_far_is_said_and_then_the_estimate(panel, views):
    pg, _ = panel(endless(), n=2, max_tokens=100)

    pg.run()
    until(lambda: pg.sheet.summary() == "$0.0040 so far, at most $0.2000")  # four times a second

    said = [m["summary"] for m in views if "so far" in m.get("summary", "")]
    assert said
    assert all(line.endswith("so far, at most $0.2000") for line in said)
    pg.stop()
    assert len(pg.results) == 2
    until(lambda: "(estimate $0.2000)" in pg.sheet.summary())


def test_free_answers_have_no_estimate(home):
    pg = lp.Playground(models=["local"], prompt="Say hi.", max_tokens=4)
    pg.run()

    assert len(pg.results) == 1
    assert pg.sheet.summary().startswith("1 answer · free · ")
    pg.close()


def test_a_price_set_in_the_panel_is_this_kernels(panel, views):
    pg, _ = panel(models=["deepseek:nobody-knows"], max_tokens=1000)
    says(pg, "1 call · price unknown")
    asked = {"model": "deepseek:nobody-knows", "input_usd": 1, "output_usd": 2}

    pg._handle_custom_msg({"type": "ask", "id": "1", "what": "set_price", "given": asked}, [])

    says(pg, "1 call · about $0.0010, at most $0.0020")
    assert lp.estimate("hi", "deepseek:nobody-knows", max_tokens=1000).worst_case_usd > 0


def test_a_price_that_is_no_price_is_refused_in_a_line(panel, views):
    pg, _ = panel(models=["deepseek:nobody-knows"])
    asked = {"model": "deepseek:nobody-knows", "input_usd": -1, "output_usd": 2}

    pg._handle_custom_msg({"type": "ask", "id": "1", "what": "set_price", "given": asked}, [])

    until(lambda: any(m["type"] == "reply" for m in views))
    [reply] = [m for m in views if m["type"] == "reply"]
    assert "input_usd_per_mtok" in reply["error"]


def test_a_normal_form_is_priced_within_50_ms(shop):  # noqa: F811
    shop(answer())
    given = {"models": ["openai:any", "openai:gpt-4o"], "iterations": 3}
    price(Form("warm up", **given), {})
    took = []

    for number in range(20):  # as while typing: each time another prompt
        began = time.perf_counter()
        price(
            Form(f"Summarise {{{{article}}}}. {'word ' * number}", **given), {"article": "x" * 5000}
        )
        took.append(time.perf_counter() - began)

    assert sorted(took)[10] < 0.05


def test_typing_into_a_form_of_3000_calls_waits_for_nothing(panel):
    pg, _ = panel(models=[MODEL, "openai:gpt-4o", "anthropic:claude-haiku-4-5"])
    pg.cases = [{"a": f"{number} " * (number % 300)} for number in range(1000)]

    took = []
    for number in range(30):
        began = time.perf_counter()
        pg.prompt = f"{{{{a}}}} {number}"
        took.append(time.perf_counter() - began)

    assert sorted(took)[15] < 0.05
    until(lambda: pg.price["text"].startswith("3 models × 1,000 cases = 3,000 calls"))


def test_the_newest_wins_and_what_is_outdated_is_given_up():
    began, release, done = threading.Event(), threading.Event(), []
    given = ["first"]

    def work(wanted):
        now = given[0]
        began.set()
        assert release.wait(SOON_S)
        done.append((now, wanted()))

    with ThreadPoolExecutor(1) as thread:
        newest = Newest(work, thread)
        newest.ask()
        assert began.wait(SOON_S)
        for given[0] in ("second", "third", "fourth"):
            newest.ask()
        release.set()
        until(lambda: len(done) == 2)

    assert done == [("first", False), ("fourth", True)]


def test_work_that_fails_does_not_end_the_work(caplog):
    done = threading.Event()
    works = iter([lambda: 1 / 0, done.set])

    with ThreadPoolExecutor(1) as thread:
        newest = Newest(lambda _wanted: next(works)(), thread)
        newest.ask()
        until(lambda: "could not work something out" in caplog.text)
        newest.ask()
        assert done.wait(SOON_S)


def test_a_log_without_budgets_is_never_opened(home, shop):  # noqa: F811
    shop(answer())

    assert outlooks.outlooks.read([MODEL]) is False or outlooks.outlooks.known() == Outlook()
    assert not (home / "runs.duckdb").exists()


def test_a_tag_of_one_log_says_nothing_of_another(panel, tmp_path):
    panel()
    lp.set_budget(1, period="total")
    outlooks.outlooks.expire()
    outlooks.outlooks.read([])
    assert outlooks.outlooks.known().standings[0].left_usd == Decimal(1)

    lp.configure(log=tmp_path / "other.duckdb")

    assert outlooks.outlooks.known().standings == ()


def test_what_was_read_while_the_log_changed_is_forgotten(home, shop, monkeypatch):  # noqa: F811
    shop(answer())
    lp.set_budget(1, period="total")

    def read_slowly():
        found = standing.standings()
        lp.configure(log=home / "other.duckdb")
        return found

    monkeypatch.setattr(outlooks, "standings", read_slowly)

    assert outlooks.outlooks.read([]) is False
    assert outlooks.outlooks.known() == Outlook()

    lp.configure(log=home / "runs.duckdb")

    assert outlooks.outlooks.known() == Outlook()
    assert outlooks.outlooks.is_stale([])


def test_no_tag_holds_a_key(panel):
    pg, _ = panel()

    assert KEY not in str(pg.price)
