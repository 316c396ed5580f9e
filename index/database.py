"""The database of an index: what it holds, how it is made, and how one is opened that nobody vouches for.

An index may come from anybody, and SQLite does what a file tells it to: a view in place of a table is a program. So the
tables must be the very ones made here, a query may read them and do nothing else, and what it takes is bounded.

Source: "Defense Against The Dark Arts", the part on untrusted database files, sqlite.org/security.html.
"""

from __future__ import annotations

import contextlib
import sqlite3
import sys
import threading
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from index.errors import REPAIR, IndexDamagedError
from index.guarded import regular_size

T = TypeVar("T", str, int)

DatabaseError = sqlite3.Error
"""What goes wrong in a database being written."""

_PASSAGES = """CREATE TABLE passages (
    row INTEGER PRIMARY KEY, passage_id TEXT NOT NULL UNIQUE, lang TEXT NOT NULL, context TEXT NOT NULL,
    text TEXT NOT NULL
)"""
_OCCURRENCES = """CREATE TABLE occurrences (
    row INTEGER NOT NULL, doc INTEGER NOT NULL, start INTEGER NOT NULL, end INTEGER NOT NULL,
    PRIMARY KEY (row, doc, start)
) WITHOUT ROWID"""
_OCCURRENCES_INDEX = "CREATE INDEX occurrences_by_document ON occurrences (doc, start)"
_LEFT_OUT = """CREATE TABLE left_out (
    doc INTEGER NOT NULL, start INTEGER NOT NULL, end INTEGER NOT NULL, kind TEXT NOT NULL, text TEXT NOT NULL
)"""
_STATEMENTS_3 = (
    """CREATE TABLE documents (
    doc INTEGER PRIMARY KEY, source TEXT NOT NULL, doc_id TEXT NOT NULL, title TEXT NOT NULL, lang TEXT NOT NULL,
    metadata TEXT NOT NULL, content TEXT NOT NULL, n_chars INTEGER NOT NULL, UNIQUE (source, doc_id)
)""",
    _PASSAGES,
    _OCCURRENCES,
    _OCCURRENCES_INDEX,
    _LEFT_OUT,
    "CREATE INDEX left_out_by_document ON left_out (doc, start)",
    "CREATE TABLE rejected (source TEXT NOT NULL, place TEXT NOT NULL, reason TEXT NOT NULL)",
    "CREATE INDEX rejected_by_source ON rejected (source)",
    """CREATE TABLE files (
    source TEXT PRIMARY KEY, doc_id TEXT NOT NULL, status TEXT NOT NULL, sha256 TEXT NOT NULL
) WITHOUT ROWID""",
)
"""Those of format 3. SQLite keeps statements as they are written, and so they are compared."""
_MARKS = """CREATE TABLE marks (
    doc INTEGER NOT NULL, start INTEGER NOT NULL, locator TEXT NOT NULL, PRIMARY KEY (doc, start)
) WITHOUT ROWID"""
_STATEMENTS = (*_STATEMENTS_3, _MARKS)
_OLD_STATEMENTS = (
    """CREATE TABLE documents (
    doc INTEGER PRIMARY KEY, source TEXT NOT NULL, doc_id TEXT NOT NULL, title TEXT NOT NULL, lang TEXT NOT NULL,
    metadata TEXT NOT NULL, sha256 TEXT NOT NULL, n_chars INTEGER NOT NULL, UNIQUE (source, doc_id)
)""",
    _PASSAGES,
    _OCCURRENCES,
    _OCCURRENCES_INDEX,
    _LEFT_OUT,
    "CREATE TABLE rejected (place TEXT NOT NULL, reason TEXT NOT NULL)",
)
"""Those of formats 1 and 2."""

