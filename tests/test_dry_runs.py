"""``lp.dry_run`` and ``--dry-run`` show the request that would be sent, and send nothing."""

import pytest
from IPython.core.interactiveshell import InteractiveShell

import llm_playground as lp
from llm_playground import magics
from llm_playground.catalog import estimates
from tests.providers.formats import anthropic_stream, gemini_stream, openai_stream
from tests.providers.server import Reply, WireServer

KEY = "sk-" + "planted" * 4
GIF = b"GIF89a\1\0\1\0\x80\0\0\0\0\0\xff\xff\xff,\0\0\0\0\1\0\1\0\0\2\2D\1\0;"
FAIR = {"temperature": 0.2, "max_tokens": 50, "system": "Be brief.", "images": [GIF + b"0" * 900]}
# Models, the settings of a vendor's address, and its stream.
WIRES = {
    "openai:gpt-4o": ("OPENAI", "/v1", openai_stream),
    "anthropic:claude-haiku-4-5": ("ANTHROPIC", "", anthropic_stream),
    "gemini:gemini-2.5-flash": ("GEMINI", "", gemini_stream),
}


@pytest.fixture
def serve(home, monkeypatch):
    """Starts a vendor's server for a model."""
    servers = []

    def start(model):
        vendor, path, stream = WIRES[model]
        server = WireServer(Reply(stream(["fine"]))).__enter__()
        servers.append(server)
        monkeypatch.setenv(f"{vendor}_API_KEY", KEY)
        prefix = "GOOGLE_GEMINI" if vendor == "GEMINI" else vendor
        monkeypatch.setenv(f"{prefix}_BASE_URL", server.url + path)
        return server

    yield start
    for server in servers:
        server.__exit__(None, None, None)


@pytest.mark.parametrize("model", WIRES)
def test_it_is_what_would_be_sent(serve, model):
    server = serve(model)
    dry = lp.dry_run("What is `this` for $5?", model, **FAIR)
    assert not server.requests
    assert lp.runs().empty

    lp.ask("What is `this` for $5?", model, **FAIR)
    [sent] = server.requests

    assert dry.body == sent.json
    assert dry.line == f"POST {server.url}{sent.path}"
    for name, value in dry.headers:
        assert sent.headers[name.lower()].startswith(value.rstrip("…"))
    assert dry.estimate.expected_usd > 0
    assert dry.problems == ()
    for shown in (repr(dry), dry._repr_html_()):
        assert KEY not in shown
        assert "characters)" in shown
        assert "What is `this` for " in shown
        assert len(shown) < 6_000


def test_it_says_what_would_refuse_the_call(serve):
    serve("openai:gpt-4o")
    lp.set_budget(1, model="openai:*", tag="dear")
    lp.set_budget("0.01", period="day", action="warn")
    lp.configure(confirm_above_usd=2)
    shell = InteractiveShell()
    magics.load(shell)

    def problems(line):
        shell.run_cell(f"dry = %llm --dry-run {line}").raise_error()
        dry = shell.user_ns["dry"]
        return [p for one in (dry if isinstance(dry, tuple) else [dry]) for p in one.problems]

    assert problems("-m local hi") == []
    [over] = problems("-m openai:gpt-4o --max-tokens 2000 hi")
    assert over.startswith("Over budget: could cost up to $0.02")
    warned, refused = sorted(problems("-m openai:gpt-4o --tag dear --max-tokens 150000 hi"))[::-1]
    assert warned.startswith("Over budget: ")
    assert refused.startswith("Not sent: could cost up to $1.50")
    assert refused.endswith("or pass --override REASON.")
    sent = problems("-m openai:gpt-4o --tag dear --max-tokens 150000 --override why hi")
    assert sent == ["Sent despite a budget: why"]
    both = problems("-m local -m openai:gpt-4o -n 3 --max-tokens 100000 hi")
    assert any("could cost up to $3.00" in one and "(6 calls)" in one for one in both)
    [key] = problems("-m mistral:mistral-large-latest --max-tokens 5 --override why hi")[:1]
    assert key.startswith("No key for Mistral.")
    assert lp.audit().query("action.str.contains('override')").empty
    assert lp.runs().empty


def test_what_refuses_a_call_comes_before_where_its_answer_would_come_from(home):
    dry = lp.dry_run("hi", "openai:gpt-4o", max_tokens=5)
    lines = repr(dry).splitlines()
    assert lines[2].startswith("No key for OpenAI.")
    assert lines[3] == "Once that is solved: the answer would come from the model (mode live)."


def test_a_stored_answer_takes_neither_a_key_nor_a_budget(serve, monkeypatch):
    serve("openai:gpt-4o")
    answer = lp.ask("hi", "openai:gpt-4o").text
    monkeypatch.delenv("OPENAI_API_KEY")
    lp.set_budget(0, model="openai:*")
    lp.configure(mode="reuse")

    from llm_playground.recording import numbers

    numbers.reset()
    dry = lp.dry_run("hi", "openai:gpt-4o")
    assert (dry.answer, dry.problems) == (
        "The answer would come from the log (mode reuse), at no cost.",
        (),
    )
    assert lp.ask("hi", "openai:gpt-4o").text == answer


def test_several_models_have_a_total(serve, capsys, monkeypatch):
    monkeypatch.setattr(InteractiveShell, "_instance", None)  # display() prints without a front end
    serve("openai:gpt-4o")
    shell = InteractiveShell()
    magics.load(shell)

    def shown(models):
        shell.run_cell(f"dry = %llm --dry-run -n 2 {models} --max-tokens 5 hi").raise_error()
        return capsys.readouterr().out

    assert shown("-m openai:gpt-4o").startswith("Dry run")
    first = shown("-m openai:gpt-4o -m local").splitlines()[0]
    total = estimates.together([one.estimate for one in shell.user_ns["dry"]])
    assert first == str(total)
    assert repr(total).startswith("Estimate of 4 calls to openai:gpt-4o, local:smollm2-135m-")


def test_it_says_where_the_answer_would_come_from(serve, tmp_path):
    serve("openai:gpt-4o")

    def answer(**options):
        return lp.dry_run("hi", "openai:gpt-4o", **options).answer

    assert answer() == "The answer would come from the model (mode live)."
    lp.configure(mode="record", recording=str(tmp_path / "a.yaml"))
    lp.ask("hi", "openai:gpt-4o")
    assert "an equal run is in the log" in answer()
    others = {"reuse": "sent to the model", "replay": "refused, since no answer is stored"}
    for mode, where in (("reuse", "the log"), ("replay", "the recording")):
        lp.configure(mode=mode)
        expected = f"The answer would come from {where} (mode {mode}), at no cost."
        assert (answer(), answer()) == (expected, expected)
        assert lp.ask("hi", "openai:gpt-4o").cached
        assert answer() == (
            f"0 of 1 answers are stored (mode {mode}), beside 1 that earlier calls of this kernel "
            f"have used; the others would be {others[mode]}."
        )
    assert answer(fresh=True) == "The answer would be a new one, as fresh asks for."
