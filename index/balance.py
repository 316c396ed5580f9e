"""Where languages stand apart in a model's vector space, and vectors with that taken out.

A model puts the texts of a language together: each language's vectors are moved by an offset of their own, so that a
question finds passages in its own language before better ones in another. An offset is known best from sentences that
say the same in several languages, since nothing but the language then differs; the project ships 192 of them in five.
A language that is not among them has its offset estimated from its passages, by halves, since their topics differ too.

Source: Libovický, Rosa and Fraser 2020, arXiv:2004.05160 (centring by language); Yang et al. 2021, arXiv:2109.04319.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from index.records import UNKNOWN_LANG

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from index.records import LangCodes, Vectors
    from index.vector_index import VectorRows

STRENGTH = 0.7
"""The part of the offsets taken out of the vectors that are searched.

Source: of .5, .6, .65, .7, .75 and 1, with the other parts of the score. More finds translations better (mAP@100 .861
to .900) and single right passages a little worse (nDCG@10 .866 to .863, best between .6 and .75).
"""
_TRUST = 0.5
"""The part of an offset estimated from passages that is believed."""
_FEW = 50
"""So many passages halve what is believed of their language's offset."""
_BLOCK = 16_384
_NOTHING = 1e-6
"""A length below which nothing is left of a vector."""


def language_means(vectors: VectorRows, codes: LangCodes, n_langs: int) -> NDArray[np.float64]:
    """Return the mean vector of each language's passages, shape (n_langs, dim); each must have one."""
    import numpy as np

    sums = np.zeros((n_langs, vectors.shape[1]))
    for at in range(0, len(vectors), _BLOCK):
        block, of_block = vectors[at : at + _BLOCK], codes[at : at + _BLOCK]
        for code in np.unique(of_block):
            sums[code] += block[of_block == code].sum(axis=0, dtype=np.float64)
    return sums / np.bincount(codes, minlength=n_langs)[:, None]


def fit_offsets(
    languages: Sequence[str],
    counts: Sequence[int],
    means: NDArray[np.float64],
    parallel: Mapping[str, NDArray[np.float64]],
) -> Vectors:
    """Return each language's offset from the middle of all languages, shape (n_langs, dim), no unit rows.

    A language of the parallel text has its offset there. Another one has a part of what its passages' mean differs from
    the middle of the others, less the fewer they are. Passages of unknown language have none.

    Args:
        languages: The languages of an index.
        counts: How many passages each has.
        means: The mean vector of each, shape (n_langs, dim).
        parallel: The mean vector of each language of the parallel text, or nothing.
    """
    import numpy as np

    offsets = np.zeros(means.shape)
    real = [i for i, lang in enumerate(languages) if lang != UNKNOWN_LANG]
    if len(real) < 2:
        return offsets.astype(np.float32)
    known = [i for i in real if primary(languages[i]) in parallel]
    for i in known:
        offsets[i] = parallel[primary(languages[i])] - np.mean(list(parallel.values()), axis=0)
    for i in set(real) - set(known):
        others = [j for j in known or real if j != i]
        part = _TRUST * counts[i] / (counts[i] + _FEW)
        offsets[i] = part * (means[i] - (means[others] - offsets[others] * bool(known)).mean(axis=0))
    return offsets.astype(np.float32)


def fitted_from(languages: Sequence[str], parallel: Collection[str]) -> dict[str, str]:
    """Return what each language's offset is fitted from: "parallel text", "passages", or "nothing".

    Args:
        languages: The languages of an index.
        parallel: The languages of the parallel text.
    """
    real = [lang for lang in languages if lang != UNKNOWN_LANG]
    return {
        lang: "nothing"
        if len(real) < 2 or lang == UNKNOWN_LANG
        else "parallel text"
        if primary(lang) in parallel
        else "passages"
        for lang in languages
    }


def primary(lang: str) -> str:
    """Return a tag's language alone: "fa" of "fa-IR"."""
    return re.split("[-_]", lang)[0].lower()


class BalancedVectors:
    """Unit vectors with a part of their languages' offsets taken out, computed when they are asked for."""

    def __init__(self, vectors: VectorRows, codes: LangCodes, offsets: Vectors, strength: float) -> None:
        """Look at vectors in another way.

        Args:
            vectors: Shape (n, dim), unit rows.
            codes: The language of each, shape (n,).
            offsets: Of each language, shape (n_langs, dim).
            strength: The part taken out, from 0 to 1.
        """
        import numpy as np

        # NumPy's own class for mapped files takes rows more slowly.
        self._vectors = np.asarray(vectors) if isinstance(vectors, np.ndarray) else vectors
        self._codes = np.minimum(codes, len(offsets) - 1)  # a damaged file may hold any number
        self._taken = (strength * offsets).astype(np.float32)
        self.shape = vectors.shape

    def __len__(self) -> int:
        return int(self.shape[0])

    def __getitem__(self, rows: Any) -> Vectors:
        """Return rows, shape (n, dim), unit rows, for a slice or an array of row numbers."""
        return balanced(self._vectors[rows], self._taken[self._codes[rows]])


def balanced(vectors: Vectors, taken: Vectors) -> Vectors:
    """Return unit rows of vectors after taking something out of each."""
    import numpy as np

    with np.errstate(over="ignore", invalid="ignore"):  # a damaged file may hold any number
        rows = vectors - taken
        lengths = np.sqrt(np.einsum("ij,ij->i", rows, rows))
        rows /= np.where(lengths > _NOTHING, lengths, 1.0).astype(np.float32)[:, None]
    return rows
