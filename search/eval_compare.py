"""Compares two reports of the same queries: how far the means are apart, and whether that could be chance."""

from __future__ import annotations

import json
import math
import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from index.errors import InputError
from index.lines import placed_lines
from search.eval_report import LABELS, QueryScores
from search.metrics import paired_p
from search.tables import change, number, p_value, table

_ORDER = ("ndcg@10", "map@100", "recall@10", "mrr@10")
"""The measures that decide come first."""


@dataclass(frozen=True, slots=True)
class Difference:
    """Two means of one measure over the same queries.

    Attributes:
        first: The mean in the first report.
        second: The mean in the second.
        p: Of the paired randomization test, two-sided (``search.metrics.paired_p``).
    """

    first: float
    second: float
    p: float

    @property
    def difference(self) -> float:
        """The second less the first: above 0 the second is better."""
        return self.second - self.first

    def to_dict(self) -> dict[str, float]:
        """Return it as plain data."""
        return {"first": self.first, "second": self.second, "difference": self.difference, "p": self.p}


@dataclass(frozen=True, slots=True)
class Comparison:
    """What changed from one report to another.

    Attributes:
        set_name: The set of both.
        n: How many queries each query language has.
        per_language: For each query language, the difference of each measure.
        mean: The difference of the unweighted means over languages. Its p is of that very difference: a query weighs as
            much as it does in the mean.
    """

    set_name: str
    n: Mapping[str, int]
    per_language: Mapping[str, Mapping[str, Difference]]
    mean: Mapping[str, Difference]

    def to_dict(self) -> dict[str, Any]:
        """Return the comparison as plain data."""
        return {
            "set": self.set_name,
            "per_language": {
                lang: {"n": self.n[lang], **{name: one.to_dict() for name, one in differences.items()}}
                for lang, differences in self.per_language.items()
            },
            "mean": {"n": sum(self.n.values()), **{name: one.to_dict() for name, one in self.mean.items()}},
        }


def read_reports(path: str | os.PathLike[str]) -> dict[str, dict[str, Any]]:
    """Read the reports of a file by the names of their sets: one JSON object a line.

    Raises:
        InputError: When the file cannot be read or is empty, or a line is no report, or one of a set that is there.
    """
    reports: dict[str, dict[str, Any]] = {}
    for where, line in placed_lines(Path(path)):
        try:
            report = json.loads(line)
            name = report["set"]
            if not isinstance(name, str):
                raise TypeError("set")
        except (ValueError, TypeError, KeyError) as error:
            raise InputError(f"{where}: is no report. Write the file with: tongues eval SET --json > FILE") from error
        if name in reports:
            raise InputError(f"{where}: the set {name!r} is there twice. Keep one of its lines.")
        reports[name] = report
    if not reports:
        raise InputError(f"{os.fspath(path)}: is empty. Write it with: tongues eval SET --json > FILE")
    return reports


def compare(first: Mapping[str, Any], second: Mapping[str, Any]) -> Comparison:
    """Compare two reports, as ``EvalReport.to_dict`` makes them and JSON keeps them.

    Raises:
        InputError: When one is no such report, or they are not of the same set and queries, each in the same language.
    """
    reports = _read(first, "the first report"), _read(second, "the second report")
    if first["set"] != second["set"]:
        raise InputError(
            f"the reports are of different sets, {first['set']!r} and {second['set']!r}. Compare two reports of one."
        )
    _check_queries(*reports)
    by_lang: dict[str, list[tuple[QueryScores, QueryScores]]] = defaultdict(list)
    for query_id, scores in reports[0].items():
        by_lang[scores.lang].append((scores, reports[1][query_id]))
    langs = sorted(by_lang)
    return Comparison(
        set_name=first["set"],
        n={lang: len(by_lang[lang]) for lang in langs},
        per_language={lang: {name: _difference([by_lang[lang]], name) for name in _ORDER} for lang in langs},
        mean={name: _difference([by_lang[lang] for lang in langs], name) for name in _ORDER},
    )


def render_comparison(comparison: Comparison) -> list[str]:
    """Return the lines that show a comparison: a table for each measure."""
    rows = {**comparison.per_language, "mean": comparison.mean}
    counts = {**comparison.n, "mean": sum(comparison.n.values())}
    lines: list[str] = []
    for name in _ORDER:
        shown = [
            [lang, f"{counts[lang]:,}", number(one.first), number(one.second), change(one.difference), p_value(one.p)]
            for lang, one in ((lang, differences[name]) for lang, differences in rows.items())
        ]
        lines += [*([""] if lines else []), *table([LABELS[name], "queries", "first", "second", "change", "p"], shown)]
    return lines


def _difference(groups: Sequence[Sequence[tuple[QueryScores, QueryScores]]], name: str) -> Difference:
    """Return the difference of two means over groups of queries in which every group weighs the same."""
    first: list[float] = []
    second: list[float] = []
    for pairs in groups:
        weight = 1 / (len(groups) * len(pairs))
        first += [weight * before.measures[name] for before, _ in pairs]
        second += [weight * after.measures[name] for _, after in pairs]
    return Difference(math.fsum(first), math.fsum(second), paired_p(first, second))


def _read(report: Mapping[str, Any], which: str) -> dict[str, QueryScores]:
    """Take the values of each query out of a report."""
    try:
        if not isinstance(report["set"], str):
            raise TypeError("set")
        scores = {
            query_id: QueryScores(str(of_query["lang"]), {name: float(of_query[name]) for name in _ORDER})
            for query_id, of_query in report["per_query"].items()
        }
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{which} has no set, or a query in it no language or measure ({error}). Write it again with this version."
        ) from error
    if not scores:
        raise InputError(f"{which} holds no query. Write it again.")
    return scores


def _check_queries(first: Mapping[str, QueryScores], second: Mapping[str, QueryScores]) -> None:
    for query_id in (*first, *second):
        if query_id not in second or query_id not in first:
            raise InputError(
                f"the reports are of different queries: {query_id!r} is only in the "
                f"{'first' if query_id in first else 'second'}. Score both runs with the same set."
            )
        if first[query_id].lang != second[query_id].lang:
            raise InputError(
                f"query {query_id!r} is in {first[query_id].lang!r} in the first report and in "
                f"{second[query_id].lang!r} in the second. Score both runs with the same set."
            )
