"""``.env``: which files are read, and which of their settings wait for the user's consent."""

import os
import subprocess
import sys
import warnings

import keyring
import keyring.backends.null
import pytest
from keyring.backend import KeyringBackend

import llm_playground as lp
from llm_playground import config, doctor
from llm_playground.config import credentials, dotenv
from llm_playground.errors import ConfigError
from tests.providers.formats import anthropic_stream, gemini_stream, openai_stream
from tests.providers.server import Reply, WireServer

KEY = "sk-" + "ant-" + "planted" * 4
ANSWERS = {
    "openai": openai_stream(["Hi"]),
    "anthropic": anthropic_stream(["Hi"]),
    "gemini": gemini_stream(["Hi"]),
}
VARIABLES = {
    "openai": ("OPENAI_API_KEY", "OPENAI_BASE_URL", KEY),
    "anthropic": ("ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL", KEY),
    "gemini": ("GEMINI_API_KEY", "GOOGLE_GEMINI_BASE_URL", "AIza" + "planted" * 4),
}
ASKS = r"run lp\.trust_dotenv\(\)"

pytestmark = pytest.mark.usefixtures("home")


@pytest.fixture(params=VARIABLES)
def vendor(request):
    """A vendor with its variables and a server that answers as it does."""
    with WireServer(Reply(ANSWERS[request.param])) as server:
        yield request.param, *VARIABLES[request.param], server


def write(folder, **settings):
    path = folder / ".env"
    path.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
    return path


class Stored(KeyringBackend):
    """A keyring with one password for everything."""

    priority = 1

    def __init__(self, password):
        self.password = password

    def get_password(self, *_):
        return self.password

    set_password = delete_password = get_password


@pytest.fixture
def _no_keyring():
    yield
    keyring.set_keyring(keyring.backends.null.Keyring())


class TestABaseUrl:
    def test_is_used_with_the_key_of_the_same_file(self, vendor, tmp_path):
        name, key_variable, url_variable, key, server = vendor
        write(tmp_path, **{key_variable: key, url_variable: server.url})

        assert lp.ask("Hi", f"{name}:m").text == "Hi"

    @pytest.mark.parametrize("form", ["export {}={}", '{} = "{}"', "{}='{}' # mine"])
    def test_is_found_in_each_form_of_a_line(self, tmp_path, monkeypatch, serve, form):
        server = serve(Reply(openai_stream(["Hi"])))
        monkeypatch.delenv("OPENAI_BASE_URL")
        (tmp_path / ".env").write_text(form.format("OPENAI_BASE_URL", server.url))

        with pytest.raises(ConfigError, match=ASKS):
            lp.ask("Hi", "openai:m")

        assert not server.requests

    def test_gets_no_key_of_the_environment_before_consent(self, vendor, tmp_path, monkeypatch):
        name, key_variable, url_variable, key, server = vendor
        monkeypatch.setenv(key_variable, key)
        write(tmp_path, **{url_variable: server.url})

        with pytest.raises(ConfigError, match=ASKS) as refused:
            lp.ask("Hi", f"{name}:m")
        lp.models()
        report = "\n".join(doctor.report())

        assert not server.requests
        assert server.url in str(refused.value)
        assert "\n" not in str(refused.value)
        assert "lp.trust_dotenv()" in report
        assert key not in str(refused.value) + report

    def test_is_used_after_consent_until_it_changes(self, vendor, tmp_path, monkeypatch):
        name, key_variable, url_variable, key, server = vendor
        monkeypatch.setenv(key_variable, key)
        write(tmp_path, **{url_variable: server.url})

        assert lp.trust_dotenv() == [url_variable]
        assert lp.ask("Hi", f"{name}:m").text == "Hi"
        write(tmp_path, **{url_variable: server.url, "OTHER": "changed"})
        assert lp.ask("Hi", f"{name}:m").text == "Hi"
        write(tmp_path, **{url_variable: f"{server.url}/other"})
        with pytest.raises(ConfigError, match=ASKS):
            lp.ask("Hi", f"{name}:m")

    @pytest.mark.parametrize("source", ["this kernel", "keyring", "a .env above"])
    @pytest.mark.usefixtures("_no_keyring")
    def test_nor_one_from_another_place(self, vendor, tmp_path, monkeypatch, source):
        name, key_variable, url_variable, key, server = vendor
        if source == "this kernel":
            lp.set_key(name, key)
        elif source == "keyring":
            for variable, value in {"_keys_read": {}, "_query": None}.items():
                monkeypatch.setattr(credentials, variable, value)
            keyring.set_keyring(Stored(key))
        else:
            write(tmp_path, **{key_variable: key})
        (tmp_path / "below").mkdir()
        monkeypatch.chdir(tmp_path / "below")
        write(tmp_path / "below", **{url_variable: server.url})

        with pytest.raises(ConfigError, match=ASKS):
            lp.ask("Hi", f"{name}:m")

        assert not server.requests

    def test_nor_the_headers_that_an_sdk_adds(self, tmp_path, monkeypatch):
        with WireServer(Reply(openai_stream(["Hi"]))) as server:
            monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "X-Gateway: word")
            write(tmp_path, OPENAI_API_KEY=KEY, OPENAI_BASE_URL=server.url)

            with pytest.raises(ConfigError, match="OPENAI_CUSTOM_HEADERS from the environment"):
                lp.ask("Hi", "openai:m")

            assert not server.requests

    def test_a_panel_sends_no_key_there_either(self, tmp_path, monkeypatch):
        with WireServer(Reply(openai_stream(["Hi"]))) as server:
            monkeypatch.setenv("OPENAI_API_KEY", KEY)
            write(tmp_path, OPENAI_BASE_URL=server.url)
            panel = lp.Playground(prompt="Hi", models=["openai:gpt-4o"])
            panel.run()
            results = panel.results

            assert not server.requests
            assert "lp.trust_dotenv()" in results.error_message[0]


