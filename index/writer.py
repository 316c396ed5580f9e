"""Writes a generation of an index: of documents alone, or of the generation before and what has changed since."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from index.balance import STRENGTH, fitted_from
from index.config import BuildSettings, IndexKind, VectorNumbers
from index.database import DatabaseError
from index.derived import fit, save_array, write_vector_index
from index.documents import ChunkedDocument, DocumentWriter
from index.encoder import Fingerprint
from index.errors import REPAIR, IndexDamagedError, StoreError
from index.files import link, write_error
from index.layout import DATABASE, DEAD, LANGS, MANIFEST, OFFSETS, SEGMENT_FILES, VECTORS, within
from index.manifest import Counts, FileRecord, Manifest, Segment, record_file
from index.merge import first_to_merge, merge
from index.progress import Progress
from index.records import UNKNOWN_LANG, Passage, Rejected
from index.segment_writer import SegmentWriter
from index.segments import SegmentedRows
from index.sentence_files import SENTENCE_FILES
from index.store import Store, expected_files
from index.vectors import open_array, open_vectors
from index.version import __version__

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from index.records import LangCodes, Vectors

Encode = Callable[[Sequence[Passage]], "tuple[Vectors, NDArray[np.int8]]"]
"""Returns the vectors of passages, shape (n, dim), and of all their sentences, in int8."""
Means = Mapping[str, "NDArray[np.float64]"]
"""What ``index.parallel.parallel_means`` gives, or nothing."""

_BLOCK = 1 << 20


class GenerationWriter:
    """Receives documents with their passages; vectors and passages are written by one call, so they cannot drift.

    What it cannot write is a ``StoreError``; what ``encode`` raises comes out as it is.
    """

    def __init__(
        self,
        directory: Path,
        folder: Path,
        fingerprint: Fingerprint,
        settings: BuildSettings,
        before: Store | None = None,
    ) -> None:
        """Begin in an empty folder of an index directory.

        Args:
            directory: Of the index.
            folder: Of the generation.
            fingerprint: Of the encoder that makes the vectors.
            settings: Of the build.
            before: The generation that this one goes on from; it must stay open. None for one of documents alone.

        Raises:
            IndexDamagedError: When the database of the generation before is damaged.
        """
        self.directory = directory
        self.folder = folder
        self._fingerprint = fingerprint
        self._settings = settings
        self.before = before
        self._is_fitted_anew = False
        self._segments: list[Segment] = list(before.manifest.segments) if before else []
        self._dead: list[int] = before.dead_rows().tolist() if before else []
        self._base = before.n_rows if before else 0
        self._langs: list[str] = []
        self._sound: dict[str, bool] = {}
        with writing(directory):
            if before:
                self._take_over(before)
            self.documents = DocumentWriter(folder / DATABASE, self._base)
            try:
                self._segment = SegmentWriter(folder / self._next_name(), fingerprint.dim, settings.vectors)
            except BaseException:
                self.documents.close()
                raise

    def _take_over(self, before: Store) -> None:
        """Have the files of the generation before: segments are shared, the database is copied."""
        # What is made of files has another checksum: their damage would not be seen any more.
        self._check([OFFSETS, DEAD, *(within(one.name, LANGS) for one in before.manifest.segments)])
        for segment in before.manifest.segments:
            (self.folder / segment.name).mkdir()
            for name in SEGMENT_FILES:
                path = within(segment.name, name)
                link(before.folder / path, self.folder / path)
                if not _is_same(before.folder / path, self.folder / path):
                    self._check([path])
        record = copy_file(before.folder / DATABASE, self.folder / DATABASE)
        if record != before.manifest.files[DATABASE]:
            raise IndexDamagedError(f"{before.folder / DATABASE}: damaged. {REPAIR}")

    def _next_name(self) -> str:
        names = [segment.name for segment in self._segments]
        return f"s{1 + max((int(name[1:]) for name in names), default=0):06d}"

    def known_texts(self, rows: Sequence[int]) -> dict[int, tuple[str, str]]:
        """Return the context and the text of passages of the generation before whose vectors can be taken over.

        Passages that are not there are left out, and those of segments whose vectors are damaged.
        """
        if self.before is None:
            return {}
        found = self.before.documents.texts(rows)
        return {row: text for row, text in found.items() if self._is_sound(row)}

    def _is_sound(self, row: int) -> bool:
        """Tell whether the vectors of a row's segment are what was written; asked once of each segment."""
        base = 0
        for segment in self.before.manifest.segments if self.before else ():
            base += segment.rows
            if row < base:
                if segment.name not in self._sound:
                    try:
                        self._check([within(segment.name, name) for name in (VECTORS, *SENTENCE_FILES)])
                        self._sound[segment.name] = True
                    except (IndexDamagedError, OSError):
                        self._sound[segment.name] = False
                return self._sound[segment.name]
        return False

    @property
    def n_passages(self) -> int:
        """New passages so far."""
        return len(self._langs)

    def append(self, batch: Sequence[ChunkedDocument], encode: Encode, n_at_once: int) -> list[Rejected]:
        """Write documents with their passages, and the vectors of those passages that are new.

        Args:
            batch: Documents with at least one passage each.
            encode: Gives the vectors.
            n_at_once: The most passages it is given in one call.

        Returns:
            The documents refused: their id was already used in their source, or they cannot be stored.
        """
        with writing(self.directory):
            self.documents.begin()
            refused, new = self.documents.add_documents(batch)
        for at in range(0, len(new), n_at_once):
            passages = new[at : at + n_at_once]
            vectors, sentences = encode(passages)
            with writing(self.directory):
                self._segment.append(passages, vectors, sentences)
                self.documents.add_passages(self._base + len(self._langs), passages)
                self._langs.extend(passage.lang for passage in passages)
        with writing(self.directory):
            self.documents.commit()
        return refused

    @property
    def languages(self) -> list[str]:
        """The languages by code, as far as they are known: those there were, then new ones in order of their tags."""
        had = list(self.before.manifest.languages) if self.before else []
        return had + sorted(set(self._langs) - set(had))

    @property
    def has_new_languages(self) -> bool:
        """Whether there are languages whose offsets must be fitted."""
        return self.before is None or len(self.languages) > len(self.before.manifest.languages)

    def finish(self, sources: Sequence[str], root: str, parallel: Means, progress: Progress) -> Manifest:
        """Write what derives from the passages and vectors, then the manifest.

        Args:
            sources: What the index is made of, in order.
            root: The folder that relative sources are relative to.
            parallel: What languages are balanced by; not used where no new language is.
            progress: Told how far passages are sent when they are kept elsewhere.
        """
        import numpy as np

        with writing(self.directory):
            codes = self._finish_segment()
            offsets, self._is_fitted_anew = self._fit(codes, parallel)
            save_array(self.folder / OFFSETS, offsets)
            self._merge()
            if not self._settings.store:
                self._write_vector_indexes(offsets, is_anew=self._is_fitted_anew)
            save_array(self.folder / DEAD, np.array(self._dead, np.int64))
            counts = self._count()
            self.documents.optimize()
            self.documents.close()
            collection = self._publish(offsets, progress) if self._settings.store else ""
            manifest = Manifest(
                tool_version=__version__,
                created=datetime.now(UTC).isoformat(timespec="seconds"),
                encoder=self._fingerprint,
                settings=dataclasses.asdict(self._settings),
                sources=tuple(sources),
                languages=tuple(self.languages),
                counts=counts,
                files={},
                segments=tuple(self._segments),
                dead=len(self._dead),
                root=root,
                store=self._settings.store,
                collection=collection,
                balance=STRENGTH,
                fitted_from=self._fitted_from(counts, parallel),
            )
            return write_manifest(self.folder, manifest, self.before)

    def _publish(self, offsets: Vectors, progress: Progress) -> str:
        """Move passages and vectors to where they are kept; returns the name of their collection."""
        from index.milvus_index import publish, strip

        segment, collection = publish(self.folder, self._segments[0], offsets, self._settings, progress)
        strip(self.folder, segment)
        self._segments = [segment]
        return collection

    def _finish_segment(self) -> LangCodes:
        """Finish the new segment; returns the languages of all rows."""
        import numpy as np

        numbers = {lang: i for i, lang in enumerate(self.languages)}
        codes = np.array([numbers[lang] for lang in self._langs], np.uint16)
        beside = [one for one in self._segments if one.terms]
        self._segment.finish(codes, (sum(one.terms for one in beside), sum(one.rows for one in beside)))
        self._dead = sorted({*self._dead, *self.documents.collect()})
        if self._langs or not self._segments:
            name = self._segment.folder.name
            self._segments.append(
                Segment(name, len(self._langs), self._segment.n_sentences, "", VectorNumbers(self._settings.vectors))
            )
        else:
            remove_segment(self._segment.folder)
        return np.concatenate(
            [open_array(self.folder / one.name / LANGS, (one.rows,), "uint16") for one in self._segments]
        )

    def _fit(self, codes: LangCodes, parallel: Means) -> tuple[Vectors, bool]:
        """Return the languages' offsets, and whether those that there were have changed."""
        import numpy as np

        before, languages = self.before, self.languages
        had: Vectors = np.array(before.offsets()) if before else np.empty((0, self._fingerprint.dim), np.float32)
        if not self.has_new_languages:
            return had, False
        self._check([within(one.name, VECTORS) for one in (before.manifest.segments if before else ())])
        offsets = fit(self._rows(), codes, languages, parallel)
        # The first language has no offset before there is a second one.
        if sum(lang != UNKNOWN_LANG for lang in languages[: len(had)]) < 2:
            return offsets, True
        offsets[: len(had)] = had
        return offsets, False

    def _rows(self) -> SegmentedRows:
        dim = self._fingerprint.dim
        return SegmentedRows(
            [open_vectors(self._path(one, VECTORS), one.rows, dim, one.numbers) for one in self._segments], dim
        )

    def _path(self, segment: Segment, name: str) -> Path:
        return self.folder / segment.name / name

    def _merge(self) -> None:
        """Merge segments where there are many, or much of them is dead."""
        import numpy as np

        at = first_to_merge([segment.rows for segment in self._segments], len(self._dead))
        merged = self._segments[at:]
        if not merged or sum(one.rows for one in merged) == sum(row >= self._start(at) for row in self._dead):
            return
        self._check([within(one.name, name) for one in merged for name in SEGMENT_FILES])
        base = self._start(at)
        dead = np.array([row - base for row in self._dead if row >= base], np.int64)
        new = merge(self.folder, merged, dead, self._next_name(), self._fingerprint.dim, self._settings.vectors)
        with self.documents.transaction():
            self.documents.move((base + old, base + row) for row, old in enumerate(new.kept.tolist()))
        for segment in merged:
            remove_segment(self.folder / segment.name)
        self._segments[at:] = [new.segment]
        self._dead = [row for row in self._dead if row < base]

    def _start(self, at: int) -> int:
        """Return the first row of a segment."""
        return sum(segment.rows for segment in self._segments[:at])

    def _check(self, paths: Sequence[str]) -> None:
        """Check that files of the generation before are what was written; new ones are passed over.

        Raises:
            IndexDamagedError: When one is not.
        """
        records = self.before.manifest.files if self.before else {}
        for path in paths:
            if self.before and path in records and record_file(self.before.folder / path) != records[path]:
                raise IndexDamagedError(f"{self.before.folder / path}: damaged. {REPAIR}")

    def _write_vector_indexes(self, offsets: Vectors, *, is_anew: bool) -> None:
        """Write the vector indexes that are missing, or all."""
        for i, segment in enumerate(self._segments):
            if is_anew or not segment.kind:
                # What an update adds is little, whatever the kind of the rest.
                wanted = self._settings.kind if i == 0 else IndexKind.AUTO
                self._segments[i] = write_vector_index(self.folder / segment.name, segment, offsets, wanted)

    def _count(self) -> Counts:
        """Count what the generation holds."""
        import numpy as np

        languages = self.languages
        codes = [open_array(self._path(one, LANGS), (one.rows,), "uint16") for one in self._segments]
        alive = np.delete(np.concatenate(codes), self._dead)
        by_code = np.bincount(alive, minlength=len(languages)).tolist()
        return Counts(
            passages=len(alive),
            sentences=sum(segment.sentences for segment in self._segments),
            languages={lang: n for lang, n in zip(languages, by_code, strict=True) if n},
            **self.documents.counts(),
        )

    def _fitted_from(self, counts: Counts, parallel: Means) -> dict[str, str]:
        had = dict(self.before.manifest.fitted_from) if self.before and not self._is_fitted_anew else {}
        return {**fitted_from(list(counts.languages), parallel.keys()), **had} if self.has_new_languages else had

    def abandon(self) -> None:
        """Let go of the files without finishing."""
        self.documents.close()
        self._segment.abandon()


