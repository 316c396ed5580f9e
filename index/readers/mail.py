"""Mail (.eml, .mbox): the subject as title, the text of a message with what it quotes, and files attached to it.

Files in formats that can be read become documents of their own, as do messages that were forwarded as files; other
files are named in the metadata. Of a text that is there in plain form and as a page, the plain one is read.
"""

from __future__ import annotations

import email
import email.policy
import email.utils
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from email.message import EmailMessage
from pathlib import Path, PurePosixPath
from typing import cast

from index.config import FieldNames
from index.errors import ExtraMissingError, InputError
from index.readers.decoding import MAX_TEXT_BYTES, decode_text, read_bytes
from index.readers.mail_parts import PAGE, file_name, file_suffix, is_decoration, parts_of, unescaped
from index.readers.mailbox_file import messages_in
from index.readers.markup import codec_of, decode_declared, decode_markup, parse_html
from index.readers.source_file import SourceFile
from index.readers.visible import write_visible
from index.readers.writing import TextWriter, clean, damage_told, one_line
from index.records import Document, Rejected

SUFFIXES: tuple[str, ...] = (".eml", ".mbox")
ISOLATED = True

MAX_DEPTH = 4
"""Messages within messages that are read."""
MAX_ATTACHED = 200
"""Files of one message that are read."""

_CONTAINERS = frozenset([".zip", ".gz", ".mbox"])
"""Files that hold files, which are read only when they are not themselves within a message."""
_MOST_DAMAGE = 0.02
"""Share of a text's characters that may be undecodable before it is refused."""
_POLICY = email.policy.default
_NAMES_TOLD = 5
"""Names of files that a message tells before it counts the rest."""


def read(file: SourceFile, *, fields: FieldNames, encoding: str) -> Iterator[Document | Rejected]:
    """Read a message, or the messages of a mailbox: ids of the latter are numbered, ``<doc_id>:<number>`` from 1.

    A file attached has the id ``<doc_id>/<its name>``.

    Args:
        file: The file.
        fields: Passed on to the readers of files attached.
        encoding: The name of the encoding of texts that declare none, or a wrong one; "" to detect it.

    Raises:
        InputError: If the file is no message, or is too large.
        OSError: If it cannot be read.
    """
    if file.path.suffix.lower() != ".mbox":
        yield from _Message(file, fields, encoding).items(_parse(read_bytes(file.path)))
        return
    number = 0
    for number, data in enumerate(messages_in(file.path), start=1):
        where = f"{file.source}:{number}"
        if data is None:
            yield Rejected(where, f"is a message of more than {MAX_TEXT_BYTES:,} bytes; save what is attached to it.")
            continue
        within = replace(file, doc_id=f"{file.doc_id}:{number}", source=file.source)
        yield from _Message(within, fields, encoding, where).guarded(data)
    if not number:
        raise InputError("holds no message; check that it is a mailbox in mbox format.")


def _parse(data: bytes) -> EmailMessage:
    with damage_told("a message"):
        return email.message_from_bytes(data, policy=_POLICY)


