"""Archives: every file in them is read as if it lay in a folder, and what could do harm is told."""

from __future__ import annotations

import gzip
import io
import os
import struct
import tempfile
import tracemalloc
import zipfile
from collections.abc import Iterable
from pathlib import Path

import pytest

from index.builder import build
from index.config import FieldNames
from index.readers import SourceFile, find_files, read_file, unpacking
from index.records import Document, Rejected
from index.updater import update
from search.render import place
from search.searcher import Searcher
from tests.toys import ToyEncoder


def read(path: Path) -> list[Document | Rejected]:
    file = SourceFile(str(path), f"in/{path.name}", path.name, path.stat().st_size)
    return list(read_file(file, fields=FieldNames()))


def zipped(members: Iterable[tuple[str | zipfile.ZipInfo, bytes]], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", method) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return made.getvalue()


def written(folder: Path, name: str, content: bytes) -> Path:
    folder.joinpath(name).write_bytes(content)
    return folder / name


def texts(items: Iterable[Document | Rejected]) -> list[tuple[str, str, str]]:
    return [(item.source, item.doc_id, item.text) for item in items if isinstance(item, Document)]


def reasons(items: Iterable[Document | Rejected]) -> dict[str, str]:
    return {item.where: item.reason for item in items if isinstance(item, Rejected)}


def test_files_of_an_archive_are_read_by_their_suffixes(tmp_path: Path) -> None:
    inner = zipped([("deep.txt", b"deep")])
    members = [
        ("b/one.txt", b"one"),
        ("c.jsonl", b'{"id": "7", "text": "seven"}\n{"text": "two"}\nrubbish\n'),
        ("d.JSONL", b'{"id": "7", "text": "other seven"}\n'),
        ("inner.zip", inner),
        ("packed.txt.gz", gzip.compress(b"packed")),
        ("empty/", b""),
        ("__MACOSX/b/one.txt", b"x"),
        (".hidden/x.txt", b"x"),
        ("picture.png", b"x"),
    ]
    items = read(written(tmp_path, "a.zip", zipped(members)))
    assert texts(items) == [
        ("in/a.zip", "a.zip/b/one.txt", "one"),
        ("in/a.zip", "a.zip/c.jsonl/7", "seven"),
        ("in/a.zip", "a.zip/c.jsonl:2", "two"),
        ("in/a.zip", "a.zip/d.JSONL/7", "other seven"),
        ("in/a.zip", "a.zip/inner.zip/deep.txt", "deep"),
        ("in/a.zip", "a.zip/packed.txt.gz", "packed"),
    ]
    told = [item for item in items if isinstance(item, Rejected)]
    assert [(item.where, item.passed_over) for item in told] == [
        ("in/a.zip/c.jsonl:3", False),
        ("in/a.zip/picture.png", True),
    ]


def test_one_packed_file_is_read_as_if_it_were_not(tmp_path: Path) -> None:
    records = b'{"id": "7", "text": "seven"}\n{"text": "two"}\nrubbish\n'
    items = read(written(tmp_path, "r.jsonl.gz", gzip.compress(records)))
    assert texts(items) == [("in/r.jsonl.gz", "7", "seven"), ("in/r.jsonl.gz", "r.jsonl.gz:2", "two")]
    assert list(reasons(items)) == ["in/r.jsonl.gz:3"]
    assert texts(read(written(tmp_path, "n.TXT.GZ", gzip.compress(b"note")))) == [("in/n.TXT.GZ", "n.TXT.GZ", "note")]
    items = read(written(tmp_path, "z.zip.gz", gzip.compress(zipped([("a.txt", b"a")]))))
    assert texts(items) == [("in/z.zip.gz", "z.zip.gz/a.txt", "a")]


def test_a_packed_file_of_another_format_is_passed_over(tmp_path: Path) -> None:
    for name in ("old.tar.gz", "dump.gz"):
        written(tmp_path, name, gzip.compress(b"x"))
    walked = [item for item in find_files([str(tmp_path)]) if isinstance(item, Rejected)]
    assert [(Path(item.where).name, item.passed_over) for item in walked] == [("dump.gz", True), ("old.tar.gz", True)]
    (named,) = find_files([str(tmp_path / "old.tar.gz")])
    assert isinstance(named, Rejected)
    assert not named.passed_over
    assert named.reason.startswith("no reader for '.tar.gz' files")


def named(name: str, **changes: int) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    for field, value in changes.items():
        setattr(info, field, value)
    return info


def test_what_an_archive_should_not_hold_is_told(tmp_path: Path) -> None:
    deepest = zipped([("two.zip", zipped([("one.zip", zipped([("x.txt", b"x")]))]))])
    with pytest.warns(UserWarning, match="Duplicate name"):
        data = zipped(
            [
                ("good.txt", b"good"),
                ("../up.txt", b"x"),
                ("a/../../up.txt", b"x"),
                ("/etc/x.txt", b"x"),
                ("C:\\x.txt", b"x"),
                (named("link.txt", external_attr=0o120777 << 16), b"/etc/passwd"),
                ("good.txt", b"again"),
                ("three.zip", deepest),
                ("bomb.txt", b"a" * 20_000_000),
                ("last.txt", b"last"),
            ]
        )
    items = read(written(tmp_path, "a.zip", data))
    assert [text for _, _, text in texts(items)] == ["good", "last"]
    assert reasons(items) == {
        **{
            f"in/a.zip/{name}": "is named as if it lay outside the archive; make the archive again with paths below "
            "its folder."
            for name in ("../up.txt", "a/../../up.txt", "/etc/x.txt", "C:/x.txt")
        },
        "in/a.zip/link.txt": "is a symbolic link, which is not followed; put the file itself in the archive.",
        "in/a.zip/good.txt": "has the name of an earlier file in the archive; rename one of them.",
        "in/a.zip/three.zip/two.zip": "is an archive within 2 others; unpack it.",
        "in/a.zip/bomb.txt": "grows more than 200 times when it is unpacked, as no text does; leave it out.",
    }


def test_packed_another_way_or_encrypted(tmp_path: Path) -> None:
    (one,) = reasons(read(written(tmp_path, "l.zip", zipped([("x.txt", b"x")], zipfile.ZIP_LZMA)))).values()
    assert one == "is packed in a way that is not read (method 14); make the archive again with deflate."
    assert [t for *_, t in texts(read(written(tmp_path, "b.zip", zipped([("x.txt", b"x")], zipfile.ZIP_BZIP2))))] == [
        "x"
    ]
    data = bytearray(zipped([("x.txt", b"x")]))
    for mark, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(mark) + at] |= 1
    (one,) = reasons(read(written(tmp_path, "e.zip", bytes(data)))).values()
    assert one == "is encrypted; make the archive again without a password."


