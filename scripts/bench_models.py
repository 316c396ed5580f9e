"""Measures what models find and what they cost, to choose one by.

    python scripts/bench_models.py SET... --out scripts/results/models.json
        --row tongues-small tongues-small openvino int8 --row e5-small e5-small openvino int8
        --row NAME FOLDER auto auto

A set is what ``tongues eval`` takes. Every row's corpora are indexed with all defaults but the model, and asked as by
default and by meaning alone; the first row's also by words alone. With --timings times alone are measured, and what
--out holds is kept: later, on a quiet machine, and of rows too whose quality is known. They are taken by turns, a round
of all rows after the other; ratios are to the first row of the same round.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import click

from index import Backend, BuildSettings, Encoder, ModelSettings, Precision, open_encoder
from index.models import find_model
from scripts.measuring import machine, percentile, write_results
from search import Mode, RankSettings, Searcher
from search.eval_set import EvalSet, read_eval_set
from search.evaluate import evaluate, kept_index

_MEASURES = ("ndcg@10", "map@100", "success@1", "success@3", "success@10")
_ROUNDS = 5
_N_PASSAGES = 256
_N_QUERIES = 60


def open_row(model: str, backend: str, precision: str) -> tuple[Encoder, BuildSettings]:
    """Return the encoder of a row, and the settings to build with it."""
    settings = BuildSettings(ModelSettings(model, backend=Backend(backend), precision=Precision(precision)))
    return open_encoder(settings.model), settings


def quality(
    encoder: Encoder, settings: BuildSettings, sets: Sequence[EvalSet], modes: Sequence[Mode]
) -> dict[str, Any]:
    """Return the measures by set, mode and query language, and what the indexes hold."""
    found: dict[str, Any] = {}
    for eval_set in sets:
        where = kept_index(eval_set, settings, encoder)
        of_set = found.setdefault(eval_set.name, {"index_mb": _megabytes(where)})
        with Searcher.open(where, encoder=encoder) as searcher:
            of_set["passages"] = searcher.manifest.counts.passages
            for mode in modes:
                report = evaluate(eval_set, searcher, where, settings=RankSettings(mode)).report
                rows = {**report.per_language, "mean": report.mean}
                of_set[str(mode)] = {
                    lang: {"n": row.n, **{name: round(row.measures[name], 4) for name in _MEASURES}}
                    for lang, row in rows.items()
                }
    return found


def facts(encoder: Encoder, model: str) -> dict[str, Any]:
    """Return what a model is: numbers of a vector, tokens it reads, its files' size."""
    made = encoder.fingerprint
    return {
        "dim": made.dim,
        "max_tokens": made.max_tokens,
        "precision": str(made.precision),
        "prompts": [made.query_prompt, made.passage_prompt],
        "files_mb": _megabytes(find_model(model).folder),
    }


def _megabytes(folder: Path) -> float:
    return round(sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 1e6, 1)


def timings(encoders: dict[str, Encoder], sets: Sequence[EvalSet]) -> dict[str, dict[str, Any]]:
    """Return passages a second and milliseconds a query of every encoder, measured by turns."""
    records = [json.loads(line) for line in sets[0].corpus.read_text("utf-8").splitlines()]
    passages = [record["text"] for record in records[:: max(1, len(records) // _N_PASSAGES)]][:_N_PASSAGES]
    asked = [query.text for query in sets[0].queries]
    queries = asked[:: max(1, len(asked) // _N_QUERIES)][:_N_QUERIES]
    seconds: dict[str, list[float]] = {name: [] for name in encoders}
    waits: dict[str, list[list[float]]] = {name: [] for name in encoders}
    for at in range(_ROUNDS + 1):
        for name, encoder in encoders.items():
            took = _seconds(partial(encoder.encode_passages, passages))
            each = [_seconds(partial(encoder.encode_queries, [query])) for query in queries]
            if at:  # the first round warms up
                seconds[name].append(took)
                waits[name].append(each)
    first = next(iter(encoders))
    return {
        name: {
            "passages_per_second": round(len(passages) / statistics.median(seconds[name]), 1),
            "passages_ratio": _ratio(seconds[first], seconds[name]),
            "query_ms": round(1000 * statistics.median(map(statistics.median, waits[name])), 2),
            "query_p95_ms": round(1000 * percentile([one for each in waits[name] for one in each], 0.95), 2),
            "query_ratio": _ratio([sum(each) for each in waits[name]], [sum(each) for each in waits[first]]),
        }
        for name in encoders
    }


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _ratio(above: Sequence[float], below: Sequence[float]) -> float:
    """Return the median over rounds of how many times one is the other."""
    return round(statistics.median(a / b for a, b in zip(above, below, strict=True)), 3)


@click.command()
@click.argument("sets", nargs=-1, required=True)
@click.option("--row", "rows", nargs=4, multiple=True, required=True, metavar="NAME MODEL BACKEND PRECISION")
@click.option("--timings", "timed", is_flag=True, help="Measure times alone, and keep the quality that --out holds.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), required=True)
def main(sets: tuple[str, ...], rows: tuple[tuple[str, str, str, str], ...], timed: bool, out: Path) -> None:
    """Measure every model with every set."""
    every = [read_eval_set(folder) for folder in sets]
    record: dict[str, Any] = json.loads(out.read_text("utf-8")) if out.exists() else {"models": {}}
    if timed:
        record["timings_of"] = machine(0)
        encoders = {name: open_row(*how)[0] for name, *how in rows}
        times = timings(encoders, every)
        for name, model, *_ in rows:
            known = record["models"].get(name, {})
            record["models"][name] = {**known, **facts(encoders[name], model), "times": times[name]}
    else:
        for at, (name, *how) in enumerate(rows):
            encoder, settings = open_row(*how)
            modes = [Mode.HYBRID, Mode.DENSE, *([Mode.LEXICAL] if at == 0 else [])]
            known = record["models"].get(name, {}).get("sets", {})
            found = {**known, **quality(encoder, settings, every, modes)}
            record["models"][name] = {**record["models"].get(name, {}), **facts(encoder, how[0]), "sets": found}
            click.echo(json.dumps({name: record["models"][name]}), err=True)
            write_results(out, {**record, **machine(0)})
    write_results(out, record if timed else {**record, **machine(0)})


if __name__ == "__main__":
    main()
