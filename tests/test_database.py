"""The database of an index: what is written is read, and nothing that it holds can make SQLite do more than that."""

from __future__ import annotations

import shutil
import sqlite3
import threading
from pathlib import Path

import pytest

from index import database
from index.database import LONGEST_VALUE, Database, DatabaseError, open_to_write
from index.errors import IndexDamagedError, StoreError
from index.layout import DATABASE
from index.manifest import FORMAT_VERSION, READ_VERSIONS, read_manifest
from index.records import Document
from index.store import Store, current_generation
from index.verifier import check_counts, verify
from tests.builds import ROOT, documents, make_index
from tests.hostile import sign, tree, well
from tests.test_store import whole, write

GOLDEN = sorted((ROOT / "tests" / "golden").rglob(DATABASE))


@pytest.fixture
def index(tmp_path: Path) -> Path:
    make_index(tmp_path / "index", documents("red apples", "green pears"))
    return tmp_path / "index"


@pytest.fixture
def path(index: Path) -> Path:
    return current_generation(index) / DATABASE


def write_row(path: Path, table: str, *values: object) -> None:
    connection = sqlite3.connect(path)
    with connection:
        connection.execute(f"INSERT INTO {table} VALUES ({', '.join('?' * len(values))})", values)
    connection.close()


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: str(path.relative_to(ROOT)))
def test_databases_of_every_format_are_opened(path: Path) -> None:
    opened = Database(path, read_manifest(path.parent).format_version)
    with opened.reading():
        opened.check()
        assert opened.only("SELECT count(*) FROM passages", int) > 2
    opened.close()


def test_there_is_a_database_of_every_format() -> None:
    assert len(GOLDEN) == len(READ_VERSIONS)


def test_what_is_made_can_be_opened(tmp_path: Path) -> None:
    open_to_write(tmp_path / "new").close()
    opened = Database(tmp_path / "new", FORMAT_VERSION)
    with opened.reading():
        opened.check()
        assert list(opened.rows("SELECT place, reason FROM rejected", (str, str))) == []
    opened.close()


@pytest.mark.parametrize(
    "query",
    [
        "SELECT randomblob(9)",
        "SELECT sqlite_version()",
        "SELECT load_extension('x')",
        "SELECT printf('%.*c', 900000000, 'x')",
        "SELECT text FROM passages WHERE text LIKE '%a%'",
        "SELECT * FROM pragma_table_info('passages')",
        "SELECT * FROM sqlite_dbpage",
        "SELECT value FROM json_each('[1]')",
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n",
        "PRAGMA user_version",
        "PRAGMA query_only = OFF",
        "PRAGMA writable_schema = ON",
        "ATTACH ':memory:' AS other",
        "CREATE TEMP TABLE t (a)",
        "INSERT INTO rejected VALUES ('a', 'b')",
        "UPDATE passages SET text = ''",
        "DELETE FROM passages",
        "VACUUM",
        "BEGIN",
        "SELECT " + "1 + " * 3000 + "1",
    ],
)
def test_a_query_can_do_nothing_but_read(query: str, path: Path) -> None:
    before = path.read_bytes()
    opened = Database(path, FORMAT_VERSION)
    with pytest.raises(IndexDamagedError, match=DATABASE), opened.reading():
        list(opened.rows(query, (str,)))
    opened.close()
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir() if p.name.startswith(DATABASE)] == [DATABASE]


def test_journals_beside_it_are_passed_over(index: Path, path: Path) -> None:
    before = path.read_bytes()
    writer = sqlite3.connect(path)
    writer.executescript("PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0; DELETE FROM passages")
    names = [f"{DATABASE}-wal", f"{DATABASE}-shm"]
    for name in names:
        shutil.copy(path.with_name(name), path.with_name(f"kept-{name}"))
    writer.close()
    path.write_bytes(before)
    for name in names:
        path.with_name(f"kept-{name}").rename(path.with_name(name))
    path.with_name(f"{DATABASE}-journal").write_bytes(b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7" + b"\xff" * 5000)
    with Store.open(index) as store:
        assert [passage.text for passage in store.documents.passages([0, 1])] == ["red apples", "green pears"]
    assert path.read_bytes() == before


def test_statistics_of_sqlite_are_no_damage(index: Path, path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("ANALYZE")
    # as if all passages stood in one document, and documents were few
    connection.executescript("UPDATE sqlite_stat1 SET stat = '1000000000 1000000000 1000000000 1'")
    connection.close()
    sign(index)
    assert verify(index) == []
    with Store.open(index) as store:
        assert [passage.text for passage in store.documents.passages([1, 0])] == ["green pears", "red apples"]


def test_statistics_are_checked_as_deep_as_they_lie(index: Path, path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("ANALYZE")
    connection.close()
    tree("sqlite_stat1", well)(index)
    (problem,) = verify(index)
    assert "malformed" in problem


def test_what_could_not_be_read_is_not_written(tmp_path: Path) -> None:
    connection = open_to_write(tmp_path / "new")
    connection.execute("INSERT INTO rejected VALUES ('s', 'a', 'b')")
    with pytest.raises(DatabaseError, match="too big"):
        connection.execute("INSERT INTO rejected VALUES ('', 'a', ?)", ("x" * (LONGEST_VALUE + 1),))
    connection.close()


def test_a_document_that_cannot_be_stored_ends_a_build_with_a_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "LONGEST_VALUE", 10_000)
    with pytest.raises(StoreError, match="too big"):
        write(tmp_path, [whole(Document("d", "s", "x" * 20_000))])


def test_more_than_a_database_of_its_size_can_hold_is_not_read(index: Path, path: Path) -> None:
    write_row(path, "documents", 9, "x" * 2_000_000, "id", "", "", "{}", "", 0)
    for i in range(60):
        write_row(path, "left_out", 9, i, i + 1, "template", "null")
    sign(index)
    with Store.open(index) as store:
        with pytest.raises(IndexDamagedError, match="more than its size allows"):
            store.documents.left_out()
        assert len(store.documents.left_out(limit=10)) == 10
        assert len(store.documents.passages([0])) == 1  # each question has a bound of its own


def test_all_of_a_sound_database_takes_far_fewer_steps_than_it_may(tmp_path: Path) -> None:
    out = tmp_path / "index"
    lines = [Document(f"{i}", "s", f"null\nsame words.\n\n{i}.", lang="en") for i in range(3_000)]
    make_index(out, lines)  # short passages in many documents: the most steps for a byte
    with Store.open(out) as store:
        opened = store.documents._database
        size = (store.folder / DATABASE).stat().st_size

        for use in (
            lambda: check_counts(store),
            store.documents.left_out,
            store.documents.langs,
            lambda: store.documents.passages([0, 1, 2]),
        ):
            with opened.reading():
                before = opened._steps
            use()
            assert 0 <= before - opened._steps < database._STEPS_PER_BYTE * size / 4


def test_a_database_is_read_by_many_threads(index: Path) -> None:
    found: list[list[str]] = []
    with Store.open(index) as store:

        def read() -> None:
            for _ in range(50):
                found.append([passage.text for passage in store.documents.passages([0, 1])])

        threads = [threading.Thread(target=read) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert found == [["red apples", "green pears"]] * 200


def test_a_closed_database_is_told(path: Path) -> None:
    opened = Database(path, FORMAT_VERSION)
    opened.close()
    with pytest.raises(IndexDamagedError, match="closed"), opened.reading():
        opened.only("SELECT count(*) FROM passages", int)
