"""``configure(privacy=...)``: what is stored. Runs in memory are always complete."""

import json

import pytest

import llm_playground as lp
from llm_playground import config
from llm_playground.errors import ConfigError, InvalidParameterError, ProviderUnavailableError
from llm_playground.parts import ToolCall
from llm_playground.recording import numbers
from llm_playground.redaction import pii
from llm_playground.types import Attempt
from tests.providers.formats import openai_stream
from tests.providers.server import Reply, WireServer
from tests.runlog.actors import begin, completed, execution_of, prompt, record

SECRET = "the-whale-is-called-Ishmael"
PERSONAL = ["ada@example.org", "+49 30 901820", "202-555-0143", "4111 1111 1111 1111"]
KEY = "sk" + "-" + "planted" * 4
TABLES = ("prompts", "executions", "results", "audit_log")


def whole(log, secret=SECRET):
    """A run that has every kind of text."""
    request = prompt(f"ask {secret}", f"system {secret}", temperature=0.5, stop=(secret,))
    execution = execution_of(request, variables={"name": "ab" * 32})
    run = begin(log, request, execution)
    log.text(run.id, f"partly {secret} and ")
    ended = completed(
        run,
        text=f"answer {secret}",
        reasoning=f"because {secret}",
        tool_calls=(ToolCall("1", "look_up", json.dumps({"word": secret})),),
        attempts=[Attempt(1, 0.0, 9.5, 503, reason=f"down: {secret}")],
        status="failed",
        error=ProviderUnavailableError(f"It is down: {secret}.", detail=f"detail {secret}"),
    )
    log.finished(ended)
    log.execution_finished(run.execution_id, "failed", run.started_at)
    return ended


def on_disk(log):
    """The content of the journals, and of the tables after a drain."""
    journals = b"".join(path.read_bytes() for path in log.journals.glob("*.jsonl")).decode()
    tables = " ".join(log.frame(f"SELECT * FROM {table}").to_csv() for table in TABLES)
    return f"{journals}\n{tables}"


class TestMetrics:
    def test_no_text_is_on_disk(self, log):
        lp.configure(privacy="metrics")
        run = whole(log)
        assert SECRET in run.text
        assert SECRET not in on_disk(log)
        if log.path is not None:
            assert SECRET.encode() not in log.path.read_bytes()

    def test_metrics_are_complete(self, log):
        lp.configure(privacy="metrics")
        run = whole(log)
        row = lp.runs().iloc[0]
        assert (row.run_id, row.status, row.model) == (run.id, "failed", run.model)
        assert (row.input_tokens, row.output_tokens) == (10, 20)
        assert row.cost_usd > 0
        assert (
            row.prompt_hash
            == prompt(
                f"ask {SECRET}", f"system {SECRET}", temperature=0.5, stop=(SECRET,)
            ).prompt_hash()
        )
        assert json.loads(row.parameters) == {"temperature": 0.5}
        assert row.error_type == "ProviderUnavailableError"
        assert json.loads(row.attempts)[0]["status_code"] == 503
        assert float(lp.costs().cost_usd[0]) > 0

    def test_same_prompt_with_and_without_texts(self, log):
        lp.configure(privacy="metrics")
        record(log, prompt("the same"), text="mine")
        lp.configure(privacy="texts")
        record(log, prompt("the same"), text="theirs")
        lp.configure(privacy="metrics")
        record(log, prompt("the same"), text="mine again")
        shown = lp.runs()
        assert shown.user_prompt.fillna("-").tolist() == ["-", "the same", "-"]
        assert shown.prompt_hash.nunique() == 1
        assert len(log.frame("SELECT * FROM prompts")) == 2

    def test_killed_process_leaves_no_text(self, log, run_and_kill):
        code = (
            "import llm_playground as lp\n"
            "from llm_playground.runlog import open_log\n"
            "from tests.runlog.actors import begin, prompt\n"
            "lp.configure(privacy='metrics')\n"
            "log = open_log(); run = begin(log, prompt(sys.argv[1]))\n"
            "log.text(run.id, sys.argv[1])"
        )
        run_and_kill(code, SECRET)
        assert lp.runs().status.tolist() == ["interrupted"]
        assert SECRET not in on_disk(log)


