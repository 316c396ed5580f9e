"""One query's words against the words of all passages."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from index.errors import REPAIR, IndexDamagedError
from index.lexical_files import LANG_COUNTS, LANG_STARTS, ROWS, STARTS, TERMS, WEIGHTS, term_key
from index.terms import iter_terms, terms

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from index.lexical import LexicalIndex, LexicalPart
    from index.records import Rows, Scores

_MOST_POSTINGS = 20_000
"""Postings read to find candidates, by the rarest terms first; ten times as many when the rarest term has them."""


_FEW = 50
"""Passages without a word that every language is taken to have beside its own: one stray passage is no language."""


@dataclass(frozen=True, slots=True)
class _Place:
    """A term's postings in one segment: from start to end, and the term's number there."""

    part: LexicalPart
    start: int
    end: int
    number: int


@dataclass(frozen=True, slots=True)
class _Term:
    """A term of a query that stands somewhere: its idf, how many rows have it, its key, and where its postings are."""

    idf: float
    size: int
    key: int
    places: list[_Place]


class LexicalQuery:
    """Scores rows by the terms of a query.

    A score is what a row has of the query by BM25, divided by what a row full of all its terms would have: 0 to 1,
    comparable between queries. Terms that stand nowhere count in the divisor, as the rarest ones.

    Source: Robertson, Zaragoza 2009, The probabilistic relevance framework: BM25 and beyond; with the idf of Lucene,
    Kamphuis, de Vries, Boytsov, Lin 2020, Which BM25 do you mean?
    """

    def __init__(self, index: LexicalIndex, text: str) -> None:
        """Use ``LexicalIndex.query``."""
        self._index = index
        self._terms = frozenset(terms(text))
        self._found = self._find()
        n_absent = len(self._terms) - len(self._found)
        whole = sum(term.idf for term in self._found) + n_absent * _idf(index.n_rows, 0)
        self._shares = [term.idf / whole for term in self._found]
        self._totals: dict[int, Scores] = {}

    def _find(self) -> list[_Term]:
        """Return the terms that stand somewhere, rarest first."""
        import numpy as np

        keys = np.array(sorted(map(term_key, self._terms)), np.uint64)
        places: dict[int, list[_Place]] = {}
        for part in self._index.parts if len(keys) else ():
            known, starts = part.arrays[TERMS], part.arrays[STARTS]
            if not len(known):
                continue
            numbers = np.minimum(np.searchsorted(known, keys), len(known) - 1)
            numbers = numbers[known[numbers] == keys]
            n_postings = len(part.arrays[ROWS])
            for key, number, start, end in zip(
                *(array.tolist() for array in (known[numbers], numbers, starts[numbers], starts[numbers + 1])),
                strict=True,
            ):
                if not 0 <= start < end <= n_postings or end - start > part.n_rows:
                    raise _damaged(part, STARTS)
                places.setdefault(key, []).append(_Place(part, start, end, number))
        found = []
        for key, in_parts in places.items():
            size = sum(place.end - place.start for place in in_parts)
            found.append(_Term(_idf(self._index.n_rows, size), size, key, in_parts))
        return sorted(found, key=lambda term: (term.size, term.key))

    @cached_property
    def coverage(self) -> Scores:
        """How far each language has the query's words: near 1 for the one it is written in, shape (n_langs,).

        A term counts by its idf, and in a language by how much rarer it is there than where it is most frequent.
        """
        import numpy as np

        lang_counts = self._index.lang_counts
        total = np.zeros(len(lang_counts))
        for share, term in zip(self._shares, self._found, strict=True):
            counts = np.zeros(len(lang_counts))
            for place in term.places:
                pairs = self._langs(place)
                counts[pairs[:, 0]] += pairs[:, 1]
            rates = counts / (lang_counts + _FEW)
            total += share / rates.max() * rates
        return np.minimum(total, 1).astype(np.float32)

    def _langs(self, place: _Place) -> NDArray[Any]:
        """Return in how many rows of which language a term stands, shape (n, 2): code, rows."""
        counts, bounds = place.part.arrays[LANG_COUNTS], place.part.arrays[LANG_STARTS]
        start, end, n_langs = int(bounds[place.number]), int(bounds[place.number + 1]), len(self._index.lang_counts)
        if not 0 <= start < end <= len(counts) or end - start > n_langs:
            raise _damaged(place.part, LANG_STARTS)
        pairs: NDArray[Any] = counts[start:end]
        if pairs[:, 0].max() >= n_langs or pairs[:, 1].min() < 1:
            raise _damaged(place.part, LANG_COUNTS)
        return pairs

    def scores(self, rows: Rows) -> Scores:
        """Return the scores of some rows, shape (len(rows),)."""
        import numpy as np

        asked = np.asarray(rows).astype(np.uint32)
        order = np.argsort(asked)
        asked = asked[order]
        total = np.zeros(len(asked), np.float32)
        for share, term in zip(self._shares, self._found, strict=True):
            there, weights = self._postings(term)
            at = there.searchsorted(asked)
            hit = np.flatnonzero(there.take(at, mode="clip") == asked)
            total[hit] += np.float32(share / 255) * weights.take(at[hit], mode="clip")
        scores = np.empty_like(total)
        scores[order] = np.minimum(total, 1)
        return scores

    def best(self, k: int, among: NDArray[np.bool_] | None = None) -> Rows:
        """Return up to ``k`` rows worth ranking: those with most of the query's rarest terms, equal ones by row.

        Frequent terms are left aside once the rarer ones have led to enough rows, and alone lead to none when they are
        in most rows of a large index.

        Args:
            k: How many.
            among: Shape (n_rows,): the rows that may be found; all when None.
        """
        import numpy as np

        sizes = [term.size for term in self._found]
        # Most of them may be of passages that are not asked for.
        most = _MOST_POSTINGS * (1 if among is None or 2 * np.count_nonzero(among) > len(among) else 10)
        n_used = n_read = 0
        while n_used < len(sizes) and n_read + sizes[n_used] <= most * (1 if n_used else 10):
            n_read += sizes[n_used]
            n_used += 1
        if k <= 0 or not n_used:
            return np.empty(0, np.int64)
        total = self._total(n_used)
        # Of the postings read, not of all rows, which are many more; a row stands in as many of them as terms.
        rows = np.concatenate([self._postings(term)[0] for term in self._found[:n_used]])
        rows = rows if among is None else rows[among[rows]]
        found = total[rows]
        if len(rows) > k * n_used:
            kept = found >= np.partition(found, len(found) - k * n_used)[len(found) - k * n_used]
            rows = rows[kept]
        rows = np.unique(rows).astype(np.int64)
        best: Rows = rows[np.argsort(-total[rows], kind="stable")[:k]]
        return best

    def all_scores(self) -> Scores:
        """Return the scores of all rows, shape (n_rows,)."""
        import numpy as np

        scores: Scores = np.minimum(self._total(len(self._found)), 1)
        return scores

    def _total(self, n_terms: int) -> Scores:
        """Return what the rarest terms add to the score of every row; computed once."""
        import numpy as np

        if n_terms in self._totals:
            return self._totals[n_terms]
        total = np.zeros(self._index.n_rows, np.float32)
        for share, term in zip(self._shares[:n_terms], self._found, strict=False):
            rows, weights = self._postings(term)
            if rows.max() >= len(total):
                raise _damaged(term.places[0].part, ROWS)
            total[rows] += np.float32(share / 255) * weights
        self._totals[n_terms] = total
        return total

    def _postings(self, term: _Term) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return the rows of a term, ascending, and what it is worth in each."""
        import numpy as np

        rows, weights = [], []
        for place in term.places:
            there = place.part.arrays[ROWS][place.start : place.end]
            rows.append(there + np.uint32(place.part.base) if place.part.base else there)
            weights.append(place.part.arrays[WEIGHTS][place.start : place.end])
        if len(rows) == 1:
            return rows[0], weights[0]
        return np.concatenate(rows), np.concatenate(weights)

    def matches(self, text: str) -> list[tuple[int, int]]:
        """Return the offsets of the words of a passage that are words of the query, overlapping ones as one."""
        spans: list[tuple[int, int]] = []
        for term, start, end in iter_terms(text):
            if term in self._terms:
                if spans and start < spans[-1][1]:
                    start = spans.pop()[0]
                spans.append((start, end))
        return spans

    def words(self, text: str) -> list[str]:
        """Return the words of a passage that are words of the query, as they stand there, each once, in order."""
        return list(dict.fromkeys(text[start:end] for start, end in self.matches(text)))


def _damaged(part: LexicalPart, name: str) -> IndexDamagedError:
    return IndexDamagedError(f"{part.folder / name}: holds what cannot be. {REPAIR}")


def _idf(n_rows: int, n_with: int) -> float:
    return math.log1p((n_rows - n_with + 0.5) / (n_with + 0.5))
