"""Keys: four places in one order, a check by prefix; a keyring is asked rarely, beside the loop."""

import asyncio
import base64
import getpass
import threading
import warnings

import keyring
import keyring.backends.chainer
import keyring.backends.fail
import keyring.backends.null
import pytest
from keyring.backend import KeyringBackend
from keyring.errors import KeyringLocked, PasswordDeleteError

import llm_playground as lp
from llm_playground import _lifecycle, magics
from llm_playground.catalog import models
from llm_playground.config import credentials
from llm_playground.errors import ConfigError, MissingKeyError
from llm_playground.redaction import redact
from tests.kernel import kernel
from tests.providers.formats import openai_stream
from tests.providers.server import Reply, WireServer, json_reply

PLANTED = "sk-" + "planted" * 4
OTHER = "sk-" + "another" * 4

pytestmark = pytest.mark.usefixtures("home")


class Memory(KeyringBackend):
    """A keyring that keeps what it is given, and counts how often it is asked."""

    priority = 1

    def __init__(self):
        self.kept = {}
        self.asked = []
        self.unlocked = threading.Event()
        self.unlocked.set()

    def get_password(self, service, username):
        self.unlocked.wait(120)
        self.asked.append((service, username))
        return self.kept.get((service, username))

    def set_password(self, service, username, password):
        self.kept[service, username] = password

    def delete_password(self, service, username):
        try:
            del self.kept[service, username]
        except KeyError:
            raise PasswordDeleteError from None


class Broken(KeyringBackend):
    """A keyring that raises a given error."""

    priority = 1

    def __init__(self, error):
        self.error = error

    def get_password(self, *_):
        raise self.error

    set_password = delete_password = get_password


@pytest.fixture(autouse=True)
def _new_kernel(monkeypatch):
    """What one kernel remembers, empty; and no keyring, during a test and after it."""
    use_keyring(monkeypatch, keyring.backends.null.Keyring())
    yield
    keyring.set_keyring(keyring.backends.null.Keyring())


def use_keyring(monkeypatch, backend):
    keyring.set_keyring(backend)
    for name, empty in {"_keys_read": {}, "_query": None, "_error": None}.items():
        monkeypatch.setattr(credentials, name, empty)


@pytest.fixture
def memory(monkeypatch):
    backend = Memory()
    use_keyring(monkeypatch, backend)
    return backend


@pytest.fixture
def typed(monkeypatch):
    """Types what it is given where a password is asked for; the prompts it saw."""
    seen = []

    def types(text):
        def answer(prompt="", stream=None):
            seen.append(prompt)
            return text

        monkeypatch.setattr(getpass, "getpass", answer)
        return seen

    return types


