"""The generations of an index directory: one build at a time, each generation switched to only when it is complete."""

from __future__ import annotations

import contextlib
import re
import shutil
from collections.abc import Collection, Iterator
from pathlib import Path

from index.config import BuildSettings
from index.encoder import Fingerprint
from index.errors import NoIndexError, StoreError
from index.files import new_folder, sync, write_error, write_text
from index.guarded import read_small
from index.layout import CURRENT, EMBEDDED, GENERATIONS, MANIFEST
from index.reading import held_alone
from index.store import LONGEST_NAME, Store
from index.writer import GenerationWriter, writing

_LOCK = ".lock"
_HALF_WRITTEN = f".{CURRENT}-"
"""How the names of files begin that a build killed while switching leaves behind."""
_STRAY = {".DS_Store", "Thumbs.db", "desktop.ini"}
"""What file managers put into any folder."""
_OLD = ".old-"
"""How the names of generations begin that are being removed."""


def check_writable(directory: Path) -> None:
    """Check, before any long work, that an index may be written to a directory.

    Raises:
        StoreError: When it holds something else, or cannot be written.
    """
    with writing(directory):
        if directory.exists() and not directory.is_dir():
            raise StoreError(f"{directory}: is a file. Name a directory for the index with --out.")
        others = [] if _is_index(directory) else _other_files(directory)
        if others:
            raise StoreError(
                f"{directory}: holds other files ({', '.join(sorted(others)[:3])}) and no index. "
                "Name a new or empty directory with --out."
            )
        (directory / GENERATIONS).mkdir(parents=True, exist_ok=True)
        probe = directory / GENERATIONS / ".probe"
        _refuse_links(directory / _LOCK, probe)
        probe.touch()
        probe.unlink(missing_ok=True)  # another build may be looking too


def _refuse_links(*paths: Path) -> None:
    """Refuse an index directory that would have another file of the user's written to.

    Raises:
        StoreError: When one of the paths is a symbolic link.
    """
    for path in paths:
        if path.is_symlink():
            raise StoreError(f"{path}: is a link, which no build makes. Look where it leads, and remove it.")


def _is_index(directory: Path) -> bool:
    name = _current_name(directory)  # other programs, LevelDB for one, have a CURRENT too
    return bool(re.fullmatch(r"g\d+", name, re.ASCII)) and (directory / GENERATIONS).is_dir()


def _current_name(directory: Path) -> str:
    """Return what is said to be the current generation, "" when nothing can be read."""
    try:
        return read_small(directory / CURRENT, LONGEST_NAME).decode("ascii", "replace").strip()
    except (OSError, ValueError):
        return ""


def _other_files(directory: Path) -> list[str]:
    """Return what is in a directory beside what a first build leaves behind that was killed."""
    if not directory.exists():
        return []
    generations = directory / GENERATIONS
    ours = {generations, directory / EMBEDDED, directory / _LOCK, *directory.glob(f"{_HALF_WRITTEN}*")}
    if generations.is_dir():
        ours.update((generations / ".probe", *generations.glob(".new-*"), *generations.glob(f"{_OLD}*")))
        ours.update(path for path in generations_of(directory).values() if (path / MANIFEST).is_file())
    found = [*directory.iterdir(), *(generations.iterdir() if generations.is_dir() else [])]
    return [path.relative_to(directory).as_posix() for path in found if path not in ours and path.name not in _STRAY]


@contextlib.contextmanager
def locked(directory: Path, *, known_index: bool = False) -> Iterator[None]:
    """Keep other writers out of a directory, which is checked and made first.

    Args:
        directory: Of the index.
        known_index: Whether it holds an index, however damaged.

    Raises:
        StoreError: When another build is writing to it, it holds something else, or it cannot be written.
    """
    from filelock import FileLock, Timeout

    if known_index:
        if not (directory / GENERATIONS).is_dir():
            raise NoIndexError(f"{directory}: no index here. Name the directory that was given with --out.")
    else:
        check_writable(directory)
    lock = FileLock(directory / _LOCK, timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise StoreError(
            f"{directory}: another program is writing here. Wait for it to end, or name another."
        ) from error
    except OSError as error:
        raise write_error(error, directory) from error
    try:
        yield
    finally:
        lock.release()


@contextlib.contextmanager
def write_generation(
    directory: Path, fingerprint: Fingerprint, settings: BuildSettings, before: Store | None = None
) -> Iterator[GenerationWriter]:
    """Give a writer whose generation becomes the current one when the block ends well, as ``new_generation`` has it.

    The caller calls ``finish``. ``before`` is the generation that the new one goes on from, if it does.

    Raises:
        StoreError: When the disk is full, or the directory cannot be written. What the block raises comes out as it is.
    """
    with new_generation(directory) as folder:
        writer = GenerationWriter(directory, folder, fingerprint, settings, before)
        try:
            yield writer
        except BaseException:
            writer.abandon()
            raise


@contextlib.contextmanager
def new_generation(directory: Path) -> Iterator[Path]:
    """Give an empty folder that becomes the current generation when the block ends well, its manifest written.

    The directory must be ``locked``. Killed at any moment, the generation before stays current; what was half written
    is cleared away by the next build.

    Raises:
        StoreError: When the disk is full, or the directory cannot be written. What the block raises comes out as it is.
    """
    generations = directory / GENERATIONS
    of_the_block: BaseException | None = None
    with writing(directory):
        clear_away(directory)
        before = _current_name(directory)
        name = f"g{max(generations_of(directory), default=0) + 1:06d}"
    try:
        with new_folder(generations / name) as folder:
            try:
                yield folder
            except BaseException as error:
                of_the_block = error
                raise
            if not (folder / MANIFEST).is_file():
                raise ValueError("the generation was not finished")
        sync(generations)
        write_text(directory / CURRENT, name + "\n")
        collect(directory, {name, before})
    except OSError as error:
        if error is of_the_block:
            raise
        raise write_error(error, directory) from error


def clear_away(directory: Path) -> None:
    """Remove what writers left behind that were killed. The directory must be ``locked``."""
    generations = directory / GENERATIONS
    for left in (*generations.glob(".new-*"), *generations.glob(f"{_OLD}*")):
        shutil.rmtree(left, ignore_errors=True)
    for half in directory.glob(f"{_HALF_WRITTEN}*"):
        half.unlink(missing_ok=True)


def collect(directory: Path, kept: Collection[str]) -> None:
    """Remove generations that nobody reads. The directory must be ``locked``.

    What cannot be removed now is removed by the next writer.

    Args:
        directory: Of the index.
        kept: The names of those that stay anyway: the current one, and the one that was current before, to go back to.
            A newer one may be there that never was: its writer was killed just before it switched, or it was damaged.
    """
    for old in generations_of(directory).values():
        if old.name in kept:
            continue
        with held_alone(old) as is_alone, contextlib.suppress(OSError):
            if is_alone:
                # Out of the way at once: nobody may find half of it. Windows renames no folder with open files.
                removed = old.rename(old.with_name(f"{_OLD}{old.name}"))
                shutil.rmtree(removed, ignore_errors=True)


def generations_of(directory: Path) -> dict[int, Path]:
    """Return the folders of generations by their numbers."""
    paths = (directory / GENERATIONS).iterdir()
    return {int(m.group(1)): path for path in paths if (m := re.fullmatch(r"g(\d+)", path.name))}
