"""``python -m llm_playground COMMAND``: administration of a run log, ``doctor`` and ``check``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence

from llm_playground.errors import LLMError


def _migrate() -> str:
    from llm_playground import config, runlog  # each command imports what it needs

    log = runlog.open_log(config.log_url())
    return f"The run log {log.place} has tables {log.migrate()}."


def _admin_sql() -> str:
    from llm_playground.runlog import postgres_admin

    return postgres_admin.sql().rstrip("\n")


def _doctor() -> str:
    from llm_playground import doctor

    return "\n".join(doctor.report())


_COMMANDS: dict[str, tuple[Callable[[], str], str]] = {
    "migrate": (_migrate, "bring the run log's tables to the newest version, as their owner"),
    "admin sql": (_admin_sql, "print roles, grants and row-level security for PostgreSQL"),
    "doctor": (_doctor, "what works here and what does not"),
}


_CHECK = "check"
_HELP = {name: what for name, (_, what) in _COMMANDS.items()} | {
    _CHECK: "find keys, calls without a recorded answer and errors in notebooks; check --help"
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Returns 0, or 1 with one line on stderr; ``check`` has codes of its own.

    >>> main(["admin", "sql"])  # doctest: +ELLIPSIS
    -- Rights in a run log that many people share. ...
    0
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words[:1] == [_CHECK]:
        from llm_playground.checking import command

        return command.main(words[1:])
    parser = argparse.ArgumentParser(
        prog="python -m llm_playground",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="\n".join(f"  {name:<11}{what}" for name, what in _HELP.items()),
    )
    parser.add_argument("command", nargs="+", metavar="COMMAND", help="one of those below")
    name = " ".join(parser.parse_args(words).command)
    if name not in _COMMANDS:
        parser.error(f"there is no command {name!r}; there are {', '.join(_HELP)}")
    try:
        print(_COMMANDS[name][0]())
    except LLMError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
