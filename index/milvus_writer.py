"""Writes passages and their vectors to Milvus: one generation of an index is one collection."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any

from index.config import IndexKind
from index.errors import StoreError
from index.milvus_client import PATIENCE
from index.milvus_collections import REQUEST, MilvusCollections, current_of, generations
from index.milvus_kinds import build_params, suited
from index.milvus_place import MilvusPlace
from index.milvus_records import pack_sentences, record_of, size_of
from index.vectors import check_vectors

if TYPE_CHECKING:
    from index.records import Vectors
    from index.sentence_vectors import FoundSentences
    from index.stored import StoredPassage

_LARGEST = 48 << 20
"""Bytes of the largest record that is written. Source: a server takes 64 MB with one request."""


class MilvusWriter:
    """Writes one generation, as a new collection that nobody reads before the index directory names it.

    The order of a build: ``begin``, ``append`` as often as needed, ``finish``; then the index directory names the new
    collection, then ``switch`` and ``collect``. Killed at any moment, the collection that the directory names is there,
    and the next ``begin`` drops what was half written: what is newer than the alias tells, and no generation names.
    One name must serve one index directory.
    """

    def __init__(self, connection: MilvusCollections, collection: str, dim: int, kind: IndexKind) -> None:
        """Use ``MilvusWriter.begin``."""
        self.collection = collection
        self._connection = connection
        self._place = connection.place
        self._dim = dim
        self._kind = kind

    @classmethod
    def begin(
        cls,
        place: MilvusPlace,
        dim: int,
        kind: IndexKind = IndexKind.AUTO,
        *,
        keep: Collection[str] = (),
        patience: float = PATIENCE,
    ) -> MilvusWriter:
        """Drop what killed builds left half written, and make the next collection.

        Args:
            place: Where.
            dim: Numbers of a vector.
            kind: The kind of vector index to make.
            keep: Collections that are dropped in no case: those that the generations of the index directory name. The
                alias may not have followed.
            patience: Seconds that a request may go on failing.

        Raises:
            SettingsError: When no vector index of this kind can be made there.
            StoreError: When Milvus cannot be reached or written, or the name is used by something else.
        """
        place.check_kind(kind)
        connection = MilvusCollections(place, patience)
        try:
            there = connection.collections()
            if place.name in there:
                raise StoreError(f"{place}: a collection has this name. Give this index another with #NAME behind it.")
            ours = generations(place, there)
            current = place.number(current_of(connection, ours.values()) or "") or 0
            for number, name in ours.items():
                connection.check(name)
                if number > current and name not in keep:
                    connection.drop(name)
            collection = place.collection(max(ours, default=0) + 1)
            connection.create(collection, dim)
        except BaseException:
            connection.close()
            raise
        return cls(connection, collection, dim, kind)

    def append(
        self, rows: Sequence[int], passages: Sequence[StoredPassage], vectors: Vectors, sentences: FoundSentences | None
    ) -> None:
        """Write passages; one written before, with the same row, is replaced.

        Args:
            rows: The row of each.
            passages: As they are to be read again.
            vectors: Shape (n, dim), unit rows.
            sentences: Their sentences in the same order, unit vectors that come from int8; None when there are none.

        Raises:
            StoreError: When they cannot be written.
        """
        vectors = check_vectors(vectors, self._dim)
        packed = [""] * len(rows) if sentences is None else pack_sentences(sentences)
        batch: list[dict[str, Any]] = []
        total = 0
        for row, passage, vector, text in zip(rows, passages, vectors, packed, strict=True):
            record = record_of(int(row), passage, vector, text)
            size = size_of(record)
            if size > _LARGEST:
                raise StoreError(
                    f"{self._place}: the passage {passage.passage_id} takes {size >> 20} MB with its metadata, more "
                    f"than Milvus holds ({_LARGEST >> 20} MB). Shorten the record, or keep this index in files."
                )
            if batch and total + size > REQUEST:
                self._connection.upsert(self.collection, batch)
                batch, total = [], 0
            batch.append(record)
            total += size
        if batch:
            self._connection.upsert(self.collection, batch)

    def finish(self, n_rows: int) -> IndexKind:
        """Make the vector index and check that every row is there; returns the kind of index made.

        Args:
            n_rows: How many were written, 0 to n_rows - 1.

        Raises:
            StoreError: When rows are missing, or no such index can be made.
        """
        kind = suited(self._kind, n_rows)
        self._connection.build(self.collection, kind, build_params(kind, n_rows, self._dim))
        have = self._connection.count(self.collection)
        if have != n_rows:
            raise StoreError(
                f"{self._place}: {self.collection} has {have} records where {n_rows} were written. Build it again."
            )
        return kind

    def switch(self) -> None:
        """Have the alias, the place's name, name this collection: in one step, readers see the old one or the new."""
        ours = generations(self._place, self._connection.collections())
        current = current_of(self._connection, ours.values())
        if current != self.collection:
            self._connection.point(self._place.name, self.collection, is_new=current is None)

    def collect(self, keep: Collection[str] = ()) -> list[str]:
        """Drop older collections but the one before, which readers may still have open; returns their names.

        Args:
            keep: Collections that are dropped in no case.
        """
        ours = generations(self._place, self._connection.collections())
        own = self._place.number(self.collection) or 0
        older = [ours[number] for number in sorted(ours) if number < own][:-1]
        dropped = [name for name in older if name not in keep]
        for name in dropped:
            self._connection.drop(name)
        return dropped

    def abandon(self) -> None:
        """Drop the collection without finishing; when that cannot be done, the next build does it."""
        with contextlib.suppress(StoreError):
            self._connection.drop(self.collection)

    def close(self) -> None:
        """Let go of the connection."""
        self._connection.close()

    def __enter__(self) -> MilvusWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()
