"""The sources of an index: what it was built of, what is to be looked at now, and how that has changed."""

from __future__ import annotations

import itertools
import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from index.builder import source_names
from index.changes import FileChanges, compare
from index.errors import InputError
from index.readers.source_file import SourceFile
from index.readers.sources import find_files
from index.readers.walk import glob_files, has_magic
from index.records import Rejected
from index.store import Store


@dataclass(frozen=True, slots=True)
class Sources:
    """The sources of an index from now on.

    Attributes:
        names: What it is made of, in order.
        root: The folder that relative names are relative to.
        changes: How the files looked at have changed.
        elsewhere: What cannot be read at all of the files that are not looked at.
    """

    names: list[str]
    root: str
    changes: FileChanges
    elsewhere: tuple[Rejected, ...] = ()


def sources_of(store: Store, paths: Sequence[str | os.PathLike[str]] | str | os.PathLike[str]) -> Sources:
    """Look at the sources of an index, or at some paths alone.

    A path that belongs to none of the sources becomes one; a source that is named and not there any more ceases to be.

    Raises:
        InputError: When a path is not there and never was, or a folder is missing as a whole that was not named: it
            may only be out of reach, and its documents must not be lost for that.
    """
    manifest = store.manifest
    here = Path.cwd()
    root = Path(manifest.root) if manifest.root and Path(manifest.root).is_dir() else here
    known = {file.source: file for file in store.documents.files()}
    scope = _expanded(source_names(paths), here)
    names = list(manifest.sources)
    if not names and not scope:
        raise InputError(
            f"{store.directory}: was built of documents in memory, so there are no files to look at. Name some, or "
            "update it from the program that built it."
        )
    there = [name for name in names if _is_there(name, root, known, scope)]
    found = _find(there, root, store.directory)
    elsewhere: tuple[Rejected, ...] = ()
    if scope:
        known_at = {_absolute(root, source): file for source, file in known.items()}
        new = _uncovered(scope, [_absolute(root, name) for name in names], {*known_at, *_places(found, root)})
        names = [name for name in names if name in there or _absolute(root, name) not in scope]
        if new:
            added = [_name(path, root) for path in new]
            names += added
            found = _find([*there, *added], root, store.directory)
        placed = list(zip(found, _places(found, root), strict=True))
        found = [one for one, at in placed if _is_in(at, scope)]
        elsewhere = tuple(one for one, at in placed if isinstance(one, Rejected) and not _is_in(at, scope))
        known = {file.source: file for at, file in known_at.items() if _is_in(at, scope)}
    return Sources(names, str(root), compare(found, known), elsewhere)


def _find(names: Sequence[str], root: Path, outside: Path) -> list[SourceFile | Rejected]:
    return list(find_files(names, outside=outside, root=None if root == Path.cwd() else root))


def _expanded(paths: Sequence[str], here: Path) -> list[str]:
    """Return paths as absolute ones, patterns as the files they match.

    Raises:
        InputError: When a pattern matches none.
    """
    expanded: list[str] = []
    for path in paths:
        if has_magic(path) and not Path(path).exists():
            files = [one for one in find_files([path]) if isinstance(one, SourceFile)]
            expanded += [_absolute(here, str(file.path)) for file in files]
        else:
            expanded.append(_absolute(here, path))
    return expanded


def _uncovered(scope: Sequence[str], sources: Sequence[str], files: Collection[str]) -> list[str]:
    """Return the paths that belong to no source.

    Raises:
        InputError: When one does not exist.
    """
    new = [path for path in scope if not _is_in(path, sources) and path not in files]
    for path in new:
        if not Path(path).exists():
            raise InputError(f"{path!r} does not exist, and the index knows of no such file; check the spelling.")
    return new


def _is_there(name: str, root: Path, known: Collection[str], scope: Sequence[str]) -> bool:
    """Tell whether a source is there; one that is gone, though it may have been a file or was named, is not.

    Raises:
        InputError: When it is missing and may only be out of reach.
    """
    path = _absolute(root, name)
    if Path(path).exists():
        return True
    base = Path(path)
    if has_magic(name):
        base = Path(*itertools.takewhile(lambda part: not has_magic(part), Path(path).parts))
        if base.is_dir():
            return any(True for _ in glob_files(path))
    was_file = Path(name).as_posix() in known and base.parent.is_dir()
    if was_file or path in scope:
        return False
    raise InputError(
        f"{name!r} is not there (looked for in {root}), so nothing was changed. Bring it back; or if it is gone for "
        f"good, name it, and its documents are taken out: tongues update --index DIR {path}"
    )


def _places(found: Sequence[SourceFile | Rejected], root: Path) -> list[str]:
    return [_absolute(root, one.where if isinstance(one, Rejected) else one.source) for one in found]


def _is_in(path: str, places: Sequence[str]) -> bool:
    """Tell whether a path is one of some places, or lies below one."""
    return any(path == place or path.startswith(place.rstrip(os.sep) + os.sep) for place in places)


def _absolute(root: Path, path: str) -> str:
    # Not resolved: a link is looked at where it is.
    return os.path.normpath(root / path)


def _name(path: str, root: Path) -> str:
    """Return a new source's path as the index remembers it: below its root where it lies there."""
    return Path(path).relative_to(root).as_posix() if Path(path).is_relative_to(root) else path
