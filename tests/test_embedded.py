"""What has been embedded is found again by its text, for the same encoder alone, and never from damaged files."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from index import pipeline
from index.builder import build_documents
from index.config import BuildSettings, ChunkSettings
from index.embedded import Embedded, encode_batch, vector_fingerprint
from index.layout import EMBEDDED
from index.progress import SILENT, Progress
from index.records import Document
from index.store import Store
from index.vectors import to_int8
from index.verifier import verify
from tests.builds import documents, make_index
from tests.same import content
from tests.toys import ToyEncoder

if TYPE_CHECKING:
    from index.records import Vectors

TEXTS = [f"This is number{i} of the first kind. It has another sentence number{i}." for i in range(20)]


class Failing(ToyEncoder):
    """Ends after some batches, as a program that is killed does."""

    def __init__(self, n_batches: int) -> None:
        super().__init__()
        self.n_left = n_batches

    def encode_passages(self, texts: Sequence[str], progress: Progress = SILENT) -> Vectors:
        if not self.n_left:
            raise RuntimeError("killed")
        self.n_left -= 1
        return super().encode_passages(texts, progress)


@pytest.fixture(autouse=True)
def _small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "BATCH_PASSAGES", 5)


@pytest.fixture
def broken(tmp_path: Path) -> tuple[Path, list[str]]:
    """A first build that ended after two batches, and what these embedded."""
    failing = Failing(2)
    with pytest.raises(RuntimeError, match="killed"):
        make_index(tmp_path / "index", documents(*TEXTS), failing)
    return tmp_path / "index", failing.encoded


def batches(out: Path) -> list[Path]:
    return sorted((out / EMBEDDED).rglob("*.npz"))


def test_a_build_goes_on_after_its_last_batch(broken: tuple[Path, list[str]], tmp_path: Path) -> None:
    out, done = broken
    assert len(done) == 2 * 5 * 3
    assert len(batches(out)) == 2
    toy = ToyEncoder()
    report = make_index(out, documents(*TEXTS), toy)
    assert (report.passages, report.embedded) == (20, 10)
    assert not set(toy.encoded) & set(done)
    assert not (out / EMBEDDED).exists()
    make_index(tmp_path / "fresh", documents(*TEXTS))
    assert content(out) == content(tmp_path / "fresh")


def test_it_goes_on_again_and_again(tmp_path: Path) -> None:
    encoded: list[str] = []
    for n in range(4):
        failing = Failing(1)
        with pytest.raises(RuntimeError, match="killed"):
            make_index(tmp_path, documents(*TEXTS, "one more"), failing)
        encoded += failing.encoded
        assert len(batches(tmp_path)) == n + 1
    toy = ToyEncoder()
    make_index(tmp_path, documents(*TEXTS, "one more"), toy)
    assert toy.encoded == ["one more"]
    assert len(encoded) == len(set(encoded)) == 60


def flip(content: bytes) -> bytes:
    at = len(content) // 2
    return content[:at] + bytes([content[at] ^ 255]) + content[at + 1 :]


def other_numbers(_: bytes) -> bytes:
    return encode_batch(["x"], np.ones((1, 3), np.float32), [], np.empty((0, 3), np.int8))


def no_numbers(_: bytes) -> bytes:
    vectors = np.full((1, 512), np.nan, np.float32)
    return encode_batch([TEXTS[0]], vectors, [], np.empty((0, 512), np.int8))


@pytest.mark.parametrize(
    "damage",
    [flip, other_numbers, no_numbers, lambda c: b"", lambda c: c[: len(c) // 2], lambda c: c[:-1], lambda c: b"text"],
    ids=["flipped", "other numbers", "no numbers", "empty", "half", "cut", "foreign"],
)
def test_damaged_batches_are_embedded_again(
    damage: Callable[[bytes], bytes], broken: tuple[Path, list[str]], tmp_path: Path
) -> None:
    out, done = broken
    first, _ = batches(out)
    first.write_bytes(damage(first.read_bytes()))
    toy = ToyEncoder()
    report = make_index(out, documents(*TEXTS), toy)
    assert report.embedded == 15
    assert set(done[:15]) <= set(toy.encoded)
    assert not set(done[15:]) & set(toy.encoded)
    make_index(tmp_path / "fresh", documents(*TEXTS))
    assert content(out) == content(tmp_path / "fresh")


def test_strange_files_among_the_batches_do_no_harm(broken: tuple[Path, list[str]]) -> None:
    out, done = broken
    folder = batches(out)[0].parent
    (folder / "notes.npz").write_text("x")
    (folder / "00000007.npz").mkdir()
    (folder / ".00000002.npz-half").write_bytes(b"half")
    toy = ToyEncoder()
    assert make_index(out, documents(*TEXTS), toy).embedded == 10
    assert not set(toy.encoded) & set(done)
    assert verify(out) == []


def test_vectors_of_an_index_go_on_into_the_next(tmp_path: Path) -> None:
    make_index(tmp_path, documents(*TEXTS))
    toy = ToyEncoder()
    report = make_index(tmp_path, documents(*TEXTS[5:], "something new"), toy)
    assert (report.embedded, toy.encoded) == (1, ["something new"])
    settings = BuildSettings(chunking=ChunkSettings(max_tokens=16))
    long = [Document("1", "s", " ".join(TEXTS), lang="en")]
    report = build_documents(long, tmp_path, settings=settings, encoder=(toy := ToyEncoder()))
    known = {sentence + "." for text in TEXTS[5:] for sentence in text.rstrip(".").split(". ")}
    assert report.passages > 1
    assert not known & set(toy.encoded)  # cut elsewhere, the sentences are the same
    with Store.open(tmp_path) as store:
        rows = range(store.n_rows)
        texts = [one.model_text for one in store.documents.passages(rows)]
        np.testing.assert_array_equal(store.vectors()[:], ToyEncoder().encode_passages(texts))


def test_other_encoders_get_nothing(tmp_path: Path, broken: tuple[Path, list[str]]) -> None:
    out, _ = broken
    other = ToyEncoder(weights_hash="other")
    assert make_index(out, documents(*TEXTS), other).embedded == 20
    assert make_index(out, documents(*TEXTS), ToyEncoder()).embedded == 10  # its own batches are still there


@pytest.mark.parametrize(
    ("changed", "is_same"),
    [
        ({"model": "elsewhere"}, True),
        ({"query_prompt": "query: "}, True),
        ({"weights_hash": "x"}, False),
        ({"pooling": "mean"}, False),
        ({"passage_prompt": "passage: "}, False),
        ({"precision": "int8"}, False),
        ({"max_tokens": 7}, False),
    ],
)
def test_what_decides_the_vectors(changed: dict[str, object], is_same: bool, tmp_path: Path) -> None:
    made = ToyEncoder().fingerprint
    other = dataclasses.replace(made, **changed)  # type: ignore[arg-type]
    assert (vector_fingerprint(made) == vector_fingerprint(other)) == is_same
    vectors = ToyEncoder().encode_passages(["text"])
    Embedded(tmp_path, made).keep(["text"], vectors, ["text"], to_int8(vectors))
    found, values = Embedded(tmp_path, other).passages(["none", "text"])
    assert found.tolist() == [False, is_same]
    assert values.any() == is_same
    assert Embedded(tmp_path, other).sentences(["text", "none"])[0].tolist() == [is_same, False]


def test_a_damaged_index_gives_nothing(tmp_path: Path) -> None:
    make_index(tmp_path, documents(*TEXTS))
    with Store.open(tmp_path) as store:
        path = store.folder / "s000001" / "vectors.npy"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    assert make_index(tmp_path, documents(*TEXTS)).embedded == 20
    assert verify(tmp_path) == []


def test_numbers_that_are_none_are_not_kept(tmp_path: Path) -> None:
    class Nan(ToyEncoder):
        def encode_passages(self, texts: Sequence[str], progress: Progress = SILENT) -> Vectors:
            vectors = super().encode_passages(texts, progress)
            vectors[-1] = np.nan  # of a sentence
            return vectors

    with pytest.raises(ValueError, match="not finite"):
        make_index(tmp_path, documents(*TEXTS), Nan())
    assert batches(tmp_path) == []
