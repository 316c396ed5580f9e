"""Measures what each precision changes in what is found: whole passages, exact search, the offline model.

    python scripts/bench_precision.py SET_DIR... --out scripts/results/precision.json

A set is a folder with corpus.jsonl, queries.jsonl (both: _id, text, lang) and qrels.tsv. A query with the _id of a
passage leaves that passage out. Reports nDCG@10 and mAP@100, per query language and as their unweighted mean, and how
near the vectors are to those of torch in fp32.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import click
import numpy as np

from index import Backend, ModelSettings, Precision, open_encoder
from index.encoder import PromptedEncoder
from scripts.measuring import machine, write_results
from search.eval_report import score_run
from search.eval_set import EvalSet, read_eval_set

RIVALS = {
    "torch fp32": (Backend.TORCH, Precision.FP32),
    "torch bf16": (Backend.TORCH, Precision.BF16),
    "OpenVINO fp32": (Backend.OPENVINO, Precision.FP32),
    "OpenVINO bf16": (Backend.OPENVINO, Precision.BF16),
    "OpenVINO int8": (Backend.OPENVINO, Precision.INT8),
}


def measure(eval_set: EvalSet, encoder: PromptedEncoder, reference: Any) -> tuple[dict[str, Any], Any]:
    """Return the measures of one encoder and its vectors of the passages."""
    records = [json.loads(line) for line in eval_set.corpus.read_text("utf-8").splitlines()]
    began = time.perf_counter()
    passages = encoder.encode_passages([record["text"] for record in records])
    seconds = time.perf_counter() - began
    asked = encoder.encode_queries([query.text for query in eval_set.queries])
    run = {}
    for query, vector in zip(eval_set.queries, asked, strict=True):
        scores = passages @ vector
        best = np.argsort(-scores, kind="stable")[:101]
        run[query.query_id] = [(records[row]["_id"], float(scores[row])) for row in best]
    langs = {record["_id"]: record["lang"] for record in records}
    report = score_run(eval_set.queries, eval_set.qrels, run, langs)
    row: dict[str, Any] = {}
    for name in ("ndcg@10", "map@100"):
        row[name] = {lang: round(of_lang.measures[name], 4) for lang, of_lang in report.per_language.items()}
        row[f"mean {name}"] = round(report.mean.measures[name], 4)
    if reference is not None:
        cosines = (passages * reference).sum(axis=1)
        row |= {"mean_cosine": round(float(cosines.mean()), 5), "least_cosine": round(float(cosines.min()), 5)}
    return {**row, "passages_per_second": round(len(records) / seconds, 1)}, passages


@click.command()
@click.argument("sets", nargs=-1, required=True, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), required=True)
def main(sets: tuple[Path, ...], out: Path) -> None:
    """Measure every set with every precision; the first is what the others are compared with."""
    results = []
    for folder in sets:
        eval_set = read_eval_set(folder)
        reference = None
        for name, (backend, precision) in RIVALS.items():
            encoder = open_encoder(ModelSettings(backend=backend, precision=precision))
            row, passages = measure(eval_set, encoder, reference)
            reference = passages if reference is None else reference
            results.append({"set": folder.name, "encoder": name, **row})
            click.echo(json.dumps(results[-1]), err=True)
    write_results(out, {**machine(0), "results": results})


if __name__ == "__main__":
    main()
