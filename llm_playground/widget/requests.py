"""What a view may request from the kernel: one handler per request, and the table of all of them.

A view sends ``{"type": "request", "id": ..., "name": ..., "arguments": {...}}`` and gets a message
of type ``reply`` with the same ``id`` and either ``value``, which is JSON, or ``error``, one line
for the person. To add a request, add its handler to :data:`REQUESTS`.

Handlers run on threads of their own, so they may wait for the run log or the keyring. Modules that
load the vendors' SDKs or read the log are imported by the handlers that need them.
"""

from __future__ import annotations

import logging
from base64 import b64encode
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeAlias

from llm_playground import config
from llm_playground.calls import resolve_model
from llm_playground.config import credentials
from llm_playground.errors import InvalidParameterError, LLMError
from llm_playground.export_formats import FORMATS
from llm_playground.rendering.highlighting import highlight
from llm_playground.request import parameters, prompts
from llm_playground.request.prompts import Prompt
from llm_playground.types import Request, Run
from llm_playground.widget import (
    baseline,
    controls,
    history,
    inspector,
    key_failures,
    saved_prompts,
)
from llm_playground.widget.attachments import Kind
from llm_playground.widget.attachments import kind_of as attachment_kind
from llm_playground.widget.controls import TRAIT_OF
from llm_playground.widget.form import first_only, plan_calls, prompt_from_form

if TYPE_CHECKING:
    from llm_playground.widget import Playground
    from llm_playground.widget.session import RunSession

_log = logging.getLogger(__name__)

Arguments: TypeAlias = Mapping[str, Any]
Handler: TypeAlias = Callable[["Playground", Arguments], object]

_MOST_PROMPT_NAMES = 200


def reply(panel: Playground, message: Mapping[str, Any]) -> dict[str, Any]:
    """The message that answers a view's request."""
    answer = {"type": "reply", "id": message.get("id")}
    name = str(message.get("name"))
    if name not in REQUESTS:
        return answer | {"error": f"The playground has no request {name!r}. Reload the page."}
    try:
        return answer | {"value": REQUESTS[name](panel, message.get("arguments") or {})}
    except LLMError as error:
        return answer | {"error": str(error)}
    except Exception as error:  # a bug must not leave the view waiting
        _log.exception("The request %s failed", name)
        return answer | {"error": f"This cannot be shown ({type(error).__name__})."}


# Keys and prices


def check_keys(panel: Playground, arguments: Arguments) -> str:
    """Read ``.env`` and the lists of models again; a sentence with the result."""
    provider = str(arguments.get("provider") or "")
    panel.refresh_models()
    if provider not in config.rows() or credentials.key_status(provider).status != "present":
        return f"There is still no key for {config.label(provider)}."
    if key_failures.is_same_key(panel, provider):
        source = credentials.key_status(provider).source
        return f"The key for {config.label(provider)} is still the refused one (from {source})."
    panel.offer_retry(provider)
    return f"A key for {config.label(provider)} was found."


def set_key(panel: Playground, arguments: Arguments) -> str:
    """Set the key that a person typed; it is kept in this kernel's memory only.

    Raises:
        ConfigError: It is not a key of that provider. The message does not contain it.
    """
    provider = str(arguments.get("provider") or "")
    credentials.set_key(provider, str(arguments.get("key") or ""))
    panel.refresh_models()
    panel.offer_retry(provider)
    return f"The key for {config.label(provider)} is set for this kernel."


def set_price(panel: Playground, arguments: Arguments) -> None:
    """Set the US dollars per million tokens of ``model``, as ``configure(prices=...)`` does.

    Raises:
        ConfigError: The model is unknown, or ``input_usd`` or ``output_usd`` is not an amount.
    """
    rates = {
        f"{kind}_usd_per_mtok": arguments.get(f"{kind}_usd", "") for kind in ("input", "output")
    }
    config.configure(prices={resolve_model(str(arguments.get("model"))): rates})
    panel.refresh_price()


# Presets and saved prompts


def save_preset(panel: Playground, arguments: Arguments) -> str:
    """Save ``parameters`` as the preset ``name``; the name as it is stored."""
    values = arguments.get("parameters") or {}
    name = str(arguments.get("name") or "").strip()
    parameters.save_preset(name, **{name: values.get(trait) for name, trait in TRAIT_OF.items()})
    controls.load_presets(panel)
    return name


