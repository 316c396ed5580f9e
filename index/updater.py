"""Brings an index up to date: only what is new or changed is read, chunked and embedded."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from index.builder import build_of, check_not_empty, check_strict, finish, settings_of
from index.changes import ChangedDocuments, DocumentCounts, FileChanges
from index.documents import DocumentWriter, as_text
from index.embedded import Embedded, clear
from index.encoder import Encoder, OpenEncoder, opened
from index.errors import IndexFormatError, InputError
from index.generations import locked, write_generation
from index.layout import EMBEDDED
from index.manifest import Manifest, check_encoder
from index.pipeline import Pipeline, Step
from index.progress import SILENT, Progress
from index.readers.isolated import end_processes
from index.readers.registry import read_file
from index.readers.walk import glob_files, has_magic
from index.records import Document, Rejected
from index.remembered import Sources, sources_of
from index.store import Store, current_generation
from index.writer import writing


@dataclass(frozen=True, slots=True)
class UpdateReport:
    """What an update did, or would do.

    Attributes:
        out: The index directory.
        files: How its files had changed.
        new: Documents that are new.
        changed: Documents whose content had changed.
        same: Documents of changed files that are as they were.
        gone: Documents that are not there any more.
        embedded: Passages that were embedded.
        rejected: What could not be read this time, in order.
        manifest: What the index says of itself now.
        seconds: Wall-clock time.
    """

    out: Path
    files: FileChanges
    new: int
    changed: int
    same: int
    gone: int
    embedded: int
    rejected: tuple[Rejected, ...]
    manifest: Manifest
    seconds: float


def update(
    directory: str | os.PathLike[str],
    paths: Sequence[str | os.PathLike[str]] | str | os.PathLike[str] = (),
    *,
    encoder: Encoder | OpenEncoder | None = None,
    dry_run: bool = False,
    strict: bool = False,
    progress: Progress = SILENT,
) -> UpdateReport:
    """Bring an index up to date with the files that it was built of; the old generation serves meanwhile.

    Args:
        directory: The index directory.
        paths: Look at these files and folders alone; those that are new belong to the index from now on. All that it
            was built of when none is named.
        encoder: The encoder that made the index, or what gives it, called only when something must be embedded; by
            default the index's own model.
        dry_run: Find out what has changed, and change nothing.
        strict: Keep the index as it was when anything could not be read.
        progress: Told how far it is.

    Raises:
        InputError: When a source is not there, or nothing would be left; ``StrictError`` when ``strict`` says so.
        StoreError: When the index cannot be read or written, is too old, or was made with another encoder.
        ModelError: When the model cannot be loaded.
    """
    began = time.monotonic()
    out = Path(directory)
    current_generation(out)  # a directory that is no index is not made one
    with contextlib.ExitStack() as stack:
        stack.callback(end_processes)
        if not dry_run:
            stack.enter_context(locked(out))
        store = stack.enter_context(Store.open(out))
        _check_format(store)
        sources = sources_of(store, paths)
        is_current = _is_current(store, sources)
        if store.manifest.store and not is_current:
            _check_files_alone(store, sources)
        if dry_run:
            counts, rejected = _count(store, sources.changes)
            return _report(store, sources.changes, counts, began, rejected=rejected)
        if is_current:
            store.open_passages(to_search=False).close()  # which tells what an index in Milvus lacks
            return _report(store, sources.changes, DocumentCounts(), began)
        if store.manifest.store:
            stack.close()
            return _build_anew(store, sources, encoder, progress, strict=strict, began=began)
        return _update(store, sources, encoder, progress, strict=strict, began=began)


def update_documents(
    directory: str | os.PathLike[str],
    documents: Iterable[Document] = (),
    *,
    remove: Iterable[tuple[str, str]] = (),
    encoder: Encoder | OpenEncoder | None = None,
    progress: Progress = SILENT,
) -> UpdateReport:
    """Add documents made in memory to an index, replacing those with the same ``source`` and ``doc_id``.

    Args:
        directory: The index directory.
        documents: Read once, in order.
        remove: Source and id of documents to take out; those that are not there are passed over.
        encoder: The encoder that made the index, or what gives it; by default the index's own model.
        progress: Told how far it is.

    Raises:
        InputError: When nothing would be left.
        StoreError: When the index cannot be read or written, is too old, or was made with another encoder.
        ModelError: When the model cannot be loaded.
    """
    began = time.monotonic()
    out = Path(directory)
    current_generation(out)
    with locked(out), Store.open(out) as store:
        _check_format(store)
        if store.manifest.store:
            raise IndexFormatError(
                f"{out}: keeps its passages in {store.manifest.store}, where documents in memory cannot be added to "
                "what is there. Build it again of all of them; vectors are taken over."
            )
        nothing = FileChanges((), (), (), 0, ())
        sources = Sources(list(store.manifest.sources), store.manifest.root, nothing)

        def steps(changes: ChangedDocuments) -> Iterator[Step]:
            changes.remove_documents(remove)
            return (Step(document, document.source) for document in changes.of_memory(documents))

        return _update(store, sources, encoder, progress, strict=False, began=began, steps=steps)


def _check_format(store: Store) -> None:
    if store.manifest.format_version < 3:
        raise IndexFormatError(
            f"{store.directory}: written in format {store.manifest.format_version}, which cannot be updated. Build it "
            "once more; its vectors are taken over."
        )


def _check_files_alone(store: Store, sources: Sources) -> None:
    """Check that nothing would be lost by building an index again of its files.

    Raises:
        InputError: When some of them are out of reach.
        IndexFormatError: When some of its documents were made in memory.
    """
    unread = [one for one in (*sources.changes.rejected, *sources.elsewhere) if one.out_of_reach]
    places = [os.path.normpath(Path(sources.root, one.where)) for one in unread]
    for file in store.documents.files() if places else ():
        path = os.path.normpath(Path(sources.root, file.source))
        for one, place in zip(unread, places, strict=True):
            if path == place or path.startswith(place + os.sep):
                raise _out_of_reach(one)
    source = store.documents.source_without_file()
    if source is not None:
        raise IndexFormatError(
            f"{store.directory}: keeps its passages in {store.manifest.store}, where an update builds all again of "
            f"files, and it holds documents that are in none (of {source!r}). Build it again of all its documents, in "
            "the program that made them; vectors are taken over."
        )


def _check_all_read(directory: Path, documents: DocumentWriter, rejected: Sequence[Rejected]) -> None:
    """Check that a build has all documents of files that only could not be read to their end this time.

    Raises:
        InputError: When some of them would be lost.
    """
    reasons = [one for one in rejected if one.out_of_reach]
    with Store.open(directory) as before:
        for source in documents.half_read() if reasons else ():
            if before.documents.known(source).keys() - documents.known_documents(source).keys():
                own = [one for one in reasons if one.where.startswith(source)]
                raise _out_of_reach((own or reasons)[0])


def _out_of_reach(one: Rejected) -> InputError:
    return InputError(
        f"{one.where}: {one.reason} An update of an index in Milvus reads all files again, so nothing was changed. "
        "Bring it back in reach, or take its documents out by naming it once it is gone."
    )


def _count(store: Store, changes: FileChanges) -> tuple[DocumentCounts, list[Rejected]]:
    """Count what an update would do with documents; returns what it could not read, too."""
    settings = settings_of(store.manifest)
    counts = DocumentCounts(gone=sum(len(store.documents.known(source)) for source in changes.gone))
    rejected: list[Rejected] = []
    for changed in changes.changed:
        known = store.documents.known(changed.file.source)
        done: set[str] = set()
        n_rejected = len(rejected)
        for item in read_file(changed.file, fields=settings.fields, encoding=settings.encoding):
            if isinstance(item, Rejected):
                rejected.append(item)
            elif item.doc_id not in done:
                done.add(item.doc_id)
                counts.add(item, known.pop(item.doc_id, None))
        if not any(item.out_of_reach for item in rejected[n_rejected:]):
            counts.gone += len(known)
    return counts, rejected


def _update(
    store: Store,
    sources: Sources,
    encoder: Encoder | OpenEncoder | None,
    progress: Progress,
    *,
    strict: bool,
    began: float,
    steps: Callable[[ChangedDocuments], Iterator[Step]] | None = None,
) -> UpdateReport:
    """Write the next generation: of what ``steps`` gives, or else of the files that have changed."""
    out, settings, manifest, files = store.directory, settings_of(store.manifest), store.manifest, sources.changes
    rejected: list[Rejected] = []
    n_embedded = 0
    used: Encoder | None = None
    with write_generation(out, manifest.encoder, settings, store) as writer:
        changes = ChangedDocuments(writer, settings)
        if steps is None:
            with writing(out):
                _take_note(writer.documents, sources)
                changes.remove(files.gone)
        if steps or files.changed:
            used = opened(encoder, manifest.encoder, progress)
            check_encoder(manifest, used.fingerprint, str(out))
            embedded = Embedded(out / EMBEDDED, used.fingerprint)
            pipeline = Pipeline(writer, settings, used, embedded, progress)
            progress.start("updating", sum(one.file.size for one in files.changed), "B")
            try:
                rejected = pipeline.run(steps(changes) if steps else changes.read(files.changed))
            finally:
                progress.end()
            n_embedded = pipeline.n_embedded
        check_strict(out, [*files.rejected, *rejected], strict=strict)
        check_not_empty(writer.documents.n_documents(), rejected)
        manifest = finish(writer, settings, sources.names, sources.root, used, progress)
    clear(out / EMBEDDED, used.fingerprint if used else manifest.encoder)
    return _report(store, files, changes.counts, began, manifest, n_embedded, rejected)


def _build_anew(
    store: Store,
    sources: Sources,
    encoder: Encoder | OpenEncoder | None,
    progress: Progress,
    *,
    strict: bool,
    began: float,
) -> UpdateReport:
    """Write the next generation of an index in Milvus, whose collections never change: its vectors are taken over."""
    with Store.open(store.directory) as before:
        counts, _ = _count(before, sources.changes)
    settings = settings_of(store.manifest)
    used = opened(encoder, store.manifest.encoder, progress)
    check_encoder(store.manifest, used.fingerprint, str(store.directory))
    report = build_of(
        _there(sources.names, Path(sources.root)),
        sources.names,
        store.directory,
        settings=settings,
        encoder=used,
        strict=strict,
        root=sources.root,
        progress=progress,
        check=lambda documents, rejected: _check_all_read(store.directory, documents, rejected),
    )
    with Store.open(store.directory) as after:
        # The build looked at all files itself.
        rejected = [one for one in report.rejected if one not in sources.changes.rejected]
        return _report(after, sources.changes, counts, began, after.manifest, report.embedded, rejected)


def _there(names: Sequence[str], root: Path) -> list[str]:
    """Return the sources that are there, or of which files are: ``sources_of`` allows others to be gone."""
    return [name for name in names if (root / name).exists() or (has_magic(name) and glob_files(name, root))]


def _is_current(store: Store, sources: Sources) -> bool:
    """Tell whether an index holds what its sources hold, and tells of what cannot be read."""
    unread = {(as_text(one.where), as_text(one.reason)) for one in (*sources.changes.rejected, *sources.elsewhere)}
    return (
        sources.changes.is_nothing
        and list(store.manifest.sources) == sources.names
        and store.documents.unread() == unread
    )


def _take_note(documents: DocumentWriter, sources: Sources) -> None:
    """Record what was found out about files that are not read."""
    documents.forgive("")
    for item in (*sources.changes.rejected, *sources.elsewhere):
        documents.reject("", item)
    for file in sources.changes.touched:
        documents.add_file(file)


def _report(
    store: Store,
    files: FileChanges,
    counts: DocumentCounts,
    began: float,
    manifest: Manifest | None = None,
    n_embedded: int = 0,
    rejected: Sequence[Rejected] = (),
) -> UpdateReport:
    return UpdateReport(
        out=store.directory,
        files=files,
        new=counts.new,
        changed=counts.changed,
        same=counts.same,
        gone=counts.gone,
        embedded=n_embedded,
        rejected=(*files.rejected, *rejected),
        manifest=manifest or store.manifest,
        seconds=time.monotonic() - began,
    )