@pytest.mark.parametrize(("name", "shown"), [("žinia", "žinia"), ("خبر", "خبر")])
def test_names_without_a_word_on_their_encoding_are_utf_8_if_they_can_be(tmp_path: Path, name: str, shown: str) -> None:
    placeholder = "x" * len(name.encode())
    data = zipped([(f"{placeholder}.txt", b"text")]).replace(placeholder.encode(), name.encode())
    assert texts(read(written(tmp_path, "a.zip", data))) == [("in/a.zip", f"a.zip/{shown}.txt", "text")]
    data = zipped([("xxx.txt", b"text")]).replace(b"xxx", b"\x84\x94\x81")
    assert texts(read(written(tmp_path, "a.zip", data))) == [("in/a.zip", "a.zip/äöü.txt", "text")]


def test_sizes_that_an_archive_claims_are_not_believed(tmp_path: Path) -> None:
    data = bytearray(zipped([("a.txt", b"a" * 9_000_000), ("b.txt", b"b")]))
    for mark, at in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        struct.pack_into("<I", data, data.index(mark) + at, 100)
    items = read(written(tmp_path, "a.zip", bytes(data)))
    assert [text for _, _, text in texts(items)] == ["b"]
    assert reasons(items)["in/a.zip/a.txt"].startswith("is damaged")


def overlapping(n: int) -> bytes:
    """Make an archive whose members are all one and the same packed data."""
    data = zipped([("a.txt", os.urandom(40_000).hex().encode() * 12)])
    start = data.index(b"PK\x01\x02")
    end = data.index(b"PK\x05\x06")
    entry = data[start:end]
    entries = b"".join(
        entry[:28] + struct.pack("<H", 9) + entry[30:46] + f"{i:05x}.txt".encode() + entry[51:] for i in range(n)
    )
    tail = data[end:]
    tail = tail[:8] + struct.pack("<HHII", n & 0xFFFF, n & 0xFFFF, len(entries), start) + tail[20:]
    return data[:start] + entries + tail


def test_members_that_share_their_data_are_told(tmp_path: Path) -> None:
    items = read(written(tmp_path, "a.zip", overlapping(500)))
    assert len(items) == 500
    assert sum(len(text) for _, _, text in texts(items)) < 100_000_000
    assert len(reasons(items)) >= 400


