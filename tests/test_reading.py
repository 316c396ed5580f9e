"""A generation stays on disk while somebody reads it, and goes when nobody does any more, however the reader ended."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from index.errors import IndexDamagedError
from index.generations import collect, locked
from index.layout import GENERATIONS, MANIFEST
from index.reading import held_alone, keep_open
from index.store import Store, current_generation
from index.updater import update_documents
from tests.builds import ROOT, documents, environment, make_index
from tests.toys import ToyEncoder

READ = """
import sys
from index.store import Store
with Store.open(sys.argv[1]) as store:
    print(store.folder.name, flush=True)
    sys.stdin.readline()
    print(store.documents.passages([0])[0].text)
"""
READ_FOR_EVER = """
import sys
from index.store import Store
n = 0
print("ready", flush=True)
while not (n > 20 and sys.argv[2] in names):
    with Store.open(sys.argv[1]) as store:
        name = store.folder.name
        (passage,) = store.documents.passages([store.n_rows - 1])
        assert passage.text == f"text of {name}", (name, passage.text)
        names = {name}
        n += 1
"""


def names(out: Path) -> list[str]:
    return sorted(path.name for path in out.glob(f"{GENERATIONS}/*"))


def write(out: Path, n: int = 1) -> None:
    """Write the next generations; each holds one text, which tells its name."""
    for _ in range(n):
        number = 1 + max((int(name[1:]) for name in names(out)), default=0)
        make_index(out, documents(f"text of g{number:06d}"))


def start(code: str, *args: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, args)],
        stdin=-1,
        stdout=-1,
        stderr=-1,
        encoding="utf-8",
        env=environment(),
        cwd=ROOT,
    )


def test_what_is_read_stays_until_it_is_closed(tmp_path: Path) -> None:
    write(tmp_path)
    with Store.open(tmp_path) as first:
        write(tmp_path, 2)
        second = Store.open(tmp_path)
        write(tmp_path, 3)
        assert names(tmp_path) == ["g000001", "g000003", "g000005", "g000006"]
        assert first.documents.passages([0])[0].text == "text of g000001"
        assert second.documents.passages([0])[0].text == "text of g000003"
        second.close()
        write(tmp_path)
        assert names(tmp_path) == ["g000001", "g000006", "g000007"]
    with locked(tmp_path):
        collect(tmp_path, {"g000006", "g000007"})
    assert names(tmp_path) == ["g000006", "g000007"]


@pytest.mark.parametrize("ends", ["by itself", "killed"])
def test_what_another_process_reads_stays_until_it_ends(ends: str, tmp_path: Path) -> None:
    write(tmp_path)
    with start(READ, tmp_path) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "g000001\n"
        write(tmp_path, 3)
        assert names(tmp_path) == ["g000001", "g000003", "g000004"]
        if ends == "killed":
            process.kill()
        said, errors = process.communicate("\n")
    expected = (-signal.SIGKILL, "") if ends == "killed" else (0, "text of g000001\n")
    assert (process.returncode, said, errors) == (*expected, "")
    write(tmp_path)
    assert names(tmp_path) == ["g000004", "g000005"]


def test_readers_of_other_processes_while_generations_change(tmp_path: Path) -> None:
    write(tmp_path)
    readers = [start(READ_FOR_EVER.replace("n = 0", "n, names = 0, set()"), tmp_path, "g000022") for _ in range(2)]
    for reader in readers:
        assert reader.stdout is not None
        assert reader.stdout.readline() == "ready\n"
    write(tmp_path, 21)
    for reader in readers:
        _, errors = reader.communicate(timeout=60)
        assert (reader.returncode, errors) == (0, "")
    write(tmp_path)
    assert names(tmp_path) == ["g000022", "g000023"]


def test_readers_of_other_threads_while_an_index_is_updated(tmp_path: Path) -> None:
    make_index(tmp_path, documents(*(f"old text {i}" for i in range(40)), "text 0"))
    is_over = threading.Event()
    found: list[str] = []
    problems: list[BaseException] = []

    def read() -> None:
        try:
            while not is_over.is_set():
                with Store.open(tmp_path) as store:
                    rows = [row for row in range(store.n_rows) if row not in set(store.dead_rows().tolist())]
                    texts = [one.text for one in store.documents.passages(rows)]
                    (new,) = [text for text in texts if text.startswith("text")]
                    assert len(texts) == 41
                    found.append(new)
        except BaseException as error:
            problems.append(error)

    threads = [threading.Thread(target=read) for _ in range(3)]
    for thread in threads:
        thread.start()
    for i in range(1, 22):
        (new,) = documents(f"text {i}")
        changed = type(new)("d41", "41.txt", new.text, lang="en")
        update_documents(tmp_path, [changed], encoder=ToyEncoder())
    is_over.set()
    for thread in threads:
        thread.join()
    assert problems == []
    assert set(found) <= {f"text {i}" for i in range(22)}
    assert len(set(found)) > 1


def test_who_removes_must_be_alone(tmp_path: Path) -> None:
    write(tmp_path)
    folder = current_generation(tmp_path)
    with keep_open(folder), keep_open(folder), held_alone(folder) as is_alone:
        assert not is_alone
    with held_alone(folder) as is_alone:
        assert is_alone
        with pytest.raises(IndexDamagedError, match="was cleared away while it was opened"), keep_open(folder):
            pass
    (folder / MANIFEST).unlink()
    with held_alone(folder) as is_alone:
        assert is_alone  # half removed
    with pytest.raises(IndexDamagedError, match="missing"), keep_open(folder):
        pass
