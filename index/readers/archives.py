"""Archives: .gz of one file, .zip of many; each file in them is read by the reader of its own suffix."""

from __future__ import annotations

import dataclasses
import gzip
import io
import os
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from typing import IO

from index.config import FieldNames
from index.errors import InputError
from index.readers.decoding import MAX_TEXT_BYTES
from index.readers.registry import PACKED, is_of_content, is_supported, read_file, suffix_of, unsupported_reason
from index.readers.source_file import SourceFile
from index.readers.unpacking import (
    MAX_DEPTH,
    MAX_MEMBERS,
    MAX_UNPACKED_BYTES,
    Budget,
    budget_of,
    unpacked,
)
from index.records import Document, Rejected

SUFFIXES: tuple[str, ...] = (".gz", ".zip")

_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2)
"""Ways of packing that are read: the others ask for more memory than their data are worth, or need a library."""
_DAMAGE = (
    zipfile.BadZipFile,
    gzip.BadGzipFile,
    zlib.error,
    struct.error,
    EOFError,
    NotImplementedError,
    OverflowError,
    RuntimeError,
    ValueError,
)
"""What the standard library raises on damaged archives."""
_LIST_BYTES = 400
"""The most bytes of the list of an archive for each of its members."""
_ENTRY = b"PK\x01\x02"
_LONGEST_END = 76
"""How each member begins in the list, and the most bytes that stand between the list and its end."""
_DAMAGED = "is damaged ({error}); make the archive again."
_ENCRYPTED, _UTF8 = 0x1, 0x800
_END, _END_64, _LOCATOR_64 = b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07"
_END_BYTES, _LOCATOR_BYTES, _COMMENT = 22, 20, 0xFFFF


def read(file: SourceFile, *, fields: FieldNames, encoding: str) -> Iterator[Document | Rejected]:
    """Read what is in an archive.

    Documents have the archive as their source. In a ``.zip`` their ids begin with that of the archive and their path in
    it; the one file in a ``.gz`` is read as if it were not packed.

    Args:
        file: The archive.
        fields: Which fields of a record hold what, in formats that have some.
        encoding: The name of the encoding of its files, or "" to detect it.

    Raises:
        InputError: If it is damaged, or holds more than is unpacked.
        OSError: If it cannot be read, or there is no room to unpack it.
    """
    yield from _Archive(fields, encoding, file.source, budget_of(file.path.stat().st_size)).read(file, 1)


class _Archive:
    """An archive with those in it."""

    def __init__(self, fields: FieldNames, encoding: str, source: str, budget: Budget) -> None:
        self._fields = fields
        self._encoding = encoding
        self._source = source
        self._budget = budget

    def read(self, file: SourceFile, depth: int) -> Iterator[Document | Rejected]:
        """Read an archive.

        Raises:
            InputError: If it is damaged, or holds more than is unpacked.
            OSError: If it cannot be read, or there is no room to unpack it.
        """
        if depth > MAX_DEPTH:
            raise InputError(f"is an archive within {MAX_DEPTH} others; unpack it.")
        try:
            yield from self._gzip(file, depth) if file.place.lower().endswith(PACKED) else self._zip(file, depth)
        except _DAMAGE as error:
            raise InputError(_DAMAGED.format(error=_shown(error))) from error

    def _gzip(self, file: SourceFile, depth: int) -> Iterator[Document | Rejected]:
        suffix = suffix_of(file.place.removesuffix(os.path.splitext(file.place)[1]))  # noqa: PTH122
        if not is_supported(suffix):
            raise InputError(f"holds {unsupported_reason(suffix)}")
        with gzip.open(file.place) as packed:
            yield from self._member(packed, file, suffix, file.path.stat().st_size, MAX_UNPACKED_BYTES, depth)

    def _zip(self, file: SourceFile, depth: int) -> Iterator[Document | Rejected]:
        _check_list(file)
        with zipfile.ZipFile(file.place) as archive:
            members = [member for member in archive.infolist() if not member.is_dir()]
            self._budget.members_left -= len(members)
            if self._budget.members_left < 0:
                raise InputError(f"holds more than {MAX_MEMBERS:,} files; unpack it and name its folder.")
            names: set[str] = set()
            n_found = 0
            for member in members:
                name = _name(member)
                if any(part.startswith(".") and part != ".." for part in name.split("/")) or name.startswith(
                    "__MACOSX/"
                ):
                    continue
                n_found += 1
                where = f"{file.source}/{_printable(name)}"
                suffix = suffix_of(name)
                problem = _problem(member, name, names)
                names.add(name)
                if problem:
                    yield Rejected(where, problem)
                elif not is_supported(suffix):
                    yield Rejected(where, unsupported_reason(suffix), passed_over=True)
                else:
                    inner = SourceFile(file.place, where, f"{file.doc_id}/{name}", member.file_size)
                    yield from self._packed(archive, member, inner, suffix, depth)
            if not n_found:
                raise InputError("holds no file; put files in it or remove it.")

    def _packed(
        self, archive: zipfile.ZipFile, member: zipfile.ZipInfo, inner: SourceFile, suffix: str, depth: int
    ) -> Iterator[Document | Rejected]:
        """Read a member; what is wrong with it is its own fault."""
        try:
            with archive.open(member) as packed:
                for item in self._member(packed, inner, suffix, member.compress_size, MAX_TEXT_BYTES, depth):
                    yield _within(item, inner) if isinstance(item, Document) else item
        except _DAMAGE as error:
            yield Rejected(inner.source, _DAMAGED.format(error=_shown(error)))
        except InputError as error:
            yield Rejected(inner.source, str(error))
        except OSError as error:
            if not is_of_content(error):  # no room, most likely
                raise
            yield Rejected(inner.source, _DAMAGED.format(error=_shown(error)))

    def _member(
        self, packed: IO[bytes] | gzip.GzipFile, inner: SourceFile, suffix: str, n_packed: int, most: int, depth: int
    ) -> Iterator[Document | Rejected]:
        """Unpack one file and read it.

        Raises:
            InputError: When it cannot be unpacked.
        """
        with unpacked(packed, suffix, self._budget, n_packed, most) as (path, size):
            file = dataclasses.replace(inner, place=str(path), size=size, status="", changed_at=0.0)
            items = (
                self.read(file, depth + 1)
                if suffix.lower().endswith(SUFFIXES)
                else read_file(file, fields=self._fields, encoding=self._encoding)
            )
            for item in items:
                yield dataclasses.replace(item, source=self._source) if isinstance(item, Document) else item