SETTINGS = {
    "LLM_PLAYGROUND_LOG": "elsewhere.duckdb",
    "LLM_PLAYGROUND_HOME": "elsewhere",
    "LLM_PLAYGROUND_MODE": "replay",
    "LLM_PLAYGROUND_USER": "root",
    "LLM_PLAYGROUND_MODEL": "openai:o1-pro",
}


class TestASetting:
    @pytest.mark.parametrize("variable", SETTINGS)
    def test_waits_for_consent_where_the_environment_has_a_key(
        self, tmp_path, monkeypatch, serve, variable
    ):
        server = serve(Reply(openai_stream(["Hi"])))
        monkeypatch.setenv("HOME", str(tmp_path / "user"))
        monkeypatch.delenv(variable, raising=False)
        write(tmp_path, **{variable: SETTINGS[variable]})

        with pytest.raises(ConfigError, match=f"{variable}.*{ASKS}"):
            lp.ask("Hi", "openai:gpt-4o")

        assert not server.requests
        assert not list(tmp_path.glob("elsewhere*"))

    @pytest.mark.parametrize("variable", SETTINGS)
    def test_is_used_where_no_key_is_elsewhere(self, tmp_path, monkeypatch, variable):
        monkeypatch.delenv(variable, raising=False)
        write(tmp_path, OPENAI_API_KEY=KEY, **{variable: SETTINGS[variable]})

        assert config.read(variable) == SETTINGS[variable]

    @pytest.mark.parametrize("variable", SETTINGS)
    def test_is_used_after_consent(self, tmp_path, monkeypatch, variable):
        monkeypatch.setenv("HOME", str(tmp_path / "user"))
        monkeypatch.delenv(variable, raising=False)
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        write(tmp_path, **{variable: SETTINGS[variable]})

        assert lp.trust_dotenv() == [variable]

        assert config.read(variable) == SETTINGS[variable]

    def test_a_log_on_a_server_always_waits(self, tmp_path):
        url = "postgresql://ada:lovelace@127.0.0.1:9/llm?password=hopper"
        write(tmp_path, LLM_PLAYGROUND_LOG=url)

        with pytest.raises(ConfigError, match=ASKS) as refused:
            lp.runs()

        assert "postgresql://127.0.0.1:9/llm" in str(refused.value)
        assert not any(word in str(refused.value) for word in ("ada", "lovelace", "hopper"))

    def test_no_policy_is_read_from_one(self, tmp_path):
        (tmp_path / "policy.toml").write_text("models = []\n")
        write(tmp_path, LLM_PLAYGROUND_POLICY=tmp_path / "policy.toml")

        assert config.policy() == config.Policy()


