"""Measures what each precision changes in what is found: whole passages, exact search, the offline model.

    python scripts/bench_precision.py SET_DIR... --out scripts/results/precision.json

A set is a folder with corpus.jsonl, queries.jsonl (both: _id, text, lang) and qrels.tsv. A query with the _id of a
passage leaves that passage out. Reports nDCG@10 and mAP@100, per query language and as their unweighted mean, and how
near the vectors are to those of torch in fp32.
"""

from __future__ import annotations

import json
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import click
import numpy as np

from index import Backend, ModelSettings, Precision, open_encoder
from index.encoder import PromptedEncoder
from scripts.bench_chunking import ndcg_at_10
from scripts.measuring import machine, write_results

RIVALS = {
    "torch fp32": (Backend.TORCH, Precision.FP32),
    "torch bf16": (Backend.TORCH, Precision.BF16),
    "OpenVINO fp32": (Backend.OPENVINO, Precision.FP32),
    "OpenVINO bf16": (Backend.OPENVINO, Precision.BF16),
    "OpenVINO int8": (Backend.OPENVINO, Precision.INT8),
}


def read(folder: Path) -> tuple[list[dict[str, str]], list[dict[str, str]], dict[str, set[str]]]:
    """Return the passages, queries and relevant passages of a set."""
    corpus, queries = (
        [json.loads(line) for line in (folder / name).read_text("utf-8").splitlines()]
        for name in ("corpus.jsonl", "queries.jsonl")
    )
    relevant: dict[str, set[str]] = defaultdict(set)
    for line in (folder / "qrels.tsv").read_text("utf-8").splitlines()[1:]:
        query_id, doc_id, _ = line.split("\t")
        relevant[query_id].add(doc_id)
    return corpus, queries, relevant


def average_precision(ranking: list[str], relevant: set[str]) -> float:
    """Return the average precision over the first hundred.

    Source: Buckley and Voorhees 2000; as trec_eval's map_cut.100.
    """
    found, total = 0, 0.0
    for rank, doc in enumerate(ranking[:100], 1):
        if doc in relevant:
            found += 1
            total += found / rank
    return total / len(relevant)


def measure(
    corpus: list[dict[str, str]],
    queries: list[dict[str, str]],
    relevant: dict[str, set[str]],
    encoder: PromptedEncoder,
    reference: Any,
) -> tuple[dict[str, Any], Any]:
    """Return the measures of one encoder and its vectors of the passages."""
    began = time.perf_counter()
    passages = encoder.encode_passages([record["text"] for record in corpus])
    seconds = time.perf_counter() - began
    asked = encoder.encode_queries([record["text"] for record in queries])
    ids = np.array([record["_id"] for record in corpus])
    ndcg, precision = defaultdict(list), defaultdict(list)
    for query, vector in zip(queries, asked, strict=True):
        best = ids[np.argsort(-(passages @ vector), kind="stable")[:101]]
        ranking = [doc for doc in best.tolist() if doc != query["_id"]]
        ndcg[query["lang"]].append(ndcg_at_10(ranking, relevant[query["_id"]]))
        precision[query["lang"]].append(average_precision(ranking, relevant[query["_id"]]))
    row: dict[str, Any] = {}
    for name, values in (("ndcg@10", ndcg), ("map@100", precision)):
        per_language = {lang: sum(of_lang) / len(of_lang) for lang, of_lang in sorted(values.items())}
        row[name] = {lang: round(value, 4) for lang, value in per_language.items()}
        row[f"mean {name}"] = round(sum(per_language.values()) / len(per_language), 4)
    if reference is not None:
        cosines = (passages * reference).sum(axis=1)
        row |= {"mean_cosine": round(float(cosines.mean()), 5), "least_cosine": round(float(cosines.min()), 5)}
    return {**row, "passages_per_second": round(len(corpus) / seconds, 1)}, passages


@click.command()
@click.argument("sets", nargs=-1, required=True, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), required=True)
def main(sets: tuple[Path, ...], out: Path) -> None:
    """Measure every set with every precision; the first is what the others are compared with."""
    results = []
    for folder in sets:
        corpus, queries, relevant = read(folder)
        reference = None
        for name, (backend, precision) in RIVALS.items():
            encoder = open_encoder(ModelSettings(backend=backend, precision=precision))
            row, passages = measure(corpus, queries, relevant, encoder, reference)
            reference = passages if reference is None else reference
            results.append({"set": folder.name, "encoder": name, **row})
            click.echo(json.dumps(results[-1]), err=True)
    write_results(out, {**machine(0), "results": results})


if __name__ == "__main__":
    main()
