"""Small sets to measure with, written as a user lays them out."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from search.eval_set import EvalSet, read_eval_set


def write_set(
    folder: Path,
    corpus: Sequence[Mapping[str, object]],
    queries: Sequence[Mapping[str, object]],
    qrels: Mapping[str, Mapping[str, int]],
    *,
    qrels_name: str = "qrels.tsv",
) -> EvalSet:
    """Write the files of a set over those that are there, and read it."""
    folder.mkdir(exist_ok=True)
    for name, records in (("corpus", corpus), ("queries", queries)):
        lines = (json.dumps(record, ensure_ascii=False) for record in records)
        (folder / f"{name}.jsonl").write_text("\n".join(lines), "utf-8")
    judged = [f"{query}\t{doc}\t{grade}" for query, grades in qrels.items() for doc, grade in grades.items()]
    (folder / qrels_name).parent.mkdir(exist_ok=True)
    (folder / qrels_name).write_text("\n".join(["query-id\tcorpus-id\tscore", *judged]), "utf-8")
    return read_eval_set(folder)


def read_run(path: Path) -> dict[str, list[tuple[str, float]]]:
    """Read a TREC run in the order of its lines."""
    run: dict[str, list[tuple[str, float]]] = {}
    for line in path.read_text("utf-8").splitlines():
        query_id, _, doc_id, _, score, _ = line.split(" ")
        run.setdefault(query_id, []).append((doc_id, float(score)))
    return run
