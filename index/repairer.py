"""Mends a damaged index: what derives from what is whole is made anew, in a new generation."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from index.balance import fitted_from
from index.builder import own_parallel, settings_of
from index.config import VectorNumbers
from index.derived import fit, save_array, write_vector_index
from index.encoder import Encoder, OpenEncoder, opened
from index.errors import IndexDamagedError, IndexFormatError, StoreError
from index.files import link, write_text
from index.generations import generations_of, locked, new_generation
from index.layout import CURRENT, DATABASE, DEAD, FAISS, LANGS, OFFSETS, VECTORS, within
from index.lexical import LEXICAL_FILES, LexicalWriter
from index.manifest import Manifest, Segment, check_encoder, read_manifest
from index.parallel import parallel_langs, parallel_means
from index.progress import SILENT, Progress
from index.records import model_text
from index.segments import SegmentedRows
from index.sentence_files import SENTENCE_FILES, SENTENCES, SPANS, STARTS
from index.sentence_vectors import SentenceWriter
from index.store import Store, current_generation, expected_files
from index.vectors import ArrayFile, VectorFile, open_array, open_vectors, to_int8
from index.verifier import check_counts, damaged_files
from index.version import __version__
from index.writer import write_manifest, writing

if TYPE_CHECKING:
    from index.records import LangCodes, Vectors

_AT_ONCE = 512
"""Texts embedded at a time."""


@dataclass(slots=True)
class RepairReport:
    """What was done to an index; nothing when it was whole.

    Attributes:
        mended: What was made anew, and what from.
        lost: What could not be.
    """

    mended: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)


def repair(
    directory: str | os.PathLike[str],
    *,
    encoder: Encoder | OpenEncoder | None = None,
    progress: Progress = SILENT,
) -> RepairReport:
    """Mend an index.

    Args:
        directory: The index directory.
        encoder: The encoder that made it, or what gives it, called only when vectors are damaged; by default the
            index's own model.
        progress: Told how far it is.

    Raises:
        StoreError: When passages are damaged and no older generation is whole, or the index cannot be written.
        ModelError: When vectors are damaged and the model cannot be loaded.
    """
    out = Path(directory)
    report = RepairReport()
    with locked(out, known_index=True):
        folder, manifest = _readable(out, report)
        if manifest.format_version < 3:
            raise IndexFormatError(f"{out}: written in format {manifest.format_version}. Build it again.")
        if manifest.store:
            raise IndexFormatError(f"{out}: keeps its passages in {manifest.store}. Build it again.")
        damaged = set(damaged_files(folder, manifest))
        if DATABASE in damaged:
            folder, manifest, damaged = _older(out, folder, report)
        _switch(out, folder)
        if damaged:
            _Mending(out, folder, manifest, damaged, encoder, progress, report).write()
        with Store.open(out) as store:
            check_counts(store)
    return report


def _readable(out: Path, report: RepairReport) -> tuple[Path, Manifest]:
    """Return the current generation, or the newest one that can be read, and its manifest."""
    try:
        folder = current_generation(out)
        return folder, read_manifest(folder)
    except IndexDamagedError as error:
        why = str(error).partition(". ")[0]
    for _, folder in sorted(generations_of(out).items(), reverse=True):
        with contextlib.suppress(IndexDamagedError):
            manifest = read_manifest(folder)
            report.mended.append(f"{why}: generation {folder.name} of {manifest.created} is read now")
            if folder != max(generations_of(out).items())[1]:
                report.lost.append(_changed_since(manifest))
            return folder, manifest
    raise StoreError(f"{why}, and no generation can be read. Build the index again.")


def _older(out: Path, damaged: Path, report: RepairReport) -> tuple[Path, Manifest, set[str]]:
    """Return the newest generation whose passages are whole, and which of its files are damaged.

    Raises:
        StoreError: When there is none.
    """
    for _, folder in sorted(generations_of(out).items(), reverse=True):
        with contextlib.suppress(IndexDamagedError, IndexFormatError):
            manifest = read_manifest(folder)
            of_older = set(damaged_files(folder, manifest))
            if DATABASE not in of_older:
                report.mended.append(f"{damaged / DATABASE}: gone back to generation {folder.name}")
                report.lost.append(_changed_since(manifest))
                return folder, manifest, of_older
    raise StoreError(
        f"{damaged / DATABASE}: damaged, and no older generation has its passages, so they are lost. Build the index "
        "again."
    )


def _changed_since(manifest: Manifest) -> str:
    return f"what changed after {manifest.created}: run `tongues update` to read it again"


def _switch(out: Path, folder: Path) -> None:
    """Make a generation the current one unless it is."""
    try:
        if current_generation(out) == folder:
            return
    except StoreError:
        pass
    with writing(out):
        write_text(out / CURRENT, folder.name + "\n")


class _Mending:
    """One new generation, of what is whole and what can be made from it."""

    def __init__(
        self,
        out: Path,
        folder: Path,
        manifest: Manifest,
        damaged: set[str],
        encoder: Encoder | OpenEncoder | None,
        progress: Progress,
        report: RepairReport,
    ) -> None:
        self._out = out
        self._manifest = manifest
        self._damaged = damaged
        self._given = encoder
        self._used: Encoder | None = None
        self._progress = progress
        self._report = report
        self._before = Store(out, folder, manifest, contextlib.ExitStack())  # whose sizes may be wrong
        self._dim = manifest.encoder.dim

    def _encoder(self) -> Encoder:
        if self._used is None:
            self._used = opened(self._given, self._manifest.encoder, self._progress)
            check_encoder(self._manifest, self._used.fingerprint, str(self._out))
        return self._used

    def write(self) -> None:
        """Write the generation and switch to it."""
        with self._before, new_generation(self._out) as folder, writing(self._out):
            for name in expected_files(self._manifest):
                (folder / name).parent.mkdir(exist_ok=True)
                if name not in self._damaged:
                    # The passages can be made of nothing else: two generations do not share their one copy.
                    (shutil.copyfile if name == DATABASE else link)(self._before.folder / name, folder / name)
            if DEAD in self._damaged:
                self._write_dead(folder)
            segments, base = [], 0
            for segment in self._manifest.segments:
                segments.append(self._mend_segment(folder, segment, base))
                base += segment.rows
            if OFFSETS in self._damaged:
                self._write_offsets(folder)
            segments = [self._mend_index(folder, segment) for segment in segments]
            manifest = dataclasses.replace(
                self._manifest,
                tool_version=__version__,
                created=datetime.now(UTC).isoformat(timespec="seconds"),
                segments=tuple(segments),
                counts=dataclasses.replace(
                    self._manifest.counts, sentences=sum(segment.sentences for segment in segments)
                ),
            )
            write_manifest(folder, manifest, self._before)

    def _write_dead(self, folder: Path) -> None:
        import numpy as np

        n_rows = self._manifest.n_rows
        alive = [row for row, _ in self._before.documents.iter_langs(0, n_rows)]
        dead = np.setdiff1d(np.arange(n_rows), np.array(alive, np.int64))
        if len(dead) != self._manifest.dead:
            raise IndexDamagedError(f"{self._before.folder / DATABASE}: passages are missing. Build the index again.")
        save_array(folder / DEAD, dead)
        self._report.mended.append(f"{DEAD}, from {DATABASE}")

    def _mend_segment(self, folder: Path, segment: Segment, base: int) -> Segment:
        """Make the damaged files of a segment anew, but for its vector index."""

        def is_damaged(*names: str) -> bool:
            return any(within(segment.name, name) in self._damaged for name in names)

        at = folder / segment.name
        texts = _Texts(self._before, base, segment.rows)
        if is_damaged(VECTORS):
            with contextlib.closing(VectorFile(at / VECTORS, self._dim, VectorNumbers(segment.numbers))) as file:
                self._embed(texts.of_passages(), segment.rows, file.append)
            self._report.mended.append(f"{within(segment.name, VECTORS)}, embedded again")
        if is_damaged(LANGS):
            save_array(at / LANGS, self._codes(base, segment.rows))
            self._report.mended.append(f"{within(segment.name, LANGS)}, from {DATABASE}")
        if is_damaged(SPANS, STARTS):
            segment = self._without_sentences(at, segment)
        elif is_damaged(SENTENCES):
            spans = open_array(at / SPANS, (segment.sentences, 2), "int32")
            starts = open_array(at / STARTS, (segment.rows + 1,), "int64")
            with contextlib.closing(ArrayFile(at / SENTENCES, "int8", (self._dim,))) as array_file:
                self._embed(
                    texts.of_sentences(spans.tolist(), starts.tolist()),
                    segment.sentences,
                    lambda rows: array_file.append(to_int8(rows)),
                )
            self._report.mended.append(f"{within(segment.name, SENTENCES)}, embedded again")
        if is_damaged(*LEXICAL_FILES):
            self._write_words(at, segment, texts)
        return segment

    def _without_sentences(self, at: Path, segment: Segment) -> Segment:
        for name in SENTENCE_FILES:
            (at / name).unlink(missing_ok=True)
        with contextlib.closing(SentenceWriter(at, self._dim)) as file:
            import numpy as np

            file.append_found([0] * segment.rows, np.empty((0, 2), np.int32), np.empty((0, self._dim), np.int8))
        self._report.mended.append(f"{within(segment.name, SENTENCES)}, left empty")
        self._report.lost.append(
            f"the sentences of {segment.rows:,} passages, which are ranked as a whole now; build the index again to "
            "have them back (other vectors are taken over)"
        )
        return dataclasses.replace(segment, sentences=0)

    def _write_words(self, at: Path, segment: Segment, texts: _Texts) -> None:
        for name in LEXICAL_FILES:
            (at / name).unlink(missing_ok=True)
        writer = LexicalWriter(at)
        try:
            for part in texts.of_passages():
                writer.append(part)
            writer.finish(open_array(at / LANGS, (segment.rows,), "uint16"))
        finally:
            writer.abandon()
        self._report.mended.append(f"{within(segment.name, 'lexical-*.npy')}, from {DATABASE}")

    def _embed(self, parts: Iterator[list[str]], total: int, write: Callable[[Vectors], None]) -> None:
        """Embed texts, part by part; "" stands for what is dead and gets no vector."""
        import numpy as np

        self._progress.start("embedding again", total, "text")
        try:
            for part in parts:
                vectors = np.zeros((len(part), self._dim), np.float32)
                there = [i for i, text in enumerate(part) if text]
                vectors[there] = self._encoder().encode_passages([part[i] for i in there], self._progress)
                write(vectors)
        finally:
            self._progress.end()

    def _codes(self, base: int, n_rows: int) -> LangCodes:
        import numpy as np

        numbers = {lang: code for code, lang in enumerate(self._manifest.languages)}
        codes = np.zeros(n_rows, np.uint16)
        for row, lang in self._before.documents.iter_langs(base, n_rows):
            if lang not in numbers:
                raise IndexDamagedError(f"{self._before.folder / DATABASE}: unknown language {lang!r}. Build it again.")
            codes[row - base] = numbers[lang]
        return codes

    def _write_offsets(self, folder: Path) -> None:
        import numpy as np

        segments = self._manifest.segments
        vectors = [open_vectors(folder / one.name / VECTORS, one.rows, self._dim, one.numbers) for one in segments]
        codes = [open_array(folder / one.name / LANGS, (one.rows,), "uint16") for one in segments]
        own = own_parallel(settings_of(self._manifest), self._manifest.root)
        fitted = fitted_from(list(self._manifest.counts.languages), parallel_langs(own))
        apart = "parallel text" in fitted.values()
        means = parallel_means(self._encoder(), self._progress, own) if apart else {}
        languages = self._manifest.languages
        save_array(folder / OFFSETS, fit(SegmentedRows(vectors, self._dim), np.concatenate(codes), languages, means))
        self._report.mended.append(f"{OFFSETS}, fitted anew")

    def _mend_index(self, folder: Path, segment: Segment) -> Segment:
        """Make the vector index of a segment anew if it, or what it is made of, was damaged."""
        import numpy as np

        names = [within(segment.name, name) for name in (FAISS, VECTORS, LANGS)]
        if not self._damaged.intersection((*names, OFFSETS)):
            return segment
        offsets = np.array(open_array(folder / OFFSETS, (len(self._manifest.languages), self._dim), "float32"))
        self._report.mended.append(f"{names[0]}, from vectors")
        return write_vector_index(folder / segment.name, segment, offsets, segment.kind)


@dataclass(frozen=True, slots=True)
class _Texts:
    """The texts of a segment's passages; "" for one that stands in no document any more."""

    store: Store
    base: int
    n_rows: int

    def of_passages(self) -> Iterator[list[str]]:
        """Yield what was read for each passage, some at a time."""
        for part in self._parts():
            yield [model_text(context, text) if text else "" for context, text in part]

    def of_sentences(self, spans: list[list[int]], starts: list[int]) -> Iterator[list[str]]:
        """Yield the sentences of each passage, some at a time."""
        row = 0
        for part in self._parts():
            texts = []
            for _, text in part:
                texts += [text[begin:end] for begin, end in spans[starts[row] : starts[row + 1]]]
                row += 1
            yield texts

    def _parts(self) -> Iterator[list[tuple[str, str]]]:
        for at in range(0, self.n_rows, _AT_ONCE):
            n = min(_AT_ONCE, self.n_rows - at)
            part = [("", "")] * n
            first = self.base + at
            for rows, texts in self.store.documents.iter_texts(first, n):
                for row, text in zip(rows, texts, strict=True):
                    part[row - first] = text
            yield part
