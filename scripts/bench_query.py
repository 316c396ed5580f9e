"""Measures what a question costs, against sentence-transformers and FAISS doing the same (scripts/stock_search.py).

    python scripts/bench_query.py CORPUS.jsonl[.gz] --out scripts/results/query.json

Cold: whole processes that answer one question over the sample corpus, by turns. Warm: in one process, many different
questions over an index of --passages, by turns in blocks. Sweep: the search step alone over growing numbers of vectors.
Texts are those of the corpus, numbered so that none repeats. Vectors of large indexes are drawn around the embeddings
of 2,000 of them: the mixture of two, with a little noise; embedding a million texts would take hours.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np

from index import Document, ModelSettings, build_documents, open_encoder
from index.encoder import PromptedEncoder
from index.kinds import build_vector_index, open_vector_index, suited_kind
from index.models import find_model
from index.progress import SILENT, Progress
from index.sample_corpus import SAMPLES, read_questions
from index.store import Store
from index.vectors import VectorFile, open_vectors, unit_rows
from scripts.bench_encode import read_texts
from scripts.measuring import machine, percentile, run, summary, write_results
from search import Searcher

SEEDS = 2000
NOISE = 0.02
"""Standard deviation of what is added to each number of a drawn vector."""
BLOCK = 25
QUESTION = "How can I get my money back for something I bought online?"


class Drawn:
    """Gives vectors drawn around those of real texts, in place of embedding; everything else is the encoder's own."""

    def __init__(self, encoder: PromptedEncoder, texts: Sequence[str], seed: int = 1) -> None:
        self._seeds = encoder.encode_passages(texts)
        self._random = np.random.default_rng(seed)
        self.fingerprint = encoder.fingerprint
        self.passage_tokens = encoder.passage_tokens
        self.query_tokens = encoder.query_tokens
        self.count_tokens = encoder.count_tokens
        self.encode_queries = encoder.encode_queries

    def draw(self, n: int) -> Any:
        """Return ``n`` drawn unit vectors."""
        one, two = (self._seeds[self._random.integers(len(self._seeds), size=n)] for _ in range(2))
        share = self._random.random((n, 1), np.float32)
        noise = self._random.standard_normal(one.shape, np.float32) * NOISE
        return unit_rows(share * one + (1 - share) * two + noise)

    def encode_passages(self, texts: Sequence[str], progress: Progress = SILENT) -> Any:
        """Return a drawn vector for each text."""
        progress.advance(len(texts))
        return self.draw(len(texts))


def prepare(folder: Path) -> dict[str, Any]:
    """Return what the first use of the offline model costs, from nothing."""
    code = "from index import ModelSettings, open_encoder; open_encoder(ModelSettings(backend='openvino'))"
    seconds, megabytes = run([sys.executable, "-c", code], TONGUES_HOME=str(folder / "home"))
    return {"seconds": round(seconds, 1), "peak_mb": round(megabytes)}


def cold(rounds: int, folder: Path) -> dict[str, Any]:
    """Return seconds and memory of whole processes: ours, stock's, and `tongues --help`."""
    tongues = str(Path(sys.executable).with_name("tongues"))
    stock = str(Path(__file__).with_name("stock_search.py"))
    small, texts, faiss_index = folder / "small", folder / "texts.json", folder / "stock.faiss"
    run([tongues, "build", "-q", str(SAMPLES), "--out", str(small)])
    with Store.open(small) as store:
        texts.write_text(json.dumps([p.text for p in store.documents.passages(range(store.n_passages))]), "utf-8")
    model = str(find_model("e5-small").folder)
    run([sys.executable, stock, "build", model, str(texts), str(faiss_index)])
    commands = {
        "stock": [sys.executable, stock, "search", model, str(texts), str(faiss_index), QUESTION],
        "tongues search": [tongues, "search", "--index", str(small), QUESTION],
        "tongues search, Lithuanian": [tongues, "search", "--index", str(small), "Kaip grąžinti prekę?"],
        "tongues --help": [tongues, "--help"],
    }
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
    for command in commands.values():
        run(command)
    for _ in range(rounds):
        for name, command in commands.items():
            found[name].append(run(command))
    stock_seconds = [seconds for seconds, _ in found["stock"]]
    return {
        name: {
            "seconds": summary([seconds for seconds, _ in runs]),
            "peak_mb": round(max(megabytes for _, megabytes in runs)),
            "ratio_to_stock": round(statistics.median(s / t for (s, _), t in zip(runs, stock_seconds, strict=True)), 3),
        }
        for name, runs in found.items()
    }


