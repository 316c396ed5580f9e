"""Embedding before a build, elsewhere: what there is to embed, as tasks that know nothing of each other.

Each task becomes a batch as ``index.embedded`` keeps it. The build that follows finds the vectors there by their texts,
so a task that is lost, done twice or done in another order changes nothing but the time it takes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from index.changes import steps_of
from index.config import BuildSettings
from index.embedded import PASSAGE, SENTENCE, Embedded, encode_batch, text_key
from index.encoder import Encoder
from index.pipeline import Step, chunked_batches, chunker_for, texts_of
from index.progress import Progress
from index.readers.registry import read_file
from index.readers.source_file import SourceFile
from index.store import Store
from index.vectors import to_int8

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

TASK_TEXTS = 384
"""Texts of a task: some seconds of one core's work, which is what is lost when a worker dies."""


@dataclass(frozen=True, slots=True)
class Corpus:
    """What is to be embedded before a build.

    Attributes:
        files: To read, in order; their paths are absolute.
        out: The index directory, absolute.
        settings: Of the build.
        takes_over: Whether the vectors of the index there is go on into the new one.
    """

    files: Sequence[SourceFile]
    out: Path
    settings: BuildSettings
    takes_over: bool


class Ahead(Protocol):
    """Embeds a corpus before its build, elsewhere."""

    def __call__(self, corpus: Corpus, encoder: Encoder, embedded: Embedded, progress: Progress) -> int:
        """Keep the vectors of what is not known yet in ``embedded``; returns how many passages these are."""


@dataclass(slots=True)
class Task:
    """Texts to embed together, each of them in no other task.

    Attributes:
        passages: Texts to embed as passages.
        sentences: Texts to embed as sentences.
        n_bytes: The bytes of input that were read since the task before.
    """

    passages: list[str] = field(default_factory=list)
    sentences: list[str] = field(default_factory=list)
    n_bytes: int = 0

    def to_bytes(self) -> bytes:
        """Return the texts as bytes; half a surrogate pair goes through unharmed."""
        return json.dumps([self.passages, self.sentences]).encode()

    @classmethod
    def from_bytes(cls, content: bytes) -> Task:
        """Return the task that ``to_bytes`` wrote, its count of input aside."""
        passages, sentences = json.loads(content)
        return cls(passages, sentences)

    def embed(self, encoder: Encoder) -> bytes:
        """Return the vectors of the texts as the content of a batch's file."""
        vectors = encoder.encode_passages(self.passages + self.sentences)
        n = len(self.passages)
        return encode_batch(self.passages, vectors[:n], self.sentences, to_int8(vectors[n:]))


def tasks_of(corpus: Corpus, encoder: Encoder, embedded: Embedded, store: Store | None) -> Iterator[Task]:
    """Yield what of a corpus is not known yet, read and chunked as a build does; it is never in memory as a whole.

    What cannot be read is passed over here: the build that follows tells of it.

    Args:
        corpus: To read.
        encoder: Counts tokens.
        embedded: What is known by batches.
        store: The index whose vectors are taken over; it must stay open.
    """
    if store:
        embedded.add_index(store, corpus.settings.vectors).close()
    chunker = chunker_for(corpus.settings, encoder)
    seen = _Seen(), _Seen()
    task = Task()
    for batch in chunked_batches(_steps(corpus), chunker):
        task.n_bytes += batch.n_bytes
        passages, sentences = texts_of([passage for item in batch.documents for passage in item.passages])
        for kind, seen_before, known, texts in (
            (PASSAGE, seen[0], embedded.has_passages, passages),
            (SENTENCE, seen[1], embedded.has_sentences, sentences),
        ):
            once = list(dict.fromkeys(texts))
            unknown = [text for text, is_known in zip(once, known(once).tolist(), strict=True) if not is_known]
            new = seen_before.add_new(b"".join(text_key(kind, text) for text in unknown)).tolist()
            for text in (text for text, is_new in zip(unknown, new, strict=True) if is_new):
                (task.passages if kind == PASSAGE else task.sentences).append(text)
                if len(task.passages) + len(task.sentences) >= TASK_TEXTS:
                    yield task
                    task = Task()
    if task.passages or task.sentences:
        yield task


def _steps(corpus: Corpus) -> Iterator[Step]:
    settings = corpus.settings
    for file in corpus.files:
        yield from steps_of(file, read_file(file, fields=settings.fields, encoding=settings.encoding))


class _Seen:
    """Keys seen so far, 8 bytes each, in sorted runs that are merged as they grow.

    Half of a key is kept. That two of a hundred million texts share it has a chance of 1 in 3,700; the build would
    embed the second one itself.
    """

    def __init__(self) -> None:
        self._runs: list[NDArray[np.uint64]] = []

    def add_new(self, keys: bytes) -> NDArray[np.bool_]:
        """Add keys that differ from each other; returns which were not there before, shape (n,)."""
        import numpy as np

        asked = np.frombuffer(keys, np.uint64).reshape(-1, 2)[:, 0]
        is_new = np.ones(len(asked), np.bool_)
        for run in self._runs:
            at = np.minimum(np.searchsorted(run, asked), len(run) - 1)
            is_new &= run[at] != asked
        if is_new.any():
            self._runs.append(np.sort(asked[is_new]))
        while len(self._runs) > 1 and 2 * len(self._runs[-1]) >= len(self._runs[-2]):
            last = self._runs.pop()
            self._runs[-1] = np.sort(np.concatenate([self._runs[-1], last]))
        return is_new