class TestOrder:
    def test_a_missing_key_is_an_error_that_names_the_variable_the_command_and_the_page(self):
        with pytest.raises(MissingKeyError) as caught:
            credentials.key("anthropic")

        said = str(caught.value)
        assert "Put ANTHROPIC_API_KEY in .env or the environment" in said
        assert "%llm keys set anthropic" in said
        assert said.endswith("Get one at https://console.anthropic.com/settings/keys")

    def test_each_place_wins_over_those_behind_it(self, tmp_path, monkeypatch, memory):
        found = []
        memory.kept["llm_playground", "openai"] = "sk-keyring"
        found.append(credentials.key_status("openai"))
        (tmp_path / ".env").write_text("OPENAI_API_KEY=sk-file\n")
        found.append(credentials.key_status("openai"))
        monkeypatch.setenv("OPENAI_API_KEY", "sk-environment")
        found.append(credentials.key_status("openai"))
        lp.set_key("openai", "sk-here-and-now")
        found.append(credentials.key_status("openai"))

        assert [status.source for status in found] == [
            "keyring",
            ".env",
            "environment",
            "this kernel",
        ]
        assert credentials.key("openai") == "sk-here-and-now"

    def test_a_key_put_into_dotenv_is_found_without_a_restart(self, tmp_path):
        assert credentials.key_status("openai").status == "missing"
        (tmp_path / ".env").write_text(f"OPENAI_API_KEY={PLANTED}\n")
        assert credentials.key("openai") == PLANTED
        (tmp_path / ".env").write_text(f"OPENAI_API_KEY={OTHER}\n")
        assert credentials.key("openai") == OTHER

    def test_what_the_nearest_dotenv_lacks_is_looked_for_in_the_folders_above(
        self, tmp_path, monkeypatch
    ):
        (tmp_path / "below").mkdir()
        (tmp_path / ".env").write_text(f"OPENAI_API_KEY={PLANTED}\nXAI_API_KEY=xai-above\n")
        (tmp_path / "below" / ".env").write_text("XAI_API_KEY=xai-below\n")
        monkeypatch.chdir(tmp_path / "below")

        assert credentials.key("openai") == PLANTED
        assert credentials.key("xai") == "xai-below"

    @pytest.mark.parametrize(
        "variable", ["GOOGLE_GEMINI_API_KEY", "GEMINI_API_KEY", "GOOGLE_API_KEY"]
    )
    def test_gemini_has_three_names_for_its_key(self, variable, monkeypatch):
        monkeypatch.setenv(variable, "AIza-x")

        assert credentials.key_status("gemini").variable == variable


class TestPlausible:
    @pytest.mark.parametrize("given", ["my secret words", "sk-with\ttab", "sk-ключ", "AIza-other"])
    def test_a_malformed_key_is_an_error_without_the_key(self, monkeypatch, given):
        monkeypatch.setenv("OPENAI_API_KEY", given)

        with pytest.raises(MissingKeyError, match=r"OPENAI_API_KEY \(from environment\)") as caught:
            credentials.key("openai")
        assert given not in str(caught.value)
        assert credentials.key_status("openai").status == "malformed"

    def test_length_says_nothing(self, monkeypatch):
        monkeypatch.setenv("OPENAI_API_KEY", "sk-1")

        assert credentials.key("openai") == "sk-1"

    def test_where_no_prefix_is_known_any_word_will_do(self, monkeypatch):
        monkeypatch.setenv("MISTRAL_API_KEY", "abcDEF123")

        assert credentials.key("mistral") == "abcDEF123"

    def test_a_custom_base_url_takes_any_key(self, monkeypatch):
        monkeypatch.setenv("OPENAI_API_KEY", "anything")
        monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:1/v1")

        assert credentials.key("openai") == "anything"

    def test_so_does_a_provider_that_was_moved(self, monkeypatch):
        monkeypatch.setenv("GROQ_API_KEY", "anything")
        lp.configure(endpoints={"groq": {"base_url": "http://127.0.0.1:1/v1"}})
        try:
            assert credentials.key("groq") == "anything"
        finally:
            lp.configure(endpoints={"groq": None})


