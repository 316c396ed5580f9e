"""Walking folders and matching glob patterns: the same order everywhere, no symlinked folder entered."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from index.records import Rejected

_MAGIC = frozenset("*?[")


@dataclass(frozen=True, slots=True)
class Found:
    """Something that is not a folder: a file, most likely.

    Attributes:
        path: Where it is, beginning as the user's argument does; a text, since there may be very many.
        doc_id: The path below the folder it was found under, with "/" between folders.
        is_named: Whether the user named this very file.
        is_link: Whether it is a symbolic link.
    """

    path: str
    doc_id: str
    is_named: bool = False
    is_link: bool = False


def has_magic(argument: str) -> bool:
    """Tell whether an argument could be a glob pattern."""
    return not _MAGIC.isdisjoint(argument)


def walk_folder(folder: Path) -> Iterator[Found | Rejected]:
    """Find everything below a folder, entries of each folder in code point order of their names.

    Entries whose name begins with a dot are passed over. A symlinked folder is not entered (it may lead back up) but
    reported, like a folder that cannot be listed.
    """
    try:
        pending = _entries(folder)[::-1]
    except OSError as error:
        yield _unlistable(folder, error)
        return
    n_above = 0 if folder == Path() else len(os.path.join(folder, ""))  # noqa: PTH118 text
    while pending:
        entry = pending.pop()
        if entry.is_dir(follow_symlinks=False):
            try:
                pending.extend(reversed(_entries(Path(entry.path))))
            except OSError as error:
                yield _unlistable(Path(entry.path), error)
        elif _is_linked_folder(entry):
            yield _linked(Path(entry.path))
        else:
            path = entry.path if n_above else entry.path.removeprefix(os.path.join(os.curdir, ""))  # noqa: PTH118
            yield Found(path, path[n_above:].replace(os.sep, "/"), is_link=entry.is_symlink())


def glob_files(pattern: str, root: Path | None = None) -> list[Found | Rejected]:
    """Find the files a pattern matches, in code point order of their paths, part by part.

    A relative pattern means files below ``root``, whose own name is no pattern, or below the current folder.

    ``*``, ``?`` and ``[...]`` match within one name, case-sensitively; ``**`` as a whole part matches any number of
    folders. Names that begin with a dot match only a part that does. Folders are not matched, only walked through.
    """
    parts = Path(pattern).parts
    n_literal = next(i for i, part in enumerate(parts) if has_magic(part))
    base = Path(root or "", *parts[:n_literal])
    found: dict[Path, Found | Rejected] = {}
    pending = [(base, parts[n_literal:])]
    # "**/a/**" reaches one folder in several ways.
    done: set[tuple[Path, tuple[str, ...]]] = set()
    while pending:
        state = pending.pop()
        if state in done:
            continue
        done.add(state)
        for path, rest in _step(*state):
            if isinstance(rest, Rejected):
                found[path] = rest
            elif rest:
                pending.append((path, rest))
            else:
                found[path] = Found(str(path), path.relative_to(base).as_posix(), is_link=path.is_symlink())
    return [found[path] for path in sorted(found, key=lambda path: path.parts)]


def _step(folder: Path, pattern: tuple[str, ...]) -> Iterator[tuple[Path, tuple[str, ...] | Rejected]]:
    """Match one folder against a pattern's first part.

    Yields:
        A path with the parts that are left to match below it: none for a file that matches.
    """
    head, rest = pattern[0], pattern[1:]
    deep = head == "**"
    if deep and rest:
        yield folder, rest
    try:
        entries = _entries(folder, hidden=head.startswith("."))
    except (FileNotFoundError, NotADirectoryError):
        return  # The pattern's literal beginning is not there: nothing matches.
    except OSError as error:
        yield folder, _unlistable(folder, error)
        return
    for entry in entries:
        if not deep and not fnmatchcase(entry.name, head):
            continue
        path = Path(entry.path)
        below = pattern if deep else rest
        if entry.is_dir(follow_symlinks=False):
            if below:
                yield path, below
        elif _is_linked_folder(entry):
            if below:
                yield path, _linked(path)
        elif not rest:
            yield path, ()


def _entries(folder: Path, *, hidden: bool = False) -> list[os.DirEntry[str]]:
    """List a folder in code point order, which neither the file system nor the locale changes."""
    with os.scandir(folder) as entries:
        kept = [entry for entry in entries if hidden or not entry.name.startswith(".")]
    return sorted(kept, key=lambda entry: entry.name)


def _is_linked_folder(entry: os.DirEntry[str]) -> bool:
    """Tell whether an entry is a symbolic link to a folder; a link to nothing is none."""
    try:
        return entry.is_symlink() and stat.S_ISDIR(entry.stat().st_mode)
    except OSError:
        return False  # Whatever is wrong with the link is said when it is looked at as a file.


def _linked(path: Path) -> Rejected:
    return Rejected(path.as_posix(), "is a symlinked folder, which is not followed; name it itself to read it.")


def _unlistable(folder: Path, error: OSError) -> Rejected:
    reason = error.strerror or type(error).__name__
    return Rejected(
        folder.as_posix(), f"the folder cannot be listed ({reason}); check that it may be read.", out_of_reach=True
    )
