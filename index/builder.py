"""Builds an index: read, chunk, embed, write; one pass, in batches, switched to at the end."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from index.ahead import Ahead, Corpus
from index.balance import fitted_from
from index.changes import ChangedDocuments, ChangedFile, look_at
from index.config import BuildSettings, from_mapping
from index.documents import DocumentWriter, KnownFile
from index.embedded import Embedded, clear, is_whole, vector_fingerprint
from index.encoder import Encoder, open_encoder
from index.errors import InputError, NoIndexError, StoreError, StrictError
from index.generations import locked, write_generation
from index.layout import EMBEDDED
from index.manifest import Manifest
from index.parallel import parallel_langs, parallel_means, unheard
from index.pipeline import Pipeline, Step
from index.progress import SILENT, Progress
from index.readers.isolated import end_processes
from index.readers.source_file import SourceFile
from index.readers.sources import find_files
from index.ready import ReadyVectors
from index.records import Document, Rejected
from index.store import Store
from index.writer import GenerationWriter, Means

Check = Callable[[DocumentWriter, Sequence[Rejected]], None]
"""Looks at what a build has read and at what it could not read; it raises to keep the index as it was."""


@dataclass(frozen=True, slots=True)
class BuildReport:
    """What a build did.

    Attributes:
        out: The index directory.
        documents: Documents with at least one passage.
        passages: Passages, each with one vector.
        duplicates: Passages that repeat one already there.
        languages: Passages by language.
        left_out: Lines left out of all passages, by kind.
        rejected: What could not be read, in order.
        embedded: Passages that were embedded; the vectors of the others were known.
        seconds: Wall-clock time, the loading of the model included.
    """

    out: Path
    documents: int
    passages: int
    duplicates: int
    languages: Mapping[str, int]
    left_out: Mapping[str, int]
    rejected: tuple[Rejected, ...]
    embedded: int
    seconds: float


def build(
    sources: Sequence[str | os.PathLike[str]] | str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    settings: BuildSettings | None = None,
    encoder: Encoder | None = None,
    strict: bool = False,
    root: str | os.PathLike[str] = "",
    progress: Progress = SILENT,
    ahead: Ahead | None = None,
) -> BuildReport:
    """Build an index of files and folders, replacing the one in ``out`` when it is complete.

    Args:
        sources: Files, folders (walked) and glob patterns; one or many.
        out: The index directory: new, empty, or an index.
        settings: Model, chunking, field names and encoding; the defaults when None.
        encoder: An encoder to use instead of the settings' model.
        strict: Keep the index as it was when anything could not be read, files of a walked folder in formats without a
            reader not counted.
        root: The folder that relative sources are relative to; "" for the current one.
        progress: Told how far the build is.
        ahead: Embeds the texts before the build, elsewhere; the index is the same.

    Raises:
        InputError: When a source is not there, or nothing could be indexed; ``StrictError`` when ``strict`` says so.
        ModelError: When the model cannot be found or loaded.
        StoreError: When ``out`` cannot be written.
    """
    names = source_names(sources)
    if not names:
        raise InputError("no source was named; name files, folders or patterns to index.")
    return build_of(
        names,
        names,
        Path(out),
        settings=settings or BuildSettings(),
        encoder=encoder,
        strict=strict,
        root=os.fspath(root),
        progress=progress,
        ahead=ahead,
    )


def build_of(
    there: Sequence[str],
    names: Sequence[str],
    out: Path,
    *,
    settings: BuildSettings,
    encoder: Encoder | None,
    strict: bool,
    root: str,
    progress: Progress,
    ahead: Ahead | None = None,
    check: Check | None = None,
) -> BuildReport:
    """Build as ``build`` does, with its arguments; the index may remember sources that are not there now.

    Args:
        there: The sources to read.
        names: All that the index is made of from now on.
        out: The index directory.
        settings: Model, chunking, field names and encoding.
        encoder: An encoder to use instead of the settings' model.
        strict: Keep the index as it was when anything could not be read.
        root: The folder that relative sources are relative to; "" for the current one.
        progress: Told how far the build is.
        ahead: Embeds the texts before the build, elsewhere.
        check: Looks at what was read before the index is replaced.

    Raises:
        TonguesError: As ``build`` does.
    """
    files = list(find_files(there, outside=out, root=Path(root) if root else None))
    total = sum(file.size for file in files if not isinstance(file, Rejected))

    def steps(writer: GenerationWriter) -> Iterator[Step]:
        changes = ChangedDocuments(writer, settings)
        for file in files:
            yield from [Step(file)] if isinstance(file, Rejected) else changes.read(_looked_at(file))

    def embed_ahead(encoder: Encoder, embedded: Embedded, takes_over: bool) -> int:
        # Whoever reads them may do so from another folder.
        found = [dataclasses.replace(f, place=str(f.path.absolute())) for f in files if not isinstance(f, Rejected)]
        corpus = Corpus(found, out.absolute(), settings, takes_over)
        return ahead(corpus, encoder, embedded, progress) if ahead else 0

    return build_steps(
        steps,
        total,
        names,
        out,
        settings,
        encoder,
        progress,
        ahead=embed_ahead if ahead else None,
        strict=strict,
        root=root,
        check=check,
    )


def _looked_at(file: SourceFile) -> Iterator[ChangedFile]:
    """Yield a file to read; its reader tells what is wrong with one that cannot be looked at."""
    try:
        yield look_at(file)
    except OSError:
        yield ChangedFile(file, KnownFile(file.source, file.doc_id, "", ""), is_new=True)


def source_names(sources: Sequence[str | os.PathLike[str]] | str | os.PathLike[str]) -> list[str]:
    """Return sources, one or many, as text."""
    given = [sources] if isinstance(sources, str | os.PathLike) else sources
    return [os.fspath(source) for source in given]


def build_documents(
    documents: Iterable[Document],
    out: str | os.PathLike[str],
    *,
    settings: BuildSettings | None = None,
    encoder: Encoder | None = None,
    progress: Progress = SILENT,
) -> BuildReport:
    """Build an index of documents made in memory; otherwise as ``build``.

    Args:
        documents: Read once, in order; ``source`` and ``doc_id`` together must be unique.
        out: The index directory: new, empty, or an index.
        settings: Model and chunking; the defaults when None.
        encoder: An encoder to use instead of the settings' model.
        progress: Told how far the build is.

    Raises:
        InputError: When nothing could be indexed.
        ModelError: When the model cannot be found or loaded.
        StoreError: When ``out`` cannot be written.
    """

    def steps(_: GenerationWriter) -> Iterator[Step]:
        return (Step(document, document.source) for document in documents)

    return build_steps(steps, 0, [], Path(out), settings or BuildSettings(), encoder, progress)


def build_steps(
    steps: Callable[[GenerationWriter], Iterator[Step]],
    total: int,
    names: Sequence[str],
    out: Path,
    settings: BuildSettings,
    encoder: Encoder | None,
    progress: Progress,
    *,
    ahead: Callable[[Encoder, Embedded, bool], int] | None = None,
    strict: bool = False,
    root: str = "",
    ready: ReadyVectors | None = None,
    check: Check | None = None,
) -> BuildReport:
    """Build an index of what is read: what all kinds of builds have in common.

    Args:
        steps: Gives what is read, for the writer of the generation.
        total: Bytes of input; 0 when it is not known.
        names: What the index is made of; nothing for documents that are no files.
        out: The index directory.
        settings: Of the build.
        encoder: An encoder to use instead of the settings' model.
        progress: Told how far the build is.
        ahead: Embeds texts before.
        strict: Keep the index as it was when anything could not be read.
        root: The folder that relative sources are relative to; "" for the current one.
        ready: Vectors that come with the passages.
        check: Looks at what was read before the index is replaced.

    Raises:
        TonguesError: As ``build``.
    """
    root = root or str(Path.cwd())
    began = time.monotonic()
    parallel_langs(own_parallel(settings, root))
    if settings.store:
        from index.milvus_index import check_place

        settings = check_place(settings, out)
    with locked(out), contextlib.ExitStack() as stack:
        stack.callback(end_processes)
        # The model is loaded later: an --out that cannot be used should not cost a minute.
        encoder = encoder or open_encoder(settings.model, progress)
        embedded = Embedded(out / EMBEDDED, encoder.fingerprint)
        if embedded.n_kept:
            progress.note(f"going on after {embedded.n_kept:,} passages that were embedded before")
        known = _known_vectors(out, encoder, progress)
        if known:
            stack.enter_context(known)
        n_ahead = 0
        if ahead:
            n_ahead = ahead(encoder, embedded, known is not None)
            embedded = Embedded(out / EMBEDDED, encoder.fingerprint)
        if known and names and known.manifest.format_version > 2 and (source := known.documents.source_without_file()):
            progress.note(
                f"{out}: held documents made in memory ({source!r} and maybe others), which it will not any more"
            )
        if known:
            stack.enter_context(contextlib.closing(embedded.add_index(known, settings.vectors)))
        with write_generation(out, encoder.fingerprint, settings) as writer:
            pipeline = Pipeline(writer, settings, encoder, embedded, progress, ready)
            progress.start("indexing", total, "B")
            try:
                rejected = pipeline.run(steps(writer))
            finally:
                progress.end()
            check_not_empty(writer.n_passages, rejected)
            check_strict(out, rejected, strict=strict)
            if check:
                check(writer.documents, rejected)
            manifest = finish(writer, settings, names, root, encoder, progress)
        clear(out / EMBEDDED, encoder.fingerprint)
        if manifest.store:
            from index.milvus_index import follow

            follow(out, manifest)
    counts = manifest.counts
    return BuildReport(
        out=out,
        documents=counts.documents,
        passages=counts.passages,
        duplicates=counts.duplicates,
        languages=counts.languages,
        left_out=counts.left_out,
        rejected=tuple(rejected),
        embedded=n_ahead + pipeline.n_embedded,
        seconds=time.monotonic() - began,
    )


def _known_vectors(out: Path, encoder: Encoder, progress: Progress) -> Store | None:
    """Open the index that is to be replaced, if its vectors can go on into the new one."""
    try:
        store = Store.open(out)
    except NoIndexError:
        return None
    except StoreError as error:
        progress.note(f"nothing is taken over from the index there is: {error}")
        return None
    if vector_fingerprint(store.manifest.encoder) != vector_fingerprint(encoder.fingerprint):
        store.close()
        return None
    if not is_whole(store):
        progress.note(f"{out}: its vectors are damaged, so nothing is taken over from it.")
        store.close()
        return None
    return store


def finish(
    writer: GenerationWriter,
    settings: BuildSettings,
    sources: Sequence[str],
    root: str,
    encoder: Encoder | None,
    progress: Progress,
) -> Manifest:
    """Finish a generation, its languages balanced by parallel text where there is some.

    Args:
        writer: Of the generation.
        settings: Of the build.
        sources: What the index is made of.
        root: The folder that relative sources are relative to.
        encoder: Makes the vectors of the parallel text; None when nothing was embedded.
        progress: Told what of the parallel text cannot be used.
    """
    own = own_parallel(settings, root)
    means: Means = {}
    if encoder and writer.has_new_languages:
        if "parallel text" in fitted_from(writer.languages, parallel_langs(own)).values():
            means = parallel_means(encoder, progress, own)
        if own and (notice := unheard(own, writer.languages)):
            progress.note(notice)
    # A path may hold bytes that are no text.
    shown = [name.encode("utf-8", "backslashreplace").decode() for name in (root, *sources)]
    return writer.finish(shown[1:], shown[0], means, progress)


def own_parallel(settings: BuildSettings, root: str) -> Path | None:
    """Return the user's own parallel text, None where there is none."""
    return Path(root, settings.parallel) if settings.parallel else None


def settings_of(manifest: Manifest) -> BuildSettings:
    """Return the settings that an index was built with.

    Raises:
        SettingsError: When they are none.
    """
    return from_mapping(BuildSettings, manifest.settings, "the index's manifest")


def check_not_empty(n_passages: int, rejected: Sequence[Rejected]) -> None:
    """Check that an index holds something.

    Raises:
        InputError: When it does not, with the first thing that could not be read.
    """
    if n_passages:
        return
    why = f" First problem: {rejected[0]}" if rejected else " Name files with text, or folders that hold some."
    raise InputError(f"nothing could be indexed: no document with text was found.{why}")


def check_strict(out: Path, rejected: Sequence[Rejected], *, strict: bool) -> None:
    """Check that all could be read that had to be.

    Raises:
        StrictError: When it could not.
    """
    n_failed = sum(not item.passed_over for item in rejected)
    if strict and n_failed:
        raise StrictError(
            f"{n_failed} files or records could not be read, so {out} was left as it was. "
            "Mend them, or run it without strict.",
            rejected,
        )
