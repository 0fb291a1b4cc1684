"""The price beside Run: its text, and what a press of Run does about it."""

# ruff: noqa: RUF001 - the multiplication sign is what people read
import pytest

import llm_playground as lp
from llm_playground.widget.cost_context import cost_contexts
from llm_playground.widget.form import Form
from llm_playground.widget.price_worker import own_prices, preview_for_form
from tests.budgeting.client import KEY, MODEL, answer, endless
from tests.widget.panels import until
from tests.widget.priced_panels import fresh as fresh
from tests.widget.priced_panels import panel as panel
from tests.widget.priced_panels import serve as serve
from tests.widget.priced_panels import shows


@pytest.fixture
def views(monkeypatch):
    """Every message that panels send to their views."""
    messages = []
    monkeypatch.setattr(lp.Playground, "send", lambda _self, content: messages.append(content))
    return messages


def refresh_price(pg):
    """As after each cell."""
    cost_contexts.expire_budgets()
    pg.refresh_price()


def questions(views):
    return [message for message in views if message["type"] == "confirm"]


def form_of(pg, **changes):
    return {"prompt": pg.prompt, "models": pg.models, "iterations": pg.iterations} | changes


def press(pg, **arguments):
    pg._handle_custom_msg({"type": "run", "form": {}, "view": "v", **arguments}, [])


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
            Form("hi", models=["openai:any", "deepseek:unlisted"], iterations=3),
            "2 models × 3 = 6 calls · 3 priced at about $1.50, 3 of unknown price",
        ),
        (
            Form("hi", models=["local", "deepseek:unlisted"]),
            "2 calls · 1 free, 1 of unknown price",
        ),
        (Form("hi", models=["deepseek:unlisted"]), "1 call · price unknown"),
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
def test_text_has_calls_and_cost(serve, form, text):
    serve(answer())

    assert preview_for_form(form, {}).text == text


def test_empty_prompt_has_a_price(serve):
    serve(answer())

    assert preview_for_form(Form("", models=[MODEL], parameters={"max_tokens": 5}), {}).text == (
        "1 call · about $0.0050, at most $0.0050"
    )


def test_form_that_cannot_be_sent_has_a_problem_and_no_price(serve):
    serve(answer())

    preview = preview_for_form(Form("{{article}}", models=[MODEL]), {})

    assert (preview.text, preview.calls) == ("", 0)
    assert preview.problem == (
        "{{article}} is not defined. Run the cell that defines it, or type a value. "
        r"To send the braces as they are, write \{{article}}."
    )
    assert preview_for_form(Form("{{article}}", models=[MODEL]), {"article": "news"}).problem == ""


def test_earlier_runs_improve_the_estimate(panel):
    pg, _ = panel(max_tokens=100, n=1)
    shows(pg, "1 call · about $0.1000, at most $0.1000")

    lp.compare("hi", MODEL, n=20, max_tokens=5)
    assert len(lp.runs()) == 20  # in the log: the statistics do not wait for that
    cost_contexts.clear()
    pg.refresh_price()

    shows(pg, "1 call · about $0.0010, at most $0.1000")


def test_low_budget_turns_the_preview_amber(panel):
    pg, _ = panel()
    lp.set_budget(0.0051, period="total")

    refresh_price(pg)

    shows(pg, "1 call · about $0.0050, at most $0.0050 · leaves $0.0001 of $0.0051 in total")
    assert (pg.price["tone"], pg.price["fits"]) == ("amber", None)


def test_warning_budget_removes_no_calls(panel):
    pg, _ = panel(n=3)
    lp.set_budget(0.005, period="total", action="warn")

    refresh_price(pg)

    until(lambda: pg.price["tone"] == "amber")
    assert pg.price["text"].endswith("· over $0.0050 in total, which only warns")
    assert (pg.price["button"], pg.price["fits"]) == ("Run", None)


def test_run_sends_the_calls_that_fit(panel):
    pg, server = panel(n=6)
    lp.set_budget(0.0221, period="total")
    refresh_price(pg)
    shows(pg, "Fits 4 of 6 calls: $0.0221 of $0.0221 left in total")
    assert (pg.price["tone"], pg.price["button"]) == ("red", "Run 4")

    press(pg, fits=4)

    until(lambda: len(server.requests) == 4)
    assert pg.results.status.tolist() == ["completed"] * 4


def test_call_after_one_that_does_not_fit_may_fit(panel):
    pg, _ = panel(models=[MODEL, "local"], n=2)
    lp.set_budget(0.006, period="total")
    refresh_price(pg)

    until(lambda: pg.price["fits"] == 3)


def test_nothing_is_sent_if_other_calls_fit_than_were_shown(panel, views):
    pg, server = panel(n=6)
    lp.set_budget(0.0221, period="total")
    refresh_price(pg)
    until(lambda: pg.price["fits"])

    press(pg, fits=5)

    until(lambda: [message for message in views if message["type"] == "notice"])
    [notice] = [message for message in views if message["type"] == "notice"]
    assert notice["message"] == "4 of 6 calls fit the budget now. Nothing was sent."
    assert (server.requests, pg.problem) == ([], "")


def test_override_exceeds_the_budget_and_is_audited(panel):
    pg, server = panel(n=3)
    lp.set_budget(0.006, period="total")
    refresh_price(pg)
    until(lambda: pg.price["fits"])

    press(pg, override="the report is due")

    until(lambda: len(server.requests) == 3)
    assert pg.results.status.tolist() == ["completed"] * 3
    audited = lp.sql("SELECT detail FROM audit_log WHERE action = 'override_budget'")
    assert audited.detail.str.contains("the report is due").all()
    assert len(audited)


