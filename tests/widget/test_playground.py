"""The playground from Python: values, runs, results and messages to its views."""

import re
import threading
import time

import pandas as pd
import pytest

import llm_playground as lp
from llm_playground import rendering
from llm_playground.catalog import listing
from llm_playground.events import TextDelta
from llm_playground.widget import fallback_output, price, session, traits
from llm_playground.widget.form import Form, plan_calls
from llm_playground.widget.session import AnswerSet
from tests.providers.formats import openai_stream
from tests.providers.server import Reply, WireServer, json_reply
from tests.widget import panels
from tests.widget.panels import until

served = panels.served

ANSWER_S = 60


@pytest.fixture
def pg(home):
    """A playground on the embedded model, its answers short."""
    made = lp.Playground("test", models=["local"], prompt="Say hello.")
    made.max_tokens = 8
    yield made
    made.close()


@pytest.fixture
def sent(monkeypatch):
    """Every message to the views: when, and what."""
    messages = []

    def send(_panel, content):
        messages.append((time.monotonic(), content))

    monkeypatch.setattr(lp.Playground, "send", send)
    return messages


def planned_call():
    [one] = plan_calls(Form("Say hello.", models=["local"]), {})
    return one


def shown(sent, number):
    """Whether a view has text of an answer."""
    panes = [p for m in of_type(sent, "events") for p in m["panes"] if p["number"] == number]
    return any(pane.get("tail") or pane.get("blocks") for pane in panes)


def of_type(sent, kind):
    return [content for _, content in sent if content["type"] == kind]


def test_results_wait_for_the_answers(pg):
    pg.iterations = 2

    pg.run()

    frame = pg.results
    assert frame.status.tolist() == ["completed", "completed"]
    assert frame.iteration_number.tolist() == [1, 2]
    assert set(frame.run_id) <= set(lp.runs().run_id)
    assert not pg.running


def test_stop_keeps_the_text_so_far(served, sent):
    pg, _ = served(Reply(openai_stream(["The sea ", "is "])[:3], end="hang"))
    pg.run()
    until(lambda: shown(sent, 1))

    pg.stop()

    [row] = pg.results.to_dict("records")
    assert row["status"] == "cancelled"
    assert row["response_text"].startswith("The sea ")


def test_stop_before_the_first_step_ends_the_run(served):
    pg, _ = served(Reply((), end="hang"))
    pg.run()
    pg.stop()

    assert set(pg.results.get("status", [])) <= {"cancelled"}
    until(lambda: not pg.running)


def test_preset_sets_temperature_and_is_left_by_another(pg):
    pg.preset = "creative"
    assert pg.temperature == 1.0

    pg.temperature = 0.3
    assert pg.preset is None

    pg.preset = "precise"
    assert pg.temperature == 0.2


@pytest.mark.parametrize(
    ("trait", "value", "line"),
    [
        ("temperature", 7, "temperature is 7; local takes a number from 0 to 2."),
        ("top_p", "much", "top_p is 'much'; local takes a number from 0 to 1."),
        ("max_tokens", 0, "max_tokens is 0; local takes a whole number of at least 1."),
        ("iterations", 1.5, "iterations is 1.5; it takes a whole number from 1 to 1,000."),
    ],
)
def test_wrong_value_is_kept_and_explained(pg, trait, value, line):
    setattr(pg, trait, value)

    assert getattr(pg, trait) == value
    assert pg.problem == line
    with pytest.raises(lp.InvalidParameterError, match=line[:20]):
        pg.run()
    assert pg.problem == line
    assert pg.prompt == "Say hello."


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("temprature", "Playground has no 'temprature'. Did you mean temperature?"),
        ("model", "Playground has no 'model'. Did you mean models?"),
        ("schema", "Playground has no 'schema'. Available: name, prompt, system, models,"),
        ("stop", "stop is a method of the playground. Set stop_at for the texts"),
    ],
)
def test_a_misspelled_trait_is_not_set_without_effect(pg, name, line):
    with pytest.raises(lp.InvalidParameterError, match=re.escape(line)):
        setattr(pg, name, 1)


