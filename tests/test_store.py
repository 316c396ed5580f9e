"""The index directory: what is written comes back, what is damaged is told, what is switched stays readable."""

from __future__ import annotations

import json
import shutil
import sqlite3
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from index.balance import STRENGTH
from index.config import BuildSettings, ChunkSettings
from index.documents import ChunkedDocument
from index.errors import IndexDamagedError, IndexFormatError, NoIndexError, StoreError
from index.generations import locked, write_generation
from index.layout import CURRENT, DATABASE, DEAD, FAISS, GENERATIONS, LANGS, MANIFEST, OFFSETS, VECTORS
from index.lexical import LEXICAL_FILES
from index.manifest import Segment, read_manifest
from index.progress import SILENT
from index.records import Document, LeftOut, LeftOutKind, Passage, Rejected
from index.sentence_files import SENTENCE_FILES
from index.store import Store, current_generation, expected_files
from index.vectors import to_int8
from index.verifier import verify
from search.searcher import Searcher
from tests.builds import documents, make_index
from tests.toys import ToyEncoder

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from index.records import Vectors

UNICODE = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


def write(out: Path, batch: list[ChunkedDocument], rejected: tuple[Rejected, ...] = ()) -> list[Rejected]:
    """Write an index of documents cut by the test itself."""
    toy = ToyEncoder()
    with locked(out), write_generation(out, toy.fingerprint, BuildSettings()) as writer:
        refused = writer.append(batch, lambda passages: encode(toy, passages), 2)
        for item in (*rejected, *refused):
            writer.documents.reject(item.where, item)
        writer.finish([], "", {}, SILENT)
    return refused


def encode(toy: ToyEncoder, passages: Sequence[Passage]) -> tuple[Vectors, NDArray[np.int8]]:
    """Return the vectors of passages, and of all their sentences."""
    sentences = [p.text[start:end] for p in passages for start, end in p.sentences]
    return toy.encode_passages([p.text for p in passages]), to_int8(toy.encode_passages(sentences))


def whole(document: Document) -> ChunkedDocument:
    text = document.text
    return ChunkedDocument(document, [Passage(0, len(text), text, document.lang or "und")], [])


@settings(deadline=None, max_examples=25)
@given(UNICODE, UNICODE, UNICODE, st.dictionaries(UNICODE, UNICODE | st.integers() | st.none() | st.booleans()))
def test_any_text_comes_back_unchanged(text: str, name: str, title: str, metadata: dict[str, object]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "index")
        assert write(out, [whole(Document(name, name, text, title, "te", metadata))]) == []
        assert verify(out) == []
        with Store.open(out) as store:
            (passage,) = store.documents.passages([0])
        assert (passage.text, passage.lang, passage.context) == (text, "te", "")
        (place,) = passage.occurrences
        assert (place.source, place.doc_id, place.title, passage.metadata) == (name, name, title, metadata)
        assert (place.start, place.end) == (0, len(text))


@pytest.mark.parametrize(
    "text", ["a\0b", "\0", "𐎠𐎡 😀", "کتاب\u200cها", "తెలుగు\r\n", "\ufeffx", "e\u0301", "'; DROP TABLE passages"]
)
def test_hard_texts_come_back_unchanged(text: str, tmp_path: Path) -> None:
    write(tmp_path, [whole(Document("d", "s", text))])
    with Store.open(tmp_path) as store:
        assert store.documents.passages([0])[0].text == text


def test_a_row_is_the_same_passage_everywhere(tmp_path: Path) -> None:
    texts = [f"word{i} common" for i in range(700)]  # more rows than one query of the database takes
    make_index(tmp_path, documents(*texts))
    toy = ToyEncoder()
    with Store.open(tmp_path) as store:
        passages = store.documents.passages(range(700))
        assert [passage.text for passage in passages] == texts
        vectors = store.vectors()[:]
        np.testing.assert_array_equal(vectors, toy.encode_passages(texts))
        assert store.lang_codes.tolist() == [0] * 700
        found = store.vector_index().search(toy.encode_queries(texts), 1)
        exact = vectors @ toy.encode_queries(texts).T
        assert [int(rows[0]) for rows, _ in found] == exact.argmax(axis=0).tolist()
        assert store.documents.passages([5, 3, 5]) == [passages[5], passages[3], passages[5]]
        with pytest.raises(IndexDamagedError, match="row 700 is missing"):
            store.documents.passages([700])


