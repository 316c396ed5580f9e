"""Damaged indexes: every file missing, cut short or changed is told when opened or verified."""

from __future__ import annotations

import random
import re
import shutil
import sqlite3
from pathlib import Path

import numpy as np
import pytest

from index.errors import IndexDamagedError, StoreError
from index.layout import CURRENT, DATABASE, DEAD, FAISS, LANGS, MANIFEST, OFFSETS, VECTORS, files_of
from index.lexical import LEXICAL_FILES
from index.manifest import read_manifest, record_file
from index.records import Document
from index.sentence_files import SENTENCE_FILES, SENTENCES, SPANS, STARTS
from index.store import Store, current_generation
from index.updater import update_documents
from index.verifier import check_counts, verify
from search.rank_settings import Balance, Mode, RankSettings
from search.searcher import Searcher
from tests.builds import documents, make_index
from tests.toys import ToyEncoder

FIRST, SECOND = "s000001", "s000002"
ALL = (*files_of(3, [FIRST, SECOND]), MANIFEST)
MADE = [
    Document("d1", "1.txt", "red apples grow in the old garden. Nobody counted them there.", lang="en"),
    Document("d2", "2.txt", "green pears grow behind the house. They are eaten in winter.", lang="en"),
    Document("d3", "3.txt", "blue plums fall", lang="lt"),
]
"""Two languages, and passages of two sentences, so that no file is empty."""


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("sound") / "index"
    make_index(out, MADE)
    return out


@pytest.fixture
def copy(sound: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(sound, tmp_path / "index"))


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index of two segments, and a row that stands in no document any more."""
    out = tmp_path_factory.mktemp("two") / "index"
    more = [Document(f"m{i}", f"m{i}.txt", f"tree number{i} bears no apples", lang="lt") for i in range(6)]
    make_index(out, [*MADE, *more])
    new = Document("n1", "n.txt", "red plums grow on trees. They fall before the winter.", lang="en")
    update_documents(out, [new], remove=[("3.txt", "d3")], encoder=ToyEncoder())
    manifest = read_manifest(current_generation(out))
    assert [(one.name, one.rows) for one in manifest.segments] == [(FIRST, 9), (SECOND, 1)]
    assert manifest.dead == 1
    return out


@pytest.fixture
def copy_of_two(two: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(two, tmp_path / "index"))


def file_of(directory: Path, name: str) -> Path:
    """Return a file of an index, which may be one of its first segment."""
    folder = current_generation(directory)
    return folder / (name if name in (DATABASE, OFFSETS, DEAD, MANIFEST) else f"{FIRST}/{name}")


def use(directory: Path) -> None:
    """Open an index, ask it in every way, and read everything of it."""
    with Searcher.open(directory, encoder=ToyEncoder(dim=512)) as searcher:
        searcher.search("apples grow", 3, lang="en", explain=True)
        for mode in Mode:
            for balance in Balance:
                searcher.search("apples grow here, plums fall", 3, settings=RankSettings(mode, balance))
    with Store.open(directory) as store:
        check_counts(store)
        store.documents.left_out()
        store.documents.rejected()


def test_a_sound_index_is_whole(copy: Path, two: Path) -> None:
    for directory in (copy, two):
        assert verify(directory) == []
        use(directory)


@pytest.mark.parametrize("name", ALL)
def test_a_missing_file(name: str, copy_of_two: Path) -> None:
    copy = copy_of_two
    (current_generation(copy) / name).unlink()
    with pytest.raises(IndexDamagedError, match=rf"{name}: (missing|cannot be read \(No such).*uild the index again"):
        Store.open(copy)
    (problem,) = verify(copy)
    assert f"{name}: missing" in problem
    assert "uild the index again." in problem


def test_a_missing_generation(copy: Path) -> None:
    shutil.rmtree(current_generation(copy))
    with pytest.raises(IndexDamagedError, match="CURRENT"):
        Store.open(copy)
    assert ["CURRENT" in problem for problem in verify(copy)] == [True]


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("left", [0, 0.5, -1])
def test_a_file_cut_short(name: str, left: float, copy_of_two: Path) -> None:
    copy = copy_of_two
    path = current_generation(copy) / name
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * left) if left >= 0 else -3])
    with pytest.raises(IndexDamagedError, match=name):
        Store.open(copy)
    (problem,) = verify(copy)
    assert name in problem


@pytest.mark.parametrize("name", ALL)
def test_a_flipped_bit_is_always_reported_and_breaks_nothing_else(name: str, copy_of_two: Path) -> None:
    copy = copy_of_two
    path = current_generation(copy) / name
    content = path.read_bytes()
    chance = random.Random(name)
    for _ in range(20):
        at, bit = chance.randrange(len(content)), chance.randrange(8)
        path.write_bytes(content[:at] + bytes([content[at] ^ 1 << bit]) + content[at + 1 :])
        try:
            problems = verify(copy)
        except StoreError as error:  # the digit of the format's version
            problems = [str(error)]
        assert len(problems) == 1, (at, bit)
        assert name in problems[0] or "format" in problems[0]
        try:
            use(copy)
        except StoreError:
            continue
        assert name != MANIFEST, (at, bit)  # small enough to be checked whenever it is read
    path.write_bytes(content)
    assert verify(copy) == []


@pytest.fixture(scope="module")
def quantized(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index of the kind that large ones are."""
    out = tmp_path_factory.mktemp("quantized") / "index"
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("index.kinds.PQ_FROM", 3)
        make_index(out, MADE)
    return out