_TABLES = ("documents", "passages", "occurrences", "left_out", "rejected", "files", "marks")
_OLD_TREES = (
    ("documents NOT INDEXED", "n_chars"),
    ("documents INDEXED BY sqlite_autoindex_documents_1", "source"),
    ("passages NOT INDEXED", "text"),
    ("passages INDEXED BY sqlite_autoindex_passages_1", "passage_id"),
    ("occurrences NOT INDEXED", "end"),
    ("occurrences INDEXED BY occurrences_by_document", "doc"),
    ("left_out NOT INDEXED", "end"),
    ("rejected NOT INDEXED", "reason"),
)
_TREES_3 = (
    *_OLD_TREES,
    ("left_out INDEXED BY left_out_by_document", "doc"),
    ("rejected INDEXED BY rejected_by_source", "source"),
    ("files", "sha256"),
)
_TREES = (*_TREES_3, ("marks", "locator"))
"""Every b-tree of the file, with a column that is read from it and from no other."""

_FORMS = {
    1: (_OLD_STATEMENTS, _OLD_TREES),
    2: (_OLD_STATEMENTS, _OLD_TREES),
    3: (_STATEMENTS_3, _TREES_3),
    4: (_STATEMENTS, _TREES),
}
"""What the database of each format holds."""

LONGEST_VALUE = 2**26
"""The most bytes of one value, written and read: four times the longest record of a file that is read."""
_MOST_CHARACTERS = 2**26
_CHARACTERS_PER_BYTE = 4
"""What may be read at a time: so much, and so many characters for each byte of the file. Each is read once but for the
names of documents, which are read with each of their lines left out."""
_MOST_STEPS = 10_000_000
_STEPS_PER_BYTE = 4
"""Steps of SQLite's virtual machine at a time: so many, and so many for each byte of the file.

Source: all of a sound database, checked in every way there is, takes 0.4 for each byte (tests/test_database.py).
"""
_STEPS_AT_ONCE = 10_000
"""Steps between two looks at how many there were."""
_STEPS_TO_OPEN = 100_000
"""What opening may take, some 300: SQLite reads all names of tables before anything can be asked of them."""

_LIMITS = (
    (sqlite3.SQLITE_LIMIT_SQL_LENGTH, 2_000),  # that of a schema too
    (sqlite3.SQLITE_LIMIT_COLUMN, 32),
    (sqlite3.SQLITE_LIMIT_EXPR_DEPTH, 20),
    (sqlite3.SQLITE_LIMIT_COMPOUND_SELECT, 1),
    (sqlite3.SQLITE_LIMIT_FUNCTION_ARG, 4),
    (sqlite3.SQLITE_LIMIT_ATTACHED, 0),
    (sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 100),
    (sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER, 16),
    (sqlite3.SQLITE_LIMIT_TRIGGER_DEPTH, 1),
    (sqlite3.SQLITE_LIMIT_WORKER_THREADS, 0),
)
_PRAGMAS = (
    "trusted_schema = OFF",
    "query_only = ON",
    "cell_size_check = ON",
    "mmap_size = 0",  # a page that goes away under a mapping ends the process
    "automatic_index = OFF",  # an index of its own for one query is memory that nobody counts
)
_STATISTICS: dict[object, tuple[str, str, str]] = {
    "sqlite_stat1": ("table", "sqlite_stat1", "CREATE TABLE sqlite_stat1(tbl,idx,stat)"),
    "sqlite_stat4": ("table", "sqlite_stat4", "CREATE TABLE sqlite_stat4(tbl,idx,neq,nlt,ndlt,sample)"),
}
"""What "PRAGMA optimize" may leave at the end of a build, in some versions of SQLite."""
_READABLE = frozenset((*_TABLES, *_STATISTICS, "sqlite_master"))
_FUNCTIONS = frozenset(("count", "coalesce", "nullif", "sum"))


def open_to_write(path: Path) -> sqlite3.Connection:
    """Open the database of a generation that is being written; it is made where there is none.

    The copy of one in format 3 becomes one in the format that is written now.

    Raises:
        DatabaseError: When it cannot be written.
    """
    is_new = not path.exists()
    database = sqlite3.connect(path, isolation_level=None)
    try:
        database.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LONGEST_VALUE)  # what could not be read is not written
        # The folder counts only once it is complete, so a journal would guard nothing.
        database.executescript("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA trusted_schema = OFF;")
        if is_new:
            database.executescript(";".join(_STATEMENTS))
        elif not database.execute("SELECT 1 FROM sqlite_master WHERE name = 'marks'").fetchone():
            database.execute(_MARKS)
    except BaseException:
        database.close()
        raise
    return database


