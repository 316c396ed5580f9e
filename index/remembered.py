"""The sources of an index: what it was built of, what is to be looked at now, and how that has changed."""

from __future__ import annotations

import itertools
import os
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from index.builder import source_names
from index.changes import FileChanges, compare
from index.errors import InputError
from index.manifest import Manifest
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
    names = list(manifest.sources)
    root = _root(manifest, here)
    known = {file.source: file for file in store.documents.files()}
    real = _RealPaths(root)
    named = {real.of(path): origin for path, origin in _expanded(source_names(paths), here)}
    scope = list(named)
    if not names and not scope:
        raise InputError(
            f"{store.directory}: was built of documents in memory or of ready vectors, so there are no files to look "
            "at. Name some, or update it from the program that built it, or import again."
        )
    there = [
        name
        for name in names
        if _is_there(name, root, known, store.directory, named=real.of(str(_literal(name))) in scope)
    ]
    found = _find(there, root, store.directory)
    elsewhere: tuple[Rejected, ...] = ()
    if scope:
        known_at = {real.of(source): file for source, file in known.items()}
        new = _uncovered(scope, [real.of(name) for name in names], {*known_at, *_places(found, real)})
        names = [name for name in names if name in there or real.of(name) not in scope]
        if new:
            added = list(dict.fromkeys(_name(named[path], root) for path in new))
            names += added
            found = _find([*there, *added], root, store.directory)
        placed = list(zip(found, _places(found, real), strict=True))
        found = [one for one, at in placed if _is_in(at, scope)]
        elsewhere = tuple(one for one, at in placed if isinstance(one, Rejected) and not _is_in(at, scope))
        known = {file.source: file for at, file in known_at.items() if _is_in(at, scope)}
    changes = compare(found, known, root)
    if not scope:
        _check_gone(changes, there, found, root, store.directory)
    return Sources(names, str(root), changes, elsewhere)


def _root(manifest: Manifest, here: Path) -> Path:
    """Return the folder that relative sources are relative to.

    Raises:
        InputError: When it is not there: other files of the same names must not be taken for these.
    """
    root = Path(manifest.root) if manifest.root else here
    if not root.is_dir() and not all(Path(name).is_absolute() for name in manifest.sources):
        raise InputError(
            f"{root}: the folder that the index was built from is not there, so nothing was changed. Bring it back; or "
            "where it has moved, build the index again from there: its vectors are taken over."
        )
    return root


def _check_gone(
    changes: FileChanges,
    sources: Sequence[str],
    found: Sequence[SourceFile | Rejected],
    root: Path,
    directory: Path,
) -> None:
    """Check that no folder or pattern has lost all of its files: it may only be out of reach.

    Raises:
        InputError: When one has.
    """
    if not changes.gone:
        return
    left = [os.path.normpath(root / one.source) for one in found if isinstance(one, SourceFile)]
    gone = [os.path.normpath(root / source) for source in changes.gone]
    for source in sources:
        base = [os.path.normpath(root / _literal(source))]
        if any(_is_in(path, base) for path in gone) and not any(_is_in(path, base) for path in left):
            raise InputError(_missing(source, root, "has no file left", directory))


def _literal(name: str) -> Path:
    """Return the part of a source before its first wildcard."""
    return Path(*itertools.takewhile(lambda part: not has_magic(part), Path(name).parts))


def _missing(name: str, root: Path, what: str, directory: Path) -> str:
    return (
        f"{name!r} {what} (looked for in {root}), so nothing was changed. Bring it back; or if it is gone for good, "
        f"name it, and its documents are taken out: `tongues update --index {directory} {root / _literal(name)}`."
    )


def _find(names: Sequence[str], root: Path, outside: Path) -> list[SourceFile | Rejected]:
    return list(find_files(names, outside=outside, root=None if root == Path.cwd() else root))


def _expanded(paths: Sequence[str], here: Path) -> Iterator[tuple[str, str]]:
    """Yield paths as absolute ones, each with what it is remembered by; patterns as the files they match.

    Raises:
        InputError: When a pattern matches none.
    """
    for path in paths:
        if has_magic(path) and not _exists(Path(path)):
            files = [one for one in find_files([path]) if isinstance(one, SourceFile)]
            yield from ((str(here / file.path), str(here / path)) for file in files)
        else:
            yield str(here / path), os.path.normpath(here / path)


def _uncovered(scope: Sequence[str], sources: Sequence[str], files: Collection[str]) -> list[str]:
    """Return the paths that belong to no source.

    Raises:
        InputError: When one does not exist and never did.
    """
    for path in scope:
        if not _exists(Path(path)) and not any(_is_in(file, [path]) for file in files):
            raise InputError(f"{path!r} does not exist, and the index knows of no such file; check the spelling.")
    return [path for path in scope if not _is_in(path, sources) and path not in files]


def _is_there(name: str, root: Path, known: Collection[str], directory: Path, *, named: bool) -> bool:
    """Tell whether a source is there; one that is gone, though it was a file or is named, is not.

    Raises:
        InputError: When it is missing and may only be out of reach.
    """
    if _exists(root / name):
        return True
    if has_magic(name) and _exists(root / _literal(name)):
        if glob_files(name, root):
            return True
        base = os.path.normpath(root / _literal(name))
        if named or not any(_is_in(os.path.normpath(root / source), [base]) for source in known):
            return False
        raise InputError(_missing(name, root, "matches no file", directory))
    folder = (root / name).parent
    was_file = Path(name).as_posix() in known and _exists(folder) and any(folder.iterdir())
    if was_file or named:
        return False
    raise InputError(_missing(name, root, "is not there", directory))


def _exists(path: Path) -> bool:
    """Tell whether something is there.

    Raises:
        InputError: When nobody can tell.
    """
    try:
        return path.exists()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise InputError(f"{str(path)!r} cannot be looked at ({reason}); check the path and its rights.") from error


def _places(found: Sequence[SourceFile | Rejected], real: _RealPaths) -> list[str]:
    return [real.of(one.where if isinstance(one, Rejected) else one.source) for one in found]


class _RealPaths:
    """Finds out where files really are, since one may be named by way of a link; links themselves are not followed."""

    def __init__(self, root: Path) -> None:
        """Have relative paths mean files below a folder."""
        self._root = root
        self._folders: dict[str, str] = {}

    def of(self, path: str) -> str:
        """Return the absolute path whose folders are no links."""
        folder, name = os.path.split(os.path.normpath(self._root / path))
        if folder not in self._folders:
            self._folders[folder] = os.path.realpath(folder)
        return os.path.join(self._folders[folder], name)  # noqa: PTH118


def _is_in(path: str, places: Sequence[str]) -> bool:
    """Tell whether a path is one of some places, or lies below one."""
    return any(path == place or path.startswith(place.rstrip(os.sep) + os.sep) for place in places)


def _name(path: str, root: Path) -> str:
    """Return a new source's path as the index remembers it: below its root where it lies there."""
    return Path(path).relative_to(root).as_posix() if Path(path).is_relative_to(root) else path
