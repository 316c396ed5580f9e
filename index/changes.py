"""What has changed since an index was written: files by their status and content, documents by their content."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from index.config import BuildSettings
from index.documents import KnownFile, content_hash
from index.errors import InputError
from index.pipeline import Step
from index.readers.registry import read_file, unreadable
from index.readers.source_file import SourceFile
from index.records import Document, Rejected
from index.writer import GenerationWriter, writing

_CLOCK_STEP = 2.0
"""Seconds that file systems may round times to: FAT's."""


@dataclass(frozen=True, slots=True)
class ChangedFile:
    """A file to read: new, or with another content than when it was read.

    Attributes:
        file: It.
        known: What it will be known by.
        is_new: Whether it was not read before.
    """

    file: SourceFile
    known: KnownFile
    is_new: bool


@dataclass(frozen=True, slots=True)
class FileChanges:
    """How the files of an index differ from those that were read.

    Attributes:
        changed: Files to read, in order.
        gone: Sources that are not there any more, in order.
        rejected: What cannot be read at all.
        n_same: Files that are as they were.
        touched: Those of them that the file system describes otherwise now, though their content is the same.
    """

    changed: tuple[ChangedFile, ...]
    gone: tuple[str, ...]
    rejected: tuple[Rejected, ...]
    n_same: int
    touched: tuple[KnownFile, ...]

    @property
    def is_nothing(self) -> bool:
        """Whether the index holds what the files hold."""
        return not self.changed and not self.gone


def compare(found: Iterable[SourceFile | Rejected], known: Mapping[str, KnownFile], root: Path) -> FileChanges:
    """Compare the files there are with those that were read.

    A file that the file system describes as it did is taken to be the same; of others the content is compared. What
    the file system does not give now is told, and what was read of it before stays.

    Args:
        found: The files there are, and what cannot be looked at.
        known: The files that were read, by source, as far as they are looked for.
        root: The folder that relative sources are relative to.
    """
    changed: list[ChangedFile] = []
    rejected: list[Rejected] = []
    touched: list[KnownFile] = []
    missing = dict(known)
    n_same = 0
    for file in found:
        if isinstance(file, Rejected):
            rejected.append(file)
            continue
        before = missing.pop(file.source, None)
        if before and before.status and before.status == file.status:
            n_same += 1
            continue
        try:
            read = look_at(file, is_new=before is None)
        except OSError as error:
            rejected.append(unreadable(file, error.strerror or type(error).__name__))
            continue
        if before and before.sha256 == read.known.sha256:
            n_same += 1
            touched.append(read.known)
        else:
            changed.append(read)
    # Where nobody can look, nothing is known to be gone.
    hidden = {os.path.normpath(root / item.where) for item in rejected if item.out_of_reach}
    gone = [source for source in missing if not (hidden and _is_hidden(os.path.normpath(root / source), hidden))]
    return FileChanges(tuple(changed), tuple(sorted(gone)), tuple(rejected), n_same, tuple(touched))


def _is_hidden(path: str, hidden: Collection[str]) -> bool:
    """Tell whether a path, or a folder that it lies in, is among those that nobody can look at."""
    while path not in hidden:
        path, below = os.path.dirname(path), path  # noqa: PTH120 text, since there may be very many
        if path == below:
            return False
    return True


def look_at(file: SourceFile, *, is_new: bool = True) -> ChangedFile:
    """Read a file's content to know it again.

    The status tells nothing of a file changed a moment ago: its next change may bear the same time.

    Raises:
        OSError: When it cannot be read.
    """
    status = file.status if time.time() - file.changed_at > _CLOCK_STEP else ""
    with file.path.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    return ChangedFile(file, KnownFile(file.source, file.doc_id, status, digest), is_new)


@dataclass(slots=True)
class DocumentCounts:
    """How many documents of the files read were new, changed, as they were, and gone."""

    new: int = 0
    changed: int = 0
    same: int = 0
    gone: int = 0

    def add(self, document: Document, before: str | None) -> bool:
        """Count a document; returns whether it is new or changed.

        Args:
            document: As it is now.
            before: Its content hash when it was read before; None when it was not.
        """
        if before is None:
            self.new += 1
        elif before == _hash_or_nothing(document):
            self.same += 1
            return False
        else:
            self.changed += 1
        return True


