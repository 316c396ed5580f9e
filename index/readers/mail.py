"""Mail (.eml, .mbox): the subject as title, the text of a message with what it quotes, and files attached to it.

Files in formats that can be read become documents of their own, as do messages that were forwarded as files; other
files are named in the metadata. Of a message that says the same as plain text and as a page, the plain text is read.
"""

from __future__ import annotations

import email
import email.policy
import email.utils
import mailbox
import re
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from email.message import EmailMessage
from pathlib import Path, PurePosixPath
from typing import cast

from index.config import FieldNames
from index.errors import InputError
from index.readers.decoding import decode_text, read_bytes
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
_FORWARDED = "forwarded.eml"
_MOST_DAMAGE = 0.02
"""Share of a text's characters that may be undecodable before it is refused."""
_ESCAPED = re.compile(rb"^>(>*From )", re.MULTILINE)
"""A line that began like the first of a message, which programs that write mailboxes change."""
_PARTING = re.compile(r"^[ \t]*-{3,}[^\n]{0,60}-{3,}[ \t]*$", re.MULTILINE)
"""A line such as ``-----Original Message-----``: a passage of its own otherwise, in a language of its own."""
_POLICY = email.policy.default
_LONGEST_NAME = 120


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
    with damage_told("a mailbox"):
        box = mailbox.mbox(file.path, create=False)
        try:
            for number, key in enumerate(box.iterkeys(), start=1):
                message = _parse(_ESCAPED.sub(rb"\1", box.get_bytes(key)))
                within = replace(file, doc_id=f"{file.doc_id}:{number}", source=file.source)
                yield from _Message(within, fields, encoding, f"{file.source}:{number}").guarded(message)
        finally:
            box.close()
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

    def guarded(self, message: EmailMessage) -> Iterator[Document | Rejected]:
        """Yield the documents of a message among others, or why it has none."""
        try:
            yield from self.items(message)
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
            attached = [(self._unused(_name(part)), part) for part in _attached(message)]
        names = [name for name, _ in attached]
        try:
            yield self._document(message, names)
        except InputError as error:
            if not attached:
                raise
            yield Rejected(self._where, str(error))
        for name, part in attached[:MAX_ATTACHED]:
            yield from self._attachment(name, part)
        if len(attached) > MAX_ATTACHED:
            yield Rejected(self._where, f"has more than {MAX_ATTACHED} files attached; the others were not read.")

    def _document(self, message: EmailMessage, names: list[str]) -> Document:
        writer = TextWriter()
        with damage_told("a message"):
            damage = self._write_text(message, writer)
        metadata = {name: _header(message, name.title()) for name in ("from", "to", "cc")}
        metadata |= {"date": _date(message), "message_id": _header(message, "Message-ID"), "damage": damage}
        document = writer.document(self._file, title=_header(message, "Subject"), metadata=metadata)
        more: dict[str, object] = {"attachments": names} if names else {}
        return replace(document, metadata={**document.metadata, **more}) if more else document

    def _write_text(self, message: EmailMessage, writer: TextWriter) -> str:
        """Write the text of a message; return what could not be decoded of it, told in words."""
        plain = message.get_body(("plain",))
        text, damage = self._decoded(cast("EmailMessage", plain)) if plain is not None else ("", "")
        if text.strip():
            writer.paragraph(_PARTING.sub("", text))
            return damage
        page = message.get_body(("html",))
        if page is None:
            return damage
        text, damage = self._decoded(cast("EmailMessage", page))
        if text.strip():
            write_visible(parse_html(text), writer)
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
        suffix = PurePosixPath(name).suffix.lower()
        if part.get_content_type() == "message/rfc822" or suffix == ".eml":
            if self._depth >= MAX_DEPTH:
                yield Rejected(where, f"is a message within {MAX_DEPTH} others; save it by itself.")
                return
            inner = _Message(within, self._fields, self._encoding, where, self._depth + 1)
            try:
                yield from inner.guarded(_inner(part))
            except InputError as error:
                yield Rejected(where, str(error))
            return
        from index.readers.registry import is_supported, read_here

        if not is_supported(suffix) or suffix in _CONTAINERS:
            return
        data = part.get_payload(decode=True)
        if not isinstance(data, bytes):
            return
        with tempfile.TemporaryDirectory(prefix="tongues-") as folder:
            path = Path(folder, f"attached{suffix}")
            path.write_bytes(data)
            item_file = replace(within, place=str(path), source=where, size=len(data))
            for item in read_here(item_file, fields=self._fields, encoding=self._encoding):
                if isinstance(item, Document):
                    yield replace(item, source=self._file.source)
                else:
                    yield item

    def _unused(self, name: str) -> str:
        """Return a name that no other file of the message has."""
        stem, suffix = PurePosixPath(name).stem, PurePosixPath(name).suffix
        number = 1
        while name in self._names:
            number += 1
            name = f"{stem} ({number}){suffix}"
        self._names.add(name)
        return name


def _attached(message: EmailMessage) -> Iterator[EmailMessage]:
    """Yield the parts that are files, in their order: those with a name, said to be attached, or messages."""
    body = {id(message.get_body((kind,))) for kind in ("plain", "html")}
    pending = [message]
    while pending:
        part = pending.pop()
        is_message = part.get_content_type() == "message/rfc822"
        is_file = is_message or part.get_content_disposition() == "attachment" or bool(part.get_filename())
        if part.is_multipart() and not is_message:
            pending += reversed([cast("EmailMessage", inner) for inner in part.iter_parts()])
        elif is_file and id(part) not in body and part is not message:
            yield part


def _name(part: EmailMessage) -> str:
    """Return the name of a file attached: its last part, since some programs give whole paths."""
    name = one_line(_unescaped(part.get_filename() or "")).replace("\\", "/").rpartition("/")[2].strip(". ")
    if name:
        return name if len(name) <= _LONGEST_NAME else name[: _LONGEST_NAME // 2] + name[-_LONGEST_NAME // 2 :]
    return _FORWARDED if part.get_content_type() == "message/rfc822" else "unnamed"


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
        return one_line(_unescaped(str(message.get(name, ""))))
    except Exception:  # the standard library's parser of headers fails over some in its own ways
        raw = next((value for key, value in message.raw_items() if key.lower() == name.lower()), "")
        return one_line(_unescaped(str(raw)))


def _unescaped(text: str) -> str:
    """Read the bytes that a header holds against the rules, which the parser keeps as halves of surrogate pairs."""
    if text.isascii():
        return text
    data = text.encode("utf-8", "surrogateescape")
    try:
        return decode_text(data)
    except InputError:
        return data.decode("utf-8", "replace")


def _date(message: EmailMessage) -> str:
    """Return when it was sent, with its difference from world time; as it stands when it is no date."""
    told = _header(message, "Date")
    try:
        return email.utils.parsedate_to_datetime(told).isoformat()
    except (ValueError, TypeError, IndexError, OverflowError):
        return told
