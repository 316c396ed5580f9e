"""Files nobody should have to trust, made from sound ones: damaged at random, or built to harm."""

from __future__ import annotations

import io
import random
import zipfile
import zlib
from collections.abc import Callable, Mapping

ZIPPED = (".docx", ".epub", ".odp", ".odt", ".pptx", ".zip")
"""Formats that are zip archives: their members are damaged too."""


def spoiled(sound: bytes, chance: random.Random) -> bytes:
    """Damage bytes: flipped, cut off, cut out, said twice, moved, or overwritten by numbers that are sizes."""
    data = bytearray(sound)
    for _ in range(chance.choice((1, 1, 2, 8))):
        at, n = chance.randrange(len(data) + 1), chance.choice((1, 4, 64, 1_000, len(data) // 3))
        kind = chance.choice(("flip", "flip", "cut", "out", "twice", "move", "size"))
        if kind == "flip":
            for _ in range(chance.choice((1, 10, 100))):
                data[chance.randrange(len(data))] = chance.randrange(256)
        elif kind == "cut":
            del data[at:]
        elif kind == "out":
            del data[at : at + n]
        elif kind == "twice":
            data[at:at] = data[at : at + n] * chance.choice((1, 3))
        elif kind == "move":
            piece = data[at : at + n]
            del data[at : at + n]
            to = chance.randrange(len(data) + 1)
            data[to:to] = piece
        else:
            data[at : at + 4] = chance.choice((b"\xff\xff\xff\xff", b"\0\0\0\0", b"\xff\xff\xff\x7f", b"9999"))
        if not data:
            return b""
    return bytes(data)


def spoiled_member(sound: bytes, chance: random.Random) -> bytes:
    """Damage what a member of a zip archive holds, and pack all of it again without fault."""
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(sound)) as archive, zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as out:
        members = [member for member in archive.infolist() if not member.is_dir()]
        texts = [member for member in members if member.filename.endswith((".xml", ".xhtml", ".opf", ".rels", ".ncx"))]
        chosen = chance.choice(texts or members).filename
        for member in members:
            content = archive.read(member)
            out.writestr(member.filename, spoiled(content, chance) if member.filename == chosen else content)
    return made.getvalue()


def with_member(sound: bytes, name: str, content: bytes) -> bytes:
    """Return a zip archive with another content of a member."""
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(sound)) as archive, zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as out:
        for member in archive.infolist():
            out.writestr(member.filename, content if member.filename == name else archive.read(member))
    return made.getvalue()


def nested(depth: int, width: int) -> bytes:
    """Make an archive of archives whose innermost files are millions of the same letter."""
    content, name = b"a" * 8_000_000, "a.txt"
    for _ in range(depth):
        made = io.BytesIO()
        with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as out:
            for i in range(width):
                out.writestr(f"{i}{name}", content)
        content, name = made.getvalue(), "a.zip"
    return content


def laughs() -> bytes:
    """Make the beginning of an XML file with an entity of ten thousand million letters, ``&l9;``."""
    entities = "".join(f'<!ENTITY l{i} "{f"&l{i - 1};" * 10}">' for i in range(1, 10))
    return f'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY l0 "hahahahaha">{entities}]>'.encode()


def pdf(objects: Mapping[int, bytes]) -> bytes:
    """Write a PDF of these objects; 1 is its catalog."""
    out = bytearray(b"%PDF-1.7\n")
    places = {}
    for number, content in objects.items():
        places[number] = len(out)
        out += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    start = len(out)
    out += b"xref\n0 1\n0000000000 65535 f \n"
    for number, place in places.items():
        out += b"%d 1\n%010d 00000 n \n" % (number, place)
    out += b"trailer\n<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % (max(objects) + 1, start)
    return bytes(out)


def stream(content: bytes, more: bytes = b"") -> bytes:
    """Write a stream of a PDF."""
    return b"<<%s/Length %d>>\nstream\n%s\nendstream" % (more, len(content), content)


_CATALOG = b"<</Type/Catalog/Pages 2 0 R>>"
_PAGES = b"<</Type/Pages/Kids[3 0 R]/Count 1>>"
_FONT = b"/Font<</F<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>>>"
_FORM = b"/Type/XObject/Subtype/Form/BBox[0 0 9 9]/Resources<<%s>>"
_TEXT = stream(b"BT /F 9 Tf 9 9 Td (Hello there) Tj ET")