class TestSetKey:
    def test_a_key_is_asked_for_where_nobody_reads_along(self, typed):
        prompts = typed(f" {PLANTED}\n")

        lp.set_key("openai")

        assert prompts == ["Key of OpenAI: "]
        assert credentials.key("openai") == PLANTED
        assert PLANTED not in redact(f"it is {PLANTED}")

    def test_a_key_of_another_vendor_is_refused_in_one_line_without_it(self, typed):
        wrong = "AI" + "za" + "0Ab9" * 9
        typed(wrong)

        with pytest.raises(
            ConfigError, match=r"a key starts with sk-ant- and has no spaces"
        ) as said:
            lp.set_key("anthropic")

        assert wrong not in str(said.value)
        assert credentials.key_status("anthropic").status == "missing"

    def test_a_prompt_pasted_as_a_key_can_still_be_sent(self):
        with pytest.raises(ConfigError, match="not a key of OpenAI"):
            lp.set_key("openai", "positive review please")
        assert redact("A positive review please?") == "A positive review please?"

    def test_nothing_typed_is_nothing_set(self, typed, monkeypatch):
        monkeypatch.setenv("OPENAI_API_KEY", PLANTED)
        typed("  ")

        with pytest.raises(ConfigError, match="key is empty"):
            lp.set_key("openai")
        assert credentials.key_status("openai").source == "environment"

    @pytest.mark.parametrize(
        ("provider", "said"),
        [
            ("opnai", "Did you mean openai"),
            ("ollama", "No key is needed for Ollama"),
            (None, "Available: openai"),
        ],
    )
    def test_a_provider_without_a_key_or_a_name_is_said(self, provider, said):
        for act in (lp.set_key, lp.forget_key):
            with pytest.raises(ConfigError, match=said):
                act(provider)

    def test_where_typing_cannot_be_hidden_nothing_is_asked(self, monkeypatch):
        def shows_it(_prompt="", stream=None):
            warnings.warn("cannot hide", getpass.GetPassWarning, stacklevel=1)
            raise AssertionError("asked all the same")

        monkeypatch.setattr(getpass, "getpass", shows_it)

        with pytest.raises(ConfigError, match=r"Put OPENAI_API_KEY in \.env"):
            lp.set_key("openai")

    def test_two_ways_to_one_service_share_a_key(self, typed):
        typed("AIza-x")

        lp.set_key("gemini")

        assert credentials.key("gemini-legacy") == "AIza-x"

    def test_it_can_be_taken_back(self, memory):
        lp.set_key("openai", PLANTED, save=True)

        assert lp.forget_key("openai") == ("this kernel", "keyring")
        assert lp.forget_key("openai") == ()
        assert credentials.key_status("openai").status == "missing"
        assert not memory.kept


