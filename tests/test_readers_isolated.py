"""Files that crash, hang or fill the program that reads them: each is told, and the next one is read."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import index.readers
from index.builder import build
from index.config import FieldNames
from index.readers import SourceFile, isolated, read_file, worker
from index.readers.registry import _readers
from index.readers.temporary import remove_folder, temporary_folder
from index.readers.wire import WireError, answer_in, packed, unpacked
from index.records import Document, Mark, Rejected
from index.updater import update
from tests.builds import ROOT, environment
from tests.naughty import NAUGHTY, PLUG
from tests.toys import ToyEncoder


@pytest.fixture(autouse=True)
def _naughty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    plug = tmp_path / "plug"
    (plug / "site").mkdir(parents=True)
    (plug / "naughty.py").write_text(NAUGHTY)
    (plug / "site" / "sitecustomize.py").write_text(PLUG.format(folder=str(plug)))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(plug / "site"), str(ROOT)]))
    monkeypatch.setattr(index.readers, "__path__", [*index.readers.__path__, str(plug)])
    isolated.end_processes()
    _readers.cache_clear()
    yield
    isolated.end_processes()
    _readers.cache_clear()
    sys.modules.pop("index.readers.naughty", None)


@pytest.fixture
def _hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "_SECONDS", 1.0)


def file(tmp_path: Path, what: str) -> SourceFile:
    path = tmp_path / "a.naughty"
    path.write_text(what)
    return SourceFile(str(path), "in/a.naughty", "a.naughty", len(what))


def read(tmp_path: Path, what: str) -> list[Document | Rejected]:
    return list(read_file(file(tmp_path, what), fields=FieldNames()))


def told(item: Document | Rejected) -> tuple[str, int, int]:
    """Return what the reader says of itself: what it was to do, its process, and how many files it has read."""
    assert isinstance(item, Document)
    what, process, n = item.text.split()
    return what, int(process), int(n)


def test_one_process_reads_file_after_file(tmp_path: Path) -> None:
    seen = [told(read(tmp_path, "fine")[0]) for _ in range(3)]
    assert [n for _, _, n in seen] == [1, 2, 3]
    (process,) = {process for _, process, _ in seen}
    assert process != os.getpid()


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        ("crash", "the program that reads such files ended on it (it was ended by SIGSEGV); it may be damaged"),
        ("exit", "the program that reads such files ended on it (it ended with status 3); it may be damaged"),
        ("memory", "takes more than 1,536 MB of memory to read; split it."),
        ("flood", "holds more than 256 MB of text; split it."),
        ("large", "holds more than 256 MB of text; split it."),
        ("raise", "cannot be read (KeyError: 'what a library raises\\non two lines'); it may be damaged"),
        ("deep", "cannot be read (RecursionError: maximum recursion depth exceeded); it may be damaged"),
        ("refuse", "is refused; mend it."),
    ],
)
def test_what_breaks_the_process_is_told_and_the_next_file_read(tmp_path: Path, what: str, reason: str) -> None:
    first, *_, last = read(tmp_path, what)
    assert told(first)[0] == what
    assert isinstance(last, Rejected)
    assert last.where == "in/a.naughty"
    assert last.reason.startswith(reason)
    assert not last.out_of_reach
    (item,) = read(tmp_path, "fine")
    assert told(item)[0] == "fine"


@pytest.mark.usefixtures("_hurried")
@pytest.mark.parametrize("what", ["sleep", "spin"])
def test_what_hangs_is_ended(tmp_path: Path, what: str) -> None:
    read(tmp_path, "fine")
    began = time.monotonic()
    first, last = read(tmp_path, what)
    assert time.monotonic() - began < 15
    assert isinstance(last, Rejected)
    assert last.reason == "takes longer than 1 s to read and was given up; split it, or convert it to plain text."
    assert last.out_of_reach  # on another day the machine is less busy
    with pytest.raises(ProcessLookupError):
        os.kill(told(first)[1], 0)
    assert told(read(tmp_path, "fine")[0])[2] == 1


@pytest.mark.usefixtures("_hurried")
def test_time_that_the_caller_takes_is_not_the_files(tmp_path: Path) -> None:
    items = []
    for item in read_file(file(tmp_path, "many 4"), fields=FieldNames()):
        time.sleep(0.3)
        items.append(item)
    assert len(items) == 9
    assert items[-1] == Rejected("in/a.naughty:3", "is wrong; mend it.", passed_over=True)


def test_what_libraries_print_goes_nowhere(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    _, item = read(tmp_path, "noise")
    assert isinstance(item, Document)
    assert item.text == "still read"
    assert capfd.readouterr() == ("", "")


def test_a_missing_library_is_not_the_files_fault(tmp_path: Path) -> None:
    (item,) = read(tmp_path, "missing")
    assert item == Rejected(
        "in/a.naughty",
        "reading .naughty files cannot be done here (No module named 'no_such_library'). Install what it needs with: "
        "pip install 'manytongues[formats]'",
        out_of_reach=True,
    )


def test_what_was_read_stays_while_a_library_is_missing(tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    one = file(docs, "fine").path
    (docs / "b.txt").write_text("other")
    build([str(docs)], tmp_path / "index", encoder=ToyEncoder())
    one.write_text("missing")
    for _ in range(2):  # as long as it is not read, it is tried again
        report = update(tmp_path / "index", encoder=ToyEncoder())
        assert (len(report.files.changed), report.gone, report.manifest.counts.documents) == (1, 0, 2)
        assert [item.out_of_reach for item in report.rejected] == [True]
    one.write_text("crash")
    report = update(tmp_path / "index", encoder=ToyEncoder())
    assert (report.changed, report.gone) == (1, 0)
    assert [item.out_of_reach for item in report.rejected] == [False]
    assert update(tmp_path / "index", encoder=ToyEncoder()).files.changed == ()


def test_a_process_that_does_not_start_is_not_the_files_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "nothing"))
    (item,) = read(tmp_path, "fine")
    assert isinstance(item, Rejected)
    assert item.out_of_reach
    assert item.reason.startswith("the process that reads such files could not be started (No such file or directory)")
    monkeypatch.setattr(sys, "executable", "/bin/false")
    (item,) = read(tmp_path, "fine")
    assert isinstance(item, Rejected)
    assert item.out_of_reach
    assert "could not be started (it ended with status 1)" in item.reason


def test_a_process_that_ended_while_it_waited_costs_no_file(tmp_path: Path) -> None:
    _, process, _ = told(read(tmp_path, "fine")[0])
    os.kill(process, signal.SIGKILL)
    (item,) = read(tmp_path, "fine")
    assert told(item)[1] != process


def test_a_process_that_is_killed_on_the_way_costs_no_document(tmp_path: Path) -> None:
    read(tmp_path, "fine")
    first, *others = read(tmp_path, f"killed {tmp_path / 'once'}")
    assert (tmp_path / "once").exists()
    assert isinstance(first, Document)
    assert [item.doc_id for item in others if isinstance(item, Document)] == ["0", "1", "2", "3"]


def test_what_was_read_stays_while_processes_are_killed(tmp_path: Path) -> None:
    docs, once = tmp_path / "docs", tmp_path / "once"
    docs.mkdir()
    once.touch()
    one = file(docs, f"killed {once}").path
    build([str(docs)], tmp_path / "index", encoder=ToyEncoder())
    once.unlink()
    one.write_text(f"killed {tmp_path / 'docs' / '..' / 'once'}")
    isolated.end_processes()
    report = update(tmp_path / "index", encoder=ToyEncoder())
    assert (report.same, report.gone, report.manifest.counts.documents) == (2, 0, 5)
    (item,) = report.rejected
    assert item.out_of_reach
    assert "was ended on the way (it was ended by SIGKILL), as where memory is short" in item.reason
    report = update(tmp_path / "index", encoder=ToyEncoder())
    assert (report.same, report.gone, report.rejected) == (4, 0, ())
    assert update(tmp_path / "index", encoder=ToyEncoder()).files.changed == ()


def test_memory_that_other_files_took_is_not_this_ones(tmp_path: Path) -> None:
    read(tmp_path, "hoard")
    first, needed = read(tmp_path, "need")
    assert isinstance(needed, Document)
    assert needed.text == str(800 << 20)
    assert told(first)[0] == "need"


def test_no_process_waits_once_an_index_is_built_or_updated(tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()

    def processes() -> list[int]:
        return [told(item)[1] for item in read_file(file(docs, "fine"), fields=FieldNames())]

    (process,) = processes()
    build([str(docs)], tmp_path / "index", encoder=ToyEncoder())
    assert not is_there(process)
    for dry_run in (True, False):
        (process,) = processes()
        (docs / "a.naughty").write_text("half")
        update(tmp_path / "index", encoder=ToyEncoder(), dry_run=dry_run)
        assert not is_there(process)


def test_half_a_file_read_ends_its_process(tmp_path: Path) -> None:
    items = iter(read_file(file(tmp_path, "many 100000"), fields=FieldNames()))
    _, process, _ = told(next(items))
    del items
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)


def test_threads_read_side_by_side(tmp_path: Path) -> None:
    path = file(tmp_path, "many 50")
    found: dict[int, list[Document | Rejected]] = {}

    def work(number: int) -> None:
        for _ in range(5):
            found.setdefault(number, []).extend(read_file(path, fields=FieldNames()))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [len(items) for items in found.values()] == [5 * 101] * 4


def test_documents_arrive_as_they_were(tmp_path: Path) -> None:
    first, half = read(tmp_path, "half")
    assert isinstance(first, Document)
    assert first.marks == (Mark(0, "page=1"),)
    assert half == Document("half", "in/a.naughty", "half \ud800", metadata={"\udc00": [1, None, {"a": 1.5}]})


READ_AND_WAIT = """
import sys
from index.config import FieldNames
from index.readers import SourceFile, read_file
for item in read_file(SourceFile(sys.argv[1], "a", "a", 1), fields=FieldNames()):
    print(item.text, flush=True)