def test_the_same_passage_is_stored_once_and_names_all_its_places(tmp_path: Path) -> None:
    twice = Document("d1", "a.txt", "same words. other. same words.", lang="en")
    spans = [Passage(0, 11, "same words.", "en"), Passage(12, 18, "other.", "en"), Passage(19, 30, "same words.", "en")]
    again = Document("d2", "b.txt", "same words.", lang="en")
    elsewhere = Document("d3", "c.txt", "same words.", lang="lt")
    write(tmp_path, [ChunkedDocument(twice, spans, []), whole(again), whole(elsewhere)])
    with Store.open(tmp_path) as store:
        assert store.manifest.counts.passages == store.vector_index().n_rows == 3
        assert store.manifest.counts.duplicates == 2
        assert store.manifest.counts.documents == 3
        first, other, lithuanian = store.documents.passages([0, 1, 2])
    assert [(o.doc_id, o.start, o.end) for o in first.occurrences] == [("d1", 0, 11), ("d1", 19, 30), ("d2", 0, 11)]
    assert [o.doc_id for o in other.occurrences] == ["d1"]
    assert (lithuanian.lang, [o.doc_id for o in lithuanian.occurrences]) == ("lt", ["d3"])


def test_a_passage_in_many_places_reads_the_first_and_counts_them_all(tmp_path: Path) -> None:
    many = [Document(str(i), f"{i}.txt", "same words", lang="en", metadata={"number": i}) for i in range(30)]
    make_index(tmp_path, [*many, *documents("other words")])
    database = sqlite3.connect(current_generation(tmp_path) / DATABASE)
    with database:
        database.execute("UPDATE documents SET metadata = '{' WHERE doc_id != '0'")  # no other place's is parsed
    database.close()
    with Store.open(tmp_path) as store:
        (passage,) = store.documents.passages([0])
    assert [place.doc_id for place in passage.occurrences] == [str(i) for i in range(21)]
    assert (passage.n_places, passage.metadata) == (30, {"number": 0})
    with Searcher.open(tmp_path, encoder=ToyEncoder()) as searcher:
        (hit,) = searcher.search("same words", 1)
    assert (len(hit.also_in), hit.n_places, hit.to_dict()["n_places"]) == (20, 30, 30)


def test_what_cannot_be_stored_is_refused_and_reported(tmp_path: Path) -> None:
    batch = [
        whole(Document("d1", "a.txt", "one")),
        whole(Document("d1", "a.txt", "two")),
        whole(Document("d1", "b.txt", "three")),  # another source: another document
        whole(Document("half", "c.txt", "x \ud800 y")),
        whole(Document("bytes", "d.txt", "x", metadata={"at": b""})),
        whole(Document("nan", "d.txt", "x", metadata={"at": float("nan")})),
    ]
    refused = write(tmp_path, batch, (Rejected("caf\udce9.txt:3", "is broken"),))
    assert [str(item).split(";")[0] for item in refused] == [
        "a.txt: the id 'd1' is used twice in it",
        "c.txt: document 'half' holds half of a surrogate pair, which is no character",
        "d.txt: document 'bytes' has metadata that JSON cannot hold (Object of type bytes is not JSON serializable)",
        "d.txt: document 'nan' has metadata that JSON cannot hold (Out of range float values are not JSON compliant"
        + str(refused[3]).rpartition("compliant")[2],
    ]
    with Store.open(tmp_path) as store:
        assert [p.text for p in store.documents.passages([0, 1])] == ["one", "three"]
        assert store.manifest.counts.rejected == 5
        assert store.documents.rejected()[0] == ("caf\\udce9.txt:3", "is broken")
        assert store.documents.rejected(2)[1:] == [("a.txt", refused[0].reason)]


