"""Which module reads which format.

A module of this package that defines ``SUFFIXES`` and ``read`` is a reader: adding a format is adding one file.
"""

from __future__ import annotations

import errno
import importlib
import os
import pkgutil
import stat
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Protocol, cast

import index.readers
from index.config import FieldNames
from index.errors import ExtraMissingError, InputError, SettingsError
from index.readers.source_file import SourceFile
from index.records import Document, Rejected

PACKED = ".gz"
"""The suffix of a packed file, which stands behind its own."""


class ReaderModule(Protocol):
    """What a module defines to be a reader."""

    SUFFIXES: tuple[str, ...]
    """The suffixes it reads, lower case, each with its dot.

    A module whose parsers nobody should have to trust also says ``ISOLATED = True``: it is then run in a process of its
    own (``isolated``), which may crash, hang or run out of memory.
    """

    def read(self, file: SourceFile, *, fields: FieldNames, encoding: str) -> Iterator[Document | Rejected]:
        """Read one file.

        Args:
            file: The file; its ``doc_id`` names the document, or is the stem of the ids of records without one.
            fields: Which fields of a record hold what; formats without fields leave it alone.
            encoding: The name of the text encoding, or "" to detect it.

        Raises:
            InputError: If the file as a whole cannot be read; the message lacks the file's name.
            ExtraMissingError: If a library is not installed.
            OSError: If the file cannot be opened or read.
        """
        ...


def read_file(file: SourceFile, *, fields: FieldNames, encoding: str = "") -> Iterator[Document | Rejected]:
    """Read one file with the reader of its suffix.

    What is wrong with the file, or with a record in it, comes out as a ``Rejected`` in its place; documents read
    before the fault stand.

    Args:
        file: The file, as ``find_files`` gives it.
        fields: Which fields of JSON Lines and tables hold what.
        encoding: The name of the text encoding, or "" to detect it.

    Raises:
        SettingsError: If there is no such encoding.
    """
    try:
        "".encode(encoding or "utf-8")
    except (LookupError, UnicodeError) as error:
        raise SettingsError(f"encoding {encoding!r} is not known; use a name such as utf-8 or windows-1257.") from error
    return _read_guarded(file, fields, encoding)


def find_record(
    file: SourceFile, doc_id: str, *, fields: FieldNames, encoding: str = ""
) -> tuple[int, Document] | None:
    """Find a document among the records of a file; arguments as ``read_file`` has them.

    Returns:
        The number of the line that it begins on and the document; None when there is no such record, or the format
        has none.

    Raises:
        InputError: If the file cannot be read.
        OSError: If the file system does not give it.
    """
    reader = _readers().get(file.path.suffix.lower())
    find = getattr(reader, "find_record", None)
    found: tuple[int, Document] | None = find(file, doc_id, fields=fields, encoding=encoding) if find else None
    return found


def supported_suffixes() -> tuple[str, ...]:
    """List the suffixes that have a reader, lower case and sorted."""
    return tuple(sorted(_readers()))


def suffix_of(name: str) -> str:
    """Return what tells a file's format, as it is written: its suffix, with the one before it of a packed file."""
    stem, suffix = os.path.splitext(name)  # noqa: PTH122 text, since there may be very many
    return os.path.splitext(stem)[1] + suffix if suffix.lower() == PACKED else suffix  # noqa: PTH122


def is_supported(suffix: str) -> bool:
    """Tell whether a suffix (``suffix_of``, in any case) has a reader, and what is packed has one too."""
    suffix = suffix.lower()
    return (suffix.removesuffix(PACKED) if suffix.endswith(PACKED) else suffix) in _readers()


def reader_of(name: str) -> ReaderModule:
    """Return the reader of a file whose format has one."""
    return _readers()[os.path.splitext(name)[1].lower()]  # noqa: PTH122


def unsupported_reason(suffix: str) -> str:
    """Say that a suffix has no reader, and which suffixes have one."""
    kind = f"{suffix!r} files" if suffix else "files without a suffix"
    return f"no reader for {kind} (supported: {', '.join(supported_suffixes())}); convert it to one of these."


def _read_guarded(file: SourceFile, fields: FieldNames, encoding: str) -> Iterator[Document | Rejected]:
    """Read a file, where its format is to be read, turning every fault of the file into a ``Rejected``."""
    suffix = suffix_of(file.place)
    if not is_supported(suffix):
        yield Rejected(file.source, unsupported_reason(suffix))
    elif getattr(reader_of(file.place), "ISOLATED", False):
        from index.readers.isolated import read_isolated

        yield from _told(file, lambda: read_isolated(file, fields=fields, encoding=encoding))
    else:
        yield from read_here(file, fields=fields, encoding=encoding)


def read_here(file: SourceFile, *, fields: FieldNames, encoding: str) -> Iterator[Document | Rejected]:
    """Read a file of a supported format in this process, whatever its format; otherwise as ``read_file``."""
    reader = reader_of(file.place)
    return _told(file, lambda: reader.read(file, fields=fields, encoding=encoding))


def _told(file: SourceFile, read: Callable[[], Iterator[Document | Rejected]]) -> Iterator[Document | Rejected]:
    """Read a file, turning every fault of the file into a ``Rejected``."""
    try:
        # Opening a pipe would wait for a writer that may never come.
        if not stat.S_ISREG(file.path.stat().st_mode):
            raise InputError("is not a regular file; name a file that holds text.")
        yield from read()
    except InputError as error:
        yield Rejected(file.source, str(error))
    except ExtraMissingError as error:
        # The file is as good as before: what was read of it stays, and it is read again once the library is there.
        yield Rejected(file.source, str(error), out_of_reach=True)
    except OSError as error:
        if is_of_content(error):
            yield Rejected(file.source, f"is damaged ({error}); open it in its own program and save it anew.")
        else:
            yield unreadable(file, error.strerror or type(error).__name__)
    except UnicodeError as error:
        yield Rejected(file.source, f"cannot be decoded ({error}); name its encoding with --encoding.")


def is_of_content(error: OSError) -> bool:
    """Tell whether an error is not the file system's: libraries look before the beginning of a file that is damaged."""
    return error.errno in (None, errno.EINVAL)


def unreadable(file: SourceFile, reason: str) -> Rejected:
    """Say that the file system does not give a file."""
    told = f"cannot be read ({reason}); check that it is still there and may be read."
    return Rejected(file.source, told, out_of_reach=True)


@cache
def _readers() -> Mapping[str, ReaderModule]:
    """Import the package's modules and collect the readers among them, by suffix."""
    found: dict[str, ReaderModule] = {}
    for info in pkgutil.iter_modules(index.readers.__path__, "index.readers."):
        module = importlib.import_module(info.name)
        if not (hasattr(module, "SUFFIXES") and hasattr(module, "read")):
            continue
        reader = cast("ReaderModule", module)
        for suffix in reader.SUFFIXES:
            if suffix in found:
                raise ValueError(f"{info.name}: another reader already reads {suffix!r}; remove it from one SUFFIXES.")
            found[suffix] = reader
    return found
