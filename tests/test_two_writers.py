"""Two writers at once, and readers while one writes: one writer works, and no reader ever sees a mixture."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from index.errors import StoreError
from index.progress import SILENT, Progress
from index.refit import refit
from index.repairer import repair
from index.updater import update
from index.verifier import verify
from tests.builds import ROOT, environment
from tests.faults import DIM, FIRST, SECOND, build_all, contents, leftovers, update_all, write_corpus
from tests.toys import ToyEncoder

if TYPE_CHECKING:
    from index.records import Vectors

HOLD = """
import sys
from pathlib import Path
from tests.faults import DIM, OPERATIONS
from tests.toys import ToyEncoder
class Waiting(ToyEncoder):
    def encode_passages(self, texts, progress=None):
        print("working", flush=True)
        sys.stdin.readline()
        return super().encode_passages(texts)
out, corpus, operation = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
OPERATIONS[operation](out, corpus, Waiting(dim=DIM))
"""
"""Holds the index until its standard input ends."""
READ = """
import json, sys
from pathlib import Path
from search.searcher import Searcher
from tests.faults import DIM, QUERIES
from tests.toys import ToyEncoder
out, last = Path(sys.argv[1]), sys.argv[2]
seen = []
with Searcher.open(out, encoder=ToyEncoder(dim=DIM)) as searcher:
    print("reading", flush=True)
    while not seen or seen[-1] != last:
        if sys.argv[3] == "refresh":
            searcher.refresh()
            hits = [hit for of_query in searcher.search_batch(QUERIES, 300) for hit in of_query]
        else:
            with Searcher.open(out, encoder=ToyEncoder(dim=DIM)) as found:
                hits = [hit for of_query in found.search_batch(QUERIES, 300) for hit in of_query]
        states = set()
        for hit in hits:
            states.add(hit.metadata["state"])
            text = Path(sys.argv[4]).read_text("utf-8").replace("STATE", hit.metadata["state"])
            assert text[hit.start : hit.end] == hit.text, hit
        assert len(states) == 1, states  # of one generation each
        assert len(hits) >= 9, len(hits)
        (state,) = states
        if not seen or seen[-1] != state:
            assert not seen or int(state) > int(seen[-1]), (seen, state)
            seen.append(state)
print(json.dumps(seen))
"""
"""Asks again and again until it has seen the last state of the corpus; every document of a state holds its number."""
N_SWITCHES = 20


def start(code: str, *args: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-W", "error", "-c", code, *map(str, args)]
    return subprocess.Popen(
        command, stdin=-1, stdout=-1, encoding="utf-8", env=environment(OMP_NUM_THREADS="1"), cwd=ROOT
    )


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Files of a corpus that have changed since the index beside them was built."""
    write_corpus(tmp_path / "corpus", FIRST)
    build_all(tmp_path / "index", tmp_path / "corpus", ToyEncoder(dim=DIM))
    write_corpus(tmp_path / "corpus", SECOND)
    return tmp_path / "corpus"


def assert_refused(out: Path, corpus: Path) -> None:
    """Check that every operation is refused at once, before anything is read or embedded."""

    class Never(ToyEncoder):
        def encode_passages(self, texts: Sequence[str], progress: Progress = SILENT) -> Vectors:
            raise AssertionError("embedded")

    encoder = Never(dim=DIM)
    for work in (
        lambda: build_all(out, corpus, encoder),
        lambda: update(out, encoder=encoder),
        lambda: refit(out, encoder, parallel=""),
        lambda: repair(out, encoder=encoder),
    ):
        with pytest.raises(StoreError, match=r"another program is writing here\. Wait for it to end"):
            work()


@pytest.mark.parametrize("operation", ["build", "update", "refit"])
def test_two_writers(operation: str, corpus: Path) -> None:
    out = corpus.with_name("index")
    before = contents(out)
    with start(HOLD, out, corpus, operation) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "working\n"
        assert_refused(out, corpus)
        assert verify(out) == []
        assert contents(out) == before
        assert update(out, dry_run=True).changed == 1  # which only looks
        holder.communicate()
    assert holder.returncode == 0
    assert verify(out) == []
    assert (contents(out) == before) == (operation == "refit")
    update_all(out, corpus, ToyEncoder(dim=DIM))  # let go of


@pytest.mark.parametrize("operation", ["build", "update", "refit"])
def test_a_writer_that_is_killed_lets_go(operation: str, corpus: Path) -> None:
    out = corpus.with_name("index")
    with start(HOLD, out, corpus, operation) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "working\n"
        assert_refused(out, corpus)
        holder.kill()
        holder.communicate()
    assert holder.returncode == -signal.SIGKILL
    encoder = ToyEncoder(dim=DIM)
    update_all(out, corpus, encoder)
    assert encoder.encoded
    assert verify(out) == []
    assert leftovers(out) == []


def test_of_many_writers_that_begin_at_once_each_works_or_is_refused(corpus: Path) -> None:
    out = corpus.with_name("index")
    code = (
        "import sys\nfrom pathlib import Path\nfrom index.errors import StoreError\n"
        "from tests.faults import DIM, build_all\nfrom tests.toys import ToyEncoder\n"
        "print('ready', flush=True); sys.stdin.readline()\nfor _ in range(8):\n"
        "    try:\n        build_all(Path(sys.argv[1]), Path(sys.argv[2]), ToyEncoder(dim=DIM)); print('built')\n"
        "    except StoreError as error:\n        assert 'another program is writing here' in str(error), error\n"
    )
    writers = [start(code, out, corpus) for _ in range(3)]
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
    said = []
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("\n")
        writer.stdin.flush()
    for writer in writers:
        said += writer.communicate()[0].split()
        assert writer.returncode == 0
    assert set(said) == {"built"}
    assert verify(out) == []
    assert leftovers(out) == []


def write_state(folder: Path, state: int) -> None:
    """Write a corpus whose documents all tell which state of it they are of."""
    folder.mkdir(exist_ok=True)
    text = TEXT.replace("STATE", str(state))
    for i in range(3):
        record = {"id": str(i), "text": text, "lang": "en", "title": f"Row {i}", "state": str(state)}
        (folder / f"{i}.jsonl").write_text(json.dumps(record) + "\n", "utf-8")


TEXT = " ".join(f"Apples of the second orchard in state STATE, rain number eleven in row {i} of it." for i in range(9))


def readers(out: Path, text: Path) -> Iterator[subprocess.Popen[str]]:
    for how in ("refresh", "refresh", "open"):
        process = start(READ, out, N_SWITCHES, how, text)
        assert process.stdout is not None
        assert process.stdout.readline() == "reading\n"
        yield process


def test_readers_while_generations_are_switched(tmp_path: Path) -> None:
    corpus, out, text = tmp_path / "corpus", tmp_path / "index", tmp_path / "text"
    text.write_text(TEXT, "utf-8")
    write_state(corpus, 0)
    build_all(out, corpus, ToyEncoder(dim=DIM))
    started = list(readers(out, text))
    try:
        for state in range(1, N_SWITCHES + 1):
            write_state(corpus, state)
            update_all(out, corpus, ToyEncoder(dim=DIM))
        seen = [json.loads(process.communicate(timeout=120)[0]) for process in started]
    finally:
        for process in started:
            process.kill()
            process.communicate()
    assert [process.returncode for process in started] == [0, 0, 0]
    assert [states[-1] for states in seen] == [str(N_SWITCHES)] * 3
    assert max(map(len, seen)) > 3  # and some of those before
    write_state(corpus, N_SWITCHES + 1)
    update_all(out, corpus, ToyEncoder(dim=DIM))
    assert leftovers(out) == []
