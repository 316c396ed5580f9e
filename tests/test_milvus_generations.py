"""Builds into Milvus that are killed, and builds that switch while others read."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from index.errors import IndexDamagedError, StoreError
from index.milvus_collections import MilvusCollections
from index.milvus_place import MilvusPlace
from index.milvus_store import MilvusReader
from index.milvus_writer import MilvusWriter
from tests.builds import ROOT, environment
from tests.milvus_toys import DIM, Made

OLD, NEW = Made(120, seed=1), Made(150, seed=2)
KILLED = """
import os, signal, sys
from index.milvus_collections import MilvusCollections
from index.milvus_place import MilvusPlace
from index.milvus_writer import MilvusWriter
from tests.milvus_toys import DIM, Made
place, at, n = MilvusPlace.parse(sys.argv[1]), sys.argv[2], 150
made = Made(n, seed=2)
def stop(*args, **kwargs):
    print("killed here", flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
if at in ("flush", "load_collection", "alter_alias"):  # while a request is under way
    connect = MilvusCollections.__init__
    def watched(self, *args, **kwargs):
        connect(self, *args, **kwargs)
        setattr(self.client, at, stop)
    MilvusCollections.__init__ = watched
writer = MilvusWriter.begin(place, DIM, keep=sys.argv[3:])
for row in range(n):
    if row == 70 and at == "append":
        stop()
    one = made.sentences
    writer.append([row], [made.passages[row]], made.vectors[row : row + 1], None)
writer.finish(n)
if at == "finished":
    stop()
writer.switch()
if at == "switched":
    stop()
"""
"""Writes the second generation, and kills itself at one place."""


@pytest.fixture
def place(tmp_path: Path) -> MilvusPlace:
    return MilvusPlace.parse(str(tmp_path / "a.db"))


def collections(place: MilvusPlace) -> list[str]:
    connection = MilvusCollections(place)
    try:
        return sorted(connection.collections())
    finally:
        connection.close()


def is_whole(made: Made, reader: MilvusReader) -> bool:
    (query,) = made.vectors[7:8]
    rows = np.arange(made.n)
    return (
        reader.near(query[None], 10)[0].tolist() == made.nearest(query, 10)
        and reader.passages(rows) == made.passages
        and np.array_equal(reader.vectors(rows), made.vectors)
    )


@pytest.mark.parametrize("at", ["append", "flush", "load_collection", "finished", "alter_alias"])
def test_a_killed_writer_leaves_the_old_generation_and_is_cleared_away(at: str, place: MilvusPlace) -> None:
    old = OLD.write(place)
    args = [sys.executable, "-c", KILLED, str(place), at, old]
    killed = subprocess.run(
        args,
        capture_output=True,
        env=environment(TMPDIR=str(Path(place.uri).parent)),
        cwd=ROOT,
        timeout=60,
        check=False,
    )
    assert (killed.returncode, killed.stdout) == (-9, b"killed here\n"), killed.stderr.decode()
    with OLD.read(place, old) as reader:
        assert reader.current() == old
        assert is_whole(OLD, reader)
    assert collections(place) == [old, "manytongues_g000002"]
    with MilvusWriter.begin(place, DIM, keep=[old]) as writer:
        assert collections(place) == [old, writer.collection] == [old, "manytongues_g000003"]
        writer.append(range(NEW.n), NEW.passages, NEW.vectors, NEW.sentences)
        writer.finish(NEW.n)
        writer.switch()
        assert writer.collect() == []
    with NEW.read(place, writer.collection) as reader:
        assert is_whole(NEW, reader)


def test_a_writer_killed_after_the_switch_lost_nothing(place: MilvusPlace) -> None:
    old = OLD.write(place)
    args = [sys.executable, "-c", KILLED, str(place), "switched", old]
    assert subprocess.run(
        args,
        capture_output=True,
        env=environment(TMPDIR=str(Path(place.uri).parent)),
        cwd=ROOT,
        timeout=60,
        check=False,
    ).returncode
    # The index directory still names the old one: it is kept, whatever the alias names.
    for name, made in ((old, OLD), ("manytongues_g000002", NEW)):
        with made.read(place, name) as reader:
            assert reader.current() == "manytongues_g000002"
            assert reader.near(made.vectors[:1], 5)[0].tolist() == made.nearest(made.vectors[0], 5)
    with MilvusWriter.begin(place, DIM, keep=[old]):
        assert collections(place) == [old, "manytongues_g000002", "manytongues_g000003"]


def test_a_first_writer_that_was_killed_is_cleared_away(place: MilvusPlace) -> None:
    args = [sys.executable, "-c", KILLED, str(place), "append"]
    assert subprocess.run(
        args,
        capture_output=True,
        env=environment(TMPDIR=str(Path(place.uri).parent)),
        cwd=ROOT,
        timeout=60,
        check=False,
    ).returncode
    assert collections(place) == ["manytongues_g000001"]
    assert NEW.write(place) == "manytongues_g000002"
    assert collections(place) == ["manytongues_g000002"]


def test_what_the_directory_names_is_never_dropped(place: MilvusPlace) -> None:
    with MilvusWriter.begin(place, DIM) as writer:  # finished, but killed before the alias was made
        writer.append(range(NEW.n), NEW.passages, NEW.vectors, NEW.sentences)
        writer.finish(NEW.n)
    with MilvusWriter.begin(place, DIM, keep=[writer.collection]):
        assert collections(place) == ["manytongues_g000001", "manytongues_g000002"]


def test_the_generation_before_is_kept_and_no_other(place: MilvusPlace) -> None:
    names = [OLD.write(place) for _ in range(4)]
    assert names == [f"manytongues_g00000{i}" for i in (1, 2, 3, 4)]
    with MilvusWriter.begin(place, DIM) as writer:
        writer.append(range(NEW.n), NEW.passages, NEW.vectors, NEW.sentences)
        writer.finish(NEW.n)
        writer.switch()
        writer.switch()  # again does nothing
        assert writer.collect(keep=names[:1]) == names[1:3]
        assert writer.collect() == names[:1]
    assert collections(place) == [names[3], writer.collection]


def test_one_that_is_abandoned_is_gone(place: MilvusPlace) -> None:
    old = OLD.write(place)
    with MilvusWriter.begin(place, DIM) as writer:
        writer.append([0], NEW.passages[:1], NEW.vectors[:1], None)
        writer.abandon()
    assert collections(place) == [old]


def test_two_indexes_of_different_names_do_not_meet(place: MilvusPlace) -> None:
    other = MilvusPlace(place.uri, "manytongues_g000001_letters")
    first, second = OLD.write(place), NEW.write(other)
    for _ in range(2):
        OLD.write(place)
    with OLD.read(place, first) as one, NEW.read(other, second) as two:
        assert is_whole(OLD, one)
        assert is_whole(NEW, two)
        assert two.current() == second != one.current() == "manytongues_g000003"


@pytest.fixture
def reading(place: MilvusPlace) -> Iterator[tuple[MilvusReader, list[object]]]:
    """A reader of the old generation that is asked without a pause by two threads, and what went wrong."""
    collection = OLD.write(place)
    wrong: list[object] = []
    answered = threading.Semaphore(0)
    stop = threading.Event()

    def ask(reader: MilvusReader) -> None:
        while not stop.is_set():
            try:
                (rows,) = reader.near(OLD.vectors[3:4], 10)
                if rows.tolist() != OLD.nearest(OLD.vectors[3], 10) or reader.vectors(rows).shape != (10, DIM):
                    wrong.append(rows)
            except StoreError as error:
                wrong.append(error)
            answered.release()

    with OLD.read(place, collection) as reader:
        threads = [threading.Thread(target=ask, args=(reader,)) for _ in range(2)]
        for thread in threads:
            thread.start()
        yield reader, wrong
        for _ in range(4):
            assert answered.acquire(timeout=20)
        stop.set()
        for thread in threads:
            thread.join()


def test_a_reader_stays_on_its_generation_while_builds_switch(
    reading: tuple[MilvusReader, list[object]], place: MilvusPlace
) -> None:
    reader, wrong = reading
    old = reader.collection
    with MilvusWriter.begin(place, DIM) as writer:
        for at in range(0, NEW.n, 30):
            rows = range(at, at + 30)
            writer.append(rows, NEW.passages[at : at + 30], NEW.vectors[at : at + 30], None)
            assert reader.current() == old
        writer.finish(NEW.n)
        assert reader.current() == old
        writer.switch()
        assert reader.current() == writer.collection
        assert writer.collect() == []
    assert is_whole(OLD, reader)
    assert wrong == []
    with NEW.read(place, writer.collection) as new:
        assert new.near(NEW.vectors[:1], 3)[0].tolist() == NEW.nearest(NEW.vectors[0], 3)


def test_a_reader_whose_generation_was_dropped_is_told(place: MilvusPlace) -> None:
    with OLD.read(place, OLD.write(place)) as reader:
        for _ in range(2):
            with MilvusWriter.begin(place, DIM) as writer:
                writer.append(range(NEW.n), NEW.passages, NEW.vectors, None)
                writer.finish(NEW.n)
                writer.switch()
                writer.collect()
        with pytest.raises(IndexDamagedError, match=r"a collection of this index is not there \(searching .*_g000001"):
            reader.near(OLD.vectors[:1], 3)