def test_a_quantized_index_is_whole_and_answers(quantized: Path) -> None:
    assert read_manifest(current_generation(quantized)).kind == "pq"
    assert verify(quantized) == []
    use(quantized)
    with Searcher.open(quantized, encoder=ToyEncoder(dim=512)) as searcher:
        hits = searcher.search("green pears grow", 2)
        assert [hit.text for hit in hits] == [MADE[1].text, MADE[0].text]
        assert [hit.highlight for hit in hits] == [(0, 34), (0, 34)]


@pytest.mark.parametrize("name", [VECTORS, FAISS, OFFSETS])
def test_a_flipped_bit_of_a_quantized_index(name: str, quantized: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(quantized, tmp_path / "index"))
    path = file_of(copy, name)
    content = path.read_bytes()
    chance = random.Random(name)
    n_told = 0
    for at in [*range(0, 128, 3), *(chance.randrange(len(content)) for _ in range(20))]:
        path.write_bytes(content[:at] + bytes([content[at] ^ 1 << chance.randrange(8)]) + content[at + 1 :])
        (problem,) = verify(copy)
        assert name in problem
        try:
            use(copy)
        except IndexDamagedError:
            n_told += 1
    assert n_told > 20


def test_a_manifest_that_names_another_kind(sound: Path, quantized: Path, tmp_path: Path) -> None:
    for made, kind, said in (
        (sound, "pq", "not an index of kind pq"),
        (quantized, "flat", "not an index of kind flat"),
        (sound, "x", "'x'"),
    ):
        copy = Path(shutil.copytree(made, tmp_path / kind))
        rewrite(copy, FAISS, kind)
        with pytest.raises(StoreError, match=f"{FAISS}: .*{said}"):
            use(copy)
        if kind != "x":
            assert [said in problem for problem in verify(copy)] == [True]


def test_a_flipped_bit_of_current(copy: Path) -> None:
    path = copy / CURRENT
    content = path.read_bytes()
    for at in range(len(content) - 1):
        for bit in range(8):
            path.write_bytes(content[:at] + bytes([content[at] ^ 1 << bit]) + content[at + 1 :])
            with pytest.raises(IndexDamagedError, match="CURRENT"):
                Store.open(copy)
            assert len(verify(copy)) == 1


def rewrite(directory: Path, name: str, kind: str = "flat") -> None:
    """Let the manifest agree with a changed file, so that only its content can tell."""
    import dataclasses

    folder, path = current_generation(directory), file_of(directory, name)
    manifest = read_manifest(folder)
    files = {**manifest.files, path.relative_to(folder).as_posix(): record_file(path)}
    segments = tuple(dataclasses.replace(segment, kind=kind) for segment in manifest.segments)
    (folder / MANIFEST).write_text(dataclasses.replace(manifest, files=files, segments=segments).to_json(), "utf-8")


@pytest.mark.parametrize(
    ("statement", "problem"),
    [
        ("DELETE FROM passages WHERE row = 1", "2 passages, 3 of them in a document, where the manifest has 3"),
        ("DELETE FROM occurrences WHERE row = 1", "3 passages, 2 of them in a document, where the manifest has 3"),
        ("DROP TABLE passages", "no such table"),
    ],
)
def test_a_database_with_something_taken_out(statement: str, problem: str, copy: Path) -> None:
    database = sqlite3.connect(current_generation(copy) / DATABASE)
    with database:
        database.execute(statement)
    database.close()
    rewrite(copy, DATABASE)
    (found,) = verify(copy)
    assert problem in found
    with pytest.raises(IndexDamagedError, match=DATABASE):
        use(copy)


