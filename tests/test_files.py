"""Files and folders that come into being whole: synced, and open to others as far as the umask allows."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from index.files import new_folder, sync, write_text


@pytest.fixture(params=[0o022, 0o027, 0o002, 0o077])
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_others_are_let_in_as_far_as_the_umask_allows(umask: int, tmp_path: Path) -> None:
    write_text(tmp_path / "name", "one\n")
    assert mode(tmp_path / "name") == 0o666 & ~umask
    with new_folder(tmp_path / "folder") as folder:
        (folder / "file").write_text("words")
    assert mode(tmp_path / "folder") == 0o777 & ~umask


def test_nothing_is_left_of_what_failed(tmp_path: Path) -> None:
    write_text(tmp_path / "name", "old\n")
    with pytest.raises(UnicodeEncodeError):
        write_text(tmp_path / "name", "\ud800")
    with pytest.raises(FileNotFoundError), new_folder(tmp_path / "folder") as folder:
        (folder / "missing" / "file").write_text("words")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("name", "old\n")]


def test_an_empty_folder_gives_way_where_none_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    replace_really = os.replace

    def replace(source: Path, target: Path) -> None:
        if Path(target).is_dir():  # as Windows has it
            raise FileExistsError(target)
        replace_really(source, target)

    monkeypatch.setattr(os, "replace", replace)
    (tmp_path / "empty").mkdir()
    with new_folder(tmp_path / "empty") as folder:
        (folder / "file").write_text("words")
    assert (tmp_path / "empty" / "file").read_text() == "words"
    with pytest.raises(OSError, match="not empty"), new_folder(tmp_path / "empty") as folder:
        (folder / "file").write_text("others")
    assert [(path.name, path.read_text()) for path in tmp_path.rglob("file")] == [("file", "words")]


def test_files_are_synced_through_a_handle_that_may_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("words")
    opened: dict[Path, int] = {}
    open_really = os.open

    def remember(path: Path, flags: int) -> int:
        opened[path] = flags
        return open_really(path, flags)

    monkeypatch.setattr(os, "open", remember)
    sync(tmp_path / "file")
    sync(tmp_path)
    assert opened == {tmp_path / "file": os.O_RDWR, tmp_path: os.O_RDONLY}
