"""Index directories from anywhere: each is answered by one clear error, soon, and within little memory."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from index.errors import StoreError
from index.layout import CURRENT
from index.manifest import read_manifest
from index.store import current_generation
from index.verifier import verify
from tests.builds import ROOT, environment, make_index
from tests.hostile import HOSTILE
from tests.test_damage import MADE
from tests.toys import ToyEncoder

ASK = """
import json, resource, signal, sys, time
from pathlib import Path
import numpy, faiss
from index.errors import TonguesError
from index.store import Store
from index.verifier import verify
from search.searcher import Searcher
from tests.toys import ToyEncoder

def search(out):
    with Searcher.open(out, encoder=ToyEncoder(dim=64)) as searcher:
        searcher.search("apples grow, plums fall", 3, explain=True)

def read(out):
    with Store.open(out) as store:
        for row in range(min(store.n_passages, 3)):
            store.documents.passages([row])

def tell(out):
    with Store.open(out) as store:
        store.documents.left_out(), store.documents.rejected(), store.documents.langs()

resource.setrlimit(resource.RLIMIT_AS, (4 * 2**30,) * 2)
resource.setrlimit(resource.RLIMIT_STACK, (2**20, resource.RLIM_INFINITY))
for line in sys.stdin:
    out, said = Path(line.strip()), []
    signal.alarm(30)
    before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
    for act in (search, read, tell, verify):
        try:
            said += act(out) or []
        except TonguesError as error:
            said.append(str(error))
        except Exception as error:
            said.append(f"CRASH {act.__name__} {error!r}"[:500])
    more = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    print(json.dumps([out.name, said, time.monotonic() - began, more / 1024]), flush=True)
"""


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("sound") / "index"
    make_index(out, MADE, ToyEncoder(dim=64))
    return out


@pytest.fixture(scope="module")
def answers(sound: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[list[str], float, float]]:
    """What is said of each hostile directory, in how many seconds, and in how many more megabytes."""
    folder = tmp_path_factory.mktemp("hostile")
    for number, (_, spoil) in enumerate(HOSTILE.values()):
        spoil(Path(shutil.copytree(sound, folder / str(number))))
    names = list(HOSTILE)
    asked = "".join(f"{folder / str(number)}\n" for number in (*range(len(names)),))
    result = subprocess.run(
        [sys.executable, "-c", ASK], input=f"{sound}\n{asked}", text=True, capture_output=True, env=environment(),
        cwd=ROOT, timeout=300, check=False,
    )  # fmt: skip
    _, *lines = map(json.loads, result.stdout.splitlines())
    assert (result.returncode, len(lines)) == (0, len(names)), (
        f"ended at {names[min(len(lines), len(names) - 1)]!r}: {result.returncode} {result.stderr[-2000:]}"
    )
    shutil.rmtree(folder)
    return {name: (said, seconds, more) for name, (_, said, seconds, more) in zip(names, lines, strict=True)}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_directory(name: str, answers: dict[str, tuple[list[str], float, float]]) -> None:
    said, seconds, megabytes = answers[name]
    assert any(HOSTILE[name][0] in one for one in said), said
    for one in said:
        assert not one.startswith("CRASH"), one
        assert one.isprintable(), one
        assert len(one) < 600
    assert seconds < 15
    assert megabytes < 200


def test_the_sound_one_is_sound(sound: Path) -> None:
    assert verify(sound) == []


@pytest.mark.parametrize("name", [".lock", "generations/.probe"])
def test_no_build_writes_through_a_link(name: str, sound: Path, tmp_path: Path) -> None:
    out, letter = Path(shutil.copytree(sound, tmp_path / "index")), tmp_path / "letter.txt"
    letter.write_text("kept")
    (out / name).unlink(missing_ok=True)
    (out / name).symlink_to(letter)
    with pytest.raises(StoreError, match=r"is a link, which no build makes\. Look where it leads, and remove it"):
        make_index(out, MADE, ToyEncoder(dim=64))
    assert letter.read_text() == "kept"
    (out / name).unlink()
    make_index(out, MADE, ToyEncoder(dim=64))


@pytest.mark.parametrize("name", [CURRENT, "generations/.probe"])
@pytest.mark.timeout(20)
def test_no_build_waits_for_a_pipe(name: str, sound: Path, tmp_path: Path) -> None:
    out = Path(shutil.copytree(sound, tmp_path / "index"))
    (out / name).unlink(missing_ok=True)
    os.mkfifo(out / name)
    if name == CURRENT:
        with pytest.raises(StoreError, match="holds other files"):
            make_index(out, MADE, ToyEncoder(dim=64))
    else:
        make_index(out, MADE, ToyEncoder(dim=64))


def test_a_manifest_too_long_to_be_read_is_not_written(sound: Path) -> None:
    manifest = dataclasses.replace(read_manifest(current_generation(sound)), sources=("a" * 1_000,) * 20_000)
    with pytest.raises(StoreError, match=r"20,000 sources are named, too many .* Name the folders that they are in"):
        manifest.to_json()