class TestRedaction:
    @pytest.mark.parametrize("personal", PERSONAL)
    def test_personal_data_is_not_on_disk(self, log, personal):
        lp.configure(privacy={"redact": ["email", "phone", "card"]})
        run = whole(log, personal)
        assert personal in run.text
        assert personal not in on_disk(log)
        row = lp.runs().iloc[0]
        assert row.response_text == "answer [redacted]"
        assert row.user_prompt == "ask [redacted]"
        assert "[redacted]" in row.error_message

    def test_redacts_only_chosen_kinds(self, log):
        lp.configure(privacy={"redact": "email"})
        whole(log, "ada@example.org or +49 30 901820")
        assert lp.runs().response_text[0] == "answer [redacted] or +49 30 901820"

    @pytest.mark.parametrize("personal", PERSONAL)
    def test_redacts_streamed_text(self, log, personal):
        lp.configure(privacy={"redact": ["email", "phone", "card"]})
        run = begin(log)
        text = f"Write to {personal} today, or call. Then wait a while and see. "
        for character in text:
            log.text(run.id, character)
            log._recorder._flush()
        assert personal not in on_disk(log)
        so_far = lp.runs().response_text[0]
        assert "[redacted] today" in so_far
        log.finished(completed(run, text=text))

    def test_ids_and_times_are_not_redacted(self, log):
        lp.configure(privacy={"redact": ["email", "phone", "card"]})
        run = whole(log)
        row = lp.runs().iloc[0]
        assert (row.run_id, row.execution_id) == (run.id, run.execution_id)
        assert row.started_at.to_pydatetime() == run.started_at
        assert [row.prompt_hash] == log.frame(
            "SELECT prompt_hash FROM prompts"
        ).prompt_hash.tolist()

    def test_keys_are_always_redacted(self, log):
        whole(log, KEY)
        assert KEY not in on_disk(log)


class TestSample:
    def test_sample_keeps_some_texts_and_all_metrics(self, log):
        lp.configure(privacy={"sample": 0.5})
        for number in range(60):
            record(log, prompt(f"q {number}"), text=f"a {number}")
        shown = lp.runs()
        assert len(shown) == 60
        assert 5 < shown.response_text.notna().sum() < 55
        assert (shown.response_text.notna() == shown.user_prompt.notna()).all()
        assert shown.cost_usd.notna().all()

    def test_iterations_are_sampled_together(self, log):
        lp.configure(privacy={"sample": 0.5})
        for number in range(10):
            request = prompt(f"q {number}")
            execution = execution_of(request, iterations=3)
            for _ in range(3):
                record(log, request, execution)
        kept = lp.runs().groupby("execution_id").response_text.count()
        assert set(kept) <= {0, 3}

    def test_sample_of_none_and_all(self, log):
        lp.configure(privacy={"sample": 0})
        record(log)
        lp.configure(privacy={"sample": 1})
        record(log)
        assert lp.runs().response_text.notna().tolist() == [True, False]


class TestOff:
    def test_nothing_is_written(self, log):
        lp.configure(privacy="off")
        log.drain()
        whole(log)
        assert lp.runs().empty
        assert SECRET not in on_disk(log)
        assert log.frame("SELECT * FROM executions").empty

    def test_turning_it_off_during_a_run(self, log):
        run = begin(log)
        lp.configure(privacy="off")
        log.finished(completed(run))
        log.execution_finished(run.execution_id, "completed", run.started_at)
        assert lp.runs().status.tolist() == ["completed"]
        assert log.frame("SELECT status FROM executions").status.tolist() == ["completed"]


@pytest.fixture
def server(log, monkeypatch):
    with WireServer(lambda _request: Reply(openai_stream(["fine"]))) as server:
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        monkeypatch.setenv("OPENAI_BASE_URL", f"{server.url}/v1")
        yield server


