"""Reads passages and their vectors from Milvus: a reader is bound to one collection, one generation of an index."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from index.config import IndexKind
from index.errors import IndexDamagedError
from index.milvus_client import PATIENCE
from index.milvus_collections import MOST_ROWS, REQUEST, MilvusCollections, current_of, generations
from index.milvus_kinds import search_params
from index.milvus_place import MilvusPlace
from index.milvus_records import (
    FIELDS,
    LANG,
    PASSAGE_FIELDS,
    SENTENCES,
    VECTOR,
    passage_of,
    unpack_sentences,
)
from index.vectors import check_vectors

if TYPE_CHECKING:
    from index.records import Rows, Scores, Vectors
    from index.sentence_vectors import FoundSentences
    from index.stored import StoredPassage

_LONG_AT_ONCE = 256
"""Records with texts read with one request."""
_REMEMBERED = 32 << 20
"""Bytes of vectors that searches brought and a reader keeps: those of some searches, one of each language."""
_SENTENCES_MEANT = 6
"""Sentences that a passage is thought to have when the size of an answer is guessed."""


@dataclass(frozen=True, slots=True)
class MilvusContents:
    """What a collection holds, as the manifest of an index tells it.

    Attributes:
        languages: Their positions are the codes of ``near``.
        counts: How many passages each has.
        dim: Numbers of a vector.
        kind: The kind of its vector index, as ``MilvusWriter.finish`` told it.
        has_sentences: Whether there are vectors of sentences.
    """

    languages: tuple[str, ...]
    counts: tuple[int, ...]
    dim: int
    kind: IndexKind
    has_sentences: bool = True


@dataclass(frozen=True, slots=True)
class Block:
    """Passages in order of their rows, with all that is stored of them."""

    rows: Rows
    passages: list[StoredPassage]
    vectors: Vectors
    sentences: FoundSentences


class MilvusReader:
    """Reads one collection, also after the alias names another; until a build has dropped it."""

    def __init__(self, connection: MilvusCollections, collection: str, contents: MilvusContents) -> None:
        """Use ``MilvusReader.open``."""
        self.collection = collection
        self.contents = contents
        self.n_rows = sum(contents.counts)
        self._connection = connection
        self._brought: dict[int, Mapping[str, Any]] = {}

    @classmethod
    def open(
        cls, place: MilvusPlace, collection: str, contents: MilvusContents, patience: float = PATIENCE
    ) -> MilvusReader:
        """Open a collection.

        Raises:
            IndexDamagedError: When it is missing, or holds something else than the manifest tells.
            StoreError: When Milvus cannot be reached.
        """
        if place.is_file and not Path(place.uri).exists():  # opening would make it
            raise IndexDamagedError(f"{place}: this file is not there. Build the index again, or put it back.")
        connection = MilvusCollections(place, patience)
        try:
            connection.check(collection, contents.dim)
            connection.load(collection)
            reader = cls(connection, collection, contents)
            have = connection.count(collection)
            if have != reader.n_rows:
                raise reader._damaged(f"has {have} records where the manifest tells of {reader.n_rows}")
        except BaseException:
            connection.close()
            raise
        return reader

    def current(self) -> str | None:
        """Return the collection that the alias names now: another than this one after a build."""
        place = self._connection.place
        return current_of(self._connection, generations(place, self._connection.collections()).values())

    def near(self, queries: Vectors, k: int, codes: Sequence[int] | None = None) -> list[Rows]:
        """Return for each query the rows of the ``k`` best inner products with the stored vectors, best first.

        One request for all queries, which brings the vectors and sentences of what it finds along where the answer
        stays small: ``vectors`` and ``sentences`` of these rows then ask for nothing, also after some more searches.
        Among equal products at the border, which rows are found is Milvus's choice. A vector index that is not flat
        may miss some of the best, but ``k`` rows come back where so many exist.

        Args:
            queries: Shape (n, dim).
            k: How many.
            codes: Positions in ``contents.languages`` of the languages that may be found; all when None.

        Raises:
            StoreError: When Milvus cannot be reached.
        """
        import numpy as np

        queries = check_vectors(queries, self.contents.dim)
        langs = None if codes is None else [self.contents.languages[code] for code in dict.fromkeys(codes)]
        n_allowed = self.n_rows if codes is None else sum(self.contents.counts[code] for code in dict.fromkeys(codes))
        k = min(k, n_allowed)
        if k <= 0 or not len(queries):
            return [np.empty(0, np.int64) for _ in queries]
        if k > MOST_ROWS:
            return self._scan(queries, k, langs)
        guess = 4 * self.contents.dim + _SENTENCES_MEANT * (8 + self.contents.dim) * 4 // 3
        brought = (VECTOR, SENTENCES) if len(queries) * k * guess <= REQUEST else ()
        for params in search_params(self.contents.kind, self.n_rows, k):
            found = self._connection.search(self.collection, queries, k, langs, params, brought)
            if all(len(hits) >= k for hits in found):
                break
        else:
            return self._scan(queries, k, langs)
        if brought:
            self._remember({hit.row: hit.fields for hits in found for hit in hits}, _REMEMBERED // guess)
        return [
            np.array([hit.row for hit in sorted(hits, key=lambda hit: (-hit.score, hit.row))], np.int64)
            for hits in found
        ]

    def vectors(self, rows: Sequence[int] | Rows) -> Vectors:
        """Return the stored vectors of rows, shape (n, dim), in the order given.

        Raises:
            IndexDamagedError: When a row is not there.
        """
        return self._vectors_of(self._read(rows, (VECTOR,)))

    def sentences(self, rows: Sequence[int] | Rows) -> FoundSentences | None:
        """Return the sentences of rows, in the order given; None when the index has none.

        Raises:
            IndexDamagedError: When a row is not there, or what it holds is damaged.
        """
        return self._sentences_of(self._read(rows, (SENTENCES,))) if self.contents.has_sentences else None

    def passages(self, rows: Sequence[int] | Rows) -> list[StoredPassage]:
        """Return the passages of rows, in the order given, with one request for up to 256.

        Raises:
            IndexDamagedError: When a row is not there, or what it holds is damaged.
        """
        with self._reading():
            return [passage_of(record) for record in self._read(rows, PASSAGE_FIELDS)]

    def row_of(self, passage_id: str) -> int | None:
        """Return the row of a passage; None when there is none with this id."""
        return self._connection.row_of(self.collection, passage_id)

    def blocks(self, n_rows: int = _LONG_AT_ONCE) -> Iterator[Block]:
        """Yield everything in order of the rows, for a build that uses the vectors again.

        Raises:
            IndexDamagedError: When a row is not there, or what it holds is damaged.
        """
        import numpy as np

        for start in range(0, self.n_rows, n_rows):
            rows = np.arange(start, min(start + n_rows, self.n_rows))
            records = self._read(rows, FIELDS[1:])
            with self._reading():
                passages = [passage_of(record) for record in records]
            yield Block(rows, passages, self._vectors_of(records), self._sentences_of(records))

    def _scan(self, queries: Vectors, k: int, langs: Sequence[str] | None) -> list[Rows]:
        """Compare every vector here: where Milvus limits an answer, or its index does not find enough."""
        import numpy as np

        kept: list[tuple[Rows, Scores]] = [(np.empty(0, np.int64), np.empty(0, np.float32)) for _ in queries]
        step = max(1, REQUEST // (4 * self.contents.dim))
        for start in range(0, self.n_rows, step):
            rows = np.arange(start, min(start + step, self.n_rows))
            records = self._read(rows, (LANG, VECTOR))
            among = np.array([langs is None or record[LANG] in langs for record in records])
            vectors, rows = self._vectors_of(records)[among], rows[among]
            for i, scores in enumerate(queries @ vectors.T):
                both, all_scores = np.append(kept[i][0], rows), np.append(kept[i][1], scores)
                best = np.lexsort((both, -all_scores))[:k]
                kept[i] = both[best], all_scores[best]
        return [rows for rows, _ in kept]

    def _remember(self, brought: dict[int, Mapping[str, Any]], most: int) -> None:
        # Replaced and never changed: other threads may be reading it.
        before = self._brought if len(self._brought) + len(brought) <= most else {}
        self._brought = {**before, **brought}

    def _read(self, rows: Sequence[int] | Rows, fields: Sequence[str]) -> list[Mapping[str, Any]]:
        """Return the records of rows, in the order given, without asking for what the last search brought."""
        brought = self._brought
        wanted = [int(row) for row in rows]
        have = {row: brought[row] for row in wanted if row in brought and set(fields) <= brought[row].keys()}
        missing = sorted(set(wanted) - have.keys())
        at_once = _LONG_AT_ONCE if set(fields) - {VECTOR, LANG} else max(1, REQUEST // (4 * self.contents.dim))
        at_once = min(at_once, MOST_ROWS)
        for at in range(0, len(missing), at_once):
            have.update(self._connection.records(self.collection, missing[at : at + at_once], fields))
        for row in wanted:
            if row not in have:
                raise self._damaged(f"has no row {row}")
        return [have[row] for row in wanted]

    def _vectors_of(self, records: Sequence[Mapping[str, Any]]) -> Vectors:
        import numpy as np

        with self._reading():
            if not records:
                return np.empty((0, self.contents.dim), np.float32)
            return check_vectors(np.array([record[VECTOR] for record in records], np.float32), self.contents.dim)

    def _sentences_of(self, records: Sequence[Mapping[str, Any]]) -> FoundSentences:
        with self._reading():
            return unpack_sentences([record[SENTENCES] for record in records], self.contents.dim)

    @contextlib.contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except (KeyError, TypeError, ValueError) as error:
            raise self._damaged(f"holds a record that cannot be read ({error})") from error

    def _damaged(self, what: str) -> IndexDamagedError:
        return IndexDamagedError(f"{self._connection.place}: {self.collection} {what}. Build the index again.")

    def close(self) -> None:
        """Let go of the connection."""
        self._brought = {}
        self._connection.close()

    def __enter__(self) -> MilvusReader:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()
