"""``confirm_above_usd``: calls that could cost too much are refused before they are sent."""

from decimal import Decimal

import pytest
from IPython.core.interactiveshell import InteractiveShell

import llm_playground as lp
from llm_playground import magics
from llm_playground.recording import numbers
from tests.budgeting.client import MODEL, answer

pytestmark = pytest.mark.usefixtures("one_day")


@pytest.fixture
def server(serve):
    return serve(answer(1))


def audited():
    return lp.sql("SELECT action, detail FROM audit_log WHERE action LIKE 'override%'")


def test_expensive_comparison_is_not_sent(server):
    with pytest.raises(lp.BudgetExceededError) as caught:
        lp.compare(["a", "b"], MODEL, n=100, max_tokens=62)

    assert str(caught.value) == (
        'Not sent: could cost up to $12.40 (200 calls). Pass override="reason", or '
        "lp.configure(confirm_above_usd=20)."
    )
    assert caught.value.estimate.worst_case_usd == Decimal("12.4")
    assert caught.value.estimate.calls == 200
    assert server.requests == []
    assert lp.runs().empty


def test_amount_without_max_tokens_is_approximate(server):
    with pytest.raises(lp.BudgetExceededError) as caught:
        lp.ask("hi", MODEL)

    assert str(caught.value) == (
        "Not sent: could cost up to about $4.10 (1 call, up to 4,096 tokens each, as max_tokens is "
        'not set). Set max_tokens, pass override="reason", or '
        "lp.configure(confirm_above_usd=5)."
    )


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"max_tokens": 1001}, None),
        ({"extra": {"max_tokens": 1001}}, None),
        ({"extra": {"max_completion_tokens": 4096}}, None),
        ({"temperature": 0.5}, "4,096"),
        ({"extra": {"thinking_budget": 9000}}, "9,000"),
        ({"extra": {"reasoning_budget": 100}}, "4,096"),
    ],
    ids=str,
)
def test_max_tokens_is_named_only_where_it_is_not_set(server, parameters, said):
    with pytest.raises(lp.BudgetExceededError, match="Not sent: could cost up to") as caught:
        lp.ask("hi", MODEL, **parameters)

    limit = f"(1 call, up to {said} tokens each, as max_tokens is not set). Set max_tokens, pass "
    assert (limit if said else "(1 call). Pass ") in str(caught.value)
    assert server.requests == []


@pytest.mark.parametrize("field", ["web_search_options", "search_parameters", "plugins"])
def test_a_field_of_unbounded_cost_is_not_sent(server, field):
    with pytest.raises(lp.BudgetExceededError) as caught:
        lp.ask("hi", MODEL, max_tokens=1, extra={field: {"x": 1}})

    assert str(caught.value).startswith(f"Not sent: what extra['{field}'] may cost has no bound")
    assert server.requests == []


async def test_all_functions_check(server):
    def tool(city: str) -> str:
        """The weather."""
        return city

    with pytest.raises(lp.BudgetExceededError):
        await lp.complete("hi", MODEL, max_tokens=1001)
    with pytest.raises(lp.BudgetExceededError):
        async for _ in lp.stream("hi", MODEL, max_tokens=1001):
            pass
    with pytest.raises(lp.BudgetExceededError):
        await lp.complete_with_tools("hi", MODEL, tools=[tool], max_tokens=1001)
    assert server.requests == []


def test_cost_up_to_the_limit_passes(server):
    assert lp.ask("hi", MODEL, max_tokens=1000).status == "completed"


def test_override_passes_and_is_audited(server):
    run = lp.ask("hi", MODEL, max_tokens=1001, override="a long one")

    assert run.status == "completed"
    [row] = audited().itertuples()
    assert row.action == "override_confirm_above_usd"
    assert '"reason":"a long one"' in row.detail.replace(": ", ":")


