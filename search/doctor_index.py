"""What ``tongues doctor`` finds of an index."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from index.errors import TonguesError
from index.generations import generations_of
from index.kinds import CELLS_FROM, VectorIndexKind
from index.layout import EMBEDDED, GENERATIONS
from index.manifest import FORMAT_VERSION, Manifest
from index.store import Store
from index.verifier import verify
from search.doctor import Finding, State
from search.doctor_machine import EXTRAS, network_drive, size_of, told_size, version_of

_MANY_SEGMENTS = 12
"""More than an index of fifteen million passages has: there are at most about log4 of the passages."""
_MANY_DEAD = 0.25
"""An update merges when a fifth is dead."""
_LOW_RECALL = 0.95


def look_at_index(directory: str, *, deep: bool) -> tuple[Manifest | None, list[Finding]]:
    """Return an index's manifest when it can be opened, and what is found of it.

    Args:
        directory: Of the index.
        deep: Check every checksum too.
    """
    try:
        with Store.open(directory) as store:
            manifest, current = store.manifest, store.folder
    except TonguesError as error:
        return None, [Finding("index", "opened", State.FAIL, str(error))]
    again = f"Build it again: tongues build PATH... --out {directory}"
    findings = [
        _format(directory, manifest, again),
        _content(manifest),
        *_rejected(directory, manifest),
        *_search(manifest, again),
        _place(Path(directory)),
        *_generations(Path(directory), current),
        *_around(directory, manifest),
    ]
    if deep:
        problems = verify(directory)
        remedy = f"tongues repair --index {directory}"
        findings += [Finding("index", "checksums", State.FAIL, problem, remedy) for problem in problems]
        findings += [] if problems else [Finding("index", "checksums", State.OK, "all as they were written")]
    return manifest, findings


def _format(directory: str, manifest: Manifest, again: str) -> Finding:
    text = f"{directory}: format {manifest.format_version}, every file there in its full size"
    if manifest.format_version == 1:
        return Finding("index", "opened", State.WARN, f"{text}; without words, sentences and balance", again)
    if manifest.format_version < FORMAT_VERSION:
        text += f" (an update writes {FORMAT_VERSION})" if manifest.format_version > 2 else ""
        state, remedy = (State.OK, "") if manifest.format_version > 2 else (State.WARN, again)
        return Finding("index", "opened", state, text, remedy)
    return Finding("index", "opened", State.OK, text)


def _content(manifest: Manifest) -> Finding:
    counts = manifest.counts
    size = sum(record.size for record in manifest.files.values())
    langs = sorted(counts.languages, key=lambda lang: -counts.languages[lang])
    shown = ", ".join(langs[:8]) + (f" and {len(langs) - 8} more" if len(langs) > 8 else "")
    text = f"{counts.documents:,} documents, {counts.passages:,} passages ({shown}), {told_size(size)}"
    if not counts.passages:
        return Finding(
            "index", "content", State.WARN, text, "There is nothing to find. Add files: tongues update PATH..."
        )
    return Finding("index", "content", State.OK, text)


def _rejected(directory: str, manifest: Manifest) -> Iterator[Finding]:
    if n := manifest.counts.rejected:
        remedy = f"tongues info --rejected --index {directory}"
        yield Finding("index", "not read", State.WARN, f"{n:,} files or records could not be read", remedy)


def _search(manifest: Manifest, again: str) -> Iterator[Finding]:
    """Yield how an index's vectors are searched: kinds, recall, segments, what is dead."""
    largest = max(manifest.segments, key=lambda segment: segment.rows)
    measured = [one.recall["recall"] for one in manifest.segments if isinstance(one.recall.get("recall"), float)]
    recall = f", {min(measured):.1%} of what exact search finds" if measured else ""
    text = f"{largest.kind}{recall}"
    if largest.kind == VectorIndexKind.FLAT and largest.rows >= CELLS_FROM:
        yield Finding("index", "kind", State.WARN, f"{text}: {largest.rows:,} vectors are compared each time", again)
    elif measured and min(measured) < _LOW_RECALL:
        yield Finding("index", "kind", State.WARN, text, f"{again} --kind pq finds more.")
    else:
        yield Finding("index", "kind", State.OK, text)
    n_rows, n_segments = manifest.n_rows, len(manifest.segments)
    dead = manifest.dead / n_rows if n_rows else 0.0
    text = f"{n_segments}; {manifest.dead:,} of {n_rows:,} passages dead ({dead:.0%})"
    if n_segments > _MANY_SEGMENTS or dead > _MANY_DEAD:
        yield Finding("index", "segments", State.WARN, text, f"Each is searched by itself. {again}")
    else:
        yield Finding("index", "segments", State.OK, text)


def _place(directory: Path) -> Finding:
    if network := network_drive(directory):
        remedy = "Keep it on a disk of this machine: every search reads it."
        return Finding("index", "place", State.WARN, f"on a network drive ({network})", remedy)
    text = "may be updated" if os.access(directory, os.W_OK) else "may be read, not updated, by this user"
    return Finding("index", "place", State.OK, text)


def _generations(directory: Path, current: Path) -> Iterator[Finding]:
    """Yield what lies in an index directory beside what is read."""
    try:
        others = [path for path in generations_of(directory).values() if path.name != current.name]
        killed = [*(directory / GENERATIONS).glob(".new-*"), *(directory / GENERATIONS).glob(".old-*")]
    except OSError as error:
        yield Finding("index", "generations", State.WARN, f"cannot be listed ({error.strerror or error})")
        return
    alone = sum(file.stat().st_size for old in others for file in old.rglob("*") if file.stat().st_nlink == 1)
    text = f"{current.name} is read; {len(others)} before it, {told_size(alone)} of their own"
    if len(others) > 1 or killed:
        text += f"; {len(killed)} half-written ones" if killed else ""
        yield Finding("index", "generations", State.OK, f"{text}: the next update clears away what nobody reads")
    else:
        yield Finding("index", "generations", State.OK, text)
    if (directory / EMBEDDED).is_dir() and (size := size_of(directory / EMBEDDED)):
        remedy = "Run the same build or update again; it goes on from there."
        text = f"a build or update has not ended: {told_size(size)} of vectors are kept for it"
        yield Finding("index", "unfinished", State.WARN, text, remedy)


def _around(directory: str, manifest: Manifest) -> Iterator[Finding]:
    """Yield what is found of what an index needs outside of it."""
    if manifest.store:
        absent = [name for name in EXTRAS["milvus"] if version_of(name) is None]
        if absent:
            yield Finding("index", "kept in", State.FAIL, manifest.store, "pip install 'manytongues[milvus]'")
        else:
            yield Finding("index", "kept in", State.OK, manifest.store)
    relative = [name for name in manifest.sources if not Path(name).is_absolute()]
    if manifest.root and relative and not Path(manifest.root).is_dir():
        remedy = "Searches go on; bring it back to update the index and to open sources."
        yield Finding("index", "sources", State.WARN, f"{manifest.root}: is not there any more", remedy)
    elif manifest.sources:
        yield Finding("index", "sources", State.OK, f"{len(manifest.sources):,}, below {manifest.root or 'here'}")
    else:
        yield Finding("index", "sources", State.OK, "documents that a program put in")
