"""Index directories that nobody should have to trust, made from a sound one."""

from __future__ import annotations

import json
import os
import sqlite3
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

from index import layout
from index.layout import CURRENT, DATABASE, MANIFEST
from index.manifest import record_file
from index.store import current_generation

Spoil = Callable[[Path], None]
"""Spoils an index directory."""

FIRST = "s000001"
FILES = layout.files_of(3, [FIRST])
VECTORS = f"{FIRST}/{layout.VECTORS}"
WORDS = f"{FIRST}/lexical-terms.npy"
PAGE = 512
LEAF = bytes([13, 0, 0, 0, 1, (PAGE - 7) >> 8, (PAGE - 7) & 255, 0]).ljust(10, b"\0")[:8] + struct.pack(">H", PAGE - 7)
ROW = bytes([5, 1, 3, 15, 15, 97, 98])
"""A row 1 of two texts of one letter."""


def sign(directory: Path, **changes: object) -> None:
    """Change a manifest, and let it agree with the files that are there."""
    import hashlib

    path = current_generation(directory) / MANIFEST
    data = json.loads(path.read_text("utf-8"))
    del data["checksum"]
    for name in data["files"]:
        status = (path.parent / name).stat()
        small = path.parent.joinpath(name).is_file() and status.st_size < 10**8
        sha256 = record_file(path.parent / name).sha256 if small else "0" * 64
        data["files"][name] = {"size": status.st_size, "sha256": sha256}
    for name, value in changes.items():
        at: Any = data
        *parents, last = name.split("__")
        for parent in parents:
            at = at[int(parent) if isinstance(at, list) else parent]
        at[last] = value
    text = json.dumps(data, sort_keys=True)
    path.write_text(json.dumps({**data, "checksum": hashlib.sha256(text.encode()).hexdigest()}), "utf-8")


def says(**changes: object) -> Spoil:
    """Let the manifest say something else."""
    return lambda directory: sign(directory, **changes)


def in_current(content: bytes) -> Spoil:
    return lambda directory: void(directory.joinpath(CURRENT).write_bytes(content))


def in_manifest(content: bytes) -> Spoil:
    return lambda directory: void((current_generation(directory) / MANIFEST).write_bytes(content))


def in_file(name: str, content: bytes, size: int = 0) -> Spoil:
    """Replace a file, which is then filled up to a size with nothing."""

    def spoil(directory: Path) -> None:
        path = current_generation(directory) / name
        path.write_bytes(content)
        os.truncate(path, max(size, len(content)))
        if name in FILES:
            sign(directory)

    return spoil


def array(header: str, *, version: int = 1, length: int = 0) -> bytes:
    """Return the beginning of an array file; ``length`` is what it says of its header's length."""
    text = header.encode() + b"\n"
    size = struct.pack("<H" if version == 1 else "<I", length or len(text))
    return b"\x93NUMPY" + bytes([version, 0]) + size + text


def pipe(name: str) -> Spoil:
    return replaced(name, os.mkfifo)


def link(name: str, to: str) -> Spoil:
    return replaced(name, lambda path: path.symlink_to(to))


def replaced(name: str, make: Callable[[Path], None]) -> Spoil:
    def spoil(directory: Path) -> None:
        path = directory / CURRENT if name == CURRENT else current_generation(directory) / name
        path.unlink()
        make(path)
        if name in FILES:
            sign(directory)

    return spoil


def sql(*statements: str, new: bool = False) -> Spoil:
    """Let statements run in the database, or in a new one."""

    def spoil(directory: Path) -> None:
        path = current_generation(directory) / DATABASE
        if new:
            path.unlink()
        database = sqlite3.connect(path, isolation_level=None)
        for statement in statements:
            database.execute(statement)
        database.close()
        sign(directory)

    return spoil


def rewritten(table: str, old: str, new: str) -> Spoil:
    """Change the text of a statement in the schema, and nothing else."""
    return sql(
        "PRAGMA writable_schema = ON",
        f"UPDATE sqlite_master SET sql = replace(sql, '{old}', '{new}') WHERE name = '{table}'",
    )