class TestKeyring:
    def test_a_saved_key_is_there_for_the_next_kernel(self, memory, monkeypatch):
        lp.set_key("openai", PLANTED, save=True)
        assert memory.kept == {("llm_playground", "openai"): PLANTED}

        _lifecycle.reset_state()
        use_keyring(monkeypatch, memory)

        status = credentials.key_status("openai")
        assert (status.status, status.source) == ("present", "keyring")
        assert PLANTED not in redact(PLANTED)

    def test_a_chain_of_keyrings_will_do(self, memory, monkeypatch):
        chain = keyring.backends.chainer.ChainerBackend()
        monkeypatch.setattr(type(chain), "backends", [keyring.backends.fail.Keyring(), memory])
        memory.kept["llm_playground", "openai"] = PLANTED
        use_keyring(monkeypatch, chain)

        with pytest.raises(MissingKeyError, match=r"No key for OpenAI"):
            credentials.key("openai")  # a chain fails as its first link does, which is said nowhere

        monkeypatch.setattr(type(chain), "backends", [memory])
        use_keyring(monkeypatch, chain)
        assert credentials.key("openai") == PLANTED

    def test_it_is_asked_once_for_all_keys_whether_it_has_them_or_not(self, memory):
        memory.kept["llm_playground", "openai"] = PLANTED

        for _ in range(5):
            assert credentials.key("openai") == PLANTED
            credentials.key_statuses()

        assert len(memory.asked) == len(set(memory.asked))
        assert ("llm_playground", "anthropic") in memory.asked

    def test_it_is_not_asked_where_a_key_is_nearer(self, memory, monkeypatch):
        monkeypatch.setenv("OPENAI_API_KEY", PLANTED)

        credentials.key("openai")

        assert not memory.asked

    def test_a_key_added_to_it_later_is_found_without_a_restart(self, memory, monkeypatch):
        assert credentials.key_status("openai").status == "missing"
        memory.kept["llm_playground", "openai"] = PLANTED
        assert credentials.key_status("openai").status == "missing"  # just asked

        monkeypatch.setattr(credentials, "_QUERY_AGAIN_AFTER_S", 0.0)

        assert credentials.key("openai") == PLANTED

    @pytest.mark.parametrize(
        ("backend", "why"),
        [
            (keyring.backends.fail.Keyring(), "no keyring is available"),
            (keyring.backends.null.Keyring(), "stores nothing"),
            (Broken(KeyringLocked(PLANTED)), "is locked"),
            (Broken(OSError(PLANTED)), r"failed \(OSError\)"),
        ],
    )
    def test_one_that_does_not_work_costs_a_line_and_not_the_key(
        self, monkeypatch, capsys, typed, backend, why
    ):
        use_keyring(monkeypatch, backend)
        assert credentials.key_status("openai").status == "missing"
        typed(PLANTED)

        magics.command("keys set openai --save")()

        shown = capsys.readouterr().out.splitlines()
        assert len(shown) == 2
        assert shown[1].startswith("Not saved: ")
        assert why.replace("\\", "") in shown[1]
        assert PLANTED not in "".join(shown)
        assert credentials.key("openai") == PLANTED

    def test_a_locked_one_is_named_where_no_key_was_found(self, monkeypatch):
        use_keyring(monkeypatch, Broken(KeyringLocked("x")))

        with pytest.raises(MissingKeyError, match="the keyring is locked"):
            credentials.key("openai")

    def test_without_the_library_it_says_what_to_install(self, monkeypatch, typed, capsys):
        monkeypatch.setitem(__import__("sys").modules, "keyring", None)
        typed(PLANTED)

        magics.command("keys set openai --save")()

        assert "pip install keyring." in capsys.readouterr().out
        assert credentials.key("openai") == PLANTED
        assert lp.forget_key("openai") == ("this kernel",)

    async def test_while_it_waits_for_a_person_answers_go_on(self, memory, monkeypatch):
        memory.unlocked.clear()
        memory.kept["llm_playground", "openai"] = PLANTED
        monkeypatch.setenv("ANTHROPIC_API_KEY", "x")

        async with asyncio.timeout(60):
            waiting = [asyncio.create_task(credentials.ready("openai")) for _ in range(100)]
            await credentials.ready("anthropic")
            await asyncio.sleep(0)
            assert not any(task.done() for task in waiting)
            memory.unlocked.set()
            await asyncio.gather(*waiting)

        assert credentials.key("openai") == PLANTED
        assert len(memory.asked) == len(set(memory.asked))

    def test_one_that_nobody_unlocks_is_not_waited_for_for_ever(self, memory, monkeypatch):
        monkeypatch.setattr(credentials, "WAIT_S", 0.2)
        memory.unlocked.clear()

        statuses = {status.status for status in credentials.key_statuses()}

        assert statuses == {"missing"}
        assert not memory.asked
        memory.unlocked.set()

    def test_a_call_waits_for_it_beside_the_loop(self, memory, monkeypatch):
        memory.unlocked.clear()
        memory.kept["llm_playground", "openai"] = PLANTED
        with WireServer(Reply(openai_stream(["fine"]))) as server:
            monkeypatch.setenv("OPENAI_BASE_URL", f"{server.url}/v1")
            answers = []
            caller = threading.Thread(
                target=lambda: answers.append(lp.ask("hi", "openai:gpt-4o").text)
            )
            caller.start()
            assert lp.ask("hi", max_tokens=2).status == "completed"  # another, meanwhile
            assert not answers
            memory.unlocked.set()
            caller.join(60)

        assert answers == ["fine"]
        assert server.requests[0].headers["authorization"] == f"Bearer {PLANTED}"


