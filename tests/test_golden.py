"""Indexes written by earlier versions: each format this version claims to read is opened for ever."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from index.errors import QueryError
from index.layout import FAISS, files_of
from index.records import Document
from index.store import Store
from index.updater import update_documents
from index.verifier import verify
from search.rank_settings import Balance, RankSettings, Weights
from search.searcher import Searcher
from tests.builds import ROOT
from tests.toys import ToyEncoder

FORMAT_1 = ROOT / "tests" / "golden" / "format-1"
"""Three documents in the toy encoder of 64 numbers, written when the format was new. Never written again."""
FORMAT_2 = ROOT / "tests" / "golden" / "format-2"
"""Six documents in three languages, of one sentence to three, in the same encoder. Never written again."""
NUMBERS = Weights(balance=0.7, sentence_share=0.5, sentence_temperature=0.03, lexical=0.15, lexical_expected=0)
"""The numbers that the scores below were worked out with, whatever the defaults are now."""
RIVER = "In Kaunas the winter of 1941 was long and very cold."
PEARS = "Nobody has ever counted all of the green pears here."
NEMUNAS = "Nemunas teka per Kauną ir lėtai pasiekia Kuršių marias."
APPLES = "ఎర్రటి ఆపిల్ పండ్లు పాత తోటలో పెరుగుతాయి అని అందరికీ తెలుసు, 1941."
NOBODY = "పాత తోటలో ఎవరూ లేరు, నది గడ్డకట్టింది."
EXPECTED: dict[tuple[str, str], list[tuple[str, str, tuple[float, float, float]]]] = {
    ("hybrid", "auto"): [
        ("d2", RIVER, (0.300573, 0.053135, 0.052941)),
        ("d4", NEMUNAS, (0.350830, 0.010449, 0.026593)),
        ("d5", APPLES, (0.406447, -0.044790, 0.020026)),
        ("d1", PEARS, (0.181065, 0.050112, 0)),
        ("d6", NOBODY, (0.144338, -0.085294, 0)),
    ],
    ("dense", "off"): [
        ("d5", APPLES, (0.406313, 0, 0)),
        ("d4", NEMUNAS, (0.350777, 0, 0)),
        ("d2", RIVER, (0.300587, 0, 0)),
        ("d1", PEARS, (0.181125, 0, 0)),
        ("d6", NOBODY, (0.144338, 0, 0)),
    ],
    ("dense", "full"): [
        ("d2", RIVER, (0.300526, 0.072094, 0)),
        ("d4", NEMUNAS, (0.350833, 0.012252, 0)),
        ("d5", APPLES, (0.406450, -0.087719, 0)),
        ("d1", PEARS, (0.180863, 0.069880, 0)),
        ("d6", NOBODY, (0.144338, -0.132913, 0)),
    ],
    ("lexical", "auto"): [
        ("d2", "", (0, 0, 0.352941)),
        ("d4", "", (0, 0, 0.177284)),
        ("d5", "", (0, 0, 0.133510)),
    ],
}
"""By mode and balance: documents found for "river Kaunas 1941", their closest sentences, the parts of their scores."""


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
        first, second, third = store.documents.passages([0, 1, 2])
        assert store.documents.rejected() == [("letter.txt:3", "is broken")]
        assert store.documents.left_out() == [("green.txt", "d1", 16, 20, "template", "null")]
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


def test_format_1_has_no_words_to_search_by() -> None:
    with Searcher.open(FORMAT_1, encoder=ToyEncoder(dim=64)) as searcher:
        with pytest.raises(
            QueryError, match=r"format-1: written in format 1, which has no words to search by\. Search by"
        ):
            searcher.search("red apples", settings=RankSettings("lexical"))
        assert [hit.terms for hit in searcher.search("red apples", explain=True)] == [(), (), ()]


@pytest.mark.parametrize("balance", Balance)
@pytest.mark.parametrize("mode", ["dense", "hybrid"])
def test_format_1_is_ranked_by_cosines_in_every_other_mode(mode: str, balance: Balance) -> None:
    with Searcher.open(FORMAT_1, encoder=ToyEncoder(dim=64)) as searcher:
        hits = searcher.search("red apples", settings=RankSettings(mode, balance))
        assert len(searcher.search("red apples", per_language=5, settings=RankSettings(mode, balance))) == 3
    assert [hit.score for hit in hits] == pytest.approx([(2 / 3) ** 0.5, 0.5, 0], abs=1e-6)
    assert [(hit.dense, hit.balance, hit.lexical) for hit in hits] == [(hit.score, 0, 0) for hit in hits]
    assert [hit.highlight for hit in hits] == [(hit.start, hit.end) for hit in hits]


def test_format_2_is_whole() -> None:
    assert verify(FORMAT_2) == []
    files = [path for path in FORMAT_2.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 150_000
    assert len(files) == len(files_of(2, [""])) + 2


@pytest.mark.parametrize("asked", EXPECTED, ids="-".join)
def test_format_2_answers(asked: tuple[str, str]) -> None:
    settings = RankSettings(*asked, NUMBERS)
    with Searcher.open(FORMAT_2, encoder=ToyEncoder(dim=64)) as searcher:
        assert searcher.languages == ("en", "lt", "te")
        hits = searcher.search("river Kaunas 1941", settings=settings, explain=True)
        (only,) = searcher.search("river Kaunas 1941", lang="lt", settings=settings)
    assert [hit.doc_id for hit in hits] == [name for name, _, _ in EXPECTED[asked]]
    for hit, (_, sentence, parts) in zip(hits, EXPECTED[asked], strict=True):
        start, end = hit.highlight
        assert hit.text[start - hit.start : end - hit.start] == (sentence or hit.text)
        assert (hit.dense, hit.balance, hit.lexical) == pytest.approx(parts, abs=2e-6)
        assert hit.score == pytest.approx(sum(parts), abs=5e-6)
    terms = {hit.doc_id: hit.terms for hit in hits if hit.terms}
    words = {"d2": ("Kaunas", "1941", "river"), "d4": ("Kauną", "Kaunas"), "d5": ("1941",)}
    assert terms == ({} if settings.mode == "dense" else words)  # where words do not count, none is told
    assert (only.doc_id, only.score) == ("d4", next(hit.score for hit in hits if hit.doc_id == "d4"))


def test_format_2_tells_everything() -> None:
    with Store.open(FORMAT_2) as store:
        garden, river, *_ = store.documents.passages(range(5))
        assert store.documents.rejected() == [("empty.txt", "document 'd7' has no text left to index")]
        assert store.documents.left_out() == [("garden.md", "d1", 119, 123, "template", "null")]
        manifest = store.manifest
        offsets, sentences = store.offsets(), store.sentences()
    assert (manifest.format_version, manifest.balance, manifest.kind) == (2, 0.7, "flat")
    assert (manifest.counts.passages, manifest.counts.sentences, manifest.counts.duplicates) == (5, 9, 1)
    assert [(o.doc_id, o.start, o.end) for o in river.occurrences] == [("d2", 0, 165), ("d3", 0, 165)]
    assert river.metadata == {"year": 1941, "by": "Ąžuolas"}
    assert (garden.occurrences[0].title, garden.context) == ("The garden", "")
    assert offsets.shape == (3, 64)
    assert sentences is not None
    assert [len(sentences.of(np.array([row])).vectors) for row in range(5)] == [2, 3, 2, 2, 0]


def test_format_2_is_not_written_to() -> None:
    before = {path: path.stat().st_mtime_ns for path in FORMAT_2.rglob("*")}
    for asked in EXPECTED:
        test_format_2_answers(asked)
    test_format_2_tells_everything()
    assert {path: path.stat().st_mtime_ns for path in FORMAT_2.rglob("*")} == before


FORMAT_3 = ROOT / "tests" / "golden" / "format-3"
"""The documents of format 2 with some more, and an update: two segments, two dead rows. Never written again."""
EXPECTED_3: dict[tuple[str, str], list[tuple[str, tuple[float, float, float]]]] = {
    ("hybrid", "auto"): [
        ("d2", (0.300573, 0.053135, 0.044118)),
        ("d5", (0.406447, -0.044790, 0.023975)),
        ("d8", (0.278082, 0.040009, 0.037509)),
        ("d4", (0.235616, 0.013862, 0.018494)),
        ("d1", (0.181910, 0.050534, 0)),
    ],
    ("dense", "off"): [
        ("d5", (0.406313, 0, 0)),
        ("d2", (0.300587, 0, 0)),
        ("d8", (0.278081, 0, 0)),
        ("d4", (0.235615, 0, 0)),
        ("m1", (0.182574, 0, 0)),
    ],
    ("dense", "full"): [
        ("d2", (0.300526, 0.072094, 0)),
        ("d8", (0.278082, 0.052322, 0)),
        ("d5", (0.406450, -0.087719, 0)),
        ("d4", (0.235616, 0.017905, 0)),
        ("d1", (0.181801, 0.070539, 0)),
    ],
    ("lexical", "auto"): [
        ("d2", (0, 0, 0.294118)),
        ("d8", (0, 0, 0.250063)),
        ("d5", (0, 0, 0.159833)),
        ("d4", (0, 0, 0.123292)),
    ],
}
"""By mode and balance: the documents found first for "river Kaunas 1941", and the parts of their scores."""


def test_format_3_is_whole() -> None:
    assert verify(FORMAT_3) == []
    files = [path for path in FORMAT_3.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 150_000
    assert len(files) == len(files_of(3, ["s000001", "s000002"])) + 2


@pytest.mark.parametrize("asked", EXPECTED_3, ids="-".join)
def test_format_3_answers(asked: tuple[str, str]) -> None:
    before = {path: path.stat().st_mtime_ns for path in FORMAT_3.rglob("*")}
    settings = RankSettings(*asked, NUMBERS)
    with Searcher.open(FORMAT_3, encoder=ToyEncoder(dim=64)) as searcher:
        assert searcher.languages == ("en", "lt", "te")
        hits = searcher.search("river Kaunas 1941", 5, settings=settings)
    assert [hit.doc_id for hit in hits] == [name for name, _ in EXPECTED_3[asked]]
    for hit, (_, parts) in zip(hits, EXPECTED_3[asked], strict=True):
        assert (hit.dense, hit.balance, hit.lexical) == pytest.approx(parts, abs=2e-6)
    assert {path: path.stat().st_mtime_ns for path in FORMAT_3.rglob("*")} == before


def test_format_3_tells_everything() -> None:
    with Store.open(FORMAT_3) as store:
        manifest = store.manifest
        assert store.dead_rows().tolist() == [2, 5]
        texts = [one.text for one in store.documents.passages([1, 9, 10])]
        assert store.documents.rejected() == [("empty.txt", "document 'd7' has no text left to index")]
        assert store.documents.left_out() == [("garden.md", "d1", 120, 124, "template", "null")]
        sentences = store.sentences()
        assert sentences is not None
        assert sentences.counts(np.array([1, 9, 10])).tolist() == [3, 2, 2]
    assert [(one.name, one.rows, one.sentences, one.kind) for one in manifest.segments] == [
        ("s000001", 9, 9, "flat"),
        ("s000002", 2, 4, "flat"),
    ]
    counts = manifest.counts
    assert (manifest.format_version, counts.documents, counts.passages, counts.duplicates) == (3, 10, 9, 1)
    assert counts.languages == {"en": 6, "lt": 1, "te": 2}
    assert [text.split(".")[0] for text in texts] == [
        "In Kaunas the winter of 1941 was long and very cold",
        "The river by Kaunas has had a bridge since 1930",
        "Nemunas teka per Kauną",
    ]


def test_format_3_can_be_updated(tmp_path: Path) -> None:
    out = Path(shutil.copytree(FORMAT_3, tmp_path / "index"))
    toy = ToyEncoder(dim=64)
    report = update_documents(out, [Document("d9", "9.txt", "One more river.", lang="en")], encoder=toy)
    assert (report.new, report.embedded, toy.encoded) == (1, 1, ["One more river."])
    assert verify(out) == []
