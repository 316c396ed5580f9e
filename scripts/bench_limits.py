"""Measures two limits: how far a question prefers its own language, and what scores tell of a missing answer.

    python scripts/bench_limits.py PARALLEL_DIR MIXED_DIR --out scripts/results/limits.json

Both are folders for ``tongues eval``, whose corpora are indexed as by default. In the first, what is right for a
question is never in its own language: the part of the first ten passages that is in it tells the preference. Questions
of the second are asked of its own index, which answers them, and of the other, which does not.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import click

from index import BuildSettings, Encoder, open_encoder
from scripts.measuring import machine, percentile, write_results
from search import Balance, Mode, RankSettings, Searcher
from search.eval_set import EvalQuery, EvalSet, read_eval_set
from search.evaluate import kept_index

_K = 10
_EVERY_PARALLEL, _EVERY_MIXED = 7, 11
_WAYS = {
    "by cosine and sentences alone": (Mode.DENSE, Balance.OFF),
    "balance off": (Mode.HYBRID, Balance.OFF),
    "as by default": (Mode.HYBRID, Balance.AUTO),
    "balance full": (Mode.HYBRID, Balance.FULL),
}
_SHARES = (0.05, 0.25, 0.5, 0.75, 0.95)


def own_language(searcher: Searcher, queries: list[EvalQuery]) -> dict[str, dict[str, float]]:
    """Return, for each way of ranking, the part of the first passages that is in the question's language."""
    found: dict[str, dict[str, float]] = {}
    for name, (mode, balance) in _WAYS.items():
        hits = searcher.search_batch([q.text for q in queries], _K + 1, settings=RankSettings(mode, balance))
        n: Counter[str] = Counter()
        own: Counter[str] = Counter()
        for query, of_query in zip(queries, hits, strict=True):
            others = [hit for hit in of_query if hit.doc_id != query.query_id][:_K]
            n[query.lang] += len(others)
            own[query.lang] += sum(hit.lang == query.lang for hit in others)
        found[name] = {lang: round(own[lang] / n[lang], 3) for lang in sorted(n)}
    return found


def best_scores(searcher: Searcher, queries: list[EvalQuery]) -> dict[str, float]:
    """Return what shares of the questions have a best score up to which number."""
    scores = [hits[0].score for hits in searcher.search_batch([query.text for query in queries], 1)]
    return {f"{share:.2f}": round(percentile(scores, share), 3) for share in _SHARES}


def opened(eval_set: EvalSet, encoder: Encoder) -> Searcher:
    """Return an index of a set's corpus."""
    return Searcher.open(kept_index(eval_set, BuildSettings(), encoder), encoder=encoder)


@click.command()
@click.argument("parallel", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("mixed", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), required=True)
def main(parallel: Path, mixed: Path, out: Path) -> None:
    """Measure both limits."""
    sets = [read_eval_set(parallel), read_eval_set(mixed)]
    encoder = open_encoder(BuildSettings().model)
    by_lang: dict[str, list[EvalQuery]] = defaultdict(list)
    for query in sets[0].queries:
        by_lang[query.lang].append(query)
    chosen = [query for lang in sorted(by_lang) for query in by_lang[lang][::_EVERY_PARALLEL]]
    asked = list(sets[1].queries[::_EVERY_MIXED])
    record: dict[str, Any] = {**machine(0), "n_own_language": len(chosen), "n_scores": len(asked), "best_scores": {}}
    for eval_set in sets:
        with opened(eval_set, encoder) as searcher:
            if eval_set is sets[0]:
                record["own_language"] = own_language(searcher, chosen)
            record["best_scores"][eval_set.name] = best_scores(searcher, asked)
    write_results(out, record)


if __name__ == "__main__":
    main()
