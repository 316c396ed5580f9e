"""The embedded Milvus: its file opened once in a process, however many readers and writers it has here."""

from __future__ import annotations

import atexit
import logging
import os
import shutil
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass

from index.errors import StoreError
from index.extras import needs

_OPEN: dict[str, _Opened] = {}
_GUARD = threading.Lock()
_LONGEST = 75
"""Characters of the folder of temporary files: with our own, the path of a socket has 100 at most, of 103 allowed."""
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
    """Return the address that serves a file in this process, which is opened if it is not, and made if missing.

    It is a socket in a folder that no other user can enter; where that cannot be, as on Windows, it is a port of the
    loopback interface, which asks nobody for a password.

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
    with needs("milvus", f"{path}: opening an embedded Milvus"):
        from milvus_lite.adapter.grpc.server import start_server_in_thread
        from milvus_lite.exceptions import DataDirLockedError
    # What it logs, with tracebacks, it also answers, and that becomes an error of ours.
    logging.getLogger("milvus_lite").setLevel(logging.CRITICAL)
    has_socket = os.name != "nt" and len(tempfile.gettempdir()) <= _LONGEST
    folder = tempfile.mkdtemp(prefix="tongues-") if has_socket else None
    host = f"unix:{folder}/milvus" if folder else "127.0.0.1"  # milvus-lite puts a colon and the port behind it
    try:
        server, database, port = start_server_in_thread(path, host=host, port=0)
    except BaseException as error:
        _remove(folder)
        if isinstance(error, DataDirLockedError):
            raise FileBusyError(str(error)) from error
        if not isinstance(error, OSError | ValueError | RuntimeError):
            raise
        reason = getattr(error, "strerror", None) or error
        raise StoreError(
            f"{path}: the embedded Milvus cannot open it ({reason}). Check the path and its rights, or name another."
        ) from error

    def close() -> None:
        server.stop(grace=_GRACE).wait()
        database.close()
        _remove(folder)

    return _Opened(f"{host}:0" if folder else f"http://{host}:{port}", close)


def _remove(folder: str | None) -> None:
    if folder:
        shutil.rmtree(folder, ignore_errors=True)


@atexit.register
def _close_all() -> None:
    """Let the threads of what nobody closed end, so that the process can."""
    with _GUARD:
        while _OPEN:
            _OPEN.popitem()[1].close()
