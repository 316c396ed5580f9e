"""From the documents found for a set's queries to a report: a row for each query language, and their mean."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from index.errors import InputError
from index.records import UNKNOWN_LANG
from search.eval_set import EvalQuery
from search.metrics import MEASURES, language_share, peer, peer_can_tell
from search.tables import NOTHING, number, table
from search.trec import Run

LABELS = {name: name.replace("ndcg", "nDCG").replace("mrr", "MRR").replace("map", "mAP") for name in MEASURES}
"""The measures of relevance as people write them."""


@dataclass(frozen=True, slots=True)
class ScoreRow:
    """The values of one query language, or of all.

    Attributes:
        n: How many queries.
        measures: The mean over the queries of each of ``search.metrics.MEASURES``.
        language_share: For each document language, the mean of its part in the first 10 documents, over the queries for
            which something was found. The parts add up to 1, unless nothing was found for any.
        peer: The mean PEER@20 of the queries whose PEER depends on the ranking, None when there are none: the others
            have a constant, which would only hide what these say.
        peer_n: How many queries that are.
    """

    n: int
    measures: Mapping[str, float]
    language_share: Mapping[str, float]
    peer: float | None
    peer_n: int

    def to_dict(self) -> dict[str, Any]:
        """Return the row as plain data."""
        shares = dict(self.language_share)
        return {"n": self.n, **self.measures, "language_share": shares, "peer@20": self.peer, "peer_n": self.peer_n}


@dataclass(frozen=True, slots=True)
class QueryScores:
    """One query's language and its value of each measure."""

    lang: str
    measures: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class EvalReport:
    """What a run is worth.

    Attributes:
        set_name: The name of the set.
        settings: What the run was made with.
        per_language: A row for each query language, in order of their tags.
        mean: The unweighted mean of these rows, of ``peer`` over those that have one; its counts are sums.
        per_query: The values of each query, in the order of the set.
        without_hits: For how many queries nothing was found; their measures are 0.
        unknown_documents: How many relevant documents have no language, that is to say are not in the corpus: they
            cannot be found, which lowers the measures, and PEER leaves them out.
    """

    set_name: str
    settings: Mapping[str, Any]
    per_language: Mapping[str, ScoreRow]
    mean: ScoreRow
    per_query: Mapping[str, QueryScores]
    without_hits: int
    unknown_documents: int

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain data, as ``search.eval_compare.compare`` takes it."""
        return {
            "set": self.set_name,
            "settings": dict(self.settings),
            "without_hits": self.without_hits,
            "unknown_documents": self.unknown_documents,
            "per_language": {lang: row.to_dict() for lang, row in self.per_language.items()},
            "mean": self.mean.to_dict(),
            "per_query": {
                query_id: {"lang": scores.lang, **scores.measures} for query_id, scores in self.per_query.items()
            },
        }


@dataclass(frozen=True, slots=True)
class _Scored:
    scores: QueryScores
    share: Mapping[str, float]
    peer: float | None


def score_run(
    queries: Iterable[EvalQuery],
    qrels: Mapping[str, Mapping[str, int]],
    run: Run,
    doc_langs: Mapping[str, str],
    *,
    set_name: str = "",
    settings: Mapping[str, Any] | None = None,
) -> EvalReport:
    """Score the documents found for each query.

    A query with the id of a document was made of that document, which is left out of its ranking, so find 101 to score
    100 (BEIR's "ignore identical ids"). A document that is there again, for another of its passages, counts at its
    first place. Queries without a relevant document are not scored; those without a language count as ``und``.

    Args:
        queries: The queries of a set.
        qrels: Grades of the documents judged for each query; above 0 is relevant.
        run: The documents found for each query, best first; the order counts, not the scores.
        doc_langs: The language of every document of the corpus, ``und`` when unknown, which counts as a language.
        set_name: The name of the set, for the report.
        settings: What the run was made with, for the report; plain data.

    Raises:
        InputError: When a document that was found has no language, or there is no query to score.
    """
    shown_langs = sorted(set(doc_langs.values()))
    by_lang: dict[str, list[_Scored]] = defaultdict(list)
    per_query: dict[str, QueryScores] = {}
    unknown: set[str] = set()
    for query in queries:
        relevance = qrels.get(query.query_id, {})
        relevant = {doc: grade for doc, grade in relevance.items() if grade > 0}
        if not relevant:
            continue
        unknown |= relevant.keys() - doc_langs.keys()
        ranking = _ranking(query.query_id, run.get(query.query_id, ()), doc_langs)
        scored = _score(query.lang or UNKNOWN_LANG, ranking, relevance, doc_langs)
        by_lang[scored.scores.lang].append(scored)
        per_query[query.query_id] = scored.scores
    if not per_query:
        raise InputError("no query has a relevant document, so nothing can be scored. Check the set's qrels.")
    per_language = {lang: _row(by_lang[lang], shown_langs) for lang in sorted(by_lang)}
    return EvalReport(
        set_name=set_name,
        settings=dict(settings or {}),
        per_language=per_language,
        mean=_mean_row(list(per_language.values()), shown_langs),
        per_query=per_query,
        without_hits=sum(not scored.share for every in by_lang.values() for scored in every),
        unknown_documents=len(unknown),
    )


def render_report(report: EvalReport) -> list[str]:
    """Return the lines that show a report: the measures, then which languages the first 10 documents are in."""
    rows = {**report.per_language, "mean": report.mean}
    measures = [
        [lang, f"{row.n:,}", *(number(row.measures[name]) for name in LABELS), number(row.peer)]
        for lang, row in rows.items()
    ]
    shares = [[lang, *(number(share) for share in row.language_share.values())] for lang, row in rows.items()]
    lines = table(["query", "queries", *LABELS.values(), "PEER@20"], measures)
    if report.mean.peer is None:
        lines.append(f"PEER@20 {NOTHING}: no query has relevant documents in several languages, and several in one.")
    lines += ["", "Languages of the first 10 documents:", *table(["query", *report.mean.language_share], shares)]
    if report.without_hits:
        lines.append(f"Queries for which nothing was found: {report.without_hits:,}.")
    if report.unknown_documents:
        lines.append(f"Relevant documents that are not in the corpus: {report.unknown_documents:,}.")
    return lines


def _ranking(query_id: str, found: Sequence[tuple[str, float]], doc_langs: Mapping[str, str]) -> list[str]:
    """Return the documents found, each once, without the one that the query was made of."""
    ranking = [doc for doc in dict.fromkeys(doc for doc, _ in found) if doc != query_id]
    for doc in ranking:
        if doc not in doc_langs:
            raise InputError(
                f"query {query_id}: no language is given of document {doc!r}, which was found. "
                f"Check that the run is of this corpus; write {UNKNOWN_LANG!r} for a language that is not known."
            )
    return ranking


def _score(lang: str, ranking: list[str], relevance: Mapping[str, int], doc_langs: Mapping[str, str]) -> _Scored:
    in_corpus = {doc: grade for doc, grade in relevance.items() if doc in doc_langs}
    can_tell = peer_can_tell(in_corpus, doc_langs)
    return _Scored(
        QueryScores(lang, {name: measure(ranking, relevance) for name, measure in MEASURES.items()}),
        language_share(ranking, doc_langs),
        peer(ranking, in_corpus, doc_langs) if can_tell else None,
    )


def _row(queries: Sequence[_Scored], shown_langs: Sequence[str]) -> ScoreRow:
    """Return the means over the queries of one language."""
    shares = [scored.share for scored in queries if scored.share]
    peers = [scored.peer for scored in queries if scored.peer is not None]
    return ScoreRow(
        n=len(queries),
        measures={name: _mean([scored.scores.measures[name] for scored in queries]) for name in MEASURES},
        language_share={lang: _mean([share.get(lang, 0.0) for share in shares]) for lang in shown_langs},
        peer=_mean(peers) if peers else None,
        peer_n=len(peers),
    )


def _mean_row(rows: Sequence[ScoreRow], shown_langs: Sequence[str]) -> ScoreRow:
    """Return the unweighted means over languages."""
    peers = [row.peer for row in rows if row.peer is not None]
    return ScoreRow(
        n=sum(row.n for row in rows),
        measures={name: _mean([row.measures[name] for row in rows]) for name in MEASURES},
        language_share={lang: _mean([row.language_share[lang] for row in rows]) for lang in shown_langs},
        peer=_mean(peers) if peers else None,
        peer_n=sum(row.peer_n for row in rows),
    )


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0
