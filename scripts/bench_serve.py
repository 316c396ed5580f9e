"""Measures `tongues serve` beside the server one writes with sentence-transformers (scripts/stock_server.py).

    python scripts/bench_serve.py CORPUS.jsonl QUERIES.jsonl... --out scripts/results/serve.json

Distinct questions from --clients at a time over loopback, asked of both servers by turns in blocks; one question after
the other; and again while the index is updated over and over. One program asks all of them (scripts/load.py).
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click
import faiss
import numpy as np

from index.models import find_model
from index.store import Store
from scripts.load import Load, ask_all
from scripts.measuring import machine, percentile, write_results

ROOT = Path(__file__).parent.parent
TONGUES = [sys.executable, "-c", "from search.cli import run; run()"]
BLOCK = 500
LONE = 200
WARM = 300
"""Further questions, asked before anything is measured."""


@contextlib.contextmanager
def running(args: Sequence[str], port: int) -> Iterator[None]:
    """Run a server until the block ends; it answers when the block begins."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(args, env=environment) as process:
        try:
            for _ in range(1200):
                if process.poll() is not None:
                    raise click.ClickException(f"a server ended with status {process.returncode}: {' '.join(args)}")
                with contextlib.suppress(OSError):
                    read(port, "/search?q=warm")
                    break
                time.sleep(0.1)
            else:
                raise click.ClickException(f"a server does not answer: {' '.join(args)}")
            yield
        finally:
            process.terminate()
            process.wait(60)


def read(port: int, path: str) -> str:
    """Return what a server answers."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=60) as answer:
        text: str = answer.read().decode()
        return text


def distinct(files: Sequence[Path], n: int) -> list[str]:
    """Return so many different questions, of all languages mixed.

    Raises:
        click.ClickException: When there are fewer.
    """
    lines = (line for file in files for line in file.read_text("utf-8").splitlines())
    questions = sorted({json.loads(line)["text"].strip() for line in lines})
    if len(questions) < n:
        raise click.ClickException(f"there are {len(questions)} different questions, fewer than {n}.")
    return random.Random(1).sample(questions, n)


def by_turns(ports: dict[str, int], warm: list[str], questions: list[str], clients: int) -> dict[str, Load]:
    """Ask every server every question, a block at a time, the first of each block changing."""
    found: dict[str, Load] = {}
    for port in ports.values():
        ask_all(port, warm, clients)
    for number, at in enumerate(range(0, len(questions), BLOCK)):
        for name in sorted(ports, reverse=bool(number % 2)):
            load = ask_all(ports[name], questions[at : at + BLOCK], clients)
            found[name] = found[name] + load if name in found else load
            click.echo(f"{name} {at + BLOCK}: {json.dumps(load.summary())}", err=True)
    return found


def lone(port: int, questions: Sequence[str]) -> dict[str, Any]:
    """Return what one question after the other takes: each over a new connection, and all over one."""
    single = [ask_all(port, [question], 1).milliseconds[0] for question in questions]
    kept = ask_all(port, questions, 1).milliseconds
    return {
        name: {"p50": round(percentile(values, 0.5), 2), "p95": round(percentile(values, 0.95), 2)}
        for name, values in (("new connection", single), ("kept connection", kept))
    }


def updated(port: int, index: Path, extra: Path, questions: list[str], clients: int) -> dict[str, Any]:
    """Return what a load measured while the index was updated over and over."""
    over, updates = threading.Event(), list[float]()
    before = figure(port, "tongues_refreshes_total")

    def keep_updating() -> None:
        while not over.is_set():
            (extra / f"{len(updates)}.txt").write_text(f"Update {time.time_ns()} came while many asked.", "utf-8")
            subprocess.run(
                [*TONGUES, "update", "-q", "--threads", "1", "--index", str(index)],
                check=True,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
            )
            updates.append(time.monotonic())

    thread = threading.Thread(target=keep_updating)
    thread.start()
    try:
        load = ask_all(port, questions, clients)
    finally:
        over.set()
        thread.join()
    read(port, "/search?q=after")
    gone_over = figure(port, "tongues_refreshes_total") - before
    return {**load.summary(), "updates": len(updates), "gone_over_to": gone_over}


def figure(port: int, name: str) -> int:
    """Return one of the figures that our server counts."""
    return next(int(float(line.split()[1])) for line in read(port, "/metrics").splitlines() if line.startswith(name))


def give(index: Path, texts: Path, vectors: Path) -> int:
    """Write the passages of an index and their vectors for the other server; returns how many there are."""
    with Store.open(index) as store:
        passages = store.documents.passages(list(range(store.n_rows)))
        texts.write_text(json.dumps([passage.text for passage in passages]), "utf-8")
        flat = faiss.IndexFlatIP(store.manifest.encoder.dim)
        flat.add(np.ascontiguousarray(store.vectors()[: store.n_rows], np.float32))
        faiss.write_index(flat, str(vectors))
        return len(passages)


@click.command()
@click.argument("corpus", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("queries", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--questions", "n_questions", default=5000, show_default=True)
@click.option("--clients", default=50, show_default=True)
@click.option("--port", default=18080, show_default=True, help="The first of two.")
@click.option("--keep", type=click.Path(path_type=Path), help="Keep the index in this folder, for the next time.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), required=True)
def main(
    corpus: Path, queries: tuple[Path, ...], n_questions: int, clients: int, port: int, keep: Path | None, out: Path
) -> None:
    """Measure both servers by turns, then ours alone."""
    asked = distinct(queries, WARM + n_questions)
    warm, questions = asked[:WARM], asked[WARM:]
    load_before = os.getloadavg()[0]
    with contextlib.ExitStack() as stack:
        folder = keep or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        index, extra, texts, stock = folder / "index", folder / "extra", folder / "texts.json", folder / "stock.faiss"
        extra.mkdir(parents=True, exist_ok=True)
        (extra / "first.txt").write_text("What was there before the first update.", "utf-8")
        build = [*TONGUES, "build", "-q", str(corpus), str(extra), "--out", str(index)]
        subprocess.run(build, check=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
        n_passages = give(index, texts, stock)
        rival = ["scripts/stock_server.py", str(find_model("e5-small").folder), str(texts), str(stock), str(port + 1)]
        serve = [*TONGUES, "serve", "-q", "--index", str(index), "--port", str(port)]
        with running(serve, port), running([sys.executable, *rival], port + 1):
            found = by_turns({"ours": port, "stock": port + 1}, warm, questions, clients)
            one = {name: lone(at, questions[:LONE]) for name, at in (("ours", port), ("stock", port + 1))}
        with running(serve, port):
            ask_all(port, warm, clients)
            during = updated(port, index, extra, questions, clients)
    rates = {name: load.summary() for name, load in found.items()}
    write_results(
        out,
        {
            **machine(os.cpu_count() or 1),
            "load_before": round(load_before, 2),
            "passages": n_passages,
            "questions": len(questions),
            "clients": clients,
            "loaded": rates,
            "ratio_to_stock": round(rates["ours"]["per_second"] / rates["stock"]["per_second"], 2),
            "lone_ms": one,
            "while_updated": during,
        },
    )


if __name__ == "__main__":
    main()
