"""The ranking: what a passage's score for a query is made of, and which passages are looked at for it.

score = dense + balance + lexical. Dense: the cosine of query and passage, and of query and the passage's sentences.
Balance: what changes in it when the languages' offsets are taken out of the vectors. Lexical: the words of the query
that the passage holds, against what is to be expected of a passage in a language that has these words.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from search.rank_settings import Mode, RankSettings, Weights

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from index.lexical import LexicalQuery
    from index.records import Rows, Scores, Vectors
    from index.sentence_vectors import FoundSentences
    from index.store import Store
    from index.vector_index import VectorIndex

_CANDIDATES = 100
"""Passages whose sentences are looked at, for up to 50 hits; twice as many as hits beyond."""
_LEXICAL_CANDIDATES = 50
"""Passages that are candidates for their words alone."""
_WHOLE = (0, -1)
"""Where the closest sentence stands in a passage that has none of its own."""


@dataclass(frozen=True, slots=True)
class Ranked:
    """The passages found for a query, best first, with the parts of their scores; all of shape (n,).

    Attributes:
        rows: The passages.
        dense: By meaning, before the balance of languages.
        balance: What the balance of languages adds.
        lexical: What words add.
        highlights: Where the closest sentence of each starts and ends in its text, shape (n, 2); (0, -1) for all of it.
    """

    rows: Rows
    dense: Scores
    balance: Scores
    lexical: Scores
    highlights: NDArray[np.int32]

    @property
    def scores(self) -> Scores:
        """The sums of the parts, not increasing."""
        scores: Scores = self.dense + self.balance + self.lexical
        return scores

    def __getitem__(self, chosen: slice | NDArray[np.int64]) -> Ranked:
        """Return some of the passages."""
        return Ranked(
            self.rows[chosen], self.dense[chosen], self.balance[chosen], self.lexical[chosen], self.highlights[chosen]
        )


class Ranker:
    """Ranks the passages of an index."""

    def __init__(self, store: Store, vector_index: VectorIndex) -> None:
        """Map what ranking reads; later builds may clear the files away, and this index still answers.

        Raises:
            IndexDamagedError: When it cannot be read.
        """
        import numpy as np

        self._index = vector_index
        self._vectors = np.asarray(store.vectors())
        self._codes = np.minimum(store.lang_codes, max(0, len(store.manifest.languages) - 1))
        self._offsets = np.array(store.offsets())
        self._indexed = store.manifest.balance
        self._sentences = store.sentences()
        self._lexical = store.lexical()

    def rank(
        self,
        queries: Sequence[str],
        vectors: Vectors | None,
        k: int,
        settings: RankSettings,
        filters: Sequence[NDArray[np.bool_] | None],
    ) -> list[list[Ranked]]:
        """Return the best passages of each query among those that each filter lets through.

        Args:
            queries: As asked.
            vectors: Of the queries, shape (n, dim), unit rows; None to rank by words alone.
            k: The most passages for each query and filter.
            settings: How to rank.
            filters: The rows that may be found, each of shape (n_passages,); None for all.

        Raises:
            IndexDamagedError: When the index cannot be read.
        """
        if vectors is None:
            return [[self._by_words(query, k, among) for among in filters] for query in queries]
        # In steps, so that one hit more is not found among other candidates.
        n = _CANDIDATES * 2 ** max(0, (2 * k - 1) // _CANDIDATES).bit_length()
        near = [self._near(vectors, n, among, settings.strength) for among in filters]
        ranked = []
        for i, query in enumerate(queries):
            lexical = self.words(query) if settings.mode == Mode.HYBRID else None
            ranked.append(
                [
                    self._best(vectors[i], of_queries[i], lexical, among, n, settings)[:k]
                    for of_queries, among in zip(near, filters, strict=True)
                ]
            )
        return ranked

    def words(self, query: str) -> LexicalQuery | None:
        """Return a query's words as the index has them; None when it has none."""
        return self._lexical.query(query) if self._lexical else None

    def _near(self, vectors: Vectors, n: int, among: NDArray[np.bool_] | None, strength: float) -> list[Rows]:
        """Return passages near each query: overall, or of each language where the index balances them otherwise."""
        import numpy as np

        if strength == self._indexed or not self._offsets.any():
            return self._index.candidates(vectors, n, among)
        by_lang = []
        for code in range(len(self._offsets)):
            of_lang = self._codes == code
            by_lang.append(self._index.candidates(vectors, n, of_lang if among is None else of_lang & among))
        return [np.concatenate(rows) for rows in zip(*by_lang, strict=True)]

    def _by_words(self, query: str, k: int, among: NDArray[np.bool_] | None) -> Ranked:
        import numpy as np

        if self._lexical is None:
            return self._ranked(np.empty(0, np.int64))
        scores = self._lexical.query(query).all_scores()
        rows = np.flatnonzero(scores > 0 if among is None else (scores > 0) & among)
        if len(rows) > k:
            rows = rows[scores[rows] >= np.partition(scores[rows], -k)[-k]]
        rows = rows[np.lexsort((rows, -scores[rows]))][:k]
        return self._ranked(rows, lexical=scores[rows])

    def _best(
        self,
        vector: Vectors,
        near: Rows,
        lexical: LexicalQuery | None,
        among: NDArray[np.bool_] | None,
        n: int,
        settings: RankSettings,
    ) -> Ranked:
        """Return at most ``n`` passages in order of their scores.

        Args:
            vector: Of the query, shape (dim,).
            near: Passages near it.
            lexical: The query's words, None where they do not count.
            among: The rows that may be found; None for all.
            n: How many are looked at closely.
            settings: How to rank.
        """
        import numpy as np

        rows = near
        if lexical is not None:
            rows = np.union1d(rows, lexical.best(_LEXICAL_CANDIDATES, among).astype(np.int64))
        codes = self._codes[rows]
        plain, level = self._cosines(vector, self._vectors[rows], codes, settings.strength)
        words = np.zeros(len(rows), np.float32)
        if lexical is not None:
            expected = settings.weights.lexical_expected * lexical.coverage[codes]
            words = (settings.weights.lexical * (lexical.scores(rows) - expected)).astype(np.float32)
        if len(rows) > n:
            kept = np.argpartition(-(level + words), n - 1)[:n]
            rows, codes, plain, level, words = rows[kept], codes[kept], plain[kept], level[kept], words[kept]
        highlights = None
        if self._sentences is not None:
            found = self._sentences.of(rows)
            strength = settings.strength
            cosines = self._cosines(vector, found.vectors, np.repeat(codes, np.diff(found.starts)), strength)
            plain, level, highlights = _with_sentences(plain, level, found, *cosines, settings.weights)
        ranked = self._ranked(rows, plain, level - plain, words, highlights)
        return ranked[np.lexsort((rows, -ranked.scores))]

    def _cosines(
        self, vector: Vectors, vectors: Vectors, codes: NDArray[np.uint16], strength: float
    ) -> tuple[Scores, Scores]:
        """Return the cosines of vectors with the query, as they are, and with a part of the languages' offsets out.

        |v - o|² = 1 - 2 v·o + |o|², so no balanced vector has to be made.
        """
        import numpy as np

        plain: Scores = np.einsum("ij,j->i", vectors, vector)
        if not strength or not self._offsets.any():
            return plain, plain
        taken = strength * self._offsets
        along = np.einsum("ij,ij->i", vectors, taken[codes])
        lengths = np.sqrt(np.maximum(1 - 2 * along + np.einsum("ij,ij->i", taken, taken)[codes], 1e-6))
        level: Scores = (plain - (taken @ vector)[codes]) / lengths
        return plain, level

    @staticmethod
    def _ranked(
        rows: Rows,
        dense: Scores | None = None,
        balance: Scores | None = None,
        lexical: Scores | None = None,
        highlights: NDArray[np.int32] | None = None,
    ) -> Ranked:
        import numpy as np

        nothing = np.zeros(len(rows), np.float32)
        parts = [nothing if part is None else part for part in (dense, balance, lexical)]
        if highlights is None:
            highlights = np.full((len(rows), 2), _WHOLE, np.int32)
        return Ranked(rows, parts[0], parts[1], parts[2], highlights)