def test_n_is_the_trait_of_iterations_too(pg):
    pg.n = 3
    assert pg.iterations == 3

    pg.iterations = 2
    assert pg.n == 2


def test_corrected_value_clears_the_problem(pg):
    pg.temperature = 7
    pg.temperature = 1

    assert pg.problem == ""


def test_unknown_model_suggests_the_closest(pg):
    pg.models = ["gtp-4o"]

    assert pg.problem.startswith("No provider is known for the model 'gtp-4o'.")


def test_models_are_a_list_without_duplicates(home):
    pg = lp.Playground(models="local", n=3)

    assert (pg.models, pg.iterations) == (["local"], 3)
    pg.models = ["local", "local", "openai:x"]
    assert pg.models == ["local", "openai:x"]


@pytest.mark.parametrize("trait", ["models", "turns", "images"])
@pytest.mark.parametrize("writer", ["view", "code"])
def test_none_of_a_list_is_an_empty_one(pg, trait, writer):
    if writer == "view":
        pg.set_state({trait: None})
    else:
        setattr(pg, trait, None)

    assert getattr(pg, trait) == []
    assert pg.problem == ""


def test_messages_carry_changes_only_and_are_throttled(served, sent):
    go_on = threading.Event()
    pieces = [*(f"word {n} and " for n in range(9)), "the end.\n\n"] * 8
    role, first, *rest = openai_stream(pieces)
    pg, _ = served(Reply((role, first, go_on, *rest), pause_s=0.01), n=3)

    pg.run()
    until(lambda: all(shown(sent, number) for number in (1, 2, 3)))
    go_on.set()
    answers = pg.results.response_text.tolist()
    until(lambda: not pg.running)

    times = [when for when, content in sent if content["type"] == "events"]
    endings = len(answers)
    assert 2 <= len(times) <= (times[-1] - times[0]) / session.UPDATE_INTERVAL_S + endings + 2
    for number, answer in enumerate(answers, 1):
        panes = [p for m in of_type(sent, "events") for p in m["panes"] if p["number"] == number]
        blocks = [block for pane in panes for block in pane.get("blocks", ())]
        assert "".join(blocks) == rendering.to_html(answer)
        carried = sum(len(pane.get("tail", "")) for pane in panes)
        assert carried < 3 * len(answer), "the text goes over once, not with every message"


def test_answer_grows_as_tail_and_finished_blocks(home):
    sheet = AnswerSet(1, [planned_call()])

    sheet.apply(1, TextDelta("# Sea\n\nIt is **wide** a"))
    [first] = sheet.take_changes()
    sheet.apply(1, TextDelta("nd deep.\n\nIt"))
    [second] = sheet.take_changes()

    assert first["blocks"] == ["<h1>Sea</h1>\n"]
    assert first["tail"] == "It is **wide** "
    assert second["blocks"] == ["<p>It is <strong>wide</strong> and deep.</p>\n"]
    assert second["tail"] == "It"


def test_late_view_gets_a_snapshot_once(served, sent):
    go_on = threading.Event()
    role, first, *rest = openai_stream(["# Sea\n\nIt is **wi", "de** and", " deep.\n\nIt", " is."])
    pg, _ = served(Reply((role, first, go_on, *rest)))
    pg.run()
    until(lambda: shown(sent, 1))
    pg._handle_custom_msg({"type": "sync", "view": "late"}, [])
    until(lambda: of_type(sent, "snapshot"))
    go_on.set()
    answer = pg.results.response_text[0]
    until(lambda: not pg.running)

    kinds = [content["type"] for _, content in sent]
    [snapshot] = of_type(sent, "snapshot")
    after = of_type(sent[kinds.index("snapshot") :], "events")
    assert snapshot["view"] == "late"
    seen = [*snapshot["panes"], *(pane for message in after for pane in message["panes"])]
    blocks = [block for pane in seen for block in pane.get("blocks", ())]
    assert "".join(blocks) == rendering.to_html(answer)


