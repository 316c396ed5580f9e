"""An index in Milvus that is updated, killed on the way, and read meanwhile."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from index.builder import build, build_documents
from index.config import BuildSettings
from index.errors import IndexFormatError, InputError
from index.layout import LANGS
from index.milvus_collections import MilvusCollections, current_of
from index.milvus_place import MilvusPlace
from index.readers import isolated
from index.records import Document
from index.store import Store
from index.updater import UpdateReport, update, update_documents
from search.watch import update_whenever
from tests.builds import ROOT, environment
from tests.toys import ToyEncoder

TEXTS = {"a.txt": "Apples are red.", "b.txt": "Bread is brown.", "c1.txt": "Coal is black.", "d.txt": "Dew is clear."}
KILLED = """
import os, signal, sys
import index.generations, index.milvus_writer
from index.updater import update
from tests.toys import ToyEncoder
index_directory, at = sys.argv[1:]
def stop(*args, **kwargs):
    print("killed here", flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
if at == "before":
    index.generations.write_text = stop
elif at == "between":
    index.milvus_writer.MilvusWriter.switch = stop
else:
    index.milvus_writer.MilvusWriter.collect = stop
update(index_directory, encoder=ToyEncoder())
"""
"""Updates, and is killed before the directory names the new generation, before the alias follows, or after it did."""


@pytest.fixture
def files(tmp_path: Path) -> Path:
    folder = tmp_path / "files"
    folder.mkdir()
    for name, text in TEXTS.items():
        (folder / name).write_text(text, "utf-8")
    return folder


@pytest.fixture
def out(files: Path, settings: BuildSettings) -> Path:
    out = files.parent / "index"
    sources = [files / "a.txt", files / "b.txt", files / "c*.txt", files / "d.txt"]
    build(sources, out, settings=settings, encoder=ToyEncoder())
    return out


@pytest.fixture
def settings(tmp_path: Path) -> BuildSettings:
    return BuildSettings(store=f"milvus:{tmp_path / 'm.db'}")


def updated(out: Path) -> UpdateReport:
    return update(out, encoder=ToyEncoder())


def texts(out: Path) -> list[str]:
    with Store.open(out) as store, contextlib.closing(store.open_passages()) as passages:
        return sorted(passage.text for passage in passages.passages(range(store.n_rows)))


def numbers(out: Path) -> tuple[int | None, list[int], int | None]:
    """Return the numbers of the collection that the directory names, of all there are, and of the alias's."""
    with Store.open(out) as store:
        named, place = store.manifest.collection, MilvusPlace.parse(store.manifest.store)
    with contextlib.closing(MilvusCollections(place)) as connection:
        there = connection.collections()
        return place.number(named), sorted(map(_number, there)), place.number(current_of(connection, there) or "")


def _number(collection: str) -> int:
    return int(collection.rpartition("_g")[2])


def test_a_file_that_is_gone_may_come_back(out: Path, files: Path) -> None:
    with Store.open(out) as store:
        sources = store.manifest.sources
    (files / "b.txt").unlink()
    report = updated(out)
    assert (report.gone, report.new, report.embedded, report.manifest.sources) == (1, 0, 0, sources)
    assert texts(out) == [TEXTS["a.txt"], TEXTS["c1.txt"], TEXTS["d.txt"]]
    (files / "b.txt").write_text("Bread is back.", "utf-8")
    (files / "c2.txt").write_text("Coal too.", "utf-8")
    report = updated(out)
    assert (report.new, report.gone, report.manifest.sources) == (2, 0, sources)
    assert texts(out) == [TEXTS["a.txt"], "Bread is back.", TEXTS["c1.txt"], "Coal too.", TEXTS["d.txt"]]


def test_documents_made_in_memory_are_not_dropped(files: Path, tmp_path: Path, settings: BuildSettings) -> None:
    out = tmp_path / "index"
    made = [Document("1", "memory", "Made in memory."), Document("2", "memory", "As this one.")]
    build_documents(made, out, settings=settings, encoder=ToyEncoder())
    for dry_run in (True, False):
        with pytest.raises(IndexFormatError, match=r"holds documents that are in none \(of 'memory'\)"):
            update(out, files / "a.txt", encoder=ToyEncoder(), dry_run=dry_run)
    assert texts(out) == ["As this one.", "Made in memory."]


def test_what_is_out_of_reach_is_not_dropped(files: Path, tmp_path: Path, settings: BuildSettings) -> None:
    out = tmp_path / "index"
    build(files, out, settings=settings, encoder=ToyEncoder())
    (files / "new.txt").symlink_to("new.txt")  # in a circle; nothing of it is known
    (files / "d.txt").write_text("Dew is gone.", "utf-8")
    assert [one.out_of_reach for one in updated(out).rejected if one.where.endswith("new.txt")] == [True]
    (files / "new.txt").unlink()
    (files / "b.txt").unlink()
    (files / "b.txt").symlink_to("b.txt")
    (files / "d.txt").write_text("Dew is back.", "utf-8")
    with pytest.raises(InputError, match=r"b\.txt: .*nothing was changed"):
        updated(out)
    assert texts(out) == [TEXTS["a.txt"], TEXTS["b.txt"], TEXTS["c1.txt"], "Dew is gone."]
    (files / "b.txt").unlink()
    assert updated(out).gone == 1
    assert texts(out) == [TEXTS["a.txt"], TEXTS["c1.txt"], "Dew is back."]


def test_what_cannot_be_read_this_time_is_not_dropped(
    files: Path, tmp_path: Path, settings: BuildSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that has not changed, but is read again since another one has."""
    out = tmp_path / "index"
    (files / "m.eml").write_text("Subject: Milk\n\nMilk is white.\n", "utf-8")
    build(files, out, settings=settings, encoder=ToyEncoder())
    isolated.end_processes()
    (files / "a.txt").write_text("Apples are green.", "utf-8")
    with monkeypatch.context() as patched:
        patched.setattr(sys, "executable", str(tmp_path / "nothing"))
        with pytest.raises(InputError, match=r"m\.eml: the process .* could not be started .*nothing was changed"):
            updated(out)
        assert "Milk is white." in texts(out)
        (files / "new.eml").write_text("Subject: New\n\nNothing of it is known.\n", "utf-8")
        (files / "m.eml").unlink()
        report = updated(out)
        assert [one.out_of_reach for one in report.rejected] == [True]
        assert (report.changed, report.gone) == (1, 1)
    assert updated(out).new == 1


def test_documents_that_are_of_no_file_are_known(files: Path, tmp_path: Path) -> None:
    (files / "r.jsonl").write_text('{"id": "x", "text": "One record."}\n{"id": "y", "text": "Another."}\n', "utf-8")
    (files / "t.tsv").write_text("id\ttext\nz\tA row of a table.\n", "utf-8")
    build(files, tmp_path / "index", encoder=ToyEncoder())
    with Store.open(tmp_path / "index") as store:
        assert store.manifest.counts.documents == 7
        assert store.documents.source_without_file() is None
    update_documents(tmp_path / "index", [Document("1", "memory", "Made in memory.")], encoder=ToyEncoder())
    with Store.open(tmp_path / "index") as store:
        assert store.documents.source_without_file() == "memory"


@pytest.mark.parametrize(
    ("at", "named", "alias", "after"),
    [("before", 1, 1, [1, 2, 3]), ("between", 2, 1, [2, 3]), ("after", 2, 2, [2, 3])],
)
def test_an_update_that_was_killed_is_mended_by_the_next(
    at: str, named: int, alias: int, after: list[int], out: Path, files: Path
) -> None:
    assert numbers(out) == (1, [1], 1)
    (files / "a.txt").write_text("Apples are green.", "utf-8")
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, str(out), at],
        capture_output=True,
        env=environment(TMPDIR=str(out.parent)),
        cwd=ROOT,
        timeout=60,
        check=False,
    )
    assert (killed.returncode, killed.stdout) == (-9, b"killed here\n"), killed.stderr.decode()
    assert numbers(out) == (named, [1, 2], alias)
    assert ("Apples are green." in texts(out)) == (named == 2)
    (files / "a.txt").write_text("Apples are yellow.", "utf-8")
    updated(out)
    assert numbers(out) == (3, after, 3)
    assert "Apples are yellow." in texts(out)
    (files / "a.txt").write_text("Apples are eaten.", "utf-8")
    updated(out)
    assert numbers(out) == (4, [3, 4], 4)


def test_a_generation_that_somebody_reads_keeps_its_collection(out: Path, files: Path) -> None:
    with Store.open(out) as store, contextlib.closing(store.open_passages()) as passages:
        for n in range(3):
            (files / "a.txt").write_text(f"Apples are counted: {n}.", "utf-8")
            updated(out)
        assert numbers(out) == (4, [1, 3, 4], 4)
        assert sorted(one.text for one in passages.passages(range(4))) == sorted(TEXTS.values())
        assert len(passages.near(ToyEncoder().encode_queries(["Apples"]), 4, None)[0]) == 4
    (files / "a.txt").write_text("Apples are gone.", "utf-8")
    updated(out)
    assert numbers(out) == (5, [4, 5], 5)


def test_damaged_languages_are_no_error_of_numpy(out: Path) -> None:
    with Store.open(out) as store:
        path = store.folders()[0] / LANGS
        n_rows = store.n_rows
        with contextlib.closing(store.open_passages()) as passages:
            whole = passages.vectors(np.arange(n_rows))
    path.write_bytes(path.read_bytes()[: -2 * n_rows] + b"\xff\xff" * n_rows)
    with Store.open(out) as store, contextlib.closing(store.open_passages()) as passages:
        assert store.lang_codes.tolist() == [65_535] * n_rows
        assert passages.vectors(np.arange(n_rows)).shape == whole.shape


@pytest.fixture
def own_folder(files: Path) -> Iterator[Path]:
    """A folder that holds the index and its Milvus too."""
    before = Path.cwd()
    os.chdir(files)
    build(".", "index", settings=BuildSettings(store="milvus:m.db"), encoder=ToyEncoder())
    yield files
    os.chdir(before)


def test_what_an_update_writes_to_milvus_is_no_change(own_folder: Path) -> None:
    new: list[int] = []

    def at_update() -> None:
        new.append(update("index", encoder=ToyEncoder()).new)
        if len(new) == 1:
            (own_folder / "m.db" / "x").touch()
            threading.Timer(1, (own_folder / "e.txt").write_text, ("Earth is brown.", "utf-8")).start()
        else:
            raise KeyboardInterrupt

    with contextlib.suppress(KeyboardInterrupt):
        update_whenever("index", [], at_update, quiet=True)
    assert new == [0, 1]
