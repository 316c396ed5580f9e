"""Writes the passages of an index with their vectors to files that other programs read: Parquet, or JSON with NumPy."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from index.errors import InputError
from index.files import new_folder, sync, write_error
from index.parquet import SUFFIX, ParquetPassages
from index.progress import SILENT, Progress
from index.ready import EXPORT_FORMAT, EXPORT_MANIFEST, PASSAGES, VECTORS
from index.store import Store
from index.vectors import VectorFile
from index.version import __version__

if TYPE_CHECKING:
    from index.passages import Passages
    from index.records import Rows, Vectors
    from index.sentence_vectors import FoundSentences
    from index.stored import StoredPassage

_AT_ONCE = 1024
"""Passages read at a time."""


@dataclass(frozen=True, slots=True)
class ExportReport:
    """What an export wrote.

    Attributes:
        target: The file or folder.
        passages: Passages, each with its vector unless none were wanted.
        dim: The length of a vector; 0 when there are none.
        n_bytes: The size of all that was written.
        left_out: Places of passages that are not written, since 21 of each are; they are counted in ``n_places``.
    """

    target: Path
    passages: int
    dim: int
    n_bytes: int
    left_out: int = 0


def export(
    directory: str | os.PathLike[str],
    target: str | os.PathLike[str],
    *,
    vectors: bool = True,
    progress: Progress = SILENT,
) -> ExportReport:
    """Write all passages of an index, in the order of their rows, with the vectors as the model gave them.

    A name that ends in .parquet is a Parquet file, which replaces the one there is; any other a folder, new or empty:
    ``passages.jsonl``, ``vectors.npy`` (row i is the vector of line i) and ``manifest.json``. The model's fingerprint
    is in the metadata of the Parquet schema, or in the manifest. Interrupted, it leaves nothing behind.

    Args:
        directory: The index directory, wherever its passages are kept.
        target: What to write.
        vectors: Whether to write the vectors: float32, unit rows, shape (n_passages, dim).
        progress: Told how far it is.

    Raises:
        InputError: When the folder holds something.
        StoreError: When the index cannot be read, or the target not written.
        ExtraMissingError: When Parquet is asked for and pyarrow is not installed.
    """
    target = Path(target)
    is_file = target.suffix.lower() == SUFFIX
    if target.is_dir() if is_file else target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise InputError(f"{target}: is there already. Name a file that ends in {SUFFIX}, or a new or empty folder.")
    with Store.open(Path(directory)) as store, contextlib.closing(store.open_passages(to_search=False)) as passages:
        dim = store.manifest.encoder.dim if vectors else 0
        progress.start("exporting", store.n_passages, "passage")
        try:
            with _writing(target):
                write = _write_file if is_file else _write_folder
                counted = _Counted()
                write(target, dim, _told(store), counted.of(_blocks(store, passages, dim, progress)))
                parts = [target] if is_file else list(target.iterdir())
                n_bytes = sum(part.stat().st_size for part in parts)
                return ExportReport(target, store.n_passages, dim, n_bytes, counted.left_out)
        finally:
            progress.end()


Block = tuple[list[dict[str, Any]], "Vectors | None"]


@dataclass(slots=True)
class _Counted:
    """Counts the places that passages have and that are not written."""

    left_out: int = 0

    def of(self, blocks: Iterator[Block]) -> Iterator[Block]:
        """Yield blocks as they are."""
        for records, vectors in blocks:
            self.left_out += sum(record["n_places"] - 1 - len(record["also_in"]) for record in records)
            yield records, vectors


def _told(store: Store) -> dict[str, Any]:
    """Return what an export says of itself."""
    manifest = store.manifest
    return {
        "format": EXPORT_FORMAT,
        "tool_version": __version__,
        "encoder": dataclasses.asdict(manifest.encoder),
        "chunking": manifest.settings.get("chunking", {}),
        "passages": store.n_passages,
        "documents": manifest.counts.documents,
        "languages": dict(manifest.counts.languages),
    }


def _blocks(store: Store, passages: Passages, dim: int, progress: Progress) -> Iterator[Block]:
    """Yield the passages that stand in a document, some at a time: their fields and their vectors."""
    import numpy as np

    alive = store.alive()
    for start in range(0, store.n_rows, _AT_ONCE):
        rows: Rows = np.arange(start, min(start + _AT_ONCE, store.n_rows))
        rows = rows if alive is None else rows[alive[rows]]
        if not len(rows):
            continue
        found = passages.passages(rows.tolist())
        records = _records(store, found, passages.sentences(rows))
        yield records, np.ascontiguousarray(passages.vectors(rows), np.float32) if dim else None
        progress.advance(len(rows))


def _records(store: Store, passages: Sequence[StoredPassage], sentences: FoundSentences | None) -> list[dict[str, Any]]:
    """Return passages as plain data."""
    records: list[dict[str, Any]] = []
    places: list[tuple[dict[str, Any], str, str, int]] = []
    for i, one in enumerate(passages):
        first, *others = (dataclasses.asdict(place) for place in one.occurrences)
        spans = sentences.spans[sentences.starts[i] : sentences.starts[i + 1]].tolist() if sentences else []
        record: dict[str, Any] = {
            "passage_id": one.passage_id,
            "lang": one.lang,
            **first,
            "text": one.text,
            "context": one.context,
            "n_places": one.n_places,
            "also_in": others,
            "sentences": [{"start": begin, "end": end} for begin, end in spans],
        }
        records.append(record)
        # What tells a page or a time, and where in a document that is.
        places += [(told, told["source"], told["doc_id"], told["start"]) for told in (record, *others)]
        places += [
            (told, record["source"], record["doc_id"], record["start"] + told["start"]) for told in record["sentences"]
        ]
    locators = store.documents.locators([place[1:] for place in places])
    for (told, *_), locator in zip(places, locators, strict=True):
        told["locator"] = locator
    whole = [told for record in records for told in (record, *record["also_in"])]
    facts = store.documents.of_documents([(one["source"], one["doc_id"], one["start"], one["end"]) for one in whole])
    for told, (metadata, marks) in zip(whole, facts, strict=True):
        told["metadata"] = metadata
        before = [told["locator"], *(locator for _, locator in marks)]
        told["marks"] = [
            {"start": at - told["start"], "locator": locator}
            for (at, locator), last in zip(marks, before, strict=False)
            if locator != last  # where it changes
        ]
    return records


def _flat(told: Mapping[str, Any]) -> dict[str, Any]:
    """Return a place with its metadata as text: no column holds objects of any shape."""
    return {**told, "metadata": json.dumps(told["metadata"], ensure_ascii=False)}


def _write_file(target: Path, dim: int, told: Mapping[str, Any], blocks: Iterator[Block]) -> None:
    temporary = target.with_name(f".{target.name}-{secrets.token_hex(8)}")
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with temporary.open("xb") as file:
            with ParquetPassages(file, dim, told) as writer:
                for records, vectors in blocks:
                    shown = [{**one, "also_in": [_flat(other) for other in one["also_in"]]} for one in records]
                    writer.append([_flat(one) for one in shown], vectors)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync(target.parent)


def _write_folder(target: Path, dim: int, told: Mapping[str, Any], blocks: Iterator[Block]) -> None:
    with new_folder(target) as folder, contextlib.ExitStack() as stack:
        lines = stack.enter_context((folder / PASSAGES).open("x", encoding="utf-8", newline="\n"))
        file = stack.enter_context(contextlib.closing(VectorFile(folder / VECTORS, dim))) if dim else None
        for records, vectors in blocks:
            lines.writelines(json.dumps(record, ensure_ascii=False) + "\n" for record in records)
            if file:
                file.append(vectors)
        text = json.dumps(told, ensure_ascii=False, indent=2) + "\n"
        (folder / EXPORT_MANIFEST).write_text(text, "utf-8")
        stack.close()  # before the folder takes its name


@contextlib.contextmanager
def _writing(target: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise write_error(error, target) from error
