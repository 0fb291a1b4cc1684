"""What the run log needs of a database: DuckDB's file and a PostgreSQL server both offer it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar

if TYPE_CHECKING:
    from datetime import datetime

    import pandas as pd

Dialect = Literal["duckdb", "postgres"]
SqlParams = Sequence[object] | Mapping[str, object]
T = TypeVar("T")


class Unavailable(Exception):  # noqa: N818 - a state of the world; the log makes an error of it
    """The database cannot be used now; runs wait for it.

    Args:
        reason: What is the matter, without a full stop.
        advice: A sentence with what to do.
        lasts: Whether it helps to say since when.
        passes: Whether it is mostly over in a moment, so that nobody need be told at once.
        detail: What the technical reader needs.
    """

    def __init__(
        self,
        reason: str,
        advice: str,
        *,
        lasts: bool = False,
        passes: bool = False,
        detail: str | None = None,
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.advice = advice
        self.lasts = lasts
        self.passes = passes
        self.detail = detail


class Session(Protocol):
    """One write transaction. SQL takes ``$name`` for values, on both engines."""

    def rows(self, sql: str, params: Mapping[str, object] = ...) -> list[tuple[Any, ...]]:
        """What a statement gives back: a SELECT, or a change with RETURNING.

        Raises:
            RunLogError: The database refuses the statement.
        """

    def execute(self, sql: str, params: Mapping[str, object] = ...) -> int:
        """Do one statement; how many rows it changed.

        Raises:
            RunLogError: The database refuses the statement.
        """

    def lock(self, name: str) -> None:
        """Wait until nobody else is in a transaction that locked ``name``; held to its end.

        On DuckDB every change is alone anyway.
        """


@dataclass(frozen=True, slots=True)
class Batch:
    """Journals to be brought in. ``dead``: those whose owner is gone."""

    files: Sequence[Path]
    dead: Collection[Path]


class Writer(Protocol):
    """The database, open for changes."""

    def bring_in(self, batch: Batch) -> None:
        """Bring journals into the tables and commit. Idempotent by id.

        Raises:
            RunLogError: It cannot be done now. The journals stay.
        """

    def change(self, work: Callable[[Session], T]) -> T:
        """What ``work`` returns, done in one transaction: committed, or undone when it raises."""


class Store(Protocol):
    """A database for a run log."""

    @property
    def dialect(self) -> Dialect:
        """Which engine answers: for the few fragments of SQL that must differ."""

    @property
    def place(self) -> str:
        """The database's name for people, never with a password."""

    @property
    def folder(self) -> Path:
        """Where this machine's journals for it are."""

    @property
    def path(self) -> Path | None:
        """The file, where the database is one."""

    def alone(self, wait_s: float) -> AbstractContextManager[None]:
        """This process's turn among all that open the database, where they must take turns.

        Raises:
            RunLogError: The turn did not come within ``wait_s``, or nothing can be written there.
        """

    def unfinished(self) -> bool:
        """Whether opening it for changes does something even when no journal waits."""

    def writing(self) -> AbstractContextManager[Writer]:
        """The database open for changes, its tables there; closed at the end.

        Raises:
            RunLogError: It cannot be opened or written.
            Unavailable: It is not there now.
        """

    def frame(self, sql: str, params: SqlParams) -> pd.DataFrame:
        """What one SELECT finds.

        Raises:
            RunLogError: It cannot be opened, or the statement is wrong or would write.
            Unavailable: It is not there now.
        """

    def waiting(self, files: Sequence[Path]) -> int:
        """How many of the runs in ``files`` have not ended in the database.

        Without a database that can be asked, all of them.
        """

    def set_aside(self, wait_s: float) -> Path:
        """Move the database aside, whatever is in it, in its own turn; where it is now.

        Raises:
            RunLogError: It cannot be moved.
        """

    def migrate(self) -> int:
        """Bring the tables to the newest version that this package knows; their version.

        Raises:
            RunLogError: It is not allowed, or they are of a later major.
            Unavailable: The database is not there now.
        """

    def backup(self, path: Path) -> None:
        """Write everything into a new DuckDB file at ``path``.

        Raises:
            RunLogError: It cannot be read or written.
            Unavailable: The database is not there now.
        """

    def restore(self, path: Path) -> Path | None:
        """Take everything from a DuckDB file; where what was there before is now, if anywhere.

        Raises:
            RunLogError: The file is no run log, or what is there cannot be replaced.
            Unavailable: The database is not there now.
        """

    def compact(self) -> int:
        """Give back space that nothing uses any more; how many bytes less it takes.

        Raises:
            RunLogError: It cannot be done; everything is as before.
            Unavailable: The database is not there now.
        """

    def summed_until(self) -> datetime | None:
        """Before which moment (the first of a month, UTC) the table ``monthly_costs`` is exact.

        None where there is no such table, it was never filled, or this user may not read it.
        """

    def after_fork(self) -> None:
        """In a child: leave what is open to the parent, and begin with nothing."""
