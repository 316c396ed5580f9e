"""Indexes written by earlier versions: each format this version claims to read is opened for ever."""

from __future__ import annotations

from pathlib import Path

import pytest

from index.store import FAISS, Store, verify
from search.searcher import Searcher
from tests.builds import ROOT
from tests.toys import ToyEncoder

FORMAT_1 = ROOT / "tests" / "golden" / "format-1"
"""Three documents in the toy encoder of 64 numbers, written when the format was new. Never written again."""


def test_format_1_is_whole() -> None:
    assert verify(FORMAT_1) == []
    assert sum(path.stat().st_size for path in FORMAT_1.rglob("*") if path.is_file()) < 100_000


def test_format_1_is_in_the_repository() -> None:
    ignored = (ROOT / ".gitignore").read_text("utf-8").splitlines()
    assert ignored.index("!tests/golden/**") > ignored.index("*.faiss")
    assert len(list(FORMAT_1.rglob(FAISS))) == 1


@pytest.mark.parametrize("lang", [None, "en", "te"])
def test_format_1_answers(lang: str | None) -> None:
    with Searcher.open(FORMAT_1, encoder=ToyEncoder(dim=64)) as searcher:
        assert searcher.languages == ("en", "lt", "te")
        hits = searcher.search("red apples", 3, lang=lang)
    expected = [
        ("green.txt", "red apples grow", (2 / 3) ** 0.5, 2),
        ("trees.txt", "red ąžuolai", 0.5, 1),
        ("te.txt", "తెలుగు\0😀", 0, 1),
    ]
    wanted = {None: expected, "en": expected[:1], "te": expected[2:]}[lang]
    assert [(hit.source, hit.text, hit.n_places) for hit in hits] == [(s, text, n) for s, text, _, n in wanted]
    assert [hit.score for hit in hits] == pytest.approx([score for _, _, score, _ in wanted], abs=1e-6)


def test_format_1_tells_everything() -> None:
    with Store.open(FORMAT_1) as store:
        first, second, third = store.passages([0, 1, 2])
        assert store.rejected() == [("letter.txt:3", "is broken")]
        assert store.left_out() == [("green.txt", "d1", 16, 20, "template", "null")]
        assert store.manifest.format_version == 1
        assert store.manifest.counts.documents == 4
    assert [(o.source, o.doc_id, o.start, o.end) for o in first.occurrences] == [
        ("green.txt", "d1", 0, 15),
        ("again.txt", "d4", 0, 15),
    ]
    assert (second.occurrences[0].title, second.metadata) == ("Medžiai", {"year": 1999, "by": "Ąžuolas"})
    assert (third.text, third.lang) == ("తెలుగు\0😀", "te")


def test_format_1_is_not_written_to(tmp_path: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in FORMAT_1.rglob("*")}
    test_format_1_answers(None)
    assert {path: path.stat().st_mtime_ns for path in FORMAT_1.rglob("*")} == before
