"""Builds: counts and reports, batches, progress, and what cannot be indexed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from index import pipeline
from index.builder import build, build_documents
from index.config import BuildSettings, ChunkSettings, FieldNames, ModelSettings
from index.errors import InputError, ModelError, StoreError
from index.layout import CURRENT
from index.progress import SILENT, Progress
from index.records import Document
from index.store import Store
from index.verifier import verify
from tests.builds import documents, make_index
from tests.toys import ToyEncoder

if TYPE_CHECKING:
    from index.records import Vectors


class Told:
    """A progress that remembers what it was told."""

    def __init__(self) -> None:
        self.stages: list[tuple[str, int, str]] = []
        self.steps: list[int] = []
        self.notes: list[str] = []
        self.n_ends = 0

    def start(self, label: str, total: int, unit: str) -> None:
        self.stages.append((label, total, unit))

    def advance(self, n: int) -> None:
        self.steps.append(n)

    def note(self, text: str) -> None:
        self.notes.append(text)

    def end(self) -> None:
        self.n_ends += 1


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    folder = tmp_path / "corpus"
    (folder / "sub").mkdir(parents=True)
    (folder / "letter.txt").write_text("The bakery opens early in the morning and sells fresh bread.")
    (folder / "sub" / "copy.txt").write_text("The bakery opens early in the morning and sells fresh bread.")
    (folder / "wide.txt").write_bytes("The garden is closed during the cold winter months.".encode("utf-16"))
    (folder / "rows.csv").write_text('id,text,lang\n1,"Kepykla atidaroma anksti ryte.",lt\n2,,lt\n3,"కూరగాయలు",te\n')
    (folder / "broken.jsonl").write_text('{"id": "a", "text": "One good record stands here."}\n{oops\n')
    (folder / "empty.md").write_text("")
    (folder / "front.md").write_text("---\ntitle: nothing else\n---\n")
    (folder / "picture.png").write_bytes(b"\x89PNG")
    return folder


def test_the_report_counts_everything(corpus: Path, tmp_path: Path) -> None:
    out = tmp_path / "index"
    report = build([corpus], out, encoder=ToyEncoder())
    assert report.out == out
    assert (report.documents, report.passages, report.duplicates) == (6, 5, 1)
    assert report.languages == {"en": 3, "lt": 1, "te": 1}
    assert [(Path(item.where).name, item.reason.split(" (")[0].split(";")[0]) for item in report.rejected] == [
        ("broken.jsonl:2", "is not JSON"),
        ("empty.md", "is empty"),
        ("front.md", "document 'front.md' has no text left to index"),
        ("picture.png", "no reader for '.png' files"),
        ("rows.csv:3", "field 'text' is empty"),
    ]
    assert report.seconds > 0
    with Store.open(out) as store:
        counts = store.manifest.counts
        assert (counts.documents, counts.passages, counts.duplicates, counts.rejected) == (6, 5, 1, 5)
        assert counts.languages == report.languages
        assert store.manifest.sources == (str(corpus),)
        assert [f"{place}: {reason}" for place, reason in store.documents.rejected()] == [
            str(r) for r in report.rejected
        ]
        passages = {passage.text: passage for passage in store.documents.passages(range(5))}
    shared = passages["The bakery opens early in the morning and sells fresh bread."]
    assert [place.doc_id for place in shared.occurrences] == ["letter.txt", "sub/copy.txt"]


def test_progress_reaches_exactly_the_bytes_of_the_files(corpus: Path, tmp_path: Path) -> None:
    told = Told()
    build([corpus], tmp_path / "index", encoder=ToyEncoder(), progress=told)
    n_bytes = sum(f.stat().st_size for f in corpus.rglob("*") if f.is_file() and f.suffix != ".png")
    # Two languages are compared by the same sentences in five languages.
    assert told.stages == [("indexing", n_bytes, "B"), ("comparing languages", 5 * 192, "text")]
    assert sum(told.steps[:-5]) == n_bytes
    assert told.steps[-5:] == [192] * 5
    assert told.notes[-1] == "6 documents, 5 passages"
    assert told.n_ends == 2


def test_many_batches_make_the_same_index_as_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [f"number{i % 500} stands here and waits. " * 3 for i in range(900)]
    settings = BuildSettings(chunking=ChunkSettings(max_tokens=16))
    found = []
    for size in (pipeline.BATCH_PASSAGES, 10**9, 1):
        monkeypatch.setattr(pipeline, "BATCH_PASSAGES", size)
        toy, told, out = ToyEncoder(), Told(), tmp_path / f"batch-{size}"
        report = build_documents(documents(*texts), out, settings=settings, encoder=toy, progress=told)
        with Store.open(out) as store:
            vectors = np.array(store.vectors())
            found.append(
                (report.passages, report.duplicates, toy.encoded, store.documents.passages(range(store.n_passages)))
            )
        assert (len(told.steps) > 3) == (size < 10**9)
        np.testing.assert_array_equal(vectors, ToyEncoder().encode_passages(toy.encoded))
    assert found[0] == found[1] == found[2]
    assert found[0][0] == len(found[0][2]) > pipeline.BATCH_PASSAGES
    assert found[0][1] > 0


def test_a_large_document_is_embedded_in_slices_and_progress_moves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    class Counting(ToyEncoder):
        def encode_passages(self, texts: Sequence[str], progress: Progress = SILENT) -> Vectors:
            asked.append(len(texts))
            return super().encode_passages(texts, progress)

    monkeypatch.setattr(pipeline, "BATCH_PASSAGES", 10)
    path = tmp_path / "large.txt"
    path.write_text("".join(f"Sentence number {i} stands here and waits.\n" for i in range(700)))
    settings = BuildSettings(chunking=ChunkSettings(max_tokens=16, overlap_sentences=0))
    toy, told = Counting(), Told()
    report = build(path, tmp_path / "index", settings=settings, encoder=toy, progress=told)
    assert report.documents == 1
    assert (max(asked), sum(asked)) == (10, report.passages)
    assert len(asked) > 20
    size = path.stat().st_size
    assert sum(told.steps) == size
    assert max(told.steps) < 2 * size / len(asked)
    with Store.open(tmp_path / "index") as store:
        assert [p.text for p in store.documents.passages(range(store.n_passages))] == toy.encoded
        np.testing.assert_array_equal(store.vectors(), ToyEncoder().encode_passages(toy.encoded))


def test_documents_are_read_as_they_come(tmp_path: Path) -> None:
    toy = ToyEncoder()
    encoded_before_the_last = []

    def made() -> Iterator[Document]:
        for i in range(2 * pipeline.BATCH_PASSAGES + 1):
            encoded_before_the_last.append(len(toy.encoded))
            yield Document(str(i), "memory", f"text {i}", title="Numbers", lang="en", metadata={"number": i})

    report = make_index(tmp_path, made(), toy)
    assert report.documents == 2 * pipeline.BATCH_PASSAGES + 1
    assert encoded_before_the_last[0] == 0
    assert encoded_before_the_last[-1] >= pipeline.BATCH_PASSAGES  # the second batch while the last one is read
    assert toy.encoded[0] == "Numbers\ntext 0"  # the model reads the title before the text
    with Store.open(tmp_path) as store:
        (passage,) = store.documents.passages([7])
    assert (passage.text, passage.context, passage.metadata) == ("text 7", "Numbers", {"number": 7})


def test_the_same_id_twice_is_refused_and_reported(tmp_path: Path) -> None:
    twice = [Document("a", "s", "first"), Document("a", "s", "second"), Document("a", "t", "third")]
    report = make_index(tmp_path, twice)
    assert report.documents == 2
    assert [str(item) for item in report.rejected] == ["s: the id 'a' is used twice in it; give each document its own"]


@pytest.mark.parametrize("sources", [[], ["missing.txt"], ["*.none"], [""]])
def test_sources_that_name_nothing(sources: list[str], tmp_path: Path) -> None:
    with pytest.raises(InputError):
        build(sources, tmp_path / "index", encoder=ToyEncoder())
    assert not (tmp_path / "index").exists()


def test_nothing_to_index_keeps_the_old_index(tmp_path: Path) -> None:
    out = tmp_path / "index"
    make_index(out, documents("old words"))
    (tmp_path / "empty.txt").write_text(" \n")
    (tmp_path / "folder").mkdir()
    for source, why in (
        (tmp_path / "empty.txt", r"First problem: .*empty\.txt: is empty"),
        (tmp_path / "folder", "no document"),
    ):
        with pytest.raises(InputError, match=f"nothing could be indexed: .*{why}"):
            build([source], out, encoder=ToyEncoder())
    with pytest.raises(InputError, match="nothing could be indexed"):
        make_index(out, [])
    assert (out / CURRENT).read_text() == "g000001\n"
    assert verify(out) == []


def test_a_directory_of_other_files_is_not_written_to(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("text")
    with pytest.raises(StoreError, match=r"holds other files \(letter\.txt\) and no index"):
        make_index(tmp_path, documents("words"))
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]


def test_a_wrong_out_costs_no_loading_of_the_model(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    settings = BuildSettings(model=ModelSettings(name=str(tmp_path / "no-model")))
    with pytest.raises(StoreError, match="file: is a file"):
        build_documents(documents("words"), tmp_path / "file", settings=settings)
    with pytest.raises(ModelError):
        build_documents(documents("words"), tmp_path / "new", settings=settings)


def test_settings_reach_the_readers_and_the_manifest(tmp_path: Path) -> None:
    record = {"body": "Ąžuolas žalias", "number": 7, "name": "Oak", "tongue": "LT", "more": [1, "ž"]}
    path = tmp_path / "trees.jsonl"
    path.write_bytes(json.dumps(record, ensure_ascii=False).encode("windows-1257"))
    fields = FieldNames(text="body", id="number", title="name", lang="tongue")
    settings = BuildSettings(fields=fields, encoding="windows-1257")
    build(path.as_posix(), tmp_path / "index", settings=settings, encoder=ToyEncoder())
    with Store.open(tmp_path / "index") as store:
        (passage,) = store.documents.passages([0])
        assert store.manifest.settings["fields"]["text"] == "body"
        assert store.manifest.settings["encoding"] == "windows-1257"
    (place,) = passage.occurrences
    assert (passage.text, passage.lang, place.doc_id, place.title) == ("Ąžuolas žalias", "lt", "7", "Oak")
    assert passage.metadata == {"more": [1, "ž"]}


def test_two_sources_that_name_the_same_file_index_it_once(corpus: Path, tmp_path: Path) -> None:
    names: Sequence[str] = [str(corpus / "letter.txt"), str(corpus / "*.txt")]
    report = build(names, tmp_path / "index", encoder=ToyEncoder())
    assert (report.documents, report.duplicates, report.rejected) == (2, 0, ())
