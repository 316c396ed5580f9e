"""Books (.epub): the chapters in the order of reading, their headings kept, the table of contents left out."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from index.config import FieldNames
from index.errors import InputError
from index.readers.markup import decode_markup, name_of, parse_xhtml, parse_xml
from index.readers.members import Archive, open_archive
from index.readers.source_file import SourceFile
from index.readers.visible import write_visible
from index.readers.writing import TextWriter, damage_told, one_line
from index.records import Document, Rejected

if TYPE_CHECKING:
    from index.readers.markup import Element

SUFFIXES: tuple[str, ...] = (".epub",)
ISOLATED = True

_KIND = "an .epub file"
_CONTAINER = "META-INF/container.xml"
_ENCRYPTION = "META-INF/encryption.xml"
_PAGES = ("application/xhtml+xml", "text/html", "application/x-dtbook+xml", "text/x-oeb1-document")
_NAMES_TOLD = 3
"""Pages that a message names before it counts the rest."""
_LISTS = frozenset(["toc", "landmarks", "page-list", "loi", "lot"])
"""Kinds of ``nav`` elements that only point into the book."""


def read(file: SourceFile, *, fields: FieldNames, encoding: str) -> Iterator[Document | Rejected]:
    """Read a book as one document, marked with its chapters: documents of its spine with text, from 1.

    Args:
        file: The file.
        fields: Not used: the format has no fields.
        encoding: Not used: the format says itself how it is encoded.

    Raises:
        InputError: If it is damaged, encrypted, holds no text or unpacks to more than may be.
        OSError: If it cannot be read.
    """
    writer = TextWriter()
    with open_archive(file.path, _KIND) as archive, damage_told(_KIND):
        path = _package_path(archive)
        package = parse_xml(archive.read(path))
        encrypted = _encrypted(archive)
        number = 1
        problems: dict[str, str] = {}
        for name in _spine(package, posixpath.dirname(path)):
            if name in encrypted:
                raise InputError("its text is encrypted (it was sold with a lock); only its own program can show it.")
            try:
                page = parse_xhtml(decode_markup(archive.read(name)))
            except InputError as error:
                problems[name] = str(error)
                continue
            writer.mark(f"chapter={number}")
            before = writer.length
            _write_page(writer, page)
            number += writer.length > before
    if problems and not writer.length:
        raise InputError(next(iter(problems.values())))
    told = _told(package)
    metadata = {name: told.get(name, "") for name in ("date", "publisher", "identifier")}
    author = {"author": told.get("creator", "")}
    yield writer.document(
        file, title=told.get("title", ""), lang=told.get("language", ""), metadata={**author, **metadata}
    )
    if problems:
        yield Rejected(file.source, _pages_told(problems))


def _pages_told(problems: Mapping[str, str]) -> str:
    """Say which pages of a book, whose others were read, could not be, and why the first one."""
    name, reason = next(iter(problems.items()))
    shown = ", ".join(one_line(page)[:200] for page in list(problems)[:_NAMES_TOLD])
    more = f" and {len(problems) - _NAMES_TOLD} more" if len(problems) > _NAMES_TOLD else ""
    return f"lacks pages that could not be read, {shown}{more}: {one_line(name)[:200]} {reason}"


def _write_page(writer: TextWriter, page: Element) -> None:
    body = next((element for element in page.iter() if name_of(element) == "body"), page)
    for nav in [element for element in body.iter() if name_of(element) == "nav"]:
        kinds = (nav.get("{http://www.idpf.org/2007/ops}type") or nav.get("epub:type") or "").split()
        if _LISTS.intersection(kinds):
            nav.set("hidden", "hidden")
    write_visible(body, writer)


def _package_path(archive: Archive) -> str:
    """Return the name of the member that says what the book is made of."""
    if _CONTAINER not in archive.names:
        raise InputError(f"is no book ({_CONTAINER} is missing); save it again as EPUB.")
    for element in parse_xml(archive.read(_CONTAINER)).iter():
        if name_of(element) == "rootfile" and (path := element.get("full-path")):
            return _member("", path)
    raise InputError(f"is no book ({_CONTAINER} names none); save it again as EPUB.")


def _member(folder: str, link: str) -> str:
    """Return the name of the member that a link names: a name to look up, never a path on disk."""
    return posixpath.normpath(posixpath.join(folder, unquote(urlsplit(link).path)))


def _spine(package: Element, folder: str) -> Iterator[str]:
    """Yield the names of the pages in the order of reading, each once, without the table of contents."""
    items = {}
    for element in package.iter():
        if name_of(element) == "item" and element.get("id"):
            items[element.get("id")] = element
    seen = set()
    for element in package.iter():
        item = items.get(element.get("idref")) if name_of(element) == "itemref" else None
        if item is None or item.get("media-type") not in _PAGES or "nav" in (item.get("properties") or "").split():
            continue
        name = _member(folder, item.get("href") or "")
        if name not in seen:
            seen.add(name)
            yield name


def _told(package: Element) -> dict[str, str]:
    """Return the first value of each element of the book's metadata, several authors together."""
    told: dict[str, str] = {}
    metadata = next((element for element in package.iter() if name_of(element) == "metadata"), None)
    for element in metadata.iter() if metadata is not None else ():
        name, words = name_of(element), one_line(element.text or "")
        if name == "creator" and words and name in told:
            told[name] += f", {words}"
        elif words:
            told.setdefault(name, words)
    return told


def _encrypted(archive: Archive) -> frozenset[str]:
    """Return the names of the members that are encrypted; fonts often are, in books that anyone may read."""
    if _ENCRYPTION not in archive.names:
        return frozenset()
    root = parse_xml(archive.read(_ENCRYPTION))
    links = (element.get("URI") for element in root.iter() if name_of(element) == "cipherreference")
    return frozenset(_member("", link) for link in links if link)