def _page(content: bytes, resources: bytes = _FONT, more: Mapping[int, bytes] | None = None) -> bytes:
    """Write a PDF of one page."""
    page = b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 99 99]/Contents 4 0 R/Resources<<%s>>>>" % resources
    return pdf({1: _CATALOG, 2: _PAGES, 3: page, 4: content, **(more or {})})


def _tree(pages: bytes, more: Mapping[int, bytes] | None = None) -> bytes:
    """Write a PDF with another tree of pages."""
    page = b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 99 99]/Contents 4 0 R/Resources<<%s>>>>" % _FONT
    return pdf({1: _CATALOG, 2: pages, 3: page, 4: _TEXT, **(more or {})})


def _deep_tree() -> bytes:
    nodes = {n: b"<</Type/Pages/Kids[%d 0 R]/Count 1>>" % (n + 1) for n in range(5, 40_000)}
    return _tree(b"<</Type/Pages/Kids[5 0 R]/Count 1>>", {**nodes, 40_000: _PAGES})


def _many_forms() -> bytes:
    forms = {n: stream(b"/X Do " * 10, _FORM % (b"/XObject<</X %d 0 R>>" % (n + 1))) for n in range(5, 15)}
    last = stream(b"BT /F 9 Tf (ha) Tj ET", _FORM % _FONT)
    return _page(stream(b"/X Do"), b"/XObject<</X 5 0 R>>", {**forms, 15: last})


def _packed(content: bytes, n: int = 1, *, twice: bool = False) -> bytes:
    """Write a stream of the same content n times, without having it in memory."""
    packer = zlib.compressobj(1)
    packed = b"".join(packer.compress(content) for _ in range(n)) + packer.flush()
    packed = zlib.compress(packed) if twice else packed
    return stream(packed, b"/Filter[/FlateDecode%s]" % (b"/FlateDecode" if twice else b""))


HOSTILE_PDFS: dict[str, Callable[[], bytes]] = {
    "harmless": lambda: _page(_TEXT),
    "page tree within itself": lambda: _tree(b"<</Type/Pages/Kids[2 0 R 2 0 R]/Count 2>>"),
    "page tree 40,000 deep": _deep_tree,
    "two thousand million pages": lambda: _tree(b"<</Type/Pages/Kids[3 0 R]/Count 2147483647>>"),
    "one page 100,000 times": lambda: _tree(b"<</Type/Pages/Kids[%s]/Count 100000>>" % (b"3 0 R " * 100_000)),
    "references in a ring": lambda: pdf({1: _CATALOG, 2: b"3 0 R", 3: b"4 0 R", 4: b"2 0 R"}),
    "contents that are themselves": lambda: _page(b"[4 0 R 4 0 R]"),
    "a form that draws itself": lambda: _page(
        stream(b"/X Do " * 50),
        b"/XObject<</X 5 0 R>>",
        {5: stream(b"/X Do /X Do", _FORM % b"/XObject<</X 5 0 R>>")},
    ),
    "ten thousand million forms": _many_forms,
    "200 MB of nothing": lambda: _page(_packed(b"\0" * 1_000_000, 200)),
    "1.5 GB packed twice": lambda: _page(_packed(b" " * 1_000_000, 1_500, twice=True)),
    "lists 100,000 deep": lambda: pdf({1: b"<</Type/Catalog/Pages " + b"[" * 100_000}),
    "five million letters on a page": lambda: _page(
        _packed(b"BT /F 9 Tf 9 9 Td " + b"(aaaaaaaaaaaaaaaa) Tj " * 300_000 + b"ET")
    ),
    "right-to-left letters that go back and forth": lambda: _page(
        _packed(b"BT /F 9 Tf 9 9 Td " + b"".join(b"%d 0 Td <01> Tj " % (i * (-1) ** i) for i in range(60_000)) + b"ET"),
        b"/Font<</F<</Type/Font/Subtype/Type1/BaseFont/Helvetica/ToUnicode 5 0 R>>>>",
        {
            5: stream(
                b"begincmap 1 begincodespacerange <00><ff> endcodespacerange 1 beginbfchar <01><0628> endbfchar endcmap"
            )
        },
    ),
    "only a trailer": lambda: b"%PDF-1.7\ntrailer<</Root 1 0 R/Prev 9>>\nstartxref\n9\n%%EOF",
}
"""PDFs built to harm, by what they hold."""
