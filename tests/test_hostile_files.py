"""Files that nobody should have to trust: read, or refused with a reason; nothing crashes, hangs or fills the memory.

Every file of ``tests/files`` takes part by its suffix. ``TONGUES_HOSTILE_FILES=200`` damages each so many times.
"""

from __future__ import annotations

import gzip
import io
import os
import random
import re
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from index.config import FieldNames
from index.readers import SourceFile, isolated, read_file
from index.readers.registry import is_supported
from index.records import Document, Rejected
from tests.builds import ROOT
from tests.damaged_files import HOSTILE_PDFS, ZIPPED, laughs, nested, spoiled, spoiled_member, with_member

N_FILES = int(os.environ.get("TONGUES_HOSTILE_FILES", "3"))
SECONDS = 40.0
"""What a file may take on a busy machine: 30 s, and a process that is started."""
MAX_GROWTH = 700 << 20
"""What this process may grow by: a text of 256 MB, as it is sent and as it is kept."""
FILES = ROOT / "tests" / "files"


def made_archive() -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(FILES.rglob("*"))[:4]:
            if path.is_file():
                archive.write(path, path.name)
        archive.writestr("a.txt", "a note\n" * 50)
        archive.writestr("b.jsonl", '{"text": "a record"}\n' * 50)
    return made.getvalue()


def sound_files() -> dict[str, list[bytes]]:
    """Return what is damaged, by suffix."""
    found: dict[str, list[bytes]] = {}
    for path in sorted(FILES.rglob("*")):
        if path.is_file() and is_supported(path.suffix) and path.suffix != ".md":
            found.setdefault(path.suffix, []).append(path.read_bytes())
    return {**found, ".zip": [made_archive()], ".txt.gz": [gzip.compress(b"a note\n" * 50)]}


SOUND = sound_files()


def peak() -> int:
    """Return the most bytes that this process has had in memory since ``forget_peak``."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return 1024 * int(found.group(1)) if found else 0


def forget_peak() -> None:
    """Count the memory of this process from now on: earlier tests may have had much more."""
    Path("/proc/self/clear_refs").write_text("5")


@pytest.fixture(autouse=True)
def _bounded() -> Iterator[None]:
    """Check the memory of this process; that of those which read is bounded by the system itself."""
    forget_peak()
    before = peak()
    yield
    isolated.end_processes()
    assert 0 < peak() < before + MAX_GROWTH


def read(path: Path) -> list[Document | Rejected]:
    """Read a file as a build does, and check what comes out."""
    began = time.monotonic()
    items = []
    for item in read_file(SourceFile(str(path), path.name, path.name, path.stat().st_size), fields=FieldNames()):
        if isinstance(item, Rejected):
            assert item.where.startswith(path.name)
            assert 10 < len(item.reason) < 2_000
            assert not item.out_of_reach
        else:
            assert item.text
            (item.doc_id + item.title).encode()
        items.append(item)
    assert items
    assert time.monotonic() - began < SECONDS
    return items


@pytest.mark.parametrize("suffix", sorted(SOUND))
def test_damaged_files(suffix: str, tmp_path: Path) -> None:
    chance = random.Random(suffix)
    path = tmp_path / f"file{suffix}"
    for sound in SOUND[suffix]:
        for i in range(-(-N_FILES // len(SOUND[suffix])) if N_FILES > 10 else N_FILES):
            spoil = spoiled_member if suffix in ZIPPED and i % 2 else spoiled
            path.write_bytes(spoil(sound, chance))
            read(path)


@pytest.mark.parametrize("what", sorted(HOSTILE_PDFS))
def test_pdfs_built_to_harm(what: str, tmp_path: Path) -> None:
    path = tmp_path / "file.pdf"
    path.write_bytes(HOSTILE_PDFS[what]())
    items = read(path)
    if what == "harmless":
        assert [item.text for item in items if isinstance(item, Document)] == ["Hello there"]


@pytest.mark.parametrize(("depth", "width"), [(2, 16), (3, 16), (1, 40)])
def test_archives_built_to_harm(depth: int, width: int, tmp_path: Path) -> None:
    path = tmp_path / "file.zip"
    path.write_bytes(nested(depth, width))
    items = read(path)
    assert sum(len(item.text) for item in items if isinstance(item, Document)) <= 64 << 20
    assert any(isinstance(item, Rejected) for item in items)


def test_a_packed_bomb(tmp_path: Path) -> None:
    path = tmp_path / "file.jsonl.gz"
    path.write_bytes(gzip.compress(gzip.compress(b"\n" * 300_000_000, 1), 1))
    assert isinstance(read(path)[-1], Rejected)
    path.write_bytes(gzip.compress(b"\n" * 300_000_000, 1))
    (item,) = read(path)
    assert "grows more than 200 times" in str(item)


DEEP = 100_000
MANY = 200_000 if N_FILES > 10 else 20_000
"""Attributes: the parser's time grows with their square."""
MARKUP: dict[str, Callable[[], bytes]] = {
    "deep": lambda: b'<?xml version="1.0"?>' + b"<a>" * DEEP + b"x" + b"</a>" * DEEP,
    "never closed": lambda: b"<div><p>x" * DEEP,
    "laughs": lambda: laughs() + b"<x>&l9;</x>",
    "laughs where there is no text": lambda: laughs() + b'<x a="&l9;"/>',
    "outside": lambda: b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><x>root: &e;</x>',
    "one attribute": lambda: b'<x a="' + b"a" * 20_000_000 + b'">x</x>',
    "many attributes": lambda: b"<x " + b"".join(b'a%d="" ' % i for i in range(MANY)) + b">x</x>",
    "rubbish": lambda: zlib.compress(b"rubbish" * 10_000),
}


@pytest.mark.parametrize("kind", sorted(MARKUP))
@pytest.mark.parametrize("suffix", sorted(suffix for suffix in SOUND if suffix in (".html", ".xhtml", ".htm", ".xml")))
def test_pages_built_to_harm(suffix: str, kind: str, tmp_path: Path) -> None:
    path = tmp_path / f"file{suffix}"
    path.write_bytes(MARKUP[kind]())
    items = read(path)
    assert not any(isinstance(item, Document) and "/bin/" in item.text for item in items)


@pytest.mark.parametrize("kind", sorted(MARKUP))
@pytest.mark.parametrize("suffix", sorted(suffix for suffix in SOUND if suffix in ZIPPED and suffix != ".zip"))
def test_markup_in_archives_built_to_harm(suffix: str, kind: str, tmp_path: Path) -> None:
    sound = SOUND[suffix][0]
    with zipfile.ZipFile(io.BytesIO(sound)) as archive:
        names = [name for name in archive.namelist() if name.endswith((".xml", ".xhtml", ".opf", ".rels"))]
    chosen = names if N_FILES > 10 else [max(names, key=len)]
    path = tmp_path / f"file{suffix}"
    for name in chosen:
        path.write_bytes(with_member(sound, name, MARKUP[kind]()))
        items = read(path)
        assert not any(isinstance(item, Document) and "/bin/" in item.text for item in items)
