"""Makes an index of passages that come with their vectors: nothing is chunked, and no passage embedded again."""

from __future__ import annotations

import dataclasses
import json
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from index import pipeline
from index.builder import BuildReport, build_steps
from index.chunking import sentence_spans
from index.claimed import check_claim, encoder_for
from index.config import BuildSettings, ChunkSettings
from index.documents import ChunkedDocument, metadata_json
from index.encoder import Encoder
from index.errors import InputError
from index.generations import check_writable
from index.language import detect_language
from index.locators import told_locator
from index.pipeline import Step
from index.progress import SILENT, Progress
from index.readers.fielded import language_tag
from index.ready import EXPORT_FORMAT, Block, ReadyFields, ReadyRows, ReadyVectors, open_rows
from index.records import UNKNOWN_LANG, Document, Mark, Passage, Rejected

if TYPE_CHECKING:
    from index.records import Vectors

_UNIT = 1e-5
"""How far from 1 the length of a unit vector in float32 may be by rounding: such rows stay as they are."""
_NOT_UNIT = 1e-2
"""How far it must be from 1 to be told: float16 is off by less."""
_OWN = ("passage_id", "start", "end", "locator", "marks", "n_places", "also_in", "sentences")
"""Columns of our own exports that are no metadata."""


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What an import did.

    Attributes:
        build: What became of the passages: counts, languages, what was rejected.
        normalised: Rows whose vectors were not of unit length.
        compared: Rows embedded to check whose vectors they are.
        cosine: The median cosine of their own vectors with those given.
    """

    build: BuildReport
    normalised: int
    compared: int
    cosine: float


def import_passages(
    source: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    model: str | None = None,
    fields: ReadyFields | None = None,
    vectors: str | os.PathLike[str] | None = None,
    settings: BuildSettings | None = None,
    encoder: Encoder | None = None,
    strict: bool = False,
    progress: Progress = SILENT,
) -> ImportReport:
    """Make an index of passages with ready vectors, replacing the one in ``out`` when it is complete.

    Args:
        source: A Parquet file, a folder of some, a JSON Lines file, or a folder that ``export`` wrote.
        out: The index directory: new, empty, or an index.
        model: What made the vectors, and will make those of questions: a name, a hub id or a folder. May be left out
            for what ``export`` wrote.
        fields: What the columns are called; further ones become metadata.
        vectors: A NumPy file with the vectors of a JSON Lines file: row i is that of record i.
        settings: How the index is kept; the model's prompts, backend and threads. Nothing is chunked by them, but an
            update will.
        encoder: An encoder to use instead of the model.
        strict: Keep the index as it was when a row could not be used.
        progress: Told how far it is.

    Raises:
        InputError: When the files cannot be read, the vectors are not the model's, or nothing is left; ``StrictError``
            when ``strict`` says so.
        ModelError: When the model cannot be found or loaded.
        StoreError: When ``out`` cannot be written, or the model is another one than an export was made with.
        ExtraMissingError: When Parquet is to be read and pyarrow is not installed.
    """
    began = time.monotonic()
    fields = fields or ReadyFields()
    rows = open_rows(Path(source), fields, Path(vectors) if vectors else None)
    if rows.told.get("format", EXPORT_FORMAT) != EXPORT_FORMAT:
        raise InputError(
            f"{rows.name}: exported in a form that this version does not read. Use the version that wrote it."
        )
    check_writable(Path(out))  # before the model is loaded
    settings, encoder = encoder_for(rows, model, settings or BuildSettings(), encoder, progress)
    settings = _chunked_as(rows.told, settings)
    dim = rows.dim()
    found = check_claim(rows, dim, fields, encoder, progress)
    if rows.left_out:
        progress.note(f"{rows.name}: not read: {', '.join(rows.left_out[:8])} (no text and no plain values)")
    source_of = _Importing(rows, fields, settings, dim)
    report = build_steps(
        lambda _: source_of.steps(),
        rows.n_bytes,
        [],
        Path(out),
        settings,
        encoder,
        progress,
        strict=strict,
        ready=source_of.ready,
    )
    if source_of.n_lost:
        progress.note(f"{source_of.n_lost:,} further places of passages are not in the export, which tells 21 of each")
    if source_of.n_differ:
        progress.note(
            f"{source_of.n_differ:,} rows have another title or other further columns than the first row of their "
            "document, and those are not kept. To keep them, name a column that identifies each row with --id-field."
        )
    if source_of.n_off:
        progress.note(f"{source_of.n_off:,} vectors were not of unit length and were normalised")
    report = dataclasses.replace(report, seconds=time.monotonic() - began)
    return ImportReport(report, source_of.n_off, found.compared, found.cosine)


def _chunked_as(told: Mapping[str, Any], settings: BuildSettings) -> BuildSettings:
    """Return settings by which an update chunks as the exported index was chunked."""
    chunking = told.get("chunking")
    if settings.chunking != ChunkSettings() or not isinstance(chunking, dict):
        return settings
    known = {f.name for f in dataclasses.fields(ChunkSettings)}
    kept = {name: value for name, value in chunking.items() if name in known and isinstance(value, int)}
    return dataclasses.replace(settings, chunking=ChunkSettings(**kept))


@dataclass(slots=True)
class _Importing:
    """Turns rows into documents that are chunked already."""

    rows: ReadyRows
    fields: ReadyFields
    settings: BuildSettings
    dim: int
    n_off: int = 0
    """Vectors that were not of unit length."""
    n_lost: int = 0
    """Places of passages that an export only counts."""
    n_differ: int = 0
    """Rows with another title or metadata than the first of their document, which are not kept."""
    # As many as two batches hold, the one that is written and the one made meanwhile, and some more.
    ready: ReadyVectors = field(default_factory=lambda: ReadyVectors(4 * pipeline.BATCH_PASSAGES))
    _refused: set[int] = field(default_factory=set)
    _has_others: bool = False
    _parts: dict[int, tuple[int, int]] = field(default_factory=dict)
    """Of documents in several rows, by a hash of what they are called: where they end, and a hash of their fields."""

    def steps(self) -> Iterator[Step]:
        """Yield a step for every row, then one for every other place of its passage."""
        n_done, n_told = 0, 0
        for block in self.rows.blocks(self.dim):
            problems, vectors = self._checked(block)
            for i, record in enumerate(block.records):
                n_done += 1
                share = self.rows.n_bytes * n_done // max(1, self.rows.n_rows) - n_told
                n_told += share
                item = problems[i] or self._document(record, block.first + i, block.places[i])
                if isinstance(item, str):
                    self._refused.add(block.first + i)
                    yield Step(Rejected(block.places[i], item), self.rows.name, share)
                    continue
                self.n_lost += self._lost(record)
                self.ready.offer(item.passages[0].model_text, vectors[i])
                yield Step(item, item.document.source, share)
        # First all first places: so documents keep their order, by which the first of several places is told.
        for block in self.rows.blocks(self.dim, vectors=False) if self._has_others else ():
            for i, record in enumerate(block.records):
                if block.first + i not in self._refused and not isinstance(record, str):
                    for other in filter(_is_object, record.get("also_in") or ()):
                        told = {**record, "metadata": {}, "marks": None, **other, "sentences": []}
                        item = self._document(told, block.first + i, block.places[i])
                        if not isinstance(item, str):
                            yield Step(item, item.document.source)

    def _lost(self, record: Mapping[str, Any] | str) -> int:
        """Return how many places of a passage an export counts and does not tell."""
        if isinstance(record, str) or not self.rows.told:
            return 0
        n_places, others = record.get("n_places"), record.get("also_in")
        return max(0, n_places - 1 - len(others)) if type(n_places) is int and isinstance(others, list) else 0

    def _checked(self, block: Block) -> tuple[list[str], Vectors]:
        """Return what is wrong with each row's vector, "" for a sound one, and all of them in unit length."""
        import numpy as np

        vectors = block.vectors
        if vectors is None:
            raise ValueError("the vectors were not read")
        with np.errstate(over="ignore", invalid="ignore"):
            lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64))
        sound = np.isfinite(lengths) & (lengths > 0)
        off = sound & (np.abs(lengths - 1) > _UNIT)
        self.n_off += int((sound & (np.abs(lengths - 1) > _NOT_UNIT)).sum())
        units: Vectors = np.array(vectors, np.float32)
        units[off] = (vectors[off] / lengths[off, None]).astype(np.float32)
        problem = f"its vector is missing, is not {self.dim} finite numbers, or is all zeros; mend or remove the row."
        return ["" if one else problem for one in sound.tolist()], units

    def _document(self, record: Mapping[str, Any] | str, row: int, where: str) -> ChunkedDocument | str:
        """Return what a record becomes, or what is wrong with it."""
        if isinstance(record, str):
            return record
        fields, is_own = self.fields, bool(self.rows.told)
        text = record.get(fields.text)
        if not isinstance(text, str) or not text.strip():
            return f"column {fields.text!r} holds no text; fill it in, or name another with --text-field."
        id_field = "doc_id" if is_own else next((n for n in fields.ids if record.get(n) not in (None, "")), "")
        doc_id = record.get(id_field) if id_field else row + 1
        if isinstance(doc_id, bool) or not isinstance(doc_id, str | int | float):
            return f"column {id_field!r} holds no id; an id is text or a number."
        context, title, source = (_text(record.get(name)) for name in (fields.context, fields.title, fields.source))
        used = {fields.text, id_field, fields.context}
        names = ((fields.title, title), (fields.source, source))
        used |= {name for name, value in names if value or not record.get(name)}
        declared = _text(record.get(fields.lang))
        lang = declared if is_own and declared == UNKNOWN_LANG else language_tag(declared)
        used |= {fields.lang} if lang or is_own or not record.get(fields.lang) else set()
        lang = lang or detect_language(text)
        start, end = record.get("start"), record.get("end")
        is_placed = type(start) is int and type(end) is int and start >= 0 and end - start == len(text)
        used |= {*_OWN} if is_own else {"start", "end"} if is_placed else set()
        metadata = _metadata(record, used)
        document = Document(str(doc_id), source or self.rows.name, "", title, metadata=metadata)
        # Rows that share the id of a document are its parts; the id of a row is of that row alone.
        goes_on = is_placed or id_field == "doc_id"
        at = start if is_placed and type(start) is int else 0
        at = self._next_part(document, at, len(text), is_placed=is_placed) if goes_on and not is_own else at
        spans = self._sentences(record, text, lang, is_own=is_own) if self.settings.sentences else ()
        marks = _marks(record, at) if is_own and is_placed else ()
        document = dataclasses.replace(document, marks=marks)
        self._has_others = self._has_others or bool(is_own and record.get("also_in"))
        passage = Passage(at, at + len(text), text, lang, context, spans)
        return ChunkedDocument(document, [passage], goes_on=goes_on, where=where)

    def _next_part(self, document: Document, at: int, length: int, *, is_placed: bool) -> int:
        """Return where a part of a document begins: where its row says, or after the parts before."""
        key = hash((document.source, document.doc_id))
        try:
            facts = hash((document.title, metadata_json(document)))
        except InputError:
            return at  # which is told when it is to be written
        end, first = self._parts.get(key, (-1, facts))
        self.n_differ += facts != first
        at = at if is_placed else end + 1
        self._parts[key] = max(end, at + length), first
        return at

    def _sentences(
        self, record: Mapping[str, Any], text: str, lang: str, *, is_own: bool
    ) -> tuple[tuple[int, int], ...]:
        """Return where a passage's sentences are: as an export tells, or as they are found now."""
        if not is_own or not isinstance(record.get("sentences"), list):
            return sentence_spans(text, lang)
        spans = [(one.get("start"), one.get("end")) for one in record["sentences"] if isinstance(one, dict)]
        sound = [(a, b) for a, b in spans if type(a) is int and type(b) is int and 0 <= a < b <= len(text)]
        return tuple(sound) if len(sound) == len(record["sentences"]) else sentence_spans(text, lang)