def ask(text="hi", **known):
    return lp.ask(text, "openai:gpt-4o", max_tokens=5, **known)


class TestCalls:
    def test_run_in_memory_is_complete(self, server):
        lp.configure(privacy="metrics")
        run = ask(SECRET)
        assert run.text == "fine"
        row = lp.runs().iloc[0]
        assert row.run_id == run.id
        assert row[["user_prompt", "response_text"]].isna().all()

    def test_reuse_needs_stored_texts(self, server):
        lp.configure(privacy="metrics", mode="reuse")
        with pytest.raises(ConfigError, match="privacy") as error:
            ask()
        assert "\n" not in str(error.value)
        assert len(server.requests) == 0

    def test_answer_without_text_is_not_reused(self, server):
        lp.configure(privacy="metrics")
        ask("again?")
        lp.configure(privacy="texts", mode="reuse")
        assert not ask("again?").cached
        assert len(server.requests) == 2

    def test_compressed_answer_is_reused(self, server):
        ask("again?")
        lp.purge("0d", dry_run=False)
        numbers.reset()
        lp.configure(mode="replay")
        again = ask("again?")
        assert (again.text, again.cached) == ("fine", True)

    def test_blocking_budget_needs_logged_runs(self, server):
        lp.set_budget(5)
        lp.configure(privacy="off")
        with pytest.raises(ConfigError, match="Budgets count logged runs"):
            ask()
        assert len(server.requests) == 0
        assert ask(override="I know").text == "fine"
        lp.set_budget(None)

    def test_off_without_a_budget(self, server):
        lp.configure(privacy="off")
        assert ask().text == "fine"
        lp.configure(privacy="texts")
        assert lp.runs().empty


class TestSettings:
    @pytest.mark.parametrize(
        ("wrong", "expected"),
        [
            ("none", "texts, metrics, off"),
            ({"redact": ["names"]}, "email, phone, card"),
            ({"redact": 3}, "email, phone, card"),
            ({"sample": 2}, "0 to 1"),
            ({"sample": True}, "0 to 1"),
            ({"keep": "x"}, "store, redact, sample"),
        ],
    )
    def test_invalid_settings(self, wrong, expected):
        with pytest.raises(InvalidParameterError, match=expected):
            lp.configure(privacy=wrong)

    def test_parts_are_set_separately(self, log):
        lp.configure(privacy={"redact": ["card"]})
        lp.configure(privacy="metrics")
        assert config.privacy().redact == ("card",)
        assert config.privacy().store == "metrics"


class TestPersonalData:
    @pytest.mark.parametrize(
        "text",
        [
            "version 1.2.3 of 2026-03-01 at 12:30:45",
            "on 01.02.2026, 01/02/2026 and 01-02-2026",
            "0190c7e2-0000-7000-8000-000000000001",
            "pi is 3.14159265358979, e is 2.718281828",
            "10,000,000 tokens for $1,234.56",
            "4111 1111 1111 1112 is no card",
            "@decorator and a@b, x @ y",
        ],
    )
    def test_other_text_is_kept(self, text):
        assert pii.masked(text, ["email", "phone", "card"]) == text

    @pytest.mark.parametrize(
        ("text", "masked"),
        [
            ("tel:+1 (202) 555-0143.", "tel:[redacted]."),
            ("0049 30 901820", "[redacted]"),
            ("(030) 901820-0", "[redacted]"),
            ("030/901820", "[redacted]"),
            ("06 12 34 56 78", "[redacted]"),
            ("01512345678", "[redacted]"),
            ("<first.last+tag@mail.example.co.uk>", "<[redacted]>"),
            ("ada@example.org,bob@example.org", "[redacted],[redacted]"),
        ],
    )
    def test_personal_data_is_masked(self, text, masked):
        assert pii.masked(text, ["email", "phone", "card"]) == masked