def _within(document: Document, inner: SourceFile) -> Document:
    """Return a document whose id says which file of the archive it is from."""
    if document.doc_id == inner.doc_id or document.doc_id.startswith((f"{inner.doc_id}/", f"{inner.doc_id}:")):
        return document
    return dataclasses.replace(document, doc_id=f"{inner.doc_id}/{document.doc_id}")


def _problem(member: zipfile.ZipInfo, name: str, names: set[str]) -> str:
    """Say why a member is not to be read, or ""."""
    if stat.S_ISLNK(member.external_attr >> 16):
        return "is a symbolic link, which is not followed; put the file itself in the archive."
    if name.startswith("/") or name[1:2] == ":" or ".." in name.split("/"):
        return "is named as if it lay outside the archive; make the archive again with paths below its folder."
    if name in names:
        return "has the name of an earlier file in the archive; rename one of them."
    if member.flag_bits & _ENCRYPTED:
        return "is encrypted; make the archive again without a password."
    if member.compress_type not in _METHODS:
        return (
            f"is packed in a way that is not read (method {member.compress_type}); make the archive again with deflate."
        )
    return ""


def _name(member: zipfile.ZipInfo) -> str:
    """Return a member's path, with "/" between folders; names that claim to be of an old PC are often UTF-8."""
    name = member.orig_filename
    if not member.flag_bits & _UTF8:
        try:
            name = name.encode("cp437").decode("utf-8")
        except UnicodeError:
            name = member.orig_filename
    name = name.partition("\0")[0].replace("\\", "/").replace(os.sep, "/")
    return "/".join(part for part in name.split("/") if part != ".")


def _check_list(file: SourceFile) -> None:
    """Check an archive's list before Python makes objects of all of it: its size, and its members and folders.

    Raises:
        InputError: When it is too large for the members that are read, or not there.
    """
    with file.path.open("rb") as stream:
        size = stream.seek(0, io.SEEK_END)
        stream.seek(max(0, size - _END_BYTES - _COMMENT - _LOCATOR_BYTES))
        start, tail = stream.tell(), stream.read()
        at = tail.rfind(_END)
        if at < 0 or len(tail) - at < _END_BYTES:
            raise InputError("is damaged, or no archive (its list is missing); make the archive again.")
        n_bytes = int.from_bytes(tail[at + 12 : at + 16], "little")
        ends = [start + at]
        locator = tail[max(0, at - _LOCATOR_BYTES) : at]
        if locator.startswith(_LOCATOR_64):
            for place in (int.from_bytes(locator[8:16], "little"), start + at - _LOCATOR_BYTES - 56):
                stream.seek(min(max(0, place), size))
                record = stream.read(56)
                if record.startswith(_END_64) and len(record) == 56:
                    n_bytes = max(n_bytes % 0xFFFFFFFF, int.from_bytes(record[40:48], "little"))
                    ends.append(place)
        n_bytes = min(n_bytes, size)
        is_long = n_bytes > MAX_MEMBERS * _LIST_BYTES
        for end in () if is_long else ends:
            stream.seek(max(0, end - n_bytes - _LONGEST_END))
            is_long = is_long or stream.read(n_bytes + _LONGEST_END).count(_ENTRY) > MAX_MEMBERS
    if is_long:
        raise InputError(f"holds more than {MAX_MEMBERS:,} files and folders; unpack it and name its folder.")


def _printable(name: str) -> str:
    """Return a name as a message may hold it."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in name)[:300]


def _shown(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
