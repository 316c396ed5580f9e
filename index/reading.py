"""Keeps a generation on disk while somebody reads it.

A reader holds a shared lock on the generation's manifest; who collects old generations must get it for itself alone.
The system lets go of a lock when its process ends, however it ends. Windows removes no open file anyway.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from index.errors import REPAIR, IndexDamagedError
from index.layout import MANIFEST

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]


@contextlib.contextmanager
def keep_open(folder: Path) -> Iterator[None]:
    """Keep a generation on disk until the block ends.

    Raises:
        IndexDamagedError: When it is being cleared away at this moment, or its manifest is not there.
    """
    if fcntl is None:
        yield
        return
    path = folder / MANIFEST
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError as error:
        what = "missing" if isinstance(error, FileNotFoundError) else f"cannot be read ({error.strerror or error})"
        raise IndexDamagedError(f"{path}: {what}. {REPAIR}") from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
            is_there = os.path.samestat(os.fstat(handle), path.stat())
        except (BlockingIOError, FileNotFoundError):
            is_there = False
        except OSError:  # some network drives have no locks
            is_there = True
        if not is_there:
            raise IndexDamagedError(f"{path}: was cleared away while it was opened. Try again.")
        yield
    finally:
        os.close(handle)


@contextlib.contextmanager
def held_alone(folder: Path) -> Iterator[bool]:
    """Tell whether nobody reads a generation; nobody new keeps it open until the block ends."""
    if fcntl is None:
        yield True
        return
    try:
        handle = os.open(folder / MANIFEST, os.O_RDONLY | os.O_NONBLOCK)
    except FileNotFoundError:  # half removed
        yield True
        return
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
        else:
            yield True
    finally:
        os.close(handle)