class TestPolicy:
    @pytest.fixture
    def policy(self, tmp_path, monkeypatch):
        def write(text):
            path = tmp_path / "policy.toml"
            path.write_text(text)
            monkeypatch.setenv("LLM_PLAYGROUND_POLICY", str(path))

        return write

    def test_privacy_can_only_be_tightened(self, log, policy):
        policy('privacy = { store = "metrics", redact = ["email"] }')
        whole(log)
        assert SECRET not in on_disk(log)
        with pytest.raises(ConfigError, match="no more than metrics"):
            lp.configure(privacy="texts")
        lp.configure(privacy={"redact": ["card"]})
        assert config.privacy().redact == ("email", "card")
        lp.configure(privacy="off")
        assert config.privacy().store == "off"

    def test_log_cannot_be_changed(self, policy, tmp_path):
        policy(f'log = "{tmp_path / "theirs.duckdb"}"')
        assert config.log_url().endswith("theirs.duckdb")
        with pytest.raises(ConfigError, match="policy"):
            lp.configure(log=tmp_path / "mine.duckdb")
        with pytest.raises(ConfigError, match="cannot be off"):
            lp.configure(privacy="off")

    def test_allowed_models(self, server, policy):
        policy('models = ["local:*", "gpt-4o-*"]')
        with pytest.raises(ConfigError, match="is not allowed here"):
            ask()
        assert len(server.requests) == 0
        assert lp.runs().empty
        assert lp.ask("hi", "openai:gpt-4o-mini", max_tokens=5).text == "fine"

    def test_allowed_endpoints(self, server, policy):
        policy('endpoints = ["openai"]')
        with pytest.raises(ConfigError, match=r"openai at http://127\.0\.0\.1"):
            ask()
        policy(f'endpoints = ["{server.url}/"]')
        assert ask().text == "fine"
        policy(f'endpoints = ["{server.url}0/v1"]')
        with pytest.raises(ConfigError, match="is not allowed here"):
            ask()
        assert len(server.requests) == 1

    def test_secret_guard_can_only_be_tightened(self, log, policy):
        policy('secret_guard = { email = "block", cards = "warn" }')
        assert config.secret_guard().email == "block"
        with pytest.raises(ConfigError, match="cards"):
            lp.configure(secret_guard={"cards": "off"})
        lp.configure(secret_guard={"cards": "block", "keys": "warn"})
        assert config.secret_guard().cards == "block"
        assert config.secret_guard().keys == "warn"

    def test_prices_take_precedence(self, policy):
        lp.configure(prices={"openai:x": {"input_usd_per_mtok": 1, "output_usd_per_mtok": 1}})
        policy('[prices."openai:*"]\ninput_usd_per_mtok = 5\noutput_usd_per_mtok = 6\n')
        assert float(config.rates("openai:x").input_usd_per_mtok) == 5

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("models = 3", "list of models"),
            ("modles = []", "modles"),
            ('privacy = "some"', "texts, metrics, off"),
            ("not toml", "cannot be used"),
            ('secret_guard = { cards = "maybe" }', "off, warn, block"),
            ('log = ""', "it takes text"),
            ('[prices."openai:x"]\ninput_usd_per_mtok = 5\n', "price of openai:x"),
        ],
    )
    def test_invalid_policy_stops_all_calls(self, server, policy, text, expected):
        policy(text)
        with pytest.raises(ConfigError, match=expected) as error:
            ask()
        assert "policy" in str(error.value)
        assert len(server.requests) == 0

    def test_missing_policy_stops_all_calls(self, server, monkeypatch, tmp_path):
        monkeypatch.setenv("LLM_PLAYGROUND_POLICY", str(tmp_path / "none.toml"))
        with pytest.raises(ConfigError, match="cannot be used"):
            ask()
        assert len(server.requests) == 0

    def test_changed_policy_applies_at_once(self, policy):
        policy('privacy = "metrics"')
        assert config.privacy().store == "metrics"
        policy('privacy = "off" # tighter')
        assert config.privacy().store == "off"
