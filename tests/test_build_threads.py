"""Builds embed a batch in a thread of its own: what the caller gives and hears stays in the caller's thread."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from index import builder, pipeline
from index.errors import ModelError
from index.layout import CURRENT
from index.progress import SILENT, Progress
from index.records import Document
from index.store import Store
from index.verifier import verify
from tests.builds import documents, make_index
from tests.toys import ToyEncoder

if TYPE_CHECKING:
    from index.records import Vectors

N = 60


@pytest.fixture(autouse=True)
def _small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "BATCH_PASSAGES", 8)


def text(i: int) -> str:
    return f"number{i} stands here"


def of_a_database(rows: sqlite3.Cursor) -> Iterator[Document]:
    for i, content in rows:
        yield Document(str(i), "database", content, lang="en")


class Watching(ToyEncoder):
    """Tells its progress text by text, and knows who asks and whether it is at work."""

    def __init__(self, seconds: float = 0.0) -> None:
        super().__init__()
        self.seconds = seconds
        self.threads: set[int] = set()
        self.at_work = threading.Event()
        self.n_told = 0

    def encode_passages(self, texts: Sequence[str], progress: Progress = SILENT) -> Vectors:
        self.threads.add(threading.get_ident())
        self.at_work.set()
        try:
            for _ in texts:
                time.sleep(self.seconds)
                progress.advance(1)
                self.n_told += 1
            return super().encode_passages(texts)
        finally:
            self.at_work.clear()


class Told:
    """Remembers from which threads it was told what."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, int]] = []

    def _tell(self, what: str) -> None:
        self.calls.append((what, threading.get_ident()))

    def start(self, label: str, total: int, unit: str) -> None:
        self._tell("start")

    def advance(self, n: int) -> None:
        self._tell("advance")

    def note(self, text: str) -> None:
        self._tell("note")

    def end(self) -> None:
        self._tell("end")


def test_a_database_of_this_thread_is_read_in_this_thread(tmp_path: Path) -> None:
    database = sqlite3.connect(":memory:")  # refuses every other thread
    database.execute("CREATE TABLE texts (id INTEGER PRIMARY KEY, content TEXT)")
    database.executemany("INSERT INTO texts (content) VALUES (?)", [(text(i),) for i in range(N)])
    encoder = Watching()
    cursor = database.execute("SELECT id, content FROM texts ORDER BY id")
    report = make_index(tmp_path / "index", of_a_database(cursor), encoder)
    database.close()
    assert report.documents == N
    assert threading.get_ident() not in encoder.threads  # otherwise this test shows nothing
    with Store.open(tmp_path / "index") as store:
        assert [passage.text for passage in store.documents.passages(range(N))] == [text(i) for i in range(N)]
    assert verify(tmp_path / "index") == []


def test_documents_are_read_while_a_batch_is_embedded(tmp_path: Path) -> None:
    encoder = Watching(seconds=0.005)
    seen = []

    def made() -> Iterator[Document]:
        for document in documents(*map(text, range(N))):
            seen.append(encoder.at_work.is_set())
            yield document

    make_index(tmp_path / "index", made(), encoder)
    assert not any(seen[:8])
    assert any(seen[8:])


def test_progress_is_told_from_the_callers_thread_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "_TELL_SECONDS", 0.002)
    told, encoder = Told(), Watching(seconds=0.002)
    builder.build_documents(documents(*map(text, range(N))), tmp_path / "index", encoder=encoder, progress=told)
    assert {thread for _, thread in told.calls} == {threading.get_ident()}
    assert threading.get_ident() not in encoder.threads
    assert encoder.n_told == N
    what = [name for name, _ in told.calls]
    assert (what[0], what[-1]) == ("start", "end")
    assert what.count("advance") > 2 * N / 8  # also in the middle of a batch


class Reading(Exception):
    """What a caller's own code may raise."""


@pytest.mark.parametrize("kind", [Reading, KeyboardInterrupt, RuntimeError])
@pytest.mark.parametrize("n", [0, 3, 8, 9, 30])
def test_what_the_source_raises_comes_out_unchanged(kind: type[BaseException], n: int, tmp_path: Path) -> None:
    out = tmp_path / "index"
    make_index(out, documents("old words"))
    error = kind("the line is dead")
    encoder = Watching(seconds=0.01)
    n_threads = threading.active_count()

    def broken() -> Iterator[Document]:
        yield from documents(*map(text, range(n)))
        raise error

    with pytest.raises(kind) as raised:
        make_index(out, broken(), encoder)
    assert raised.value is error
    assert threading.active_count() == n_threads  # nothing goes on computing for nobody
    assert not encoder.at_work.is_set()
    assert (out / CURRENT).read_text() == "g000001\n"
    assert verify(out) == []
    with Store.open(out) as store:
        assert [passage.text for passage in store.documents.passages([0])] == ["old words"]


def test_the_embedding_that_nobody_waits_for_ends_before_its_batch_does(tmp_path: Path) -> None:
    encoder = Watching(seconds=0.05)

    def broken() -> Iterator[Document]:
        yield from documents(*map(text, range(8)))
        assert encoder.at_work.wait(60)
        raise Reading

    with pytest.raises(Reading):
        make_index(tmp_path / "index", broken(), encoder)
    assert encoder.n_told < 8
    assert encoder.encoded == []


@pytest.mark.parametrize("error", [ModelError("no vector"), MemoryError(), KeyboardInterrupt()])
def test_what_the_encoder_raises_comes_out_unchanged(error: BaseException, tmp_path: Path) -> None:
    out = tmp_path / "index"
    make_index(out, documents("old words"))

    class Failing(ToyEncoder):
        def encode_passages(self, texts: Sequence[str], progress: Progress = SILENT) -> Vectors:
            if len(self.encoded) >= 16:
                raise error
            return super().encode_passages(texts, progress)

    with pytest.raises(type(error)) as raised:
        make_index(out, documents(*map(text, range(N))), Failing())
    assert raised.value is error
    assert (out / CURRENT).read_text() == "g000001\n"
    assert verify(out) == []


def test_a_source_that_builds_another_index_on_its_way(tmp_path: Path) -> None:
    def made() -> Iterator[Document]:
        for i, document in enumerate(documents(*map(text, range(N)))):
            if i % 20 == 19:
                make_index(tmp_path / f"inner{i}", documents(*map(text, range(i))))
            yield document

    assert make_index(tmp_path / "outer", made()).documents == N
    for name, n in (("outer", N), ("inner19", 19), ("inner59", 59)):
        assert verify(tmp_path / name) == []
        with Store.open(tmp_path / name) as store:
            assert store.n_passages == n
