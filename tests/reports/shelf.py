"""Puts runs, executions and bare rows into a log."""

from datetime import UTC, datetime

from tests.runlog.actors import execution_of, prompt, record

NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)


def add(
    log,
    *,
    model="openai:gpt-x",
    text="An answer.",
    question="A question?",
    system=None,
    at=NEW_YEAR,
    **known,
):
    """One run; ``user``, ``notebook`` and ``tags`` go to its execution, the rest to the run."""
    request = prompt(question, system, model=model)
    place = {"username": known.pop("user", "ada"), "notebook": known.pop("notebook", None)}
    execution = execution_of(request, tags=known.pop("tags", ()), started_at=at, **place)
    return record(log, request, execution, text=text, **known)


def add_row(log, **columns):
    """A row of ``results`` and nothing else, as another program may insert it."""
    names = ", ".join(columns)
    values = ", ".join(f"${name}" for name in columns)
    log.change(
        lambda session: session.execute(f"INSERT INTO results ({names}) VALUES ({values})", columns)
    )
