"""The parts of a message: which of them are its text, in their order, and which are files attached to it."""

from __future__ import annotations

from dataclasses import dataclass
from email.message import EmailMessage
from enum import StrEnum
from pathlib import PurePosixPath
from typing import cast

from index.errors import InputError
from index.readers.decoding import decode_text
from index.readers.writing import one_line

MESSAGE = "message/rfc822"
PLAIN, PAGE = "text/plain", "text/html"

_SIGNATURES = frozenset(["application/pgp-signature", "application/pkcs7-signature", "application/x-pkcs7-signature"])
_OFFICE = "application/vnd.openxmlformats-officedocument"
_OPEN = "application/vnd.oasis.opendocument"
_SUFFIXES = {
    MESSAGE: ".eml",
    PLAIN: ".txt",
    PAGE: ".html",
    "application/epub+zip": ".epub",
    "application/pdf": ".pdf",
    "application/x-ndjson": ".ndjson",
    "application/x-subrip": ".srt",
    "application/xhtml+xml": ".xhtml",
    f"{_OFFICE}.presentationml.presentation": ".pptx",
    f"{_OFFICE}.wordprocessingml.document": ".docx",
    f"{_OPEN}.presentation": ".odp",
    f"{_OPEN}.text": ".odt",
    "text/csv": ".csv",
    "text/markdown": ".md",
    "text/tab-separated-values": ".tsv",
    "text/vtt": ".vtt",
}
"""Suffixes of formats that are read, by the type that a part declares.

Source: IANA's list of media types; application/x-subrip and application/x-ndjson are what programs write."""
_FORWARDED, _UNNAMED = "forwarded", "unnamed"
_LONGEST_NAME = 120


@dataclass(frozen=True, slots=True)
class Parts:
    """What a message is made of.

    Attributes:
        texts: The parts that are its text, plain or a page, without blank ones.
        files: The parts that are files: named, said to be attached, of another type than text, or messages.
    """

    texts: tuple[EmailMessage, ...] = ()
    files: tuple[EmailMessage, ...] = ()


class _Place(StrEnum):
    """Where a part stands, which decides what one that is text and has a name is."""

    FIRST = "first"
    FORM = "form"
    """One of several forms of the same content."""
    RESOURCE = "resource"
    """What a page shows: pictures, mostly."""
    FURTHER = "further"


def parts_of(message: EmailMessage) -> Parts:
    """Find the texts and files of a message; of several forms of a text the plain one, else the last, is taken."""
    return _found(message, _Place.FIRST)


def _found(part: EmailMessage, place: _Place) -> Parts:
    kind = part.get_content_type()
    if kind == MESSAGE or not part.is_multipart():
        return _leaf(part, kind, place)
    inner = [cast("EmailMessage", one) for one in part.iter_parts()]
    if kind == "multipart/alternative":
        forms = [_found(one, _Place.FORM) for one in inner]
        return Parts(_best([form.texts for form in forms]), tuple(file for form in forms for file in form.files))
    first = _Place.FURTHER if place in (_Place.FURTHER, _Place.RESOURCE) else _Place.FIRST
    further = _Place.RESOURCE if kind == "multipart/related" else _Place.FURTHER
    found = [_found(one, further if n else first) for n, one in enumerate(inner)]
    return Parts(
        tuple(text for one in found for text in one.texts),
        tuple(file for one in found for file in one.files),
    )


def _best(forms: list[tuple[EmailMessage, ...]]) -> tuple[EmailMessage, ...]:
    """Choose between forms of the same text: a plain one that says something, else the last, which is the richest."""
    plain = (texts for texts in forms if texts and all(text.get_content_type() == PLAIN for text in texts))
    return next(plain, next((texts for texts in reversed(forms) if texts), ()))


def _leaf(part: EmailMessage, kind: str, place: _Place) -> Parts:
    is_attached = part.get_content_disposition() == "attachment"
    is_named = bool(part.get_filename())
    may_be_text = not is_named or place in (_Place.FIRST, _Place.FORM)
    is_of_page = place is _Place.RESOURCE and "Content-ID" in part
    if kind in (PLAIN, PAGE) and not is_attached and may_be_text and not is_of_page:
        return Parts(texts=(part,)) if _says_something(part) else Parts()
    if kind == MESSAGE or is_attached or is_named:
        return Parts(files=(part,))
    # Pictures of a page, signatures and further forms of a text have no name, and nobody would look for them.
    is_silent = place is _Place.FORM or is_decoration(part) or kind in _SIGNATURES
    return Parts() if is_silent or not _says_something(part) else Parts(files=(part,))


def _says_something(part: EmailMessage) -> bool:
    data = part.get_payload(decode=True)
    return isinstance(data, bytes) and bool(data.replace(b"\xc2\xa0", b"").strip())


def is_decoration(part: EmailMessage) -> bool:
    """Tell whether a file belongs to the message itself: a picture shown in its text, or its signature."""
    if part.get_content_type() in _SIGNATURES:
        return True
    return part.get_content_maintype() == "image" and part.get_content_disposition() != "attachment"


def file_name(part: EmailMessage) -> str:
    """Return the name of a file attached: its last part, since some programs give whole paths."""
    name = one_line(unescaped(part.get_filename() or "")).replace("\\", "/").rpartition("/")[2].strip(". ")
    if name:
        return name if len(name) <= _LONGEST_NAME else name[: _LONGEST_NAME // 2] + name[-_LONGEST_NAME // 2 :]
    return (_FORWARDED if part.get_content_type() == MESSAGE else _UNNAMED) + _SUFFIXES.get(part.get_content_type(), "")


def file_suffix(name: str, part: EmailMessage) -> str:
    """Return the suffix that tells the format of a file attached: that of its name, else that of its type."""
    if part.get_content_type() == MESSAGE:
        return _SUFFIXES[MESSAGE]
    return PurePosixPath(name).suffix.lower() or _SUFFIXES.get(part.get_content_type(), "")


def unescaped(text: str) -> str:
    """Read the bytes that a header holds against the rules, which the parser keeps as halves of surrogate pairs."""
    if text.isascii():
        return text
    data = text.encode("utf-8", "surrogateescape")
    try:
        return decode_text(data)
    except InputError:
        return data.decode("utf-8", "replace")
