"""No reader waits for a pipe, reads a device or takes an endless file."""

import os
import socket
import threading
from pathlib import Path

import pytest

import llm_playground as lp
from llm_playground import _files
from llm_playground.config.policy import read_policy
from llm_playground.exporting import importing
from llm_playground.providers.local import gguf
from llm_playground.request import prompty
from llm_playground.widget import drafts, restore

LONGEST_S = 20  # the first call imports much
TERABYTE = 1 << 40


def pipe(path):
    os.mkfifo(path)


def device(path):
    path.symlink_to("/dev/zero")


def terminal(path):
    path.symlink_to("/dev/tty")


def listening(path):
    with socket.socket(socket.AF_UNIX) as server:
        here = Path.cwd()
        os.chdir(path.parent)  # a socket's path has at most 107 bytes
        server.bind(path.name)
        os.chdir(here)


def endless(path):
    with path.open("wb") as file:
        file.truncate(TERABYTE)


def folder(path):
    path.mkdir()


def read_log(path):
    lp.configure(log=path)
    lp.runs()


KINDS = [pipe, device, terminal, listening, endless, folder]
READERS = {
    "image": lp.image,
    "messages": lambda path: lp.ask(
        messages=[{"role": "user", "content": [{"type": "image", "image": str(path)}]}]
    ),
    ".prompty": prompty.prompt_from_file,
    "policy": read_policy,
    "import": importing.import_runs,
    "log": read_log,
    "restore": lambda path: (lp.demo_runs(1), lp.restore(path)),
    "report": lambda path: lp.reconcile(path, "openai", "2026-11"),
    "gguf": gguf.read_header,
    "notebook": lambda path: restore.find_in_notebook(path, "name", None) or no(),
    "draft": lambda path: drafts.read_draft(identity_at(path)),
}


def no():
    raise lp.LLMError("there is none")


def identity_at(path):
    identity = drafts.Identity("a draft")
    target = drafts._path(identity)
    target.parent.mkdir(parents=True, exist_ok=True)
    path.rename(target)
    return identity


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("reader", READERS)
def test_a_reader_refuses_it_at_once(tmp_path, reader, kind):
    path = tmp_path / "file"
    kind(path)
    raised = []

    def read():
        try:
            READERS[reader](path)
        except (lp.LLMError, OSError, gguf.BrokenFileError) as error:
            raised.append(error)

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    thread.join(LONGEST_S)

    assert raised


@pytest.mark.parametrize(("size", "is_read"), [(0, True), (9, True), (10, True), (11, False)])
def test_a_file_is_read_up_to_its_bound(tmp_path, size, is_read):
    path = tmp_path / "file"
    path.write_bytes(b"a" * size)
    if is_read:
        assert _files.read_regular(path, 10) == b"a" * size
    else:
        with pytest.raises(OSError, match="it is longer than 10 bytes"):
            _files.read_regular(path, 10)
