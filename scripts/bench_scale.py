"""Measures what growing numbers of passages cost, and writes each part into one file of results.

    python scripts/bench_scale.py vectors CORPUS.jsonl[.gz]... --questions QUERIES.jsonl --out results/scale.json
    python scripts/bench_scale.py updates CORPUS.jsonl[.gz] --work FOLDER --out results/scale.json

Vectors: each kind of vector index over vectors drawn around the embeddings of 2,000 texts of each corpus (as
scripts/bench_query.py draws them; embedding millions of texts would take days), asked real questions: time and room to
make it, to open it with nothing of it in memory, memory of a process that asks, milliseconds a question, recall. By
turns with FAISS alone: the same index with the same parameters, its candidates scored again by FAISS's own refinement.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from index import ModelSettings, open_encoder
from index.kinds import VectorIndexKind, build_vector_index, open_vector_index
from index.recall import measure_recall
from index.scored_index import ScoredIndex
from index.vectors import VectorFile, open_vectors
from scripts.bench_encode import read_texts
from scripts.bench_query import BLOCK, SEEDS, Drawn
from scripts.bench_updates import updates
from scripts.measuring import machine, percentile, write_results

if TYPE_CHECKING:
    from index.records import Vectors

K = 10
KINDS = [str(kind) for kind in VectorIndexKind]
ASKED = {VectorIndexKind.FLAT: 100}
"""Questions asked of a kind, where 500 take too long."""
RECALL_QUESTIONS = 200
DRAWN_AT_ONCE = 50_000
LARGEST = {VectorIndexKind.FLAT: 1_000_000, VectorIndexKind.HNSW: 1_000_000}
"""The most vectors that a kind is made of here: the one takes too long to ask, the other to make."""


@click.group()
def main() -> None:
    """Measure a part of what grows."""


main.add_command(updates)


@main.command()
@click.argument("corpora", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--questions", type=click.Path(exists=True, dir_okay=False, path_type=Path), required=True)
@click.option("--sizes", default="100000,1000000", show_default=True)
@click.option("--kinds", default=",".join(VectorIndexKind), show_default=True)
@click.option("--threads", default=2, show_default=True)
@click.option("--seed", default=1, show_default=True)
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), required=True)
def vectors(
    corpora: tuple[Path, ...], questions: Path, sizes: str, kinds: str, threads: int, seed: int, out: Path
) -> None:
    """Measure the kinds of vector index over drawn vectors."""
    import numpy as np

    encoder = open_encoder(ModelSettings(backend="openvino", threads=threads))
    seeds = []
    for corpus in corpora:
        texts = [text for _, text in read_texts(corpus)]
        seeds += texts[:: max(1, len(texts) // SEEDS)][:SEEDS]
    asked = [text for _, text in read_texts(questions)]
    asked = asked[:: max(1, len(asked) // 500)][:500]
    drawn, rows = Drawn(encoder, seeds, seed), measured(out)
    with tempfile.TemporaryDirectory(dir=out.parent) as name:
        folder = Path(name)
        np.save(folder / "questions.npy", encoder.encode_queries(asked))
        for size in map(int, sizes.split(",")):
            draw(drawn, size, encoder.fingerprint.dim, folder / "vectors.npy")
            for kind in map(VectorIndexKind, kinds.split(",")):
                if size <= LARGEST.get(kind, size):
                    row = {"vectors": size, "kind": str(kind)}
                    for step in ("_build", "_reopen", "_contest"):
                        row |= in_process(step, kind, size, encoder.fingerprint.dim, folder)
                    rows[size, kind] = row
                    click.echo(json.dumps(row), err=True)
                    ordered = [rows[key] for key in sorted(rows, key=lambda key: (key[0], KINDS.index(key[1])))]
                    save_part(out, "vectors", {**machine(threads), "seed": seed, "drawn": True, "rows": ordered})


def measured(out: Path) -> dict[tuple[int, str], dict[str, Any]]:
    """Return what the file of results has of earlier runs, by size and kind: kinds may be measured one by one."""
    known = json.loads(out.read_text("utf-8")) if out.exists() else {}
    return {(row["vectors"], row["kind"]): row for row in known.get("vectors", {"rows": []})["rows"]}


def save_part(out: Path, part: str, record: dict[str, Any]) -> None:
    """Put a part's figures into the file of results, beside those of other parts."""
    known = json.loads(out.read_text("utf-8")) if out.exists() else {}
    write_results(out, {**known, part: record})


def draw(drawn: Drawn, size: int, dim: int, path: Path) -> None:
    """Write drawn vectors to a file, some at a time."""
    file = VectorFile(path, dim)
    for at in range(0, size, DRAWN_AT_ONCE):
        file.append(drawn.draw(min(DRAWN_AT_ONCE, size - at)))
    file.close()


