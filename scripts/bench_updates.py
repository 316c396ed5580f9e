"""What ingest and updates of an index of many real passages cost: a part of scripts/bench_scale.py.

Each text of a corpus becomes a file of its own. Every figure is that of a whole process of ``tongues``, from its start
to its end; the updates come one after the other, so that those which merge segments are among them.
"""

from __future__ import annotations

import json
import shutil
import statistics
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from index.store import Store
from scripts.bench_encode import read_texts
from scripts.measuring import machine, percentile, run, summary

FILES_A_FOLDER = 500
LINE = "Ši eilutė pridėta matuojant, kiek trunka atnaujinimas: tai jau {} kartas.\n"


def measure_updates(corpus: Path, work: Path, rounds: int, threads: int) -> dict[str, Any]:
    """Build an index of a corpus unless ``work`` holds it already, and bring it up to date again and again.

    Args:
        corpus: JSON Lines with a text each.
        work: A folder for the texts and the index; kept, so that the index need not be built again.
        rounds: How many updates of one changed file.
        threads: Of the model.
    """
    texts, index = work / "texts", work / "index"
    files = _write_files(corpus, texts)
    record: dict[str, Any] = {"corpus": corpus.name, "files": len(files)}
    kept = work / "ingest.json"
    if not (index / "CURRENT").exists():
        seconds, peak = run(_tongues("build", str(texts), "--out", str(index), "--threads", str(threads)))
        kept.write_text(json.dumps({**machine(threads), "seconds": round(seconds, 1), "peak_mb": round(peak)}))
    if kept.exists():
        record["ingest"] = json.loads(kept.read_text())
    with Store.open(index) as store:
        record |= {"passages": store.n_passages, "sentences": store.manifest.counts.sentences}
    record["disk_mb"] = round(sum(path.stat().st_size for path in index.rglob("*") if path.is_file()) / 1e6)
    chosen = files[:: max(1, len(files) // (rounds + 2))]

    def update() -> tuple[float, float]:
        return run(_tongues("update", "--index", str(index), "--threads", str(threads)))

    update()  # the first one reads the files from disk
    record["nothing changed"] = _of([update() for _ in range(5)])
    changed = []
    for number, path in enumerate(chosen[:rounds]):
        with path.open("a", encoding="utf-8") as file:
            file.write(LINE.format(number))
        changed.append(update())
    record["one file changed"] = _of(changed)
    record["one file changed"]["p95"] = round(percentile([seconds for seconds, _ in changed], 0.95), 2)
    record["one file new"] = _of([_with(lambda: (texts / "new.txt").write_text(LINE.format("x"), "utf-8"), update)])
    record["one file gone"] = _of([_with((texts / "new.txt").unlink, update)])
    with Store.open(index) as store:
        record["segments"] = [segment.rows for segment in store.manifest.segments]
        record["dead"] = store.manifest.dead
    record["built again, all known"] = _of([run(_tongues("build", str(texts), "--out", str(index)))])
    return {**machine(threads), **record}


def _write_files(corpus: Path, folder: Path) -> list[Path]:
    """Write each text into a file of its own; returns the files, in order. What is there already is left alone."""
    found = sorted(folder.rglob("*.txt"))
    if found:
        return found
    for number, (_, text) in enumerate(read_texts(corpus)):
        path = folder / f"{number // FILES_A_FOLDER:03d}" / f"{number:06d}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
        found.append(path)
    return found


def _tongues(*args: str) -> list[str]:
    return [shutil.which("tongues") or str(Path(sys.executable).with_name("tongues")), args[0], "-q", *args[1:]]


def _with(change: Callable[[], Any], update: Callable[[], tuple[float, float]]) -> tuple[float, float]:
    change()
    return update()


def _of(runs: list[tuple[float, float]]) -> dict[str, Any]:
    """Return the median and all values of seconds, and the most memory."""
    seconds = [one for one, _ in runs]
    return {
        **summary(seconds, 2),
        "max": round(max(seconds), 2),
        "peak_mb": round(statistics.median(p for _, p in runs)),
    }


@click.command()
@click.argument("corpus", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--work", type=click.Path(file_okay=False, path_type=Path), required=True)
@click.option("--rounds", default=25, show_default=True)
@click.option("--threads", default=2, show_default=True)
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), required=True)
def updates(corpus: Path, work: Path, rounds: int, threads: int, out: Path) -> None:
    """Measure ingest and updates of real passages."""
    from scripts.bench_scale import save_part

    save_part(out, "updates", measure_updates(corpus, work, rounds, threads))