class _Message:
    """One message and what is attached to it, as documents."""

    def __init__(self, file: SourceFile, fields: FieldNames, encoding: str, where: str = "", depth: int = 1) -> None:
        self._file = file
        self._fields = fields
        self._encoding = encoding
        self._where = where or file.source
        self._depth = depth
        self._names: set[str] = set()

    def guarded(self, message: EmailMessage | bytes) -> Iterator[Document | Rejected]:
        """Yield the documents of a message among others, or why it has none."""
        try:
            yield from self.items(_parse(message) if isinstance(message, bytes) else message)
        except InputError as error:
            yield Rejected(self._where, str(error))

    def items(self, message: EmailMessage) -> Iterator[Document | Rejected]:
        """Yield the document of the message, then those of what is attached.

        Raises:
            InputError: If there is neither a header nor a text.
        """
        if not any(_header(message, name) for name in ("From", "To", "Subject", "Date", "Message-ID")):
            raise InputError("is no message (it has no header); check that it is one, with its whole source.")
        with damage_told("a message"):
            parts = parts_of(message)
            attached = [(self._unused(file_name(part)), part) for part in parts.files[:MAX_ATTACHED]]
        try:
            yield from self._own(message, parts.texts, [name for name, _ in attached])
        except ExtraMissingError as error:
            # Files attached, and the other messages of a mailbox, may do without the library.
            yield Rejected(self._where, str(error), out_of_reach=True)
        except InputError as error:
            if not attached:
                raise
            yield Rejected(self._where, str(error))
        for name, part in attached:
            yield from self._attachment(name, part)
        if len(parts.files) > MAX_ATTACHED:
            yield Rejected(self._where, f"has more than {MAX_ATTACHED} files attached; the others were not read.")
        skipped = [name for name, part in attached if not _is_read(name, part) and not is_decoration(part)]
        if skipped:
            yield Rejected(self._where, _skipped(skipped), passed_over=True)

    def _own(
        self, message: EmailMessage, texts: Sequence[EmailMessage], names: list[str]
    ) -> Iterator[Document | Rejected]:
        """Yield the document of a message without what is attached, then what is wrong with parts of its text.

        Raises:
            InputError: If it has no text that can be read, unless files are all that it is to hold.
            ExtraMissingError: If a library is not installed.
        """
        writer = TextWriter()
        damage, problems = [], []
        for part in texts:
            try:
                with damage_told("a message"):
                    damage.append(self._write(part, writer))
            except InputError as error:
                problems.append(str(error))
        if not writer.text.strip():
            if problems:
                raise InputError(problems[0])
            if names:
                yield Rejected(self._where, "has no text beside the files attached to it.", passed_over=True)
                return
        metadata = {name: _header(message, name.title()) for name in ("from", "to", "cc")}
        metadata |= {"date": _date(message), "message_id": _header(message, "Message-ID")}
        metadata["damage"] = "; ".join(filter(None, damage))
        document = writer.document(self._file, title=_header(message, "Subject"), metadata=metadata)
        more: dict[str, object] = {"attachments": names} if names else {}
        yield replace(document, metadata={**document.metadata, **more}) if more else document
        for problem in problems:
            yield Rejected(self._where, f"a part of its text {problem}")

    def _write(self, part: EmailMessage, writer: TextWriter) -> str:
        """Write a part of a message's text; return what could not be decoded of it, told in words."""
        text, damage = self._decoded(part)
        if not text.strip():
            return damage
        if part.get_content_type() == PAGE:
            write_visible(parse_html(text), writer)
        else:
            writer.paragraph("\n".join(_without_dashes(line) for line in text.split("\n")))
        return damage

    def _decoded(self, part: EmailMessage) -> tuple[str, str]:
        """Decode a part: as it declares, else as is detected, else but for the bytes that cannot be.

        Returns:
            The text, and what is wrong with it in words, "" when nothing is.

        Raises:
            InputError: If too much is.
        """
        data = part.get_payload(decode=True)
        if not isinstance(data, bytes) or not data.strip():
            return "", ""
        declared = codec_of(part.get_content_charset() or "")
        if declared and (text := decode_declared(data, declared)) is not None:
            return clean(text), ""
        decode = decode_markup if part.get_content_type() == "text/html" else decode_text
        try:
            return clean(decode(data, self._encoding)), ""
        except InputError:
            text = data.decode(declared or "utf-8", "replace")
            n = text.count("\ufffd")
            if n > _MOST_DAMAGE * len(text):
                raise
            return clean(text), f"{n} characters of its text are not valid {declared or 'utf-8'}"

    def _attachment(self, name: str, part: EmailMessage) -> Iterator[Document | Rejected]:
        """Yield the documents of a file attached; nothing for one in a format that is not read."""
        where = f"{self._where}/{name}"
        within = replace(self._file, doc_id=f"{self._file.doc_id}/{name}", status="")
        suffix = file_suffix(name, part)
        if not _is_read(name, part):
            return
        if suffix == ".eml":
            if self._depth >= MAX_DEPTH:
                yield Rejected(where, f"is a message within {MAX_DEPTH} others; save it by itself.")
                return
            inner = _Message(within, self._fields, self._encoding, where, self._depth + 1)
            try:
                yield from inner.guarded(_inner(part))
            except InputError as error:
                yield Rejected(where, str(error))
            return
        from index.readers.registry import read_here

        data = part.get_payload(decode=True)
        if not isinstance(data, bytes):
            return
        with tempfile.TemporaryDirectory(prefix="tongues-") as folder:
            path = Path(folder, f"attached{suffix}")
            path.write_bytes(data)
            item_file = replace(within, place=str(path), source=where, size=len(data))
            for item in read_here(item_file, fields=self._fields, encoding=self._encoding):
                yield self._below(item, within.doc_id) if isinstance(item, Document) else item

    def _below(self, document: Document, file_id: str) -> Document:
        """Return a document of a file attached: records name themselves, and those of other messages may do so too."""
        is_below = document.doc_id == file_id or document.doc_id.startswith((f"{file_id}/", f"{file_id}:"))
        doc_id = document.doc_id if is_below else f"{file_id}/{document.doc_id}"
        return replace(document, doc_id=doc_id, source=self._file.source)

    def _unused(self, name: str) -> str:
        """Return a name that no other file of the message has."""
        stem, suffix = PurePosixPath(name).stem, PurePosixPath(name).suffix
        number = 1
        while name in self._names:
            number += 1
            name = f"{stem} ({number}){suffix}"
        self._names.add(name)
        return name