def delete_preset(panel: Playground, arguments: Arguments) -> None:
    """Delete the preset ``name``; the values in the form stay."""
    name = str(arguments.get("name") or "")
    parameters.delete_preset(name)
    if panel.preset == name:
        panel.preset = None
    controls.load_presets(panel)


def save_prompt(panel: Playground, arguments: Arguments) -> str:
    """Save the form under ``name`` with ``note``; the version's name: ``invoice-summary@3``.

    Raises:
        InvalidParameterError: The name is not allowed, or the form cannot be sent as it is.
        RunLogError: The log cannot be written.
    """
    name = str(arguments.get("name") or "").strip()
    note = str(arguments.get("note") or "").strip() or None
    return f"{name}@{prompts.save_prompt(name, panel, note)}"


def prompt_names(_panel: Playground, _arguments: Arguments) -> list[str]:
    """The names of saved prompts."""
    return list(dict.fromkeys(map(str, prompts.prompts()["name"])))[:_MOST_PROMPT_NAMES]


# Parts of the prompt


def add_attachment(panel: Playground, arguments: Arguments) -> dict[str, Any]:
    """The entry of what is at ``path``, or of that whose pieces were sent with ``id``.

    ``kind`` is ``image`` or ``file``; that of a path is in its name, and part of the result.

    Raises:
        InvalidParameterError: It cannot be read, or is of another kind.
    """
    attachments = panel.inputs.attachments
    if "path" in arguments:
        path = str(arguments["path"])
        kind = attachment_kind(path)
        return attachments.add(path, kind) | {"kind": kind}
    sent_kind: Kind = "file" if arguments.get("kind") == "file" else "image"
    return attachments.complete(str(arguments["id"]), str(arguments["name"]), sent_kind)


# Answers


def raw_text(panel: Playground, arguments: Arguments) -> dict[str, Any]:
    """The text of ``answer`` as the model wrote it, from character ``start`` on.

    The result has ``text``, without keys and with visible control characters, and ``end``, which is
    the ``start`` of what follows.
    """
    session, number = baseline.answer_at(panel, arguments["answer"])
    text, end = session.answers.raw_text(number, int(arguments["start"]))
    return {"text": text, "end": end}


def wire(panel: Playground, arguments: Arguments) -> dict[str, Any]:
    """The HTTP requests and responses of the answer ``number``, for the request inspector."""
    number = arguments["number"]
    run, recording = panel.answers.run_of(number), panel.recording(number)
    if recording is not None:
        exchanges = inspector.inspect_trace(recording, run)
    elif run is not None:
        exchanges = inspector.inspect_stored(run)
    else:
        raise InvalidParameterError(f"Answer {number} has no run yet: nothing was sent.")
    return {"title": f"Wire · answer {number}", **exchanges}


def _text(session: RunSession, number: int) -> str:
    return session.answers.text(number)


# Code, exports, links


def code(panel: Playground, arguments: Arguments) -> dict[str, Any]:
    """Code in every language: of the answer ``number``, or of the first call of the form.

    ``as_function`` and ``stream`` are as in :func:`llm_playground.code`.

    Returns:
        ``of``, a line that names the call, and ``tabs``, each with its ``language`` and either
        ``text`` and ``html`` (the same with syntax colours) or ``error``.
    """
    from llm_playground import codegen  # loads the vendors' SDKs

    number = arguments.get("number")
    source: Run | Request | Prompt | None = None if number is None else panel.answers.run_of(number)
    if source is not None:
        title = f"Answer {number} · {source.model}"
    else:
        source, title = _first_call(panel)
        if arguments["as_function"]:
            source = prompt_from_form(panel.form())  # its variables are parameters
    chosen = {name: arguments[name] for name in ("as_function", "stream")}
    tabs = [_code_tab(source, language, **chosen) for language in codegen.LANGUAGES]
    return {"of": title, "tabs": tabs}


def _first_call(panel: Playground) -> tuple[Request, str]:
    """The first call of the form and its name."""
    form = panel.form()
    [first, *_] = plan_calls(first_only(form), panel.inputs.notebook())
    request = first.call.request
    several = len(plan_calls(form, panel.inputs.notebook())) > 1
    return request, f"The first call · {request.model}" if several else request.model