def _marks(record: Mapping[str, Any], at: int) -> tuple[Mark, ...]:
    """Return the pages or times that an export tells of a passage: where it begins, and where these change in it."""
    marks: list[Mark] = []
    inner = record.get("marks")
    for one in (record, *filter(_is_object, inner if isinstance(inner, list) else ())):
        locator, start = one.get("locator"), 0 if one is record else one.get("start")
        is_new = not marks or marks[-1].locator != locator
        if isinstance(locator, str) and told_locator(locator) and type(start) is int and start >= 0 and is_new:
            marks.append(Mark(at + start, locator))
    return tuple(marks)


def _is_object(value: object) -> bool:
    return isinstance(value, dict)


def _text(value: object) -> str:
    return value if isinstance(value, str) and value.strip() else ""


def _metadata(record: Mapping[str, Any], used: set[str]) -> dict[str, object]:
    """Return the columns that are nothing else; a column of metadata is spread out when it holds an object."""
    metadata = {name: value for name, value in record.items() if name not in used}
    inner = metadata.get("metadata")
    if isinstance(inner, str):
        try:
            inner = json.loads(inner)
        except (ValueError, RecursionError):
            return metadata
    if isinstance(inner, dict):
        del metadata["metadata"]
        metadata = {**inner, **metadata}
    return metadata
