"""Measures how the size of passages changes what is found, with the offline model.

    python scripts/bench_chunking.py SET_DIR... --sizes 96,128,192,256,384 --out scripts/results/chunking.json

A set is a folder with corpus.jsonl, queries.jsonl (both: _id, text, lang) and qrels.tsv; or a folder of documents with
questions.jsonl (text, lang, relevant_files), named as DOCUMENTS:QUESTIONS. Ranked as by default, a document by its best
passage. Reports nDCG@10 per query language and its unweighted mean.
"""

from __future__ import annotations

import json
import platform
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import click

from index import BuildSettings, ChunkSettings, build
from index.encoder import open_encoder
from index.version import __version__
from search import Searcher
from search.eval_set import read_eval_set
from search.metrics import ndcg

Queries = list[tuple[str, str, set[str]]]
"""Text, language, ids of the relevant documents."""


def read_set(name: str) -> tuple[str, Queries]:
    """Return what to index and the queries of a set."""
    if ":" in name:
        documents, questions = name.split(":")
        records = [json.loads(line) for line in Path(questions).read_text("utf-8").splitlines()]
        key = "relevant_files" if "relevant_files" in records[0] else "relevant"
        return documents, [(r["text"], r["lang"], set(r[key])) for r in records]
    eval_set = read_eval_set(name)
    right = {query: {doc for doc, grade in docs.items() if grade > 0} for query, docs in eval_set.qrels.items()}
    return str(eval_set.corpus), [(query.text, query.lang, right[query.query_id]) for query in eval_set.queries]


def measure(corpus: str, queries: Queries, size: int, overlap: int, encoder: Any) -> dict[str, Any]:
    """Build with one size of passages and return the measures."""
    with tempfile.TemporaryDirectory() as folder:
        settings = BuildSettings(chunking=ChunkSettings(max_tokens=size, overlap_sentences=overlap))
        began = time.monotonic()
        report = build(corpus, folder, settings=settings, encoder=encoder)
        seconds = time.monotonic() - began
        by_lang: dict[str, list[float]] = defaultdict(list)
        with Searcher.open(folder, encoder=encoder) as searcher:
            found = searcher.search_batch([text for text, _, _ in queries], 60)
        for (_, lang, relevant), hits in zip(queries, found, strict=True):
            ranking = list(dict.fromkeys(hit.doc_id for hit in hits))
            by_lang[lang].append(ndcg(ranking, dict.fromkeys(relevant, 1)))
    per_language = {lang: sum(values) / len(values) for lang, values in sorted(by_lang.items())}
    return {
        "max_tokens": size,
        "overlap_sentences": overlap,
        "passages": report.passages,
        "build_seconds": round(seconds, 1),
        "ndcg@10": {lang: round(value, 4) for lang, value in per_language.items()},
        "mean": round(sum(per_language.values()) / len(per_language), 4),
    }


@click.command()
@click.argument("sets", nargs=-1, required=True)
@click.option("--sizes", default="96,128,192,256,384")
@click.option("--overlaps", default="1")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), required=True)
def main(sets: tuple[str, ...], sizes: str, overlaps: str, out: Path) -> None:
    """Measure every set with every size and overlap."""
    encoder = open_encoder(BuildSettings().model)
    results = []
    for name in sets:
        corpus, queries = read_set(name)
        for size in map(int, sizes.split(",")):
            for overlap in map(int, overlaps.split(",")):
                row = {"set": Path(name.split(":")[0]).name}
                row |= measure(corpus, queries, size, overlap, encoder)
                click.echo(json.dumps(row), err=True)
                results.append(row)
    out.parent.mkdir(parents=True, exist_ok=True)
    record = {"version": __version__, "python": platform.python_version(), "cpu": platform.processor() or "unknown"}
    out.write_text(json.dumps({**record, "results": results}, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
