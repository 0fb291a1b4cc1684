"""The playground from Python: values, runs, results, and what it tells its views."""

import threading
import time

import pytest

import llm_playground as lp
from llm_playground import config, render
from llm_playground.events import TextDelta
from llm_playground.widgets import asking, front_end, notice, presses
from llm_playground.widgets.form import Form, order
from llm_playground.widgets.sheet import Sheet
from tests.wire.server import WireServer, json_reply

ANSWER_S = 60


@pytest.fixture
def pg(home):
    """A playground on the embedded model, its answers short."""
    made = lp.Playground("test", models=["local"], prompt="Say hello.")
    made.max_tokens = 8
    yield made
    made.close()


@pytest.fixture
def told(pg, monkeypatch):
    """Every message to the views: when, and what."""
    messages = []
    monkeypatch.setattr(pg, "send", lambda content: messages.append((time.monotonic(), content)))
    return messages


def until(condition, timeout_s=ANSWER_S):
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


def ordered():
    [one] = order(Form("Say hello.", models=["local"]), {})
    return one


def shown(told, number):
    """Whether a view has text of an answer."""
    panes = [p for m in of_type(told, "events") for p in m["panes"] if p["number"] == number]
    return any(pane.get("tail") or pane.get("blocks") for pane in panes)


def of_type(told, kind):
    return [content for _, content in told if content["type"] == kind]


def test_run_starts_and_results_wait_for_the_answers(pg):
    pg.iterations = 2

    pg.run()

    frame = pg.results
    assert frame.status.tolist() == ["completed", "completed"]
    assert frame.iteration_number.tolist() == [1, 2]
    assert set(frame.run_id) <= set(lp.runs().run_id)
    assert not pg.running


def test_stop_keeps_the_text_so_far(pg, told):
    pg.max_tokens, pg.prompt = 500, "Tell me a long story about the sea."
    pg.run()
    until(lambda: shown(told, 1))

    pg.stop()

    [row] = pg.results.to_dict("records")
    assert row["status"] == "cancelled"
    assert row["response_text"]


def test_stop_before_the_first_step_ends_the_run_too(pg):
    pg.run()
    pg.stop()

    assert set(pg.results.get("status", [])) <= {"cancelled"}
    until(lambda: not pg.running)


def test_a_preset_sets_the_temperature_and_another_temperature_leaves_it(pg):
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
def test_a_wrong_value_is_kept_and_explained_in_one_line(pg, trait, value, line):
    setattr(pg, trait, value)

    assert getattr(pg, trait) == value
    assert pg.problem == line
    with pytest.raises(lp.InvalidParameterError, match=line[:20]):
        pg.run()
    assert pg.problem == line
    assert pg.prompt == "Say hello."


def test_a_corrected_value_takes_the_line_away(pg):
    pg.temperature = 7
    pg.temperature = 1

    assert pg.problem == ""


def test_an_unknown_model_is_explained_with_the_closest(pg):
    pg.models = ["gtp-4o"]

    assert pg.problem.startswith("No provider is known for the model 'gtp-4o'.")


def test_models_are_a_list_without_doubles(home):
    pg = lp.Playground(models="local", n=3)

    assert (pg.models, pg.iterations) == (["local"], 3)
    pg.models = ["local", "local", "openai:x"]
    assert pg.models == ["local", "openai:x"]


def test_messages_carry_what_is_new_only_and_do_not_come_with_every_delta(pg, told):
    pg.max_tokens, pg.iterations = 100, 3
    pg.prompt = "Tell me a long story about the sea."

    pg.run()
    answers = pg.results.response_text.tolist()
    until(lambda: not pg.running)

    times = [when for when, content in told if content["type"] == "events"]
    endings = len(answers)
    assert 3 <= len(times) <= (times[-1] - times[0]) / asking.TELL_EVERY_S + endings + 2
    for number, answer in enumerate(answers, 1):
        panes = [p for m in of_type(told, "events") for p in m["panes"] if p["number"] == number]
        blocks = [block for pane in panes for block in pane.get("blocks", ())]
        assert "".join(blocks) == render.to_html(answer)
        carried = sum(len(pane.get("tail", "")) for pane in panes)
        assert carried < 3 * len(answer), "the text goes over once, not with every message"


def test_an_answer_grows_as_plain_text_and_finished_blocks(home):
    sheet = Sheet(1, [ordered()])

    sheet.take(1, TextDelta("# Sea\n\nIt is **wide** a"))
    [first] = sheet.news()
    sheet.take(1, TextDelta("nd deep.\n\nIt"))
    [second] = sheet.news()

    assert first["blocks"] == ("<h1>Sea</h1>\n",)
    assert first["tail"] == "It is **wide** "
    assert second["blocks"] == ("<p>It is <strong>wide</strong> and deep.</p>\n",)
    assert second["tail"] == "It"


