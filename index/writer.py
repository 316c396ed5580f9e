"""Writes the files of one generation of an index."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from index.balance import STRENGTH, fitted_from
from index.database import DatabaseError, create_database
from index.derived import save_array, write_derived
from index.encoder import Fingerprint
from index.errors import InputError, StoreError
from index.files import write_error
from index.lexical import LexicalWriter
from index.manifest import MANIFEST, Counts, Manifest, record_file
from index.records import Document, LeftOut, Passage, Rejected
from index.sentence_vectors import SentenceWriter
from index.store import DATABASE, FILES, LANGS, VECTORS
from index.vectors import VectorFile, open_vectors
from index.version import __version__

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from index.records import Vectors


@dataclass(frozen=True, slots=True)
class ChunkedDocument:
    """A document with its passages and the lines left out of them."""

    document: Document
    passages: Sequence[Passage]
    left_out: Sequence[LeftOut]


class GenerationWriter:
    """Receives documents with their passages; vectors and passages are written by one call, so they cannot drift.

    What it cannot write is a ``StoreError``; what ``encode`` raises comes out as it is.
    """

    def __init__(self, directory: Path, folder: Path, fingerprint: Fingerprint) -> None:
        """Begin in an empty folder of an index directory."""
        self.directory = directory
        self.folder = folder
        self._fingerprint = fingerprint
        with writing(directory):
            self._database = create_database(folder / DATABASE)
            try:
                self._vectors = VectorFile(folder / VECTORS, fingerprint.dim)
                self._sentences = SentenceWriter(folder, fingerprint.dim)
                self._lexical = LexicalWriter(folder)
            except BaseException:
                self._database.close()
                raise
        self._langs: list[str] = []
        self._n_documents = 0
        self._n_rejected = 0
        self._n_duplicates = 0
        self._left_out: Counter[str] = Counter()

    @property
    def n_documents(self) -> int:
        """Documents so far."""
        return self._n_documents

    @property
    def n_passages(self) -> int:
        """Passages so far."""
        return len(self._langs)

    def append(
        self,
        batch: Sequence[ChunkedDocument],
        encode: Callable[[Sequence[Passage]], tuple[Vectors, Vectors]],
        n_at_once: int,
    ) -> list[Rejected]:
        """Write documents with their passages, and the vectors of those passages that are new.

        Args:
            batch: Documents with at least one passage each.
            encode: Returns the vectors of passages, shape (n, dim), and of all their sentences, in order.
            n_at_once: The most passages it is given in one call.

        Returns:
            The documents refused: their id was already used in their source, or they cannot be stored.
        """
        with writing(self.directory):
            self._database.execute("BEGIN")
            refused, new = self._add_documents(batch)
        for at in range(0, len(new), n_at_once):
            passages = new[at : at + n_at_once]
            vectors, of_sentences = encode(passages)
            if len(vectors) != len(passages):
                raise ValueError(f"{len(vectors)} vectors came back for {len(passages)} passages")
            with writing(self.directory):
                self._vectors.append(vectors)
                self._sentences.append(passages, of_sentences)
                self._lexical.append([passage.model_text for passage in passages])
                self._database.executemany(
                    "INSERT INTO passages VALUES (?, ?, ?, ?, ?)",
                    [(row, p.passage_id, p.lang, p.context, p.text) for row, p in enumerate(passages, self.n_passages)],
                )
                self._langs.extend(p.lang for p in passages)
        with writing(self.directory):
            self._database.execute("COMMIT")
        return refused

    def _add_documents(self, batch: Sequence[ChunkedDocument]) -> tuple[list[Rejected], list[Passage]]:
        """Write all but the passages; returns the documents refused and the new passages, in order of their rows."""
        refused: list[Rejected] = []
        new: dict[str, tuple[int, Passage]] = {}
        for item in batch:
            try:
                doc = self._add_document(item.document)
            except InputError as error:
                refused.append(Rejected(item.document.source, str(error)))
                continue
            self._add_left_out(doc, item)
            for passage in item.passages:
                row = self._row_of(passage, new)
                place = (row, doc, passage.start, passage.end)
                self._database.execute("INSERT OR IGNORE INTO occurrences VALUES (?, ?, ?, ?)", place)
        return refused, [passage for _, passage in new.values()]

    def reject(self, rejected: Rejected) -> None:
        """Record something that could not be read."""
        self._n_rejected += 1
        # A file's name may hold bytes that are no text.
        shown = [part.encode("utf-8", "backslashreplace").decode() for part in (rejected.where, rejected.reason)]
        with writing(self.directory):
            self._database.execute("INSERT INTO rejected VALUES (?, ?)", shown)

    def _add_document(self, document: Document) -> int:
        """Write a document; returns its number.

        Raises:
            InputError: When it cannot be stored, or its id was used before.
        """
        metadata = _metadata_json(document)
        try:
            digest = hashlib.sha256(document.text.encode()).hexdigest()
            "".join((document.source, document.doc_id, document.title, document.lang, metadata)).encode()
        except UnicodeEncodeError as error:
            raise InputError(
                f"document {document.doc_id!r} holds half of a surrogate pair, which is no character; mend its text"
            ) from error
        cursor = self._database.execute(
            "INSERT OR IGNORE INTO documents (source, doc_id, title, lang, metadata, sha256, n_chars) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)",
            (document.source, document.doc_id, document.title, document.lang, metadata, digest, len(document.text)),
        )
        if cursor.rowcount == 0 or cursor.lastrowid is None:
            raise InputError(f"the id {document.doc_id!r} is used twice in it; give each document its own")
        self._n_documents += 1
        return cursor.lastrowid

    def _add_left_out(self, doc: int, item: ChunkedDocument) -> None:
        text = item.document.text
        self._left_out.update(span.kind.value for span in item.left_out)
        self._database.executemany(
            "INSERT INTO left_out VALUES (?, ?, ?, ?, ?)",
            [(doc, span.start, span.end, span.kind.value, text[span.start : span.end]) for span in item.left_out],
        )

    def _row_of(self, passage: Passage, new: dict[str, tuple[int, Passage]]) -> int:
        """Return the row of a passage; one not seen before is added to ``new`` with the next free row."""
        key = passage.passage_id
        if key in new:
            self._n_duplicates += 1
            return new[key][0]
        found = self._database.execute("SELECT row FROM passages WHERE passage_id = ?", (key,)).fetchone()
        if found:
            self._n_duplicates += 1
            return int(found[0])
        row = len(self._langs) + len(new)
        new[key] = row, passage
        return row

    @property
    def languages(self) -> list[str]:
        """The languages of the passages so far, in order of their tags."""
        return sorted(set(self._langs))

    def finish(
        self,
        settings: dict[str, Any],
        sources: Sequence[str],
        parallel: Mapping[str, NDArray[np.float64]],
    ) -> Manifest:
        """Write what derives from the passages and vectors, then the manifest.

        Args:
            settings: Of the build, as plain data.
            sources: What the build was given to read, in order.
            parallel: What ``index.parallel.parallel_means`` gives, or nothing.
        """
        with writing(self.directory):
            return self._finish(settings, sources, parallel)

    def _finish(
        self, settings: dict[str, Any], sources: Sequence[str], parallel: Mapping[str, NDArray[np.float64]]
    ) -> Manifest:
        import numpy as np

        self._database.execute("PRAGMA optimize")
        self._database.close()
        self._vectors.close()
        self._sentences.close()
        counted = Counter(self._langs)
        languages = self.languages
        numbers = {lang: i for i, lang in enumerate(languages)}
        codes = np.array([numbers[lang] for lang in self._langs], np.uint16)
        save_array(self.folder / LANGS, codes)
        self._lexical.finish(codes)
        vectors = open_vectors(self.folder / VECTORS, len(codes), self._fingerprint.dim)
        kind = write_derived(self.folder, vectors, codes, languages, parallel)
        manifest = Manifest(
            tool_version=__version__,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            encoder=self._fingerprint,
            settings=settings,
            sources=tuple(sources),
            languages=tuple(languages),
            counts=Counts(
                documents=self._n_documents,
                passages=len(self._langs),
                duplicates=self._n_duplicates,
                left_out=dict(sorted(self._left_out.items())),
                rejected=self._n_rejected,
                languages={lang: counted[lang] for lang in languages},
                sentences=self._sentences.n_sentences,
            ),
            files={name: record_file(self.folder / name) for name in FILES},
            kind=kind.value,
            balance=STRENGTH,
            fitted_from=fitted_from(languages, parallel.keys()),
        )
        (self.folder / MANIFEST).write_text(manifest.to_json(), "utf-8")
        return manifest

    def abandon(self) -> None:
        """Let go of the files without finishing."""
        self._database.close()
        for file in (self._vectors, self._sentences):
            with contextlib.suppress(OSError, ValueError):
                file.close()
        self._lexical.abandon()


@contextlib.contextmanager
def writing(directory: Path) -> Iterator[None]:
    """Turn what cannot be written to an index directory into a message with its remedy."""
    try:
        yield
    except OSError as error:
        raise write_error(error, directory) from error
    except DatabaseError as error:
        full = "full" in str(error)
        remedy = "Free some space, or write somewhere else" if full else "Check the disk"
        raise StoreError(f"{directory}: cannot be written ({error}). {remedy}, and run it again.") from error


def _metadata_json(document: Document) -> str:
    try:
        return json.dumps(dict(document.metadata), ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(f"document {document.doc_id!r} has metadata that JSON cannot hold ({error})") from error
