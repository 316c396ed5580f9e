"""An export holds every living passage with its vector, whole or not at all, in files that other programs read."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from index.builder import build_documents
from index.config import BuildSettings, VectorNumbers
from index.errors import InputError, NoIndexError
from index.exporter import export
from index.progress import Silent
from index.records import Document, Mark
from index.store import Store
from index.updater import update_documents
from index.version import __version__
from tests.builds import ROOT, command, documents, make_index, run
from tests.toys import ToyEncoder

GOLDEN = ROOT / "tests" / "golden"
TEXTS = [f"This is number{i} of the first kind. It has another sentence number{i}." for i in range(9)]


@pytest.fixture
def index(tmp_path: Path) -> Path:
    """An index with a passage in two places, one that is dead, pages and metadata."""
    paged = Document(
        "p",
        "book.pdf",
        "A page begins here. And here is the next one.",
        title="Book",
        lang="en",
        metadata={"year": 2024, "tags": ["a"]},
        marks=(Mark(0, "page=1"), Mark(20, "page=2")),
    )
    out = tmp_path / "index"
    make_index(out, [*documents(*TEXTS, TEXTS[3]), paged])
    update_documents(out, remove=[("1.txt", "d1")], encoder=ToyEncoder())
    return out


def rows_of(target: Path) -> tuple[list[dict[str, Any]], Any, dict[str, Any]]:
    """Return the records, the vectors and what an export says of itself, by other libraries alone."""
    if target.is_file():
        table = pq.read_table(target)
        vectors = np.stack(table.column("vector").to_numpy()) if "vector" in table.column_names else None
        records = table.drop_columns(["vector"] if vectors is not None else []).to_pylist()
        for record in records:
            record["metadata"] = json.loads(record["metadata"])
        return records, vectors, json.loads(table.schema.metadata[b"manytongues"])
    lines = (target / "passages.jsonl").read_text("utf-8").splitlines()
    vectors = np.load(target / "vectors.npy") if (target / "vectors.npy").exists() else None
    return [json.loads(line) for line in lines], vectors, json.loads((target / "manifest.json").read_text("utf-8"))


@pytest.mark.parametrize("name", ["out.parquet", "out"])
def test_all_that_lives_is_there(name: str, index: Path, tmp_path: Path) -> None:
    report = export(index, tmp_path / name)
    records, vectors, told = rows_of(tmp_path / name)
    with Store.open(index) as store:
        assert store.manifest.dead == 1
        rows = np.delete(np.arange(store.n_rows), store.dead_rows())
        stored = store.passages(rows.tolist())
        np.testing.assert_array_equal(vectors, store.vectors()[rows])
        assert told["encoder"]["weights_hash"] == store.manifest.encoder.weights_hash == "toy"
    assert vectors.dtype == np.float32
    assert [one["passage_id"] for one in records] == [one.passage_id for one in stored]
    assert [(one["text"], one["lang"], one["context"]) for one in records] == [
        (one.text, one.lang, one.context) for one in stored
    ]
    assert (report.passages, report.dim, told["passages"]) == (len(records), 512, len(records))
    assert (told["tool_version"], told["languages"]) == (__version__, {"en": 9})
    by_source = {one["source"]: one for one in records}
    assert "1.txt" not in by_source
    assert [place["source"] for place in by_source["4.txt"]["also_in"]] == ["10.txt"]
    assert by_source["4.txt"]["n_places"] == 2
    book = by_source["book.pdf"]
    assert (book["title"], book["metadata"], book["locator"]) == ("Book", {"year": 2024, "tags": ["a"]}, "page=1")
    assert [one["locator"] for one in book["sentences"]] == ["page=1", "page=2"]
    assert report.n_bytes == sum(
        path.stat().st_size for path in [tmp_path / name, *(tmp_path / name).glob("*")] if path.is_file()
    )


@pytest.mark.parametrize("name", ["out.parquet", "out"])
def test_without_vectors(name: str, index: Path, tmp_path: Path) -> None:
    assert export(index, tmp_path / name, vectors=False).dim == 0
    records, vectors, told = rows_of(tmp_path / name)
    assert (len(records), vectors, told["encoder"]["model"]) == (9, None, "toy")


def test_vectors_kept_in_fewer_bytes_come_as_float32(tmp_path: Path) -> None:
    settings = BuildSettings(vectors=VectorNumbers.INT8)
    build_documents(documents(*TEXTS), tmp_path / "index", settings=settings, encoder=ToyEncoder())
    export(tmp_path / "index", tmp_path / "out.parquet")
    _, vectors, _ = rows_of(tmp_path / "out.parquet")
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)


@pytest.mark.parametrize("form", sorted(path.name for path in GOLDEN.iterdir() if path.is_dir()))
def test_indexes_of_every_format(form: str, tmp_path: Path) -> None:
    report = export(GOLDEN / form, tmp_path / "out.parquet")
    records, vectors, _ = rows_of(tmp_path / "out.parquet")
    with Store.open(GOLDEN / form) as store:
        assert report.passages == len(records) == len(vectors) == store.n_passages > 0
        assert any(one["sentences"] for one in records) == (store.manifest.counts.sentences > 0)


def test_many_row_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("index.exporter._AT_ONCE", 500)
    many = [Document(f"{i}", "s", f"number{i}", lang="en") for i in range(2600)]
    make_index(tmp_path / "index", many, ToyEncoder(dim=8))
    export(tmp_path / "index", tmp_path / "out.parquet")
    assert pq.ParquetFile(tmp_path / "out.parquet").metadata.num_row_groups == 1
    monkeypatch.setattr("index.parquet._GROUP_BYTES", 1)
    export(tmp_path / "index", tmp_path / "out.parquet")  # which replaces it
    assert pq.ParquetFile(tmp_path / "out.parquet").metadata.num_row_groups == 2
    records, _, _ = rows_of(tmp_path / "out.parquet")
    assert [one["doc_id"] for one in records] == [f"{i}" for i in range(2600)]


class Stopping(Silent):
    def advance(self, n: int) -> None:
        raise KeyboardInterrupt


@pytest.mark.parametrize("name", ["out.parquet", "out"])
def test_interrupted_it_leaves_nothing(name: str, index: Path, tmp_path: Path) -> None:
    before = sorted(tmp_path.iterdir())
    with pytest.raises(KeyboardInterrupt):
        export(index, tmp_path / name, progress=Stopping())
    assert sorted(tmp_path.iterdir()) == before


def test_interrupted_it_leaves_the_old_file(index: Path, tmp_path: Path) -> None:
    export(index, tmp_path / "out.parquet")
    old = (tmp_path / "out.parquet").read_bytes()
    with pytest.raises(KeyboardInterrupt):
        export(index, tmp_path / "out.parquet", vectors=False, progress=Stopping())
    assert (tmp_path / "out.parquet").read_bytes() == old


def test_what_is_there_is_not_overwritten(index: Path, tmp_path: Path) -> None:
    (tmp_path / "folder.parquet").mkdir()
    for target in (index, tmp_path / "folder.parquet", index / "CURRENT"):
        with pytest.raises(InputError, match="is there already"):
            export(index, target)
    with pytest.raises(NoIndexError):
        export(tmp_path / "none", tmp_path / "out")


def test_on_the_command_line(index: Path, tmp_path: Path) -> None:
    result = run(command("export", "--index", str(index), "--out", str(tmp_path / "out.parquet")))
    assert (result.returncode, result.stdout) == (0, b"")
    assert (
        result.stderr.decode()
        .splitlines()[-1]
        .startswith(f"{tmp_path / 'out.parquet'}: 9 passages with vectors of 512")
    )
    result = run(command("export", "--index", str(index), "--out", str(tmp_path / "out"), "--no-vectors", "-q"))
    assert (result.returncode, result.stderr) == (0, b"")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["manifest.json", "passages.jsonl"]


def test_places_that_are_left_out_are_told(tmp_path: Path) -> None:
    make_index(tmp_path / "index", documents(*["A line that all pages share."] * 30))
    result = run(command("export", "--index", str(tmp_path / "index"), "--out", str(tmp_path / "out")))
    assert result.returncode == 0
    told = "9 further places of passages are not written: 21 of each are."
    assert result.stderr.decode().splitlines()[-1] == told


def test_without_pyarrow(index: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.parquet"
    arguments = ["tongues", "export", "--index", str(index), "--out", str(target)]
    code = f"import sys; sys.modules['pyarrow'] = None; sys.argv = {arguments}"
    result = run([sys.executable, "-c", f"{code}; from search.cli import run; run()"])
    assert result.returncode == 1
    assert result.stderr.decode().strip().endswith("pip install 'manytongues[parquet]'")
    assert not target.exists()


def test_a_full_disk_is_told(index: Path, tmp_path: Path) -> None:
    code = (
        "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
        f"import sys; sys.argv = {['tongues', 'export', '--index', str(index), '--out', str(tmp_path / 'new')]}\n"
        "from search.cli import run; run()"
    )
    result: subprocess.CompletedProcess[bytes] = run([sys.executable, "-c", code])
    assert result.returncode == 1
    assert "the system allows no file of this size" in result.stderr.decode()
    assert not list(tmp_path.glob("*new*"))
