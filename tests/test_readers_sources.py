"""Finding files, and which reader reads them."""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import index.readers
from index.config import FieldNames
from index.errors import InputError, SettingsError
from index.readers import SourceFile, find_files, read_file, supported_suffixes
from index.readers.registry import _readers
from index.records import Document, Rejected


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def make(*names: str) -> None:
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text("text", encoding="utf-8")


def sources(*paths: str) -> list[str]:
    return [item.source for item in find_files(paths) if isinstance(item, SourceFile)]


def rejected(*paths: str) -> list[Rejected]:
    return [item for item in find_files(paths) if isinstance(item, Rejected)]


def test_a_file_given_itself_is_named_as_the_user_named_it() -> None:
    make("docs/a.txt")
    assert list(find_files(["docs/a.txt"])) == [SourceFile("docs/a.txt", "docs/a.txt", "a.txt", 4)]


def test_a_folder_is_walked_and_ids_are_relative_to_it() -> None:
    make("docs/b.md", "docs/a/c.jsonl", "docs/a/d/e.csv")
    found = [item for item in find_files(["docs"]) if isinstance(item, SourceFile)]
    assert [(item.source, item.doc_id) for item in found] == [
        ("docs/a/c.jsonl", "a/c.jsonl"),
        ("docs/a/d/e.csv", "a/d/e.csv"),
        ("docs/b.md", "b.md"),
    ]


@pytest.mark.parametrize("spelling", ["docs", "docs/", "./docs", "docs/../docs/"])
def test_the_spelling_of_a_folder_does_not_change_ids(spelling: str) -> None:
    make("docs/a/b.txt")
    assert [item.doc_id for item in find_files([spelling]) if isinstance(item, SourceFile)] == ["a/b.txt"]


def test_the_folder_one_is_in() -> None:
    make("a.txt")
    assert list(find_files(["."])) == [SourceFile("a.txt", "a.txt", "a.txt", 4)]


def test_order_depends_on_names_alone(tmp_path: Path) -> None:
    names = ["Z.txt", "a.txt", "a/z.txt", "a-b.txt", "ąžuolas.txt", "éa.txt", "10.txt", "9.txt", "ب/1.txt", "a/b/c.txt"]
    orders = []
    for seed in range(4):
        shuffled = random.Random(seed).sample(names, len(names))
        make(*[f"run{seed}/{name}" for name in shuffled])
        orders.append([item.doc_id for item in find_files([f"run{seed}"]) if isinstance(item, SourceFile)])
    expected = [
        "10.txt",
        "9.txt",
        "Z.txt",
        "a/b/c.txt",
        "a/z.txt",
        "a-b.txt",
        "a.txt",
        "éa.txt",
        "ąžuolas.txt",
        "ب/1.txt",
    ]
    assert orders == [expected] * 4


def test_names_that_begin_with_a_dot_are_passed_over_unless_named() -> None:
    make("docs/.git/a.txt", "docs/.hidden.txt", "docs/a.txt")
    assert list(find_files(["docs"])) == [SourceFile("docs/a.txt", "docs/a.txt", "a.txt", 4)]
    assert sources("docs/**/*") == ["docs/a.txt"]
    assert sources("docs/.hidden.txt", "docs/.git", "docs/.h*") == ["docs/.hidden.txt", "docs/.git/a.txt"]


def test_patterns() -> None:
    make("docs/a.md", "docs/b.txt", "docs/x/c.md", "docs/x/y/d.md", "docs/x/y/e.md")
    assert sources("docs/*.md") == ["docs/a.md"]
    assert sources("docs/**/*.md") == ["docs/a.md", "docs/x/c.md", "docs/x/y/d.md", "docs/x/y/e.md"]
    assert sources("docs/**/y/**/[d].md") == ["docs/x/y/d.md"]
    assert sources("docs/?/*.md") == ["docs/x/c.md"]
    assert sources("*/x/**") == ["docs/x/c.md", "docs/x/y/d.md", "docs/x/y/e.md"]
    assert sources(str(Path.cwd() / "docs" / "*.txt")) == [(Path.cwd() / "docs" / "b.txt").as_posix()]


def test_ids_of_a_pattern_are_relative_to_what_goes_before_the_wildcard() -> None:
    make("docs/x/c.md", "docs/y/c.md")
    found = [item.doc_id for item in find_files(["docs/**/*.md"]) if isinstance(item, SourceFile)]
    assert found == ["x/c.md", "y/c.md"]


