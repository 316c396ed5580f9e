"""Writes one segment of a generation: vectors, sentences, words and languages of the passages of one time."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from index.config import VectorNumbers
from index.derived import save_array
from index.layout import LANGS, VECTORS
from index.lexical import LexicalWriter
from index.records import Passage
from index.sentence_vectors import SentenceWriter
from index.vectors import VectorFile

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from index.records import LangCodes, Vectors


class SegmentWriter:
    """Receives passages in the order of their rows. What cannot be written is an ``OSError``."""

    def __init__(self, folder: Path, dim: int, numbers: VectorNumbers | str = VectorNumbers.FLOAT32) -> None:
        """Make the folder; vectors are kept in ``numbers``."""
        self.folder = folder
        folder.mkdir()
        self._vectors = VectorFile(folder / VECTORS, dim, VectorNumbers(numbers))
        self._sentences = SentenceWriter(folder, dim)
        self._lexical = LexicalWriter(folder)
        self.n_rows = 0

    @property
    def n_sentences(self) -> int:
        """Sentences so far."""
        return self._sentences.n_sentences

    def append(self, passages: Sequence[Passage], vectors: Vectors, sentences: NDArray[np.int8]) -> None:
        """Write passages.

        Args:
            passages: The next ones.
            vectors: Of each, shape (n, dim), unit rows.
            sentences: Of all their sentences, in order, shape (n_sentences, dim).
        """
        if len(vectors) != len(passages):
            raise ValueError(f"{len(vectors)} vectors came back for {len(passages)} passages")
        self._vectors.append(vectors)
        self._sentences.append(passages, sentences)
        self._lexical.append([passage.model_text for passage in passages])
        self.n_rows += len(passages)

    @property
    def n_terms(self) -> int:
        """Terms so far, each as often as it occurs."""
        return self._lexical.n_terms

    def finish(self, codes: LangCodes, beside: tuple[int, int] = (0, 0)) -> None:
        """Write the languages and the words, and close the files.

        Args:
            codes: The language of each row, shape (n_rows,).
            beside: The terms and the rows of the index's other segments.
        """
        self._vectors.close()
        self._sentences.close()
        save_array(self.folder / LANGS, codes)
        self._lexical.finish(codes, beside)

    def abandon(self) -> None:
        """Let go of the files without finishing; may be called after ``finish``."""
        for file in (self._vectors, self._sentences):
            with contextlib.suppress(OSError, ValueError):
                file.close()
        self._lexical.abandon()
