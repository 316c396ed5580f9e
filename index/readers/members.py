"""Office files and books are zip archives: their members read within bounds, and never written to disk."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from index.errors import InputError
from index.readers.writing import damage_told

MAX_MEMBERS = 20_000
"""The most members of an archive."""
MAX_MARKUP_BYTES = 64 * 1024 * 1024
"""The most bytes that one member which is parsed may unpack to."""
MAX_UNPACKED_BYTES = 256 * 1024 * 1024
"""The most bytes that all members may unpack to."""

_MARKUP = (".xml", ".rels", ".xhtml", ".html", ".htm", ".opf", ".ncx")
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
"""What files of older office programs begin with, and newer ones that a password protects."""


class Archive:
    """The members of an archive that was found to be within bounds."""

    def __init__(self, opened: zipfile.ZipFile, kind: str) -> None:
        """Use ``open_archive``."""
        self._zip = opened
        self._kind = kind
        self._left = MAX_UNPACKED_BYTES

    @property
    def names(self) -> list[str]:
        """The members' names, as the archive gives them."""
        return self._zip.namelist()

    def read(self, name: str) -> bytes:
        """Unpack one member.

        Raises:
            InputError: If it is not there, damaged, or all that was read is more than may be.
        """
        with damage_told(self._kind):
            # Not even a member that is larger than it says gives more bytes than it says.
            self._left -= self._zip.getinfo(name).file_size
            if self._left < 0:
                raise InputError(f"unpacks to more than {MAX_UNPACKED_BYTES:,} bytes; leave it out.")
            return self._zip.read(name)


@contextmanager
def open_archive(path: Path, kind: str, skipped: tuple[str, ...] = ()) -> Iterator[Archive]:
    """Open an archive, after a look at what it says of its size.

    Args:
        path: The file.
        kind: What the file should be: "a .docx file".
        skipped: Beginnings of the names of members that nobody reads: their size does not count.

    Raises:
        InputError: If it is none, protected by a password, or unpacks to more than may be.
        OSError: If it cannot be read.
    """
    with path.open("rb") as stream:
        if stream.read(len(_OLE)) == _OLE:
            raise InputError(
                f"is not {kind} but one of an older program, or protected by a password; "
                "save it in the newer format without a password."
            )
        stream.seek(0)
        with damage_told(kind):
            opened = zipfile.ZipFile(stream)
        with opened:
            _check(opened, skipped)
            yield Archive(opened, kind)


def _check(opened: zipfile.ZipFile, skipped: tuple[str, ...]) -> None:
    members = [info for info in opened.infolist() if not (skipped and info.filename.startswith(skipped))]
    if len(opened.infolist()) > MAX_MEMBERS:
        raise InputError(f"holds more than {MAX_MEMBERS:,} members; leave it out.")
    if sum(info.file_size for info in members) > MAX_UNPACKED_BYTES:
        raise InputError(f"unpacks to more than {MAX_UNPACKED_BYTES:,} bytes; leave it out.")
    markup = sum(info.file_size for info in members if info.filename.lower().endswith(_MARKUP))
    if markup > MAX_MARKUP_BYTES:
        raise InputError(f"its text unpacks to more than {MAX_MARKUP_BYTES:,} bytes; split it.")
    if any(info.flag_bits & 1 for info in members):
        raise InputError("is protected by a password; save it without one.")