def _with_sentences(
    plain: Scores, level: Scores, found: FoundSentences, plain_parts: Scores, level_parts: Scores, weights: Weights
) -> tuple[Scores, Scores, NDArray[np.int32]]:
    """Mix the cosines of passages with those of their sentences, the closest of which weigh most.

    Args:
        plain: The cosines of passages, shape (n,).
        level: The same, balanced.
        found: The passages' sentences.
        plain_parts: The cosines of the sentences.
        level_parts: The same, balanced.
        weights: How much they count.

    Returns:
        The mixed cosines as they are, balanced, and where the closest sentences stand, shape (n, 2).
    """
    import numpy as np

    counts = np.diff(found.starts)
    some = np.flatnonzero(counts)
    highlights = np.full((len(counts), 2), _WHOLE, np.int32)
    if not len(some):
        return plain, level, highlights
    owners = np.repeat(np.arange(len(some)), counts[some])
    starts = found.starts[:-1][some]
    best = np.maximum.reduceat(level_parts, starts)
    attention = np.exp((level_parts - best[owners]) / np.float32(weights.sentence_temperature))
    attention /= np.add.reduceat(attention, starts)[owners]
    mixed = []
    for whole, parts in ((plain, plain_parts), (level, level_parts)):
        one = whole.copy()
        one[some] += weights.sentence_share * (np.add.reduceat(attention * parts, starts) - whole[some])
        mixed.append(one)
    closest = np.flatnonzero(level_parts == best[owners])[::-1]
    highlights[some[owners[closest]]] = found.spans[closest]  # backwards: of equal ones the first stays
    return mixed[0], mixed[1], highlights
