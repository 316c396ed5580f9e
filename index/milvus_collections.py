"""What is asked of the collections of Milvus."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from index.config import IndexKind
from index.errors import IndexDamagedError, StoreError
from index.milvus_client import MilvusConnection, pauses, unless_done
from index.milvus_kinds import INDEX_TYPES
from index.milvus_place import MilvusPlace
from index.milvus_records import FIELDS, LANG, LONG_FIELDS, MOST_PIECES, N_PLACES, PASSAGE_ID, PIECE, ROW, VECTOR

if TYPE_CHECKING:
    from index.records import Vectors

LONG = 3600.0
"""Seconds that a server may take to build a vector index, or to load a collection."""
REQUEST = 8 << 20
"""Bytes of records in one request, or of vectors in one answer. Source: a server takes and gives 64 MB."""
MOST_ROWS = 16_384
"""Source: Milvus's limit for the rows a search may ask for."""


@dataclass(frozen=True, slots=True)
class Near:
    """A record found by a search: its row, its inner product with the query, and the fields asked for."""

    row: int
    score: float
    fields: Mapping[str, Any]


class MilvusCollections(MilvusConnection):
    """A connection, with what this project asks; a failure of any request is a ``StoreError``."""

    def collections(self) -> list[str]:
        """Return the names of all collections."""
        return [str(name) for name in self.ask("listing", lambda left: self.client.list_collections(timeout=left))]

    def create(self, collection: str, dim: int) -> None:
        """Make an empty collection for vectors of so many numbers."""
        schema, types = self.client.create_schema(auto_id=False, enable_dynamic_field=False), self.types
        schema.add_field(ROW, types.INT64, is_primary=True)
        schema.add_field(VECTOR, types.FLOAT_VECTOR, dim=dim)
        schema.add_field(N_PLACES, types.INT64)
        for name in (LANG, PASSAGE_ID):
            schema.add_field(name, types.VARCHAR, max_length=PIECE)
        for name in LONG_FIELDS:
            schema.add_field(name, types.ARRAY, element_type=types.VARCHAR, max_capacity=MOST_PIECES, max_length=PIECE)
        self.ask(
            f"creating {collection}",
            unless_done(
                lambda left: self.client.create_collection(collection, schema=schema, timeout=left),
                lambda left: bool(self.client.has_collection(collection, timeout=left)),
            ),
        )

    def drop(self, collection: str) -> None:
        """Drop a collection; one that is not there is no error."""
        self.ask(f"dropping {collection}", lambda left: self.client.drop_collection(collection, timeout=left))

    def check(self, collection: str, dim: int | None = None) -> None:
        """Check that a collection holds records of passages, and vectors of so many numbers.

        Raises:
            IndexDamagedError: When it is missing, or something else.
        """
        told = self.ask(
            f"describing {collection}", lambda left: self.client.describe_collection(collection, timeout=left)
        )
        fields = {field["name"]: field.get("params", {}) for field in told["fields"]}
        have = int(fields.get(VECTOR, {}).get("dim", 0))
        if set(fields) != set(FIELDS):
            raise IndexDamagedError(
                f"{self.place}: {collection} is no collection of passages (it has {', '.join(sorted(fields))}). "
                "Give this index another name with #NAME behind the address."
            )
        if dim is not None and have != dim:
            raise IndexDamagedError(
                f"{self.place}: {collection} holds vectors of {have} numbers, not {dim}. Build the index again."
            )

    def upsert(self, collection: str, records: Sequence[Mapping[str, Any]]) -> None:
        """Write records; those with the same row are replaced."""
        self.ask(f"writing to {collection}", lambda left: self.client.upsert(collection, list(records), timeout=left))

    def build(self, collection: str, kind: IndexKind, params: Mapping[str, Any]) -> None:
        """Put on disk what was written, and make the indexes of vectors and languages.

        Raises:
            StoreError: When the server cannot make an index of this kind.
        """
        self.ask(f"flushing {collection}", lambda left: self.client.flush(collection, timeout=left), LONG)
        made = self.client.prepare_index_params()
        made.add_index(VECTOR, index_type=INDEX_TYPES[kind], metric_type="IP", params=dict(params))
        made.add_index(LANG, index_type="INVERTED")
        doing = f"making the {kind} index of {collection}"
        self.ask(
            doing,
            lambda left: self.client.create_index(collection, made, timeout=left, sync=False),
            LONG,
            remedy="Choose another kind of vector index; every server has flat.",
        )
        self._wait_for_index(collection, doing)
        self.load(collection)

    def _wait_for_index(self, collection: str, doing: str) -> None:
        end, waits = time.monotonic() + LONG, pauses()
        while True:
            told = self.ask(doing, lambda left: self.client.describe_index(collection, VECTOR, timeout=left))
            if told.get("state") == "Finished":
                return
            if told.get("state") == "Failed" or time.monotonic() > end:
                raise StoreError(
                    f"{self.place}: {doing} failed, or took longer than {LONG:.0f} s. See the server's log, and build "
                    "it again, maybe with another kind of vector index."
                )
            time.sleep(next(waits))

    def load(self, collection: str) -> None:
        """Have the server hold a collection ready for questions."""
        self.ask(f"loading {collection}", lambda left: self.client.load_collection(collection, timeout=left), LONG)

    def count(self, collection: str) -> int:
        """Return how many records a loaded collection has, all that was ever written counted."""
        rows = self.ask(
            f"counting {collection}",
            lambda left: self.client.query(
                collection, filter="", output_fields=["count(*)"], consistency_level="Strong", timeout=left
            ),
        )
        return int(rows[0]["count(*)"])

    def search(
        self,
        collection: str,
        queries: Vectors,
        k: int,
        langs: Sequence[str] | None,
        params: Mapping[str, Any],
        fields: Sequence[str],
    ) -> list[list[Near]]:
        """Return for each query up to ``k`` records with the best inner products, in no certain order."""
        found = self.ask(
            f"searching {collection}",
            lambda left: self.client.search(
                collection,
                data=list(queries),
                anns_field=VECTOR,
                limit=k,
                filter="" if langs is None else f"{LANG} in [{', '.join(map(_quoted, langs))}]",
                search_params={"metric_type": "IP", "params": dict(params)},
                output_fields=list(fields) or [ROW],  # none would mean all, to the embedded Milvus
                timeout=left,
            ),
            needs=collection,
        )
        return [[Near(int(hit[ROW]), float(hit["distance"]), hit["entity"]) for hit in hits] for hits in found]

    def records(self, collection: str, rows: Sequence[int], fields: Sequence[str]) -> dict[int, Mapping[str, Any]]:
        """Return fields of the records that are there, by row."""
        found = self.ask(
            f"reading {collection}",
            lambda left: self.client.query(
                collection, ids=list(rows), output_fields=[ROW, *fields], timeout=left, limit=len(rows)
            ),
            needs=collection,
        )
        return {int(record[ROW]): record for record in found}

    def row_of(self, collection: str, passage_id: str) -> int | None:
        """Return the row of the passage with an id; None when there is none."""
        found = self.ask(
            f"reading {collection}",
            lambda left: self.client.query(
                collection, filter=f"{PASSAGE_ID} == {_quoted(passage_id)}", output_fields=[ROW], timeout=left, limit=1
            ),
            needs=collection,
        )
        return int(found[0][ROW]) if found else None

    def aliases(self, collection: str) -> list[str]:
        """Return the other names of a collection."""
        told = self.ask(f"asking for {collection}", lambda left: self.client.list_aliases(collection, timeout=left))
        return [str(name) for name in told["aliases"]]

    def point(self, alias: str, collection: str, *, is_new: bool) -> None:
        """Have an alias name another collection, in one step, or make it."""
        ask = self.client.create_alias if is_new else self.client.alter_alias
        self.ask(
            f"naming {collection} {alias}",
            unless_done(
                lambda left: ask(collection, alias, timeout=left),
                lambda left: alias in self.client.list_aliases(collection, timeout=left)["aliases"],
            ),
        )


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def generations(place: MilvusPlace, collections: Collection[str]) -> dict[int, str]:
    """Return the collections of a place's name by their numbers, in order."""
    return dict(sorted((number, name) for name in collections if (number := place.number(name)) is not None))


def current_of(connection: MilvusCollections, collections: Collection[str]) -> str | None:
    """Return which of some collections the alias names."""
    return next((name for name in collections if connection.place.name in connection.aliases(name)), None)