print("end", flush=True)
"""


def is_there(process: int) -> bool:
    """Tell whether a process runs; one that ended and that nobody has asked for yet does not."""
    if not Path("/proc/self/stat").exists():
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return False
        return True
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("what", ["sleep", "spin"])
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_no_process_outlives_its_program(tmp_path: Path, what: str, how: signal.Signals) -> None:
    args = [sys.executable, "-c", READ_AND_WAIT, file(tmp_path, what).place]
    env = environment(PYTHONPATH=os.environ["PYTHONPATH"])
    with subprocess.Popen(args, stdout=-1, stderr=-1, encoding="utf-8", env=env, cwd=ROOT) as program:
        assert program.stdout is not None
        process = int(program.stdout.readline().split()[1])
        assert is_there(process)
        program.send_signal(how)
        program.wait(20)
    until = time.monotonic() + 20
    while is_there(process) and time.monotonic() < until:
        time.sleep(0.05)
    assert not is_there(process)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_what_was_unpacked_goes_with_the_program(tmp_path: Path, how: signal.Signals) -> None:
    room = tmp_path / "room"
    room.mkdir()
    args = [sys.executable, "-c", READ_AND_WAIT, file(tmp_path, "unpack").place]
    env = environment(PYTHONPATH=os.environ["PYTHONPATH"], TMPDIR=str(room))
    with subprocess.Popen(args, stdout=-1, stderr=-1, encoding="utf-8", env=env, cwd=ROOT) as program:
        assert program.stdout is not None
        program.stdout.readline()
        unpacked = Path(program.stdout.readline().strip())
        assert unpacked.is_relative_to(room)
        assert (unpacked / "private").exists()
        program.send_signal(how)
        program.wait(20)
    until = time.monotonic() + 20
    while list(room.iterdir()) and time.monotonic() < until:
        time.sleep(0.05)
    assert list(room.iterdir()) == []


@pytest.mark.usefixtures("_hurried")
def test_what_was_unpacked_goes_with_a_process_that_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "room").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "room"))
    *_, last = read(tmp_path, "unpack")
    assert isinstance(last, Rejected)
    assert list((tmp_path / "room").iterdir()) == []


def test_what_a_killed_program_left_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], stdout=-1, check=True)
    left = tmp_path / f"tongues-{int(gone.stdout)}-abc"
    new = tmp_path / f"tongues-{int(gone.stdout)}-abd"
    own = tmp_path / f"tongues-{os.getpid()}-abc"
    other = tmp_path / "tongues-cache"
    for folder in (left, new, own, other):
        folder.mkdir()
        (folder / "member.eml").touch()
        if folder != new:
            os.utime(folder, (0, 0))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    made = temporary_folder()
    assert sorted(tmp_path.glob("tongues-*")) == sorted([new, own, other, made])
    remove_folder(other)
    assert other.exists()


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"\0\0",
        (9).to_bytes(8) + b"{}",
        (1 << 40).to_bytes(8) + b"{}",
        (2).to_bytes(8) + b"[]",
        (1).to_bytes(8) + b"{",
        (1).to_bytes(8) + b"\xff",
        (90_000).to_bytes(8) + b"[" * 90_000,
        packed({"document": ["a", "b", "c", "d"], "metadata": {}, "marks": []}),
        packed({"document": ["a", "b", "c", "d", 1], "metadata": {}, "marks": []}),
        packed({"document": ["a"] * 5, "metadata": [], "marks": []}),
        packed({"document": ["a"] * 5, "metadata": {}, "marks": [[0, "leaf=1"]]}),
        packed({"document": ["a"] * 5, "metadata": {}, "marks": [[2, "page=1"]]}),
        packed({"document": ["a"] * 5, "metadata": {}, "marks": [[True, "page=1"]]}),
        packed({"document": ["a"] * 5, "metadata": {}, "marks": [[1, "page=1"], [0, "page=2"]]}),
        packed({"rejected": ["a", "b", 1, 0]}),
    ],
)
def test_only_what_was_agreed_is_taken(sent: bytes) -> None:
    left = memoryview(sent)

    def take(n: int) -> bytes:
        nonlocal left
        taken, left = left[:n], left[n:]
        return bytes(taken)

    with pytest.raises(WireError):
        answer_in(unpacked(take, 100_000))
