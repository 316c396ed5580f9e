"""What a ranking is worth: pure functions of one query's ranked documents, and a test of two lists of their values.

A ranking holds document ids, best first, each once. Relevance maps the judged documents to grades; above 0 is
relevant. Without a relevant document every measure of relevance is 0; such a query is not to be averaged.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial

_DRAWS = 10_000
_SEED = 1
_BATCH = 500
"""Draws held at once: some 20 MB for 5,000 queries."""


def ndcg(ranking: Sequence[str], relevance: Mapping[str, int], k: int = 10) -> float:
    """Return the normalized discounted cumulative gain: DCG / DCG of the best ranking possible.

    DCG is the sum over the first ``k`` of grade / log2(rank + 1). The gain is the grade itself, 0 for a negative one.

    Source: Järvelin and Kekäläinen 2002, doi:10.1145/582415.582418; gain and discount as trec_eval's ndcg_cut.
    """
    best = _dcg(sorted(relevance.values(), reverse=True)[:k])
    return _dcg(relevance.get(doc, 0) for doc in ranking[:k]) / best if best else 0.0


def recall(ranking: Sequence[str], relevance: Mapping[str, int], k: int = 10) -> float:
    """Return the relevant documents among the first ``k``, divided by min(k, number of relevant documents).

    A perfect ranking has 1, however many documents are relevant. trec_eval divides by the number of relevant documents:
    the same up to ``k`` of them, lower beyond.

    Source: "capped recall", Thakur et al. 2021 (BEIR), arXiv:2104.08663.
    """
    n_relevant = len(_relevant(relevance))
    return sum(_hits(ranking, relevance, k)) / min(k, n_relevant) if n_relevant else 0.0


def reciprocal_rank(ranking: Sequence[str], relevance: Mapping[str, int], k: int = 10) -> float:
    """Return 1 / rank of the first relevant document, 0 when there is none among the first ``k``.

    Source: Voorhees 1999, The TREC-8 Question Answering Track Report; its mean over queries is MRR@k.
    """
    return next((1 / rank for rank, is_hit in enumerate(_hits(ranking, relevance, k), 1) if is_hit), 0.0)


def average_precision(ranking: Sequence[str], relevance: Mapping[str, int], k: int = 100) -> float:
    """Return the sum of the precision at each relevant document among the first ``k``, divided by all relevant ones.

    Source: Buckley and Voorhees 2000, doi:10.1145/345508.345543; the cut as trec_eval's map_cut.
    """
    found, total = 0, 0.0
    for rank, is_hit in enumerate(_hits(ranking, relevance, k), 1):
        if is_hit:
            found += 1
            total += found / rank
    return total / len(_relevant(relevance)) if found else 0.0


def success(ranking: Sequence[str], relevance: Mapping[str, int], k: int) -> float:
    """Return 1 when a relevant document is among the first ``k``, else 0; as trec_eval's success."""
    return float(any(_hits(ranking, relevance, k)))


MEASURES: dict[str, Callable[[Sequence[str], Mapping[str, int]], float]] = {
    "ndcg@10": ndcg,
    "recall@10": recall,
    "mrr@10": reciprocal_rank,
    "map@100": average_precision,
    **{f"success@{k}": partial(success, k=k) for k in (1, 3, 10)},
}
"""The measures of relevance, by the names that reports give them."""


def language_share(ranking: Sequence[str], langs: Mapping[str, str], k: int = 10) -> dict[str, float]:
    """Return the part of each language in the first ``k``, of as many documents as there are.

    Args:
        ranking: Document ids, best first.
        langs: The language of every document in it.
        k: How many are looked at.

    Returns:
        The languages that occur, in order of their tags; the parts add up to 1. Empty for an empty ranking.
    """
    n_documents = Counter(langs[doc] for doc in ranking[:k])
    return {lang: n / n_documents.total() for lang, n in sorted(n_documents.items())}


