"""Embedding by Ray Data: real clusters of this machine, in processes of their own, that end when they should."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import psutil  # type: ignore[import-untyped]
import pytest

from index.config import ModelSettings
from index.embedded import Embedded, vector_fingerprint
from index.encoder import open_encoder
from index.errors import ClusterError, SettingsError
from index.layout import CURRENT, EMBEDDED
from index.ray_embedding import RayCluster, Worker, _connected
from index.store import Store
from index.verifier import verify
from search.searcher import Searcher
from tests.builds import ROOT, environment, run

SCRIPT = [sys.executable, str(ROOT / "scripts" / "rebuild_index.py")]
N_DOCUMENTS = 500


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Path:
    """Texts enough for some dozen tasks, and configurations that differ in where the index is."""
    base = tmp_path_factory.mktemp("ray")
    with (base / "docs.jsonl").open("w") as file:
        for i in range(N_DOCUMENTS):
            text = " ".join(f"Line {i * 100 + j} tells of bread in town." for j in range(24))
            file.write(json.dumps({"id": str(i), "text": text, "lang": ("en", "lt")[i % 2]}) + "\n")
    for name in ("plain", "cluster"):
        config = f'out = "{name}"\nsources = ["docs.jsonl"]\n[model]\nname = "{tiny_model}"\n'
        (base / f"{name}.toml").write_text(config)
    return base


@contextlib.contextmanager
def driver(config: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Start a build on a cluster of this machine; nothing of it is left when the block ends."""
    process = subprocess.Popen([*SCRIPT, str(config), "--ray", "local"], stdout=-1, stderr=-1, env=environment())
    started: dict[int, psutil.Process] = {}
    try:
        yield process
    finally:
        with contextlib.suppress(psutil.NoSuchProcess):
            started = {one.pid: one for one in psutil.Process(process.pid).children(recursive=True)}
        process.kill()
        process.communicate(timeout=30)
        for one in started.values():
            with contextlib.suppress(psutil.NoSuchProcess):
                one.kill()


