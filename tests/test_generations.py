"""Which directories a build may write to, one build at a time, and whose fault an error is."""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from index.builder import build_documents
from index.config import BuildSettings, ModelSettings
from index.errors import StoreError
from index.generations import locked
from index.layout import CURRENT, GENERATIONS, MANIFEST
from index.progress import SILENT, Progress
from index.records import Document
from index.store import Store
from index.verifier import verify
from tests.builds import documents, make_index
from tests.toys import ToyEncoder

if TYPE_CHECKING:
    from index.records import Vectors

LEVELDB = {CURRENT: "MANIFEST-000004\n", "MANIFEST-000004": "x", "LOCK": "", "000003.log": "x"}


def lay(directory: Path, files: dict[str, str]) -> None:
    """Write files; a name that ends in "/" is a folder."""
    for name, text in files.items():
        path = directory / name
        (path if name.endswith("/") else path.parent).mkdir(parents=True, exist_ok=True)
        if not name.endswith("/"):
            path.write_text(text)


def content(directory: Path) -> dict[str, str]:
    found = sorted(directory.rglob("*"))
    return {str(path.relative_to(directory)): path.read_text() if path.is_file() else "" for path in found}


@pytest.mark.parametrize(
    ("files", "named"),
    [
        (LEVELDB, "000003.log, CURRENT, LOCK"),
        ({CURRENT: "MANIFEST-000004\n"}, "CURRENT"),
        ({CURRENT: "MANIFEST-000004\n", "generations/": ""}, "CURRENT"),
        ({CURRENT: "g000001\n"}, "CURRENT"),
        ({CURRENT: "g000001\n", "letter.txt": "text"}, "CURRENT, letter.txt"),
        ({"CURRENT/": ""}, "CURRENT"),
        ({CURRENT: "generations"}, "CURRENT"),
        ({"generations/1.csv": "x", "generations/best/a": "x"}, "generations/1.csv, generations/best"),
        ({"generations/g1/genes.csv": "x", "generations/g2/genes.csv": "x"}, "generations/g1, generations/g2"),
        ({".DS_Store": "x", ".hidden": "x"}, ".hidden"),
    ],
)
def test_what_is_not_ours_is_refused_untouched(files: dict[str, str], named: str, tmp_path: Path) -> None:
    lay(tmp_path, files)
    before = content(tmp_path)
    with pytest.raises(StoreError) as told:
        make_index(tmp_path, documents("words"))
    assert f"holds other files ({named}) and no index" in str(told.value)
    assert content(tmp_path) == before


@pytest.mark.parametrize(
    "files",
    [
        {},
        {".DS_Store": "x", "desktop.ini": "x", "Thumbs.db": "x", "generations/.DS_Store": "x"},
        {".lock": "", "generations/.new-abc/passages.sqlite": "x", "generations/.probe": ""},
        {".lock": "", f"generations/g000001/{MANIFEST}": "{}", ".CURRENT-abc": "g0"},
        {CURRENT: " g000001 \n", "generations/": "", "notes.txt": "x"},  # an index, be it damaged
    ],
)
def test_what_is_ours_is_written_to(files: dict[str, str], tmp_path: Path) -> None:
    lay(tmp_path, files)
    make_index(tmp_path, documents("words"))
    assert verify(tmp_path) == []


def test_only_generations_are_cleared_away(tmp_path: Path) -> None:
    make_index(tmp_path, documents("words"))
    lay(tmp_path, {"generations/golden/a.txt": "kept"})
    for _ in range(3):
        make_index(tmp_path, documents("words"))
    assert sorted(path.name for path in (tmp_path / GENERATIONS).iterdir()) == ["g000003", "g000004", "golden"]


def test_a_second_build_is_refused_before_its_model_is_loaded(tmp_path: Path) -> None:
    settings = BuildSettings(model=ModelSettings(name=str(tmp_path / "no-model")))
    with locked(tmp_path / "index"), pytest.raises(StoreError, match="another program is writing here"):
        build_documents(documents("words"), tmp_path / "index", settings=settings)
    make_index(tmp_path / "index", documents("words"))  # let go of


ERRORS = [OSError(errno.ENOSPC, "no space for the cache"), sqlite3.OperationalError("database or disk is full")]


@pytest.mark.parametrize("error", ERRORS)
def test_errors_of_the_documents_are_not_the_indexs(error: Exception, tmp_path: Path) -> None:
    def made() -> Iterator[Document]:
        yield Document("1", "s", "one")
        raise error

    with pytest.raises(type(error)) as raised:
        make_index(tmp_path, made())
    assert raised.value is error
    assert list((tmp_path / GENERATIONS).iterdir()) == []


@pytest.mark.parametrize("error", ERRORS)
def test_errors_of_the_encoder_are_not_the_indexs(error: Exception, tmp_path: Path) -> None:
    class Failing(ToyEncoder):
        def encode_passages(self, texts: Sequence[str], progress: Progress = SILENT) -> Vectors:
            raise error

    with pytest.raises(type(error)) as raised:
        make_index(tmp_path, documents("words"), Failing())
    assert raised.value is error
    assert list((tmp_path / GENERATIONS).iterdir()) == []


@pytest.mark.parametrize(
    "place",
    ["segment_writer.VectorFile", "segment_writer.VectorFile.append", "kinds.FlatIndex.save", "generations.write_text"],
)
def test_errors_of_the_writer_are(place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_index(tmp_path, documents("old words"))

    def fail(*args: object) -> None:
        raise ERRORS[0]

    with monkeypatch.context() as patched:
        patched.setattr(f"index.{place}", fail)
        with pytest.raises(StoreError, match="the disk is full"):
            make_index(tmp_path, documents("new words"))
    with Store.open(tmp_path) as store:
        assert store.documents.passages([0])[0].text == "old words"