def test_budget_may_refuse_unknown_prices(panel):
    pg, _ = panel(models=["openai:any", "deepseek:unlisted"])
    lp.set_budget(5, period="total", unknown_price="block")
    refresh_price(pg)

    shows(
        pg,
        "Fits 1 of 2 calls: the price of unlisted is unknown, which $5.00 in total does not allow",
    )
    assert pg.price["unpriced"] == ["deepseek:unlisted"]


def test_first_press_asks_and_second_sends(panel, views):
    pg, server = panel(n=2, max_tokens=600)
    until(lambda: pg.price["second_press"])

    press(pg)

    until(lambda: questions(views))
    [asked] = questions(views)
    assert (asked["button"], asked["view"]) == ("Run · up to $1.20", "v")
    assert asked["message"] == "Press again to send 2 calls"
    assert server.requests == []
    press(pg, confirmed=asked["confirmed"])
    until(lambda: len(server.requests) == 2)
    assert len(pg.results) == 2


def test_changed_form_is_asked_about_again(panel, views):
    pg, server = panel(n=2, max_tokens=600)
    press(pg)
    until(lambda: questions(views))

    press(pg, form={"prompt": "something else"}, confirmed=questions(views)[0]["confirmed"])

    until(lambda: len(questions(views)) == 2)
    first, second = questions(views)
    assert first["confirmed"] != second["confirmed"]
    assert server.requests == []


def test_invented_confirmation_sends_nothing(panel, views):
    pg, server = panel(n=2, max_tokens=600)

    press(pg, confirmed="yes")

    until(lambda: questions(views))
    assert server.requests == []


def test_python_gets_an_error_unless_it_overrides(panel):
    pg, server = panel(n=2, max_tokens=600)

    with pytest.raises(lp.BudgetExceededError, match=r"up to \$1\.20 \(2 calls\)"):
        pg.run()
    assert server.requests == []

    pg.run(override="asked for")
    assert len(pg.results) == 2


def test_override_must_be_a_reason(panel):
    pg, server = panel()

    with pytest.raises(lp.InvalidParameterError, match="override takes the reason as text"):
        pg.run(override=" ")
    assert server.requests == []


def test_try_one_sends_the_first_call_only(panel):
    pg, server = panel(models=[MODEL, "local"], n=3)
    pg.temperature = [0, 1]
    until(lambda: pg.price["calls"] == 12)
    assert pg.price["one"] == "any once · about $0.0050, at most $0.0050"

    pg.try_one()

    assert pg.results.model.tolist() == [MODEL]
    assert server.requests[0].json["temperature"] == 0


def test_summary_has_cost_so_far_then_the_estimate(panel, views):
    pg, _ = panel(endless(), n=2, max_tokens=100)

    pg.run()
    until(lambda: pg.answers.summary() == "$0.0040 so far, at most $0.2000")  # four times a second
    until(lambda: any("so far" in message.get("summary", "") for message in views))

    lines = [m["summary"] for m in views if "so far" in m.get("summary", "")]
    assert all(line.endswith("so far, at most $0.2000") for line in lines)
    pg.stop()
    assert len(pg.results) == 2
    until(lambda: "(estimate $0.2000)" in pg.answers.summary())


def test_a_price_that_was_set_is_shown_at_its_model(home):
    pg = lp.Playground(models=["deepseek:unlisted", "deepseek:mine-1", "nowhere:x"], prompt="Hi.")
    assert own_prices(pg.models) == {}
    rates = {"input_usd_per_mtok": 0.25, "output_usd_per_mtok": 2}
    lp.configure(prices={"deepseek:mine-*": rates})

    pg.refresh_price()

    until(lambda: pg.price.get("rates") == {"deepseek:mine-1": "$0.25/$2"})
    pg.close()


def test_free_answers_have_no_estimate(home):
    pg = lp.Playground(models=["local"], prompt="Say hi.", max_tokens=4)
    pg.run()

    assert len(pg.results) == 1
    assert pg.answers.summary().startswith("1 answer · free · ")
    pg.close()


def test_price_set_in_the_panel_applies_to_the_kernel(panel, views):
    pg, _ = panel(models=["deepseek:unlisted"], max_tokens=1000)
    shows(pg, "1 call · price unknown")
    asked = {"model": "deepseek:unlisted", "input_usd": 1, "output_usd": 2}

    pg._handle_custom_msg(
        {"type": "request", "id": "1", "name": "set_price", "arguments": asked}, []
    )

    shows(pg, "1 call · about $0.0010, at most $0.0022")
    assert lp.estimate("hi", "deepseek:unlisted", max_tokens=1000).worst_case_usd > 0


def test_invalid_price_is_refused(panel, views):
    pg, _ = panel(models=["deepseek:unlisted"])
    asked = {"model": "deepseek:unlisted", "input_usd": -1, "output_usd": 2}

    pg._handle_custom_msg(
        {"type": "request", "id": "1", "name": "set_price", "arguments": asked}, []
    )

    until(lambda: any(m["type"] == "reply" for m in views))
    [reply] = [m for m in views if m["type"] == "reply"]
    assert "input_usd_per_mtok" in reply["error"]


def test_preview_has_no_key(panel):
    pg, _ = panel()

    assert KEY not in str(pg.price)
