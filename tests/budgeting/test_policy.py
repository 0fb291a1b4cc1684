"""Budgets of the administrator's policy."""

import pytest

import llm_playground as lp
from tests.budgeting.client import MODEL, answer, ask

pytestmark = pytest.mark.usefixtures("one_day")


@pytest.fixture
def policy(tmp_path, monkeypatch):
    path = tmp_path / "policy.toml"
    monkeypatch.setenv("LLM_PLAYGROUND_POLICY", str(path))

    def write(*budgets):
        path.write_text(f"budgets = [{', '.join(budgets)}]")

    return write


def test_policy_is_enforced_where_nothing_was_set(serve, policy, log_url):
    server = serve(answer(5), log_url)
    policy("{ limit_usd = 0.012 }")

    statuses = [ask().status for _ in range(3)]

    assert statuses == ["completed", "completed", "over_budget"]
    assert len(server.requests) == 2
    [row] = lp.budgets().to_dict("records")
    assert (row["limit_usd"], row["spent_usd"], row["period"]) == (0.012, 0.01, "month")
    assert row["created_by"] == "the administrator's policy"
    with pytest.raises(lp.BudgetExceededError, match="set by the administrator's policy"):
        lp.ask("hi", MODEL, max_tokens=5)


def test_users_can_neither_remove_nor_raise_it(serve, policy):
    serve(answer(5))
    policy("{ limit_usd = 0 }")

    with pytest.raises(lp.InvalidParameterError, match="policy stay"):
        lp.set_budget(None)
    lp.set_budget(1000)
    assert ask().status == "over_budget"
    lp.set_budget(None)
    assert ask().status == "over_budget"
    assert len(lp.budgets()) == 1


def test_other_processes_share_it(serve, policy, clients, log_url):
    server = serve(answer(5), log_url)
    policy("{ limit_usd = 0.02 }")
    started = [clients("burst", 8) for _ in range(2)]
    for process in started:
        process.communicate("go\n", timeout=300)

    assert len(server.requests) == 4


LOW, HIGH = "limit_usd = 0.006", "limit_usd = 50"
WARNS = f'{{ {HIGH}, action = "warn" }}'


@pytest.mark.parametrize(
    "rules",
    [
        (f"{{ {HIGH} }}", f"{{ {LOW} }}"),
        (f"{{ {LOW} }}", f"{{ {HIGH} }}"),
        (f"{{ {LOW} }}", WARNS),
        (WARNS, f"{{ {LOW} }}"),
        (f"{{ {LOW} }}", WARNS, f"{{ {HIGH} }}", f"{{ {LOW} }}"),
    ],
)
def test_every_rule_for_the_same_calls_applies(serve, policy, rules):
    server = serve(answer(5))
    policy(*rules)

    statuses = [ask(max_tokens=tokens).status for tokens in (7, 5, 5)]

    assert statuses == ["over_budget", "completed", "over_budget"]
    assert len(server.requests) == 1
    assert len(set(lp.budgets().id)) == len(rules)


CASES = {
    'period = "day"': 0,
    'period = "total"': 0,
    'model = "openai:*"': 0,
    'model = "any"': 0,
    'model = "anthropic:*"': 1,
    'user = "nobody-here"': 1,
    'tag = "eval"': 1,
    'action = "warn"': 1,
    'unknown_price = "block"': 0,
}


@pytest.mark.parametrize("rule", CASES)
def test_arguments_are_those_of_set_budget(serve, policy, rule):
    server = serve(answer(5))
    policy(f"{{ limit_usd = 0, {rule} }}")

    ask()

    assert len(server.requests) == CASES[rule]


def test_changes_count_at_once(serve, policy):
    serve(answer(5))
    statuses = []
    for limit in ("1", "0", '"0.5"', "0.0"):
        policy(f"{{ limit_usd = {limit} }}")
        statuses.append(ask().status)

    assert statuses == ["completed", "over_budget"] * 2


INVALID = [
    "{}",
    "{ limit_usd = -1 }",
    '{ limit_usd = "much" }',
    "{ limit_usd = nan }",
    "{ limit_usd = inf }",
    "{ limit_usd = 1e30 }",
    "{ limit_usd = true }",
    '{ limit_usd = 1, period = "week" }',
    '{ limit_usd = 1, action = "stop" }',
    '{ limit_usd = 1, model = "openai" }',
    '{ limit_usd = 1, model = "" }',
    "{ limit_usd = 1, user = 3 }",
    '{ limit_usd = 1, unknown_price = "free" }',
    "{ limit_usd = 1, limit = 2 }",
    '"50"',
]


@pytest.mark.parametrize("rule", INVALID)
def test_invalid_rule_stops_all_calls(serve, policy, rule):
    server = serve(answer(5))
    policy("{ limit_usd = 5 }", rule)

    with pytest.raises(lp.ConfigError, match=r"policy .* cannot be used") as caught:
        lp.ask("hi", MODEL, max_tokens=5)
    assert "\n" not in str(caught.value)
    assert server.requests == []
