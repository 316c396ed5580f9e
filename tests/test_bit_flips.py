"""Any file of an index damaged in any way: told or without harm, found by verify, mended by repair or told as lost."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from index.kinds import VectorIndexKind
from index.layout import FAISS, LANGS, MANIFEST, OFFSETS, VECTORS
from tests.builds import ROOT, environment

WAYS = ("flipped", "overwritten", "cut", "extended", "removed", "swapped")
KINDS = [VectorIndexKind.FLAT, VectorIndexKind.PQ]


@dataclass(frozen=True)
class Worker:
    """The process that damages, and the names of the files it can damage."""

    process: subprocess.Popen[str]
    names: list[str]

    def ask(self, **case: object) -> dict[str, Any]:
        """Have one case tried; an answer that is none means that the process ended."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(case) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, f"{case}: the process ended with {self.process.wait()}"
        answer: dict[str, Any] = json.loads(line)
        assert "wrong" not in answer, f"{case}: {answer['wrong']}"
        return answer


@pytest.fixture(scope="module", params=KINDS)
def worker(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    kind, folder = str(request.param), str(tmp_path_factory.mktemp("damaged"))
    args = [sys.executable, "-W", "error", "-m", "tests.damaged", kind, folder]
    env = environment(OMP_NUM_THREADS="1")
    with subprocess.Popen(args, stdin=-1, stdout=-1, encoding="utf-8", env=env, cwd=ROOT) as process:
        assert process.stdout is not None
        names = json.loads(process.stdout.readline())
        if kind != VectorIndexKind.FLAT:  # other files are the same
            names = [name for name in names if Path(name).name in (FAISS, VECTORS, LANGS, OFFSETS, MANIFEST)]
        yield Worker(process, names)
        assert process.stdin is not None
        process.stdin.close()
    assert process.returncode == 0


@pytest.mark.parametrize(
    ("way", "at"), [("removed", 0.0), ("cut", 0.0), ("extended", 0.0), ("swapped", 0.0), ("flipped", 1.0)]
)
def test_every_file(way: str, at: float, worker: Worker) -> None:
    answers: Counter[str] = Counter()
    for name, other in zip(worker.names, [*worker.names[1:], worker.names[0]], strict=True):
        answers[worker.ask(name=name, way=way, at=at, content="00", other=other)["answer"]] += 1
    if way in ("removed", "cut", "extended"):  # sizes are compared whenever an index is opened
        assert answers == {"IndexDamagedError": len(worker.names)}


@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_anywhere(worker: Worker, data: st.DataObject) -> None:
    told = worker.ask(
        name=data.draw(st.sampled_from(worker.names), "name"),
        way=data.draw(st.sampled_from(WAYS), "way"),
        at=data.draw(st.floats(0, 1), "at"),
        content=data.draw(st.binary(min_size=1, max_size=64), "content").hex(),
        other=data.draw(st.sampled_from(worker.names), "other"),
    )
    assert told["answer"]
