"""The connection to Milvus: every request tried again while the server is away for a moment, every failure told.

pymilvus by itself gives up at the first refused connection; here a request is repeated, with growing pauses, until it
is answered or has failed for ``PATIENCE`` seconds. Every request may be sent twice without harm.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from index.errors import IndexDamagedError, StoreError
from index.milvus_kinds import MilvusKind
from index.milvus_local import FileBusyError, close_file, open_file
from index.milvus_place import TOKEN_ENV, MilvusPlace
from index.milvus_records import FIELDS, LANG, LONG_FIELDS, MOST_PIECES, N_PLACES, PASSAGE_ID, PIECE, ROW, VECTOR

if TYPE_CHECKING:
    from index.records import Vectors

_Answer = TypeVar("_Answer")

PATIENCE = 30.0
"""Seconds that a request may go on failing: a server that is started again is back within this."""
LONG = 3600.0
"""Seconds that a server may take to build a vector index, or to load a collection."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 2.0
_CONNECTING = 5.0
"""Seconds for one attempt to connect."""
_CHANNEL = {
    "grpc.use_local_subchannel_pool": 1,
    "grpc.initial_reconnect_backoff_ms": 50,
    "grpc.max_reconnect_backoff_ms": 500,
}
"""gRPC pauses too, for seconds and shared by all connections to an address: an attempt of ours would not be made."""
_AWAY = {"UNAVAILABLE", "ABORTED", "CANCELLED", "DEADLINE_EXCEEDED", "UNKNOWN"}
"""What gRPC calls failures that may be over in a moment."""
_REFUSED = {"UNAUTHENTICATED", "PERMISSION_DENIED"}
_NOT_FOUND, _NOT_LOADED = 100, 101
"""Milvus's numbers for a collection that is not there, and one that is not loaded."""
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


