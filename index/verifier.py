"""Checks that an index is whole: every checksum, every count."""

from __future__ import annotations

from pathlib import Path

from index.errors import REPAIR, IndexDamagedError
from index.guarded import regular_size
from index.layout import DATABASE, DEAD
from index.manifest import FileRecord, Manifest, read_manifest, record_file
from index.reading import keep_open
from index.store import Store, current_generation, expected_files


def verify(directory: str | Path) -> list[str]:
    """Check every checksum and count of an index; returns what is wrong, nothing when it is whole.

    Raises:
        NoIndexError: When there is no index.
        IndexFormatError: When another version of the form wrote it.
    """
    while True:
        folder = None
        try:
            folder = current_generation(Path(directory))
            with keep_open(folder):
                manifest = read_manifest(folder)
                damaged = damaged_files(folder, manifest)
                if damaged:
                    return [f"{folder / name}: {problem}. {REPAIR}" for name, problem in damaged.items()]
                with Store.open(directory) as store:
                    check_counts(store)
                return []
        except IndexDamagedError as error:
            # A writer may have switched and collected between reading the name and keeping the generation.
            if folder is None or folder.is_dir():
                return [str(error)]


def damaged_files(folder: Path, manifest: Manifest) -> dict[str, str]:
    """Return the files of a generation that are not what was written, with what is wrong with each."""
    problems = {name: _problem(folder / name, manifest.files.get(name)) for name in expected_files(manifest)}
    return {name: problem for name, problem in problems.items() if problem}


def _problem(path: Path, record: FileRecord | None) -> str:
    """Say in what a file differs from its record, or ""."""
    try:
        size = regular_size(path)
        if record and size != record.size:
            return f"damaged ({size:,} bytes where {record.size:,} were written)"
        same = record_file(path) == record
    except FileNotFoundError:
        return "missing"
    except OSError as error:
        return f"cannot be read ({error.strerror or error})"
    return "" if same else "damaged (its sha256 differs from the manifest)"


def check_counts(store: Store) -> None:
    """Check the database, and that every file holds as many rows as the manifest tells.

    Raises:
        IndexDamagedError: Naming the first file that does not.
    """
    n = 0 if store.manifest.store else store.n_passages
    path = store.folder / DATABASE
    stored, placed = store.documents.check()
    if (stored, placed) != (n, n):
        raise IndexDamagedError(
            f"{path}: {stored} passages, {placed} of them in a document, where the manifest has {n}. {REPAIR}"
        )
    if store.documents.texts(store.dead_rows().tolist()):
        raise IndexDamagedError(f"{store.folder / DEAD}: tells of rows that stand in a document. {REPAIR}")
    store.lexical()
    store.open_passages().close()
