"""Measures how fast passages are embedded and indexed, against sentence-transformers with the same weights.

    python scripts/bench_encode.py CORPUS.jsonl[.gz]... --out scripts/results/encode.json

Each corpus is JSON Lines with text and, if it holds several languages, lang. Passages of about 130 tokens are taken.
sentence-transformers (torch, fp32, its own batches) and our encoder embed the same ones with the same threads,
language by language; and `tongues build` makes an index of many of them, from the file to the finished index, in a
process of its own. All by turns, round by round, so that what else the machine does slows all of them. With --sweep,
the last corpus is built in growing sizes.
"""

from __future__ import annotations

import gzip
import json
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click

from index import ModelSettings, open_encoder
from index.encoder import PromptedEncoder
from index.models import find_model
from scripts.measuring import machine, run, summary, write_results

SHORTEST, LONGEST = 80, 180
"""Tokens of the passages, prompt and special tokens included: about 130."""


def read_texts(path: Path) -> Iterator[tuple[str, str]]:
    """Yield language and text of every record of a JSON Lines file."""
    data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    for line in data.decode("utf-8").splitlines():
        if line:
            record = json.loads(line)
            yield str(record.get("lang", path.name.partition("-")[0])), str(record["text"])


def choose(texts: list[str], encoder: PromptedEncoder, n: int) -> tuple[list[str], float]:
    """Return ``n`` texts of about 130 tokens, evenly spread, and their mean number of tokens."""
    around = encoder.fingerprint.max_tokens - encoder.passage_tokens
    lengths = [around + length for length in encoder.count_tokens(texts)]
    fitting = [(t, length) for t, length in zip(texts, lengths, strict=True) if SHORTEST <= length <= LONGEST]
    n = min(n, len(fitting))
    chosen = [fitting[i * len(fitting) // n] for i in range(n)]
    return [text for text, _ in chosen], round(statistics.mean(length for _, length in chosen), 1)


class Contest:
    """The rivals, with the same weights and threads."""

    def __init__(self, threads: int, precisions: list[str]) -> None:
        import torch
        from sentence_transformers import SentenceTransformer

        torch.set_num_threads(threads)
        self.threads = threads
        self.stock = SentenceTransformer(str(find_model("e5-small").folder), device="cpu")
        self.ours = {
            name: open_encoder(ModelSettings(precision=name, backend="openvino", threads=threads))
            for name in precisions
        }

    def embed(self, texts: list[str], rounds: int) -> dict[str, Any]:
        """Return passages a second of every encoder."""
        prompted = ["passage: " + text for text in texts]
        rivals: dict[str, Callable[[], float]] = {"stock": lambda: len(texts) / timed(self.stock.encode, prompted)}
        for name, encoder in self.ours.items():
            rivals[name] = lambda encoder=encoder: len(texts) / timed(encoder.encode_passages, texts)  # type: ignore[misc]
        return compare(rivals, rounds)

    def ingest(self, texts: list[str], n_stock: int, rounds: int) -> dict[str, Any]:
        """Return passages a second from a file to a finished index, beside what stock needs to embed alone."""
        prompted = ["passage: " + texts[i * len(texts) // n_stock] for i in range(n_stock)]
        with tempfile.TemporaryDirectory() as folder:
            corpus, out = Path(folder) / "corpus.jsonl", Path(folder) / "index"
            write_corpus(corpus, texts)

            def build_index(*options: str) -> float:
                built = build(corpus, out, self.threads, *options)
                return float(built["passages"] / built["seconds"])

            rivals = {
                "stock": lambda: n_stock / timed(self.stock.encode, prompted),
                "build": build_index,
                "build, no sentences": lambda: build_index("--no-sentences"),
            }
            return compare(rivals, rounds)


def compare(rivals: dict[str, Callable[[], float]], rounds: int) -> dict[str, Any]:
    """Run all rivals by turns, once before it counts; return their rates and the ratios to stock, round by round."""
    found: dict[str, list[float]] = {name: [] for name in rivals}
    for rival in rivals.values():
        rival()
    for _ in range(rounds):
        for name, rival in rivals.items():
            found[name].append(rival())
    ratios = {name: [a / b for a, b in zip(found[name], found["stock"], strict=True)] for name in rivals}
    return {
        "passages_per_second": {name: summary(values, 1) for name, values in found.items()},
        "ratio_to_stock": {name: round(statistics.median(values), 2) for name, values in ratios.items()},
    }


def write_corpus(path: Path, texts: list[str]) -> None:
    """Write texts as JSON Lines."""
    lines = (json.dumps({"_id": i, "text": text}, ensure_ascii=False) for i, text in enumerate(texts))
    path.write_text("\n".join(lines), "utf-8")


def build(corpus: Path, out: Path, threads: int, *options: str) -> dict[str, Any]:
    """Build an index as the command does, in a process of its own; returns its passages, seconds and memory."""
    tongues = str(Path(sys.executable).with_name("tongues"))
    args = [tongues, "build", "-q", str(corpus), "--out", str(out), "--threads", str(threads), *options]
    seconds, megabytes = run(args)
    generation = out / "generations" / (out / "CURRENT").read_text("utf-8").strip()
    passages = json.loads((generation / "manifest.json").read_text("utf-8"))["counts"]["passages"]
    size = sum(file.stat().st_size for file in generation.iterdir())
    return {"passages": passages, "seconds": seconds, "peak_mb": round(megabytes), "disk_mb": round(size / 1e6, 1)}


def timed(work: Callable[[list[str]], object], texts: list[str]) -> float:
    """Return the seconds that a call takes."""
    began = time.perf_counter()
    work(texts)
    return time.perf_counter() - began


def sweep(texts: list[str], sizes: list[int], threads: int) -> list[dict[str, Any]]:
    """Return how the cost of a build grows with the number of documents."""
    rows = []
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            corpus = Path(folder) / "corpus.jsonl"
            write_corpus(corpus, texts[:size])
            built = build(corpus, Path(folder) / "index", threads)
        built["passages_per_second"] = round(built["passages"] / built["seconds"], 1)
        rows.append({"documents": min(size, len(texts)), **built, "seconds": round(built["seconds"], 1)})
        click.echo(json.dumps(rows[-1]), err=True)
    return rows


@click.command()
@click.argument("corpora", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("-n", "n", default=256, show_default=True, help="Passages a language that are embedded.")
@click.option("--built", default=2000, show_default=True, help="Passages that are built into an index.")
@click.option("--rounds", default=5, show_default=True)
@click.option("--threads", default=2, show_default=True)
@click.option("--precisions", default="int8", show_default=True, help="Ours, separated by commas.")
@click.option("--sweep", "sizes", default="", help="Numbers of documents of the last corpus, separated by commas.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), required=True)
def main(
    corpora: tuple[Path, ...],
    n: int,
    built: int,
    rounds: int,
    threads: int,
    precisions: str,
    sizes: str,
    out: Path,
) -> None:
    """Measure every corpus, language by language."""
    contest = Contest(threads, precisions.split(","))
    counting = next(iter(contest.ours.values()))
    embedded, ingested = [], []
    texts: list[str] = []
    for path in corpora:
        by_lang: dict[str, list[str]] = defaultdict(list)
        for lang, text in read_texts(path):
            by_lang[lang].append(text)
        for lang, of_lang in sorted(by_lang.items()):
            chosen, tokens = choose(of_lang, counting, n)
            row = {"corpus": path.name, "lang": lang, "passages": len(chosen), "mean_tokens": tokens}
            embedded.append({**row, **contest.embed(chosen, rounds)})
            click.echo(json.dumps(embedded[-1]), err=True)
        texts = [text for of_lang in by_lang.values() for text in of_lang]
        chosen, tokens = choose(texts, counting, built)
        row = {"corpus": path.name, "passages": len(chosen), "mean_tokens": tokens}
        ingested.append({**row, **contest.ingest(chosen, min(n, len(chosen)), rounds)})
        click.echo(json.dumps(ingested[-1]), err=True)
    grown = sweep(texts, [int(size) for size in sizes.split(",")], threads) if sizes else []
    record = {**machine(threads), "rounds": rounds, "embedding": embedded, "ingest": ingested, "sweep": grown}
    write_results(out, record)


if __name__ == "__main__":
    main()