def wait_for(what: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it takes too long"
        time.sleep(0.01)


def batches(out: Path) -> list[Path]:
    return sorted((out / EMBEDDED).glob("*/*.npz"))


def is_over(process: psutil.Process) -> bool:
    try:
        return bool(process.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def is_agent(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return any("Agent" in part for part in process.cmdline())
    return False


def actors(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    found = psutil.Process(process.pid).children(recursive=True)
    with contextlib.suppress(psutil.NoSuchProcess):
        return [one for one in found if any("MapWorker" in part for part in one.cmdline())]
    return []


def test_killed_and_run_again(folder: Path, tiny_model: Path) -> None:
    out = folder / "cluster"
    with driver(folder / "cluster.toml") as process:
        wait_for(lambda: len(batches(out)) >= 3)
        started = psutil.Process(process.pid).children(recursive=True)
        agents = [one for one in started if is_agent(one)]
        process.kill()  # as a lack of memory does
        assert len(started) > 3
        # Two small agents of Ray wait about a minute for the rest of their cluster.
        wait_for(lambda: all(is_over(one) or one in agents for one in started), 30)
        for one in agents:
            with contextlib.suppress(psutil.NoSuchProcess):
                one.kill()
    assert not (out / CURRENT).exists()

    kept = Embedded(out / EMBEDDED, open_encoder(ModelSettings(str(tiny_model))).fingerprint)
    n_before = len(batches(out))
    assert kept.n_kept > 0
    with driver(folder / "cluster.toml") as process:
        wait_for(lambda: len(batches(out)) > n_before)
        victim = actors(process)[0]
        victim.kill()
        stdout, stderr = process.communicate(timeout=90)
        told = stderr.decode()
        assert (process.returncode, stdout) == (0, b""), told
    assert f"going on after {kept.n_kept:,} passages" in told
    assert f"{kept.n_kept:,} known before" in told  # all others were embedded, once
    assert is_over(victim)

    assert run([*SCRIPT, str(folder / "plain.toml"), "-q"]).returncode == 0
    assert verify(out) == []
    with Store.open(folder / "plain") as one, Store.open(out) as other:
        rows = np.arange(one.n_rows)
        assert other.n_rows == one.n_rows
        assert one.passages(rows.tolist()) == other.passages(rows.tolist())
        assert one.manifest.counts == other.manifest.counts
        assert one.manifest.encoder == other.manifest.encoder
        np.testing.assert_allclose(one.vectors()[rows], other.vectors()[rows], atol=1e-3)
    with Searcher.open(folder / "plain") as plain, Searcher.open(out) as searcher:
        for query in ("Line 4711 tells of bread", "kepykla stotis"):
            found, expected = searcher.search(query, 10), plain.search(query, 10)
            assert [hit.score for hit in found] == pytest.approx([hit.score for hit in expected], abs=1e-3)
            assert found[0].passage_id == expected[0].passage_id


MISMATCH = """
import sys
from index.builder import build
from index.config import BuildSettings, ModelSettings
from index.ray_embedding import RayCluster
from search.terminal import plain_errors
from tests.toys import ToyEncoder
sources, out, model = sys.argv[1:]
settings = BuildSettings(ModelSettings(model))
with plain_errors():
    build(sources, out, settings=settings, encoder=ToyEncoder(), ahead=RayCluster("local", 1))
"""


def test_a_worker_with_another_model(folder: Path, tiny_model: Path) -> None:
    out = folder / "other"
    result = run([sys.executable, "-c", MISMATCH, str(folder / "docs.jsonl"), str(out), str(tiny_model)])
    assert (result.returncode, result.stdout) == (1, b"")
    error = result.stderr.decode().splitlines()[-1]
    assert error.startswith(f"Error: worker on {socket.gethostname()}: {tiny_model} is another model here")
    assert error.endswith("What was embedded is kept; run the same again to go on.")
    assert not (out / CURRENT).exists()


def given(task: bytes, problem: str = "") -> dict[str, list[object]]:
    return {"task": [task], "n_bytes": [7], "problem": [problem]}


def test_a_worker_that_cannot_open_the_model(tmp_path: Path) -> None:
    row = Worker(ModelSettings(str(tmp_path)), "")(given(b"[[], []]"))
    assert row["problem"][0].startswith(f"worker on {socket.gethostname()}: {tmp_path}: not a model")
    assert row["batch"] == [b""]


def test_a_worker_opens_its_model_once(tiny_model: Path) -> None:
    settings = ModelSettings(str(tiny_model), threads=1)
    worker = Worker(settings, vector_fingerprint(open_encoder(settings).fingerprint))
    for _ in range(2):
        row = worker(given(b'[["bread"], ["butter", "milk"]]'))
        assert (row["n_passages"], row["n_texts"], row["n_bytes"], row["problem"]) == ([1], [3], [7], [""])
    assert worker(given(b"no task"))["problem"][0].startswith(f"worker on {socket.gethostname()}: JSONDecodeError: ")
    assert worker(given(b"", "reading: it broke."))["problem"] == ["reading: it broke."]


@pytest.mark.parametrize(
    ("address", "problem"),
    [
        ("ray://127.0.0.1:10001", "does not run through Ray's client. Let this machine join"),
        ("somewhere", "names no Ray cluster. Give local, auto or HOST:PORT."),
        ("", "names no Ray cluster"),
    ],
)
def test_an_address_that_cannot_be_one(address: str, problem: str) -> None:
    with pytest.raises(SettingsError, match=problem):
        RayCluster(address)


def test_fewer_than_no_workers() -> None:
    with pytest.raises(SettingsError, match=r"^workers is -1; give a number from 0"):
        RayCluster("local", -1)


def test_nothing_listens_there() -> None:
    began = time.monotonic()
    with (
        pytest.raises(ClusterError, match=r"^127\.0\.0\.1:9: no Ray cluster can be reached"),
        _connected("127.0.0.1:9"),
    ):
        pass
    assert time.monotonic() - began < 30


def test_ray_is_not_installed(folder: Path) -> None:
    without = (
        "import sys; sys.modules['ray'] = None; sys.path.insert(0, 'scripts'); import rebuild_index as r; r.main()"
    )
    result = run([sys.executable, "-c", without, str(folder / "plain.toml"), "--ray", "local"])
    assert (result.returncode, result.stdout) == (1, b"")
    last = result.stderr.decode().splitlines()[-1]
    assert last.endswith("Install what it needs with: pip install 'manytongues[ray]'")


def test_interrupted(folder: Path) -> None:
    out = folder / "interrupted"
    config = folder / "interrupted.toml"
    config.write_text((folder / "plain.toml").read_text().replace('"plain"', '"interrupted"'))
    with driver(config) as process:
        wait_for(lambda: len(batches(out)) >= 1)
        started = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=30)
        assert (process.returncode, stdout) == (130, b"")
        assert "what was embedded is kept" in stderr.decode().splitlines()[-1]
        wait_for(lambda: all(is_over(one) for one in started), 30)
    assert batches(out)