def fifo(path):
    path.unlink()
    os.mkfifo(path)


def endless(path):
    path.unlink()
    path.symlink_to("/dev/zero")


def terabyte(path):
    with path.open("r+b") as file:
        file.truncate(1 << 40)


def long(path):
    path.write_text(path.read_text() + "#" * dotenv.MAX_BYTES)


SPACES = (" ", "\t", " \t", "\u2003", "\v\f", "\xa0")


def spaces(space):
    """A line for which dotenv takes several seconds."""
    return lambda path: path.write_text("A=x" + space * (50_000 // len(space.encode())) + "x")


LINE = "OPENAI_API_KEY={}\r\n"
ENCODED = {
    "UTF-16 of PowerShell": (LINE, "utf-16"),
    "UTF-16, big-endian": ("\ufeff" + LINE, "utf-16-be"),
    "UTF-16 without a mark": (LINE, "utf-16-le"),
    "UTF-8 with a mark": (LINE, "utf-8-sig"),
    "Windows-1252 in comments": ("# Schlüssel\nOPENAI_API_KEY={} # für uns\n", "cp1252"),
}


class TestAFile:
    @pytest.mark.parametrize("kind", ENCODED)
    def test_of_another_encoding_is_read(self, tmp_path, kind):
        text, encoding = ENCODED[kind]
        (tmp_path / ".env").write_bytes(text.format(KEY).encode(encoding))

        assert config.read("OPENAI_API_KEY") == KEY

    @pytest.mark.parametrize(
        ("change", "reason"),
        [
            (fifo, "it is not a regular file"),
            (endless, "it is not a regular file"),
            (terabyte, "it is longer than 65,536 bytes"),
            (long, "it is longer than 65,536 bytes"),
            (lambda path: path.chmod(0o666), "every user of this machine can write to it"),
            (lambda path: path.write_bytes(b"OPENAI_API_KEY=\xff"), "it is not UTF-8"),
            *((spaces(s), "a line has 1,000 spaces or more in a row") for s in SPACES),
        ],
    )
    def test_that_is_not_a_plain_one_is_not_read_and_named_once(self, tmp_path, change, reason):
        change(write(tmp_path, OPENAI_API_KEY=KEY))

        with pytest.warns(UserWarning, match=f"is not read: {reason}") as caught:
            read = [config.read("OPENAI_API_KEY") for _ in range(2)]

        assert read == [None, None]
        assert len(caught) == 1

    def test_of_another_user_is_not_read(self, tmp_path, monkeypatch):
        path = write(tmp_path, OPENAI_API_KEY=KEY)
        monkeypatch.setattr(os, "geteuid", lambda: path.stat().st_uid + 1)
        if path.stat().st_uid == 0:  # root's files are read
            os.chown(path, 12345, -1)

        with pytest.warns(UserWarning, match="is not read: it belongs to another user"):
            assert config.read("OPENAI_API_KEY") is None

    def test_a_link_to_a_file_of_another_user_is_not_read(self, tmp_path, monkeypatch):
        target = tmp_path / "target"
        target.write_text(f"OPENAI_API_KEY={KEY}\n")
        (tmp_path / ".env").symlink_to(target)
        monkeypatch.setattr(os, "geteuid", lambda: target.stat().st_uid + 1)
        if target.stat().st_uid == 0:  # root's files are read
            os.chown(target, 12345, -1)

        with pytest.warns(UserWarning, match="is not read: it belongs to another user"):
            assert config.read("OPENAI_API_KEY") is None

    @pytest.mark.parametrize("kind", ["link", "folder", "dangling"])
    def test_a_link_to_an_own_file_is_read_and_a_folder_is_none(self, tmp_path, kind):
        if kind == "link":
            (tmp_path / "mine").write_text(f"OPENAI_API_KEY={KEY}\n")
            (tmp_path / ".env").symlink_to(tmp_path / "mine")
        elif kind == "folder":  # a virtual environment
            (tmp_path / ".env").mkdir()
        else:
            (tmp_path / ".env").symlink_to(tmp_path / "absent")
        with warnings.catch_warnings():
            warnings.simplefilter("error")

            assert config.read("OPENAI_API_KEY") == (KEY if kind == "link" else None)


class TestATrustedFile:
    @pytest.mark.parametrize(
        ("change", "reason"),
        [
            (fifo, "it is not a regular file"),
            (terabyte, "it is longer than 65,536 bytes"),
            (long, "it is longer than 65,536 bytes"),
            (lambda path: path.chmod(0o666), "every user of this machine can write to it"),
            (lambda path: path.chmod(0o602), "every user of this machine can write to it"),
            (lambda path: path.write_bytes(b"A=\xff"), "it is not UTF-8"),
            (spaces(" "), "a line has 1,000 spaces or more in a row"),
        ],
    )
    @pytest.mark.filterwarnings("ignore:.* is not read")
    def test_that_is_not_read_stops_every_call(self, vendor, tmp_path, monkeypatch, change, reason):
        name, key_variable, url_variable, key, server = vendor
        monkeypatch.setenv(key_variable, key)
        path = write(tmp_path, **{url_variable: server.url})
        lp.trust_dotenv()
        change(path)

        with pytest.raises(ConfigError, match=f"is not read: {reason}.*Correct or remove") as error:
            lp.ask("Hi", f"{name}:m")
        assert "\n" not in str(error.value)
        assert not server.requests

        path.unlink()
        write(tmp_path, **{url_variable: server.url})
        assert lp.ask("Hi", f"{name}:m").text == "Hi"

    @pytest.mark.filterwarnings("ignore:.* is not read")
    def test_alone_stops_calls(self, tmp_path, monkeypatch, serve):
        server = serve(Reply(openai_stream(["Hi"])))
        write(tmp_path, OPENAI_API_KEY=KEY).chmod(0o666)

        assert lp.ask("Hi", "openai:gpt-4o").text == "Hi"
        assert len(server.requests) == 1

    @pytest.mark.parametrize(
        ("settings", "mode", "said"),
        [
            (None, None, "there is no .env here or above."),
            ({}, 0o600, "/.env has no settings, and keys need no consent."),
            ({"OPENAI_API_KEY": KEY}, 0o600, "/.env has no settings, and keys need no consent."),
            ({"OTHER": "x"}, 0o644, "/.env has no settings, and keys need no consent."),
            ({"OPENAI_BASE_URL": "http://x"}, 0o666, "every user of this machine can write to it"),
            ({"LLM_PLAYGROUND_MODE": "reuse"}, 0o602, "every user of this machine can write to it"),
        ],
    )
    @pytest.mark.filterwarnings("ignore:.* is not read")
    def test_nothing_to_trust_is_said_in_one_line(self, tmp_path, capsys, settings, mode, said):
        if settings is not None:
            write(tmp_path, **settings).chmod(mode)

        assert lp.trust_dotenv() == []

        [line] = capsys.readouterr().out.splitlines()
        assert line.startswith("Nothing to trust: ")
        assert said in line


HUB = """
import os
from llm_playground import config
CHANGE
print(config.username())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has /proc/self/environ")
class TestTheHubsUser:
    @pytest.mark.parametrize(
        "change",
        [
            "os.environ['JUPYTERHUB_USER'] = 'eve'",
            "del os.environ['JUPYTERHUB_USER']",
            "os.putenv('JUPYTERHUB_USER', 'eve')",
            "os.environ.clear()",
            "os.environ['LLM_PLAYGROUND_USER'] = 'eve'",
            "open('.env', 'w').write('JUPYTERHUB_USER=eve\\nLLM_PLAYGROUND_USER=eve\\n')",
            "os.environ['USER'] = os.environ['LOGNAME'] = 'eve'",
            "os.environ['JUPYTERHUB_USER'] = ''; os.environ['LLM_PLAYGROUND_USER'] = 'eve'",
        ],
    )
    def test_is_that_of_the_processs_start(self, tmp_path, change):
        environment = {**os.environ, "JUPYTERHUB_USER": "ada", "LLM_PLAYGROUND_USER": "bob"}
        done = subprocess.run(
            [sys.executable, "-c", HUB.replace("CHANGE", change)],
            env=environment | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=300,
            check=True,
        )

        assert done.stdout == "ada\n"
