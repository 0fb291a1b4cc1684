"""The audit log."""

import ast
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import llm_playground as lp
from llm_playground import config
from llm_playground.config import options
from llm_playground.errors import InvalidParameterError
from llm_playground.runlog import open_log
from tests.reports.shelf import add

KEY = "sk" + "-" + "planted" * 4
PACKAGE = Path(lp.__file__).parent


@pytest.fixture(autouse=True)
def user(monkeypatch):
    monkeypatch.setenv("LLM_PLAYGROUND_USER", "ada")
    monkeypatch.delenv("JUPYTERHUB_USER", raising=False)


def actions(**filters):
    return list(lp.audit(**filters).action)


def test_newest_first(log):
    options.record("first", "a target", {"why": "so"})
    options.record("second")
    frame = lp.audit()
    assert frame.action.tolist() == ["second", "first"]
    assert frame.username.tolist() == ["ada", "ada"]
    assert frame.target[1] == "a target"
    assert json.loads(frame.detail[1]) == {"why": "so"}
    assert frame.created_at.dt.tz is not None


def test_filters(log, monkeypatch):
    options.record("one")
    monkeypatch.setenv("LLM_PLAYGROUND_USER", "bob")
    options.record("two")
    assert actions(action="one") == ["one"]
    assert actions(user="bob") == ["two"]
    assert actions(limit=1) == ["two"]
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    assert actions(since=tomorrow) == []
    assert actions(until=tomorrow) == ["two", "one"]
    with pytest.raises(InvalidParameterError, match="limit"):
        lp.audit(limit=-1)
    with pytest.raises(InvalidParameterError, match="action"):
        lp.audit(action=3)


def test_entries_are_journaled(log):
    options.record("set_key", "openai")
    written = b"".join(path.read_bytes() for path in log.journals.glob("*.jsonl"))
    assert b"set_key" in written
    assert actions() == ["set_key"]
    assert actions() == ["set_key"]  # ingested once


def test_keys_and_logins_are_removed(log):
    options.record("configure", f"openai {KEY}", {"log": "postgresql://ada:hush@db.example.org/x"})
    options.record(
        "configure", "log", {"log": "postgresql://db/x?user=a&password=hush&sslmode=off"}
    )
    entries = lp.audit().to_csv()
    assert KEY not in entries
    assert "hush" not in entries
    assert "db.example.org" in entries
    assert "sslmode=off" in entries


def test_audited_settings(log):
    lp.configure(privacy={"redact": ["email"]}, secret_guard="warn")
    lp.configure(prices={"openai:x": {"input_usd_per_mtok": 1, "output_usd_per_mtok": 2}})
    lp.configure(endpoints={"mine": "http://127.0.0.1:9/v1"})
    lp.configure(timeout_s=9, concurrency=3)
    frame = lp.audit(action="configure")
    assert frame.target.tolist() == ["endpoints", "prices", "privacy, secret_guard"]
    assert json.loads(frame.detail[2])["privacy"] == {"redact": ["email"]}


def test_refused_setting_is_not_audited(log):
    with pytest.raises(InvalidParameterError):
        lp.configure(privacy="everything")
    assert actions() == []


def test_keys_set_and_forgotten(log):
    lp.set_key("openai", KEY)
    lp.forget_key("openai")
    lp.forget_key("openai")
    frame = lp.audit()
    assert frame.action.tolist() == ["forget_key", "set_key"]
    assert set(frame.target) == {"openai"}
    assert KEY not in frame.to_csv()


def test_budgets(log):
    lp.set_budget(5, tag="x")
    lp.set_budget(None, tag="x")
    assert actions() == ["remove_budget", "set_budget"]


def test_backups_and_restores(tmp_path, monkeypatch):
    monkeypatch.setenv("LLM_PLAYGROUND_LOG", str(tmp_path / "runs.duckdb"))
    add(open_log(), text="kept")
    lp.backup(tmp_path / "backup.duckdb")
    add(open_log(), text="later")
    open_log().drain()
    lp.restore(tmp_path / "backup.duckdb")
    assert lp.runs().response_text.tolist() == ["kept"]
    assert actions() == ["restore", "backup"]  # entries are not restored to an earlier state
    lp.set_aside_log()
    assert actions() == ["set_aside_log"]


def test_unusable_log_is_a_logged_warning(tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("LLM_PLAYGROUND_LOG", "mysql://nowhere")
    options.record("set_key", "openai")
    assert "set_key is not in the audit log" in caplog.text


def test_env_file_cannot_set_a_policy(tmp_path, monkeypatch):
    (tmp_path / ".env").write_text("LLM_PLAYGROUND_POLICY=nowhere.toml\n")
    monkeypatch.chdir(tmp_path)
    assert config.policy().models is None


def statements():
    """Every string in the package's code, with its file name."""
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield path.name, " ".join(node.value.lower().split())


def test_no_statement_changes_entries():
    changing = (
        "update audit_log",
        "delete from audit_log",
        "truncate audit_log",
        "table audit_log",
    )
    found = {(name, sign) for name, text in statements() for sign in changing if sign in text}
    assert found == {("schema.py", "table audit_log")}  # CREATE TABLE
