"""Where this project keeps its own files, and how a file or folder comes into being whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

from index.errors import StoreError, TonguesError


def home() -> Path:
    """Return the folder for models and other derived files: ``TONGUES_HOME``, or the user's cache folder."""
    named = os.environ.get("TONGUES_HOME")
    if named:
        return Path(named).expanduser()
    import platformdirs

    return Path(platformdirs.user_cache_dir("manytongues", appauthor=False))


def sync(path: Path) -> None:
    """Have the operating system put a file, or a folder's list of names, on disk."""
    is_folder = path.is_dir()
    if is_folder and os.name == "nt":
        return  # Windows cannot open a folder for this
    handle = os.open(path, os.O_RDONLY if is_folder else os.O_RDWR)  # Windows syncs only what is open for writing
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_text(path: Path, text: str) -> None:
    """Replace a small file's content: a reader sees the old content or the new, never a part.

    Raises:
        OSError: When it cannot be written; the old content is then still there.
    """
    write_bytes(path, text.encode())


def write_bytes(path: Path, content: bytes) -> None:
    """Replace a file's content as ``write_text`` does; it is on disk when this returns.

    Raises:
        OSError: When it cannot be written; the old content is then still there.
    """
    # Not by tempfile, which keeps others out: an index may be shared, as far as the umask allows.
    temporary = path.with_name(f".{path.name}-{secrets.token_hex(8)}")
    try:
        with temporary.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync(path.parent)


def link(source: Path, target: Path) -> None:
    """Have a file that never changes in two places; copied where the disk cannot do that.

    Raises:
        OSError: When it cannot be copied either.
    """
    try:
        target.hardlink_to(source)
    except FileExistsError:
        raise
    except OSError:
        shutil.copyfile(source, target)


@contextlib.contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """Give a temporary folder beside ``target`` that takes its name when the block ends well, and is removed otherwise.

    An empty folder of that name gives way.

    Raises:
        OSError: When it cannot be made or renamed.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".new-{target.name}-{secrets.token_hex(8)}")
    temporary.mkdir()
    try:
        yield temporary
        for path in (*temporary.rglob("*"), temporary):  # folders too: their lists of names
            sync(path)
        if target.is_dir():
            target.rmdir()  # Windows replaces no folder, not even an empty one
        temporary.replace(target)
        sync(target.parent)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def write_error(error: OSError, path: Path) -> TonguesError:
    """Turn a failure to write into a message with its remedy."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StoreError(f"{path}: the disk is full. Free some space, or write somewhere else, and run it again.")
    if error.errno == errno.EFBIG:
        return StoreError(
            f"{path}: cannot be written ({error.strerror or error}): the system allows no file of this size here. "
            "Raise the limit (`ulimit -f`), or write to another disk, and run it again."
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return StoreError(f"{path}: no permission to write here. Name a folder that you may write to.")
    return StoreError(f"{path}: cannot be written ({error.strerror or error}).")
