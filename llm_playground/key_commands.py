"""``%llm keys``: which keys were found; setting one, hidden; taking it back."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from llm_playground import config, credentials
from llm_playground.errors import ConfigError, InvalidParameterError
from llm_playground.redact import remember

SAVE = "--save"


def keys(act: str | None = None, *words: str) -> object:
    """The frame of keys, or what ``act`` does: see :data:`ACTS`.

    Raises:
        ConfigError: It cannot be done as it stands; one line says what to do.
    """
    if act is not None:
        return ACTS[act](words)
    from llm_playground import catalog  # pandas: first use, not load

    return catalog.keys()


def _set(words: Sequence[str]) -> None:
    names = [word for word in words if word != SAVE]
    if len(names) != 1:
        raise _no_single_provider("set", names)
    credentials.set_key(names[0])
    status = credentials.key_status(names[0])
    print(f"The key of {config.label(names[0])} ({status.masked}) is set for this kernel.")
    if SAVE in words:
        try:
            credentials.save_key(names[0])
        except ConfigError as trouble:
            print(trouble)
        else:
            print("It is saved in the keyring for later kernels.")


def _forget(words: Sequence[str]) -> None:
    if len(words) != 1:
        raise _no_single_provider("forget", words)
    removed = credentials.forget_key(words[0])
    of_whom = f"key of {config.label(words[0])}"
    if removed:
        print(f"The {of_whom} is removed from {' and '.join(map(_with_article, removed))}.")
    else:
        print(f"There was no {of_whom} in this kernel or the keyring.")
    left = credentials.key_status(words[0])
    if left.source is not None:
        print(f"{left.variable} from {_with_article(left.source)} is used now.")


def _with_article(source: str) -> str:
    return f"the {source}" if source in {credentials.KEYRING, "environment"} else source


def _no_single_provider(act: str, names: Sequence[str]) -> InvalidParameterError:
    for word in names[1:]:
        remember(word)  # it may be a key
    if len(names) > 1 and act == "set":
        return InvalidParameterError(
            "Nothing was set. A key on this line stays in the notebook: if there is one, delete it "
            f"and run %llm keys set {names[0]}, which asks for it, hidden."
        )
    return InvalidParameterError(f"%llm keys {act} takes one provider, such as openai.")


ACTS: dict[str, Callable[[Sequence[str]], None]] = {"set": _set, "forget": _forget}