def in_process(step: str, kind: VectorIndexKind, size: int, dim: int, folder: Path) -> dict[str, Any]:
    """Return what a step measures in a process of its own."""
    args = [sys.executable, "-m", "scripts.bench_scale", step, kind, str(size), str(dim), str(folder)]
    root = Path(__file__).parent.parent
    result = subprocess.run(args, cwd=root, stdout=subprocess.PIPE, encoding="utf-8", check=True)
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def step(measure: Callable[[str, Vectors, Path], dict[str, Any]]) -> Callable[[str, Vectors, Path], dict[str, Any]]:
    """Make a function a hidden command, which prints what it measures."""

    @main.command(f"_{measure.__name__}", hidden=True)
    @click.argument("kind")
    @click.argument("size", type=int)
    @click.argument("dim", type=int)
    @click.argument("folder", type=click.Path(path_type=Path))
    def command(kind: str, size: int, dim: int, folder: Path) -> None:
        rows = open_vectors(folder / "vectors.npy", size, dim, scattered=measure is reopen)
        click.echo(json.dumps(measure(kind, rows, folder)))

    return measure


@step
def build(kind: str, rows: Vectors, folder: Path) -> dict[str, Any]:
    """Make the index and save it; the memory told includes the pages of the file of vectors that lie in it."""
    began = time.perf_counter()
    index = build_vector_index(VectorIndexKind(kind), rows)
    index.save(folder / "index.faiss")
    return {
        "build_seconds": round(time.perf_counter() - began, 1),
        "build_peak_mb": peak_mb(),
        "effort": getattr(index, "effort", None),
        "index_mb": round((folder / "index.faiss").stat().st_size / 1e6, 1),
    }


@step
def reopen(kind: str, rows: Vectors, folder: Path) -> dict[str, Any]:
    """Open the index with nothing of it in memory and then again, ask it, and tell the most memory held."""
    import faiss
    import numpy as np

    questions = np.load(folder / "questions.npy")[: ASKED.get(VectorIndexKind(kind), 500)]
    faiss.IndexFlatIP(2).add(np.ones((1, 2), np.float32))  # FAISS itself is no part of what is measured
    forget(folder)
    seconds = []
    for _ in range(2):
        began = time.perf_counter()
        index = open_vector_index(kind, folder / "index.faiss", rows)
        seconds.append(round(time.perf_counter() - began, 3))
    index.search(questions[:1], K)
    first = peak_mb()
    for question in questions:
        index.search(question[None], K)
    return {
        "open_cold_seconds": seconds[0],
        "open_warm_seconds": seconds[1],
        "first_question_peak_mb": first,
        "peak_mb": peak_mb(),
    }


def forget(folder: Path) -> None:
    """Have the operating system forget the files it holds in memory, all of them where it lets us."""
    os.sync()
    try:
        Path("/proc/sys/vm/drop_caches").write_text("3")
    except OSError:
        for path in folder.iterdir():
            handle = os.open(path, os.O_RDONLY)
            os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(handle)


def peak_mb() -> int:
    """Return the most memory that this process held, in MB."""
    status = Path("/proc/self/status").read_text("utf-8")  # unlike getrusage, nothing of the parent's
    (line,) = (line for line in status.splitlines() if line.startswith("VmHWM:"))
    return round(int(line.split()[1]) / 1000)


@step
def contest(kind: str, rows: Vectors, folder: Path) -> dict[str, Any]:
    """Ask the index and FAISS alone by turns, in blocks of questions; the first block warms up."""
    import faiss
    import numpy as np

    questions = np.load(folder / "questions.npy")[: ASKED.get(VectorIndexKind(kind), 500)]
    index = open_vector_index(kind, folder / "index.faiss", rows)
    recall = measure_recall(index, rows, questions[:RECALL_QUESTIONS], K)
    flat = faiss.IndexFlatIP(rows.shape[1])
    for at in range(0, len(rows), DRAWN_AT_ONCE):
        flat.add(np.ascontiguousarray(rows[at : at + DRAWN_AT_ONCE]))
    raw, params = flat, None
    if isinstance(index, ScoredIndex):
        raw = faiss.IndexRefine(index._index, flat)
        params = faiss.IndexRefineSearchParameters(k_factor=index._CANDIDATES / K)
    least = flat.search(questions[:RECALL_QUESTIONS], K)[0][:, -1:] - 1e-6
    of_faiss = raw.search(questions[:RECALL_QUESTIONS], K, params=params)[0] >= least
    rivals: dict[str, Callable[[Vectors], object]] = {
        "ours": lambda question: index.search(question, K),
        "faiss": lambda question: raw.search(question, K, params=params),
        "candidates": lambda question: index.candidates(question, 200),
    }
    found: dict[str, list[float]] = {name: [] for name in rivals}
    for at in range(0, len(questions), BLOCK):
        for name, ask in rivals.items():
            for question in questions[at : at + BLOCK]:
                began = time.perf_counter()
                ask(question[None])
                if at:
                    found[name].append(1000 * (time.perf_counter() - began))
    ratios = [
        ours / theirs for ours, theirs in zip(*(_medians(found[name]) for name in ("ours", "faiss")), strict=True)
    ]
    return {
        "ms": {
            name: {"p50": round(statistics.median(times), 2), "p95": round(percentile(times, 0.95), 2)}
            for name, times in found.items()
        },
        "ratio_to_faiss": round(statistics.median(ratios), 2),
        "recall@10": round(recall.recall, 4),
        "faiss_recall@10": round(float(of_faiss.mean()), 4),
    }


def _medians(times: list[float]) -> list[float]:
    return [statistics.median(times[at : at + BLOCK]) for at in range(0, len(times), BLOCK)]


if __name__ == "__main__":
    main()