def _code_tab(
    source: Run | Request | Prompt, language: str, *, as_function: bool, stream: bool
) -> dict[str, str]:
    from llm_playground import codegen

    try:
        text = codegen.code(source, language, as_function=as_function, stream=stream)
    except LLMError as error:
        return {"language": language, "error": str(error)}
    html = highlight(text, "bash" if language == "curl" else language)
    return {"language": language, "text": text, "html": f"<pre><code>{html}</code></pre>"}


def cell(panel: Playground, _arguments: Arguments) -> str:
    """The form as a cell."""
    from llm_playground.widget.cell_source import as_cell  # loads the code generation

    return as_cell(panel.form())


def export(panel: Playground, arguments: Arguments) -> dict[str, str]:
    """The answers in ``format``, with the ``name`` of a file for them and ``kind``, its media type.

    They are ``text``, or ``base64`` where the format is of bytes.

    Raises:
        InvalidParameterError: There are no answers yet, or the format is unknown.
        RunLogError: The log cannot be read.
    """
    from llm_playground import exporting

    runs = panel.answers.runs()
    if not runs:
        raise InvalidParameterError("Nothing to export yet: run first.")
    found = exporting.export(runs, str(arguments["format"]))
    written = FORMATS[arguments["format"]]
    name = f"{_file_stem(panel.name)}{written.suffixes[0]}"
    content = {"text": found} if isinstance(found, str) else {"base64": b64encode(found).decode()}
    return {**content, "name": name, "kind": written.media_type}


def _file_stem(name: str | None) -> str:
    """A valid file name for any playground's name: ``invoice-summary 2026-11-23 1752``."""
    plain = "".join(char if char.isalnum() or char in "-_ " else "-" for char in name or "answers")
    words = " ".join(plain.split())[:60].strip("- ") or "answers"
    return f"{words} {datetime.now(UTC).astimezone():%Y-%m-%d %H%M}"


def link(panel: Playground, _arguments: Arguments) -> str:
    """The code that opens the answers again on any machine with this log.

    Raises:
        InvalidParameterError: There are no answers yet.
    """
    runs = panel.answers.runs()
    if not runs:
        raise InvalidParameterError("Nothing to share yet: run first.")
    ids = [runs[0].id] if len(runs) == 1 else dict.fromkeys(run.execution_id for run in runs)
    quoted = [f'"{one}"' for one in ids]
    argument = quoted[0] if len(quoted) == 1 else f"[{', '.join(quoted)}]"
    return f"lp.Playground(run={argument})"


_FUNCTIONS: tuple[Handler, ...] = (
    check_keys,
    set_key,
    set_price,
    save_preset,
    delete_preset,
    save_prompt,
    prompt_names,
    add_attachment,
    raw_text,
    wire,
    code,
    cell,
    export,
    link,
    *history.REQUESTS,
    *baseline.REQUESTS,
    *saved_prompts.REQUESTS,
)
REQUESTS: dict[str, Handler] = {
    **{function.__name__: function for function in _FUNCTIONS},
    # Shows that the kernel responds.
    "ping": lambda _panel, _arguments: "pong",
    # Presets may have been saved elsewhere meanwhile.
    "refresh_presets": lambda panel, _arguments: controls.load_presets(panel),
    # A ``data:`` URL; empty where no thumbnail can be made.
    "thumbnail": lambda panel, arguments: panel.inputs.attachments.thumbnail(str(arguments["id"])),
    "add_turns": lambda panel, arguments: panel.add_turns(int(arguments["number"])),
    # Negative numbers are answers of the baseline.
    "text": lambda panel, arguments: _text(*baseline.answer_at(panel, arguments["answer"])),
    "discard_draft": lambda panel, _arguments: panel.draft_store.discard(),
    "restore_draft": lambda panel, _arguments: panel.draft_store.undo(),
    # The second output, for a view that has to write it into the notebook itself.
    "saved_output": lambda panel, _arguments: {
        "widget": panel.model_id,
        **panel.fallback_output.output(),
    },
    # How many of the notebook's runs are new in the log.
    "import_runs": lambda panel, _arguments: panel.saved_answers.import_runs(),
}
