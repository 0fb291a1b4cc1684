"""What the run log needs of a database: DuckDB's file and a PostgreSQL server both offer it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar

if TYPE_CHECKING:
    import pandas as pd

Dialect = Literal["duckdb", "postgres"]
SqlParams = Sequence[object] | Mapping[str, object]
T = TypeVar("T")


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
        """

    def frame(self, sql: str, params: SqlParams) -> pd.DataFrame:
        """What one SELECT finds.

        Raises:
            RunLogError: It cannot be opened, or the statement is wrong or would write.
        """

    def waiting(self, files: Sequence[Path]) -> int:
        """How many of the runs in ``files`` have not ended in the database."""

    def set_aside(self, wait_s: float) -> Path:
        """Move the database aside, whatever is in it, in its own turn; where it is now.

        Raises:
            RunLogError: It cannot be moved.
        """

    def after_fork(self) -> None:
        """In a child: leave what is open to the parent, and begin with nothing."""
