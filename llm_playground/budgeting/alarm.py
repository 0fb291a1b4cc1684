"""Alarms of budgets: a webhook of the administrator or the user, or a Python function, is called.

An alarm is raised when a budget blocks a call (``blocked``), lets one pass that exceeds it
(``exceeded``), or when what is spent reaches a share of the limit (``80%``, ``100%``). Each is sent
once per budget, period and limit, however many processes share the log: the process that inserts
its row into ``budget_alarms`` sends it. All of this happens on threads of their own, one for
webhooks and one for functions, so that an alarm neither delays nor fails a call, and a function
that blocks keeps no alarm from a webhook; failures are written to the package's log file.
"""

from __future__ import annotations

import asyncio
import json
import logging
import queue
import sys
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from hashlib import sha256
from typing import Any

from llm_playground import _lifecycle, config, ids, package_log, provenance
from llm_playground.budgeting.budget import AlarmEvent, Budget, Span, describe_limit
from llm_playground.config.options import Webhook
from llm_playground.errors import RunLogError
from llm_playground.formatting import usd
from llm_playground.runlog.log import RunLog
from llm_playground.runlog.rows import clean_json
from llm_playground.runlog.store import Session

_WORDS: dict[AlarmEvent, str] = {
    "blocked": "A call was not sent",
    "exceeded": "A call that exceeds the budget was sent",
    "80%": "80 % are spent",
    "100%": "All is spent",
}
_TIMEOUT_S = 5.0
_WAITS_S = (1.0, 4.0)  # between the attempts of a webhook
_EXIT_WAIT_S = 5.0
_MOST_WAITING = 100
_INSERT = """
INSERT INTO budget_alarms (id, budget_id, event, username, created_at)
VALUES ($id, $budget, $event, $user, $at) ON CONFLICT DO NOTHING
"""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class BudgetAlarm:
    """What a function set with ``configure(on_budget=...)`` is called with.

    Args:
        event: ``blocked``, ``exceeded``, ``80%`` or ``100%``, see :mod:`.alarm`.
        budget: The budget, with its limit.
        span: The day or month in UTC.
        spent_usd: What was spent in it, as of the last reading; None if it is unknown.
        user: The user whose call raised the alarm.
        at: When, in UTC.
    """

    event: AlarmEvent
    budget: Budget
    span: Span
    spent_usd: Decimal | None
    user: str
    at: datetime

    def __str__(self) -> str:
        """One line for people."""
        spent = "" if self.spent_usd is None else f", {usd(self.spent_usd)} spent"
        return f"{_WORDS[self.event]}: {describe_limit(self.budget, self.span)}{spent}."

    def as_json(self) -> dict[str, Any]:
        """The body of a webhook, without keys; amounts are numbers in US dollars."""
        names = ("id", "period", "model", "user", "tag", "action")
        values: dict[str, object] = {
            "text": str(self),
            "event": self.event,
            "budget": {name: value for name, value in asdict(self.budget).items() if name in names},
            "period_start": self.span.start,
            "period_end": self.span.end,
            "limit_usd": self.budget.limit_usd,
            "spent_usd": self.spent_usd,
            "user": self.user,
            "at": self.at,
        }
        cleaned: dict[str, Any] = clean_json(values)
        return cleaned

    def id_for(self, receiver: str) -> str:
        """The same for all processes that would send this alarm to a receiver."""
        same = (self.event, self.budget.id, str(self.span.start), f"{self.budget.limit_usd:f}")
        return ids.id_from_hash(sha256("\n".join((*same, receiver)).encode()).hexdigest())


Function = Callable[[BudgetAlarm], object]


@dataclass(frozen=True, slots=True)
class _Receiver:
    """What alarms are sent to: what all processes call it, its name in messages, and how to send.

    Names hold no more of an address than its host.
    """

    identity: str
    name: str
    send: Function


class _Sender:
    """The alarms of this process for some receivers, and the thread that sends them."""

    def __init__(self, receivers: Callable[[], list[_Receiver]]) -> None:
        self._receivers = receivers
        self._alarms: queue.Queue[tuple[BudgetAlarm, RunLog]] = queue.Queue(_MOST_WAITING)
        self._raised: set[str] = set()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._warned: set[str] = set()

    def put(self, alarm: BudgetAlarm, log: RunLog) -> None:
        """Send an alarm soon, unless it has no receiver or this process has raised it before."""
        if not self._receivers():
            return
        with self._lock:
            if (key := alarm.id_for("")) in self._raised:
                return
            self._raised.add(key)
            with suppress(queue.Full):
                self._alarms.put_nowait((alarm, log))
            if self._thread is None:
                self._start()

    def _start(self) -> None:
        thread = threading.Thread(target=self._run, name="llm_playground-alarm", daemon=True)
        thread.start()
        self._thread = thread
        # A forked worker of multiprocessing ends without the functions of atexit.
        workers = sys.modules.get("multiprocessing.util")
        if workers is not None and sys.modules["multiprocessing"].parent_process() is not None:
            workers.Finalize(None, self.flush, (_EXIT_WAIT_S,), exitpriority=0)

    def flush(self, wait_s: float = _EXIT_WAIT_S) -> bool:
        """Wait until all alarms are sent, or have failed; whether they are."""
        ends = time.monotonic() + wait_s
        while self._alarms.unfinished_tasks and time.monotonic() < ends:
            time.sleep(0.01)
        return not self._alarms.unfinished_tasks

    def _run(self) -> None:
        while True:
            alarm, log = self._alarms.get()
            try:
                for receiver in self._receivers():
                    self._send(receiver, alarm, log)
            except Exception:  # such as of a handler of the user's; later alarms must be sent
                _log.debug("An alarm cannot be reported: %s", alarm)
            finally:
                self._alarms.task_done()

    def _send(self, receiver: _Receiver, alarm: BudgetAlarm, log: RunLog) -> None:
        try:
            if _is_first(log, alarm, receiver.identity):
                receiver.send(alarm)
        except BaseException as error:  # a function of the user may raise anything, also SystemExit
            self._report(receiver.name, alarm, error)

    def _report(self, name: str, alarm: BudgetAlarm, error: BaseException) -> None:
        why = "".join(traceback.format_exception(error))
        package_log.write(logging.DEBUG, f"{name} failed for the alarm: {alarm}\n{why}")
        if name not in self._warned:
            self._warned.add(name)
            _log.warning(
                "%s raised %s; the alarm was: %s The traceback is in %s.",
                name,
                type(error).__name__,
                alarm,
                package_log.path(),
            )


