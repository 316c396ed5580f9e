"""Ranking among thousands of passages in several languages: against scoring all of them, filtered, and by k."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from index.builder import build_documents
from index.config import BuildSettings, IndexKind
from index.encoder import Fingerprint
from index.progress import SILENT, Progress
from index.records import Document
from index.store import Store
from index.updater import update_documents
from index.vectors import unit_rows
from search.hits import Hit
from search.rank_settings import Balance, Mode, RankSettings, Weights
from search.searcher import Searcher

if TYPE_CHECKING:
    from index.records import Vectors

DIM = 32
LANGS = ["en", "fa-IR", "lt", "te"]
OFFSETS = 0.9 * unit_rows(np.random.default_rng(5).normal(size=(4, DIM)))
"""Where the languages stand apart: nearly as far as texts of one language do from each other."""
PARALLEL = {lang[:2]: offset for lang, offset in zip(LANGS, OFFSETS, strict=True)}
N = 3000
N_RARE = 17
"""Passages of the language that has fewest."""
KS = [1, 10, 49, 50, 51, 120]


class RandomEncoder:
    """Gives every text a random vector of its own, moved by the offset of the language its first word begins with."""

    fingerprint = Fingerprint("random", dim=DIM, max_tokens=512)
    passage_tokens = query_tokens = 512

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return [len(text.split()) for text in texts]

    def encode_passages(self, texts: Sequence[str], progress: Progress = SILENT) -> Vectors:
        progress.advance(len(texts))
        return self.encode_queries(texts)

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        return unit_rows(np.array([vector_of(text) for text in texts]))


class SentenceEncoder(RandomEncoder):
    """Reads sentences whatever they begin with, and whole passages as the mean of their parts."""

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        return unit_rows(
            np.array([np.mean([vector_of("en " + part) for part in text.split(". ")], axis=0) for text in texts])
        )


@lru_cache(None)
def vector_of(text: str) -> NDArray[np.float64]:
    code = next(i for i, lang in enumerate(LANGS) if text.startswith(lang[:2]))
    return np.asarray(OFFSETS[code] + np.random.default_rng(list(text.encode())).normal(size=DIM) / DIM**0.5)


def lang_of(number: int) -> str:
    """Return the language of a document: the last one is rare."""
    return LANGS[3] if number < N_RARE else LANGS[number % 3]


def words(number: int) -> str:
    """Return words, few of them frequent and many rare."""
    chance = np.random.default_rng(number)
    return " ".join(f"w{min(int(word), 500)}" for word in chance.zipf(1.5, 6))


QUERIES = [f"{lang[:2]} asks {number} w{number} w{3 * number}" for number, lang in enumerate(LANGS * 3)]


KEPT = ["flat", "pq", "hnsw", "ivf-sq", "ivf-pq", "segments", "milvus"]
"""Kinds of vector index; several segments of an index that was updated; and an index in Milvus."""


@pytest.fixture(scope="module", params=KEPT)
def searcher(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Searcher]:
    folder = tmp_path_factory.mktemp("many")
    out = folder / "index"
    made = [Document(str(i), f"{i}.txt", f"{lang_of(i)[:2]} {i} {words(i)}", lang=lang_of(i)) for i in range(N)]
    kind = request.param if request.param in set(IndexKind) else "flat"
    store = f"milvus:{folder / 'm.db'}" if request.param == "milvus" else ""
    parts = [made[:2400], made[2400:2900], made[2900:]] if request.param == "segments" else [made]
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("index.builder.parallel_means", lambda *args: PARALLEL)
        build_documents(parts[0], out, encoder=RandomEncoder(), settings=BuildSettings(kind=kind, store=store))
        for part in parts[1:]:
            update_documents(out, part, encoder=RandomEncoder())
    with Searcher.open(out, encoder=RandomEncoder()) as opened:
        assert (opened.manifest.kind, len(opened.manifest.segments)) == (kind, len(parts))
        assert bool(opened.manifest.store) == bool(store)
        yield opened


def exhaustive(searcher: Searcher, query: str, settings: RankSettings) -> NDArray[np.float64]:
    """Return the scores of all rows, with vectors made for the strength that is asked for."""
    asked = RandomEncoder().encode_queries([query])[0]
    offsets = OFFSETS - OFFSETS.mean(axis=0)
    with Store.open(searcher._store.directory) as store:
        taken = settings.strength * offsets[store.lang_codes]
        with contextlib.closing(store.open_passages(to_search=False)) as passages:
            rest = passages.vectors(np.arange(N)) - taken
        scores = rest @ asked / np.linalg.norm(rest, axis=1)
        lexical = store.lexical()
        if settings.mode == Mode.HYBRID and lexical is not None:
            of_query, numbers = lexical.query(query), settings.weights
            expected = numbers.lexical_expected * of_query.coverage[store.lang_codes]
            scores += numbers.lexical * (of_query.all_scores() - expected)
    return np.asarray(scores, np.float64)


def numbers_of(hits: Sequence[Hit]) -> list[int]:
    """Return the rows of hits: documents are named by their numbers, one passage each."""
    return [int(hit.doc_id) for hit in hits]


@pytest.mark.parametrize("mode", ["dense", "hybrid"])
@pytest.mark.parametrize("balance", Balance)
def test_the_hits_are_those_of_scoring_all_passages(mode: str, balance: Balance, searcher: Searcher) -> None:
    settings = RankSettings(mode, balance)
    same = []
    for query in QUERIES:
        scores = exhaustive(searcher, query, settings)
        order = np.lexsort((np.arange(N), -scores))
        for k in (1, 10, 50):
            hits = searcher.search(query, k, settings=settings)
            assert len(hits) == k
            assert [hit.score for hit in hits] == pytest.approx(scores[numbers_of(hits)].tolist(), abs=1e-5)
            same.append(len(set(numbers_of(hits)) & set(order[:k].tolist())) / k)
    # Candidates are found in the balance of the index: only in another one may some of the last hits be missed.
    assert np.mean(same) == 1 if (searcher.manifest.kind, balance) == ("flat", "auto") else np.mean(same) > 0.99


def test_the_balance_lets_other_languages_come_forward(searcher: Searcher) -> None:
    own = {}
    for balance in Balance:
        settings = RankSettings("dense", balance)
        found = [searcher.search(query, 20, settings=settings) for query in QUERIES]
        own[str(balance)] = np.mean([hit.lang[:2] == hit.query[:2] for hits in found for hit in hits])
    assert own["off"] > own["auto"] + 0.2 > own["full"] + 0.2
    assert own["full"] < 0.45


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    asked=st.sampled_from(QUERIES),
    k=st.integers(1, 121),
    mode=st.sampled_from(["dense", "hybrid", "lexical"]),
    balance=st.sampled_from(list(Balance)),
    lang=st.sampled_from([None, "te", "en,te", "fa"]),
)
def test_hits_at_k_are_a_prefix_of_hits_at_one_more(
    asked: str, k: int, mode: str, balance: Balance, lang: str | None, searcher: Searcher
) -> None:
    # In another balance than that of the index, more hits than 50 are chosen from more candidates.
    assume(balance == Balance.AUTO or mode == "lexical" or k < 50)
    settings = RankSettings(mode, balance)
    fewer = searcher.search(asked, k, lang=lang, settings=settings)
    more = searcher.search(asked, k + 1, lang=lang, settings=settings)
    assert more[: len(fewer)] == fewer
    assert [hit.rank for hit in more] == list(range(1, len(more) + 1))


@pytest.mark.parametrize("mode", ["dense", "hybrid"])
@pytest.mark.parametrize("balance", Balance)
def test_never_fewer_than_there_are(mode: str, balance: Balance, searcher: Searcher) -> None:
    settings = RankSettings(mode, balance)
    counts = searcher.manifest.counts.languages
    assert counts["te"] == N_RARE
    # Requests to Milvus are many here, and each takes its time.
    for query in QUERIES[: 1 if searcher.manifest.store else 4]:
        for k in (1, 50, 1100) if searcher.manifest.store else (*KS, 1100):
            assert len(searcher.search(query, k, settings=settings)) == k
            for lang in LANGS:
                hits = searcher.search(query, k, lang=lang, settings=settings)
                assert len(hits) == min(k, counts[lang])
                assert {hit.lang for hit in hits} == {lang}
            grouped = searcher.search(query, per_language=k, settings=settings)
            assert {lang: sum(hit.lang == lang for hit in grouped) for lang in LANGS} == {
                lang: min(k, counts[lang]) for lang in LANGS
            }
    assert len(searcher.search(QUERIES[0], 10**9, settings=settings)) == N


def test_lexical_hits_are_all_that_hold_a_word(searcher: Searcher) -> None:
    hits = searcher.search("w77 w123", 10**6, settings=RankSettings("lexical"))
    held = [i for i in range(N) if {"w77", "w123"} & set(words(i).split())]
    assert sorted(numbers_of(hits)) == held
    rare = searcher.search("w1 w2", 10**6, lang="te", settings=RankSettings("lexical"))
    assert sorted(numbers_of(rare)) == [i for i in range(N_RARE) if {"w1", "w2"} & set(words(i).split())]


def test_what_only_words_find_is_found(searcher: Searcher) -> None:
    # The rarest words lead to passages that are nowhere near by meaning.
    by_words = RankSettings(weights=Weights(lexical=9))
    for i in range(100, 140):
        query = f"{lang_of(i + 1)[:2]} {i} {words(i)}"
        assert numbers_of(searcher.search(query, 1, settings=by_words)) == [i]
        assert numbers_of(searcher.search(query, 1, lang=lang_of(i), settings=by_words)) == [i]
        assert i not in numbers_of(searcher.search(query, 50, settings=RankSettings("dense")))


@pytest.mark.parametrize("balance", Balance)
def test_sentences_leave_the_beginning_as_it_was(balance: Balance, tmp_path: Path) -> None:
    # However many are asked for, the same passages are looked at closely.
    made = [
        Document(
            str(i),
            f"{i}.txt",
            f"{lang_of(i)[:2]} {words(i)} padded {i}. Te second sentence {words(-i % N)}.",
            lang=lang_of(i),
        )
        for i in range(1, 600)
    ]
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("index.builder.parallel_means", lambda *args: PARALLEL)
        build_documents(made, tmp_path / "index", encoder=SentenceEncoder())
    with Searcher.open(tmp_path / "index", encoder=SentenceEncoder()) as opened:
        assert opened.manifest.counts.sentences == 2 * len(made)
        settings = RankSettings("hybrid", balance)
        longest = opened.search(QUERIES[0], 300 if balance == "auto" else 50, settings=settings)
        assert all(a.score >= b.score for a, b in itertools.pairwise(longest))
        for k in (*range(1, 12), 49, 50, *((51, 52, *range(98, 104), 120, 201) if balance == "auto" else ())):
            assert opened.search(QUERIES[0], k, settings=settings) == longest[:k]