class TestNowhere:
    """A key of any source is in no frame, error, row or journal."""

    @pytest.mark.parametrize("place", ["this kernel", "keyring", "environment", ".env"])
    def test_a_planted_key_shows_nowhere(self, place, home, memory, monkeypatch, tmp_path):
        if place == "this kernel":
            lp.set_key("openai", PLANTED)
        elif place == "keyring":
            memory.kept["llm_playground", "openai"] = PLANTED
        elif place == "environment":
            monkeypatch.setenv("OPENAI_API_KEY", PLANTED)
        else:
            (tmp_path / ".env").write_text(f"OPENAI_API_KEY={PLANTED}\n")
        said = f"Incorrect API key provided: {PLANTED}"
        with WireServer(json_reply(401, {"error": {"message": said}})) as server:
            monkeypatch.setenv("OPENAI_BASE_URL", f"{server.url}/v1")
            with pytest.raises(lp.AuthenticationError) as caught:
                lp.ask("hi", "openai:gpt-4o")
        error = caught.value
        frame = models.keys().set_index("provider")

        assert PLANTED in server.requests[0].headers["authorization"]
        assert frame.source["openai"] == place
        assert f"It came from {'the ' * place.isalpha()}{place} and ends in …ted." in str(error)
        shown = [error, repr(error), error.detail, error.run, frame.to_csv(), lp.runs().to_csv()]
        assert PLANTED not in "".join(map(str, shown))
        for path in home.rglob("*"):
            assert path.is_dir() or PLANTED.encode() not in path.read_bytes(), path

    @pytest.mark.parametrize("variable", ["OPENAI_CUSTOM_HEADERS", "ANTHROPIC_CUSTOM_HEADERS"])
    @pytest.mark.parametrize(
        "headers",
        [
            "X-Team: SECRET",
            "X-Gateway-Token: SECRET\nX-Team: other-people",
            "Authorization: Bearer SECRET",
            "Cookie: theme=dark; session=SECRET",
            "X-Forwarded-For: 10.0.0.1, SECRET",
            "no colon\r\nX-Anything:SECRET",
            "Authorization: Basic BASIC",
        ],
    )
    def test_nor_does_a_header_that_an_sdk_takes_from_the_environment(
        self, monkeypatch, variable, headers
    ):
        secret = "-".join(["gateway", "4711", "word"])
        basic = base64.b64encode(f"ada:{secret}".encode()).decode()
        monkeypatch.setenv(variable, headers.replace("SECRET", secret).replace("BASIC", basic))

        credentials.remember_all()

        assert redact(f"<{secret}> as application/json") == "<[redacted]> as application/json"
        assert secret not in redact(f"Basic {basic}, {secret}")
        assert basic not in redact(f"Basic {basic}")

    @pytest.mark.parametrize(
        ("variable", "value"),
        [
            ("ANTHROPIC_AUTH_TOKEN", "SECRET"),
            ("OPENAI_ADMIN_KEY", "SECRET"),
            ("PGPASSWORD", "SECRET"),
            ("HTTPS_PROXY", "http://ada:SECRET@127.0.0.1:9"),
            ("all_proxy", "socks5://ada:SECRET@127.0.0.1:9"),
            ("LLM_PLAYGROUND_LOG", "postgresql://ada:SECRET@127.0.0.1:9/x"),
            ("LLM_PLAYGROUND_LOG", "postgresql://127.0.0.1:9/x?password=SECRET"),
            ("LLM_PLAYGROUND_LOG", "postgresql://127.0.0.1:9/x?user=a&sslpassword=SECRET&b=c"),
        ],
    )
    def test_nor_does_another_secret_of_the_environment(self, monkeypatch, variable, value):
        secret = "-".join(["gateway", "4712", "word"])
        monkeypatch.setenv(variable, value.replace("SECRET", secret))

        credentials.remember_all()

        assert redact(f"<{secret}>") == "<[redacted]>"

    @pytest.mark.parametrize(
        "mistake",
        [
            lambda: lp.ask("hi", PLANTED),
            lambda: lp.ask("hi", f"openai:m:{PLANTED}", temperature=PLANTED),
            lambda: lp.ask("hi", preset=PLANTED),
            lambda: lp.ask("hi", **{PLANTED: 1}),
            lambda: lp.ask("hi", messages=[{"role": PLANTED}]),
            lambda: lp.ask("hi", extra=PLANTED),
            lambda: lp.set_key(PLANTED),
            lambda: lp.configure(secret_guard=PLANTED),
        ],
    )
    def test_a_key_in_the_wrong_place_is_not_quoted(self, mistake):
        with pytest.raises(lp.LLMError) as caught:
            mistake()

        error = caught.value
        assert PLANTED not in f"{error} {error!r} {error.model} {error.detail}"

    def test_the_frame_has_its_columns(self, monkeypatch):
        monkeypatch.setenv("OPENAI_API_KEY", PLANTED)

        frame = lp.keys()

        assert list(frame) == ["provider", "variable", "source", "status", "masked"]
        assert frame.set_index("provider").masked["openai"] == "…ted"
        assert "ollama" not in set(frame.provider)


