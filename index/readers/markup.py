"""XML and HTML decoded and parsed safely: the home of lxml.

Nothing is fetched, no entity is expanded, and libxml2's own limits of depth and size hold.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Iterator
from html.entities import html5
from typing import TYPE_CHECKING

from index.errors import InputError
from index.extras import needs
from index.readers.decoding import decode_text
from index.readers.writing import clean, one_line

if TYPE_CHECKING:
    from typing import TypeAlias

    from lxml.etree import _Element

    Element: TypeAlias = _Element

_DECLARED = re.compile(
    rb"""<\?xml[^>]{0,100}?\bencoding\s*=\s*["']([\w.:-]{1,40})|<meta[^>]{0,300}?\bcharset\s*=\s*["']?\s*([\w.:-]{1,40})""",
    re.IGNORECASE,
)
_DECLARED_BYTES = 8_192
"""In the first so many bytes a page tells its encoding; the standard says 1,024, pages do not keep to it."""
_READ_AS = {
    "iso8859-1": "cp1252",
    "iso8859-9": "cp1254",
    "iso8859-11": "cp874",
    "tis-620": "cp874",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "shift_jis": "cp932",
    "euc_kr": "cp949",
}
"""Encodings that are read as larger ones, which pages mean by them.

Source: the Encoding Standard's labels (https://encoding.spec.whatwg.org/#names-and-labels)."""

_ENTITY = re.compile(r"&([A-Za-z][A-Za-z0-9]*);")
_XML_ENTITIES = ("amp", "lt", "gt", "quot", "apos")
_XML_DECLARATION = re.compile(r"\s*<\?xml[^>]*\?>")


def parse_xml(data: bytes) -> Element:
    """Parse XML; entities stay what they are, unexpanded.

    Raises:
        InputError: If it is not well formed, or deeper or larger than libxml2 allows.
    """
    with needs("formats", "reading markup"):
        from lxml import etree
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, remove_comments=True, remove_pis=True
    )
    try:
        root: Element = etree.fromstring(data, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise InputError(f"holds damaged XML ({one_line(str(error))[:200]}); save it again.") from error
    return root


def parse_html(text: str) -> Element:
    """Parse a page of HTML, however it is written.

    Raises:
        InputError: If there is nothing in it.
    """
    with needs("formats", "reading .html files"):
        from lxml import etree
        from lxml import html as pages
    parser = pages.HTMLParser(
        encoding="utf-8", remove_comments=True, remove_pis=True, no_network=True, huge_tree=False, default_doctype=False
    )
    data = clean(text).encode()
    if not data.strip():
        raise InputError("is empty; write something in it or remove it.")
    try:
        root: Element = pages.document_fromstring(data, parser=parser)
    except (etree.ParserError, etree.XMLSyntaxError, ValueError) as error:
        raise InputError(f"holds no HTML ({one_line(str(error))[:200]}); leave it out.") from error
    return root


def decode_markup(data: bytes, encoding: str = "") -> str:
    """Decode a page: a byte order mark first, then what is named, UTF-8, what the page declares, what is detected.

    Args:
        data: The page.
        encoding: The name of its encoding, or "".

    Raises:
        InputError: If its encoding cannot be told.
    """
    if not encoding and (declared := _declared(data)):
        text = decode_declared(data, declared)
        if text is not None and "\0" not in text:
            return text
    return decode_text(data, encoding)


def decode_declared(data: bytes, declared: str) -> str | None:
    """Decode a text in the encoding that it declares, or in UTF-8 when it is that; None when it is in neither.

    Hardly any text beyond ASCII in another encoding is valid UTF-8, whatever it says of itself.

    Args:
        data: The text.
        declared: The name of a codec.
    """
    if data.startswith((codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return None  # a byte order mark says better what it is
    for name in (declared,) if data.isascii() else ("utf-8", declared):
        try:
            return data.decode(name)
        except UnicodeDecodeError:
            continue
    return None


def _declared(data: bytes) -> str:
    """Return the name of the codec that a page declares, or ""."""
    found = _DECLARED.search(data[:_DECLARED_BYTES])
    return codec_of((found.group(1) or found.group(2)).decode("ascii")) if found else ""


def codec_of(label: str) -> str:
    """Return the name of Python's codec for what a page or mail calls its encoding, "" when there is none."""
    try:
        name = codecs.lookup(label.strip().removeprefix("x-")).name
        "".encode(name)
    except (LookupError, ValueError):
        return ""
    return _READ_AS.get(name, "utf-8" if name.startswith(("utf-16", "utf-32")) else name)


def parse_xhtml(text: str) -> Element:
    """Parse a page of XHTML, or as HTML when it is not well formed.

    Names of characters (``&nbsp;``) are read; entities of the page's own are dropped.

    Raises:
        InputError: If there is nothing in it.
    """
    named = _ENTITY.sub(_named_character, _XML_DECLARATION.sub("", clean(text), count=1))
    try:
        return parse_xml(named.encode())
    except InputError:
        return parse_html(named)


def _named_character(entity: re.Match[str]) -> str:
    name = entity.group(1)
    return entity.group() if name in _XML_ENTITIES else html5.get(f"{name};", "")


def name_of(element: Element) -> str:
    """Return an element's name without its namespace, in lower case; "" for what is no element."""
    return element.tag.rpartition("}")[2].lower() if isinstance(element.tag, str) else ""


def walk(root: Element, is_skipped: Callable[[Element], bool]) -> Iterator[tuple[str, Element]]:
    """Walk over a tree without recursion.

    Yields:
        Each element with "start" before its content and "end" after it; one to skip with "skipped" alone.
    """
    from lxml import etree

    skipped: Element | None = None
    walker = etree.iterwalk(root, events=("start", "end"))
    for event, element in walker:
        if event == "end":
            yield "skipped" if element is skipped else "end", element
        elif is_skipped(element):
            walker.skip_subtree()
            skipped = element
        else:
            yield "start", element
