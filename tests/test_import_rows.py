"""Rows with ready vectors that others write: parts of documents, vectors of other texts, values of every kind."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from index.errors import InputError
from index.importer import import_passages
from index.readers import decoding
from index.readers.decoding import Line
from search.searcher import Searcher
from tests.builds import run
from tests.ready_tables import TEXTS, Told, foreign, lines
from tests.toys import ToyEncoder


def test_one_part_of_another_text_is_enough(tmp_path: Path) -> None:
    texts = [f"The text of number{i} is here." for i in range(1000)]
    vectors = ToyEncoder(dim=4096).encode_passages(texts)
    vectors[850:] = np.roll(vectors[850:], 1, axis=0)
    source = foreign(tmp_path / "t.parquet", {"text": texts}, vectors)
    with pytest.raises(InputError, match=r"19 of 128 vectors looked at are not those of their own texts .*: row \d+"):
        import_passages(source, tmp_path / "b", encoder=ToyEncoder(dim=4096))
    assert not (tmp_path / "b" / "CURRENT").exists()


@pytest.mark.parametrize("name", ["t.parquet", "t.jsonl"])
def test_rows_of_one_document_are_its_parts(name: str, tmp_path: Path) -> None:
    ids = [f"paper{i % 3}" for i in range(40)]
    vectors = ToyEncoder().encode_passages(TEXTS)
    columns: dict[str, list[Any]] = {
        "doc_id": ids,
        "text": TEXTS,
        "title": ids,
        "section": [i // 36 for i in range(40)],
    }
    if name == "t.parquet":
        source = foreign(tmp_path / name, columns, vectors)
    else:
        records = [{key: column[i] for key, column in columns.items()} for i in range(40)]
        source = lines(tmp_path / name, [{**one, "vector": vectors[i].tolist()} for i, one in enumerate(records)])
    told = Told()
    report = import_passages(source, tmp_path / "b", encoder=ToyEncoder(), progress=told)
    assert (report.build.rejected, report.build.documents, report.build.passages) == ((), 3, 40)
    assert any("4 rows have another title or other further columns" in note for note in told.notes)
    with Searcher.open(tmp_path / "b", encoder=ToyEncoder()) as searcher:
        hit = searcher.search("number7", 1)[0]
        # Two parts are before it, each with the end of a line.
        assert (hit.doc_id, hit.start, hit.text) == ("paper1", len(TEXTS[1] + TEXTS[4]) + 2, TEXTS[7])
        assert hit.metadata == {"section": 0}


def test_ids_of_rows_may_not_repeat(tmp_path: Path) -> None:
    source = foreign(tmp_path / "t.parquet", {"id": [0, *range(39)], "doc_id": ["x"] * 40, "text": TEXTS})
    report = import_passages(source, tmp_path / "b", encoder=ToyEncoder())
    assert (report.build.documents, len(report.build.rejected)) == (39, 1)
    assert report.build.rejected[0].reason.startswith(f"{source}: row 2: the id '0' is used twice")


def test_bad_rows_at_the_end_of_a_long_file_take_no_longer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = ToyEncoder(dim=8).encode_passages(TEXTS).tolist()
    rows: list[Any] = [{"text": t, "vector": v} for t, v in zip(TEXTS, vectors, strict=True)]
    source = lines(tmp_path / "t.jsonl", [*rows, *({"text": "", "vector": vectors[0]} for _ in range(300))])
    source.write_text(source.read_text("utf-8").replace("\n", "\n\n"), "utf-8")
    n_read = 0
    read_really = decoding.read_lines

    def counting(path: Path, encoding: str) -> Iterator[Line]:
        nonlocal n_read
        for line in read_really(path, encoding):
            n_read += 1
            yield line

    monkeypatch.setattr("index.ready_lines.read_lines", counting)
    report = import_passages(source, tmp_path / "b", encoder=ToyEncoder(dim=8))
    assert [item.where for item in report.build.rejected] == [f"{source}:{2 * i + 1}" for i in range(40, 340)]
    assert n_read <= 3 * 2 * 340  # to look at the first, to compare and to read all


AWKWARD = {
    "fine": pa.array([1] * 40, pa.timestamp("ns")),
    "far": pa.array([[10**16]] * 40, pa.list_(pa.timestamp("ms"))),
    "zone": pa.array([{"at": 0}] * 40, pa.struct([("at", pa.timestamp("us", "Nowhere/At_All"))])),
    "day": pa.array([10**8] * 40, pa.date32()),
    "named": pa.array([[("a", 1)]] * 40, pa.map_(pa.string(), pa.int64())),
    "bytes": pa.array([b"x"] * 40).dictionary_encode(),
    "map": pa.array([[("a", b"x")]] * 40, pa.map_(pa.string(), pa.binary())),
    "view": pa.array([b"x"] * 40, pa.binary_view()),
}


def test_values_that_python_cannot_hold(tmp_path: Path) -> None:
    vectors = ToyEncoder(dim=64).encode_passages(TEXTS).tolist()
    pq.write_table(pa.table({"text": TEXTS, "vector": vectors, **AWKWARD}), tmp_path / "t.parquet")
    code = (
        "import sys\n"
        "class NotInstalled:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name in ('pandas', 'pytz'): raise ImportError(name)\n"
        "sys.meta_path.insert(0, NotInstalled())\n"
        "from index.importer import import_passages; from index.progress import Silent\n"
        "from tests.toys import ToyEncoder; from search.searcher import Searcher\n"
        "class Told(Silent):\n"
        "    def note(self, text): print(text)\n"
        f"out, toy = {str(tmp_path / 'b')!r}, ToyEncoder(dim=64)\n"
        f"report = import_passages({str(tmp_path / 't.parquet')!r}, out, encoder=toy, progress=Told())\n"
        "print(len(report.build.rejected), report.build.passages)\n"
        "import json; print(json.dumps(Searcher.open(out, encoder=toy).search('number5', 1)[0].metadata))"
    )
    result = run([sys.executable, "-c", code])
    assert result.returncode == 0, result.stderr.decode()
    *notes, counts, metadata = result.stdout.decode().splitlines()
    assert any("not read: bytes, map, view" in note for note in notes)
    assert counts == "0 40"
    assert json.loads(metadata) == {
        "fine": "1970-01-01T00:00:00.000000001",
        "far": ["10000000000000000 timestamp[ms]"],
        "zone": {"at": "0 timestamp[us, tz=Nowhere/At_All]"},
        "day": "100000000 date32[day]",
        "named": [["a", 1]],
    }


def test_a_text_that_is_no_utf8_is_one_row(tmp_path: Path) -> None:
    notes = pa.array([b"fine"] * 39 + [b"\xff\xfe"]).cast(pa.string(), safe=False)
    source = foreign(tmp_path / "t.parquet", {"text": TEXTS, "note": notes})
    report = import_passages(source, tmp_path / "b", encoder=ToyEncoder())
    assert [(item.where, "not UTF-8" in item.reason) for item in report.build.rejected] == [(f"{source}: row 40", True)]
    assert report.build.passages == 39
