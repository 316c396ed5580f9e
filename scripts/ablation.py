"""Measures what each part of the ranking is worth, and how much its numbers matter, with the offline model.

    python scripts/ablation.py SET_DIR... --out scripts/results/ranking.json

A set is what `tongues eval` takes, and each figure is what it reports. The fusion by reciprocal ranks is the one most
search engines ship: documents by 1 / (60 + rank) in the dense ranking, plus the same in the lexical one.
Source: Cormack, Clarke and Büttcher 2009, Reciprocal rank fusion.
"""

from __future__ import annotations

import dataclasses
import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np

from index import BuildSettings, open_encoder
from index.encoder import PromptedEncoder
from index.progress import Progress
from index.store import Store
from scripts.measuring import machine, write_results
from search.eval_report import EvalReport, score_run
from search.eval_set import EvalSet, read_eval_set
from search.evaluate import Evaluation, evaluate, kept_index
from search.rank_settings import RankSettings, Weights
from search.searcher import Searcher

_RRF = 60
PLAIN = BuildSettings(sentences=False)
VARIANTS = {
    "dense": (PLAIN, RankSettings("dense", "off")),
    "lexical": (PLAIN, RankSettings("lexical", "off")),
    "dense + sentences": (BuildSettings(), RankSettings("dense", "off")),
    "dense + words": (PLAIN, RankSettings("hybrid", "off")),
    "dense + balance": (PLAIN, RankSettings("dense", "auto")),
    "all without sentences": (PLAIN, RankSettings("hybrid", "auto")),
    "all without balance": (BuildSettings(), RankSettings("hybrid", "off")),
    "all without words": (BuildSettings(), RankSettings("dense", "auto")),
    "all (the default)": (BuildSettings(), RankSettings()),
    "all, balance full": (BuildSettings(), RankSettings("hybrid", "full")),
}
SENSITIVITY = {
    "balance": (0.5, 0.6, 0.8, 0.9),
    "sentence_share": (0.4, 0.5, 0.7),
    "sentence_temperature": (0.01, 0.02, 0.05),
    "lexical": (0.1, 0.2),
    "lexical_expected": (0.1, 0.15, 0.25, 0.3),
}
"""Each number alone, the others as they are by default."""


class QueriesOnce(PromptedEncoder):
    """An encoder that computes the vector of a query once, however many variants ask it."""

    def __init__(self, encoder: PromptedEncoder) -> None:
        self._encoder = encoder
        self._known: dict[str, Any] = {}
        super().__init__(encoder.prompts, encoder.fingerprint)

    def _vectors(self, texts: Sequence[str], progress: Progress) -> Any:
        return self._encoder._vectors(texts, progress)

    def _n_tokens(self, texts: Sequence[str], *, special: bool) -> list[int]:
        return self._encoder._n_tokens(texts, special=special)

    def encode_queries(self, texts: Sequence[str]) -> Any:
        """Return the vectors of queries, shape (len(texts), dim), unit rows."""
        missing = list(dict.fromkeys(text for text in texts if text not in self._known))
        self._known.update(zip(missing, self._encoder.encode_queries(missing), strict=True))
        return np.stack([self._known[text] for text in texts])


def ask(eval_set: EvalSet, build: BuildSettings, ranking: RankSettings, encoder: PromptedEncoder) -> Evaluation:
    """Return what comes of asking a set in one way."""
    directory = kept_index(eval_set, build, encoder)
    with Searcher.open(directory, encoder=encoder) as searcher:
        return evaluate(eval_set, searcher, directory, settings=ranking)


def fused(eval_set: EvalSet, dense: Evaluation, lexical: Evaluation, encoder: PromptedEncoder) -> EvalReport:
    """Return what fusion by reciprocal ranks makes of two runs."""
    run: dict[str, list[tuple[str, float]]] = {}
    for query in eval_set.queries:
        total: dict[str, float] = defaultdict(float)
        for one in (dense, lexical):
            for rank, (doc, _) in enumerate(one.run.get(query.query_id, ()), 1):
                total[doc] += 1 / (_RRF + rank)
        run[query.query_id] = sorted(total.items(), key=lambda found: (-found[1], found[0]))
    with Store.open(kept_index(eval_set, PLAIN, encoder)) as store:
        langs = store.documents.langs()
    return score_run(eval_set.queries, eval_set.qrels, run, langs, set_name=eval_set.name)


def row(name: str, report: EvalReport) -> dict[str, Any]:
    """Return a report without its single queries."""
    plain = report.to_dict()
    kept = {
        lang: {
            key: round(value, 4) for key, value in of_lang.items() if key in ("n", "ndcg@10", "recall@10", "map@100")
        }
        for lang, of_lang in {**plain["per_language"], "mean": plain["mean"]}.items()
    }
    shares = {lang: round(share, 3) for lang, share in plain["mean"]["language_share"].items()}
    found = {"set": report.set_name, "variant": name, **kept, "language_share": shares}
    click.echo(f"{report.set_name} {name}: {json.dumps(found['mean'])}", err=True)
    return found


@click.command()
@click.argument("sets", nargs=-1, required=True, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), required=True)
def main(sets: tuple[Path, ...], out: Path) -> None:
    """Measure every set with every variant."""
    encoder = QueriesOnce(open_encoder(BuildSettings().model))
    variants, sensitivity = [], []
    for folder in sets:
        eval_set = read_eval_set(folder)
        done = {name: ask(eval_set, *how, encoder) for name, how in VARIANTS.items()}
        variants += [row(name, one.report) for name, one in done.items()]
        variants.append(row("dense, lexical by RRF", fused(eval_set, done["dense"], done["lexical"], encoder)))
        for name, values in SENSITIVITY.items():
            for value in values:
                weights = dataclasses.replace(Weights(), **{name: value})
                one = ask(eval_set, BuildSettings(), RankSettings(weights=weights), encoder)
                sensitivity.append({"number": name, "value": value, **row(f"{name} {value}", one.report)})
    defaults = dataclasses.asdict(Weights())
    write_results(out, {**machine(0), "defaults": defaults, "variants": variants, "sensitivity": sensitivity})


if __name__ == "__main__":
    main()
