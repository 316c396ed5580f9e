"""What of a watched folder brings an index up to date, and when."""

from __future__ import annotations

import _thread
import contextlib
import os
import resource
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from index.builder import build
from index.errors import InputError, StoreError, StrictError
from index.updater import update
from search.watch import update_whenever, watched_by
from tests.toys import ToyEncoder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder that itself lies in a hidden one."""
    docs = tmp_path / ".notes" / "docs"
    (docs / ".git" / "objects").mkdir(parents=True)
    (docs / "more").mkdir()
    (docs / "a.txt").write_text("The bakery sells fresh bread.", "utf-8")
    return docs


def built(folder: Path, *sources: Path | str) -> str:
    out = folder.parent / "index"
    build([folder / source for source in sources] or [folder], out, encoder=ToyEncoder())
    return str(out)


def watch(index: str, at_update: Callable[[int], None], paths: tuple[str, ...] = ()) -> None:
    """Watch, telling how many updates there were before each; what it raises, ``KeyboardInterrupt`` too, ends it."""
    n = 0

    def count() -> None:
        nonlocal n
        n += 1
        at_update(n - 1)

    timer = threading.Timer(60, _thread.interrupt_main)
    timer.start()
    try:
        with contextlib.suppress(KeyboardInterrupt):
            update_whenever(index, paths, count, quiet=False)
    finally:
        timer.cancel()


def test_what_changes_during_the_first_update_is_seen(folder: Path) -> None:
    index = built(folder)
    new: list[int] = []

    def at_update(n: int) -> None:
        new.append(update(index, encoder=ToyEncoder()).new)
        if n == 0:
            (folder / "b.txt").write_text("Two cats sleep on the warm oven.", "utf-8")
        else:
            raise KeyboardInterrupt

    watch(index, at_update)
    assert new == [0, 1]


def test_a_failed_update_is_tried_again_until_it_works(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("search.watch._AGAIN", 0.05)
    index = built(folder)

    def at_update(n: int) -> None:
        if n == 0:
            (folder / "a.txt").write_text("The bakery is closed.", "utf-8")
        elif n < 4:
            raise StoreError("another program is writing here.")
        elif n == 4:
            (folder / "b.txt").write_text("And it is watched again.", "utf-8")
        else:
            raise KeyboardInterrupt("done")

    watch(index, at_update)
    assert capsys.readouterr().err.splitlines() == [
        f"watching {folder}/; Ctrl-C ends.",
        "Error: another program is writing here. Trying again every 0 s.",
    ]


def test_the_first_failure_ends_it(folder: Path) -> None:
    def at_update(n: int) -> None:
        assert n == 0
        raise StoreError("nothing is there.")

    with pytest.raises(StoreError, match="nothing is there"):
        watch(built(folder), at_update)


def test_what_strict_refused_waits_for_a_change(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def at_update(n: int) -> None:
        if n == 2:
            raise KeyboardInterrupt
        (folder / f"{n}.jsonl").write_text('{"text": 1}', "utf-8")
        if n == 1:
            raise StrictError("1 file could not be read.", [])

    watch(built(folder), at_update)
    assert "Error: 1 file could not be read. Waiting for the next change." in capsys.readouterr().err


def test_a_folder_that_is_made_anew_is_watched_anew(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("search.watch._AGAIN", 0.05)
    index, away = built(folder), folder.with_name("away")
    new: list[int] = []

    def at_update(n: int) -> None:
        if n == 1:
            folder.mkdir()
            (folder / "b.txt").write_text("Made anew.", "utf-8")
        new.append(update(index, encoder=ToyEncoder()).new)
        if n == 0:
            folder.rename(away)
        elif sum(new) == 1 and not (folder / "c.txt").exists():
            threading.Timer(1, lambda: (folder / "c.txt").write_text("Seen as well.", "utf-8")).start()
        elif sum(new) == 2:
            raise KeyboardInterrupt

    watch(index, at_update)
    assert sum(new) == 2


@pytest.mark.parametrize(
    ("sources", "held", "others"),
    [
        ([""], ["", "b.txt", "more/c.txt"], [".b.txt", ".git/objects/ab/x", "more/.c.txt", "../x.txt", "../docs2/x"]),
        (["a.txt"], ["", "a.txt"], ["b.txt", "more/a.txt", "a.txt/x"]),
        (["*.txt"], ["b.txt", "more"], ["../x.txt", ".b.txt"]),
        (["more/.*/*.txt"], ["more/.b/c.txt"], ["b.txt"]),
        (["a.txt", "more"], ["a.txt", "more/b/c.txt"], ["b.txt", "more/.x"]),
    ],
)
def test_what_belongs_to_a_source(sources: list[str], held: list[str], others: list[str], folder: Path) -> None:
    (folder / "more" / ".b").mkdir()
    (folder / "more" / ".b" / "d.txt").write_text("A hidden one that is named.", "utf-8")
    watched = watched_by(built(folder, *sources), [])
    places = {at: any(one.holds(os.path.normpath(folder / at)) for one in watched) for at in (*held, *others)}
    assert places == {**dict.fromkeys(held, True), **dict.fromkeys(others, False)}
    assert {one.is_deep for one in watched} == {source in ("", "more", "more/.*/*.txt") for source in sources}


def test_only_what_is_named_is_watched(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index = built(folder)
    monkeypatch.chdir(folder)
    (only,) = watched_by(index, ["new.txt"])
    assert (only.folder, only.name, only.is_deep) == (str(folder), "new.txt", False)
    assert watched_by(index, ["nowhere/new.txt"]) == frozenset()


def test_a_folder_named_like_a_pattern_is_none(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    odd = folder.rename(folder.with_name("[docs]*"))
    monkeypatch.chdir(odd)
    (odd / "more" / "c.txt").write_text("Another one.", "utf-8")
    for source, at, held in (("a.txt", odd, "a.txt"), ("*.txt", odd, "b.txt"), ("more", odd / "more", "d.txt")):
        build([source], "../index", encoder=ToyEncoder())
        (one,) = watched_by("../index", [])
        assert Path(one.folder) == at
        assert one.holds(str(at / held))


def test_what_an_update_writes_is_no_change(folder: Path) -> None:
    index = built(folder.parent)
    seen: list[int] = []

    def at_update(n: int) -> None:
        seen.append(n)
        if n == 0:
            (Path(index) / "generations" / "x").touch()
            threading.Timer(1, (folder / "b.txt").touch).start()
            threading.Timer(0.5, lambda: (Path(index) / "y").touch()).start()
        else:
            assert (Path(index) / "y").exists()
            raise KeyboardInterrupt

    watch(index, at_update)
    assert seen == [0, 1]


@pytest.fixture
def one_file() -> Iterator[None]:
    """No more than one file can be opened."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    taken = [os.dup(0)]
    resource.setrlimit(resource.RLIMIT_NOFILE, (taken[0] + 40, before[1]))
    try:
        with contextlib.suppress(OSError):
            while True:
                taken.append(os.dup(0))
        os.close(taken.pop())
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
        for handle in taken:
            os.close(handle)


def test_what_the_system_cannot_watch_is_told(folder: Path, request: pytest.FixtureRequest) -> None:
    import watchfiles  # noqa: F401 while files can be opened

    index = built(folder)
    request.getfixturevalue("one_file")
    with pytest.raises(InputError, match=r"cannot be watched \(.*open files.*max_user_watches"):
        watch(index, lambda n: None)
