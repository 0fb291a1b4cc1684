"""When models end: what lists say, what is announced, and how it is shown."""

from datetime import UTC, datetime, timedelta

import pytest
from anthropic._data import DEPRECATED_MODELS

import llm_playground as lp
from llm_playground import _runtime
from llm_playground.catalog import models, retirements
from llm_playground.magics import commands
from llm_playground.widget.controls import model_choices
from tests.providers.server import WireServer, json_reply

NOW = datetime.now(UTC)
SOON, LATER, PAST = (NOW.date() + timedelta(days=days) for days in (30, 200, -20))


def test_the_sdk_announces_no_other_ends():
    said = {name: day.replace("nd,", "th,") for name, day in DEPRECATED_MODELS.items()}
    expected = {
        name: datetime.strptime(day, "%B %dth, %Y").replace(tzinfo=UTC)
        for name, day in said.items()
    }

    ours = {name: retirements.announced("anthropic", name) for name in expected}
    assert ours == expected


ENDS = [
    ("openai", "gpt-5-mini-2025-08-07", "2026-12-11"),
    ("openai", "gpt-4.1", "2027-01-14"),
    ("openai", "gpt-4.1-nano", None),
    ("openai", "gpt-5.4", None),
    ("gemini", "gemini-2.5-pro", "2026-12-01"),
    ("gemini-legacy", "gemini-2.5-pro", "2026-12-01"),
    ("mine", "gpt-4o", None),
]


@pytest.mark.parametrize(("provider", "name", "day"), ENDS)
def test_an_announced_end_is_of_whole_names(provider, name, day):
    retires_at = retirements.announced(provider, name)

    assert (retires_at and retires_at.date().isoformat()) == day


TODAY = datetime(2026, 12, 1, 14, 7, tzinfo=UTC)


@pytest.mark.parametrize(
    ("end", "days", "shown"),
    [
        ("2026-12-11T00:00Z", 10, "ends 11 Dec 2026"),
        ("2026-12-01T00:00Z", 0, "ends 1 Dec 2026"),
        ("2026-12-02T01:00+02:00", 0, "ends 1 Dec 2026"),
        ("2026-11-30T23:59Z", -1, "ended 30 Nov 2026"),
        ("2027-03-01T23:00Z", 90, "ends 1 Mar 2027"),
        ("2027-03-02T00:00Z", 91, ""),
    ],
)
def test_days_to_an_end_are_those_between_dates(end, days, shown):
    at = datetime.fromisoformat(end)

    assert retirements.days_left(at, TODAY) == days
    assert retirements.warning(at, TODAY) == shown


@pytest.fixture
def listed(home, monkeypatch):
    """OpenAI's list with the ends of its models."""
    ends = {"gpt-soon": SOON, "gpt-later": LATER, "gpt-past": PAST, "gpt-stays": None}
    data = [
        {"id": name, "created": 1_700_000_000, "shutdown_date": end and end.isoformat()}
        for name, end in ends.items()
    ]
    monkeypatch.setattr(models, "_MODELS_S", 60)
    with WireServer(json_reply(200, {"data": data})) as server:
        monkeypatch.setenv("OPENAI_API_KEY", "sk-" + "planted" * 4)
        monkeypatch.setenv("OPENAI_BASE_URL", f"{server.url}/v1")
        yield server


def test_the_frame_of_models_has_their_ends(listed):
    frame = lp.models().set_index("model")

    ends = frame.loc["openai:gpt-soon", "retires_at"], frame.loc["openai:gpt-later", "retires_at"]
    assert [end.date() for end in ends] == [SOON, LATER]
    assert frame.loc["openai:gpt-stays", ["retires_at"]].isna().all()
    assert str(frame.retires_at.dtype) == "datetime64[us, UTC]"
    assert bool(frame.loc["openai:gpt-soon", "deprecated"])


def test_the_picker_warns_of_what_ends_soon(listed):
    _runtime.run(models.refresh(60))
    shown = {choice["model"]: choice["ends"] for choice in model_choices(models.choices())}

    assert shown["openai:gpt-soon"] == f"ends {SOON.day} {SOON:%b %Y}"
    assert shown["openai:gpt-past"] == f"ended {PAST.day} {PAST:%b %Y}"
    assert (shown["openai:gpt-later"], shown["openai:gpt-stays"]) == ("", "")


def test_the_magic_prints_what_ends_soon(listed, capsys):
    commands.models(None)

    said = capsys.readouterr().out
    assert f"openai:gpt-soon ends {SOON.day} {SOON:%b %Y}" in said
    assert "lp.retiring()" in said
    assert "gpt-later" not in said
