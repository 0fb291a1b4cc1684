"""``python -m llm_playground check NOTEBOOK...``: its arguments, its lines and its exit code."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from llm_playground import checking
from llm_playground.checking import Report, notebook_file
from llm_playground.formatting import count
from llm_playground.redaction import printable

FORMAT = 1
CLEAN, FOUND, WRONG_USE = 0, 1, 2
_SKIPPED = ".ipynb_checkpoints"
_EPILOG = """\
Nothing is executed and nothing is sent. Calls with a literal prompt are compared with the
recording, recordings/NAME.yaml; the others cannot be checked without running. A notebook whose
calls are of the model local needs no recording. The comment # llm: live in a cell, or the tag
llm-live, accepts its calls as they are, and after lp.configure(mode="live")  # llm: live all that
follow.
Exit code: 0 nothing found, 1 something found, 2 wrong use.
--json: {"format": 1, "notebooks": [{"path", "matched", "unchecked", "live", "findings": [{"kind",
"cell", "message"}]}]}; cells count from 1, null for the whole notebook; kinds are notebook, key,
recording, call, mode, unused, error.
"""


def run(arguments: Sequence[str]) -> int:
    """Check the notebooks that a command line names, print the findings; the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m llm_playground check",
        description="Find keys, calls without a recorded answer and errors in notebooks.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("notebooks", nargs="+", metavar="NOTEBOOK", help="a notebook or a folder")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--keys-only", action="store_true", help="search for keys only")
    given = parser.parse_args(arguments)
    try:
        paths = list(dict.fromkeys(path for one in given.notebooks for path in _paths(Path(one))))
    except ValueError as error:
        parser.error(printable(str(error)))
    reports = [checking.check(path, keys_only=given.keys_only) for path in paths]
    lines = [json.dumps(_as_json(reports), indent=2)] if given.json else list(_lines(reports))
    print("\n".join(lines).encode("utf-8", "replace").decode())
    return FOUND if any(report.findings for report in reports) else CLEAN


def main(arguments: Sequence[str]) -> int:
    """As :func:`run`; wrong use is an exit code too.

    >>> main(["no.ipynb"])
    2
    """
    try:
        return run(arguments)
    except SystemExit as end:
        return int(end.code or 0)


def _paths(path: Path) -> Iterator[Path]:
    """A notebook, or those in a folder and its folders.

    Raises:
        ValueError: There is none.
    """
    if path.is_dir():
        found = [one for one in sorted(path.rglob(f"*{notebook_file.SUFFIX}")) if one.is_file()]
        found = [one for one in found if _SKIPPED not in one.parts]
        if not found:
            raise ValueError(f"there is no notebook in the folder {path}")
        yield from found
    elif not path.exists():
        raise ValueError(f"there is no file {path}")
    elif path.suffix.lower() != notebook_file.SUFFIX:
        raise ValueError(f"{path} is no notebook: name files that end with .ipynb, or folders")
    else:
        yield path


def _lines(reports: Sequence[Report]) -> Iterator[str]:
    for report in reports:
        for one in report.findings:
            place = f"{report.path}:" if one.cell is None else f"{report.path}:cell {one.cell}:"
            yield f"{printable(place)} {one.message}"
    findings = sum(len(report.findings) for report in reports)
    matched = sum(report.matched for report in reports)
    unchecked = sum(report.unchecked for report in reports)
    live = sum(report.live for report in reports)
    parts = [count(len(reports), "notebook"), count(findings, "finding")]
    parts += [f"{count(matched, 'call')} with a recorded answer"] if matched else []
    parts += [f"{count(live, 'call')} without need of a recording"] if live else []
    parts += [f"{count(unchecked, 'call')} not checked without running"] if unchecked else []
    yield " · ".join(parts)


def _as_json(reports: Sequence[Report]) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "notebooks": [
            {
                "path": str(report.path),
                "matched": report.matched,
                "unchecked": report.unchecked,
                "live": report.live,
                "findings": [
                    {"kind": one.kind, "cell": one.cell, "message": one.message}
                    for one in report.findings
                ],
            }
            for report in reports
        ],
    }