def warm(
    encoder: PromptedEncoder, drawn: Drawn, texts: list[str], n: int, folder: Path, threads: int
) -> dict[str, Any]:
    """Return milliseconds a question over ``n`` passages: ours and stock's, and their parts."""
    import faiss
    import torch
    from sentence_transformers import SentenceTransformer

    torch.set_num_threads(threads)
    # Four languages by name, so that they are balanced as those of a real index are.
    made = (
        Document(str(i), "bench", f"{i} {texts[i % len(texts)][:300]}", lang=("fa", "lt", "te", "ur")[i % 4])
        for i in range(n)
    )
    build_documents(made, folder / "large", encoder=drawn)
    stock = SentenceTransformer(str(find_model("e5-small").folder), device="cpu")
    with Searcher.open(folder / "large", encoder=encoder) as searcher, Store.open(folder / "large") as store:
        vectors = np.ascontiguousarray(store.vectors())
        flat = faiss.IndexFlatIP(vectors.shape[1])
        flat.add(vectors)
        index = store.vector_index()

        def of_stock(question: str) -> None:
            vector = stock.encode(["query: " + question], normalize_embeddings=True)
            flat.search(vector, 10)

        def of_dense(question: str) -> None:
            ((rows, _),) = index.search(encoder.encode_queries([question]), 10)
            store.documents.passages(rows.tolist())

        rivals: dict[str, Callable[[str], object]] = {
            "stock: encode": lambda question: stock.encode(["query: " + question], normalize_embeddings=True),
            "stock: encode + search": of_stock,
            "encode": lambda question: encoder.encode_queries([question]),
            "encode + search": lambda question: index.search(encoder.encode_queries([question]), 10),
            "question to passages, cosines alone": of_dense,
            "question to hits": lambda question: searcher.search(question, 10),
        }
        found: dict[str, list[float]] = {name: [] for name in rivals}
        for at, block in enumerate(blocks(questions())):
            for name, ask in rivals.items():
                for question in block:
                    began = time.perf_counter()
                    ask(question)
                    if at:  # the first block warms up
                        found[name].append(1000 * (time.perf_counter() - began))
    return {
        "passages": n,
        "questions": len(found["encode"]),
        "ms": {
            name: {"p50": round(statistics.median(values), 2), "p95": round(percentile(values, 0.95), 2)}
            for name, values in found.items()
        },
    }


def questions() -> list[str]:
    """Return 300 different questions in five languages."""
    asked = [question.text for question in read_questions()]
    return [text if n == 0 else f"{n}. {text}" for n in range(5) for text in asked]


def blocks(texts: list[str]) -> Iterator[list[str]]:
    """Yield the texts in blocks."""
    for at in range(0, len(texts), BLOCK):
        yield texts[at : at + BLOCK]


def sweep(encoder: PromptedEncoder, drawn: Drawn, sizes: list[int], folder: Path) -> list[dict[str, Any]]:
    """Return what the search step costs over growing numbers of vectors."""
    queries = encoder.encode_queries(questions()[:200])
    rows = []
    for size in sizes:
        path = folder / "vectors.npy"
        file = VectorFile(path, encoder.fingerprint.dim)
        for at in range(0, size, 50_000):
            file.append(drawn.draw(min(50_000, size - at)))
        file.close()
        vectors = open_vectors(path, size, encoder.fingerprint.dim)
        kind = suited_kind(size)
        began = time.perf_counter()
        build_vector_index(kind, vectors).save(folder / "index.faiss")
        built = time.perf_counter() - began
        began = time.perf_counter()
        index = open_vector_index(kind, folder / "index.faiss", vectors)
        opened = time.perf_counter() - began
        exact = np.argsort(-(vectors @ queries[:50].T), axis=0)[:10].T
        times, right = [], 0
        for number, query in enumerate(queries):
            began = time.perf_counter()
            ((found, _),) = index.search(query[None], 10)
            times.append(1000 * (time.perf_counter() - began))
            right += len(set(found) & set(exact[number])) if number < len(exact) else 0
        row = {"vectors": size, "kind": str(kind), "p50_ms": round(statistics.median(times), 2)}
        row |= {"p95_ms": round(percentile(times, 0.95), 2), "recall@10": right / (10 * len(exact))}
        row |= {"build_seconds": round(built, 1), "open_ms": round(1000 * opened, 1)}
        rows.append({**row, "index_mb": round((folder / "index.faiss").stat().st_size / 1e6, 1)})
        click.echo(json.dumps(rows[-1]), err=True)
    return rows


@click.command()
@click.argument("corpus", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--rounds", default=7, show_default=True)
@click.option("--passages", default=100_000, show_default=True, help="Of the warm index.")
@click.option("--sweep", "sizes", default="1000,10000,100000,1000000", show_default=True)
@click.option("--threads", default=2, show_default=True)
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), required=True)
def main(corpus: Path, rounds: int, passages: int, sizes: str, threads: int, out: Path) -> None:
    """Measure cold, warm, and growing."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        record = {**machine(threads), "rounds": rounds, "prepare": prepare(folder), "cold": cold(rounds, folder)}
        click.echo(json.dumps(record["cold"], ensure_ascii=False), err=True)
        encoder = open_encoder(ModelSettings(backend="openvino", threads=threads))
        texts = [text for _, text in read_texts(corpus)]
        drawn = Drawn(encoder, texts[:: max(1, len(texts) // SEEDS)][:SEEDS])
        record["warm"] = warm(encoder, drawn, texts, passages, folder, threads)
        click.echo(json.dumps(record["warm"]), err=True)
        record["sweep"] = sweep(encoder, drawn, [int(size) for size in sizes.split(",")], folder)
        write_results(out, record)


if __name__ == "__main__":
    main()
