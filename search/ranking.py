"""The ranking: which passages are looked at for a query, and in which order they come.

score = dense + balance + lexical. Dense: the cosine of query and passage, and of query and the passage's sentences.
Balance: what changes in it when the languages' offsets are taken out of the vectors. Lexical: the words of the query
that the passage holds, against what is to be expected of a passage in a language that has these words.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from index.errors import IndexDamagedError
from search.rank_settings import Mode, RankSettings
from search.scoring import Ranked, cosines, with_sentences

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from index.lexical import LexicalQuery
    from index.records import Rows, Vectors
    from index.store import Store

CLOSELY = 100
"""Passages whose sentences are looked at, however many are asked for: what comes first must not depend on that.

Source: 50, 100, 200 and 400 give the same mean nDCG@10 on 2,695 questions, but for .0004 more with 50.
"""
_BY_WORDS = 50
"""Passages that are candidates for their words alone."""


class Ranker:
    """Ranks the passages of an index."""

    def __init__(self, store: Store) -> None:
        """Open what ranking reads.

        Raises:
            StoreError: When it cannot be read or reached.
        """
        import numpy as np

        self._folder = store.folder
        self._masks = store.masks()
        self._codes = np.minimum(store.lang_codes, max(0, len(store.manifest.languages) - 1))
        self._offsets = np.array(store.offsets())
        self._indexed = store.manifest.balance
        self._lexical = store.lexical()
        self.passages = store.open_passages(self._masks)
        if not np.isfinite(self._offsets).all():
            self.passages.close()
            raise self._damaged()

    def rank(
        self,
        queries: Sequence[str],
        vectors: Vectors | None,
        k: int,
        settings: RankSettings,
        groups: Sequence[Sequence[int] | None],
    ) -> list[list[Ranked]]:
        """Return the best passages of each query, for each group of languages.

        Args:
            queries: As asked.
            vectors: Of the queries, shape (n, dim), unit rows; None to rank by words alone.
            k: The most passages for each query and group.
            settings: How to rank.
            groups: Codes of the languages that may be found; None for all.

        Raises:
            IndexDamagedError: When the index cannot be read.
        """
        import numpy as np

        if vectors is None:
            of_queries = [self.words(query) for query in queries]
            return [[self._by_words(words, k, group) for group in groups] for words in of_queries]
        near = [self._near(vectors, max(CLOSELY, 2 * k), group, settings.strength) for group in groups]
        taken = settings.strength * self._offsets if settings.strength and self._offsets.any() else self._offsets[:0]
        ranked = []
        for i, query in enumerate(queries):
            words = self.words(query) if settings.mode == Mode.HYBRID else None
            of_query = []
            for rows, group in zip(near, groups, strict=True):
                with np.errstate(over="ignore", invalid="ignore"):  # a damaged file may hold any number
                    found = self._order(vectors[i], rows[i], words, self._masks.of(group), taken, settings)
                    if not np.isfinite(found.scores).all():
                        raise self._damaged()
                of_query.append(found[:k])
            ranked.append(of_query)
        return ranked

    def words(self, query: str) -> LexicalQuery | None:
        """Return a query's words as the index has them; None when it has none."""
        return self._lexical.query(query) if self._lexical else None

    def _near(self, vectors: Vectors, n: int, group: Sequence[int] | None, strength: float) -> list[Rows]:
        """Return passages near each query: overall, or of each language where the index balances them otherwise."""
        import numpy as np

        if strength == self._indexed or not self._offsets.any():
            return self.passages.near(vectors, n, group)
        codes = range(len(self._offsets)) if group is None else group
        by_lang = [self.passages.near(vectors, n, [code]) for code in codes]
        return [np.concatenate(rows) for rows in zip(*by_lang, strict=True)]

    def _by_words(self, words: LexicalQuery | None, k: int, group: Sequence[int] | None) -> Ranked:
        import numpy as np

        if words is None:
            return Ranked.make(np.empty(0, np.int64))
        scores, among = words.all_scores(), self._masks.of(group)
        rows = np.flatnonzero(scores > 0 if among is None else (scores > 0) & among)
        if len(rows) > k:
            rows = rows[scores[rows] >= np.partition(scores[rows], -k)[-k]]
        rows = rows[np.lexsort((rows, -scores[rows]))][:k]
        return Ranked.make(rows, lexical=scores[rows])

    def _order(
        self,
        vector: Vectors,
        near: Rows,
        words: LexicalQuery | None,
        among: NDArray[np.bool_] | None,
        taken: Vectors,
        settings: RankSettings,
    ) -> Ranked:
        """Return passages in the order of their scores: the best looked at closely, then the others.

        Args:
            vector: Of the query, shape (dim,).
            near: Passages near it.
            words: The query's words, None where they do not count.
            among: The rows that may be found; None for all.
            taken: What is taken out of the vectors of each language.
            settings: How to rank.
        """
        import numpy as np

        by_words = near[:0] if words is None else words.best(_BY_WORDS, among)
        rows = np.union1d(near, by_words)
        codes = self._codes[rows]
        plain, level = cosines(vector, self.passages.vectors(rows), codes, taken)
        lexical = np.zeros(len(rows), np.float32)
        if words is not None:
            expected = settings.weights.lexical_expected * words.coverage[codes]
            lexical = (settings.weights.lexical * (words.scores(rows) - expected)).astype(np.float32)
        found = Ranked.make(rows, plain, level - plain, lexical)
        # The same passages are looked at closely however many are asked for: the nearest, and those by their words.
        first = np.lexsort((rows, -level))[:CLOSELY]
        first = np.union1d(first, np.flatnonzero(np.isin(rows, by_words)))
        close = first[np.lexsort((rows[first], -found.scores[first]))][:CLOSELY]
        rest = np.setdiff1d(np.arange(len(rows)), close)
        rest = rest[np.lexsort((rows[rest], -found.scores[rest]))]
        return self._closely(vector, found[close], codes[close], taken, settings).then(found[rest])

    def _closely(
        self, vector: Vectors, found: Ranked, codes: NDArray[np.uint16], taken: Vectors, settings: RankSettings
    ) -> Ranked:
        """Return passages in the order of their scores, their sentences looked at."""
        import numpy as np

        sentences = self.passages.sentences(found.rows)
        if sentences is not None:
            parts = cosines(vector, sentences.vectors, np.repeat(codes, np.diff(sentences.starts)), taken)
            level = found.dense + found.balance
            plain, level, highlights = with_sentences(found.dense, level, sentences, *parts, settings.weights)
            found = Ranked(found.rows, plain, level - plain, found.lexical, highlights)
        return found[np.lexsort((found.rows, -found.scores))]

    def _damaged(self) -> IndexDamagedError:
        return IndexDamagedError(
            f"{self._folder}: holds numbers that are no vectors. Run `tongues verify`, then `tongues repair`."
        )
