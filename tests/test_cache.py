"""Folders made once: whole or not at all, by one process at a time, also after processes that were killed."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from index.background import Background
from index.cache import STAMP, is_whole, make_once
from index.errors import StoreError
from index.progress import Silent
from tests.builds import ROOT, environment

# Fills a folder slowly, and tells of each time it does.
PROGRAM = """
import sys, time
from pathlib import Path
from index.background import Background
from index.cache import make_once

def make(folder):
    (folder / "first").write_text("1")
    print("making", flush=True)
    sys.stdin.readline()
    (folder / "second").write_text("2")
    return {}

print("ready", flush=True)
sys.stdin.readline()
print(make_once(Path(sys.argv[1]), make), flush=True)
"""


def make(folder: Path) -> dict[str, Any]:
    (folder / "sub").mkdir()
    (folder / "sub" / "a.bin").write_bytes(b"abc")
    (folder / "empty").write_bytes(b"")
    return {"what": "žodis", "n": 3}


def never(folder: Path) -> dict[str, Any]:
    raise AssertionError("it was there already")


def start(target: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(target)], env=environment(), cwd=ROOT, stdin=-1, stdout=-1, text=True
    )


def say(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def hear(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_what_is_made_says_what_it_holds(tmp_path: Path) -> None:
    target = tmp_path / "not yet" / "there" / "cache"
    assert make_once(target, make) == target
    assert (target / "sub" / "a.bin").read_bytes() == b"abc"
    facts = json.loads((target / STAMP).read_text("utf-8"))
    assert facts == {"what": "žodis", "n": 3, "sizes": {"empty": 0, "sub/a.bin": 3}}
    assert is_whole(target)
    assert names(target.parent) == ["cache", "cache.lock"]


def test_what_is_whole_is_not_made_again(tmp_path: Path) -> None:
    make_once(tmp_path / "cache", make)
    assert make_once(tmp_path / "cache", never) == tmp_path / "cache"


@pytest.mark.parametrize("damage", ["longer", "cut", "missing", "stamp", "no stamp"])
def test_what_is_not_whole_is_made_anew(tmp_path: Path, damage: str) -> None:
    target = make_once(tmp_path / "cache", make)
    file, stamp = target / "sub" / "a.bin", target / STAMP
    match damage:
        case "longer":
            file.write_bytes(b"abcd")
        case "cut":
            file.write_bytes(b"ab")
        case "missing":
            file.unlink()
        case "stamp":
            stamp.write_bytes(stamp.read_bytes()[:-9])
        case "no stamp":
            stamp.unlink()
    (target / "of another time").write_text("")
    assert not is_whole(target)
    make_once(target, make)
    assert is_whole(target)
    assert names(target) == sorted(["empty", "sub", STAMP])


@pytest.mark.parametrize("error", [KeyboardInterrupt(), ValueError("why"), StoreError("ours"), SystemExit(3)])
@pytest.mark.parametrize("is_there", [False, True])
def test_an_interrupted_making_leaves_nothing(tmp_path: Path, error: BaseException, is_there: bool) -> None:
    target = tmp_path / "cache"
    if is_there:
        target.mkdir()
        (target / "half").write_text("of an earlier time")

    def fail(folder: Path) -> dict[str, Any]:
        make(folder)
        raise error

    with pytest.raises(type(error)) as raised:
        make_once(target, fail)
    assert raised.value is error
    assert names(tmp_path) == ["cache.lock"]
    assert is_whole(make_once(target, make))


@pytest.mark.parametrize(
    ("number", "message"),
    [(errno.ENOSPC, "the disk is full"), (errno.EACCES, "no permission"), (errno.EIO, "cannot be written")],
)
def test_a_failure_to_write_is_our_error(tmp_path: Path, number: int, message: str) -> None:
    def fail(folder: Path) -> dict[str, Any]:
        make(folder)
        raise OSError(number, os.strerror(number))

    with pytest.raises(StoreError, match=f"cache: {message}"):
        make_once(tmp_path / "cache", fail)
    assert names(tmp_path) == ["cache.lock"]


@pytest.mark.parametrize("lies_at", ["", "deeper"])
def test_a_file_where_the_folder_should_be(tmp_path: Path, lies_at: str) -> None:
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(StoreError, match="cannot be written"):
        make_once(tmp_path / "cache" / lies_at, make)
    assert (tmp_path / "cache").read_text() == "a file"


def test_only_leftovers_of_the_same_target_are_cleared(tmp_path: Path) -> None:
    """A folder that another process fills at this moment for a target of a longer name is not a leftover."""

    def make_beside(folder: Path) -> dict[str, Any]:
        make_once(tmp_path / "model", make)
        return make(folder)

    left = tmp_path / f".new-model-{'0' * 16}"
    left.mkdir()
    (left / "half").write_text("")
    make_once(tmp_path / "model-large", make_beside)
    assert is_whole(tmp_path / "model")
    assert is_whole(tmp_path / "model-large")
    assert names(tmp_path) == ["model", "model-large", "model-large.lock", "model.lock"]


@pytest.mark.parametrize("name", ["a[1]b", "with space", "žąsis-7.5", "*"])
def test_names_with_signs_of_patterns(tmp_path: Path, name: str) -> None:
    if os.name == "nt" and "*" in name:
        name = "star"
    (tmp_path / f".new-{name}-{'f' * 16}").mkdir()
    (tmp_path / ".new-other-0123456789abcdef").mkdir()
    make_once(tmp_path / name, make)
    assert names(tmp_path) == sorted([name, f"{name}.lock", ".new-other-0123456789abcdef"])


def test_two_processes_at_once_make_it_once(tmp_path: Path) -> None:
    target = tmp_path / "cache"
    with start(target) as one, start(target) as two:
        assert [hear(one), hear(two)] == ["ready", "ready"]
        say(one)
        assert hear(one) == "making"
        say(two)  # waits for the first now, or will find the folder whole
        say(one)
        assert [hear(one), hear(two)] == [str(target)] * 2
    assert is_whole(target)
    assert names(tmp_path) == ["cache", "cache.lock"]


def test_waiting_for_another_process_is_told(tmp_path: Path) -> None:
    class Told(Silent):
        def __init__(self) -> None:
            self.notes: list[str] = []
            self.has_come = threading.Event()

        def note(self, text: str) -> None:
            self.notes.append(text)
            self.has_come.set()

    target, told = tmp_path / "cache", Told()
    with start(target) as other:
        assert hear(other) == "ready"
        say(other)
        assert hear(other) == "making"
        waiting = Background(lambda: make_once(target, never, told))
        assert told.has_come.wait(60)
        assert not waiting.wait(0.05)
        say(other)
        assert hear(other) == str(target)
    assert waiting.result() == target
    assert told.notes == ["Another process is preparing cache: waiting for it."]


@pytest.mark.parametrize("stop", ["kill", "terminate"])
def test_a_killed_process_leaves_nothing_that_counts(tmp_path: Path, stop: str) -> None:
    target = tmp_path / "cache"
    with start(target) as process:
        assert hear(process) == "ready"
        say(process)
        assert hear(process) == "making"
        getattr(process, stop)()
        process.wait(60)
    assert not target.exists()
    assert len([name for name in names(tmp_path) if name.startswith(".new-cache-")]) == 1
    calls: list[Callable[[Path], dict[str, Any]]] = [make, never]
    for call in calls:
        make_once(target, call)
    assert names(tmp_path) == ["cache", "cache.lock"]
