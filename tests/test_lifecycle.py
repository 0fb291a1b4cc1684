"""Registered state is put back between tests; exit and fork functions run in their order."""

import subprocess
import sys

import llm_playground as lp
from llm_playground import _lifecycle, config


def test_isolated_state_is_put_back():
    lp.configure(model="openai:gpt-4o")
    with _lifecycle.isolated_state():
        lp.configure(model="anthropic:claude-x")
        _lifecycle.reset_state()
        assert config.default_model() == "local"

    assert config.default_model() == "openai:gpt-4o"


def test_order_of_functions():
    code = """if True:
        import os
        from llm_playground import _lifecycle
        for name in ("first", "second"):
            def say(event, name=name):  # one write, since parent and child write at once
                return lambda: os.write(1, f"{event} {name}\\n".encode())
            _lifecycle.register(
                at_exit=say("exit"),
                before_fork=say("before"),
                after_fork_in_parent=say("parent"),
                after_fork_in_child=say("child"),
            )
        child = os.fork()
        if child:
            os.waitpid(child, 0)
        else:
            os._exit(0)
        """
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )

    lines = done.stdout.splitlines()
    assert lines[:2] == ["before second", "before first"]
    assert [line for line in lines if "child" in line] == ["child first", "child second"]
    assert [line for line in lines if "parent" in line] == ["parent first", "parent second"]
    assert lines[-2:] == ["exit second", "exit first"]
