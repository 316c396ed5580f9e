"""Builds that are killed, interrupted, out of room or broken: the old index stays whole and readable."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from index.errors import StoreError
from index.layout import CURRENT, EMBEDDED, GENERATIONS
from index.progress import SILENT, Progress
from index.records import Document
from index.store import Store
from index.verifier import verify
from search.searcher import Searcher
from tests.builds import ROOT, command, documents, environment, make_index, run
from tests.toys import ToyEncoder

if TYPE_CHECKING:
    from index.records import Vectors

PRELUDE = """
import resource, signal, sys, time
from pathlib import Path
from index import pipeline
from index.errors import StoreError
from tests.builds import documents, make_index
from tests.toys import ToyEncoder
out = Path(sys.argv[1])
texts = [f"number{i} stands here" for i in range(40)]
"""
BUILD_FOR_EVER = """
class Slow(ToyEncoder):
    def encode_passages(self, texts, progress=None):
        time.sleep(0.005)
        return super().encode_passages(texts)
pipeline.BATCH_PASSAGES = 8
while True:
    make_index(out, documents(*texts), Slow())
    print("built", flush=True)
"""
BUILD_AND_WAIT = """
class Waiting(ToyEncoder):
    def encode_passages(self, texts, progress=None):
        print("waiting", flush=True)
        sys.stdin.readline()
        return super().encode_passages(texts)
make_index(out, documents(*texts), Waiting())
"""
BUILD_WITH_LITTLE_ROOM = """
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # as on a disk that is full: the write fails, the program goes on
for limit in map(int, sys.argv[2:]):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    try:
        make_index(out, documents(*texts), ToyEncoder())
        print("built")
    except StoreError as error:
        print(error)
    sys.stdout.flush()
