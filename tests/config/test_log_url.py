"""``LLM_PLAYGROUND_LOG``."""

import traceback
from contextlib import suppress

import pytest

import llm_playground as lp
from llm_playground import config, doctor
from llm_playground.errors import ConfigError, RunLogError
from llm_playground.redaction import redact
from llm_playground.runlog import open_log
from tests.runlog.actors import record


def test_a_path_is_a_duckdb_file(home, monkeypatch):
    monkeypatch.setenv("LLM_PLAYGROUND_LOG", "logs/mine.duckdb")

    assert config.log_url() == f"duckdb:///{home.parent}/logs/mine.duckdb"


@pytest.mark.parametrize("url", ["mysql:///x", "mysql://user:word@host/x", "duckdb://x"])
def test_another_kind_of_database_is_refused(home, monkeypatch, url):
    monkeypatch.setenv("LLM_PLAYGROUND_LOG", url)

    with pytest.raises(ConfigError, match="a path such as"):
        config.log_url()


SECRET = "-".join(["hush", "4711", "word"])
PLACES = {  # a place, and the file or variable that has the password
    "URL": ("postgresql://ada:SECRET@127.0.0.1:9/llm", None),
    "URL, encoded": ("postgresql://ada:hush%2D4711%2dword@127.0.0.1:9/llm", None),
    "parameter": ("postgresql://127.0.0.1:9/llm?user=ada&password=SECRET", None),
    "parameter, encoded": ("postgresql://127.0.0.1:9/llm?password=hush%2D4711-word", None),
    "sslpassword": ("postgres://ada@127.0.0.1:9/llm?sslpassword=SECRET&sslmode=require", None),
    "hosts": ("postgresql://ada:SECRET@127.0.0.1:9,[::1]:8/llm?options=-c%20a%3Db", None),
    "passfile": ("postgresql://ada@127.0.0.1:9/llm?passfile=FILE", "*:*:llm:a\\:b:SECRET\n"),
    "PGPASSFILE": ("postgresql://ada@127.0.0.1:9/llm", "127.0.0.1:9:llm:ada:SECRET"),
    "PGPASSWORD": ("postgresql://ada@127.0.0.1:9/other", None),
    "service": ("postgresql:///llm?service=logs", "[logs]\nhost=127.0.0.1\npassword = SECRET\n"),
}


@pytest.mark.parametrize("place", PLACES)
def test_a_log_is_shown_by_its_place_and_its_password_is_a_secret(
    place, home, tmp_path, monkeypatch, caplog
):
    url, content = PLACES[place]
    file = tmp_path / "file"
    if content is not None:
        file.write_text(content.replace("SECRET", SECRET))
        file.chmod(0o600)
        monkeypatch.setenv({"service": "PGSERVICEFILE"}.get(place, "PGPASSFILE"), str(file))
    if place == "PGPASSWORD":
        monkeypatch.setenv("PGPASSWORD", SECRET)
    url = url.replace("SECRET", SECRET).replace("FILE", str(file))
    lp.configure(log=url)
    record(open_log())
    with pytest.raises(RunLogError) as error:
        lp.runs()

    shown = [str(error.value), str(error.value.detail), repr(open_log()._store._server)]
    shown += [open_log().place, doctor._log(), doctor._waiting(), caplog.text]
    shown += [str(path) for path in home.rglob("*")]
    shown += [path.read_text() for path in home.rglob("*.jsonl")]
    assert redact(f"<{SECRET}>") == "<[redacted]>"
    assert not any("hush" in text or "ada:" in text or "ada@" in text for text in shown)


@pytest.mark.parametrize(
    "text",
    [
        "host=127.0.0.1 password=SECRET dbname=llm",
        " user = ada password = 'SECRET'",
        "service=logs password=SECRET",
        "mysql://ada:SECRET@127.0.0.1/llm",
        "duckdb:///llm.duckdb?password=SECRET",
    ],
)
def test_a_log_in_another_form_is_refused_without_repeating_it(text, home):
    with pytest.raises(ConfigError) as error:
        open_log(text.replace("SECRET", SECRET))

    assert "hush" not in str(error.value) + repr(error.value)
    assert not list(home.parent.rglob("*hush*"))


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://ada:SECRET@127.0.0.1:9/llm",
        "postgresql://127.0.0.1:9/llm?user=ada&password=SECRET",
        "postgresql://ada:SECRET@127.0.0.1:port/llm",
        "postgresql://ada:SECRET@[::1/llm",
        "postgresql://ada:SECRET@127.0.0.1:9/llm?options=%zz",
        "postgresql://ada:SE@SECRET@127.0.0.1:9/llm",
        "mysql://ada:SECRET@127.0.0.1/llm",
        "duckdb://ada:SECRET@127.0.0.1/llm",
        "host=127.0.0.1 port=9 password=SECRET",
    ],
)
@pytest.mark.parametrize(
    "use", [lp.runs, lp.budgets, lambda: lp.backup("copy"), lambda: lp.sql("")]
)
def test_no_traceback_has_a_password_of_the_log(home, monkeypatch, url, use):
    monkeypatch.setenv("LLM_PLAYGROUND_LOG", url.replace("SECRET", SECRET))
    errors = [caught(use)]
    monkeypatch.delenv("LLM_PLAYGROUND_LOG")
    with suppress(ConfigError):
        lp.configure(log=url.replace("SECRET", SECRET))
    errors += [caught(use) if config.settings().log else None]
    errors += [caught(lambda: lp.configure(mode="no such mode"))]

    for error in filter(None, errors):
        shown = traceback.TracebackException.from_exception(error, capture_locals=True)
        assert SECRET not in "".join(shown.format())
    assert SECRET not in repr(config.settings())


def caught(function):
    """The error of a function, with its stack below this function only."""
    try:
        function()
    except lp.LLMError as error:
        error.__traceback__ = error.__traceback__.tb_next
        return error
    return None
