"""Reads what anybody may have put in place of a file of an index: nothing here waits, or holds more than it should."""

from __future__ import annotations

import errno
import functools
import json
import math
import os
import re
import stat
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from io import BufferedReader

_SURROGATE_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")
_NO_WAITING = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)


def regular_size(path: Path) -> int:
    """Return the size of a file in bytes.

    Raises:
        OSError: When it is not there, or no regular file. A link counts as what it leads to.
    """
    return _size(path.stat())


def open_regular(path: Path) -> BufferedReader:
    """Open a file for reading, but no pipe, which may never be written to, and no device.

    Raises:
        OSError: When it is not there, may not be read, or is no regular file.
    """
    _size(path.stat())  # a device may act on being opened
    handle = os.open(path, os.O_RDONLY | _NO_WAITING)
    try:
        _size(os.fstat(handle))  # what was looked at need not be what was opened
        return os.fdopen(handle, "rb")
    except BaseException:
        os.close(handle)
        raise


def read_small(path: Path, most: int) -> bytes:
    """Read a whole file.

    Args:
        path: The file.
        most: The most bytes it may have.

    Raises:
        OSError: When it is not there, may not be read, or is no regular file.
        ValueError: When it is longer.
    """
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > most:
            raise ValueError(f"{size:,} bytes where {most:,} are the most")
        return file.read(size)  # not to its end, which a file of /proc may not have


def parse_json(text: str) -> object:
    """Parse JSON as it was written here: strict in its numbers, and of valid Unicode.

    Raises:
        ValueError: When it is not that, or nested too deeply.
    """
    try:
        value: object = _decoder().decode(text)
        if _SURROGATE_ESCAPE.search(text):  # looked for before the rest, which costs much for what is hardly ever there
            json.dumps(value, ensure_ascii=False).encode()
    except RecursionError:
        raise ValueError("nested too deeply") from None
    return value


@functools.cache
def _decoder() -> json.JSONDecoder:
    return json.JSONDecoder(parse_constant=_number, parse_float=_number)


def _number(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:20]} is no number")
    return number


def _size(status: os.stat_result) -> int:
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "not a regular file")
    return status.st_size
