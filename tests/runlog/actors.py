"""Makes runs, and acts as a process of its own: ``python actors.py ROLE LOG [...]``."""

import os
import sys
import time
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

from llm_playground.errors import RunLogError
from llm_playground.ids import id_from_hash, new_id
from llm_playground.parts import ImagePart, TextPart
from llm_playground.runlog import open_log
from llm_playground.types import Execution, Message, Parameters, Request, Run, Usage

LIMIT_S = 240


def prompt(text="What is a run log?", system=None, model="local:tiny", image=None, **parameters):
    messages = [Message("system", (TextPart(system),))] if system else []
    images = () if image is None else (ImagePart("image/png", image),)
    messages.append(Message("user", (*images, TextPart(text))))
    return Request(model, tuple(messages), Parameters(**parameters))


def execution_of(request, **known):
    values = {"iterations": 1, "source": "test", "username": "ada"} | known
    return Execution(
        id=new_id(),
        prompt_id=id_from_hash(request.prompt_hash()),
        **({"started_at": datetime.now(UTC)} | values),
    )


def run_of(request, execution, **known):
    values = {"iteration_number": 1, "started_at": execution.started_at} | known
    return Run(
        id=new_id(),
        execution_id=execution.id,
        prompt_id=execution.prompt_id,
        model=request.model,
        provider=request.provider,
        parameters=request.parameters,
        **values,
    )


def completed(run, text="An answer.", **known):
    values = {
        "status": "completed",
        "finish_reason": "stop",
        "usage": Usage(10, 20),
        "usage_source": "provider",
        "cost_usd": Decimal("0.000001500000"),
        "ttft_ms": 20.0,
        "response_time_ms": 120.0,
    }
    return replace(run, text=text, **(values | known))


def begin(log, request=None, execution=None, **known):
    request = request or prompt()
    execution = execution or execution_of(request)
    run = run_of(request, execution, **known)
    log.started(run, request, execution)
    return run


def record(log, request=None, execution=None, *, begun=None, **known):
    """One whole run, ended as ``known`` says; the run."""
    run = completed(begin(log, request, execution, **(begun or {})), **known)
    log.finished(run)
    log.execution_finished(run.execution_id, run.status, datetime.now(UTC))
    return run


def wait_until_written(log, run, text):
    """Until a journal has the text of a run."""
    ends = time.monotonic() + LIMIT_S
    while not any(run.id in one and text in one for one in journals_of(log)):
        assert time.monotonic() < ends, "it was not written"
        time.sleep(0.01)


def journals_of(log):
    for file in log.journals.glob("*.jsonl"):
        with suppress(FileNotFoundError):  # it was just taken over
            yield file.read_text("utf-8")


def write_many(path, count):
    log = open_log(path)
    for number in range(int(count)):
        record(log, prompt(f"question {number % 7}"), text=f"answer {number}")


def break_off(path, pid_file=""):
    """Finish two runs, stream a third, and stay alive in the middle of it."""
    log = open_log(path)
    record(log, text="first")
    record(log, text="second")
    run = begin(log)
    log.text(run.id, "once ")
    log.text(run.id, "upon ")
    log.text(run.id, "a time")
    wait_until_written(log, run, "a time")  # what is promised within 50 ms
    if pid_file:
        Path(pid_file).write_text(f"{os.getpid()}")
    print(f"streaming {run.id}", flush=True)
    sys.stdin.read()


def read_and_break_off(path):
    """Stream a run, reading the log in the middle, and stay alive before its end."""
    log = open_log(path)
    run = begin(log)
    log.text(run.id, "once ")
    log.frame("SELECT 1")
    log.text(run.id, "upon ")
    log.frame("SELECT 1")
    log.text(run.id, "a time")
    wait_until_written(log, run, "a time")
    print(f"streaming {run.id}", flush=True)
    sys.stdin.read()


def forget(path):
    """Finish one run and leave without any of Python's farewells."""
    record(open_log(path), text="left behind")
    os._exit(0)


def look(place):
    """Record a run and look at the log; what a person reads."""
    log = open_log(place)
    record(log)
    try:
        print(len(log.frame("SELECT * FROM runs")), "runs", flush=True)
    except RunLogError as error:
        print(error, flush=True)


def full_disk(path):
    """Record while files may not grow, then again when they may."""
    import resource

    log = open_log(path)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (64, limits[1]))
    record(log, text="while the disk was full")
    record(log, text="still full")
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    record(log, text="room again")
    os._exit(0)


def look_on_a_full_disk(path):
    """Record a run, then look at the log while files may not grow."""
    import resource

    open_log(path).check()
    record(open_log(path))
    resource.setrlimit(resource.RLIMIT_FSIZE, (64, resource.RLIM_INFINITY))
    print(len(open_log(path).frame("SELECT * FROM runs")), "runs", flush=True)
    os._exit(0)


def many(place, count):
    """So many processes at once, each with a run and a look at the log; how many were content."""
    open_log(place).check()  # what all of them need is loaded once
    go_out, go_in = os.pipe()
    children = [fork_one(place, go_out, go_in) for _ in range(int(count))]
    os.close(go_in)  # all are there: off they go
    content = [os.waitpid(child, 0)[1] == 0 for child in children]
    print(f"content {sum(content)}", flush=True)


def fork_one(place, go_out, go_in):
    child = os.fork()
    if child:
        return child
    try:
        os.close(go_in)
        os.read(go_out, 1)
        log = open_log(place)
        record(log, text="before")
        assert len(log.frame("SELECT 1 AS one")) == 1
        record(log, text="after")
        log.close()
        os._exit(0)
    except BaseException as error:
        print(repr(error), file=sys.stderr, flush=True)
        os._exit(1)


def keep(path):
    """Keep the turn at the log until standard input ends."""

    def wait(_session):
        print("kept", flush=True)
        sys.stdin.read()

    open_log(path).change(wait)


def count_up(place, times):
    """Add one to a score so often, reading it first."""
    log = open_log(place)

    def add(session):
        session.lock("score")
        ((score,),) = session.rows("SELECT score FROM ratings WHERE id = $id", {"id": "counter"})
        values = {"id": "counter", "score": score + 1}
        session.execute("UPDATE ratings SET score = $score WHERE id = $id", values)

    for _ in range(int(times)):
        log.change(add)


def migrate(place):
    print(open_log(place).migrate(), flush=True)


ROLES = {
    role.__name__: role
    for role in (
        write_many,
        break_off,
        read_and_break_off,
        forget,
        look,
        full_disk,
        look_on_a_full_disk,
        many,
        keep,
        count_up,
        migrate,
    )
}

if __name__ == "__main__":
    ROLES[sys.argv[1]](*sys.argv[2:])