def tree(table: str, make_pages: Callable[[int], list[bytes]]) -> Spoil:
    """Put other pages in place of a table's; ``make_pages`` is told the number of the first, which becomes its root."""

    def spoil(directory: Path) -> None:
        path = current_generation(directory) / DATABASE
        old = sqlite3.connect(path)
        old.executescript(f"PRAGMA page_size = {PAGE}; VACUUM")
        (root,) = old.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (table,)).fetchone()
        old.close()
        content = bytearray(path.read_bytes())
        first, *others = make_pages(len(content) // PAGE)
        content[(root - 1) * PAGE : root * PAGE] = first
        content += b"".join(others)
        content[28:32] = struct.pack(">I", len(content) // PAGE)
        path.write_bytes(content)
        sign(directory)

    return spoil


def leaf() -> bytes:
    return LEAF + bytes(PAGE - len(LEAF) - len(ROW)) + ROW


def inner(children: list[int], key: int = 1) -> bytes:
    """Return an inner page of a table; the last child is that on the right."""
    cells = [struct.pack(">I", child) + bytes([key]) for child in children[:-1]]
    start = PAGE - 5 * len(cells)
    head = struct.pack(">BHHHBI", 5, 0, len(cells), start, 0, children[-1])
    places = b"".join(struct.pack(">H", start + 5 * i) for i in range(len(cells)))
    return head + places + bytes(start - len(head) - len(places)) + b"".join(cells)


def circle(end: int) -> list[bytes]:
    """A page whose children are the page after it, whose children are itself."""
    return [inner([end + 1] * 60), inner([end + 1] * 60)]


def fan(end: int) -> list[bytes]:
    """Sixteen pages, each 60 times the child of the one before: 60 ** 16 rows."""
    return [*(inner([end + 1 + i] * 60) for i in range(16)), leaf()]


def well(end: int) -> list[bytes]:
    """A tree that lies 40,000 pages deep."""
    depth = 40_000
    pages = [inner([end + 2 * i + 1, end + 2 * i + 2], 1) for i in range(depth)]
    return [page for i, above in enumerate(pages) for page in ((above,) if i == 0 else (leaf(), above))] + [leaf()] * 2


def void(_: object) -> None:
    """Return nothing."""


RECURSIVE = """CREATE VIEW passages AS WITH RECURSIVE n(row) AS (SELECT 0 UNION ALL SELECT row + 1 FROM n)
SELECT row, '' AS passage_id, 'en' AS lang, '' AS context, '' AS text FROM n"""

ARRAY = "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 64), }"

HOSTILE: dict[str, tuple[str, Spoil]] = {
    # CURRENT
    "current of 10 GB": ("10,000,000,000 bytes", lambda d: os.truncate(d / CURRENT, 10**10)),
    "current a pipe": ("regular file", pipe(CURRENT)),
    "current a device": ("regular file", link(CURRENT, "/dev/zero")),
    "current a link to itself": ("cannot be read", link(CURRENT, CURRENT)),
    "current of /proc": ("which is not there", link(CURRENT, "/proc/self/maps")),
    "current leads away": ("which is not there", in_current(b"../../../etc")),
    "current with nul": ("which is not there", in_current(b"g000001\0")),
    "current in other digits": ("which is not there", in_current("g٠٠٠٠٠١".encode())),
    # The manifest
    "manifest of 2 GB": ("bytes where", lambda d: os.truncate(current_generation(d) / MANIFEST, 2 * 10**9)),
    "manifest of deep lists": ("nested too deeply", in_manifest(b"[" * 100_000)),
    "manifest of deep objects": ("nested too deeply", in_manifest(b'{"a":' * 100_000)),
    "manifest a list": ("no JSON object", in_manifest(b"[]")),
    "manifest a pipe": ("regular file", pipe(MANIFEST)),
    "manifest a device": ("regular file", link(MANIFEST, "/dev/zero")),
    "manifest of a long number": ("manifest.json", in_manifest(b'{"format_version": ' + b"9" * 5_000 + b"}")),
    "manifest without a number": ("no number", in_manifest(b'{"format_version": NaN}')),
    "manifest of half pairs": ("surrogates", in_manifest(rb'{"format_version": 2, "tool_version": "\udc00"}')),
    "version a list": ("no number", says(format_version=[2] * 1000)),
    "version in escapes": ("version unknown", says(format_version=9, tool_version="\x1b[2J")),
    "passages a text": ("not a manifest", says(counts__passages="3")),
    "passages a list": ("not a manifest", says(counts__languages=[3])),
    "passages below none": ("not a manifest", says(counts__passages=-1)),
    "passages without end": ("not a manifest", says(counts__passages=10**30)),
    "many passages": (
        "langs.npy",
        says(segments__0__rows=10**12, counts__passages=10**12, counts__languages={"en": 10**12}, languages=["en"]),
    ),
    "many sentences": ("sentences.npy", says(counts__sentences=2**62, segments__0__sentences=2**62)),
    "more sentences than there are": ("not a manifest", says(counts__sentences=2**62)),
    "vectors of no numbers": ("not a manifest", says(encoder__dim=0)),
    "vectors of many numbers": ("not a manifest", says(encoder__dim=2**40)),
    "vectors of true numbers": ("not a manifest", says(encoder__dim=True)),
    "encoder a list": ("not a manifest", says(encoder=["model"])),
    "encoder of no name": ("not a manifest", says(encoder__model=5)),
    "languages of numbers": ("not a manifest", says(languages=[1, 2])),
    "languages in lists": ("not a manifest", says(languages=[["en"], ["lt"]])),
    "a language of no passage": ("not a manifest", says(languages=["en", "lt", "xx"], counts__languages__xx=0)),
    "balance a text": ("not a manifest", says(balance="much")),
    "settings a list": ("not a manifest", says(settings=["parallel"])),
    "fitted a text": ("not a manifest", says(fitted_from="x")),
    "files none": ("not a manifest", says(files=None)),
    "files that lead away": ("other files", says(files={"../../x": {"size": 1, "sha256": ""}})),
    "size a text": ("not a manifest", says(files__vectors={"size": "1", "sha256": ""})),
    "kind an object": ("not a manifest", says(segments__0__kind={})),
    # Files that are none
    **{f"{name} a pipe": (name, pipe(name)) for name in FILES},
    "vectors a device": (VECTORS, link(VECTORS, "/dev/zero")),
    "database a device": (DATABASE, link(DATABASE, "/dev/urandom")),
    "manifest a link to nothing": (MANIFEST, link(MANIFEST, "nothing")),
    # Arrays
    "array of a long header": (VECTORS, in_file(VECTORS, array("{", version=2, length=2**31), 5 * 10**8)),
    "array of a deep header": (VECTORS, in_file(VECTORS, array("(" * 900))),
    "array of a header of signs": (VECTORS, in_file(VECTORS, array("-" * 900 + "1"))),
    "array of objects": (
        "header is not as it was written",
        in_file(VECTORS, array(ARRAY.replace("<f4", "|O")) + b"cos\nsystem\n(S'true'\ntR."),
    ),
    "array of many rows": (VECTORS, in_file(VECTORS, array(ARRAY.replace("(3", f"({10**12}")))),
    "array of fewer rows than none": (VECTORS, in_file(VECTORS, array(ARRAY.replace("(3", "(-3")))),
    "array of a code": (VECTORS, in_file(VECTORS, array("__import__('os').abort()"))),
    "array of version 3": (VECTORS, in_file(VECTORS, array(ARRAY, version=3))),
    "array of parts": (VECTORS, in_file(VECTORS, array(ARRAY.replace("'<f4'", "[('a', '<f4', (9, 9))]")))),
    "words of one value": (
        "lexical-terms.npy",
        in_file(
            "s000001/lexical-terms.npy", array("{'descr': '<u8', 'fortran_order': False, 'shape': (), }") + bytes(8)
        ),
    ),
    "words of many values": (
        "lexical-terms.npy",
        in_file(
            "s000001/lexical-terms.npy", array(f"{{'descr': '<u8', 'fortran_order': False, 'shape': ({10**18},), }}")
        ),
    ),
    "words of fewer than none": (
        "lexical-rows.npy",
        in_file(f"{FIRST}/lexical-rows.npy", array("{'descr': '<u4', 'fortran_order': False, 'shape': (-1,), }")),
    ),
    # The database
    "database empty": (DATABASE, in_file(DATABASE, b"")),
    "database of noise": (DATABASE, in_file(DATABASE, bytes(range(256)) * 100)),
    "database of a head": (DATABASE, in_file(DATABASE, b"SQLite format 3\0" + b"\xff" * 4000)),
    "database of another program": ("no part of an index", sql("CREATE TABLE moz_places (id)", new=True)),
    "passages without end in a view": ("passages) - too many", sql("DROP TABLE passages", RECURSIVE)),
    "passages in a view": (
        "its passages is not",
        sql("DROP TABLE passages", "CREATE VIEW passages AS SELECT *, doc AS row FROM documents"),
    ),
    "a view beside": ("'v' is no part", sql("CREATE VIEW v AS SELECT 1")),
    "a trigger": (
        "'t' is no part",
        sql("CREATE TRIGGER t AFTER INSERT ON passages BEGIN DELETE FROM documents; END"),
    ),
    "a computed text": (
        "its rejected is not",
        rewritten("rejected", "reason TEXT NOT NULL", "reason AS (zeroblob(1000000000))"),
    ),
    "a default": ("its rejected is not", rewritten("rejected", "reason TEXT", "reason TEXT DEFAULT (zeroblob(9e8))")),
    "a virtual table": (
        DATABASE,
        rewritten("rejected", "CREATE TABLE rejected (", "CREATE VIRTUAL TABLE rejected USING fts5 ("),
    ),
    "a statement that is none": (DATABASE, rewritten("rejected", "CREATE", "CRATE")),
    "no index of occurrences": ("no such table or index", sql("DROP INDEX occurrences_by_document")),
    "many tables": (DATABASE, sql(*(f"CREATE TABLE t{i} (a)" for i in range(300)))),
    "one tree for two tables": (
        DATABASE,
        sql(
            "PRAGMA writable_schema = ON",
            "UPDATE sqlite_master SET rootpage = (SELECT rootpage FROM sqlite_master WHERE name = 'documents') "
            "WHERE name = 'passages'",
        ),
    ),
    "text of bytes": ("another type", sql("UPDATE passages SET text = zeroblob(1000)")),
    "text too long": ("too big", sql("UPDATE passages SET text = CAST(zeroblob(70000000) AS TEXT)")),
    "text of bad bytes": ("UTF-8", sql("UPDATE passages SET text = CAST(x'fffe41' AS TEXT)")),
    "offsets of texts": ("another type", sql("UPDATE occurrences SET start = 'x'")),
    "offsets below none": ("nothing can stand", sql("UPDATE occurrences SET start = -5")),
    "offsets in disorder": ("nothing can stand", sql("UPDATE occurrences SET start = end + 1")),
    "deep metadata": ("nested too deeply", sql(f"UPDATE documents SET metadata = '{'[' * 100_000}'")),
    "metadata a list": ("no object", sql("UPDATE documents SET metadata = '[]'")),
    "metadata of no number": ("is no number", sql("""UPDATE documents SET metadata = '{"a": 1e999}'""")),
    "metadata of half pairs": ("surrogates", sql(r"""UPDATE documents SET metadata = '{"a": "\ud800"}'""")),
    "a circle of pages": (DATABASE, tree("rejected", circle)),
    "a fan of pages": ("for ever", tree("rejected", fan)),
    "a fan of passages": ("for ever", tree("passages", fan)),
    "a well of pages": (DATABASE, tree("rejected", well)),
}
"""What was done, a part of what is said, and what does it."""