"""
SAVE_WITH_LITTLE_ROOM = """
from index.kinds import VectorIndexKind, build_vector_index
index = build_vector_index(VectorIndexKind(sys.argv[2]), ToyEncoder().encode_passages(texts))
index.save(out)
size = out.stat().st_size
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
for limit in (size // 2, size - 100, size - 1, size):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    try:
        index.save(out)
        print("saved")
    except OSError as error:
        print(error.strerror)
"""


def script(text: str, *args: object) -> list[str]:
    return [sys.executable, "-c", PRELUDE + text, *map(str, args)]


def start(args: Sequence[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        args, stdin=-1, stdout=-1, stderr=-1, encoding="utf-8", env=environment(), cwd=ROOT, errors="strict"
    )


def assert_sound(out: Path, text: str = "old words") -> None:
    assert verify(out) == []
    with Searcher.open(out, encoder=ToyEncoder()) as searcher:
        assert [hit.text for hit in searcher.search(text, 1)] == [text]


def assert_cleared(out: Path, *, kept: bool = False) -> None:
    """Nothing is left behind but, after a failure, what was embedded before it."""
    names = sorted(path.name for path in (out / GENERATIONS).iterdir())
    assert len(names) <= 2
    assert all(name.startswith("g") for name in names)
    assert {path.name for path in out.iterdir()} - {".lock"} == {CURRENT, GENERATIONS, *([EMBEDDED] if kept else [])}


@pytest.fixture
def old(tmp_path: Path) -> Path:
    make_index(tmp_path / "index", documents("old words"))
    return tmp_path / "index"


@pytest.mark.parametrize("seed", range(8))
def test_killed_at_any_moment(seed: int, tmp_path: Path) -> None:
    out = tmp_path / "index"
    with start(script(BUILD_FOR_EVER, out)) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "built\n"
        time.sleep(random.Random(seed).uniform(0, 0.25))
        process.kill()
        process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert_sound(out, "number7 stands here")
    make_index(out, documents("old words"))
    assert_sound(out)
    assert len(list((out / GENERATIONS).iterdir())) <= 3  # killed between two names, the one that served is still read
    make_index(out, documents("old words"))
    assert_sound(out)
    assert_cleared(out)


def test_two_builds_at_once(old: Path, tiny_model: Path, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("Some text to read.")
    with start(script(BUILD_AND_WAIT, old)) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "waiting\n"
        second = run(command("build", str(tmp_path / "a.txt"), "--out", str(old), "--model", str(tiny_model), "-q"))
        assert_sound(old)
        _, errors = first.communicate("\n" * 20)
    assert second.returncode == 1
    assert second.stderr.decode() == (
        f"Error: {old}: another program is writing here. Wait for it to end, or name another.\n"
    )
    assert (first.returncode, errors) == (0, "")
    assert_sound(old, "number3 stands here")


def test_no_room(old: Path, tmp_path: Path) -> None:
    limits = [0, 4, 100, 250, 1000, 5000, 20_000, 40_000, 60_000, 80_000, 81_000, 82_000]
    result = run(script(BUILD_WITH_LITTLE_ROOM, old, *limits))
    assert (result.returncode, result.stderr) == (0, b"")
    lines = result.stdout.decode().splitlines()
    assert len(lines) == len(limits)  # each one line
    assert all(line.startswith(f"{old}: cannot be written (") for line in lines)
    assert_sound(old)
    assert_cleared(old, kept=True)  # the last ones fail after the passages were embedded
    assert run(script(BUILD_WITH_LITTLE_ROOM, old, 10**6)).stdout == b"built\n"
    assert_sound(old, "number9 stands here")
    assert_cleared(old)


@pytest.mark.parametrize("kind", ["flat", "pq"])
def test_no_room_for_the_end_of_the_vector_index(kind: str, tmp_path: Path) -> None:
    # FAISS itself passes over what fails when it closes a file
    result = run(script(SAVE_WITH_LITTLE_ROOM, tmp_path / "index.faiss", kind))
    assert result.stdout.decode().splitlines() == ["File too large"] * 3 + ["saved"]


@pytest.mark.parametrize("batch", [0, 1, 3])
def test_an_encoder_that_fails(batch: int, old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Failing(ToyEncoder):
        def encode_passages(self, texts: Sequence[str], progress: Progress = SILENT) -> Vectors:
            if len(self.encoded) >= 4 * batch:
                raise RuntimeError("out of memory")
            return super().encode_passages(texts, progress)

    monkeypatch.setattr("index.pipeline.BATCH_PASSAGES", 4)
    with pytest.raises(RuntimeError, match="out of memory"):
        make_index(old, documents(*[f"word{i}" for i in range(20)]), Failing())
    assert_sound(old)
    assert_cleared(old, kept=batch > 0)
    make_index(old, documents("old words"))
    assert_cleared(old)


def test_documents_that_fail(old: Path) -> None:
    def made() -> Iterator[Document]:
        yield Document("1", "s", "one")
        raise LookupError("the source went away")

    with pytest.raises(LookupError, match="went away"):
        make_index(old, made())
    assert_sound(old)
    assert_cleared(old)


@pytest.mark.parametrize(
    ("out", "problem"),
    [
        ("file", "file: is a file. Name a directory for the index with --out."),
        ("file/index", "file/index: cannot be written (Not a directory)."),
        ("n" * 300, "cannot be written (File name too long)."),
        ("full", "full: holds other files (a.txt) and no index. Name a new or empty directory with --out."),
    ],
)
def test_an_out_that_cannot_be_written(out: str, problem: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("kept")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "a.txt").write_text("kept")
    with pytest.raises(StoreError) as told:
        make_index(tmp_path / out, documents("words"))
    assert problem in str(told.value)
    assert "\n" not in str(told.value)
    assert (tmp_path / "file").read_text() == (tmp_path / "full" / "a.txt").read_text() == "kept"


def test_interrupted(tiny_model: Path, tmp_path: Path) -> None:
    out, source = tmp_path / "index", tmp_path / "many.jsonl"
    make_index(out, documents("old words"))
    with source.open("w", encoding="utf-8") as file:
        for i in range(20_000):
            file.write(json.dumps({"id": i, "text": f"Sentence number {i} of a long file."}) + "\n")
    args = command("build", str(source), "--out", str(out), "--model", str(tiny_model))
    # A test run in the background hands on that interrupts are ignored.
    args[2] = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); " + args[2]
    with start(args) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == "indexing …\n"
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate()
    assert (process.returncode, output, errors) == (
        130,
        "",
        f"Interrupted. What is in {out} is as it was. Run the same again: what was embedded is kept.\n",
    )
    assert_sound(out)
    assert_cleared(out, kept=(out / EMBEDDED).exists())  # it may not have come to its first batch
    with Store.open(out) as store:
        assert store.n_passages == 1


@pytest.mark.parametrize("after", ["time.sleep(60)", "raise ImportError('half loaded')"])
def test_an_interrupt_that_a_library_swallows_still_ends_the_program(after: str) -> None:
    code = (
        "import time\nfrom search.terminal import plain_errors\nwith plain_errors():\n"
        f"    try:\n        print('ready', flush=True); time.sleep(60)\n    except BaseException:\n        {after}\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(), cwd=ROOT
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 130
    assert b"Traceback" not in said
