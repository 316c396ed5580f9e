"""Folders for what is unpacked: they go with whoever made them, and those of a program that was killed go later."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import time
from functools import cache
from pathlib import Path

_NAME = re.compile(r"tongues-(\d+)-\w+")
_OLD_SECONDS = 86_400.0
"""Age from which a folder of a process that is not there is removed: a process of another container may share it."""


def temporary_folder() -> Path:
    """Make a folder that only this user may look into; whoever asks removes it.

    Raises:
        OSError: When there is no room for it.
    """
    place = tempfile.gettempdir()
    _sweep(place)
    return Path(tempfile.mkdtemp(prefix=f"tongues-{os.getpid()}-", dir=place))


def remove_folder(folder: Path) -> None:
    """Remove a folder that ``temporary_folder`` made, and no other, with all that is in it that can be removed."""
    if _NAME.fullmatch(folder.name):
        shutil.rmtree(folder, ignore_errors=True)


@cache
def _sweep(place: str) -> None:
    """Remove the folders of programs that were killed."""
    if os.name == "nt":  # which has no way to ask whether a process is there that does it no harm
        return
    with os.scandir(place) as entries:
        for entry in entries:
            owner = _NAME.fullmatch(entry.name)
            if owner and _is_left(entry, int(owner[1])):
                remove_folder(Path(entry.path))


def _is_left(entry: os.DirEntry[str], process: int) -> bool:
    """Tell whether a folder is this user's, old, and of a process that is not there."""
    try:
        status = entry.stat(follow_symlinks=False)
        if not entry.is_dir(follow_symlinks=False) or status.st_uid != os.getuid():
            return False
        if time.time() - status.st_mtime < _OLD_SECONDS:
            return False
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return True
    except OSError:
        return False
    return False
