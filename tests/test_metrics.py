"""The measures: worked by hand, against trec_eval, and what must hold for any ranking."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import ir_measures
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from ir_measures import AP, RR, R, Success, nDCG

from search.metrics import (
    MEASURES,
    average_precision,
    language_share,
    ndcg,
    paired_p,
    peer,
    peer_can_tell,
    recall,
    reciprocal_rank,
    success,
)

DOCS = [f"d{i:02}" for i in range(40)]

rankings = st.permutations(DOCS).flatmap(lambda docs: st.integers(0, len(docs)).map(lambda n: docs[:n]))
judgments = st.dictionaries(st.sampled_from(DOCS), st.integers(-1, 3), min_size=1).filter(
    lambda relevance: max(relevance.values()) > 0
)
languages = st.lists(st.sampled_from(["te", "fa", "lt", "und"]), min_size=len(DOCS), max_size=len(DOCS)).map(
    lambda langs: dict(zip(DOCS, langs, strict=True))
)


def test_worked_by_hand() -> None:
    ranking, relevance = ["a", "x", "b", "y"], {"a": 1, "b": 3, "c": 2, "x": 0, "y": -1}
    gained = 1 / 1 + 3 / 2  # log2(2) is 1, log2(4) is 2
    assert ndcg(ranking, relevance) == pytest.approx(gained / (3 / 1 + 2 / math.log2(3) + 1 / 2))
    assert recall(ranking, relevance) == pytest.approx(2 / 3)
    assert reciprocal_rank(ranking, relevance) == 1
    assert average_precision(ranking, relevance) == pytest.approx((1 / 1 + 2 / 3) / 3)
    assert reciprocal_rank(["x", "y", "b"], relevance) == pytest.approx(1 / 3)


@pytest.mark.parametrize(("name", "cut"), [(name, int(name.partition("@")[2])) for name in MEASURES])
def test_only_the_first_count(name: str, cut: int) -> None:
    before = [f"x{i}" for i in range(cut - 1)]
    assert MEASURES[name]([*before, "a"], {"a": 1}) > 0
    assert MEASURES[name]([*before, "y", "a"], {"a": 1}) == 0


def test_recall_is_of_what_has_room() -> None:
    relevance = dict.fromkeys(DOCS[:20], 1)
    assert recall(DOCS, relevance) == 1
    assert recall(DOCS[15:], relevance) == pytest.approx(5 / 10)


@pytest.mark.parametrize("measure", MEASURES.values())
@pytest.mark.parametrize("relevance", [{}, {"a": 0, "b": -1}])
def test_nothing_relevant_is_worth_nothing(measure: Callable[..., float], relevance: dict[str, int]) -> None:
    assert measure(["a", "b"], relevance) == 0
    assert measure([], {"a": 1}) == 0


@settings(deadline=None)  # the first one loads a library
@given(rankings, judgments)
@example(DOCS, dict.fromkeys(DOCS[::2], 1))
@example([], {"d00": 1})
def test_trec_eval_says_the_same(ranking: list[str], relevance: dict[str, int]) -> None:
    qrels = [ir_measures.Qrel("q", doc, grade) for doc, grade in relevance.items()]
    # trec_eval drops a query without documents, so that every ranking ends with one nobody judged.
    run = [ir_measures.ScoredDoc("q", doc, -rank) for rank, doc in enumerate([*ranking, "unjudged"])]
    theirs = {
        metric.measure: metric.value
        for metric in ir_measures.iter_calc([nDCG @ 10, R @ 10, RR @ 10, AP @ 100, Success @ 3], qrels, run)
    }
    n_relevant = sum(grade > 0 for grade in relevance.values())
    assert ndcg(ranking, relevance) == pytest.approx(theirs[nDCG @ 10])
    assert recall(ranking, relevance) == pytest.approx(theirs[R @ 10] * n_relevant / min(10, n_relevant))
    assert reciprocal_rank(ranking, relevance) == pytest.approx(theirs[RR @ 10])
    assert average_precision(ranking, relevance) == pytest.approx(theirs[AP @ 100])
    assert success(ranking, relevance, 3) == theirs[Success @ 3]


@given(rankings, judgments)
def test_the_best_ranking_has_one_and_no_other_more(ranking: list[str], relevance: dict[str, int]) -> None:
    best = sorted(relevance, key=lambda doc: -relevance[doc])
    for measure in MEASURES.values():
        assert measure(best, relevance) == pytest.approx(1)
        assert 0 <= measure(ranking, relevance) <= 1 + 1e-12


def test_shares_of_languages() -> None:
    langs = dict(zip("abcdefghijk", ["fa", "te", "fa", "und", *["fa"] * 6, "lt"], strict=True))
    shares = language_share(list(langs), langs)
    assert shares == {"fa": 0.8, "te": 0.1, "und": 0.1}
    assert list(shares) == ["fa", "te", "und"]
    assert language_share(["b", "a", "c"], langs, 2) == {"fa": 0.5, "te": 0.5}
    assert language_share([], langs) == {}


def two(h: float) -> float:
    """Return the p of H for two groups: chi-squared of one degree."""
    return math.erfc(math.sqrt(h / 2))


def three(h: float) -> float:
    """Return the p of H for three groups: chi-squared of two degrees."""
    return math.exp(-h / 2)


FOUR = {"t1": "te", "t2": "te", "f1": "fa", "f2": "fa"}


@pytest.mark.parametrize(
    ("ranking", "k", "expected"),
    [
        # H = 12 / (n (n + 1)) * sum(n_i * (mean rank_i - (n + 1) / 2)^2), divided by 1 - sum(t^3 - t) / (n^3 - n)
        (["t1", "t2", "f1", "f2"], 20, two(2.4)),  # mean ranks 1.5 and 3.5
        (["t1", "x", "y", "t2", "f1", "z", "f2"], 20, two(2.4)),  # others between change nothing
        (["t1", "f1", "f2", "t2"], 20, 1.0),  # 2.5 and 2.5
        (["t1", "f1", "t2", "f2"], 20, two(0.6)),  # 2 and 3
        (["t1", "t2"], 20, two(2.4 / 0.9)),  # not found: both at 3.5
        (["t1", "t2", "f1", "f2"], 2, two(2.4 / 0.9)),  # as good as not found
        (["t1", "f1"], 20, two(0.15 / 0.9)),  # ranks 1, 3.5 and 2, 3.5: means 2.25 and 2.75
        (["t1"], 20, two(0.6 / 0.6)),  # ranks 1, 3 and 3, 3: means 2 and 3
        ([], 20, 1.0),
        (["t1"], 0, 1.0),
    ],
)
def test_peer_of_two_languages(ranking: list[str], k: int, expected: float) -> None:
    assert peer(ranking, dict.fromkeys(FOUR, 1), FOUR, k) == pytest.approx(expected)


def test_peer_of_three_languages() -> None:
    langs = FOUR | {"l1": "lt", "l2": "lt"}
    ranking = ["t1", "t2", "f1", "f2", "l1", "l2"]
    # Mean ranks 1.5, 3.5 and 5.5: H = 12 / 42 * 2 * (4 + 0 + 4)
    assert peer(ranking, dict.fromkeys(langs, 2), langs) == pytest.approx(three(32 / 7))


def test_peer_is_the_mean_over_grades() -> None:
    langs = FOUR | {"t3": "te", "u1": "und", "x": "lt"}
    relevance = dict.fromkeys(FOUR, 1) | {"t3": 3, "u1": 3, "x": 0}
    ranking = ["x", "t1", "t2", "f1", "u1", "f2", "t3"]
    # Grade 1 is told apart; grade 3 has two documents in two languages, the unknown one being one: H = 1.
    assert peer(ranking, relevance, langs) == pytest.approx((two(2.4) + two(1)) / 2)
    # One language in a grade is fair by itself.
    assert peer(ranking, dict.fromkeys(FOUR, 1) | {"t3": 3}, langs) == pytest.approx((two(2.4) + 1) / 2)
    assert peer(ranking, {"t1": 1, "t2": 1, "x": 0, "f1": -1}, langs) == 1
    assert peer(ranking, {"x": 0}, langs) == 1


@settings(deadline=None)  # the first one loads a library
@given(rankings, judgments, languages)
def test_peer_is_a_probability_and_needs_no_names(
    ranking: list[str], relevance: dict[str, int], langs: dict[str, str]
) -> None:
    value = peer(ranking, relevance, langs)
    renamed = {"te": "und", "fa": "te", "lt": "fa", "und": "lt"}
    assert 0 <= value <= 1
    assert peer(ranking, relevance, {doc: renamed[lang] for doc, lang in langs.items()}) == pytest.approx(value)


@settings(deadline=None)  # the first one loads a library
@given(rankings, judgments, languages)
def test_peer_is_the_same_for_every_order_where_it_cannot_tell(
    ranking: list[str], relevance: dict[str, int], langs: dict[str, str]
) -> None:
    whole = [*ranking, *(doc for doc in DOCS if doc not in ranking)]
    values = {round(peer(order, relevance, langs, len(DOCS)), 9) for order in (whole, whole[::-1], DOCS)}
    assert peer_can_tell(relevance, langs) or len(values) == 1


@pytest.mark.parametrize(
    ("relevance", "can_tell"),
    [
        ({"t1": 1, "t2": 1, "f1": 1}, True),
        ({"t1": 1, "t2": 1}, False),
        ({"t1": 1, "f1": 1}, False),
        ({"t1": 1, "f1": 1, "t2": 2, "f2": 2}, False),
        ({"t1": 1, "f1": 1, "t2": 0}, False),
        ({}, False),
    ],
)
def test_where_peer_can_tell(relevance: dict[str, int], can_tell: bool) -> None:
    assert peer_can_tell(relevance, FOUR) is can_tell


def every_flip(first: list[float], second: list[float]) -> float:
    """Return the p of all flips, one after the other."""
    differences = [b - a for a, b in zip(first, second, strict=True)]
    observed = abs(sum(differences))
    flips = list(itertools.product((1, -1), repeat=len(differences)))
    as_far = sum(
        abs(sum(sign * d for sign, d in zip(signs, differences, strict=True))) >= observed - 1e-9 for signs in flips
    )
    return as_far / len(flips)


def test_the_paired_test_by_hand() -> None:
    assert paired_p([0, 0, 0], [1, 1, 1]) == 2 / 8  # all up or all down
    assert paired_p([0, 0, 0, 1], [1, 1, 1, 1]) == 2 / 8  # a query without a difference says nothing
    assert paired_p([0, 1], [1, 0]) == 1
    assert paired_p([0.5], [0.75]) == 1
    assert paired_p([0.5, 0.25], [0.5, 0.25]) == 1
    assert paired_p([], []) == 1
    with pytest.raises(ValueError, match="zip"):
        paired_p([1], [1, 2])


scores = st.integers(0, 4).map(lambda n: n / 4)


@settings(deadline=None)  # the first one loads a library
@given(st.lists(st.tuples(scores, scores), max_size=8))
def test_the_paired_test_counts_every_flip_of_few(pairs: list[tuple[float, float]]) -> None:
    first, second = [a for a, _ in pairs], [b for _, b in pairs]
    assert paired_p(first, second) == pytest.approx(every_flip(first, second))
    assert paired_p(second, first) == pytest.approx(paired_p(first, second))


def test_the_paired_test_of_many_draws() -> None:
    first = [0.0] * 400
    for n_up, z in ((200, 0.0), (210, 1.0), (220, 2.0), (230, 3.0)):
        second = [0.5] * n_up + [-0.5] * (400 - n_up)
        # Of 400 fair coins, as far from even: the normal curve, with the correction of half a coin.
        expected = math.erfc(max(0, z - 0.05) / math.sqrt(2))
        assert paired_p(first, second) == pytest.approx(expected, abs=0.015)
        assert paired_p(first, second) == paired_p(first, second)
    assert paired_p(first, [0.5] * 400) == pytest.approx(2 / 10_001)
