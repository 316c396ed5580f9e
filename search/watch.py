"""Watches the sources of an index, and brings it up to date whenever one of them changes."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from index.errors import InputError, StrictError, TonguesError
from index.manifest import read_manifest
from index.readers.walk import has_magic
from index.store import current_generation

if TYPE_CHECKING:
    from watchfiles import Change

_SETTLED_MS = 1_600
"""How long changes are gathered before they are looked at: who saves a file often saves several."""
_LOOK_MS = 200
"""How long one watch is waited for before the other is looked at; what happens meanwhile is kept."""
_AGAIN = 5.0
"""Seconds after which an update that failed is tried again."""


@dataclass(frozen=True, slots=True)
class Watched:
    """A folder that is watched, and which changes in it are those of a source.

    Attributes:
        folder: Its path.
        identity: Of the folder itself: one that was made anew must be watched anew.
        is_deep: Whether what lies in its folders counts.
        name: The only entry that counts; any does when "".
        with_hidden: Whether names that begin with a dot count.
    """

    folder: str
    identity: tuple[int, int]
    is_deep: bool
    name: str = ""
    with_hidden: bool = False

    def holds(self, path: str) -> bool:
        """Tell whether a path belongs to the source, or is the folder itself, which may have been moved away."""
        for folder in (self.folder, os.path.realpath(self.folder)):  # some systems name what changed by its real path
            if path == folder:
                return True
            if path.startswith(folder.rstrip(os.sep) + os.sep):
                parts = Path(path).relative_to(folder).parts
                if self.name:
                    return parts == (self.name,)
                return self.with_hidden or not any(part.startswith(".") for part in parts)
        return False


def update_whenever(directory: str, paths: Sequence[str], update: Callable[[], None], *, quiet: bool) -> None:
    """Update now, and again whenever a source changes, until Ctrl-C.

    An update that fails is told and tried again after a while: another program may be writing, or a folder be away.
    What was not read where all had to be is waited for: trying again would read the same.

    Args:
        directory: The index directory.
        paths: What is watched; all sources of the index when none is named.
        update: Brings the index up to date.
        quiet: Say nothing of waiting.

    Raises:
        TonguesError: When the first update fails, or the sources cannot be watched.
    """
    is_watching = False
    told = ""
    try:
        while True:
            try:
                watched = watched_by(directory, paths)
                with contextlib.closing(_moments(directory, watched)) as moments:
                    for _ in moments:
                        _update_or_wait(update, is_first=not is_watching)
                        told = ""
                        if not is_watching and not quiet:
                            places = dict.fromkeys(os.path.join(one.folder, one.name) for one in watched)  # noqa: PTH118
                            click.echo(f"watching {', '.join(places)}; Ctrl-C ends.", err=True)
                        is_watching = True
                        if watched_by(directory, paths) != watched:
                            break
            except TonguesError as error:
                if not is_watching:
                    raise
                if str(error) != told:
                    click.echo(f"Error: {error} Trying again every {_AGAIN:.0f} s.", err=True)
                told = str(error)
                time.sleep(_AGAIN)
    except KeyboardInterrupt as end:
        raise KeyboardInterrupt(str(end) or f"The index in {directory} is as of its last update.") from None


def _update_or_wait(update: Callable[[], None], *, is_first: bool) -> None:
    try:
        update()
    except StrictError as error:
        if is_first:
            raise
        click.echo(f"Error: {error} Waiting for the next change.", err=True)


def watched_by(directory: str, paths: Sequence[str]) -> frozenset[Watched]:
    """Return what must be watched of the paths named, or of all sources of an index, as far as it is there now.

    Raises:
        StoreError: When there is no index.
    """
    manifest = read_manifest(current_generation(Path(directory)))
    here = Path.cwd()
    root = Path(manifest.root) if manifest.root else here
    named = [(here, path) for path in paths] or [(root, source) for source in manifest.sources]
    return frozenset(one for base, path in named if (one := _watched(base, path)))


def _watched(root: Path, named: str) -> Watched | None:
    path, parts = Path(os.path.normpath(root / named)), Path(named).parts
    n_literal = next((i for i, part in enumerate(parts) if has_magic(part)), len(parts))
    name, is_deep, with_hidden = "", True, False
    if path.is_dir():
        folder = path
    elif n_literal == len(parts) or path.exists():
        # A file that is replaced as a whole is another one to those who watch it, so its folder is watched.
        folder, name, is_deep = path.parent, path.name, False
    else:
        folder, rest = Path(os.path.normpath(Path(root, *parts[:n_literal]))), parts[n_literal:]
        is_deep = len(rest) > 1 or rest[0] == "**"
        with_hidden = any(part.startswith(".") for part in rest)
    try:
        status = folder.stat()
    except OSError:
        return None  # the update tells that it is not there
    return Watched(str(folder), (status.st_dev, status.st_ino), is_deep, name, with_hidden) if folder.is_dir() else None


def _moments(directory: str, watched: frozenset[Watched]) -> Generator[None, None, None]:
    """Yield once as soon as all is watched, and then whenever a source has changed.

    Raises:
        InputError: When they cannot be watched.
    """
    import watchfiles

    own = _own_places(directory)

    def is_ours(path: str) -> bool:
        real = os.path.realpath(path)
        is_own = any(real == place or real.startswith(place + os.sep) for place in own)
        return not is_own and any(one.holds(path) for one in watched)

    with contextlib.ExitStack() as stack:
        watches = []
        for is_deep in (True, False):
            folders = sorted({one.folder for one in watched if one.is_deep == is_deep})
            if folders:
                changes = watchfiles.watch(
                    *folders,
                    watch_filter=None,  # what it leaves out, it goes on to wait after, and the other watch would starve
                    debounce=_SETTLED_MS,
                    rust_timeout=_LOOK_MS,
                    yield_on_timeout=True,
                    recursive=is_deep,
                    ignore_permission_denied=True,  # the update tells of them
                )
                watches.append(stack.enter_context(contextlib.closing(changes)))
        for one in watches:
            _next(one)  # which begins the watch
        yield
        while True:
            changed = [path for one in watches for path in _next(one)]
            if any(is_ours(path) for path in changed):
                yield
            if not watches:
                time.sleep(_LOOK_MS / 1000)


def _next(changes: Iterator[set[tuple[Change, str]]]) -> list[str]:
    """Return the paths that have changed since; none after a while in which nothing did.

    Raises:
        InputError: When they cannot be watched, the system's limit being reached for one.
    """
    try:
        return [path for _, path in next(changes)]
    except FileNotFoundError as error:
        raise InputError(f"{error}: is not there any more, so it cannot be watched. Bring it back.") from error
    except (OSError, RuntimeError) as error:
        raise InputError(
            f"the sources cannot be watched ({error}). Let the system watch more (on Linux: sudo sysctl "
            "fs.inotify.max_user_watches=1048576 fs.inotify.max_user_instances=512), name fewer PATHs, or set "
            "WATCHFILES_FORCE_POLLING=1 to look at all files again and again."
        ) from error


def _own_places(directory: str) -> list[str]:
    """Return the real paths of what an update writes, which may lie below a source."""
    manifest = read_manifest(current_generation(Path(directory)))
    own = [os.path.realpath(directory)]
    if manifest.store:
        from index.milvus_place import MilvusPlace

        place = MilvusPlace.parse(manifest.store)
        own += [os.path.realpath(place.uri)] if place.is_file else []
    return own
