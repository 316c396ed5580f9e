"""``tongues update`` and ``tongues repair``: what they do, say and exit with; a folder that is watched."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from index.generations import locked
from index.layout import DATABASE, FAISS, VECTORS
from index.store import Store, current_generation
from index.verifier import verify
from search.cli import main
from search.searcher import Searcher
from tests.builds import ROOT, command, environment

TEXTS = {"bread.txt": "The bakery sells fresh bread.", "cats.txt": "Two cats sleep on the warm oven."}


def tongues(*args: str) -> Result:
    return CliRunner().invoke(main, list(args), prog_name="tongues")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    docs = tmp_path / "docs"
    docs.mkdir()
    for name, text in TEXTS.items():
        (docs / name).write_text(text, "utf-8")
    return docs


@pytest.fixture
def index(folder: Path, tiny_model: Path) -> Path:
    out = folder.parent / "index"
    result = tongues("build", "-q", str(folder), "--out", str(out), "--model", str(tiny_model))
    assert (result.exit_code, result.stderr) == (0, "")
    return out


def texts(index: Path) -> list[str]:
    with Store.open(index) as store:
        alive = store.alive()
        rows = range(store.n_rows) if alive is None else [row for row in range(store.n_rows) if alive[row]]
        return sorted(passage.text for passage in store.passages(rows))


def test_an_update_tells_what_it_did(index: Path, folder: Path) -> None:
    result = tongues("update", "--index", str(index))
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", f"{index}: up to date (2 files looked at).\n")
    (folder / "bread.txt").write_text("The bakery is closed.", "utf-8")
    (folder / "cats.txt").unlink()
    (folder / "dogs.md").write_text("# Dogs\n\nA dog guards the yard.", "utf-8")
    before = texts(index)
    result = tongues("update", "--index", str(index), "--dry-run")
    plan = [f"changed  {folder}/bread.txt", f"gone     {folder}/cats.txt", f"new      {folder}/dogs.md"]
    assert (result.exit_code, sorted(result.stdout.splitlines())) == (0, plan)
    assert result.stderr == (f"{index}: 1 new, 1 changed, 1 gone documents would be updated; nothing was done.\n")
    assert texts(index) == before
    result = tongues("update", "--index", str(index))
    assert (result.exit_code, result.stdout) == (0, "")
    told = result.stderr.splitlines()[-1]
    assert told.startswith(f"{index}: 1 new, 1 changed, 1 gone documents; 2 passages embedded, in ")
    assert told.endswith(" s. It holds 2 documents, 2 passages.")
    assert texts(index) == ["# Dogs\n\nA dog guards the yard.", "The bakery is closed."]
    assert verify(index) == []


def test_what_cannot_be_read_is_told(index: Path, folder: Path) -> None:
    (folder / "broken.jsonl").write_text('{"text": "one"}\n{"no": 1}\n', "utf-8")
    result = tongues("update", "--index", str(index), "--dry-run")
    assert result.exit_code == 0
    assert f"not read: {folder}/broken.jsonl:2: " in result.stderr
    result = tongues("update", "--index", str(index), "--strict")
    assert result.exit_code == 1
    assert f"not read: {folder}/broken.jsonl:2: " in result.stderr
    assert "was left as it was" in result.stderr
    assert texts(index) == sorted(TEXTS.values())
    result = tongues("update", "-q", "--index", str(index))
    assert result.exit_code == 0
    assert f"not read: {folder}/broken.jsonl:2: " in result.stderr
    assert "one" in texts(index)


def test_what_cannot_be_updated(index: Path, folder: Path, tmp_path: Path) -> None:
    for args, status, said in (
        (["--index", str(tmp_path / "none")], 1, "there is no such directory"),
        (["--index", str(index), str(tmp_path / "nothing.txt")], 1, "does not exist, and the index knows of no such"),
        (["--index", str(index), "--watch", "--dry-run"], 2, "give one of them"),
    ):
        result = tongues("update", *args)
        assert (result.exit_code, result.stdout) == (status, "")
        assert said in result.stderr
    folder.rename(tmp_path / "away")
    result = tongues("update", "--index", str(index))
    assert result.exit_code == 1
    assert "is not there" in result.stderr
    assert f"`tongues update --index {index} {folder}`" in result.stderr
    assert texts(index) == sorted(TEXTS.values())


def test_a_damaged_index_is_repaired(index: Path) -> None:
    generation = current_generation(index)
    for name in (VECTORS, FAISS):
        path = generation / "s000001" / name
        path.write_bytes(path.read_bytes()[:-1] + b"\x55")
    result = tongues("verify", "--index", str(index))
    assert (result.exit_code, result.stdout) == (1, "")
    assert [line.partition(": damaged")[0] for line in result.stderr.splitlines()] == [
        f"Error: {generation}/s000001/{name}" for name in (VECTORS, FAISS)
    ]
    result = tongues("repair", "-q", "--index", str(index))
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.splitlines() == [
        f"mended: s000001/{VECTORS}, embedded again",
        f"mended: s000001/{FAISS}, from vectors",
    ]
    assert tongues("verify", "--index", str(index)).stdout == f"{index}: whole\n"
    assert tongues("repair", "--index", str(index)).stdout == f"{index}: whole\n"
    (current_generation(index) / DATABASE).unlink()  # the generation before shares the file
    result = tongues("repair", "--index", str(index))
    assert "gone back to generation g000001" in result.stdout
    assert "lost: what changed after " in result.stdout
    assert verify(index) == []


@contextlib.contextmanager
def watching(index: Path, said: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Have a process watch the sources of an index; what it says goes to a file."""
    with said.open("wb") as file:
        args = command("update", "--index", str(index), "--watch")
        process = subprocess.Popen(args, env=environment(), cwd=ROOT, stdout=file, stderr=file)
        try:
            yield process
        finally:
            process.kill()
            process.wait()