def test_limit_can_be_raised_and_removed(server):
    lp.configure(confirm_above_usd=2)
    lp.configure(concurrency=8)  # what is not given stays as it was
    assert lp.ask("hi", MODEL, max_tokens=2000).status == "completed"

    lp.configure(confirm_above_usd=None)
    assert lp.ask("hi", MODEL).status == "completed"


@pytest.mark.parametrize("wrong", [-1, "much", True, float("inf")])
def test_invalid_limits_are_refused(home, wrong):
    with pytest.raises(lp.InvalidParameterError, match="confirm_above_usd is"):
        lp.configure(confirm_above_usd=wrong)


def test_free_and_unpriced_models_pass(server):
    lp.configure(endpoints={"mine": f"{server.url}/v1"}, confirm_above_usd=0)

    assert lp.ask("hi", "mine:any").status == "completed"
    assert lp.ask("hi", "local", max_tokens=2).status == "completed"


def test_replay_is_not_checked(server):
    lp.ask("hi", MODEL, max_tokens=2000, override="once")
    lp.configure(mode="replay")
    numbers.reset()

    assert lp.ask("hi", MODEL, max_tokens=2000).cached


@pytest.mark.parametrize("mode", ["live", "reuse", "replay"])
def test_a_fresh_call_is_checked_in_every_mode(server, mode):
    lp.configure(mode=mode)

    with pytest.raises(lp.BudgetExceededError, match="could cost"):
        lp.ask("hi", MODEL, max_tokens=2000, fresh=True)
    assert server.requests == []


class TestMagics:
    @pytest.fixture
    def shell(self, server):
        shell = InteractiveShell.instance()
        magics.load(shell)
        yield shell
        InteractiveShell.clear_instance()

    def test_cell_magic_checks(self, shell, server, capsys):
        with pytest.raises(lp.BudgetExceededError, match=r"\$10\.00 \(2 calls\)"):
            shell.run_cell_magic("llm", f"-m {MODEL} -n 2 --max-tokens 5000", "hi")

        line = f"-m {MODEL} --max-tokens 5000 --override 'a long one'"
        shell.run_cell_magic("llm", line, "hi")

        assert len(server.requests) == 1
        assert "$0.0010" in capsys.readouterr().out

    def test_line_magic_lists_budgets(self, shell):
        lp.set_budget(50, model="gpt-*")

        frame = shell.run_line_magic("llm", "budget")

        assert frame[["limit_usd", "spent_usd", "model"]].values.tolist() == [[50, 0, "gpt-*"]]

    def test_cell_magic_raises_budget_errors(self, shell, server):
        lp.set_budget(0)

        with pytest.raises(lp.BudgetExceededError, match="Not sent: could cost up to"):
            shell.run_cell_magic("llm", f"-m {MODEL} --max-tokens 5", "hi")


class TestPlayground:
    @pytest.fixture
    def pg(self, server):
        made = lp.Playground(models=[MODEL], prompt="hi")
        yield made
        made.close()

    def test_panel_shows_the_problem_and_sends_nothing(self, pg, server):
        pg.max_tokens = 2000

        with pytest.raises(lp.BudgetExceededError):
            pg.run()

        assert pg.problem.startswith("Not sent: could cost up to $2.00 (1 call).")
        assert not pg.running
        assert server.requests == []

    def test_pane_of_a_refused_call(self, pg):
        lp.set_budget(0)
        pg.max_tokens = 5
        pg.run()

        assert pg.results.status.tolist() == ["over_budget"]
        [pane] = pg.answers.changes_and_snapshot()[1]
        assert pane["state"] == "over_budget"
        assert pane["footer"] == "not sent · nothing billed"
        assert pane["notices"][0].startswith("Not sent: could cost up to $0.0050, nothing is left")
        assert len(pane["notices"]) == 1

    def test_capped_answer_has_a_notice(self, pg):
        lp.configure(confirm_above_usd=None)
        lp.set_budget(10)
        pg.run()

        assert pg.results.status.tolist() == ["completed"]
        [pane] = pg.answers.changes_and_snapshot()[1]
        assert pane["notices"] == ["Max tokens capped at 4,096: a budget applies."]