def test_retry_replaces_one_answer(served):
    pg, server = served(Reply(openai_stream(["The sea."])), n=2)
    pg.run()
    first = pg.results

    pg._handle_custom_msg({"type": "retry", "number": 2, "changes": {"max_tokens": 4}}, [])
    until(lambda: first.run_id[1] not in set(pg.results.run_id) and len(pg.results) == 2)
    again = pg.results

    assert again.run_id[0] == first.run_id[0]
    assert server.requests[2].json["max_completion_tokens"] == 4
    assert len(lp.runs()) == 3, "what was paid for stays in the log"


def test_cut_off_answer_can_be_retried_with_more_tokens(served, sent):
    lp.configure(prices={"openai:*": {"input_usd_per_mtok": 0, "output_usd_per_mtok": 0}})
    pg, _ = served(Reply(openai_stream(["Once upon"], finish_reason="length")), max_tokens=8)
    pg.run()
    until(lambda: not pg.running and pg.results is not None)

    panes = [pane for message in of_type(sent, "events") for pane in message["panes"]]
    [action] = [pane["actions"] for pane in panes if pane.get("actions")][-1]

    assert action == {"label": "Retry with 16 · free", "changes": {"max_tokens": 16}}


def test_answers_are_compared_word_by_word(pg, sent):
    pg.iterations = 2
    pg.run()
    texts = pg.results.response_text
    pg.baseline = 1

    pg._handle_custom_msg(
        {
            "type": "request",
            "id": "a",
            "name": "difference",
            "arguments": {"answer": 2},
        },
        [],
    )
    until(lambda: of_type(sent, "reply"))

    [reply] = of_type(sent, "reply")
    parts = reply["value"]["parts"]
    assert "".join(text for kind, text in parts if kind != "+") == texts[0]
    assert "".join(text for kind, text in parts if kind != "-") == texts[1]


def test_run_from_a_view_uses_the_form_in_the_message(pg, sent):
    form = {"prompt": "Say it twice.", "temperature": "hot", "iterations": 1}

    pg._handle_custom_msg({"type": "run", "form": form}, [])

    until(lambda: pg.problem)
    assert pg.problem == "temperature is 'hot'; local takes a number from 0 to 2."
    assert pg.prompt == "Say it twice."
    assert of_type(sent, "run") == []


def test_message_handler_does_not_wait_for_planning(pg, sent, monkeypatch):
    release, planned = threading.Event(), threading.Event()

    def plan_slowly(*_):
        release.wait(ANSWER_S)
        planned.set()
        return ()

    monkeypatch.setattr(price, "plan_calls", plan_slowly)

    pg._handle_custom_msg({"type": "run", "form": {}}, [])

    assert not planned.is_set()
    release.set()
    until(planned.is_set)


def test_observer_may_call_a_model(pg):
    """Observers are called on the widget's thread, not on the loop that the answer needs."""
    asked = []
    pg.observe(
        lambda change: change["new"] or asked.append(lp.ask("Hi", "local", max_tokens=2)), "running"
    )

    pg.run()

    until(lambda: asked)
    assert asked[0].status == "completed"