class Database:
    """The database of a generation, opened for reading.

    What is asked of it is asked within ``reading``, which bounds the work and the memory of all that is asked in it.
    """

    def __init__(self, path: Path, format_version: int) -> None:
        """Open a database, whoever made it.

        Args:
            path: The file.
            format_version: Of the generation that it belongs to.

        Raises:
            IndexDamagedError: When it is none, or holds other tables than an index has.
        """
        self._path = path
        self._characters = self._steps = 0
        # SQLite calls back into Python while it keeps other threads out, and one of these may keep Python from it.
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        try:
            self._size = regular_size(path)
            # Read-only and immutable: no lock, no journal, and nothing the file says can make SQLite write.
            uri = f"{path.resolve().as_uri()}?mode=ro&immutable=1"
            self._connection = sqlite3.connect(uri, uri=True, check_same_thread=False, isolation_level=None)
            self._steps = _STEPS_TO_OPEN
            self._harden(self._connection)
            statements, self._trees = _FORMS[format_version]
            self._statistics = _check_schema(self._connection, statements)
        except (sqlite3.Error, OSError, ValueError, RuntimeError) as error:
            self.close()
            raise IndexDamagedError(f"{path}: cannot be read ({self._told(error)}). {REPAIR}") from error

    def _harden(self, connection: sqlite3.Connection) -> None:
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LONGEST_VALUE)
        for limit, most in _LIMITS:
            connection.setlimit(limit, most)
        connection.set_progress_handler(self._go_on, _STEPS_AT_ONCE)
        for pragma in _PRAGMAS:
            connection.execute(f"PRAGMA {pragma}")
        if sys.version_info >= (3, 12):
            for name, value in (("DEFENSIVE", True), ("ENABLE_VIEW", False), ("ENABLE_TRIGGER", False)):
                option = getattr(sqlite3, f"SQLITE_DBCONFIG_{name}", None)  # SQLite may be older than Python
                if option is not None:
                    connection.setconfig(option, value)
        connection.set_authorizer(_authorize)

    def _go_on(self) -> bool:
        """Count steps; true, which ends the query, once there were too many."""
        self._steps -= _STEPS_AT_ONCE
        return self._steps < 0

    def _told(self, error: BaseException) -> str:
        if self._steps < 0:
            return "reading it would take for ever"
        return str(error)

    @contextlib.contextmanager
    def reading(self) -> Iterator[None]:
        """Bound what is done with the database within the block, one thread at a time, and tell what is wrong with it.

        Raises:
            IndexDamagedError: When SQLite cannot read it, when it holds what cannot be, and when it would take more
                work or memory than a database of its size can.
        """
        with self._lock:
            self._steps = _MOST_STEPS + _STEPS_PER_BYTE * self._size
            self._characters = _MOST_CHARACTERS + _CHARACTERS_PER_BYTE * self._size
            try:
                yield
            except (sqlite3.Error, ValueError, TypeError, KeyError) as error:  # a value of another type, an unknown row
                raise IndexDamagedError(f"{self._path}: cannot be read ({self._told(error)}). {REPAIR}") from error

    def rows(
        self, query: str, types: Sequence[type], values: Sequence[Any] = ()
    ) -> Generator[tuple[Any, ...], None, None]:
        """Ask a query.

        Args:
            query: A SELECT.
            types: What each column of the answer must hold: ``str`` or ``int``.
            values: Those of its parameters.

        Raises:
            DatabaseError: When SQLite cannot answer it.
            ValueError: When the answer holds something else, or too much.
        """
        with contextlib.closing(self._ask(query, values)) as cursor:
            yield from self._checked(cursor, tuple(types))

    def _checked(self, cursor: sqlite3.Cursor, wanted: tuple[type, ...]) -> Iterator[tuple[Any, ...]]:
        for row in cursor:
            if tuple(map(type, row)) != wanted:
                raise ValueError("a value of another type than was written")
            self._characters -= sum(len(value) for value in row if type(value) is str)
            if self._characters < 0:
                raise ValueError("it holds more than its size allows")
            yield row

    def _ask(self, query: str, values: Sequence[Any] = ()) -> sqlite3.Cursor:
        if self._connection is None:
            raise ValueError("it was closed")
        return self._connection.execute(query, values)

    def row(self, query: str, types: Sequence[type], values: Sequence[Any] = ()) -> tuple[Any, ...] | None:
        """Ask a query with at most one row for an answer; raises as ``rows`` does."""
        with contextlib.closing(self.rows(query, types, values)) as rows:
            return next(rows, None)

    def only(self, query: str, type_: type[T], values: Sequence[Any] = ()) -> T:
        """Ask a query for one value; raises as ``rows`` does, and when there is none."""
        found = self.row(query, (type_,), values)
        if found is None:
            raise ValueError("a value is missing")
        value: T = found[0]
        return value

    def check(self) -> None:
        """Check that the whole file is sound.

        Raises:
            DatabaseError: When SQLite cannot read it.
            ValueError: When it finds something wrong.
        """
        # SQLite's own check follows pages however deep they lie, which ends the process where they are made to lie very
        # deep; its queries do not. And they count their steps, as count(*) would not.
        for tree, column in (*self._trees, *((name, "tbl") for name in self._statistics)):
            list(self._ask(f"SELECT sum({column} >= 0) FROM {tree}"))
        found = self.only("PRAGMA integrity_check(1)", str)
        if found != "ok":
            raise ValueError(found[:200])

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            if self._connection:
                self._connection.close()
            self._connection = None