def test_lines_left_out_are_listed(tmp_path: Path) -> None:
    document = Document("d1", "a.txt", "null\nText.\nnull")
    lines = [LeftOut(0, 4, LeftOutKind.TEMPLATE), LeftOut(11, 15, LeftOutKind.REPEATED)]
    write(tmp_path, [ChunkedDocument(document, [Passage(5, 10, "Text.", "en")], lines)])
    with Store.open(tmp_path) as store:
        assert store.documents.left_out() == [
            ("a.txt", "d1", 0, 4, "template", "null"),
            ("a.txt", "d1", 11, 15, "repeated", "null"),
        ]
        assert store.manifest.counts.left_out == {"repeated": 1, "template": 1}


def test_an_encoder_that_returns_too_few_vectors_is_found_out(tmp_path: Path) -> None:
    toy = ToyEncoder()
    batch = [whole(document) for document in documents("one", "two")]
    sentences = Passage(0, 8, "one. two", "en", sentences=((0, 4), (5, 8)))
    parted = [ChunkedDocument(batch[0].document, [sentences], [])]

    def build(items: list[ChunkedDocument], n: int, n_sentences: int) -> None:
        vectors = toy.encode_passages(["one"] * n), to_int8(toy.encode_passages(["one"] * n_sentences))
        with locked(tmp_path), write_generation(tmp_path, toy.fingerprint, BuildSettings()) as writer:
            writer.append(items, lambda passages: vectors, 2)

    with pytest.raises(ValueError, match="1 vectors came back for 2 passages"):
        build(batch, 1, 0)
    for n in (0, 1, 3):
        with pytest.raises(ValueError, match=f"{n} vectors of int8 came back for 2 sentences"):
            build(parted, 1, n)
    with pytest.raises(NoIndexError):
        Store.open(tmp_path)
    assert list((tmp_path / GENERATIONS).iterdir()) == []


def test_a_new_build_replaces_and_an_open_reader_goes_on(tmp_path: Path) -> None:
    make_index(tmp_path, documents("old words"))
    with Searcher.open(tmp_path, encoder=ToyEncoder()) as reader:
        for number in range(2, 6):
            make_index(tmp_path, documents(f"new{number} words"))
            kept = sorted(path.name for path in (tmp_path / GENERATIONS).iterdir())
            read = {"g000001"}  # stays for its reader
            assert kept == sorted({f"g00000{number - 1}", f"g00000{number}"} | read)
            assert (tmp_path / CURRENT).read_text() == f"g00000{number}\n"
            assert [hit.text for hit in reader.search("words", lang="en")] == ["old words"]
            with Searcher.open(tmp_path, encoder=ToyEncoder()) as fresh:
                assert [hit.text for hit in fresh.search("words")] == [f"new{number} words"]
    make_index(tmp_path, documents("newest words"))
    assert sorted(path.name for path in (tmp_path / GENERATIONS).iterdir()) == ["g000005", "g000006"]


def test_what_a_killed_build_left_is_cleared(tmp_path: Path) -> None:
    # killed the first time, while switching: no index, and a half-written name
    (tmp_path / GENERATIONS / ".new-abc").mkdir(parents=True)
    (tmp_path / GENERATIONS / ".new-abc" / DATABASE).write_bytes(b"half")
    (tmp_path / GENERATIONS / "g000001").mkdir()
    (tmp_path / GENERATIONS / "g000001" / MANIFEST).write_text("{}")
    (tmp_path / ".CURRENT-xyz").write_text("")
    make_index(tmp_path, documents("words"))
    assert sorted(path.name for path in tmp_path.iterdir()) == [".lock", CURRENT, GENERATIONS]
    assert sorted(path.name for path in (tmp_path / GENERATIONS).iterdir()) == ["g000002"]
    assert verify(tmp_path) == []