def test_values_set_on_two_threads_are_all_kept(pg):
    def set_many(name):
        for value in range(200):
            pg.set_state({name: value / 200})

    threads = [threading.Thread(target=set_many, args=[name]) for name in ("temperature", "top_p")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(ANSWER_S)

    assert (pg.temperature, pg.top_p) == (199 / 200, 199 / 200)
    assert pg.problem == ""


def test_no_trait_holds_a_key(home, monkeypatch):
    key = "-".join(["sk", "planted", "for", "this", "test"])
    monkeypatch.setenv("OPENAI_API_KEY", key)

    pg = lp.Playground(models=["openai:gpt-4o-mini"])
    until(lambda: pg.choices)

    assert key not in str(pg.get_state())
    assert any(c["available"] and c["model"].startswith("openai:") for c in pg.choices)


def test_opened_picker_lists_local_servers(pg, monkeypatch):
    monkeypatch.setattr(listing, "_LOCAL_TIMEOUT_S", 60)
    with WireServer(json_reply(200, {"data": [{"id": "llama3.2:3b"}]})) as server:
        lp.configure(endpoints={"ollama": f"{server.url}/v1"})
        until(lambda: pg.choices)
        assert server.requests == []

        pg._on_message(pg, {"type": "choices"}, [])

        until(lambda: any(choice["model"] == "ollama:llama3.2:3b" for choice in pg.choices))


def test_representation_explains_a_missing_front_end(pg):
    data, _ = pg._repr_mimebundle_()

    assert fallback_output.HTML in data["text/html"]
    assert data["text/plain"] == fallback_output.TEXT
    assert "application/vnd.jupyter.widget-view+json" in data


def test_joined_modules_have_no_relative_imports(tmp_path):
    (tmp_path / "a.js").write_text("export const A = 1;\nexport function f() {}\n")
    (tmp_path / "b.js").write_text(
        'import {\n  A,\n  f,\n} from "./a.js";\nexport default { A, f };\n'
    )

    text = traits.joined([tmp_path / "a.js", tmp_path / "b.js"])

    assert text == "const A = 1;\nfunction f() {}\n\nexport default { A, f };\n"


def test_answer_that_never_began_ends_with_a_message():
    sheet = AnswerSet(1, [planned_call(), planned_call()])

    assert sheet.end_without_run(1, "failed", "Out of luck.")
    assert not sheet.end_without_run(1, "cancelled", "")

    [change] = sheet.take_changes()
    assert (change["state"], change["notices"]) == ("failed", ["Out of luck."])
    assert not sheet.ended()


def test_the_log_names_the_widget_as_source(pg):
    pg.run()

    assert len(pg.results) == 1
    assert lp.runs().source.tolist() == ["widget"]


def test_what_one_view_sets_reaches_the_others_and_a_run_adds_nothing(pg, monkeypatch):
    messages = []
    monkeypatch.setattr(pg, "_send", lambda message, **_: messages.append(message))
    pg.set_state({"prompt": "Say bye.", "temperature": 0.5})

    echoes = [one["state"] for one in messages if one["method"] == "echo_update"]
    assert echoes == [{"prompt": "Say bye.", "temperature": 0.5, "seen": {"revision": 1}}]
    messages.clear()
    pg._run_form({"form": pg.get_state(traits.FORM)})
    assert pg.results.user_prompt.tolist() == ["Say bye."]
    assert not [one for one in messages if one["method"] == "echo_update"]


def test_cases_as_an_argument_stay_beside_the_draft_of_the_panel(home):
    frame = pd.DataFrame({"name": ["Ada", "Grace"]})
    given = {"models": ["local"], "prompt": "Greet {{name}}.", "cases": frame}
    panel = lp.Playground("greetings", **given)
    panel.set_state({"temperature": 0.5})
    panel.close()

    again = lp.Playground("greetings", **given)

    assert again.cases is frame
    assert again.temperature == 0.5
    assert [one["name"] for one in again.form().cases] == ["Ada", "Grace"]


def test_a_removed_table_of_cases_can_be_brought_back(pg):
    frame = pd.DataFrame({"name": ["Ada", "Grace"]})
    pg.cases = frame
    shown = pg.get_state("cases")["cases"]

    pg.set_state({"cases": None})
    assert pg.cases is None
    pg.set_state({"cases": shown})

    assert pg.cases is frame
