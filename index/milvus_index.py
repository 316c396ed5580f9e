"""An index whose passages and vectors are in Milvus: how they get there from a build, and how a search finds them.

The directory keeps the manifest, the documents' names, the languages' codes and offsets, and the words. What Milvus
holds is searched as FAISS would search it: vectors with the languages' offsets partly taken out.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from index.balance import STRENGTH, BalancedVectors
from index.config import BuildSettings, IndexKind
from index.documents import DocumentWriter
from index.errors import IndexDamagedError, StoreError
from index.layout import DATABASE, GENERATIONS, LANGS, VECTORS
from index.manifest import FORMAT_VERSION, Manifest, Segment, read_manifest
from index.milvus_collections import MilvusCollections
from index.milvus_place import MilvusPlace
from index.milvus_store import MilvusContents, MilvusReader
from index.milvus_writer import MilvusWriter
from index.passages import Placed, Texts
from index.progress import Progress
from index.records import passage_id
from index.sentence_files import SENTENCE_FILES
from index.sentence_vectors import FoundSentences, SentenceVectors
from index.stored import Occurrence, StoredDocuments, StoredPassage
from index.vectors import open_array, open_vectors

if TYPE_CHECKING:
    from index.records import LangCodes, Rows, Vectors

_AT_ONCE = 1_024
"""Passages read and sent at a time."""
_ROWS_LOOKED_AT = 8
"""Rows around a passage, beside twice as many as wanted, in which its neighbours are looked for."""


def check_place(settings: BuildSettings, directory: Path) -> BuildSettings:
    """Check, before any long work, that an index can be written to the place in Milvus that its settings name.

    Args:
        settings: Of the build.
        directory: Of the index. Collections that nobody named are named by it: two indexes must not share a name.

    Returns:
        The settings with the place in full.

    Raises:
        SettingsError: When it names none, or no vector index of the kind can be made there.
        StoreError: When it cannot be reached.
    """
    named = settings.store if "#" in settings.store else f"{settings.store}#{_name(directory)}"
    place = MilvusPlace.parse(named)
    place.check_kind(IndexKind(settings.kind))
    with contextlib.closing(MilvusCollections(place)) as connection:
        connection.collections()
    return dataclasses.replace(settings, store=str(place))


def _name(directory: Path) -> str:
    """Return a name for the collections of an index, another one for every directory."""
    path = str(directory.absolute())
    letters = re.sub(r"\W+", "_", directory.absolute().name, flags=re.ASCII).strip("_")[:40]
    return f"tongues_{letters}_{hashlib.blake2b(path.encode('utf-8', 'surrogatepass'), digest_size=4).hexdigest()}"


def publish(
    folder: Path,
    segment: Segment,
    offsets: Vectors,
    settings: BuildSettings,
    progress: Progress,
) -> tuple[Segment, str]:
    """Copy the passages and vectors of a generation to Milvus, from the files of its one segment.

    Nothing names the collection yet but the generation's manifest, once that is written.

    Args:
        folder: Of the generation; its database is closed.
        segment: What it holds.
        offsets: Of the languages, shape (n_langs, dim).
        settings: Of the build.
        progress: Told how far it is.

    Returns:
        The segment as it is in Milvus, and the name of the collection. The caller removes what is left in files.

    Raises:
        StoreError: When Milvus cannot be reached or written.
    """
    dim, at = offsets.shape[1], folder / segment.name
    codes = open_array(at / LANGS, (segment.rows,), "uint16")
    vectors = BalancedVectors(open_vectors(at / VECTORS, segment.rows, dim, segment.numbers), codes, offsets, STRENGTH)
    sentences = SentenceVectors([at], [segment.rows], [segment.sentences], dim) if segment.sentences else None
    kind = IndexKind(settings.kind)
    with (
        contextlib.closing(StoredDocuments(folder / DATABASE, FORMAT_VERSION)) as documents,
        MilvusWriter.begin(MilvusPlace.parse(settings.store), dim, kind, keep=_named(folder.parent)) as writer,
    ):
        import numpy as np

        progress.start("sending to Milvus", segment.rows, "passage")
        try:
            for start in range(0, segment.rows, _AT_ONCE):
                rows = np.arange(start, min(start + _AT_ONCE, segment.rows))
                passages = documents.passages(rows.tolist())
                writer.append(rows.tolist(), passages, vectors[rows], sentences.of(rows) if sentences else None)
                progress.advance(len(rows))
            made = writer.finish(segment.rows)
        except BaseException:
            writer.abandon()
            raise
        finally:
            progress.end()
        return dataclasses.replace(segment, kind=str(made)), writer.collection


def _named(generations: Path) -> list[str]:
    """Return the collections that the generations in a folder name."""
    named = []
    for one in generations.iterdir():
        with contextlib.suppress(StoreError):
            named.append(read_manifest(one).collection)
    return [name for name in named if name]


def strip(folder: Path, segment: Segment) -> None:
    """Remove from a generation what is in Milvus."""
    for name in (VECTORS, *SENTENCE_FILES):
        (folder / segment.name / name).unlink(missing_ok=True)
    with contextlib.closing(DocumentWriter(folder / DATABASE)) as documents:
        documents.remove_passages()


def follow(directory: Path, manifest: Manifest) -> None:
    """Have the alias name the collection that the directory names by now, and drop those that no generation names.

    Readers go by the manifest. Killed before, the directory is right, and the next build has the alias follow.

    Args:
        directory: Of the index, locked.
        manifest: Of its current generation.

    Raises:
        StoreError: When Milvus cannot be reached or written.
    """
    place = MilvusPlace.parse(manifest.store)
    with contextlib.closing(MilvusCollections(place)) as connection:
        writer = MilvusWriter(connection, manifest.collection, manifest.encoder.dim, IndexKind.AUTO)
        writer.switch()
        # A generation that somebody reads is still there.
        writer.collect(keep=_named(directory / GENERATIONS))


class PassagesInMilvus:
    """The passages of a generation that are in a collection of Milvus."""

    def __init__(self, manifest: Manifest, codes: LangCodes, offsets: Vectors) -> None:
        """Open the collection.

        Args:
            manifest: Of the generation.
            codes: The language of each row, shape (n_rows,).
            offsets: Of the languages, shape (n_langs, dim).

        Raises:
            StoreError: When Milvus cannot be reached, or the collection is not what the manifest tells.
        """
        import numpy as np

        self._codes = codes
        self._taken = np.asarray(manifest.balance * offsets, np.float32)
        counts = manifest.counts.languages
        contents = MilvusContents(
            languages=manifest.languages,
            counts=tuple(counts.get(lang, 0) for lang in manifest.languages),
            dim=manifest.encoder.dim,
            kind=IndexKind(manifest.kind),
            has_sentences=manifest.counts.sentences > 0,
        )
        self._place = manifest.store
        self._reader = MilvusReader.open(MilvusPlace.parse(manifest.store), manifest.collection, contents)

    def near(self, queries: Vectors, n: int, codes: Sequence[int] | None) -> list[Rows]:
        """Return for each query rows worth ranking, as ``Passages`` has it."""
        return self._reader.near(queries, n, codes)

    def vectors(self, rows: Rows) -> Vectors:
        """Return the vectors of rows as the model gave them, shape (n, dim), unit rows."""
        import numpy as np

        codes = np.minimum(self._codes[rows], len(self._taken) - 1)  # a damaged file may hold any number
        return unbalanced(self._reader.vectors(rows), self._taken[codes])

    def sentences(self, rows: Rows) -> FoundSentences | None:
        """Return the sentences of rows; None when the index has none."""
        return self._reader.sentences(rows)

    def passages(self, rows: Sequence[int]) -> list[StoredPassage]:
        """Return the passages of rows, in the order given."""
        found = self._reader.passages(rows)
        for row, one in zip(rows, found, strict=True):
            if one.passage_id != passage_id(one.lang, one.context, one.text):
                raise IndexDamagedError(
                    f"{self._place}: row {row} holds another text than was written. Build the index again."
                )
        return found

    def row_of(self, passage_id: str) -> int | None:
        """Return the row of a passage; None when there is none with this id."""
        return self._reader.row_of(passage_id)

    def around(self, row: int, place: Occurrence, n: int) -> tuple[list[Placed], list[Placed]]:
        """Return the passages around a place, as ``Passages`` has it.

        They were written one after the other, so the rows near by are looked at: a neighbour that stood somewhere else
        before is not found.
        """
        far = 2 * n + _ROWS_LOOKED_AT
        near = range(max(0, row - far), min(len(self._codes), row + far + 1))
        placed = {
            other.start: Placed(passage, other.start)
            for passage in self.passages(near)
            for other in passage.occurrences
            if (other.source, other.doc_id) == (place.source, place.doc_id)
        }
        before = [placed[start] for start in sorted(placed) if start < place.start]
        after = [placed[start] for start in sorted(placed) if start > place.start]
        return before[len(before) - min(n, len(before)) :], after[:n]

    def iter_texts(self) -> Texts:
        """Yield the texts of all passages, in the order of their rows."""
        for block in self._reader.blocks():
            yield block.rows.tolist(), [(passage.context, passage.text) for passage in block.passages]

    def close(self) -> None:
        """Let go of the connection."""
        self._reader.close()


def unbalanced(vectors: Vectors, taken: Vectors) -> Vectors:
    """Return the unit vectors that others were made of by taking something out of each.

    b = (v - o) / |v - o| and |v| = 1, so v = s b + o with s² + 2 s b·o + |o|² = 1.

    Args:
        vectors: The balanced ones, shape (n, dim), unit rows.
        taken: What was taken out of each, shape (n, dim), of less than unit length.
    """
    import numpy as np

    along = np.einsum("ij,ij->i", vectors, taken, dtype=np.float64)
    rest = np.maximum(along**2 + 1 - np.einsum("ij,ij->i", taken, taken, dtype=np.float64), 0)
    rows: Vectors = ((np.sqrt(rest) - along)[:, None] * vectors + taken).astype(np.float32)
    return rows