def raise_alarm(
    log: RunLog, event: AlarmEvent, budget: Budget, span: Span, spent_usd: Decimal | None
) -> None:
    """Send an alarm to all receivers, on other threads. Never raises, never waits."""
    user, at = provenance.username(), datetime.now(UTC)
    alarm = BudgetAlarm(event, budget, span, spent_usd, user, at)
    for sender in (_sender, _caller):
        try:
            sender.put(alarm, log)
        except Exception:  # such as no further thread: the call, which is paid, matters more
            _log.debug("An alarm cannot be sent: %s", alarm)


def _webhooks() -> list[_Receiver]:
    """The webhooks of the administrator and the user."""
    required = config.policy(or_last=True).budget_webhook
    own = config.settings().on_budget
    webhooks = dict.fromkeys(each for each in (required, own) if isinstance(each, Webhook))
    return [_of_webhook(webhook) for webhook in webhooks]


def _of_webhook(webhook: Webhook) -> _Receiver:
    mark = sha256(webhook.url.encode()).hexdigest()[:8]
    name = f"The webhook at {webhook.host} ({mark})"
    return _Receiver(name, name, partial(_post, webhook))


def _functions() -> list[_Receiver]:
    """The user's function."""
    function = config.settings().on_budget
    if function is None or isinstance(function, Webhook):
        return []
    name = getattr(function, "__name__", type(function).__name__)
    identity = f"The function {name} of {provenance.username()}"
    return [_Receiver(identity, f"Your on_budget function {name}", partial(_call, function))]


def _call(function: Function, alarm: BudgetAlarm) -> None:
    """Call a function of the user, which may be async."""
    result = function(alarm)
    if asyncio.iscoroutine(result):
        asyncio.run(result)


def _is_first(log: RunLog, alarm: BudgetAlarm, receiver: str) -> bool:
    """Whether no other process has sent it. Also if the log cannot be written."""
    values = {
        "id": alarm.id_for(receiver),
        "budget": alarm.budget.id,
        "event": alarm.event,
        "user": alarm.user,
        "at": alarm.at,
    }

    def insert(session: Session) -> int:
        return session.execute(_INSERT, values)

    try:
        return log.change(insert) > 0
    except RunLogError:
        return True


def _post(webhook: Webhook, alarm: BudgetAlarm) -> None:
    """Send an alarm to a webhook, with further attempts.

    Raises:
        OSError, HTTPException: The last attempt failed. The error does not hold the URL.
    """
    from http.client import HTTPException  # first use, not import: 20 ms, as the others
    from urllib.request import HTTPRedirectHandler, ProxyHandler, Request, build_opener

    from llm_playground.providers.http import is_loopback

    class NoRedirect(HTTPRedirectHandler):
        def redirect_request(self, *_arguments: object, **_named: object) -> None:
            """Follow no redirection, which could lead anywhere: it is an error."""

    request = Request(  # noqa: S310 - the scheme is checked when it is set
        webhook.url,
        data=json.dumps(alarm.as_json()).encode(),
        headers={"Content-Type": "application/json", "User-Agent": "llm_playground"},
        method="POST",
    )
    proxies = [ProxyHandler({})] if is_loopback(webhook.url) else []
    opener = build_opener(NoRedirect, *proxies)
    for wait_s in (*_WAITS_S, None):
        try:
            with opener.open(request, timeout=_TIMEOUT_S):
                return
        except (OSError, HTTPException):
            if wait_s is None:
                raise
            time.sleep(wait_s)


_sender, _caller = _Sender(_webhooks), _Sender(_functions)


def _flush() -> None:
    """Wait for both senders when Python ends."""
    ends = time.monotonic() + _EXIT_WAIT_S
    for sender in (_sender, _caller):
        sender.flush(ends - time.monotonic())


def _start_over() -> None:
    global _sender, _caller
    _sender, _caller = _Sender(_webhooks), _Sender(_functions)


_lifecycle.register(at_exit=_flush, after_fork_in_child=_start_over)
_lifecycle.register_state(globals(), "_sender", lambda: _Sender(_webhooks))
_lifecycle.register_state(globals(), "_caller", lambda: _Sender(_functions))