@pytest.mark.parametrize("content", ["nothing", "empty", "other", "file"])
def test_no_index_is_told_with_its_remedy(content: str, tmp_path: Path) -> None:
    directory = tmp_path / "place"
    if content == "file":
        directory.write_text("text")
    elif content != "nothing":
        directory.mkdir()
    if content == "other":
        (directory / "letter.txt").write_text("text")
    for look in (Store.open, verify):
        with pytest.raises(NoIndexError, match=r"place: .*tongues build.* --out"):
            look(directory)


@pytest.mark.parametrize("name", ["a b", "#x", "what?", "50%", "%41", "ఫోల్డర్", "پوشه", "a'b\"c", "a&mode=rwc", "-o"])
def test_names_of_directories(name: str, tmp_path: Path) -> None:
    make_index(tmp_path / name / "index", documents("some words"))
    assert verify(tmp_path / name / "index") == []
    with Searcher.open(tmp_path / name / "index", encoder=ToyEncoder()) as searcher:
        assert [hit.text for hit in searcher.search("words")] == ["some words"]
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize(
    "name", ["../../x", "..", ".", "", "g000009", "/tmp", "g000001/../g000001", "g000001\0", "generations"]
)
def test_a_current_that_names_something_else_is_refused(name: str, tmp_path: Path) -> None:
    make_index(tmp_path / "index", documents("some words"))
    shutil.copytree(tmp_path / "index" / GENERATIONS / "g000001", tmp_path / "x")
    (tmp_path / "index" / CURRENT).write_text(name)
    with pytest.raises(IndexDamagedError, match=r"CURRENT: names .* not there"):
        Store.open(tmp_path / "index")
    assert len(verify(tmp_path / "index")) == 1


def test_a_current_that_is_no_text(tmp_path: Path) -> None:
    make_index(tmp_path, documents("some words"))
    (tmp_path / CURRENT).write_bytes(b"\xff\xfe")
    with pytest.raises(IndexDamagedError, match="CURRENT: damaged"):
        Store.open(tmp_path)
    (tmp_path / CURRENT).unlink()
    (tmp_path / CURRENT).mkdir()
    with pytest.raises(StoreError, match="CURRENT: cannot be read"):
        Store.open(tmp_path)


def test_a_format_of_the_future_is_told(tmp_path: Path) -> None:
    make_index(tmp_path, documents("some words"))
    path = current_generation(tmp_path) / MANIFEST
    path.write_text(json.dumps({**json.loads(path.read_text()), "format_version": 99, "tool_version": "7.5"}))
    for look in (Store.open, verify):
        with pytest.raises(IndexFormatError, match=r"format 99 \(by version 7\.5\).*reads formats 1, 2, 3, 4\. Build"):
            look(tmp_path)


def test_the_manifest_says_what_it_was_given(tmp_path: Path) -> None:
    make_index(tmp_path, documents("some words", "kiti žodžiai"))
    manifest = read_manifest(current_generation(tmp_path))
    assert manifest.encoder == ToyEncoder().fingerprint
    assert manifest.counts.documents == manifest.counts.passages == 2
    of_segment = {f"s000001/{name}" for name in (VECTORS, LANGS, FAISS, *SENTENCE_FILES, *LEXICAL_FILES)}
    assert set(manifest.files) == set(expected_files(manifest)) == {DATABASE, OFFSETS, DEAD, *of_segment}
    folder = current_generation(tmp_path)
    assert {path.relative_to(folder).as_posix() for path in folder.rglob("*")} == {
        *manifest.files,
        MANIFEST,
        "s000001",
    }
    assert manifest.segments == (Segment("s000001", 2, 0, "flat"),)
    assert (manifest.n_rows, manifest.dead, manifest.kind) == (2, 0, "flat")
    assert (manifest.balance, manifest.counts.sentences) == (STRENGTH, 0)
    data = json.loads(manifest.to_json())
    assert (data["format_version"], data["settings"]["chunking"]["max_tokens"]) == (4, ChunkSettings().max_tokens)