def test_a_name_with_wildcards_that_exists_is_that_name() -> None:
    make("docs/a[1].txt", "docs/a1.txt")
    assert sources("docs/a[1].txt") == ["docs/a[1].txt"]


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("docs/none.txt", "'docs/none.txt' does not exist; check the spelling and the folder you are in."),
        ("docs/a.txt/b.txt", "'docs/a.txt/b.txt' cannot be used (Not a directory)"),
        ("docs/*.pdf", "'docs/*.pdf' matches no file; check the pattern"),
        ("none/**/*.txt", "'none/**/*.txt' matches no file"),
        ("docs/a.txt/*", "'docs/a.txt/*' matches no file"),
        ("", "a path is empty; name a file, a folder or a pattern"),
        ("a\0b", "embedded null byte"),
        ("a\0*", "embedded null byte"),
        ("x" * 5000, "(File name too long)"),
    ],
)
def test_an_argument_that_names_nothing_stops_before_anything_is_read(argument: str, message: str) -> None:
    make("docs/a.txt")
    with pytest.raises(InputError) as caught:
        next(find_files(["docs", argument]))
    assert message in str(caught.value)


def test_a_file_reached_twice_comes_once() -> None:
    make("docs/a.txt", "docs/b.txt")
    Path("docs/same.txt").symlink_to("a.txt")
    assert sources("docs/b.txt", "docs", "docs/a.txt", str(Path("docs").resolve()), "docs/*") == [
        "docs/b.txt",
        "docs/a.txt",
    ]


def test_a_file_without_a_reader_is_rejected_once() -> None:
    make("docs/a.bin", "docs/README")
    supported = ", ".join(supported_suffixes())
    reason = f"no reader for '.bin' files (supported: {supported}); convert it to one of these."
    unnamed = f"no reader for files without a suffix (supported: {supported}); convert it to one of these."
    assert list(find_files(["docs", "docs/a.bin"])) == [
        Rejected("docs/README", unnamed, passed_over=True),
        Rejected("docs/a.bin", reason, passed_over=True),
    ]
    assert list(find_files(["docs/a.bin"])) == [Rejected("docs/a.bin", reason)]


def test_the_index_below_a_walked_folder_is_no_source() -> None:
    make("docs/a.txt", "docs/ix/b.txt", "docs/ix2/c.txt")
    found = [file.source for file in find_files(["docs"], outside=Path("docs/ix")) if isinstance(file, SourceFile)]
    assert found == ["docs/a.txt", "docs/ix2/c.txt"]


def test_symlinked_folders_are_reported_and_not_followed() -> None:
    make("docs/a/b.txt")
    Path("docs/loop").symlink_to(Path("docs").resolve(), target_is_directory=True)
    expected = [Rejected("docs/loop", "is a symlinked folder, which is not followed; name it itself to read it.")]
    assert rejected("docs") == expected
    assert rejected("docs/**/*.txt") == expected
    assert sources("docs") == ["docs/a/b.txt"]
    assert sources("docs/loop") == ["docs/loop/a/b.txt"]


def test_broken_links_and_links_to_themselves_are_reported() -> None:
    Path("docs").mkdir()
    Path("docs/broken.txt").symlink_to("nowhere")
    Path("docs/self.txt").symlink_to("self.txt")
    broken, itself = rejected("docs")
    assert broken == Rejected("docs/broken.txt", "is a link to nothing, or was removed; remove the link or mend it.")
    assert (itself.where, "cannot be looked at" in itself.reason) == ("docs/self.txt", True)


def test_a_pipe_is_reported_and_never_opened() -> None:
    Path("docs").mkdir()
    os.mkfifo("docs/pipe.txt")
    reason = "is not a regular file (a pipe, socket or device); name files that hold text."
    assert rejected("docs") == rejected("docs/pipe.txt") == [Rejected("docs/pipe.txt", reason)]
    file = SourceFile("docs/pipe.txt", "docs/pipe.txt", "pipe.txt", 0)
    assert list(read_file(file, fields=FieldNames())) == [
        Rejected("docs/pipe.txt", "is not a regular file; name a file that holds text.")
    ]


def test_a_file_name_that_is_not_unicode_is_reported_in_printable_form() -> None:
    Path("docs").mkdir()
    Path(os.fsdecode(b"docs/\xff.txt")).write_text("text", encoding="utf-8")
    assert rejected("docs") == [Rejected("docs/\\udcff.txt", "the file's name is not valid Unicode; rename it.")]