def _authorize(action: int, name: str | None, detail: str | None, *_: str | None) -> int:
    """Let queries read the tables of an index, and nothing else."""
    allowed = (
        action == sqlite3.SQLITE_SELECT
        or (action == sqlite3.SQLITE_READ and name in _READABLE)
        or (action == sqlite3.SQLITE_FUNCTION and detail in _FUNCTIONS)
        or (action == sqlite3.SQLITE_PRAGMA and name == "integrity_check")
    )
    return sqlite3.SQLITE_OK if allowed else sqlite3.SQLITE_DENY


def _check_schema(connection: sqlite3.Connection, statements: Sequence[str]) -> list[str]:
    """Check that a database holds the tables of an index, each a tree of its own, and nothing that could pose as one.

    Returns:
        The names of the tables of SQLite's own statistics that it holds too.

    Raises:
        ValueError: When it does not.
    """
    wanted = _schema(statements)
    roots = set()
    statistics = []
    query = "SELECT name, type, tbl_name, sql, rootpage FROM sqlite_master LIMIT ?"
    for name, *made, root in connection.execute(query, (len(wanted) + len(_STATISTICS) + 1,)):
        known = wanted.pop(name, None) or _STATISTICS.get(name)
        statistics += [name] if name in _STATISTICS else []
        if known is None:
            raise ValueError(f"{str(name)[:40]!r} is no part of an index")
        if (*made,) != known or root in roots:
            raise ValueError(f"its {name} is not what an index has")
        roots.add(root)
    if wanted:
        raise ValueError(f"no such table or index: {', '.join(map(str, wanted))}")
    return statistics


def _schema(statements: Sequence[str]) -> dict[object, tuple[str, str, str | None]]:
    """Return kind, table and statement of every table and index of a database, by name."""
    found: dict[object, tuple[str, str, str | None]] = {}
    for statement in statements:
        _, kind, name, *rest = statement.split()
        found[name] = kind.lower(), rest[1] if kind == "INDEX" else name, statement
    for table in ("documents", "passages"):  # made for what is UNIQUE
        found[f"sqlite_autoindex_{table}_1"] = "index", table, None
    return found
