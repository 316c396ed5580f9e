"""Unpacks what nobody should have to trust: bounded in bytes as it is written, whatever an archive says of itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from gzip import GzipFile
from pathlib import Path
from typing import IO

from index.errors import InputError
from index.readers.temporary import remove_folder, temporary_folder

MAX_UNPACKED_BYTES = 1024 * 1024 * 1024
"""The most bytes that come out of one archive, those in it included."""
MAX_MEMBERS = 100_000
MAX_DEPTH = 2
"""Archives that may lie within each other."""

_RATIO = 200
"""The most times that something may grow; text grows 20 times, JSON Lines of one shape 50."""
_SMALL, _SMALL_ARCHIVE = 8 * 1024 * 1024, 64 * 1024 * 1024
"""What may come out of a member, and of an archive, whatever went in: one that is refused costs others nothing."""
_PIECE = 1024 * 1024


@dataclass(slots=True)
class Budget:
    """What may still come out of an archive and those in it: bytes, and members."""

    bytes_left: int
    members_left: int


def budget_of(n_packed: int) -> Budget:
    """Return what may come out of an archive.

    Args:
        n_packed: Its size in bytes.
    """
    return Budget(min(MAX_UNPACKED_BYTES, max(_SMALL_ARCHIVE, _RATIO * n_packed)), MAX_MEMBERS)


@contextmanager
def unpacked(
    packed: IO[bytes] | GzipFile, suffix: str, budget: Budget, n_packed: int, most: int
) -> Iterator[tuple[Path, int]]:
    """Unpack one member to a file that is removed afterwards.

    Args:
        packed: Gives the unpacked bytes.
        suffix: Of the file.
        budget: Of the archive; what is unpacked is taken from it.
        n_packed: How many bytes it is unpacked from.
        most: The most bytes of one member.

    Yields:
        The file and its size.

    Raises:
        InputError: When more comes out than may.
        OSError: When there is no room for it.
    """
    may_grow = max(_SMALL, _RATIO * n_packed)
    folder = temporary_folder()
    try:
        path = folder / f"member{suffix}"
        n = 0
        with path.open("wb") as out:
            while piece := packed.read(_PIECE):
                n += len(piece)
                budget.bytes_left -= len(piece)
                if n > may_grow:
                    raise InputError(
                        f"grows more than {_RATIO} times when it is unpacked, as no text does; leave it out."
                    )
                if n > most:
                    raise InputError(f"is longer than {most:,} bytes when unpacked; unpack it and split it.")
                if budget.bytes_left < 0:
                    raise InputError(
                        f"more comes out of this archive than is unpacked ({MAX_UNPACKED_BYTES:,} bytes, and {_RATIO} "
                        "times its size); unpack it and name its folder."
                    )
                out.write(piece)
        yield path, n
    finally:
        remove_folder(folder)