class MilvusConnection:
    """One connection; its methods may be called from several threads."""

    def __init__(self, place: MilvusPlace, patience: float = PATIENCE) -> None:
        """Connect, or open the file.

        Args:
            place: Where; the token comes from the environment variable ``TONGUES_MILVUS_TOKEN``.
            patience: Seconds that a request, this one too, may go on failing.

        Raises:
            StoreError: When pymilvus is not installed, the server does not answer or refuses the token, or another
                program has the file open.
        """
        self.place = place
        self._patience = patience
        self._has_file = False
        self._is_closed = False
        self._client: Any = None
        kind = _pymilvus().MilvusClient
        try:
            address = self._ask("opening", lambda _: open_file(place.uri)) if place.is_file else place.uri
            self._has_file = place.is_file
            options: dict[str, Any] = {"dedicated": True, "grpc_options": dict(_CHANNEL)}  # shared are never closed
            if place.is_file:
                options["grpc_options"]["grpc.enable_http_proxy"] = 0  # it is in this process
            else:
                options["token"] = os.environ.get(TOKEN_ENV, "")
            self._client = self._ask(
                "connecting", lambda left: kind(address, timeout=min(left, _CONNECTING, patience), **options)
            )
        except BaseException:
            self.close()
            raise

    def collections(self) -> list[str]:
        """Return the names of all collections."""
        return [str(name) for name in self._ask("listing", lambda left: self._client.list_collections(timeout=left))]

    def create(self, collection: str, dim: int) -> None:
        """Make an empty collection for vectors of so many numbers."""
        from pymilvus import DataType, MilvusClient

        schema = MilvusClient.create_schema(auto_id=False, enable_dynamic_field=False)
        schema.add_field(ROW, DataType.INT64, is_primary=True)
        schema.add_field(VECTOR, DataType.FLOAT_VECTOR, dim=dim)
        schema.add_field(N_PLACES, DataType.INT64)
        for name in (LANG, PASSAGE_ID):
            schema.add_field(name, DataType.VARCHAR, max_length=PIECE)
        for name in LONG_FIELDS:
            schema.add_field(
                name, DataType.ARRAY, element_type=DataType.VARCHAR, max_capacity=MOST_PIECES, max_length=PIECE
            )
        self._ask(
            f"creating {collection}",
            _unless_done(
                lambda left: self._client.create_collection(collection, schema=schema, timeout=left),
                lambda left: bool(self._client.has_collection(collection, timeout=left)),
            ),
        )

    def drop(self, collection: str) -> None:
        """Drop a collection; one that is not there is no error."""
        self._ask(f"dropping {collection}", lambda left: self._client.drop_collection(collection, timeout=left))

    def check(self, collection: str, dim: int | None = None) -> None:
        """Check that a collection holds records of passages, and vectors of so many numbers.

        Raises:
            IndexDamagedError: When it is missing, or something else.
        """
        told = self._ask(
            f"describing {collection}", lambda left: self._client.describe_collection(collection, timeout=left)
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
        self._ask(f"writing to {collection}", lambda left: self._client.upsert(collection, list(records), timeout=left))

    def build(self, collection: str, kind: MilvusKind, params: Mapping[str, Any]) -> None:
        """Put on disk what was written, and make the indexes of vectors and languages.

        Raises:
            StoreError: When the server cannot make an index of this kind.
        """
        self._ask(f"flushing {collection}", lambda left: self._client.flush(collection, timeout=left), LONG)
        made = self._client.prepare_index_params()
        made.add_index(VECTOR, index_type=_INDEX_TYPES[kind], metric_type="IP", params=dict(params))
        made.add_index(LANG, index_type="INVERTED")
        doing = f"making the {kind} index of {collection}"
        self._ask(
            doing,
            lambda left: self._client.create_index(collection, made, timeout=left, sync=False),
            LONG,
            remedy="Choose another kind of vector index; every server has flat.",
        )
        end, pauses = time.monotonic() + LONG, _pauses()
        while self._ask(doing, lambda left: self._client.describe_index(collection, VECTOR, timeout=left)).get(
            "state"
        ) not in ("Finished", None):
            if time.monotonic() > end:
                raise StoreError(f"{self.place}: {doing} took more than {LONG:.0f} s. Look at the server's log.")
            time.sleep(next(pauses))
        self.load(collection)

    def load(self, collection: str) -> None:
        """Have the server hold a collection ready for questions."""
        self._ask(f"loading {collection}", lambda left: self._client.load_collection(collection, timeout=left), LONG)

    def count(self, collection: str) -> int:
        """Return how many records a loaded collection has, all that was ever written counted."""
        rows = self._ask(
            f"counting {collection}",
            lambda left: self._client.query(
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
        found = self._ask(
            f"searching {collection}",
            lambda left: self._client.search(
                collection,
                data=list(queries),
                anns_field=VECTOR,
                limit=k,
                filter="" if langs is None else f"{LANG} in [{', '.join(map(_quoted, langs))}]",
                search_params={"metric_type": "IP", "params": dict(params)},
                output_fields=list(fields),
                timeout=left,
            ),
            needs=collection,
        )
        return [[Near(int(hit[ROW]), float(hit["distance"]), hit["entity"]) for hit in hits] for hits in found]

    def records(self, collection: str, rows: Sequence[int], fields: Sequence[str]) -> dict[int, Mapping[str, Any]]:
        """Return fields of the records that are there, by row."""
        found = self._ask(
            f"reading {collection}",
            lambda left: self._client.query(
                collection, ids=list(rows), output_fields=[ROW, *fields], timeout=left, limit=len(rows)
            ),
            needs=collection,
        )
        return {int(record[ROW]): record for record in found}

    def aliases(self, collection: str) -> list[str]:
        """Return the other names of a collection."""
        told = self._ask(f"asking for {collection}", lambda left: self._client.list_aliases(collection, timeout=left))
        return [str(name) for name in told["aliases"]]

    def point(self, alias: str, collection: str, *, is_new: bool) -> None:
        """Have an alias name another collection, in one step, or make it."""
        ask = self._client.create_alias if is_new else self._client.alter_alias
        self._ask(
            f"naming {collection} {alias}",
            _unless_done(
                lambda left: ask(collection, alias, timeout=left),
                lambda left: alias in self._client.list_aliases(collection, timeout=left)["aliases"],
            ),
        )

    def close(self) -> None:
        """Disconnect; a file is free for other programs when all its users here have closed."""
        self._is_closed = True
        client, self._client = self._client, None
        if client is not None:
            client.close()
        if self._has_file:
            self._has_file = False
            close_file(self.place.uri)

    def _ask(
        self,
        doing: str,
        ask: Callable[[float], _Answer],
        within: float | None = None,
        needs: str = "",
        remedy: str = "See the server's log, and try again.",
    ) -> _Answer:
        """Return what ``ask`` returns, which is given the seconds it may take, and asked again while it may help.

        Args:
            doing: What is being done, for messages.
            ask: Sends one request.
            within: Seconds one attempt may take; the patience when None.
            needs: A collection that must be loaded for it; one that is not, is.
            remedy: What to do when the server answers that it cannot.

        Raises:
            StoreError: When it failed for good, or for longer than the patience.
        """
        import grpc
        from pymilvus import MilvusException

        if self._is_closed:
            raise StoreError(f"{self.place}: this index was closed. Open it again.")
        pauses, end, left = _pauses(), 0.0, within or self._patience
        while True:
            began = time.monotonic()
            try:
                return ask(left)
            except (grpc.RpcError, MilvusException, FileBusyError) as error:
                if needs and getattr(error, "code", None) == _NOT_LOADED:  # the server was started again
                    self.load(needs)
                    needs = ""
                    continue
                end = end or began + self._patience
                pause, left = next(pauses), end - time.monotonic()
                if not _may_pass(error) or left <= pause:
                    raise self._told(error, doing, remedy) from error
            time.sleep(pause)
            left -= pause

    def _told(self, error: Exception, doing: str, remedy: str) -> StoreError:
        """Turn a failure into a message with its remedy."""
        codes, reason = _codes(error), _reason(error)
        if isinstance(error, FileBusyError):
            return StoreError(
                f"{self.place}: another program has this file open. It serves one at a time: wait for the other to "
                "end, or use a Milvus server."
            )
        if codes & _REFUSED:
            return StoreError(
                f"{self.place}: the server refuses this user. Set {TOKEN_ENV} to its token or to user:password."
            )
        if codes & _AWAY or getattr(error, "retriable", False):
            return StoreError(
                f"{self.place}: the server does not answer ({doing}: {reason}; tried for {self._patience:g} s). Check "
                "that it runs and that the address is right, then try again."
            )
        if getattr(error, "code", None) == _NOT_FOUND:
            return IndexDamagedError(
                f"{self.place}: a collection of this index is not there ({doing}: {reason}). Build the index again."
            )
        return StoreError(f"{self.place}: {doing} failed ({reason}). {remedy}")


_INDEX_TYPES = {
    MilvusKind.FLAT: "FLAT",
    MilvusKind.HNSW: "HNSW",
    MilvusKind.IVF_SQ: "IVF_SQ8",
    MilvusKind.IVF_PQ: "IVF_PQ",
}


def _pymilvus() -> Any:
    """Import pymilvus without what it does on the way: it reads a .env file, and prints what it also raises."""
    before = os.environ.get("PYTHON_DOTENV_DISABLED")
    os.environ["PYTHON_DOTENV_DISABLED"] = "1"
    try:
        import pymilvus
    except ImportError as error:
        raise StoreError(
            f"pymilvus is not installed ({error}). Install it with: pip install 'manytongues[milvus]'"
        ) from error
    finally:
        del os.environ["PYTHON_DOTENV_DISABLED"]
        if before is not None:
            os.environ["PYTHON_DOTENV_DISABLED"] = before
    for name in ("pymilvus", "pymilvus.milvus_client"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    return pymilvus


def _unless_done(ask: Callable[[float], object], is_done: Callable[[float], bool]) -> Callable[[float], None]:
    """Return a request whose failure counts only if nothing was done: its answer may be lost, and pymilvus repeats."""

    def send(left: float) -> None:
        from pymilvus import MilvusException

        try:
            ask(left)
        except MilvusException:
            if not is_done(left):
                raise

    return send


def _pauses() -> Iterator[float]:
    pause = _FIRST_PAUSE
    while True:
        yield pause
        pause = min(2 * pause, _LONGEST_PAUSE)


def _codes(error: BaseException | None) -> set[str]:
    """Return the names of gRPC's states in an error and in those it came from."""
    import grpc
    from pymilvus.client.types import Status

    codes: set[str] = set()
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        code = getattr(error, "code", None)
        code = code() if isinstance(error, grpc.RpcError) and callable(code) else code
        if isinstance(code, grpc.StatusCode):  # pymilvus hands it on as the number of its own errors
            codes.add(code.name)
        elif code == Status.CONNECT_FAILED:
            codes.add("UNAVAILABLE")
        error = error.__cause__ if error.__cause__ is not error else error.__context__
    return codes


def _reason(error: Exception) -> str:
    """Return what an error says, in one line."""
    import grpc
    from pymilvus import MilvusException

    said: object = error
    if isinstance(error, MilvusException):
        said = error.message
    elif isinstance(error, grpc.RpcError) and isinstance(error, grpc.Call):
        said = error.details()
    return " ".join(str(said or error).split())


def _may_pass(error: Exception) -> bool:
    """Tell whether the same request may succeed in a moment."""
    if isinstance(error, FileBusyError):
        return True
    codes = _codes(error)
    return not codes & _REFUSED and bool(codes & _AWAY or getattr(error, "retriable", False))


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def generations(place: MilvusPlace, collections: Collection[str]) -> dict[int, str]:
    """Return the collections of a place's name by their numbers, in order."""
    return dict(sorted((number, name) for name in collections if (number := place.number(name)) is not None))


def current_of(connection: MilvusConnection, collections: Collection[str]) -> str | None:
    """Return which of some collections the alias names."""
    return next((name for name in collections if connection.place.name in connection.aliases(name)), None)