class TestCommands:
    def test_set_and_forget_say_what_they_did(self, typed, capsys, memory, monkeypatch):
        monkeypatch.setenv("OPENAI_API_KEY", OTHER)
        typed(PLANTED)

        magics.command("keys set openai --save")()
        magics.command("keys forget openai")()
        magics.command("keys forget anthropic")()

        assert capsys.readouterr().out.splitlines() == [
            "The key of OpenAI (…ted) is set for this kernel.",
            "It is saved in the keyring for later kernels.",
            "The key of OpenAI is removed from this kernel and the keyring.",
            "OPENAI_API_KEY from the environment is used now.",
            "There was no key of Anthropic in this kernel or the keyring.",
        ]

    def test_a_key_on_the_line_is_neither_taken_nor_shown(self):
        with pytest.raises(ConfigError, match="stays in the notebook") as caught:
            magics.command(f"keys set openai {PLANTED}")()

        assert PLANTED not in str(caught.value)
        assert credentials.key_status("openai").status == "missing"
        assert PLANTED not in redact(PLANTED)

    @pytest.mark.parametrize("words", [["set"], ["forget"], ["forget", "a", "b"]])
    def test_without_one_provider_they_ask_for_one(self, words):
        with pytest.raises(ConfigError, match="takes one provider"):
            magics.command(" ".join(["keys", *words]))()


class TestNotebook:
    @pytest.fixture
    def nb(self, tmp_path):
        with kernel({"LLM_PLAYGROUND_HOME": str(tmp_path / "home")}) as started:
            started.run("%load_ext llm_playground\nimport llm_playground as lp")
            yield started

    def test_a_key_is_typed_into_a_hidden_box_and_stays_out_of_the_notebook(self, nb):
        cell = nb.client.execute("%llm keys set openai", allow_stdin=True)
        asked = nb.client.get_stdin_msg(timeout=240)["content"]
        nb.client.input(PLANTED)
        outputs = nb.finish(cell)

        assert asked == {"prompt": "Key of OpenAI: ", "password": True}
        assert outputs.text == "The key of OpenAI (…ted) is set for this kernel.\n"
        assert nb.run("lp.keys().set_index('provider').source['openai']").result == "'this kernel'"
        history = nb.run("list(get_ipython().history_manager.get_range(output=True)), Out")
        everything = str([*outputs.messages, *history.messages])
        assert "keys set openai" in everything
        assert PLANTED not in everything

    def test_a_front_end_that_cannot_ask_is_told_where_to_put_the_key(self, nb):
        error = nb.run("%llm keys set openai").error

        assert len(error["traceback"]) == 1
        assert "Put OPENAI_API_KEY in .env" in error["evalue"]

    def test_a_key_typed_into_the_cell_is_not_sent_to_a_model(self, nb):
        outputs = nb.run(f"%llm keys set openai {PLANTED}")

        assert "stays in the notebook" in outputs.error["evalue"]
        published = [m for m in outputs.messages if m["msg_type"] != "execute_input"]
        assert PLANTED not in str([message["content"] for message in published])
        assert nb.run("len(lp.runs())").result == "0"