def test_a_view_that_opens_late_gets_everything_once(pg, told):
    pg.max_tokens = 60
    pg.run()
    until(lambda: of_type(told, "events"))
    pg._handle_custom_msg({"type": "sync", "view": "late"}, [])
    answer = pg.results.response_text[0]
    until(lambda: not pg.running)

    kinds = [content["type"] for _, content in told]
    [snapshot] = of_type(told, "snapshot")
    after = of_type(told[kinds.index("snapshot") :], "events")
    assert snapshot["view"] == "late"
    seen = [*snapshot["panes"], *(pane for message in after for pane in message["panes"])]
    blocks = [block for pane in seen for block in pane.get("blocks", ())]
    assert "".join(blocks) == render.to_html(answer)


def test_one_answer_is_asked_for_again_in_its_place(pg):
    pg.iterations, pg.prompt = 2, "Tell me a long story about the sea."
    pg.run()
    first = pg.results

    pg._handle_custom_msg({"type": "retry", "number": 2, "changes": {"max_tokens": 4}}, [])
    until(lambda: pg.running)
    again = pg.results

    assert again.run_id[0] == first.run_id[0]
    assert again.run_id[1] != first.run_id[1]
    assert again.output_tokens[1] == 4
    assert len(lp.runs()) == 3, "what was paid for stays in the log"


def test_a_cut_off_answer_can_be_tried_again_with_more(pg, told):
    pg.prompt = "Tell me a long story about the sea."
    pg.run()
    until(lambda: not pg.running and pg.results is not None)

    [remedy] = of_type(told, "events")[-1]["panes"][0]["remedies"]

    assert remedy == {"label": "Retry with 16 · free", "changes": {"max_tokens": 16}}


def test_answers_are_compared_word_by_word(pg, told):
    pg.iterations = 2
    pg.run()
    texts = pg.results.response_text

    pg._handle_custom_msg(
        {"type": "ask", "id": "a", "what": "difference", "given": {"baseline": 1, "answer": 2}}, []
    )
    until(lambda: of_type(told, "reply"))

    [reply] = of_type(told, "reply")
    assert "".join(text for kind, text in reply["value"] if kind != "+") == texts[0]
    assert "".join(text for kind, text in reply["value"] if kind != "-") == texts[1]


def test_a_run_from_the_panel_uses_the_form_that_came_with_it(pg, told):
    form = {"prompt": "Say it twice.", "temperature": "hot", "iterations": 1}

    pg._handle_custom_msg({"type": "run", "form": form}, [])

    until(lambda: pg.problem)
    assert pg.problem == "temperature is 'hot'; local takes a number from 0 to 2."
    assert pg.prompt == "Say it twice."
    assert of_type(told, "run") == []


def test_a_handler_returns_at_once(pg, told, monkeypatch):
    release = threading.Event()
    monkeypatch.setattr(presses, "order", lambda *_: release.wait(10) and ())
    started = time.monotonic()

    pg._handle_custom_msg({"type": "run", "form": {}}, [])

    assert time.monotonic() - started < 1
    release.set()


def test_an_observer_may_ask_a_model_itself(pg):
    """It is called on the messages' thread, never on the loop that the answer needs."""
    asked = []
    pg.observe(
        lambda change: change["new"] or asked.append(lp.ask("Hi", "local", max_tokens=2)), "running"
    )

    pg.run()

    until(lambda: asked)
    assert asked[0].status == "completed"


def test_values_set_from_two_threads_at_once_all_arrive(pg):
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


def test_an_opened_picker_is_told_what_listens_on_this_machine(pg, monkeypatch):
    monkeypatch.setattr(config, "_settings", config._settings)
    with WireServer(json_reply(200, {"data": [{"id": "llama3.2:3b"}]})) as server:
        lp.configure(endpoints={"ollama": f"{server.url}/v1"})
        until(lambda: pg.choices)
        assert server.requests == []

        pg._hear(pg, {"type": "choices"}, [])

        until(lambda: any(choice["model"] == "ollama:llama3.2:3b" for choice in pg.choices))


def test_the_representation_says_what_to_do_where_there_is_no_front_end(pg):
    data, _ = pg._repr_mimebundle_()

    assert notice.TEXT in data["text/html"]
    assert data["text/plain"] == notice.TEXT
    assert "application/vnd.jupyter.widget-view+json" in data


def test_modules_are_joined_without_imports_of_each_other(tmp_path):
    (tmp_path / "a.js").write_text("export const A = 1;\nexport function f() {}\n")
    (tmp_path / "b.js").write_text(
        'import {\n  A,\n  f,\n} from "./a.js";\nexport default { A, f };\n'
    )

    text = front_end.joined([tmp_path / "a.js", tmp_path / "b.js"])

    assert text == "const A = 1;\nfunction f() {}\n\nexport default { A, f };\n"


def test_an_answer_that_never_began_ends_with_a_line():
    sheet = Sheet(1, [ordered(), ordered()])

    assert sheet.give_up(1, "failed", "Out of luck.")
    assert not sheet.give_up(1, "cancelled", "")

    [change] = sheet.news()
    assert (change["state"], change["notices"]) == ("failed", ["Out of luck."])
    assert not sheet.ended()


def test_the_log_names_the_widget_as_source(pg):
    pg.run()

    assert len(pg.results) == 1
    assert lp.runs().source.tolist() == ["widget"]