class ChangedDocuments:
    """Reads files, and gives those of their documents that are new or changed; others are taken out or left alone."""

    def __init__(self, writer: GenerationWriter, settings: BuildSettings) -> None:
        """Prepare.

        Args:
            writer: Of the generation, with what is known so far in its database.
            settings: How files are read.
        """
        self._documents = writer.documents
        self._directory = writer.directory
        self._settings = settings
        self.counts = DocumentCounts()
        self._is_whole = True

    def read(self, files: Iterable[ChangedFile]) -> Iterator[Step]:
        """Yield what is in files and not yet in the database, then each file."""
        for one in files:
            file = one.file
            items = read_file(file, fields=self._settings.fields, encoding=self._settings.encoding)
            yield from steps_of(file, self.of_source(file.source, items))
            # A file that was not read to its end is read again next time, whatever it looks like then.
            known = one.known if self._is_whole else KnownFile(file.source, file.doc_id, "", "")
            yield Step(known, file.source)

    def of_source(self, source: str, items: Iterable[Document | Rejected]) -> Iterator[Document | Rejected]:
        """Yield the documents of a source that are new or changed, and what was rejected; the others are taken out.

        The old version of a changed document is taken out before the new one is given. Where the file system fails,
        nothing is known to be gone.
        """
        with writing(self._directory):
            known = self._documents.known_documents(source)
            self._documents.forgive(source)
        done: set[str] = set()
        self._is_whole = True
        for item in items:
            if isinstance(item, Rejected):
                self._is_whole = self._is_whole and not item.out_of_reach
            elif item.doc_id not in done:
                done.add(item.doc_id)
                if not self._is_to_write(item, known.pop(item.doc_id, None)):
                    continue
            yield item
        if self._is_whole:
            self._take_out(known.values())

    def of_memory(self, documents: Iterable[Document]) -> Iterator[Document]:
        """Yield documents that are new or changed; the old version of a changed one is taken out before.

        One that comes twice is yielded twice: the writer refuses it.
        """
        done: set[tuple[str, str]] = set()
        for document in documents:
            key = document.source, document.doc_id
            known = None if key in done else self._documents.known_document(*key)
            done.add(key)
            if self._is_to_write(document, known):
                yield document

    def _is_to_write(self, document: Document, before: tuple[int, str] | None) -> bool:
        """Count a document and take its old version out if it has changed; returns whether it must be written."""
        is_to_write = self.counts.add(document, before[1] if before else None)
        if before and is_to_write:
            with writing(self._directory):
                self._documents.remove_document(before[0])
        return is_to_write

    def _take_out(self, known: Iterable[tuple[int, str]]) -> None:
        """Take documents out, and count them."""
        with writing(self._directory):
            for doc, _ in known:
                self._documents.remove_document(doc)
                self.counts.gone += 1

    def remove(self, sources: Iterable[str]) -> None:
        """Take out the documents of sources that are gone."""
        for source in sources:
            self._take_out(self._documents.known_documents(source).values())
            self._documents.forgive(source)
            self._documents.forget_file(source)

    def remove_documents(self, keys: Iterable[tuple[str, str]]) -> None:
        """Take out documents by source and id; those that are not there are passed over."""
        for source, doc_id in keys:
            known = self._documents.known_document(source, doc_id)
            self._take_out([known] if known else [])


def _hash_or_nothing(document: Document) -> str:
    try:
        return content_hash(document)
    except InputError:  # told when it is written
        return ""


def steps_of(file: SourceFile, items: Iterable[Document | Rejected]) -> Iterator[Step]:
    """Yield what comes out of a file with the bytes it took; what is left over comes with the last."""
    left = file.size
    before: Step | None = None
    for item in items:
        if before:
            yield before
        n_bytes = min(left, len(item.text.encode("utf-8", "replace")) if isinstance(item, Document) else 0)
        left -= n_bytes
        before = Step(item, file.source, n_bytes)
    if before:
        yield dataclasses.replace(before, n_bytes=before.n_bytes + left)