def write_manifest(folder: Path, manifest: Manifest, before: Store | None) -> Manifest:
    """Measure the files of a generation and write its manifest; returns it.

    Args:
        folder: Of the generation.
        manifest: Without files.
        before: The generation that files are shared with; these are not measured again.
    """
    records: dict[str, FileRecord] = {}
    for path in expected_files(manifest):
        known = before.manifest.files.get(path) if before else None
        shared = known and before and _is_same(folder / path, before.folder / path)
        records[path] = known if known and shared else record_file(folder / path)
    manifest = dataclasses.replace(manifest, files=records)
    (folder / MANIFEST).write_text(manifest.to_json(), "utf-8")
    return manifest


def _is_same(path: Path, other: Path) -> bool:
    try:
        return path.samefile(other)
    except OSError:
        return False


def remove_segment(folder: Path) -> None:
    """Remove a segment from a generation that is being written; where it is shared, it stays."""
    shutil.rmtree(folder)


def copy_file(source: Path, target: Path) -> FileRecord:
    """Copy a file; returns the size and sha256 of what was read."""
    digest, size = hashlib.sha256(), 0
    with source.open("rb") as old, target.open("xb") as new:
        while block := old.read(_BLOCK):
            digest.update(block)
            size += new.write(block)
    return FileRecord(size, digest.hexdigest())


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
