"""Passages with ready vectors become an index that answers as the one they are from, and false claims are refused."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from index import pipeline
from index.builder import build_documents
from index.config import BuildSettings, ChunkSettings, ModelSettings, VectorNumbers
from index.errors import EncoderMismatchError, InputError, StrictError
from index.exporter import export
from index.importer import import_passages
from index.ready import ReadyFields, ReadyVectors
from index.records import Document, Mark
from index.store import Store
from index.updater import update, update_documents
from index.verifier import verify
from search.searcher import Searcher
from tests.builds import command, documents, make_index, run
from tests.ready_tables import TEXTS, Told, foreign, lines
from tests.toys import ToyEncoder

if TYPE_CHECKING:
    from index.records import Vectors

LONG = (
    "# Heading\n\n" + " ".join(TEXTS[:12]) + "\n\nA repeated line, which stands here too.\n\n" + " ".join(TEXTS[12:20])
)


def made() -> list[Document]:
    marks = (Mark(0, "page=1"), Mark(300, "page=2"), Mark(700, "page=3"))
    return [
        *documents(*TEXTS, TEXTS[3], lang=""),
        Document("long", "book.pdf", LONG, title="Book", lang="en", metadata={"year": 1999, "x": None}, marks=marks),
        Document("again", "copy.pdf", LONG, title="Copy", lang="en", metadata={"copy": True}, marks=marks[:2]),
        Document("short", "c.txt", TEXTS[3], lang="lt", metadata={"n": [1]}),
    ]


QUESTIONS = ["number7 another sentence", "heading", "a repeated line", "number3", "kind"]


def hits(out: Path) -> list[list[dict[str, Any]]]:
    with Searcher.open(out, encoder=ToyEncoder()) as searcher:
        return [[hit.to_dict() for hit in of_query] for of_query in searcher.search_batch(QUESTIONS, 100, explain=True)]


@pytest.mark.parametrize("numbers", VectorNumbers)
@pytest.mark.parametrize("name", ["out.parquet", "out"])
def test_what_was_exported_answers_the_same(
    name: str, numbers: VectorNumbers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "BATCH_PASSAGES", 7)
    settings = BuildSettings(vectors=numbers, chunking=ChunkSettings(max_tokens=40))
    build_documents(made(), tmp_path / "a", settings=settings, encoder=ToyEncoder())
    update_documents(tmp_path / "a", remove=[("1.txt", "d1")], encoder=ToyEncoder())
    export(tmp_path / "a", tmp_path / name)
    toy = ToyEncoder()
    report = import_passages(tmp_path / name, tmp_path / "b", settings=BuildSettings(vectors=numbers), encoder=toy)
    assert (report.build.rejected, report.normalised, report.build.embedded) == ((), 0, 0)
    with Store.open(tmp_path / "b") as store:
        assert report.compared == store.n_passages < 128
    assert report.cosine > 0.999
    assert verify(tmp_path / "b") == []
    expected, found = hits(tmp_path / "a"), hits(tmp_path / "b")
    for mine, theirs in zip(expected, found, strict=True):
        assert {one["passage_id"] for one in mine} == {one["passage_id"] for one in theirs}
        by_id = {one["passage_id"]: one for one in theirs}
        for one in mine:
            other = by_id[one["passage_id"]]
            # What a segment of dead passages leaves behind in how rare a word is, is gone.
            for part in ("score", "lexical", "rank"):
                one.pop(part), other.pop(part)
            for part in ("dense", "balance"):
                assert one.pop(part) == pytest.approx(other.pop(part), abs=1e-6)
            assert one == other
    with Store.open(tmp_path / "b") as store:
        assert store.manifest.settings["chunking"]["max_tokens"] == 40


def test_scores_are_the_same_to_the_bit(tmp_path: Path) -> None:
    make_index(tmp_path / "a", made())
    export(tmp_path / "a", tmp_path / "out.parquet")
    import_passages(tmp_path / "out.parquet", tmp_path / "b", encoder=ToyEncoder())
    assert hits(tmp_path / "a") == hits(tmp_path / "b")
    with Store.open(tmp_path / "a") as a, Store.open(tmp_path / "b") as b:
        np.testing.assert_array_equal(a.vectors()[:], b.vectors()[:])
        assert a.manifest.counts.duplicates == b.manifest.counts.duplicates > 0
        assert a.manifest.counts.documents == b.manifest.counts.documents


def test_a_line_of_very_many_documents(tmp_path: Path) -> None:
    many = documents(*(f"number{i} here.\n\nShort." for i in range(3)), *(["A line that all pages share."] * 30))
    make_index(tmp_path / "a", many)
    exported = export(tmp_path / "a", tmp_path / "out.parquet")
    told = Told()
    report = import_passages(tmp_path / "out.parquet", tmp_path / "b", encoder=ToyEncoder(), progress=told)
    assert exported.left_out == 9
    assert report.build.documents == 33 - 9
    assert "9 further places of passages are not in the export, which tells 21 of each" in told.notes


@pytest.mark.parametrize("name", ["out.parquet", "out"])
def test_every_place_has_its_own_metadata_and_pages(name: str, tmp_path: Path) -> None:
    text = "This sentence goes over to the next page"
    pages = (Mark(0, "page=1"), Mark(5, "page=2"), Mark(24, "page=3"))
    made = [
        Document("a", "a.pdf", text, lang="en", metadata={"year": 1}, marks=pages),
        Document("b", "b.pdf", text, lang="en", metadata={"year": 2, "of": {"x": [1]}}, marks=(Mark(14, "page=7"),)),
        Document("c", "c.txt", text, lang="en"),
    ]
    make_index(tmp_path / "a", made)
    export(tmp_path / "a", tmp_path / name)
    import_passages(tmp_path / name, tmp_path / "b", encoder=ToyEncoder())
    places = [(one.source, one.doc_id, at, len(text)) for one in made for at in (-1, 0)]
    with Store.open(tmp_path / "a") as before, Store.open(tmp_path / "b") as after:
        assert after.documents.of_documents(places) == before.documents.of_documents(places)
        assert after.documents.of_documents(places)[2] == ({"year": 2, "of": {"x": [1]}}, [(14, "page=7")])


def test_to_milvus_and_back(tmp_path: Path) -> None:
    make_index(tmp_path / "a", made())
    export(tmp_path / "a", tmp_path / "out.parquet")
    settings = BuildSettings(store=f"milvus:{tmp_path / 'm.db'}")
    import_passages(tmp_path / "out.parquet", tmp_path / "b", settings=settings, encoder=ToyEncoder())
    export(tmp_path / "b", tmp_path / "again.parquet")
    first, second = (pq.read_table(tmp_path / name) for name in ("out.parquet", "again.parquet"))
    assert first.drop_columns(["vector"]).equals(second.drop_columns(["vector"]))
    before, after = (np.stack(table.column("vector").to_numpy()) for table in (first, second))
    np.testing.assert_allclose(before, after, atol=1e-6)


def test_a_table_of_somebody_else(tmp_path: Path) -> None:
    day = datetime.datetime(2024, 5, 1)
    columns = {
        "text": TEXTS,
        "id": list(range(40)),
        "title": [f"T{i}" for i in range(40)],
        "lang": ["lt", None] * 20,
        "day": [day] * 40,
        "share": [0.5, float("nan")] * 20,
        "nothing": [None] * 40,
        "picture": [b"x"] * 40,
        "other_emb": [[0.1, 0.2]] * 40,
        "tags": [["a", "b"]] * 40,
        "start": [61.5] * 40,
    }
    vectors = 7 * ToyEncoder().encode_passages(TEXTS).astype(np.float64)
    source = foreign(tmp_path / "wiki.parquet", columns, vectors, "emb")
    told = Told()
    report = import_passages(source, tmp_path / "b", encoder=(toy := ToyEncoder()), progress=told)
    assert (report.normalised, report.build.passages, report.build.embedded) == (40, 40, 0)
    assert any("not read: picture, other_emb" in note for note in told.notes)
    assert any("40 vectors were not of unit length" in note for note in told.notes)
    assert set(toy.encoded) - set(TEXTS)  # the sentences
    with Searcher.open(tmp_path / "b", encoder=ToyEncoder()) as searcher:
        hit = searcher.search("number5 kind another", 1)[0]
        assert (hit.source, hit.doc_id, hit.title, hit.lang) == (str(source), "5", "T5", "en")
        assert hit.metadata == {"day": "2024-05-01T00:00:00", "tags": ["a", "b"], "start": 61.5}
        assert hit.dense == pytest.approx(searcher.search("number5 kind another", 1)[0].dense)
        assert hit.highlight != (0, len(hit.text))
        assert searcher.search("number4", 1)[0].lang == "lt"
        assert searcher.search("number4", 1)[0].metadata["share"] == 0.5


def test_json_lines_with_their_vectors_inside_or_beside(tmp_path: Path) -> None:
    vectors = ToyEncoder().encode_passages(TEXTS)
    inside = [
        {"body": t, "key": f"k{i}", "values": v.tolist()} for i, (t, v) in enumerate(zip(TEXTS, vectors, strict=True))
    ]
    beside = [{"body": text, "key": f"k{i}", "emb": "no vector"} for i, text in enumerate(TEXTS)]
    np.save(tmp_path / "v.npy", vectors.astype(np.float16))
    fields = ReadyFields(text="body", id="key")
    settings = BuildSettings(sentences=False)
    a, b = lines(tmp_path / "a.jsonl", inside), lines(tmp_path / "b.jsonl", beside)
    import_passages(a, tmp_path / "a", fields=fields, settings=settings, encoder=(toy := ToyEncoder()))
    assert len(toy.encoded) == 40  # to compare
    report = import_passages(
        b, tmp_path / "b", fields=fields, settings=settings, vectors=tmp_path / "v.npy", encoder=ToyEncoder()
    )
    assert report.normalised == 0  # what float16 rounds off is not worth telling
    with Searcher.open(tmp_path / "b", encoder=ToyEncoder()) as searcher:
        hit = searcher.search("number5", 1)[0]
        assert (hit.doc_id, hit.metadata) == ("k5", {"emb": "no vector"})
    np.save(tmp_path / "v.npy", vectors[1:])
    with pytest.raises(InputError, match=r"holds 39 vectors, and .*b.jsonl 40 records"):
        import_passages(b, tmp_path / "c", fields=fields, vectors=tmp_path / "v.npy", encoder=ToyEncoder())


def test_bad_rows_are_counted(tmp_path: Path) -> None:
    vectors: list[Any] = [v.tolist() for v in ToyEncoder().encode_passages(TEXTS)]
    vectors[1], vectors[2], vectors[3] = None, [1.0], [0.0] * 512
    vectors[4] = [float("nan")] + [0.0] * 511
    texts: list[Any] = [*TEXTS]
    texts[5], texts[6] = "", None
    columns = {"text": texts, "id": [*range(39), 0]}
    source = foreign(tmp_path / "t.parquet", columns, vectors)
    report = import_passages(source, tmp_path / "b", encoder=ToyEncoder())
    where = [item.where for item in report.build.rejected]
    assert where == [f"{source}: row {n}" for n in (2, 3, 4, 5, 6, 7)] + [str(source)]
    assert report.build.rejected[-1].reason.startswith(f"{source}: row 40: the id '0' is used twice")
    assert report.build.passages == 33
    with pytest.raises(StrictError, match="7 files or records"):
        import_passages(source, tmp_path / "c", encoder=ToyEncoder(), strict=True)
    assert not (tmp_path / "c" / "CURRENT").exists()
    records = [{"text": t, "vector": v} for t, v in zip(TEXTS, vectors, strict=True)]
    path = lines(tmp_path / "t.jsonl", records)
    path.write_text(path.read_text("utf-8") + "{broken\n", "utf-8")
    report = import_passages(path, tmp_path / "d", encoder=ToyEncoder())
    assert [item.where for item in report.build.rejected] == [f"{path}:{n}" for n in (2, 3, 4, 5, 41)]


def others(vectors: Vectors) -> Vectors:
    return np.roll(vectors, 1, axis=0)


def half(vectors: Vectors) -> Vectors:
    return np.where(np.arange(len(vectors))[:, None] < 28, vectors, np.roll(vectors, 1, axis=0))


@pytest.mark.parametrize("wrong", [others, half, lambda v: v[:, ::-1].copy(), lambda v: -v])
def test_vectors_of_something_else_are_refused(wrong: Any, tmp_path: Path) -> None:
    source = foreign(tmp_path / "t.parquet", {"text": TEXTS}, wrong(ToyEncoder().encode_passages(TEXTS)))
    with pytest.raises(InputError, match=r"these vectors are not those of toy .*median cosine .*--model"):
        import_passages(source, tmp_path / "b", encoder=ToyEncoder())
    assert not (tmp_path / "b" / "CURRENT").exists()


@pytest.mark.parametrize(
    ("columns", "vectors", "name", "told"),
    [
        ({"text": TEXTS}, np.ones((40, 8)), "vector", "holds vectors of 8 numbers, and those of toy have 512"),
        ({"text": TEXTS}, None, "things", "no column of vectors .found: text, things.*--vector-field"),
        ({"text": TEXTS}, ["x"] * 40, "vector", "column 'vector' holds string, not lists of numbers"),
        ({"body": TEXTS}, np.ones((40, 512)), "vector", "field 'text' is missing .*--text-field"),
        ({"text": [" "] * 3}, np.ones((3, 512)), "vector", "no row of 3 looked at has a text and a vector"),
    ],
)
def test_what_cannot_be_read_is_told(columns: Any, vectors: Any, name: str, told: str, tmp_path: Path) -> None:
    source = foreign(tmp_path / "t.parquet", columns, vectors, name)
    with pytest.raises(InputError, match=told):
        import_passages(source, tmp_path / "b", encoder=ToyEncoder())


def test_files_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "t.parquet").write_text("no parquet")
    (tmp_path / "t.txt").write_text("text")
    (tmp_path / "t.npy").write_text("no array")
    for name, told in (
        ("t.parquet", "cannot be read as Parquet"),
        ("t.txt", "holds no passages"),
        ("none", "not there"),
    ):
        with pytest.raises(InputError, match=told):
            import_passages(tmp_path / name, tmp_path / "b", encoder=ToyEncoder())
    with pytest.raises(InputError, match="cannot be read as a NumPy array"):
        import_passages(
            lines(tmp_path / "a.jsonl", [{"text": "x"}]),
            tmp_path / "b",
            vectors=tmp_path / "t.npy",
            encoder=ToyEncoder(),
        )
    with pytest.raises(InputError, match=r"does not tell which model made its vectors.*--model"):
        import_passages(foreign(tmp_path / "f.parquet", {"text": TEXTS}), tmp_path / "b")


def test_an_export_is_of_one_model(tmp_path: Path) -> None:
    make_index(tmp_path / "a", made())
    export(tmp_path / "a", tmp_path / "out")
    with pytest.raises(EncoderMismatchError, match="weights_hash 'toy' then, 'other' now"):
        import_passages(tmp_path / "out", tmp_path / "b", encoder=ToyEncoder(weights_hash="other"))
    settings = BuildSettings(model=ModelSettings(passage_prompt="passage: "))
    with pytest.raises(InputError, match=r"made with the passage_prompt '', .*leave --passage-prompt out"):
        import_passages(tmp_path / "out", tmp_path / "b", settings=settings)
    for damaged, told in (
        ("{", "is damaged"),
        ('{"encoder": {}}', "says of its model"),
        ('{"format": 9}', "does not read"),
    ):
        (tmp_path / "out" / "manifest.json").write_text(damaged)
        with pytest.raises(InputError, match=told):
            import_passages(tmp_path / "out", tmp_path / "b", encoder=ToyEncoder())
    export(tmp_path / "a", tmp_path / "bare", vectors=False)
    with pytest.raises(InputError, match="no column of vectors"):
        import_passages(tmp_path / "bare", tmp_path / "b", encoder=ToyEncoder())


def test_several_files_are_one_table(tmp_path: Path) -> None:
    (tmp_path / "parts").mkdir()
    for i in (0, 1):
        foreign(tmp_path / "parts" / f"{i}.parquet", {"text": TEXTS[20 * i : 20 * i + 20]})
    report = import_passages(tmp_path / "parts", tmp_path / "b", encoder=ToyEncoder())
    assert (report.build.passages, report.compared) == (40, 40)
    foreign(tmp_path / "parts" / "2.parquet", {"text": TEXTS, "more": TEXTS})
    with pytest.raises(InputError, match="has other columns than"):
        import_passages(tmp_path / "parts", tmp_path / "b", encoder=ToyEncoder())


def test_an_import_that_was_killed_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "BATCH_PASSAGES", 8)
    source = foreign(tmp_path / "t.parquet", {"text": TEXTS})

    class Killed(ToyEncoder):
        def encode_passages(self, texts: Any, progress: Any = None) -> Vectors:
            if len(self.encoded) > 60:
                raise KeyboardInterrupt
            return super().encode_passages(texts)

    with pytest.raises(KeyboardInterrupt):
        import_passages(source, tmp_path / "b", encoder=Killed())
    toy = ToyEncoder()
    report = import_passages(source, tmp_path / "b", encoder=toy)
    assert report.build.passages == 40
    assert 40 < len(toy.encoded) < 40 + 80
    import_passages(source, tmp_path / "c", encoder=ToyEncoder())
    assert hits(tmp_path / "b") == hits(tmp_path / "c")
    assert not (tmp_path / "b" / "embedded").exists()


def test_updates_of_an_imported_index(tmp_path: Path) -> None:
    import_passages(foreign(tmp_path / "t.parquet", {"text": TEXTS}), tmp_path / "b", encoder=ToyEncoder())
    with pytest.raises(InputError, match="of ready vectors, so there are no files to look at"):
        update(tmp_path / "b", encoder=ToyEncoder())
    new = Document("1", str(tmp_path / "t.parquet"), "Something else altogether.", lang="en")
    report = update_documents(tmp_path / "b", [new], encoder=ToyEncoder())
    assert (report.new, report.changed, report.embedded) == (0, 1, 1)
    (tmp_path / "more.txt").write_text("A file that is added.")
    report = update(tmp_path / "b", [tmp_path / "more.txt"], encoder=ToyEncoder())
    assert (report.new, report.gone, report.manifest.counts.documents) == (1, 0, 41)
    assert verify(tmp_path / "b") == []


def test_vectors_are_forgotten_in_order() -> None:
    ready = ReadyVectors(2)
    known, vectors = np.zeros(3, np.bool_), np.zeros((3, 1), np.float32)
    for number, text in enumerate(["a", "b", "b", "c"], 1):
        ready.offer(text, np.full(1, number, np.float32))
    ready.fill(["a", "b", "c"], known, vectors)
    assert known.tolist() == [False, True, True]
    assert vectors[:, 0].tolist() == [0, 2, 4]


def test_on_the_command_line(tiny_model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "texts"
    folder.mkdir()
    (folder / "a.txt").write_text("Ein Satz steht hier. Und noch einer dazu.")
    (folder / "b.txt").write_text("Something else altogether.")
    model = ("--model", str(tiny_model))
    assert run(command("build", str(folder), "--out", str(tmp_path / "a"), *model)).returncode == 0
    target = str(tmp_path / "x.parquet")
    assert run(command("export", "--index", str(tmp_path / "a"), "--out", target)).returncode == 0
    result = run(command("import", target, "--out", str(tmp_path / "b")))
    assert (result.returncode, result.stdout) == (0, b""), result.stderr.decode()
    assert "2 documents, 2 passages" in result.stderr.decode().splitlines()[-1]
    answers = [run(command("search", "--index", str(tmp_path / x), "--json", "Satz")).stdout for x in "ab"]
    assert answers[0] == answers[1] != b""
    result = run(command("import", str(folder), "--out", str(tmp_path / "c"), *model))
    assert result.returncode == 1
    assert "holds no passages with vectors" in result.stderr.decode()
