"""Updates: whatever changes, an index holds what a fresh build of the files holds, and only new text is embedded."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from index import pipeline, writer
from index.builder import build
from index.errors import EncoderMismatchError, IndexFormatError, InputError, NoIndexError, StrictError
from index.layout import EMBEDDED
from index.records import Document
from index.store import Store, current_generation
from index.updater import UpdateReport, update, update_documents
from tests.builds import ROOT, documents, make_index
from tests.same import bytes_of, content, scores
from tests.toys import ToyEncoder

LINES = [
    "Red apples grow in the old garden. Nobody has ever counted them there.",
    "Green pears fall behind the house, and are eaten in winter by the birds.",
    "Nemunas teka per Kauną ir lėtai pasiekia Kuršių marias. Žiemą jis užšąla.",
    "Sename sode auga obuoliai. Jų niekas neskaičiuoja.",
    "పాత తోటలో ఎవరూ లేరు, నది గడ్డకట్టింది. ఎర్రటి ఆపిల్ పండ్లు పెరుగుతాయి.",
    "null",
    "In Kaunas the winter of 1941 was long. It was cold.",
]
TEXTS = st.lists(st.sampled_from(LINES), max_size=3).map("\n\n".join)
RECORDS = st.lists(
    st.fixed_dictionaries(
        {"id": st.sampled_from("abc"), "text": TEXTS}, optional={"title": st.sampled_from(["T", "U"])}
    ),
    max_size=4,
).map(lambda records: "\n".join(json.dumps(record) for record in records))
NAMES = st.sampled_from(["a.txt", "b.md", "sub/a.txt", "sub/deep/c.txt"])
CHANGES = st.lists(
    st.tuples(NAMES, st.none() | TEXTS)
    | st.tuples(st.sampled_from(["r.jsonl", "sub/r.jsonl"]), st.none() | RECORDS)
    | st.tuples(st.just("p.png"), st.sampled_from([None, "x"]))
    | st.tuples(NAMES, st.just("touch")),
    min_size=1,
    max_size=4,
)


@pytest.fixture
def files(tmp_path: Path) -> Iterator[Path]:
    """A folder of files, and the working directory above it."""
    folder = tmp_path / "files"
    lay(folder, [("one.txt", LINES[0]), ("two.txt", LINES[2]), ("sub/three.txt", LINES[1]), ("x.png", "x")])
    before = Path.cwd()
    os.chdir(tmp_path)
    yield folder
    os.chdir(before)


@pytest.fixture
def out(files: Path, tmp_path: Path) -> Path:
    build([files.name], tmp_path / "index", encoder=ToyEncoder())
    return tmp_path / "index"


def lay(folder: Path, changes: list[tuple[str, str | None]]) -> None:
    """Write, remove or touch files."""
    for name, text in changes:
        path = folder / name
        if text == "touch":
            if path.exists():
                os.utime(path, (1, 1))
        elif text is None:
            path.unlink(missing_ok=True)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")


def assert_as_built(out: Path, sources: list[str | Path]) -> None:
    """Compare an index with a fresh build of the same sources."""
    with tempfile.TemporaryDirectory() as elsewhere:
        fresh = Path(elsewhere, "index")
        build(sources, fresh, encoder=ToyEncoder())
        expected = content(fresh)
        found = content(out)
        for what, held in expected.items():
            assert what == "sources" or found[what] == held, what
        for query in ("red apples in the garden", "Nemunas", "winter of 1941"):
            assert scores(out, query) == scores(fresh, query)


def told(report: UpdateReport) -> tuple[object, ...]:
    changed = tuple(one.file.source for one in report.files.changed)
    return report.new, report.changed, report.same, report.gone, changed, report.files.gone, report.files.rejected


@settings(max_examples=8, deadline=None)
@given(CHANGES, st.lists(CHANGES, min_size=1, max_size=3))
def test_any_changes_give_what_a_fresh_build_gives(
    first: list[tuple[str, str | None]], later: list[list[tuple[str, str | None]]]
) -> None:
    with tempfile.TemporaryDirectory() as place:
        files, out = Path(place, "files"), Path(place, "index")
        lay(files, [("keep.txt", LINES[6]), *first])
        build([files], out, encoder=ToyEncoder())
        for changes in later:
            lay(files, changes)
            with Store.open(out) as store:
                held = set(content(out)["passages"])
                n_before = len(store.manifest.segments)
            before = bytes_of(out)
            planned = update(out, encoder=ToyEncoder(), dry_run=True)
            assert bytes_of(out) == before
            toy = ToyEncoder()
            done = update(out, encoder=toy)
            assert told(done) == told(planned)
            assert_as_built(out, [files])
            new = set(content(out)["passages"]) - held
            assert done.embedded == len(new)
            assert bool(toy.encoded) >= bool(new)
            assert len(done.manifest.segments) <= n_before + 1
            assert update(out, encoder=ToyEncoder()).files.is_nothing


def test_only_what_is_new_is_embedded(files: Path, out: Path, toy: ToyEncoder) -> None:
    lay(files, [("one.txt", LINES[0] + "\n\n" + LINES[6]), ("four.txt", LINES[1])])
    report = update(out, encoder=toy)
    # The other sentences were known, and the new document is an old passage.
    passage = f"{LINES[0]}\n\n{LINES[6]}"
    assert toy.encoded == [passage, "In Kaunas the winter of 1941 was long.", "It was cold."]
    assert not {"Nobody has ever counted them there.", LINES[1], LINES[2]} & set(toy.encoded)
    assert (report.new, report.changed, report.same, report.gone, report.embedded) == (1, 1, 0, 0, 1)
    assert_as_built(out, ["files"])


def test_nothing_changed_writes_nothing(files: Path, out: Path, toy: ToyEncoder) -> None:
    before = bytes_of(out / "generations")
    report = update(out, encoder=lambda made_with: pytest.fail("the model is not needed"))
    assert (report.files.is_nothing, report.files.n_same, report.embedded) == (True, 3, 0)
    assert bytes_of(out / "generations") == before
    assert [item.where for item in report.rejected] == ["files/x.png"]


def test_what_is_gone_needs_no_model(files: Path, out: Path) -> None:
    (files / "two.txt").unlink()
    report = update(out, encoder=lambda made_with: pytest.fail("the model is not needed"))
    assert (report.gone, report.files.gone) == (1, ("files/two.txt",))
    assert_as_built(out, ["files"])


def test_content_changed_under_the_same_size_and_time(files: Path, out: Path, toy: ToyEncoder) -> None:
    path = files / "one.txt"
    status = path.stat()
    path.write_text(LINES[0].replace("Red", "Old"), "utf-8")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (status.st_size, status.st_mtime_ns)
    assert update(out, encoder=toy).changed == 1
    assert_as_built(out, ["files"])


def test_a_touched_file_is_the_same_file(
    files: Path, out: Path, toy: ToyEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("index.changes._CLOCK_STEP", -1.0)  # as if all had been written long ago
    update_all = build(["files"], out, encoder=ToyEncoder())
    assert update_all.documents == 3
    os.utime(files / "one.txt", (1, 1))
    lay(files, [("new.txt", LINES[3])])
    report = update(out, encoder=toy)
    assert (report.files.n_same, [file.source for file in report.files.touched]) == (3, ["files/one.txt"])
    assert not {LINES[0]} & set(toy.encoded)
    # Known by its new time now, and by that alone: nobody opens it again.
    monkeypatch.setattr("index.changes.look_at", lambda *args, **options: pytest.fail("a file is read"))
    report = update(out, encoder=toy)
    assert (report.files.n_same, report.files.touched) == (4, ())


def test_a_folder_that_is_gone_loses_nothing(files: Path, out: Path, toy: ToyEncoder, tmp_path: Path) -> None:
    before = bytes_of(out / "generations")
    files.rename(tmp_path / "away")
    with pytest.raises(InputError, match=r"'files' is not there .*nothing was changed.*tongues update"):
        update(out, encoder=toy)
    assert bytes_of(out / "generations") == before
    (tmp_path / "away").rename(files)
    assert update(out, encoder=toy).files.is_nothing


def test_a_new_path_belongs_to_the_index_from_now_on(files: Path, out: Path, toy: ToyEncoder, tmp_path: Path) -> None:
    lay(tmp_path / "more", [("four.txt", LINES[3])])
    lay(files, [("one.txt", LINES[6])])  # is not looked at
    report = update(out, ["more"], encoder=toy)
    assert (report.new, report.changed) == (1, 0)
    assert report.manifest.sources == ("files", "more")
    update(out, encoder=toy)
    assert_as_built(out, ["files", "more"])
    lay(tmp_path / "more", [("five.txt", LINES[4])])
    assert update(out, encoder=toy).new == 1
    assert_as_built(out, ["files", "more"])


def test_a_path_below_a_source_looks_at_that_alone(files: Path, out: Path, toy: ToyEncoder) -> None:
    lay(files, [("one.txt", LINES[6]), ("sub/three.txt", LINES[3]), ("sub/y.png", "y")])
    report = update(out, "files/sub", encoder=toy)
    assert [one.file.source for one in report.files.changed] == ["files/sub/three.txt"]
    assert report.manifest.sources == ("files",)
    with Store.open(out) as store:
        assert sorted(place for place, _ in store.documents.rejected()) == ["files/sub/y.png", "files/x.png"]
    update(out, encoder=toy)
    assert_as_built(out, ["files"])


def test_a_named_path_that_is_gone(files: Path, out: Path, toy: ToyEncoder, tmp_path: Path) -> None:
    lay(tmp_path / "more", [("four.txt", LINES[3])])
    update(out, ["more"], encoder=toy)
    shutil.rmtree(tmp_path / "more")
    report = update(out, ["more"], encoder=toy)
    assert (report.gone, report.manifest.sources) == (1, ("files",))
    assert_as_built(out, ["files"])
    with pytest.raises(InputError, match="knows of no such file"):
        update(out, ["more"], encoder=toy)
    (files / "one.txt").unlink()
    assert update(out, ["files/one.txt"], encoder=toy).gone == 1
    assert_as_built(out, ["files"])


def test_from_another_working_directory(files: Path, out: Path, toy: ToyEncoder, tmp_path: Path) -> None:
    lay(files, [("one.txt", LINES[6]), ("sub/two.txt", LINES[3])])
    (tmp_path / "elsewhere").mkdir()
    os.chdir(tmp_path / "elsewhere")
    report = update(out, encoder=toy)
    assert (report.new, report.changed, report.gone, report.files.n_same) == (1, 1, 0, 2)
    os.chdir(tmp_path)
    assert_as_built(out, ["files"])
    lay(files, [("sub/three.txt", LINES[4])])
    os.chdir(files)
    assert update(out, ["sub"], encoder=toy).changed == 1
    os.chdir(tmp_path)
    assert_as_built(out, ["files"])


def test_a_pattern_finds_new_files(files: Path, tmp_path: Path, toy: ToyEncoder) -> None:
    out = tmp_path / "index"
    build(["files/*.txt"], out, encoder=ToyEncoder())
    lay(files, [("four.txt", LINES[3]), ("sub/five.txt", LINES[4]), ("one.txt", None)])
    report = update(out, encoder=toy)
    assert (report.new, report.gone) == (1, 1)
    assert_as_built(out, ["files/*.txt"])


def test_one_line_of_many(tmp_path: Path, toy: ToyEncoder) -> None:
    path, out = tmp_path / "many.jsonl", tmp_path / "index"
    lines = [json.dumps({"id": i, "text": f"line number{i} of many", "lang": "en"}) for i in range(500)]
    path.write_text("\n".join(lines))
    build(path, out, encoder=ToyEncoder())
    lines[250] = json.dumps({"id": 250, "text": "another line", "lang": "en"})
    path.write_text("\n".join(lines))
    report = update(out, encoder=toy)
    assert toy.encoded == ["another line"]
    assert (report.new, report.changed, report.same, report.gone, report.embedded) == (0, 1, 499, 0, 1)
    assert [segment.rows for segment in report.manifest.segments] == [500, 1]
    assert report.manifest.dead == 1
    assert_as_built(out, [path])


def test_what_stays_is_shared_and_not_copied(
    files: Path, out: Path, toy: ToyEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "first_to_merge", lambda sizes, n_dead: len(sizes))
    before = current_generation(out)
    lay(files, [("four.txt", LINES[3])])
    update(out, encoder=toy)
    after = current_generation(out)
    for path in (before / "s000001").iterdir():
        assert path.samefile(after / "s000001" / path.name)
    assert sorted(path.name for path in after.iterdir() if path.is_dir()) == ["s000001", "s000002"]
    assert_as_built(out, ["files"])


def test_many_segments_are_merged_to_the_same(files: Path, out: Path, toy: ToyEncoder) -> None:
    n_segments = []
    for i in range(12):
        lay(files, [(f"n{i}.txt", f"Number number{i} is new. It is the {i}th of them."), (f"n{i - 3}.txt", None)])
        manifest = update(out, encoder=toy).manifest
        n_segments.append(len(manifest.segments))
        assert manifest.dead <= 0.2 * manifest.n_rows
    assert_as_built(out, ["files"])
    assert max(n_segments) <= 3


def test_ids_used_twice_stay_as_a_fresh_build_has_them(tmp_path: Path, toy: ToyEncoder) -> None:
    path, out = tmp_path / "r.jsonl", tmp_path / "index"

    def lay_records(*records: tuple[str, str]) -> None:
        path.write_text("\n".join(json.dumps({"id": name, "text": text, "lang": "en"}) for name, text in records))

    lay_records(("a", "first"), ("a", "second"), ("b", "other"))
    build(path, out, encoder=ToyEncoder())
    for records in (
        [("a", "first"), ("a", "second"), ("b", "changed")],
        [("a", "second"), ("a", "first"), ("b", "changed")],
        [("a", ""), ("a", "third"), ("b", "x")],
        [("b", "x"), ("a", "third"), ("b", "y")],
    ):
        lay_records(*records)
        assert len(update(out, encoder=toy).rejected) == 1
        assert_as_built(out, [path])


def test_strict_keeps_the_index_as_it_was(files: Path, out: Path, toy: ToyEncoder) -> None:
    before = bytes_of(out / "generations")
    lay(files, [("bad.jsonl", "{"), ("one.txt", LINES[6])])
    with pytest.raises(StrictError) as raised:
        update(out, encoder=toy, strict=True)
    assert [item.where for item in raised.value.rejected if not item.passed_over] == ["files/bad.jsonl:1"]
    assert bytes_of(out / "generations") == before
    assert len(update(out, encoder=toy).rejected) == 2
    assert_as_built(out, ["files"])
    (files / "bad.jsonl").unlink()
    update(out, encoder=toy, strict=True)  # a format without a reader was not asked for
    assert_as_built(out, ["files"])


def test_documents_from_memory(tmp_path: Path, toy: ToyEncoder) -> None:
    out = tmp_path / "index"
    make_index(out, documents(*LINES[:3]))
    new = [
        Document("d1", "1.txt", LINES[0], lang="en"),  # as it was
        Document("d2", "2.txt", LINES[6], lang="en"),
        Document("d9", "9.txt", LINES[3], lang="lt"),
        Document("d9", "9.txt", LINES[4], lang="te"),
        Document("half", "caf\udce9.txt", "x", lang="en"),
    ]
    report = update_documents(out, new, remove=[("3.txt", "d3"), ("3.txt", "nobody"), ("caf\udce9", "x")], encoder=toy)
    assert (report.changed, report.same, report.gone, report.embedded) == (1, 1, 1, 2)
    twice, half = report.rejected
    assert str(twice) == "9.txt: the id 'd9' is used twice in it; give each document its own"
    assert half.reason.startswith("document 'half' holds half of a surrogate pair")
    fresh = tmp_path / "fresh"
    make_index(fresh, new)
    expected, found = content(fresh), content(out)
    for what in ("passages", "counts", "left out", "rejected"):
        assert found[what] == expected[what]
    with pytest.raises(InputError, match="no document with text"):
        update_documents(out, remove=[(f"{i}.txt", f"d{i}") for i in (1, 2, 9)], encoder=toy)
    with pytest.raises(InputError, match="built of documents in memory"):
        update(out, encoder=toy)


def test_format_2_is_told_the_way_out_and_gives_its_vectors(tmp_path: Path) -> None:
    out = Path(shutil.copytree(ROOT / "tests" / "golden" / "format-2", tmp_path / "index"))
    with Store.open(out) as store:
        passages = store.documents.passages(range(5))
    toy = ToyEncoder(dim=64)
    for dry_run in (True, False):
        with pytest.raises(IndexFormatError, match=r"format 2, which cannot be updated\. Build it once more"):
            update(out, encoder=toy, dry_run=dry_run)
    with pytest.raises(IndexFormatError, match="cannot be updated"):
        update_documents(out, documents("x"), encoder=toy)
    assert toy.encoded == []
    records = [{"id": i, "text": one.text, "title": one.context, "lang": one.lang} for i, one in enumerate(passages)]
    lay(tmp_path, [("r.jsonl", "\n".join(json.dumps(record) for record in records))])
    report = build([tmp_path / "r.jsonl"], out, encoder=toy)
    assert (report.passages, report.embedded) == (5, 0)
    assert not {one.model_text for one in passages} & set(toy.encoded)
    assert update(out, encoder=toy).files.is_nothing


def test_what_cannot_be_updated_is_told(files: Path, out: Path, tmp_path: Path) -> None:
    with pytest.raises(NoIndexError):
        update(tmp_path / "nothing", encoder=ToyEncoder())
    assert not (tmp_path / "nothing").exists()
    lay(files, [("one.txt", LINES[6])])
    before = bytes_of(out / "generations")
    with pytest.raises(EncoderMismatchError, match="--model"):
        update(out, encoder=ToyEncoder(weights_hash="other"))
    assert bytes_of(out / "generations") == before
    assert not (out / EMBEDDED).exists()


def test_batches_do_not_matter(files: Path, out: Path, toy: ToyEncoder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "BATCH_PASSAGES", 2)
    lay(files, [(f"m{i}.txt", "\n\n".join(LINES[i % 5 :])) for i in range(9)])
    lay(files, [("one.txt", LINES[3]), ("two.txt", LINES[0])])  # what one held, the other holds now
    update(out, encoder=toy)
    assert_as_built(out, ["files"])
