"""The sample corpus, the demo built from it, and the one pinned quality of the offline model."""

from __future__ import annotations

import math
import unicodedata
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from index.encoder import PromptedEncoder
from index.language import detect_language
from index.sample_corpus import SAMPLES, read_questions
from search.cli import main
from search.searcher import Searcher

FILES = sorted(path for path in SAMPLES.rglob("*") if path.is_file())
EN_NDCG = 0.4724
"""Measured with the offline model: every relevant document is in another language than the question."""


def test_thirteen_documents_a_language() -> None:
    assert Counter(path.parent.name for path in FILES) == {"fa": 13, "lt": 13, "te": 13, "ur": 13}
    assert {path.suffix for path in FILES} == {".md", ".txt"}
    assert [path for path in FILES if path.parent.parent != SAMPLES] == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name[:2]}")
def test_a_document(path: Path) -> None:
    text = path.read_bytes().decode("utf-8")
    assert unicodedata.is_normalized("NFC", text)
    assert not text.startswith("\ufeff")
    assert "\r" not in text
    assert 150 <= len(text.split()) <= 400
    assert detect_language(text) == path.parent.name


def test_questions() -> None:
    questions = read_questions()
    assert Counter(question.lang for question in questions) == {"en": 12, "fa": 12, "lt": 12, "te": 12, "ur": 12}
    assert len({question.query_id for question in questions}) == 60
    assert len({question.text for question in questions}) == 60
    for question in questions:
        assert detect_language(question.text) == question.lang
        assert question.relevant
        assert len(set(question.relevant)) == len(question.relevant)
        assert all((SAMPLES / name).is_file() for name in question.relevant)
        assert unicodedata.is_normalized("NFC", question.text)


@pytest.fixture(scope="module")
def demo(offline_encoder: PromptedEncoder, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Searcher]:
    """An index of the samples, made by the command that shows them."""
    out = tmp_path_factory.mktemp("demo") / "index"
    result = CliRunner().invoke(main, ["demo", "--out", str(out)], prog_name="tongues")
    assert result.exit_code == 0
    assert f"{out}: 52 documents, " in result.stderr
    assert "not read" not in result.stderr
    for start in ("en  How can I get", "lt  Kaip mokomi", "ur  \u2068گاہکوں"):
        assert f"\n{start}" in result.stdout
    assert [result.stdout.count(f"── {lang} ──") for lang in ("fa", "lt", "te", "ur")] == [3, 3, 3, 3]
    assert f'tongues search --index {out} "your question' in result.stdout
    with Searcher.open(out, encoder=offline_encoder) as searcher:
        yield searcher


def best_documents(searcher: Searcher, texts: list[str]) -> list[list[str]]:
    """Return for each text the documents found, each where its best passage stands."""
    found = searcher.search_batch(texts, searcher.manifest.counts.passages)
    return [list(dict.fromkeys(hit.doc_id for hit in hits)) for hits in found]


def ndcg_at_10(documents: list[str], relevant: tuple[str, ...]) -> float:
    """Return nDCG@10 with binary relevance. Source: Järvelin and Kekäläinen 2002."""
    gains = (1 / math.log2(place + 1) for place, name in enumerate(documents[:10], 1) if name in relevant)
    return sum(gains) / sum(1 / math.log2(place + 1) for place in range(1, min(10, len(relevant)) + 1))


def test_english_questions_find_documents_in_other_languages(demo: Searcher) -> None:
    questions = [question for question in read_questions() if question.lang == "en"]
    found = best_documents(demo, [question.text for question in questions])
    each = [ndcg_at_10(documents, q.relevant) for documents, q in zip(found, questions, strict=True)]
    assert sum(each) / len(each) >= EN_NDCG - 0.01


def test_every_document_is_found_by_its_title(demo: Searcher) -> None:
    n = demo.manifest.counts.passages
    titles = {hit.doc_id: hit.title for hit in demo.search("title", n)}
    assert sorted(titles) == [path.relative_to(SAMPLES).as_posix() for path in FILES]
    found = best_documents(demo, list(titles.values()))
    assert [doc_id for doc_id, documents in zip(titles, found, strict=True) if doc_id not in documents[:3]] == []
