"""The parts of a passage's score, from vectors to numbers: pure functions, and the record of what was found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from search.rank_settings import Weights

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from index.records import Rows, Scores, Vectors
    from index.sentence_vectors import FoundSentences

WHOLE = (0, -1)
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
        """The sums of the parts, not increasing; computed whenever asked for."""
        scores: Scores = self.dense + self.balance + self.lexical
        return scores

    @classmethod
    def make(
        cls,
        rows: Rows,
        dense: Scores | None = None,
        balance: Scores | None = None,
        lexical: Scores | None = None,
        highlights: NDArray[np.int32] | None = None,
    ) -> Ranked:
        """Return passages with the parts given, the others nothing."""
        import numpy as np

        nothing = np.zeros(len(rows), np.float32)
        parts = [nothing if part is None else part for part in (dense, balance, lexical)]
        if highlights is None:
            highlights = np.full((len(rows), 2), WHOLE, np.int32)
        return cls(rows, parts[0], parts[1], parts[2], highlights)

    def __getitem__(self, chosen: slice | NDArray[np.int64]) -> Ranked:
        """Return some of the passages."""
        return Ranked(
            self.rows[chosen], self.dense[chosen], self.balance[chosen], self.lexical[chosen], self.highlights[chosen]
        )

    def then(self, others: Ranked) -> Ranked:
        """Return these and others after them, whose meaning counts no more than puts them there."""
        import numpy as np

        least = float(self.scores.min()) if len(self.rows) else np.inf
        less = np.maximum(others.scores - least, 0).astype(np.float32)
        return Ranked(
            np.concatenate([self.rows, others.rows]),
            np.concatenate([self.dense, others.dense - less]),
            np.concatenate([self.balance, others.balance]),
            np.concatenate([self.lexical, others.lexical]),
            np.concatenate([self.highlights, others.highlights]),
        )


def cosines(query: Vectors, vectors: Vectors, codes: NDArray[np.uint16], taken: Vectors) -> tuple[Scores, Scores]:
    """Return the cosines of vectors with a query, as they are, and with a part of their languages' offsets taken out.

    |v - o|² = 1 - 2 v·o + |o|², so no balanced vector has to be made.

    Args:
        query: Shape (dim,), of unit length.
        vectors: Shape (n, dim), unit rows.
        codes: The language of each, shape (n,).
        taken: What is taken out of the vectors of each language, shape (n_langs, dim); no language: nothing.
    """
    import numpy as np

    plain: Scores = np.einsum("ij,j->i", vectors, query)
    if not len(taken):
        return plain, plain
    along = np.einsum("ij,ij->i", vectors, taken[codes])
    lengths = np.sqrt(np.maximum(1 - 2 * along + np.einsum("ij,ij->i", taken, taken)[codes], 1e-6))
    level: Scores = (plain - (taken @ query)[codes]) / lengths
    return plain, level


def with_sentences(
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
    highlights = np.full((len(counts), 2), WHOLE, np.int32)
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
