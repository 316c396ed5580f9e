"""The searcher with an encoder whose scores are worked out by hand."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from index.errors import EncoderMismatchError, ModelError, NoIndexError, QueryError, StoreError
from index.layout import CURRENT
from index.records import Document
from search.hits import Hit
from search.rank_settings import RankSettings
from search.searcher import Searcher
from tests.builds import documents, make_index
from tests.toys import ToyEncoder

FRUIT = [
    Document("1", "en.txt", "red apple red", lang="en", metadata={"year": 1999}),
    Document("2", "en.txt", "green apple", lang="en"),
    Document("3", "lt.txt", "red pear tree wood", title="", lang="lt"),
    Document("4", "lt.txt", "blue plum", lang="lt"),
    Document("5", "pt.txt", "apple", lang="pt-BR"),
    Document("6", "copy.txt", "green apple", lang="en", title="A copy"),
    Document("7", "copy.txt", "green apple", lang="en"),
]

COSINES = RankSettings("dense", "off")
"""What makes a score the cosine of two vectors."""


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("fruit") / "index"
    make_index(out, FRUIT)
    return out


@pytest.fixture(scope="module")
def searcher(directory: Path) -> Searcher:
    return Searcher.open(directory, encoder=ToyEncoder())


def ids(hits: list[Hit]) -> list[str]:
    return [hit.doc_id for hit in hits]


def test_scores_and_order(searcher: Searcher) -> None:
    hits = searcher.search("red apple", settings=COSINES)
    assert ids(hits) == ["1", "5", "2", "3", "6", "4"]
    # Cosines of word counts; the model reads document 6 with its title, "A copy". Equal scores stand by row.
    expected = [3 / 10**0.5, 1 / 2**0.5, 1 / 2, 1 / 8**0.5, 1 / 8**0.5, 0]
    assert [hit.score for hit in hits] == pytest.approx(expected, abs=1e-6)
    assert [hit.rank for hit in hits] == [1, 2, 3, 4, 5, 6]
    assert [(hit.dense, hit.balance, hit.lexical) for hit in hits] == [(hit.score, 0, 0) for hit in hits]


def test_a_hit_tells_everything(searcher: Searcher) -> None:
    first, second = searcher.search("Apple, green!", 2, settings=COSINES, explain=True)
    assert first == Hit(
        query="Apple, green!",
        rank=1,
        score=first.score,
        lang="en",
        source="en.txt",
        doc_id="2",
        title="",
        passage_id=first.passage_id,
        start=0,
        end=11,
        text="green apple",
        metadata={},
        also_in=first.also_in,
        n_places=2,
        highlight=(0, 11),
        dense=first.score,
        balance=0.0,
        lexical=0.0,
        terms=(),
    )
    assert searcher.search("Apple, green!", 1, explain=True)[0].terms == ("green", "apple")
    assert isinstance(first.score, float)
    assert first.score == pytest.approx(1)
    assert [(place.source, place.doc_id, place.start, place.end) for place in first.also_in] == [
        ("copy.txt", "7", 0, 11)
    ]
    assert second.rank == 2
    assert len(first.passage_id) == 20
    assert searcher.search("red apple", 1)[0].metadata == {"year": 1999}
    assert list(first.to_dict()) == [field.name for field in dataclasses.fields(Hit)]
    assert first.to_dict()["also_in"] == [{"source": "copy.txt", "doc_id": "7", "title": "", "start": 0, "end": 11}]


@pytest.mark.parametrize("k", range(1, 9))
def test_hits_at_k_are_a_prefix(searcher: Searcher, k: int) -> None:
    hits = searcher.search("red apple tree", k)
    assert hits == searcher.search("red apple tree", 100)[:k]
    assert [hit.rank for hit in hits] == list(range(1, min(k, 6) + 1))


@pytest.mark.parametrize(
    ("lang", "expected"),
    [
        ("lt", ["3", "4"]),
        ("LT", ["3", "4"]),
        (" lt ", ["3", "4"]),
        (["lt"], ["3", "4"]),
        (["pt-BR", "lt", "lt"], ["5", "3", "4"]),
        ("pt-br", ["5"]),
        ("pt", ["5"]),
        ("pt,lt", ["5", "3", "4"]),
        (None, ["1", "5", "2", "3", "6", "4"]),
    ],
)
def test_languages_filter(searcher: Searcher, lang: str | list[str] | None, expected: list[str]) -> None:
    hits = searcher.search("red apple", lang=lang)
    assert ids(hits) == expected
    unfiltered = {hit.doc_id: hit.score for hit in searcher.search("red apple")}
    assert [hit.score for hit in hits] == [unfiltered[hit.doc_id] for hit in hits]


@pytest.mark.parametrize("lang", ["te", "", "en,te", "p", ["en", "te"], ["en", ""], []])
def test_a_language_that_is_not_there_is_told_with_those_that_are(searcher: Searcher, lang: str | list[str]) -> None:
    with pytest.raises(QueryError, match=r"hold.* en, lt, pt-BR"):
        searcher.search("red", lang=lang)


def test_per_language_groups_by_the_best_hit(searcher: Searcher) -> None:
    hits = searcher.search("pear plum blue", per_language=2, settings=COSINES)
    assert [(hit.lang, hit.rank, hit.doc_id) for hit in hits] == [
        ("lt", 1, "4"),
        ("lt", 2, "3"),
        ("en", 1, "1"),
        ("en", 2, "2"),
        ("pt-BR", 1, "5"),
    ]
    assert ids(searcher.search("apple", per_language=1, settings=COSINES)) == ["5", "2", "3"]
    assert ids(searcher.search("apple", per_language=1, lang=["lt", "en"], settings=COSINES)) == ["2", "3"]


def test_a_batch_is_each_query_alone(searcher: Searcher) -> None:
    queries = ["red apple", "plum", "nothing known", "green", "red apple"] * 120  # more than are searched at once
    assert searcher.search_batch(queries, 3) == [searcher.search(query, 3) for query in queries]
    some = queries[:5]
    assert searcher.search_batch(some, per_language=2) == [searcher.search(query, per_language=2) for query in some]
    assert searcher.search_batch(some, 2, lang="lt") == [searcher.search(query, 2, lang="lt") for query in some]
    assert searcher.search_batch([]) == []


@pytest.mark.parametrize("query", ["", " ", "\n\t", "\u3000"])
def test_an_empty_query(searcher: Searcher, query: str) -> None:
    with pytest.raises(QueryError, match=r"^the query is empty; ask with at least one word"):
        searcher.search(query)
    with pytest.raises(QueryError, match="query 2 of 3 is empty"):
        searcher.search_batch(["red", query, "apple"])


def test_numbers_below_one(searcher: Searcher) -> None:
    for k in (0, -1):
        with pytest.raises(QueryError, match=f"k is {k}; ask for at least 1"):
            searcher.search("red", k)
        with pytest.raises(QueryError, match=f"per_language is {k}"):
            searcher.search("red", per_language=k)


def test_a_very_long_query_is_answered_and_told(searcher: Searcher) -> None:
    query = "apple " * 1667
    assert ids(searcher.search(query, 1)) == ["5"]
    assert searcher.unread_tokens(query) == 1667 - 64
    assert searcher.unread_tokens("red apple") == 0


def test_odd_queries_are_answered(searcher: Searcher) -> None:
    for query in ("\0", "?", "\u200f\u200f", "\ud800", "'; DROP TABLE passages", "😀"):
        assert len(searcher.search(query, 3)) == 3


def test_what_the_searcher_tells_of_its_index(searcher: Searcher) -> None:
    assert searcher.languages == ("en", "lt", "pt-BR")
    assert searcher.manifest.counts.passages == 6
    assert searcher.detect_language("పుస్తకం ఎక్కడ ఉంది") == "te"


def test_another_encoder_is_refused_and_the_difference_named(directory: Path) -> None:
    with pytest.raises(EncoderMismatchError) as told:
        Searcher.open(directory, encoder=ToyEncoder(weights_hash="other", max_tokens=32))
    message = str(told.value)
    assert str(directory) in message
    assert "weights_hash 'toy' then, 'other' now; max_tokens 64 then, 32 now" in message
    assert "--model" in message
    assert "dim" not in message


def test_the_same_weights_under_another_name_are_accepted(directory: Path) -> None:
    moved = ToyEncoder()
    moved.fingerprint = dataclasses.replace(moved.fingerprint, model="/elsewhere/toy")
    with Searcher.open(directory, encoder=moved) as searcher:
        assert ids(searcher.search("plum", 1)) == ["4"]


def test_a_model_that_is_gone_is_told(directory: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError):
        Searcher.open(directory, model=str(tmp_path / "gone"))


def test_no_index(tmp_path: Path) -> None:
    with pytest.raises(NoIndexError, match="tongues build"):
        Searcher.open(tmp_path / "nothing", encoder=ToyEncoder())
    assert not (tmp_path / "nothing" / CURRENT).exists()


def test_passages_of_unknown_language(tmp_path: Path) -> None:
    make_index(tmp_path, [*documents("12 34 56", lang=""), *documents("red apple", lang="en")[:0], FRUIT[0]])
    with Searcher.open(tmp_path, encoder=ToyEncoder()) as searcher:
        assert searcher.languages == ("en", "und")
        assert [hit.text for hit in searcher.search("12", lang="und")] == ["12 34 56"]


def test_a_real_model_answers_by_its_folder(tiny_model: Path, tmp_path: Path) -> None:
    from index.builder import build_documents
    from index.config import BuildSettings, ModelSettings

    settings = BuildSettings(model=ModelSettings(name=str(tiny_model)))
    build_documents(documents("red apples grow", "kitas sakinys"), tmp_path / "index", settings=settings)
    with Searcher.open(tmp_path / "index") as searcher:
        (hit,) = searcher.search("red apples grow", 1, settings=COSINES)
        assert hit.text == "red apples grow"
        assert hit.score == pytest.approx(1, abs=1e-5)
        assert searcher.unread_tokens("word " * 2000) > 7900
        assert len(searcher.search("word " * 2000, 5)) == 2
    with pytest.raises(EncoderMismatchError):
        Searcher.open(tmp_path / "index", encoder=ToyEncoder())


def test_one_text_is_no_batch(searcher: Searcher) -> None:
    with pytest.raises(TypeError, match="takes a list"):
        searcher.search_batch("red")


def test_a_closed_index_says_so(directory: Path) -> None:
    closed = Searcher.open(directory, encoder=ToyEncoder())
    closed.close()
    with pytest.raises(StoreError, match=r"was closed\. Open it again\.$"):
        closed.search("red")
