"""What the subcommands of ``%llm`` do; the result of each is shown by the notebook."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from IPython.display import display

from llm_playground import config, export_formats, footer, provenance, rendering
from llm_playground._validation import short_repr
from llm_playground.calls import resolve_model
from llm_playground.config import credentials
from llm_playground.config.options import Mode
from llm_playground.errors import ConfigError, InvalidParameterError
from llm_playground.formatting import article, count
from llm_playground.redaction import printable, remember

if TYPE_CHECKING:
    import pandas as pd

    from llm_playground.capture import Recording
    from llm_playground.reports.query import By, Filters

KEY_ACTS = ("set", "forget")
RECORD_STATES = ("on", "off")
_REPLAY_MODES: Mapping[str, Mode] = {"on": "replay", "off": "live", "record": "record"}
REPLAY_ACTS = (*_REPLAY_MODES, "prune")
_MISSES_SHOWN = 3
_RUNS_SHOWN = 20
_ENDS_SHOWN = 5
_MODEL_COLUMNS = ["model", "input_usd_per_mtok", "output_usd_per_mtok", "context_window", "reason"]
_RUN_COLUMNS = [
    *("started_at", "model", "user_prompt", "response_text", "status", "cost_usd"),
    *("response_time_ms", "run_id"),
]

# Modules that import pandas or the builders of requests are imported in the functions that need
# them, so that %load_ext stays fast.


def models(text: str | None) -> object:
    """The frame of models and prices, or of those with a text in their names, in any case.

    Prints which of them end soon.

    Raises:
        InvalidParameterError: No name has the text.
    """
    from llm_playground import frames
    from llm_playground.catalog import models, retirements

    frame = models.models()
    if text is not None:
        frame = frame[frame["model"].str.contains(text, case=False, regex=False)]
        if frame.empty:
            raise InvalidParameterError(f"No model has {short_repr(text)} in its name.")
    now = datetime.now(UTC)
    known = frame[frame["available"] & frame["retires_at"].notna()].sort_values("retires_at")
    ending = [
        f"{model} {when}"
        for model, at in zip(known["model"], known["retires_at"], strict=True)
        if (when := retirements.warning(at.to_pydatetime(), now))
    ]
    if ending:
        more = f", and {len(ending) - _ENDS_SHOWN} more" if len(ending) > _ENDS_SHOWN else ""
        listed = ", ".join(ending[:_ENDS_SHOWN])
        print(printable(f"{listed}{more}. lp.retiring() lists what uses them."))
    others = [name for name in frame.columns if name not in _MODEL_COLUMNS]
    return frames.WholeFrame(frame[[*_MODEL_COLUMNS, *others]])


def keys(act: str | None, providers: Sequence[str], *, save: bool) -> object:
    """The frame of keys, or set or remove a provider's key.

    Raises:
        ConfigError: The key cannot be set or removed.
        InvalidParameterError: ``providers`` is not one provider.
    """
    if act is None and not providers and not save:
        from llm_playground.catalog import models

        return models.keys()
    for word in providers[1:]:
        remember(word)  # it may be a key
    if len(providers) > 1 and act == "set":
        raise InvalidParameterError(
            "Nothing was set. A key on this line stays in the notebook: if there is one, delete it "
            f"and run %llm keys set {providers[0]}, which asks for it, hidden."
        )
    if len(providers) != 1 or (save and act == "forget"):
        raise InvalidParameterError(f"%llm keys {act} takes one provider, such as openai.")
    if act == "set":
        _set_key(providers[0], save=save)
    else:
        _forget_key(providers[0])
    return None


def use(model: str) -> None:
    """Set the default model of this kernel.

    Raises:
        UnknownModelError: The name resolves to no model.
    """
    resolved = resolve_model(model)
    provider = resolved.partition(":")[0]
    config.configure(model=resolved)
    print(printable(f"The default model is now {resolved}."))
    if provider in credentials.with_key() and credentials.key_status(provider).status != "present":
        variable = config.rows()[provider].key_variables[0]
        print(
            f"It needs a key: put {variable} in .env or the environment, or run %llm keys set "
            f"{provider}."
        )


def runs(limit: int | None, **filters: Unpack[Filters]) -> object:
    """The newest runs of the log that the filters select.

    Raises:
        InvalidParameterError: The value of a filter is invalid.
        RunLogError: The log cannot be read.
    """
    from llm_playground.reports import run_rows

    return run_rows.runs(limit=_RUNS_SHOWN if limit is None else limit, **filters)[_RUN_COLUMNS]


def show(ids: Sequence[str]) -> None:
    """Show the answers of runs or executions of the log; of your newest without an id.

    Raises:
        InvalidParameterError: There is no such run.
        RunLogError: The log cannot be read.
    """
    from llm_playground.widget import stored_runs

    if not ids or list(ids) == ["last"]:
        ids = [_newest_execution()]
    run_ids = [run_id for text in ids for run_id in stored_runs.resolve_run_ids(text)]
    found = [one.run for one in stored_runs.stored_runs(run_ids)]
    answers = [(printable(one.model), rendering.answer_to_html(one)) for one in found]
    texts = [f"{printable(one.model)}\n{rendering.answer_to_text(one)}" for one in found]
    html = rendering.side_by_side(answers) + rendering.caveats_to_html(found)
    text = "\n\n".join([*texts, *footer.caveats(found)])
    display({"text/html": html, "text/plain": text}, raw=True)


def _newest_execution() -> str:
    from llm_playground.reports import run_rows

    newest = run_rows.runs(user=provenance.username(), limit=1)
    if newest.empty:
        raise InvalidParameterError("The log holds no run of yours. %llm runs lists all.")
    return str(newest["execution_id"][0])


def cost(by: Sequence[By] | None, tz: str, **filters: Unpack[Filters]) -> object:
    """Costs, by month and model if ``by`` is None.

    Raises:
        InvalidParameterError: ``by``, ``tz`` or a filter is invalid.
        RunLogError: The log cannot be read.
    """
    from llm_playground.reports import spending

    return spending.costs(by or ("month", "model"), tz=tz, **filters)


def latency(by: Sequence[By] | None, tz: str, **filters: Unpack[Filters]) -> object:
    """Response times, by model if ``by`` is None; otherwise as :func:`cost`."""
    from llm_playground.reports import quality

    return quality.latency(by or ("model",), tz=tz, **filters)


def code(run: str, language: str, *, function: bool, no_stream: bool) -> None:
    """Print the code of a run, or of the newest with ``last``; as a function or as a script.

    ``no_stream`` asks for the whole answer at once.

    Raises:
        InvalidParameterError: The language is unknown, or there is no such run.
        ConfigError: See :func:`llm_playground.code`.
        RunLogError: The log cannot be read.
    """
    from llm_playground import codegen

    text = codegen.code(run, language, as_function=function, stream=not no_stream)
    print(printable(text), end="")


def export(
    path: str | None,
    format: str | None,  # noqa: A002 - the option's name
    min_rating: float | None,
    limit: int | None,
    **filters: Unpack[Filters],
) -> None:
    """Write the runs that the filters select to a file, whose suffix may be the format.

    Without a path the newest 20 of them, or ``limit``, are printed.

    Raises:
        InvalidParameterError: The format is unknown, the value of a filter is invalid, no run is
            selected, or the file cannot be written.
        RunLogError: The log cannot be read.
    """
    from llm_playground import exporting

    if path is None:
        shown = _selected(_RUNS_SHOWN if limit is None else limit, min_rating, filters)
        text = exporting.export(shown, format or "json")
        if isinstance(text, bytes):
            named = f"runs{export_formats.FORMATS[str(format)].suffixes[0]}"
            raise InvalidParameterError(f"{format} is no text. Name a file: %llm export {named}.")
        print(printable(text), end="")
        return
    chosen = format or export_formats.format_of_path(path, "--format")
    if chosen is None:
        problem = export_formats.unknown(path, "--format")
        raise InvalidParameterError(f"{problem} To ask a model that, write -- before it.")
    exported = _selected(limit, min_rating, filters)
    print(repr(exporting.export(exported, chosen, path)))


def _selected(limit: int | None, min_rating: float | None, filters: Filters) -> pd.DataFrame:
    """The newest runs that the filters select and that are rated high enough.

    Raises:
        InvalidParameterError: A filter is invalid, or filters select no run.
        RunLogError: The log cannot be read.
    """
    from llm_playground.reports import run_rows

    found = run_rows.runs(limit=limit if min_rating is None else None, **filters)
    if min_rating is not None:
        found = found[found["rating"] >= min_rating][:limit]
    is_filtered = min_rating is not None or any(value is not None for value in filters.values())
    if is_filtered and found.empty:
        raise InvalidParameterError("No run of the log matches these filters. Nothing was written.")
    return found


_recording: Recording | None = None  # the one that %llm record has started


def record(state: str | None) -> None:
    """Start or stop recording calls of other libraries; without a word, print whether it is on.

    ``off`` also stops what ``lp.record()`` has started.
    """
    global _recording
    from llm_playground import capture

    if state == "on" and (_recording is None or not _recording.is_on):
        _recording = capture.record()
    elif state == "off":
        capture.stop_all()
    if capture.is_recording():
        print("Calls of other libraries are recorded in the log. %llm record off stops it.")
    else:
        print("Calls of other libraries are not recorded. %llm record on records them.")


def stop_recording() -> None:
    """Stop what :func:`record` has started, as the extension is unloaded."""
    if _recording is not None:
        _recording.stop()


def replay(act: str | None) -> None:
    """Change the mode, or remove unused answers from the recording; print what was used of it.

    A change of the mode begins again, as a new kernel does: the next call gets the first answer.

    Raises:
        ConfigError: The recording's name is not known, no call has used it, or it cannot be read or
            written.
    """
    from llm_playground.recording import kernel, numbers

    if act is not None and act in _REPLAY_MODES:
        config.configure(mode=_REPLAY_MODES[act])
        kernel.forget_use()
        numbers.reset()
    elif act == "prune":
        try:
            path = kernel.path_to_write("Nothing was removed")
            removed, kept = kernel.prune(path)
        except OSError as error:
            raise ConfigError(f"{path} cannot be written ({error.strerror or error}).") from error
        print(f"{count(removed, 'unused answer')} removed, {kept} kept.")
    print(printable("\n".join(_replay_state())))


def _replay_state() -> Iterator[str]:
    from llm_playground.recording import kernel

    use = kernel.use()
    yield f"Mode {config.mode()}. %llm replay on, off or record changes it."
    paths = kernel.paths_to_replay()
    if not paths:
        yield f"There is no recording at {_below_here(kernel.own_path() or Path(kernel.FOLDER))}."
    for path in paths:
        answers = sum(len(entry.answers) for entry in kernel.file(path).read().entries)
        yield f"{_below_here(path)}: {count(answers, 'answer')}."
    yield (
        f"This kernel: {use.from_file} from recordings, {use.from_log} from the log, "
        f"{use.recorded} recorded, {len(use.missed)} without an answer."
    )
    yield from use.missed[-_MISSES_SHOWN:]


def _below_here(path: Path) -> Path:
    """A path in the working directory without it, so that outputs are the same on each machine."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


def doctor() -> None:
    """Print what works here and what does not."""
    from llm_playground import doctor

    print("\n".join(doctor.report()))


def _set_key(provider: str, *, save: bool) -> None:
    credentials.set_key(provider)
    status = credentials.key_status(provider)
    print(f"The key of {config.label(provider)} ({status.masked}) is set for this kernel.")
    if save:
        try:
            credentials.save_key(provider)
        except ConfigError as error:
            print(error)
        else:
            print("It is saved in the keyring for later kernels.")


def _forget_key(provider: str) -> None:
    removed = credentials.forget_key(provider)
    key = f"key of {config.label(provider)}"
    if removed:
        print(f"The {key} is removed from {' and '.join(map(article, removed))}.")
    else:
        print(f"There was no {key} in this kernel or the keyring.")
    left = credentials.key_status(provider)
    if left.source is not None:
        print(f"{left.variable} from {article(left.source)} is used now.")
