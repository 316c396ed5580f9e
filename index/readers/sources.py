"""From what the user names (files, folders, patterns) to the files to read."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from index.errors import InputError
from index.readers.registry import is_supported, suffix_of, supported_suffixes, unsupported_reason
from index.readers.source_file import SourceFile
from index.readers.walk import Found, glob_files, has_magic, walk_folder
from index.records import Rejected


def find_files(
    paths: Sequence[str], outside: Path | None = None, root: Path | None = None
) -> Iterator[SourceFile | Rejected]:
    """Find the files to read, in the order of the arguments, each file once.

    A folder is walked with all its subfolders, in code point order of names; names that begin with a dot are passed
    over. An argument that does not exist as it stands is taken for a glob pattern (``docs/**/*.md``), whose files get
    their ``doc_id`` below the part before the first wildcard.

    Args:
        paths: Files, folders and glob patterns.
        outside: A folder whose files are passed over: the index itself, when it lies below a folder that is walked.
        root: The folder that relative paths are relative to; None for the current one.

    Yields:
        Each readable file, and a ``Rejected`` for each symlinked folder, special file (never opened), file in a format
        without a reader, and folder or file that cannot be looked at.

    Raises:
        InputError: Before anything is yielded, if an argument does not exist or a pattern matches nothing.
    """
    # A list, not a generator: a misspelt last argument should not cost the reading of the first ones.
    found = [_find(argument, root) for argument in paths]
    seen: set[str] = set()
    real = _RealPaths()
    own = os.path.join(outside.resolve(), "") if outside else ""  # noqa: PTH118 text, as all paths here
    for argument, items in zip(paths, found, strict=True):
        base = "" if root is None or Path(argument).is_absolute() else os.path.join(root, "")  # noqa: PTH118
        for item in items:
            if isinstance(item, Rejected):
                yield _printable(replace(item, where=_named(item.where, base)))
                continue
            at = real.of(item)
            if at not in seen and not (own and at.startswith(own)):
                yield from _admit(item, base)
            seen.add(at)


def _named(path: str, base: str) -> str:
    """Return a path as the user would name it."""
    return path.removeprefix(base).replace(os.sep, "/")


class _RealPaths:
    """Finds out where files really are; of a folder this is asked once, of all its files."""

    def __init__(self) -> None:
        self._folders: dict[str, str] = {}

    def of(self, found: Found) -> str:
        """Return the path without any symbolic link."""
        if found.is_link:
            return os.path.realpath(found.path)
        folder, name = os.path.split(found.path)
        if folder not in self._folders:
            self._folders[folder] = os.path.join(os.path.realpath(folder), "")  # noqa: PTH118
        return self._folders[folder] + name


def _find(argument: str, root: Path | None) -> Iterable[Found | Rejected]:
    """Find what one argument names.

    Raises:
        InputError: If it names nothing.
    """
    if not argument:
        raise InputError("a path is empty; name a file, a folder or a pattern such as 'docs/**/*.md'.")
    path = root / argument if root else Path(argument)
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError) as error:
        if has_magic(argument) and "\0" not in argument:
            return _match(argument, root)
        reason = "does not exist" if isinstance(error, FileNotFoundError) else f"cannot be used ({_reason(error)})"
        raise InputError(f"{argument!r} {reason}; check the spelling and the folder you are in.") from error
    if stat.S_ISDIR(mode):
        return walk_folder(path)
    return [Found(str(path), path.name, is_named=True, is_link=path.is_symlink())]


def _match(pattern: str, root: Path | None) -> list[Found | Rejected]:
    """Find the files of a pattern.

    Raises:
        InputError: If there are none.
    """
    found = glob_files(pattern, root)
    if not found:
        raise InputError(
            f"{pattern!r} matches no file; check the pattern ('*' stays in one folder, '**' crosses folders; "
            f"formats that can be read: {', '.join(supported_suffixes())})."
        )
    return found


def _admit(found: Found, base: str) -> Iterator[SourceFile | Rejected]:
    """Yield a found file, or why it cannot be read."""
    source = _named(found.path, base)
    try:
        status = os.stat(found.path)  # noqa: PTH116 a path object for each of very many files takes longer than this
    except FileNotFoundError:
        yield _printable(Rejected(source, "is a link to nothing, or was removed; remove the link or mend it."))
        return
    except OSError as error:
        reason = f"cannot be looked at ({_reason(error)}); check that it may be read."
        yield _printable(Rejected(source, reason, out_of_reach=True))
        return
    suffix = suffix_of(found.path)
    if not stat.S_ISREG(status.st_mode):
        yield _printable(
            Rejected(source, "is not a regular file (a pipe, socket or device); name files that hold text.")
        )
    elif not _is_unicode(source):
        yield _printable(Rejected(source, "the file's name is not valid Unicode; rename it."))
    elif not is_supported(suffix):
        yield Rejected(source, unsupported_reason(suffix), passed_over=not found.is_named)
    else:
        described = f"{status.st_size} {status.st_mtime_ns} {status.st_ctime_ns} {status.st_ino}"
        yield SourceFile(found.path, source, found.doc_id, status.st_size, described, status.st_ctime)


def _is_unicode(name: str) -> bool:
    """Tell whether a name can be written as UTF-8: names of undecodable bytes hold lone surrogates."""
    return name.isascii() or not any("\ud800" <= character <= "\udfff" for character in name)


def _printable(rejected: Rejected) -> Rejected:
    """Write the undecodable bytes of a file's name as escapes, so that the report can be printed."""
    return replace(rejected, where=rejected.where.encode("utf-8", "backslashreplace").decode("utf-8"))


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else str(error)) or type(error).__name__
