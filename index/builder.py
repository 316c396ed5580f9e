"""Builds an index: read, chunk, embed, write; one pass, in batches, switched to at the end."""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from index.background import Background
from index.balance import fitted_from
from index.chunking import Chunker
from index.config import BuildSettings
from index.encoder import Encoder, open_encoder
from index.errors import InputError, StrictError
from index.generations import locked, write_generation
from index.parallel import parallel_langs, parallel_means, unheard
from index.progress import SILENT, Progress, Silent
from index.readers.registry import read_file
from index.readers.sources import find_files
from index.records import Document, Passage, Rejected
from index.writer import ChunkedDocument, GenerationWriter

if TYPE_CHECKING:
    from index.records import Vectors

BATCH_PASSAGES = 512
"""The most passages embedded and written together; documents are gathered until they hold as many."""
_TELL_SECONDS = 0.2
"""How often progress is told while a batch is embedded."""


_Batch: TypeAlias = tuple[list[ChunkedDocument], list[Rejected], int]
"""Chunked documents, what was rejected meanwhile, and the bytes all of it was read from."""


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
        seconds: Wall-clock time, the loading of the model included.
    """

    out: Path
    documents: int
    passages: int
    duplicates: int
    languages: Mapping[str, int]
    left_out: Mapping[str, int]
    rejected: tuple[Rejected, ...]
    seconds: float


@dataclass(frozen=True, slots=True)
class _Step:
    """Something read, and the bytes of input it took."""

    item: Document | Rejected
    n_bytes: int = 0


def build(
    sources: Sequence[str | os.PathLike[str]] | str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    settings: BuildSettings | None = None,
    encoder: Encoder | None = None,
    strict: bool = False,
    progress: Progress = SILENT,
) -> BuildReport:
    """Build an index of files and folders, replacing the one in ``out`` when it is complete.

    Args:
        sources: Files, folders (walked) and glob patterns; one or many.
        out: The index directory: new, empty, or an index.
        settings: Model, chunking, field names and encoding; the defaults when None.
        encoder: An encoder to use instead of the settings' model.
        strict: Keep the index as it was when anything could not be read, files of a walked folder in formats without a
            reader not counted.
        progress: Told how far the build is.

    Raises:
        InputError: When a source is not there, or nothing could be indexed; ``StrictError`` when ``strict`` says so.
        ModelError: When the model cannot be found or loaded.
        StoreError: When ``out`` cannot be written.
    """
    settings = settings or BuildSettings()
    given = [sources] if isinstance(sources, str | os.PathLike) else sources
    names = [os.fspath(source) for source in given]
    if not names:
        raise InputError("no source was named; name files, folders or patterns to index.")
    files = list(find_files(names, outside=Path(out)))
    total = sum(file.size for file in files if not isinstance(file, Rejected))
    steps = (
        step
        for file in files
        for step in (
            [_Step(file)]
            if isinstance(file, Rejected)
            else _with_bytes(read_file(file, fields=settings.fields, encoding=settings.encoding), file.size)
        )
    )
    return _build(steps, total, names, Path(out), settings, encoder, progress, strict=strict)


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
    steps = (_Step(document) for document in documents)
    return _build(steps, 0, [], Path(out), settings or BuildSettings(), encoder, progress)


def _with_bytes(items: Iterable[Document | Rejected], size: int) -> Iterator[_Step]:
    """Pair what comes out of a file with the bytes it took; what is left over comes with the last."""
    left = size
    before: _Step | None = None
    for item in items:
        if before:
            yield before
        n_bytes = min(left, len(item.text.encode("utf-8", "replace")) if isinstance(item, Document) else 0)
        left -= n_bytes
        before = _Step(item, n_bytes)
    if before:
        yield _Step(before.item, before.n_bytes + left)


def _build(
    steps: Iterable[_Step],
    total: int,
    names: Sequence[str],
    out: Path,
    settings: BuildSettings,
    encoder: Encoder | None,
    progress: Progress,
    *,
    strict: bool = False,
) -> BuildReport:
    began = time.monotonic()
    own = Path(settings.parallel) if settings.parallel else None
    parallel = parallel_langs(own)
    with locked(out):  # before the model is loaded: an --out that cannot be used should not cost a minute
        encoder = encoder or open_encoder(settings.model, progress)
        with write_generation(out, encoder.fingerprint) as writer:
            progress.start("indexing", total, "B")
            try:
                rejected = _index(steps, writer, settings, encoder, progress)
            finally:
                progress.end()
            _check_not_empty(writer, rejected)
            n_failed = sum(not item.passed_over for item in rejected)
            if strict and n_failed:
                raise StrictError(
                    f"{n_failed} files or records could not be read, so {out} was left as it was. "
                    "Mend them, or build without strict.",
                    rejected,
                )
            # A path may hold bytes that are no text.
            shown = [name.encode("utf-8", "backslashreplace").decode() for name in names]
            apart = "parallel text" in fitted_from(writer.languages, parallel).values()
            means = parallel_means(encoder, progress, own) if apart else {}
            if own and (notice := unheard(own, writer.languages)):
                progress.note(notice)
            manifest = writer.finish(dataclasses.asdict(settings), shown, means)
    counts = manifest.counts
    return BuildReport(
        out=out,
        documents=counts.documents,
        passages=counts.passages,
        duplicates=counts.duplicates,
        languages=counts.languages,
        left_out=counts.left_out,
        rejected=tuple(rejected),
        seconds=time.monotonic() - began,
    )


def _index(
    steps: Iterable[_Step], writer: GenerationWriter, settings: BuildSettings, encoder: Encoder, progress: Progress
) -> list[Rejected]:
    """Chunk, embed and write everything read; returns what was rejected, in order."""
    chunker = Chunker(settings.chunking, encoder.count_tokens, encoder.passage_tokens, sentences=settings.sentences)
    rejected: list[Rejected] = []
    batches = _Ahead(_batches(steps, chunker))
    for batch, refused, n_bytes in batches:
        refused += _append(writer, batch, encoder, _Share(progress, n_bytes, batch), batches)
        for item in refused:
            writer.reject(item)
        rejected += refused
        progress.note(f"{writer.n_documents:,} documents, {writer.n_passages:,} passages")
    return rejected


def _append(
    writer: GenerationWriter, batch: Sequence[ChunkedDocument], encoder: Encoder, share: _Share, batches: _Ahead
) -> list[Rejected]:
    """Embed and write a batch, a large document in slices; returns what was refused."""

    def encode(passages: Sequence[Passage]) -> tuple[Vectors, Vectors]:
        sentences = [p.text[start:end] for p in passages for start, end in p.sentences]
        once = {text: i for i, text in enumerate(dict.fromkeys(sentences))}  # passages overlap by a sentence
        texts = [*(p.model_text for p in passages), *once]
        embedding = Background(lambda: encoder.encode_passages(texts, share))
        try:
            # Read and chunked here, in the caller's own thread: what gives the documents may be bound to it.
            batches.make_next()
            while not embedding.wait(_TELL_SECONDS):
                share.tell()
        except BaseException:
            share.is_stopped = True
            embedding.wait()  # a library that computes while Python ends brings the program down
            raise
        vectors = embedding.result()
        share.tell()
        if len(vectors) != len(texts):
            raise ValueError(f"{len(vectors)} vectors came back for {len(texts)} texts")
        n = len(passages)
        return vectors[:n], vectors[n:][[once[text] for text in sentences]]

    refused = writer.append(batch, encode, BATCH_PASSAGES)
    share.tell(all_done=True)  # what repeats is not embedded
    return refused


class _Ahead:
    """Batches in order; the next one can be made before it is asked for."""

    def __init__(self, batches: Iterator[_Batch]) -> None:
        self._batches = batches
        self._made: list[_Batch] = []

    def make_next(self) -> None:
        if not self._made:
            self._made = list(islice(self._batches, 1))

    def __iter__(self) -> Iterator[_Batch]:
        return self

    def __next__(self) -> _Batch:
        self.make_next()
        if not self._made:
            raise StopIteration
        return self._made.pop()


class _Share(Silent):
    """Counts the texts of a batch that are embedded, and tells of them as their share of the bytes read."""

    def __init__(self, progress: Progress, n_bytes: int, batch: Sequence[ChunkedDocument]) -> None:
        self._progress = progress
        self._n_bytes = n_bytes
        self._n_texts = sum(1 + len(passage.sentences) for item in batch for passage in item.passages)
        self._n_done = 0
        self._told = 0
        self.is_stopped = False

    def advance(self, n: int) -> None:
        """Count ``n`` more texts; called from the thread that embeds, which ends here when it is stopped."""
        if self.is_stopped:
            raise InterruptedError("nobody waits for these vectors any more")
        self._n_done += n

    def tell(self, *, all_done: bool = False) -> None:
        """Tell of what was counted since the last time, or of all there is."""
        n_bytes = (
            self._n_bytes if all_done else self._n_bytes * min(self._n_done, self._n_texts) // max(1, self._n_texts)
        )
        self._progress.advance(n_bytes - self._told)
        self._told = n_bytes


def _batches(steps: Iterable[_Step], chunker: Chunker) -> Iterator[_Batch]:
    """Gather chunked documents, and what was rejected meanwhile, until they hold enough passages to embed."""
    batch: list[ChunkedDocument] = []
    rejected: list[Rejected] = []
    n_passages = n_bytes = 0
    for step in steps:
        n_bytes += step.n_bytes
        if isinstance(step.item, Rejected):
            rejected.append(step.item)
        else:
            passages, left_out = chunker.chunk(step.item)
            if passages:
                batch.append(ChunkedDocument(step.item, passages, left_out))
                n_passages += len(passages)
            else:
                reason = f"document {step.item.doc_id!r} has no text left to index"
                rejected.append(Rejected(step.item.source, reason))
        if n_passages >= BATCH_PASSAGES:
            yield batch, rejected, n_bytes
            batch, rejected = [], []
            n_passages = n_bytes = 0
    yield batch, rejected, n_bytes


def _check_not_empty(writer: GenerationWriter, rejected: Sequence[Rejected]) -> None:
    if writer.n_passages:
        return
    why = f" First problem: {rejected[0]}" if rejected else " Name files with text, or folders that hold some."
    raise InputError(f"nothing could be indexed: no document with text was found.{why}")
