"""A vendor's SDK is imported while other calls are under way."""

import subprocess
import sys

# The finder holds the import of httpx, which google-genai starts, until an OpenAI call has run: it
# then meets httpx as half imported as it can be.
SCRIPT = """
import importlib.abc, importlib.util, sys, threading
import llm_playground as lp
from llm_playground.providers import provider_class

class Holder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    began, go_on = threading.Event(), threading.Event()
    def find_spec(self, name, path, target=None):
        return importlib.util.spec_from_loader(name, self) if name == "httpx" else None
    def exec_module(self, module):
        self.began.set()
        self.go_on.wait(200)
        sys.meta_path.remove(self)
        del sys.modules["httpx"]
        real = importlib.import_module("httpx")
        module.__dict__.update(real.__dict__)
        sys.modules["httpx"] = module

def ask():
    try:
        lp.ask("hi", "openai:gpt-4o")
    except lp.LLMError as error:
        return str(error)

lp.configure(retry=1)
provider_class("openai", "openai")
if "httpx" not in sys.modules:
    sys.meta_path.insert(0, Holder())
thread = threading.Thread(target=provider_class, args=("gemini", "gemini"))
thread.start()
if sys.meta_path[0].__class__ is Holder:
    Holder.began.wait(200)
print(ask())
Holder.go_on.set()
thread.join()
"""


def test_import_of_another_sdk_does_not_break_calls_under_way(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "planted-" + "key-" * 4)
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")  # nothing listens there
    ran = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=240, check=True
    )
    assert "refuses connections" in ran.stdout, ran.stdout + ran.stderr