def until(is_so: Callable[[], bool], what: str) -> None:
    """Wait for something, for a minute at most."""
    end = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < end, what
        time.sleep(0.05)


def test_a_watched_folder_is_indexed_as_it_changes(index: Path, folder: Path, tiny_model: Path, tmp_path: Path) -> None:
    said = tmp_path / "said.txt"
    with Searcher.open(index) as searcher, watching(index, said) as process:
        until(lambda: b"watching " in said.read_bytes(), "it begins to watch")
        (folder / "dogs.md").write_text("A dog guards the yard.", "utf-8")
        until(searcher.refresh, "the new file is indexed")
        assert "A dog guards the yard." in [hit.text for hit in searcher.search("dog")]
        folder.rename(tmp_path / "away")
        until(lambda: b"Trying again every 5 s" in said.read_bytes(), "an error is told and not the end")
        (tmp_path / "away" / "cats.txt").unlink()
        (tmp_path / "away").rename(folder)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
    assert b"is as of its last update" in said.read_bytes()
    assert tongues("update", "-q", "--index", str(index)).exit_code == 0
    assert texts(index) == ["A dog guards the yard.", TEXTS["bread.txt"]]
    assert verify(index) == []


def test_a_watched_file_is_indexed_when_nobody_else_writes_any_more(
    folder: Path, tiny_model: Path, tmp_path: Path
) -> None:
    index, said = tmp_path / "index", tmp_path / "said.txt"
    made = tongues("build", "-q", str(folder / "cats.txt"), "--out", str(index), "--model", str(tiny_model))
    assert made.exit_code == 0
    with Searcher.open(index) as searcher, watching(index, said):
        until(lambda: b"watching " in said.read_bytes(), "it begins to watch")
        (folder / "bread.txt").write_text("Nobody asked for this one.", "utf-8")
        with locked(index):
            (folder / "cats.txt").write_text("One cat sleeps.", "utf-8")
            until(lambda: b"Trying again every 5 s" in said.read_bytes(), "another program writes")
        until(searcher.refresh, "it is tried again")
        assert [hit.text for hit in searcher.search("cat")] == ["One cat sleeps."]
        until(lambda: b"embedded, in" in said.read_bytes(), "it is told")
    shown = said.read_text("utf-8").splitlines()
    first, watched, error, told = [one for one in shown if one.startswith((str(index), "watching", "Error"))]
    assert first == f"{index}: up to date (1 files looked at)."
    assert watched == f"watching {folder}/cats.txt; Ctrl-C ends."
    assert error == f"Error: {index}: another program is writing here. Wait for it to end, or name another. " + (
        "Trying again every 5 s."
    )
    assert told.startswith(f"{index}: 0 new, 1 changed, 0 gone documents; 1 passages embedded")
