"""What is read becomes passages with vectors: chunked, embedded unless it was before, and written, batch by batch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING

from index.background import Background
from index.chunking import Chunker
from index.config import BuildSettings
from index.documents import ChunkedDocument, KnownFile
from index.embedded import Embedded
from index.encoder import Encoder
from index.progress import Progress, Silent
from index.ready import ReadyVectors
from index.records import Document, Passage, Rejected
from index.vectors import check_vectors, to_int8
from index.writer import GenerationWriter, writing

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from index.records import Vectors

BATCH_PASSAGES = 512
"""The most passages embedded and written together; documents are gathered until they hold as many."""
_TELL_SECONDS = 0.2
"""How often progress is told while a batch is embedded."""


@dataclass(frozen=True, slots=True)
class Step:
    """Something read: a document, one that is chunked already, what could not be read, or a whole file that was.

    Attributes:
        item: It.
        source: The file it is from; "" for none in particular.
        n_bytes: The bytes of input it took.
    """

    item: Document | ChunkedDocument | Rejected | KnownFile
    source: str = ""
    n_bytes: int = 0


@dataclass(slots=True)
class Batch:
    """What is embedded and written together."""

    documents: list[ChunkedDocument] = field(default_factory=list)
    rejected: list[tuple[str, Rejected]] = field(default_factory=list)
    files: list[KnownFile] = field(default_factory=list)
    n_passages: int = 0
    n_bytes: int = 0


class Pipeline:
    """Chunks, embeds and writes."""

    def __init__(
        self,
        writer: GenerationWriter,
        settings: BuildSettings,
        encoder: Encoder,
        embedded: Embedded,
        progress: Progress,
        ready: ReadyVectors | None = None,
    ) -> None:
        """Prepare.

        Args:
            writer: Of the generation.
            settings: Of the build.
            encoder: Makes the vectors.
            embedded: What has been embedded before; batches are kept there as soon as they are embedded.
            progress: Told how far it is, in bytes of input.
            ready: Vectors of passages that come with them.
        """
        self._ready = ready
        self._writer = writer
        self._settings = settings
        self._encoder = encoder
        self._embedded = embedded
        self._progress = progress
        self._known = writer.before.open_passages(to_search=False) if writer.before else None
        self.n_embedded = 0
        """Passages embedded; the others were known."""

    def run(self, steps: Iterable[Step]) -> list[Rejected]:
        """Write everything read; returns what was rejected, in order."""
        rejected: list[Rejected] = []
        batches = _Ahead(chunked_batches(steps, chunker_for(self._settings, self._encoder)))
        n_documents = 0
        for batch in batches:
            share = _Share(self._progress, batch)
            refused = self._write(batch, share, batches)
            n_documents += len(batch.documents) - len(refused)
            found = batch.rejected + [(item.where, item) for item in refused]
            with writing(self._writer.directory):
                for source, item in found:
                    self._writer.documents.reject(source, item)
                for file in batch.files:
                    self._writer.documents.add_file(file)
            rejected += [item for _, item in found]
            self._progress.note(f"{n_documents:,} documents, {self._writer.n_passages:,} passages")
        return rejected

    def _write(self, batch: Batch, share: _Share, batches: _Ahead) -> list[Rejected]:
        """Embed and write a batch, a large document in slices; returns what was refused."""

        def encode(passages: Sequence[Passage]) -> tuple[Vectors, NDArray[np.int8]]:
            return self._encode(passages, share, batches)

        refused = self._writer.append(batch.documents, encode, BATCH_PASSAGES)
        share.tell(all_done=True)  # what repeats is not embedded
        return refused

    def _encode(self, passages: Sequence[Passage], share: _Share, batches: _Ahead) -> tuple[Vectors, NDArray[np.int8]]:
        """Return the vectors of passages, and of all their sentences; those not known are embedded and kept."""
        import numpy as np

        texts, all_sentences = texts_of(passages)
        once = {text: i for i, text in enumerate(dict.fromkeys(all_sentences))}  # passages overlap by a sentence
        sentences = list(once)
        loosened = self._writer.documents.take_loosened()
        if self._known and loosened:  # what a changed document held, it may hold again
            before = self._writer.known_texts(loosened)
            self._embedded.add(self._known, [(list(before), list(before.values()))])
        known, vectors = self._embedded.passages(texts)
        if self._ready:
            self._ready.fill(texts, known, vectors)
        known_sentences, stored = self._embedded.sentences(sentences)
        new = [texts[i] for i in np.flatnonzero(~known)]
        new_sentences = [sentences[i] for i in np.flatnonzero(~known_sentences)]
        if new or new_sentences:
            made = self._embed(new + new_sentences, share, batches)
            vectors[~known] = made[: len(new)]
            stored[~known_sentences] = to_int8(made[len(new) :])
            with writing(self._writer.directory):
                self._embedded.keep(new, made[: len(new)], new_sentences, stored[~known_sentences])
            self.n_embedded += len(new)
        return vectors, stored[[once[text] for text in all_sentences]]

    def _embed(self, texts: Sequence[str], share: _Share, batches: _Ahead) -> Vectors:
        """Return the vectors of texts; meanwhile the next batch is read and chunked."""
        embedding = Background(lambda: self._encoder.encode_passages(texts, share))
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
        return check_vectors(vectors, self._encoder.fingerprint.dim)  # before any of them is kept


class _Ahead:
    """Batches in order; the next one can be made before it is asked for."""

    def __init__(self, batches: Iterator[Batch]) -> None:
        self._batches = batches
        self._made: list[Batch] = []

    def make_next(self) -> None:
        if not self._made:
            self._made = list(islice(self._batches, 1))

    def __iter__(self) -> Iterator[Batch]:
        return self

    def __next__(self) -> Batch:
        self.make_next()
        if not self._made:
            raise StopIteration
        return self._made.pop()


class _Share(Silent):
    """Counts the texts of a batch that are embedded, and tells of them as their share of the bytes read."""

    def __init__(self, progress: Progress, batch: Batch) -> None:
        self._progress = progress
        self._n_bytes = batch.n_bytes
        self._n_texts = sum(1 + len(passage.sentences) for item in batch.documents for passage in item.passages)
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


def chunker_for(settings: BuildSettings, encoder: Encoder) -> Chunker:
    """Return what cuts the documents of a build for its model."""
    return Chunker(settings.chunking, encoder.count_tokens, encoder.passage_tokens, sentences=settings.sentences)


def texts_of(passages: Iterable[Passage]) -> tuple[list[str], list[str]]:
    """Return what is embedded of passages: a text each, and the texts of all their sentences, in order."""
    texts: list[str] = []
    sentences: list[str] = []
    for passage in passages:
        texts.append(passage.model_text)
        sentences += [passage.text[start:end] for start, end in passage.sentences]
    return texts, sentences


def chunked_batches(steps: Iterable[Step], chunker: Chunker) -> Iterator[Batch]:
    """Gather chunked documents, and what was rejected meanwhile, until they hold enough passages to embed."""
    batch = Batch()
    for step in steps:
        batch.n_bytes += step.n_bytes
        if isinstance(step.item, Rejected):
            batch.rejected.append((step.source, step.item))
        elif isinstance(step.item, KnownFile):
            batch.files.append(step.item)
        elif isinstance(step.item, ChunkedDocument):
            batch.documents.append(step.item)
            batch.n_passages += len(step.item.passages)
        else:
            passages, left_out = chunker.chunk(step.item)
            if passages:
                batch.documents.append(ChunkedDocument(step.item, passages, left_out))
                batch.n_passages += len(passages)
            else:
                reason = f"document {step.item.doc_id!r} has no text left to index"
                batch.rejected.append((step.item.source, Rejected(step.item.source, reason)))
        if batch.n_passages >= BATCH_PASSAGES:
            yield batch
            batch = Batch()
    yield batch
