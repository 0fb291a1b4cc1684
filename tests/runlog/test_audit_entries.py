"""Entries of the audit log travel as runs do, and members may only add them."""

from datetime import UTC, datetime

import pytest

import llm_playground as lp
from llm_playground.errors import RunLogError
from llm_playground.ids import new_id
from llm_playground.runlog import open_log, postgres_admin
from tests.runlog.actors import record


def entry(action="looked"):
    known = {"id": new_id(), "created_at": datetime.now(UTC), "username": "ada", "action": action}
    return known | {"target": None, "detail": {"n": [1]}, "notebook": None}


def test_an_entry_comes_with_the_runs_and_only_once(log, journals):
    record(log)
    row = entry()
    log.audit(row)
    log.audit(row)
    found = log.frame("SELECT id, action, created_at FROM audit_log")
    assert found.id.tolist() == [row["id"]]
    assert found.created_at[0].to_pydatetime() == row["created_at"]
    assert len(log.frame("SELECT * FROM runs")) == 1
    assert journals() == []


def test_members_add_entries_that_they_cannot_read_and_purge_nothing(server, url, monkeypatch):
    database = url.partition("?")[0].rpartition("/")[2]
    server.execute(database, postgres_admin.sql())
    place = server.new_role(url, "llm_playground_member")
    member = open_log(place)
    member.audit(entry("dived"))
    record(member)
    member.drain()
    assert open_log(url).frame("SELECT action FROM audit_log").action.tolist() == ["dived"]
    with pytest.raises(RunLogError, match="permission denied"):
        member.frame("SELECT * FROM audit_log")
    monkeypatch.setenv("LLM_PLAYGROUND_LOG", place)
    for keep in ("metrics", "nothing"):
        with pytest.raises(RunLogError, match="permission denied") as error:
            lp.purge("0d", keep=keep, dry_run=False)
        assert "\n" not in str(error.value)
    member.drain()
    assert open_log(url).frame("SELECT response_text FROM runs").response_text.notna().all()
    told = open_log(url).frame("SELECT action FROM audit_log ORDER BY created_at").action.tolist()
    assert told == ["dived", *["purge", "purge_failed"] * 2]