def test_deep_folders_do_not_exhaust_the_stack(tmp_path: Path) -> None:
    depth = 300
    folder = tmp_path.joinpath("deep", *["d"] * depth)
    folder.mkdir(parents=True)
    (folder / "a.txt").write_text("text", encoding="utf-8")
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(250)
    try:
        assert len(sources("deep")) == len(sources("deep/**/*.txt")) == 1
    finally:
        sys.setrecursionlimit(limit)


def test_a_folder_that_vanishes_while_walking_is_reported() -> None:
    make("docs/a.txt", "docs/b/c.txt")
    walk = find_files(["docs"])
    assert isinstance(next(walk), SourceFile)
    Path("docs/b/c.txt").unlink()
    Path("docs/b").rmdir()
    assert list(walk) == [
        Rejected(
            "docs/b",
            "the folder cannot be listed (No such file or directory); check that it may be read.",
            out_of_reach=True,
        )
    ]


def test_a_folder_that_cannot_be_listed_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    make("docs/a.txt", "docs/b/c.txt")
    scandir = os.scandir

    def refuse(path: Path) -> object:
        if Path(path).name == "b":
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr("index.readers.walk.os.scandir", refuse)
    reason = "the folder cannot be listed (Permission denied); check that it may be read."
    expected = [Rejected("docs/b", reason, out_of_reach=True)]
    assert rejected("docs") == rejected("docs/**/*.txt") == expected
    assert rejected("docs/b") == expected
    assert sources("docs") == ["docs/a.txt"]


def test_a_vanished_file_or_a_folder_in_its_place_is_rejected_not_raised() -> None:
    make("a.txt", "b.jsonl")
    first, second = (item for item in find_files(["a.txt", "b.jsonl"]) if isinstance(item, SourceFile))
    Path("a.txt").unlink()
    Path("b.jsonl").unlink()
    Path("b.jsonl").mkdir()
    assert [item for file in (first, second) for item in read_file(file, fields=FieldNames())] == [
        Rejected(
            "a.txt",
            "cannot be read (No such file or directory); check that it is still there and may be read.",
            out_of_reach=True,
        ),
        Rejected("b.jsonl", "is not a regular file; name a file that holds text."),
    ]


def test_suffixes_match_in_any_case() -> None:
    make("docs/A.TXT", "docs/B.Md")
    files = [item for item in find_files(["docs"]) if isinstance(item, SourceFile)]
    documents = [item for file in files for item in read_file(file, fields=FieldNames())]
    assert [item.text for item in documents if isinstance(item, Document)] == ["text", "text"]


def test_reading_a_format_without_a_reader_is_rejected() -> None:
    make("a.bin")
    (item,) = read_file(SourceFile("a.bin", "a.bin", "a.bin", 4), fields=FieldNames())
    assert isinstance(item, Rejected)
    assert item.reason.startswith("no reader for '.bin' files")


@pytest.mark.parametrize("encoding", ["no-such-encoding", "hex", "undefined"])
def test_an_unknown_encoding_is_a_setting_to_mend(encoding: str) -> None:
    make("a.txt")
    with pytest.raises(SettingsError, match="is not known; use a name such as utf-8 or windows-1257"):
        read_file(SourceFile("a.txt", "a.txt", "a.txt", 4), fields=FieldNames(), encoding=encoding)


READER = """
from index.records import Document

SUFFIXES = {suffixes}


def read(file, *, fields, encoding):
    yield Document(file.doc_id, file.source, file.path.read_text(encoding="utf-8").upper())
"""


@pytest.fixture
def plugins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = tmp_path / "plugins"
    folder.mkdir()
    monkeypatch.setattr(index.readers, "__path__", [*index.readers.__path__, str(folder)])
    _readers.cache_clear()
    yield folder
    _readers.cache_clear()
    sys.modules.pop("index.readers.loud", None)


def test_adding_a_format_is_adding_one_file(plugins: Path) -> None:
    (plugins / "loud.py").write_text(READER.format(suffixes="('.loud',)"), encoding="utf-8")
    assert ".loud" in supported_suffixes()
    make("docs/a.loud")
    (file,) = find_files(["docs"])
    assert isinstance(file, SourceFile)
    assert list(read_file(file, fields=FieldNames())) == [Document("a.loud", "docs/a.loud", "TEXT")]


def test_two_readers_of_one_suffix_are_refused(plugins: Path) -> None:
    (plugins / "loud.py").write_text(READER.format(suffixes="('.txt',)"), encoding="utf-8")
    with pytest.raises(ValueError, match=r"another reader already reads '\.txt'"):
        supported_suffixes()
