"""What is written to Milvus is read again as it was, and searched exactly."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from index.config import IndexKind
from index.errors import IndexDamagedError, SettingsError, StoreError
from index.milvus_collections import MilvusCollections
from index.milvus_kinds import HNSW_FROM, build_params, suited
from index.milvus_place import MilvusPlace
from index.milvus_records import PIECE, pieces, record_of
from index.milvus_store import MilvusReader
from index.milvus_writer import MilvusWriter
from index.sentence_vectors import FoundSentences
from index.stored import Occurrence, StoredPassage
from index.vectors import unit_rows
from tests.milvus_toys import DIM, LANGS, TEXTS, Made

MADE = Made(600)
QUERIES = unit_rows(np.random.default_rng(7).normal(size=(5, DIM)))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> MilvusPlace:
    return MilvusPlace.parse(str(tmp_path_factory.mktemp("milvus") / "passages.db"))


@pytest.fixture(scope="module")
def written(place: MilvusPlace) -> str:
    return MADE.write(place)


@pytest.fixture
def reader(place: MilvusPlace, written: str) -> MilvusReader:
    with MADE.read(place, written) as opened:
        return opened


@pytest.fixture(scope="module")
def kept_open(place: MilvusPlace, written: str) -> MilvusReader:
    return MADE.read(place, written)


def same(found: FoundSentences | None, rows: list[int]) -> bool:
    """Tell whether sentences are those of these rows, to the last bit."""
    assert found is not None
    made, n = MADE.sentences, np.diff(MADE.sentences.starts)[rows]
    wanted = np.concatenate([np.arange(made.starts[row], made.starts[row + 1]) for row in rows])
    return (
        np.array_equal(found.vectors, made.vectors[wanted])
        and np.array_equal(found.spans, made.spans[wanted])
        and np.array_equal(found.starts, np.concatenate([[0], np.cumsum(n)]))
        and [array.dtype.name for array in (found.vectors, found.spans, found.starts)] == ["float32", "int32", "int64"]
    )


def test_every_field_comes_back_in_five_scripts(kept_open: MilvusReader) -> None:
    rows = [599, 0, 3, 3, 4, 1, 2, 17]  # in no order, one twice
    assert kept_open.passages(rows) == [MADE.passages[row] for row in rows]
    assert {passage.lang for passage in kept_open.passages(rows)} == set(LANGS)
    assert np.array_equal(kept_open.vectors(rows), MADE.vectors[rows])
    assert kept_open.vectors(np.array(rows)).dtype == np.float32
    assert same(kept_open.sentences(np.array(rows)), rows)
    assert kept_open.passages([]) == []
    assert kept_open.vectors([]).shape == (0, DIM)


def test_blocks_hold_everything_in_order(kept_open: MilvusReader) -> None:
    blocks = list(kept_open.blocks(250))
    assert [len(block.rows) for block in blocks] == [250, 250, 100]
    assert np.array_equal(np.concatenate([block.rows for block in blocks]), np.arange(600))
    assert [passage for block in blocks for passage in block.passages] == MADE.passages
    assert np.array_equal(np.concatenate([block.vectors for block in blocks]), MADE.vectors)
    assert all(same(block.sentences, block.rows.tolist()) for block in blocks)


@pytest.mark.parametrize("codes", [None, [0], [3], [1, 4], [4, 1, 1], [0, 1, 2, 3, 4], []])
@pytest.mark.parametrize("k", [0, 1, 10, 120, 121, 1000])
def test_a_search_is_exact(codes: list[int] | None, k: int, kept_open: MilvusReader) -> None:
    found = kept_open.near(QUERIES, k, codes)
    assert [rows.tolist() for rows in found] == [MADE.nearest(query, k, codes) for query in QUERIES]


def test_what_a_search_found_is_not_asked_for_again(place: MilvusPlace, written: str) -> None:
    with MADE.read(place, written) as reader:
        rows = np.concatenate([reader.near(QUERIES[:1], 50, [code])[0] for code in range(5)])
        reader._connection.close()  # whoever asks now is told
        assert np.array_equal(reader.vectors(rows), MADE.vectors[rows])
        assert same(reader.sentences(rows), rows.tolist())
        with pytest.raises(StoreError, match="was closed"):
            reader.passages(rows)


def test_what_is_kept_of_searches_is_bounded(place: MilvusPlace, written: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("index.milvus_store._REMEMBERED", 60_000)  # bytes, of some 350 for a row
    with MADE.read(place, written) as reader:
        rows = [reader.near(query[None], 100)[0] for query in QUERIES]
        assert 100 <= len(reader._brought) < 200
        assert np.array_equal(reader.vectors(np.concatenate(rows)), MADE.vectors[np.concatenate(rows)])


def test_many_queries_find_the_same_as_one(kept_open: MilvusReader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("index.milvus_store.REQUEST", 20_000)  # more vectors are not brought along, nor read at once
    found = kept_open.near(QUERIES, 100)
    assert [rows.tolist() for rows in found] == [MADE.nearest(query, 100) for query in QUERIES]
    rows = np.concatenate(found)
    assert np.array_equal(kept_open.vectors(rows), MADE.vectors[rows])
    assert same(kept_open.sentences(rows), rows.tolist())


def test_more_than_milvus_finds_at_once(kept_open: MilvusReader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("index.milvus_store.MOST_ROWS", 150)
    for codes in (None, [2, 3]):
        found = kept_open.near(QUERIES, 200, codes)
        assert [rows.tolist() for rows in found] == [MADE.nearest(query, 200, codes) for query in QUERIES]


def test_equal_vectors_come_in_order_of_their_rows(tmp_path: Path) -> None:
    place = MilvusPlace.parse(str(tmp_path / "a.db"))
    made = Made(60)
    made.vectors = np.tile(made.vectors[:3], (20, 1))
    with made.read(place, made.write(place)) as reader:
        (rows,) = reader.near(made.vectors[1:2], 20)
        assert rows.tolist() == list(range(1, 60, 3))


@pytest.mark.parametrize(("kind", "n"), [(IndexKind.HNSW, 2000), (IndexKind.IVF_SQ, 5100)])
def test_other_kinds_find_as_many_and_mostly_the_best(kind: IndexKind, n: int, tmp_path: Path) -> None:
    place = MilvusPlace.parse(str(tmp_path / "a.db"))
    made = Made(n, spread=0.3)
    collection = made.write(place, kind)
    with MilvusReader.open(place, collection, made.contents(kind)) as reader:
        for codes in (None, [3]):
            for k in (10, 200, n // 5):  # the last is all there are in one language
                found = reader.near(QUERIES, k, codes)
                best = [made.nearest(query, k, codes) for query in QUERIES]
                assert [len(set(rows.tolist())) for rows in found] == [k] * len(QUERIES)
                assert all(set(rows) <= set(np.flatnonzero(made.codes == 3)) for rows in found if codes)
                hit = [len(set(a.tolist()) & set(b)) / k for a, b in zip(found, best, strict=True)]
                assert np.mean(hit) > 0.8 or k > 200


def test_a_kind_that_cannot_be_made_is_told_before_any_work(tmp_path: Path) -> None:
    place = MilvusPlace.parse(str(tmp_path / "a.db"))
    for kind in (IndexKind.IVF_PQ, IndexKind.PQ):
        with pytest.raises(SettingsError, match=rf"kind {kind}. Choose auto, flat, hnsw, ivf-sq, or use a server"):
            MilvusWriter.begin(place, DIM, kind)
    assert not (tmp_path / "a.db").exists()
    server = MilvusPlace("http://127.0.0.1:9")
    server.check_kind(IndexKind.IVF_PQ)
    with pytest.raises(SettingsError, match=r"Milvus makes no vector index of kind pq. Choose .* ivf-sq, ivf-pq\."):
        server.check_kind(IndexKind.PQ)


def test_auto_is_exact_until_it_is_slow() -> None:
    kinds = [suited(IndexKind.AUTO, n) for n in (0, HNSW_FROM - 1, HNSW_FROM)]
    assert kinds == [IndexKind.FLAT, IndexKind.FLAT, IndexKind.HNSW]
    assert suited(IndexKind.IVF_SQ, 10**6) is IndexKind.IVF_SQ
    assert [build_params(IndexKind.IVF_PQ, 10_000, dim)["m"] for dim in (384, 768, 100, 7)] == [48, 96, 20, 1]


LONG = "తెలుగు వాక్యం. " * 7000
"""105,000 characters, 280 kB."""


def test_texts_of_any_length_are_not_lost(tmp_path: Path) -> None:
    place = MilvusPlace.parse(str(tmp_path / "a.db"))
    assert len(LONG) > 100_000
    many = tuple(Occurrence(LONG[:3000], f"{i}", LONG[i : i + 3000], i, i + 1) for i in range(30))
    passage = StoredPassage("a" * 20, "te", LONG[:70_000], LONG, many, 5000, {"note": LONG, "n": [1, 2]})
    n = 3000  # sentences that take more than one piece, and more elements than an array may have
    made = Made(1)
    vectors = np.zeros((n, DIM), np.float32)
    vectors[np.arange(n), np.arange(n) % DIM] = 1
    made.sentences = FoundSentences(vectors, np.arange(2 * n, dtype=np.int32).reshape(n, 2), np.array([0, n]))
    made.passages = [passage]
    made.codes[:] = LANGS.index("te")
    with made.read(place, made.write(place)) as reader:
        (found,) = reader.passages([0])
        assert found == dataclasses.replace(passage, occurrences=many[:21])
        assert (found.n_places, len(found.occurrences)) == (5000, 21)
        sentences = reader.sentences([0])
        assert sentences is not None
        assert np.array_equal(sentences.vectors, vectors)
        assert np.array_equal(sentences.spans, made.sentences.spans)


@pytest.mark.parametrize("text", ["", "a", "a" * PIECE, "a" * (PIECE + 1), LONG, "é" * 70_000, "x" + "😀" * 40_000])
def test_pieces_fit_and_join(text: str) -> None:
    parts = pieces(text)
    assert "".join(parts) == text
    assert max(len(part.encode()) for part in parts) <= PIECE
    assert len(parts) <= 1 + len(text.encode()) // (PIECE - 3)


def test_a_record_that_no_request_takes_is_told(tmp_path: Path) -> None:
    place = MilvusPlace.parse(str(tmp_path / "a.db"))
    made = Made(1)
    big = dataclasses.replace(made.passages[0], text="x" * (50 << 20))
    with (
        MilvusWriter.begin(place, DIM) as writer,
        pytest.raises(StoreError, match=r"passage 0{20} takes 50 MB .* more than Milvus holds"),
    ):
        writer.append([0], [big], made.vectors, made.sentences)


def test_writing_twice_is_writing_once(tmp_path: Path) -> None:
    place = MilvusPlace.parse(str(tmp_path / "a.db"))
    made = Made(50)
    with MilvusWriter.begin(place, DIM) as writer:
        old = [dataclasses.replace(passage, text="old") for passage in made.passages]
        writer.append(range(50), old, made.vectors[::-1], None)
        for _ in range(2):
            writer.append(range(50), made.passages, made.vectors, made.sentences)
        assert writer.finish(50) is IndexKind.FLAT
        writer.switch()
    with made.read(place, writer.collection) as reader:
        (block,) = reader.blocks()
        assert block.passages == made.passages
        assert np.array_equal(block.vectors, made.vectors)
        assert np.array_equal(block.sentences.vectors, made.sentences.vectors)
        assert reader.near(made.vectors[9:10], 1)[0].tolist() == [9]


def test_rows_that_are_missing_are_told(tmp_path: Path) -> None:
    place = MilvusPlace.parse(str(tmp_path / "a.db"))
    made = Made(10)
    with MilvusWriter.begin(place, DIM) as writer:
        writer.append(range(10), made.passages, made.vectors, made.sentences)
        with pytest.raises(StoreError, match="has 10 records where 11 were written"):
            writer.finish(11)
    with pytest.raises(IndexDamagedError, match="has 10 records where the manifest tells of 600"):
        MADE.read(place, writer.collection)
    with made.read(place, writer.collection) as reader, pytest.raises(IndexDamagedError, match="has no row 10"):
        reader.passages([3, 10])


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"sentences": ["!"]}, "not base64"),
        ({"sentences": ["QUJD"]}, "take 3 bytes, which no number of them does"),
        ({"places": ["[[1]]"]}, "holds a record that cannot be read"),
        ({"metadata": ["{"]}, "holds a record that cannot be read"),
    ],
)
def test_a_record_that_something_else_wrote_is_told(changed: dict[str, list[str]], told: str, tmp_path: Path) -> None:
    place = MilvusPlace.parse(str(tmp_path / "a.db"))
    made = Made(3)
    collection = made.write(place)
    connection = MilvusCollections(place)
    record = record_of(1, made.passages[1], made.vectors[1], "")
    connection.upsert(collection, [{**record, **changed}])
    connection.close()
    with (
        made.read(place, collection) as reader,
        pytest.raises(IndexDamagedError, match=f"{collection} .*{told}.*Build the index again"),
    ):
        list(reader.blocks())


def test_an_index_without_sentences_has_none(tmp_path: Path) -> None:
    place = MilvusPlace.parse(str(tmp_path / "a.db"))
    made = Made(3)
    with MilvusWriter.begin(place, DIM) as writer:
        writer.append(range(3), made.passages, made.vectors, None)
        writer.finish(3)
    with MilvusReader.open(
        place, writer.collection, dataclasses.replace(made.contents(), has_sentences=False)
    ) as reader:
        assert reader.sentences([0, 2]) is None
        assert reader.passages([2]) == made.passages[2:]
        (block,) = reader.blocks()
        assert (block.sentences.vectors.shape, block.sentences.starts.tolist()) == ((0, DIM), [0, 0, 0, 0])


def test_a_wrong_vector_is_never_written(tmp_path: Path) -> None:
    made = Made(2)
    with MilvusWriter.begin(MilvusPlace.parse(str(tmp_path / "a.db")), DIM) as writer:
        with pytest.raises(ValueError, match="not finite"):
            writer.append(range(2), made.passages, made.vectors * np.nan, None)
        with pytest.raises(ValueError, match=r"\(n, 24\) is needed"):
            writer.append(range(2), made.passages, made.vectors[:, :5], None)


def test_another_dimension_or_collection_is_told(place: MilvusPlace, written: str) -> None:
    other = dataclasses.replace(MADE.contents(), dim=384)
    with pytest.raises(IndexDamagedError, match=rf"{written} holds vectors of 24 numbers, not 384. Build the index"):
        MilvusReader.open(place, written, other)
    with pytest.raises(IndexDamagedError, match=r"a collection of this index is not there.*Build the index again"):
        MADE.read(place, "manytongues_g000099")


def test_a_file_that_is_not_there_is_told_and_not_made(tmp_path: Path) -> None:
    with pytest.raises(IndexDamagedError, match=r"a.db#manytongues: this file is not there. Build the index again"):
        MADE.read(MilvusPlace.parse(str(tmp_path / "a.db")), "manytongues_g000001")
    assert list(tmp_path.iterdir()) == []


def test_a_closed_reader_says_so(reader: MilvusReader) -> None:
    reader.close()
    with pytest.raises(StoreError, match="this index was closed"):
        reader.near(QUERIES, 1)


def test_languages_with_odd_names_are_found(tmp_path: Path) -> None:
    place = MilvusPlace.parse(str(tmp_path / "a.db"))
    odd = ('x"y', "a\\", "te-Ünï", "] or row >= 0 or lang in [", "te")
    made = Made(50)
    made.passages = [dataclasses.replace(p, lang=odd[row % 5]) for row, p in enumerate(made.passages)]
    contents = dataclasses.replace(made.contents(), languages=odd)
    with MilvusReader.open(place, made.write(place), contents) as reader:
        for code in range(5):
            assert reader.near(QUERIES[:1], 50, [code])[0].tolist() == made.nearest(QUERIES[0], 50, [code])


def test_a_collection_of_something_else_is_not_touched(tmp_path: Path) -> None:
    place = MilvusPlace.parse(str(tmp_path / "a.db"))
    connection = MilvusCollections(place)
    for name in ("manytongues_g000001", "other", "manytongues_g1x"):
        connection.client.create_collection(name, dimension=4)
    with pytest.raises(IndexDamagedError, match=r"manytongues_g000001 is no collection of passages.*#NAME"):
        MilvusWriter.begin(place, DIM)
    with pytest.raises(StoreError, match="a collection has this name"):
        MilvusWriter.begin(dataclasses.replace(place, name="other"), DIM)
    mine = dataclasses.replace(place, name="mine")
    with MADE.read(mine, MADE.write(mine)) as reader:
        assert reader.passages([3])[0].text.endswith(TEXTS["te"])
    assert sorted(connection.collections()) == ["manytongues_g000001", "manytongues_g1x", "mine_g000001", "other"]
    connection.close()