def peer(ranking: Sequence[str], relevance: Mapping[str, int], langs: Mapping[str, str], k: int = 20) -> float:
    """Return the probability of equal expected rank: near 1 when no language is preferred, near 0 when one is.

    For each grade above 0, the documents of that grade are grouped by language, and the Kruskal-Wallis test asks
    whether the groups' ranks differ; the result is the mean of its p-values over the grades, all of the same weight.
    A document that is not among the first ``k`` has a rank after all of them, which such documents share. Ties have the
    mean of their ranks, and H the correction for ties. The p is 1 for a grade with documents in one language only, and
    for one whose documents are all beyond ``k``.

    With one document in each language p is the same for every order; ``peer_can_tell`` says where that is so.

    Args:
        ranking: Document ids, best first.
        relevance: Grades of the judged documents.
        langs: The language of every document of a grade above 0.
        k: How many ranks are told apart.

    Source: Yang et al. 2024, arXiv:2405.00978, which leaves the weights of the grades open and gives documents without
    relevance one as well (here 0); Kruskal and Wallis 1952, doi:10.1080/01621459.1952.10483441.
    """
    ranks = {doc: rank for rank, doc in enumerate(ranking[:k], 1)}
    by_grade = _by_grade(relevance, langs)
    values = [
        _equal_ranks([[ranks.get(doc, k + 1) for doc in docs] for docs in groups.values()])
        for groups in by_grade.values()
    ]
    return sum(values) / len(values) if values else 1.0


def peer_can_tell(relevance: Mapping[str, int], langs: Mapping[str, str]) -> bool:
    """Say whether a query's PEER depends on the ranking: some grade has two languages, and one of them two documents.

    With one language there is nothing to compare. With one document in each of n languages H is n - 1 in any order.
    """
    return any(
        1 < len(groups) < sum(len(docs) for docs in groups.values()) for groups in _by_grade(relevance, langs).values()
    )


def paired_p(first: Sequence[float], second: Sequence[float]) -> float:
    """Return the two-sided p-value of the paired randomization test on the difference of two means.

    Under the null hypothesis each query's two values may change places, which flips the sign of their difference. p is
    the part of all flips whose sum is as far from 0 as the one observed; where they are more than 10,000, of 10,000
    drawn at random from a fixed seed, the observed one added. Equal values change no sum and are left out.

    Args:
        first: One value a query.
        second: The other values of the same queries, in the same order.

    Raises:
        ValueError: When the lists are not of the same length.

    Source: Smucker, Allan and Carterette 2007, doi:10.1145/1321440.1321528.
    """
    import numpy as np
    from scipy.stats import permutation_test

    differences = np.array([b - a for a, b in zip(first, second, strict=True) if a != b])
    if len(differences) < 2:
        return 1.0  # one difference is as far from 0 with either sign
    result = permutation_test(
        (differences,),
        np.sum,
        permutation_type="samples",
        vectorized=True,
        n_resamples=_DRAWS,
        batch=_BATCH,
        rng=np.random.default_rng(_SEED),
    )
    return float(result.pvalue)


def _relevant(relevance: Mapping[str, int]) -> list[str]:
    return [doc for doc, grade in relevance.items() if grade > 0]


def _hits(ranking: Sequence[str], relevance: Mapping[str, int], k: int) -> list[bool]:
    """Say of each of the first ``k`` whether it is relevant."""
    return [relevance.get(doc, 0) > 0 for doc in ranking[:k]]


def _dcg(grades: Iterable[int]) -> float:
    return sum(max(grade, 0) / math.log2(rank + 1) for rank, grade in enumerate(grades, 1))


def _by_grade(relevance: Mapping[str, int], langs: Mapping[str, str]) -> dict[int, dict[str, list[str]]]:
    """Group the relevant documents by grade, and those of a grade by language."""
    groups: dict[int, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for doc in _relevant(relevance):
        groups[relevance[doc]][langs[doc]].append(doc)
    return groups


def _equal_ranks(groups: Sequence[Sequence[int]]) -> float:
    """Return the Kruskal-Wallis p-value of groups of ranks, 1 where there is nothing to tell apart."""
    if len(groups) < 2 or len({rank for group in groups for rank in group}) < 2:
        return 1.0
    from scipy.stats import kruskal

    return float(kruskal(*groups).pvalue)