def _is_read(name: str, part: EmailMessage) -> bool:
    """Tell whether a file attached is in a format that is read."""
    from index.readers.registry import is_supported

    suffix = file_suffix(name, part)
    return is_supported(suffix) and suffix not in _CONTAINERS


def _skipped(names: list[str]) -> str:
    """Say which files attached are not read."""
    more = f" and {len(names) - _NAMES_TOLD} more" if len(names) > _NAMES_TOLD else ""
    told = ", ".join(names[:_NAMES_TOLD]) + more
    return f"has files attached that are not read from mail ({told}); save those that hold text by themselves."


def _without_dashes(line: str) -> str:
    """Take the dashes off a line such as ``-----Original Message-----``: they say nothing, the words may."""
    bare = line.strip(" \t")
    if not (bare.startswith("---") and bare.endswith("---") and len(bare) >= 6):
        return line
    words = bare.strip("-").strip(" \t")
    return words if not words or any(map(str.isalnum, words)) else line


def _inner(part: EmailMessage) -> EmailMessage:
    """Return the message that a part holds, parsed or as a file.

    Raises:
        InputError: If there is none.
    """
    payload = part.get_payload()
    if isinstance(payload, list) and payload:
        return cast("EmailMessage", payload[0])
    data = part.get_payload(decode=True)
    if not isinstance(data, bytes) or not data:
        raise InputError("is an empty message; nothing is lost.")
    return _parse(data)


def _header(message: EmailMessage, name: str) -> str:
    """Return a header's words; as they stand when they are written in no way that is allowed."""
    try:
        return one_line(unescaped(str(message.get(name, ""))))
    except Exception:  # the standard library's parser of headers fails over some in its own ways
        raw = next((value for key, value in message.raw_items() if key.lower() == name.lower()), "")
        return one_line(unescaped(str(raw)))


def _date(message: EmailMessage) -> str:
    """Return when it was sent, with its difference from world time; as it stands when it is no date."""
    told = _header(message, "Date")
    try:
        return email.utils.parsedate_to_datetime(told).isoformat()
    except (ValueError, TypeError, IndexError, OverflowError):
        return told
