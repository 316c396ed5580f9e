"""The embedded Milvus: its file opened once in a process, however many readers and writers it has here."""

from __future__ import annotations

import atexit
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass

from index.errors import StoreError

_OPEN: dict[str, _Opened] = {}
_GUARD = threading.Lock()
_GRACE = 2.0
"""Seconds that requests under way get to end when the last user closes."""


class FileBusyError(Exception):
    """Another process has the file open; it may let go of it."""


@dataclass(slots=True)
class _Opened:
    address: str
    close: Callable[[], None]
    users: int = 0


def open_file(path: str) -> str:
    """Return the loopback address that serves a file in this process, which is opened if it is not; made if missing.

    Raises:
        FileBusyError: When another process has it open.
        StoreError: When milvus-lite is not installed, or cannot open it.
    """
    with _GUARD:
        if path not in _OPEN:
            _OPEN[path] = _serve(path)
        _OPEN[path].users += 1
        return _OPEN[path].address


def close_file(path: str) -> None:
    """Let go of a file; the last of its users here closes it for other processes."""
    with _GUARD:
        opened = _OPEN[path]
        opened.users -= 1
        if opened.users == 0:
            _OPEN.pop(path).close()


def _serve(path: str) -> _Opened:
    try:
        from milvus_lite.adapter.grpc.server import start_server_in_thread
        from milvus_lite.exceptions import DataDirLockedError
    except ImportError as error:
        raise StoreError(
            f"{path}: the embedded Milvus is not installed ({error}). "
            "Install it with: pip install 'manytongues[milvus]'"
        ) from error
    # What it logs, with tracebacks, it also answers, and that becomes an error of ours.
    logging.getLogger("milvus_lite").setLevel(logging.CRITICAL)
    try:
        server, database, port = start_server_in_thread(path, host="127.0.0.1", port=0)
    except DataDirLockedError as error:
        raise FileBusyError(str(error)) from error
    except (OSError, ValueError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise StoreError(
            f"{path}: the embedded Milvus cannot open it ({reason}). Check the path and its rights, or name another."
        ) from error

    def close() -> None:
        server.stop(grace=_GRACE).wait()
        database.close()

    return _Opened(f"http://127.0.0.1:{port}", close)


@atexit.register
def _close_all() -> None:
    """Let the threads of what nobody closed end, so that the process can."""
    with _GUARD:
        while _OPEN:
            _OPEN.popitem()[1].close()
