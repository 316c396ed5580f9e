"""Folders made once from something else and kept: whole or not at all, and by one process at a time."""

from __future__ import annotations

import contextlib
import glob
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from index.files import new_folder, write_error
from index.progress import SILENT, Progress

STAMP = "manytongues.json"
"""The file that says what a folder holds, with the sizes of its files: written last."""


def make_once(target: Path, make: Callable[[Path], dict[str, Any]], progress: Progress = SILENT) -> Path:
    """Return a folder, made first if it is not there or not whole; two processes at once wait for each other.

    Args:
        target: The folder.
        make: Fills an empty folder, which takes the target's name when it is complete; returns what to say of it.
        progress: Told when another process has to be waited for.

    Raises:
        StoreError: When it cannot be written, by ``make`` too; what else ``make`` raises comes out as it is.
    """
    if is_whole(target):
        return target
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with _locked(target, progress):
            # By processes that were killed: just those names that new_folder gives, as another target's name may be
            # this one and more.
            for left in target.parent.glob(f".new-{glob.escape(target.name)}-{'[0-9a-f]' * 16}"):
                shutil.rmtree(left, ignore_errors=True)
            if not is_whole(target):  # another process may have made it while this one waited
                if target.exists():
                    shutil.rmtree(target)
                with new_folder(target) as folder:
                    facts = make(folder)
                    files = sorted(path for path in folder.rglob("*") if path.is_file())
                    sizes = {path.relative_to(folder).as_posix(): path.stat().st_size for path in files}
                    stamp = json.dumps({**facts, "sizes": sizes}, indent=2)
                    (folder / STAMP).write_text(stamp + "\n", "utf-8")
    except OSError as error:
        raise write_error(error, target) from error
    return target


@contextlib.contextmanager
def _locked(target: Path, progress: Progress) -> Iterator[None]:
    from filelock import FileLock, Timeout

    lock = FileLock(target.with_name(f"{target.name}.lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        progress.note(f"Another process is preparing {target.name}: waiting for it.")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def is_whole(folder: Path) -> bool:
    """Tell whether a folder made here holds all its files at their full size."""
    try:
        sizes: dict[str, int] = json.loads((folder / STAMP).read_text("utf-8"))["sizes"]
        return bool(sizes) and all((folder / name).stat().st_size == size for name, size in sizes.items())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False
