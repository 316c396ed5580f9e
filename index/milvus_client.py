"""The connection to Milvus: every request tried again while the server is away for a moment, every failure told.

pymilvus by itself gives up at the first refused connection; here a request is repeated, with growing pauses, until it
is answered or has failed for ``PATIENCE`` seconds. Every request may be sent twice without harm.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from index.errors import IndexDamagedError, StoreError
from index.extras import needs
from index.milvus_local import FileBusyError, close_file, open_file
from index.milvus_place import TOKEN_ENV, MilvusPlace

_Answer = TypeVar("_Answer")

PATIENCE = 30.0
"""Seconds that a request may go on failing: a server that is started again is back within this."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 2.0
_CONNECTING = 5.0
"""Seconds for one attempt to connect."""
_CHANNEL = {
    "grpc.use_local_subchannel_pool": 1,
    "grpc.initial_reconnect_backoff_ms": 50,
    "grpc.max_reconnect_backoff_ms": 500,
}
"""gRPC pauses too, for seconds and shared by all connections to an address: an attempt of ours would not be made."""
_AWAY = {"UNAVAILABLE", "ABORTED", "DEADLINE_EXCEEDED"}
"""What gRPC calls failures that may be over in a moment."""
_REFUSED = {"UNAUTHENTICATED", "PERMISSION_DENIED"}
_NOT_FOUND, _NOT_LOADED = 100, 101
"""Milvus's numbers for a collection that is not there, and one that is not loaded."""


class MilvusConnection:
    """One connection; its methods may be called from several threads.

    Attributes:
        place: Where to.
        client: pymilvus's own, for the requests given to ``ask``.
        types: pymilvus's types of fields.
    """

    def __init__(self, place: MilvusPlace, patience: float = PATIENCE) -> None:
        """Connect, or open the file.

        Args:
            place: Where; the token comes from the environment variable ``TONGUES_MILVUS_TOKEN``.
            patience: Seconds that a request, this one too, may go on failing.

        Raises:
            ExtraMissingError: When pymilvus is not installed.
            StoreError: When the server does not answer or refuses the token, or another
                program has the file open.
        """
        self.place = place
        self._patience = patience
        self._has_file = False
        self._is_closed = False
        self.client: Any = None
        pymilvus = _pymilvus()
        self.types: Any = pymilvus.DataType
        try:
            address = self.ask("opening", lambda _: open_file(place.uri)) if place.is_file else place.uri
            self._has_file = place.is_file
            options: dict[str, Any] = {"dedicated": True, "grpc_options": dict(_CHANNEL)}  # shared are never closed
            if place.is_file:
                options["grpc_options"]["grpc.enable_http_proxy"] = 0  # it is in this process
            else:
                options["token"] = os.environ.get(TOKEN_ENV, "")
            self.client = self.ask(
                "connecting",
                lambda left: pymilvus.MilvusClient(address, timeout=min(left, _CONNECTING, patience), **options),
            )
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Disconnect; a file is free for other programs when all its users here have closed."""
        self._is_closed = True
        client, self.client = self.client, None
        if client is not None:
            client.close()
        if self._has_file:
            self._has_file = False
            close_file(self.place.uri)

    def ask(
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
        waits, end, left, is_unloaded = pauses(), 0.0, within or self._patience, False
        while True:
            began = time.monotonic()
            try:
                if is_unloaded:
                    self.client.load_collection(needs, timeout=left)
                return ask(left)
            except (grpc.RpcError, MilvusException, FileBusyError) as error:
                if needs and not is_unloaded and getattr(error, "code", None) == _NOT_LOADED:
                    is_unloaded = True  # the server was started again
                    continue
                end = end or began + self._patience
                pause, left = next(waits), end - time.monotonic()
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


def _pymilvus() -> Any:
    """Import pymilvus without what it does on the way: it reads a .env file, and prints what it also raises."""
    before = os.environ.get("PYTHON_DOTENV_DISABLED")
    os.environ["PYTHON_DOTENV_DISABLED"] = "1"
    try:
        with needs("milvus", "keeping an index in Milvus"):
            import pymilvus
    finally:
        del os.environ["PYTHON_DOTENV_DISABLED"]
        if before is not None:
            os.environ["PYTHON_DOTENV_DISABLED"] = before
    for name in ("pymilvus", "pymilvus.milvus_client"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    return pymilvus


def unless_done(ask: Callable[[float], object], is_done: Callable[[float], bool]) -> Callable[[float], None]:
    """Return a request whose failure counts only if nothing was done: its answer may be lost, and pymilvus repeats."""

    def send(left: float) -> None:
        from pymilvus import MilvusException

        try:
            ask(left)
        except MilvusException:
            if not is_done(left):
                raise

    return send


def pauses() -> Iterator[float]:
    """Yield growing numbers of seconds to wait."""
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