def test_too_many_members(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = zipped([(f"{i}.txt", b"x") for i in range(30)])
    path = written(tmp_path, "a.zip", data)
    assert len(texts(read(path))) == 30
    monkeypatch.setattr(unpacking, "MAX_MEMBERS", 29)
    (item,) = read(path)
    assert str(item).startswith("in/a.zip: holds more than")
    outer = written(tmp_path, "o.zip", zipped([("a.zip", data), ("b.zip", data)]))
    assert list(reasons(read(outer))) == ["in/o.zip/a.zip", "in/o.zip/b.zip"]


def test_a_list_that_is_too_long_is_told_before_it_is_made_objects(tmp_path: Path) -> None:
    path = written(tmp_path, "a.zip", overlapping(unpacking.MAX_MEMBERS + 1))
    tracemalloc.start()
    try:
        (item,) = read(path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert str(item).startswith("in/a.zip: holds more than 100,000 files and folders")
    assert peak < 4 * path.stat().st_size


def test_names_that_begin_at_the_folder_itself(tmp_path: Path) -> None:
    data = zipped([("./a.txt", b"one"), ("./b/./c.txt", b"two"), ("./.hidden.txt", b"no"), ("a.txt", b"again")])
    items = read(written(tmp_path, "a.zip", data))
    assert [(doc_id, text) for _, doc_id, text in texts(items)] == [("a.zip/a.txt", "one"), ("a.zip/b/c.txt", "two")]
    assert reasons(items)["in/a.zip/a.txt"].startswith("has the name of an earlier file in the archive")


def test_more_than_may_come_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpacking, "MAX_UNPACKED_BYTES", 2_500_000)
    pieces = [(f"{i}.txt", os.urandom(500_000).hex().encode()) for i in range(4)]
    items = read(written(tmp_path, "a.zip", zipped(pieces)))
    assert [doc_id for _, doc_id, _ in texts(items)] == ["a.zip/0.txt", "a.zip/1.txt"]
    assert all(
        reason.startswith("more comes out of this archive than is unpacked") for reason in reasons(items).values()
    )


@pytest.mark.parametrize("data", [b"", b"rubbish", b"PK\x05\x06", b"PK\x05\x06" + b"\xff" * 18, zipped([])[:20]])
def test_no_archive_at_all(tmp_path: Path, data: bytes) -> None:
    (item,) = read(written(tmp_path, "a.zip", data))
    assert isinstance(item, Rejected)
    assert item.where == "in/a.zip"
    (item,) = read(written(tmp_path, "a.txt.gz", data))
    assert isinstance(item, Rejected)
    (item,) = read(written(tmp_path, "n.zip", zipped([])))
    assert str(item) == "in/n.zip: holds no file; put files in it or remove it."


def test_nothing_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    room = tmp_path / "room"
    room.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(room))
    path = written(tmp_path, "a.zip", zipped([("a.txt", b"a"), ("b.jsonl", b'{"text": "b"}\n' * 100), ("c.txt", b"")]))
    assert len(read(path)) == 102
    items = iter(read_file(SourceFile(str(path), "in/a.zip", "a.zip", 1), fields=FieldNames()))
    next(items)
    assert list(room.iterdir())
    del items
    assert list(room.iterdir()) == []


def test_an_update_embeds_only_the_member_that_changed(tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    written(docs, "mail.zip", zipped([("a.txt", b"first letter"), ("b.txt", b"second letter")]))
    build([str(docs)], tmp_path / "index", encoder=ToyEncoder())
    toy = ToyEncoder()
    report = update(tmp_path / "index", encoder=toy)
    assert (report.files.n_same, toy.encoded) == (1, [])
    written(docs, "mail.zip", zipped([("a.txt", b"first letter"), ("b.txt", b"another letter"), ("c.txt", b"third")]))
    report = update(tmp_path / "index", encoder=toy)
    assert (report.new, report.changed, report.same, report.gone) == (1, 1, 1, 0)
    assert toy.encoded == ["another letter", "third"]
    with Searcher.open(tmp_path / "index", encoder=toy) as searcher:
        (hit,) = searcher.search("third", 1)
    assert place(hit.source, hit.doc_id) == f"{docs}/mail.zip/c.txt"
    written(docs, "note.txt", b"a note")
    written(docs, "mail.zip", b"rubbish")
    report = update(tmp_path / "index", encoder=toy)
    assert (report.gone, [item.out_of_reach for item in report.rejected]) == (3, [False])
