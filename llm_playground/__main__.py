"""``python -m llm_playground COMMAND``: administration of a run log, and ``doctor``."""

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


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Returns 0, or 1 with one line on stderr.

    >>> main(["admin", "sql"])  # doctest: +ELLIPSIS
    -- Rights in a run log that many people share. ...
    0
    """
    parser = argparse.ArgumentParser(
        prog="python -m llm_playground",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="\n".join(f"  {name:<11}{what}" for name, (_, what) in _COMMANDS.items()),
    )
    parser.add_argument("command", nargs="+", metavar="COMMAND", help="one of those below")
    name = " ".join(parser.parse_args(arguments).command)
    if name not in _COMMANDS:
        parser.error(f"there is no command {name!r}; there are {', '.join(_COMMANDS)}")
    try:
        print(_COMMANDS[name][0]())
    except LLMError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