def test_values_of_another_type_in_the_database(copy: Path) -> None:
    database = sqlite3.connect(current_generation(copy) / DATABASE)
    with database:
        database.execute("UPDATE documents SET metadata = x'00'")
    database.close()
    rewrite(copy, DATABASE)
    with pytest.raises(IndexDamagedError, match=DATABASE):
        use(copy)


@pytest.mark.parametrize("name", [VECTORS, LANGS, OFFSETS, *SENTENCE_FILES, *LEXICAL_FILES])
def test_arrays_of_another_length(name: str, copy: Path) -> None:
    path = file_of(copy, name)
    np.save(path, np.load(path)[:-1])
    rewrite(copy, name)
    (problem,) = verify(copy)
    # A word's rows and weights, and the terms and their places, contradict each other.
    assert re.search(rf"{name}|lexical-\S*\.npy" if name in LEXICAL_FILES else name, problem)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 3e38, -1e20, 1e-40])
@pytest.mark.parametrize("name", [OFFSETS, VECTORS])
@pytest.mark.parametrize("made", ["sound", "quantized"])
def test_numbers_of_any_size_are_told_or_answer(
    made: str, name: str, value: float, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    copy = Path(shutil.copytree(request.getfixturevalue(made), tmp_path / "index"))
    path = file_of(copy, name)
    numbers = np.load(path)
    for damage in (np.s_[0, 7], np.s_[1], np.s_[:]):
        changed = numbers.copy()
        changed[damage] = value
        np.save(path, changed)
        try:
            use(copy)
        except IndexDamagedError as error:
            assert "holds numbers that are no vectors. Run `tongues verify`" in str(error)  # noqa: PT017
            continue
        assert abs(value) <= 1e20 or damage != np.s_[:]


@pytest.mark.parametrize(
    ("name", "value"),
    [(SPANS, 2**31 - 1), (SPANS, -(2**31)), (SPANS, 9), (SENTENCES, 0), (SENTENCES, -128), (LANGS, 65535), (LANGS, 2)],
)
def test_whole_numbers_of_any_size_are_told_or_answer(name: str, value: int, copy: Path) -> None:
    path = file_of(copy, name)
    np.save(path, np.full_like(np.load(path), value))
    use(copy)
    with Searcher.open(copy, encoder=ToyEncoder(dim=512)) as searcher:
        for hit in searcher.search("apples grow"):
            assert hit.start <= hit.highlight[0] < hit.highlight[1] <= hit.end


@pytest.mark.parametrize("value", [-1, 5, 2**62, -(2**63)])
def test_sentences_that_cannot_be_are_told_when_they_are_read(value: int, copy: Path) -> None:
    path = file_of(copy, STARTS)
    np.save(path, np.array([0, value, 4, 4], np.int64))
    with pytest.raises(IndexDamagedError, match=rf"{STARTS}: damaged\. Run `tongues repair`, or build the index again"):
        use(copy)


@pytest.mark.parametrize("dead", [[-1], [10], [2**62], [0, 0], [3, 1], [], [1, 2]])
def test_dead_rows_that_cannot_be_are_told(dead: list[int], two: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(two, tmp_path / "index"))
    np.save(file_of(copy, DEAD), np.array(dead, np.int64))
    rewrite(copy, DEAD)
    (problem,) = verify(copy)
    assert DEAD in problem
    with pytest.raises(IndexDamagedError, match=DEAD):
        use(copy)


def test_a_passage_that_is_gone_though_its_row_is_alive(two: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(two, tmp_path / "index"))
    np.save(file_of(copy, DEAD), np.array([0], np.int64))  # another row than the one that is dead
    rewrite(copy, DEAD)
    (problem,) = verify(copy)
    assert f"{DEAD}: tells of rows that stand in a document" in problem


def test_a_vector_index_of_another_length(copy: Path, tmp_path: Path) -> None:
    make_index(tmp_path / "other", documents("red apples grow"))
    shutil.copy(file_of(tmp_path / "other", FAISS), file_of(copy, FAISS))
    rewrite(copy, FAISS)
    (problem,) = verify(copy)
    assert f"{FAISS}: not an index of kind flat of 3 vectors of 512 numbers" in problem
    with pytest.raises(IndexDamagedError, match=FAISS):
        use(copy)


def test_a_file_that_is_a_folder(copy: Path) -> None:
    path = file_of(copy, VECTORS)
    path.unlink()
    path.mkdir()
    (problem,) = verify(copy)
    assert "vectors.npy: cannot be read (Is a directory)" in problem
    with pytest.raises(IndexDamagedError, match=VECTORS):
        Store.open(copy)
